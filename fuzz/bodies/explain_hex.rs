//! Any text behind `explain --hex` is bytes or a mistake, and any bytes are explained in printable text.

use std::net::SocketAddr;

use oneport::config::{Config, Source, load, preset};
use oneport::explain::{Connection, Texts, from_hex, trace};

const MORE: &str = "
defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
frontend more
    bind :81
    http-request set-header X-A %[path,url_dec] if { path_beg /a }
    http-request deny deny_status 429 if { hdr(x) -m sub deny }
    http-request tarpit if { payload(0,4) -m bin 47455420 } { hdr_cnt(x) gt 2 }
    redirect prefix / if { query -m found } !{ method POST }
    reqideny ^x-[a-z]+:
    use_backend other if { url_param(b) -m len 3 }
    default_backend other
backend other
    http-request return status 204 if { req.body_size gt 4 }
    http-response del-header Server
    server s 127.0.0.1:1
";

thread_local! {
    static CONFIG: (Config, [Source; 1]) = {
        let sources = [Source::new("fuzz.cfg", preset("*:80", "h:1", "h:2", "h:3") + MORE)];
        let loaded = load(&sources, &|_| None);
        (loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)), sources)
    };
}

/// Checks one input: the digits of a command line; as they are, where they are none.
pub fn check(data: &[u8]) {
    let digits = String::from_utf8_lossy(data);
    let bytes = match from_hex(&digits) {
        Ok(bytes) => {
            let again: String = bytes.iter().map(|byte| format!("{byte:02X} ")).collect();
            assert_eq!(from_hex(&again).as_ref(), Ok(&bytes));
            bytes
        }
        Err(message) => {
            assert!(message.contains("--hex"), "{message}");
            data.to_vec()
        }
    };
    let from = SocketAddr::from(([192, 0, 2, 1], 40_000));
    CONFIG.with(|(config, sources)| {
        for frontend in 0..config.frontends.len() {
            for is_final in [false, true] {
                let connection = Connection { bytes: &bytes, is_final, from, wall_ms: 0 };
                let told = trace(config, &Texts(sources), frontend, &connection);
                assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
                // A verdict, always.
                assert!(told.contains("=> "), "{told}");
            }
        }
    });
}
