//! Configurations from the field, run as they stand.
//!
//! They belong to others, so they are not part of this repository: where the folder `../shared/reference`
//! (or the one that `ONEPORT_REFERENCE` names) is present they are run, and the test says so; the same
//! directives are always tested with `tests/configs`.

use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::process::Starter;
use crate::support::program::only_oneport;
use crate::support::web::Nginx;
use crate::support::websocket::{WsEcho, connect, expect_echo};
use std::path::PathBuf;

fn reference(name: &str) -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("ONEPORT_REFERENCE").map_or(beside, PathBuf::from);
    let text = std::fs::read_to_string(folder.join(name)).ok();
    match text {
        Some(_) => eprintln!("running {name} from {}", folder.display()),
        None => eprintln!("no {name} in {}: only our own configurations are run", folder.display()),
    }
    text
}

/// Only its ports are changed.
#[test]
fn single_port_cfg() {
    let Some(text) = reference("single-port.cfg") else { return };
    if only_oneport("HAProxy 2.6 refuses nbproc") {
        return;
    }
    let (web, ws, socket, port) = (Nginx::start(), WsEcho::start(), Backend::echo(), free_port());
    let text = text
        .replace("*:80", &format!("*:{port}"))
        .replace(":8100", &format!(":{}", web.port))
        .replace(":2200", &format!(":{}", ws.port))
        .replace(":2100", &format!(":{}", socket.port));
    let gateway = Starter::new().ready_port(port).start(&text);
    assert!(gateway.stderr().contains("nbproc"), "a warning names nbproc:\n{}", gateway.stderr());
    let mut client = Client::to(port);
    client.send("GET / HTTP/1.1\r\nHost: device\r\n\r\n");
    assert_eq!(client.answer().header("x-backend"), Some("nginx"));
    expect_echo(&mut connect(port, "/echo"), "over the reference file".into());
    for preamble in [4, 8] {
        let mut raw = Client::to(port);
        let mut bytes = vec![0; preamble];
        bytes.extend(b"raw");
        raw.send_bytewise(&bytes, crate::support::ms(30));
        assert_eq!(raw.read_exact(bytes.len()), bytes);
    }
}
