//! The built-in single-port preset, a text in the configuration language like any other.

use std::fmt::Write;

/// The preset's text with its four addresses filled in: where to listen (`*:80`), and the web, WebSocket and
/// raw socket servers. A value that needs it is quoted, so that it can never be more than one word.
#[must_use]
pub fn preset(listen: &str, web: &str, ws: &str, socket: &str) -> String {
    let [listen, web, ws, socket] = [listen, web, ws, socket].map(word);
    format!(
        "# oneport: the single-port preset.
# One port for three protocols, told apart by the first bytes of a connection.

defaults
    log /dev/log daemon
    option httplog
    option dontlognull
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    timeout tunnel 1h
    timeout http-request 10s
    timeout http-keep-alive 10s

frontend all
    mode tcp
    bind {listen}

    # Wait this long for enough bytes to decide; who stays silent goes to the web server.
    tcp-request inspect-delay 500ms
    tcp-request content accept if HTTP

    # A WebSocket upgrade.
    acl is_websocket hdr(upgrade) -i websocket
    use_backend ws if is_websocket

    # A raw socket: 8 zero bytes come first.
    acl is_socket payload(0,8) -m bin 0000000000000000
    use_backend socket if !HTTP is_socket

    default_backend web

backend web
    mode http
    option forwardfor
    server web {web}

backend ws
    mode tcp
    server ws {ws}

backend socket
    mode tcp
    server socket {socket}
"
    )
}

/// A value as one word of the language.
fn word(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"*.:,/@[]_+-$={}".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    let mut out = String::from("'");
    for c in value.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            // NUL comes out as `\x00`, which the lexer refuses.
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "'\\x{:02x}'", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Loaded, Mode, Severity, Source, load};

    fn loaded(text: &str) -> Loaded {
        load(&[Source::new("<preset>", text)], &|_| None)
    }

    #[test]
    fn loads_without_a_word_of_complaint() {
        let text = preset("*:80", "127.0.0.1:8100", "127.0.0.1:2200", "127.0.0.1:2100");
        let loaded = loaded(&text);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let Config { frontends, backends, .. } = loaded.config.unwrap();
        assert_eq!(frontends[0].mode, Mode::Tcp);
        assert_eq!(frontends[0].tcp.request_delay_ms, Some(500));
        let names: Vec<&str> = backends.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["web", "ws", "socket"]);
    }

    #[test]
    fn values_stay_one_word() {
        for value in
            ["", "a b", "a'b", "a\"b", "a\nglobal", "a\\", "a#b", "a\0b", "x:1 ssl", "'", "a\rb", "\u{85}"]
        {
            let text = preset(value, "h:1", "h:2", "h:3");
            assert_eq!(text.lines().count(), preset(":1", "h:1", "h:2", "h:3").lines().count(), "{value:?}");
            let loaded = loaded(&text);
            assert!(loaded.config.is_none(), "{value:?}");
            let mut errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error);
            assert!(errors.all(|d| d.place.line == 17), "{value:?}: {:?}", loaded.diagnostics);
        }
        assert!(loaded(&preset("unix@'/tmp/a b'", "h:1", "h:2", "h:3")).config.is_some());
        assert!(loaded(&preset("/tmp/a b", "/x y", "h:2", "h:3")).config.is_some());
    }
}
