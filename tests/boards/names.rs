//! Host names: what the C library's resolver in the static binary makes of `/etc/hosts` and of name servers.
//! Which address was found shows by which backend answers: each listens on an address of its own.

use crate::inside::Context;
use crate::rig::{DEFAULTS, tcp_config};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::peers::Backend;
use crate::support::process::{Gateway, Signal, folder, run, written};
use std::net::TcpListener;

/// A backend on this address that says so and ends.
fn saying(address: &'static str) -> Backend {
    let listener = TcpListener::bind((address, 0)).unwrap();
    Backend::listen(listener, move |peer| {
        peer.write(address);
    })
}

/// Another one on the same port.
fn saying_on(address: &'static str, port: u16) -> Backend {
    let listener = TcpListener::bind((address, port)).unwrap();
    Backend::listen(listener, move |peer| {
        peer.write(address);
    })
}

fn said_by(port: u16) -> String {
    String::from_utf8(Client::to(port).read_to_end().0).unwrap()
}

#[track_caller]
fn expect_server(name: &str, backend: &Backend, address: &str) {
    let gateway = Gateway::start(|port| tcp_config(port, &format!("{name}:{}", backend.port), ""));
    assert_eq!(said_by(gateway.port), address, "through the name {name}");
}

/// A name and an alias of `/etc/hosts`; no name server is asked.
pub fn hosts_file(context: &Context) {
    let backend = saying("127.0.0.3");
    expect_server("from-hosts", &backend, "127.0.0.3");
    expect_server("from-hosts.example", &backend, "127.0.0.3");
    assert_eq!(context.dns.asked("from-hosts.example"), 0);
}

/// A name, another name of it, and one that `search` completes.
pub fn name_server(context: &Context) {
    let backend = saying("127.0.0.5");
    context.dns.set("web.boards.test", [127, 0, 0, 5]);
    context.dns.alias("www.boards.test", "web.boards.test");
    for name in ["web.boards.test", "www.boards.test", "web"] {
        let before = context.dns.asked("web.boards.test") + context.dns.asked("www.boards.test");
        expect_server(name, &backend, "127.0.0.5");
        let asked = context.dns.asked("web.boards.test") + context.dns.asked("www.boards.test") - before;
        assert!(asked > 0, "the name server was asked for {name}");
    }
    // Where log lines go may be a name too, and where to listen.
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log web.boards.test:20514 local0\n{DEFAULTS}listen raw\n mode tcp\n \
             bind web.boards.test:{port}\n server s 127.0.0.5:{}\n",
            backend.port
        )
    });
    let mut client = Client::to_address(("127.0.0.5", gateway.port));
    assert_eq!(client.read_to_end().0, b"127.0.0.5");
}

/// The resolver asks again when it gets no answer, which needs a timer of its own.
pub fn lost_questions(context: &Context) {
    let backend = saying("127.0.0.6");
    context.dns.set("late.boards.test", [127, 0, 0, 6]);
    context.dns.lose("late.boards.test", 2);
    expect_server("late.boards.test", &backend, "127.0.0.6");
    assert!(context.dns.asked("late.boards.test") > 2);
}

/// At a reload names are looked up on another thread.
pub fn moved_at_reload(context: &Context) {
    let old = saying("127.0.0.7");
    let _new = saying_on("127.0.0.8", old.port);
    context.dns.set("moving.boards.test", [127, 0, 0, 7]);
    let gateway = Gateway::start(|port| tcp_config(port, &format!("moving.boards.test:{}", old.port), ""));
    assert_eq!(said_by(gateway.port), "127.0.0.7");
    context.dns.set("moving.boards.test", [127, 0, 0, 8]);
    gateway.signal(Signal::USR2);
    eventually("the new address is used", || said_by(gateway.port) == "127.0.0.8");
}

/// The start fails and names the line and the name.
pub fn unknown(_: &Context) {
    let dir = folder();
    let file = dir.path().join("unknown.cfg");
    std::fs::write(&file, tcp_config(20_001, "nowhere.boards.test:80", "")).unwrap();
    let output = run(&["-db", "-f", file.to_str().unwrap()]);
    let text = written(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("unknown.cfg:") && text.contains("nowhere.boards.test"), "{text}");
}
