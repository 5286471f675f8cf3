use super::*;
use std::net::SocketAddr;

fn told(text: &str, bytes: Option<&[u8]>, is_final: bool) -> String {
    let sources = [Source::new("t.cfg", text)];
    let loaded = config::load(&sources, &|_| None);
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let from = SocketAddr::from(([192, 0, 2, 1], 40_000));
    match bytes {
        None => table(&config, &Texts(&sources), None),
        Some(bytes) => trace(&config, &Texts(&sources), 0, &Connection { bytes, is_final, from, wall_ms: 0 }),
    }
}

fn preset() -> String {
    config::preset("*:80", "127.0.0.1:8100", "127.0.0.1:2200", "127.0.0.1:2100")
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no `{part}` (after what came before it) in:\n{text}")
        };
        rest = after;
    }
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: upgrade\r\n\r\n";

#[test]
fn a_monitor_goes_nowhere() {
    for (net, answer) in
        [("192.0.2.0/24", "=> the client is of a monitor-net: answered 200"), ("192.0.3.0/24", "backend b")]
    {
        let text = format!(
            "frontend f\n mode http\n bind :80\n monitor-net {net}\n default_backend b\n\
             backend b\n mode http\n server s 127.0.0.1:1\n"
        );
        has(&told(&text, Some(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), true), &[answer]);
    }
}

const SNIFFING: &str = "frontend f\n mode tcp\n bind :80\n tcp-request inspect-delay 1s\n monitor-uri /alive\n \
     http-request deny if { path /no }\n use_backend w if { hdr(upgrade) -m found }\n default_backend b\n\
     backend b\n mode http\n server s 127.0.0.1:1\nbackend w\n mode tcp\n server t 127.0.0.1:2\n";

#[test]
fn rules_for_http_of_a_sniffing_frontend_are_told() {
    for (path, upgrade, last) in [
        ("/no", "", "=> the answer is 403"),
        ("/no", "Upgrade: x\r\n", "=> the answer is 403"),
        ("/yes", "", "=> server s at"),
        ("/yes", "Upgrade: x\r\n", "=> server t at"),
        ("/alive", "", "=> the request is for monitor-uri /alive: the answer is 200"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n");
        has(&told(SNIFFING, Some(request.as_bytes()), false), &[last]);
    }
}

#[test]
fn rules_of_a_listen_section_are_told_once() {
    let text = "listen l\n mode http\n bind :80\n monitor-uri /alive\n http-request set-header A b\n \
                http-response del-header C\n server s 127.0.0.1:1\n";
    let told = |path| told(text, Some(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()), false);
    let all = told("/");
    for line in ["http-request set-header A b", "http-response del-header C"] {
        assert_eq!(all.matches(line).count(), 1, "{all}");
    }
    has(&told("/alive"), &["=> the request is for monitor-uri /alive: the answer is 200"]);
}

#[test]
fn the_table_says_who_goes_where() {
    has(
        &told(&preset(), None, false),
        &[
            "frontend all (t.cfg:",
            "listens on *:80",
            "is_websocket means: hdr(upgrade) is \"websocket\" (in upper or lower case)",
            "waits at most 500 ms",
            "goes on to the choice of a backend if HTTP",
            "goes to backend ws if is_websocket",
            "use_backend ws if is_websocket",
            "goes to backend socket if not HTTP and is_socket",
            "what is left goes to backend web",
            "backend web (t.cfg:",
            "server web at 127.0.0.1:8100, weight 1",
        ],
    );
}

#[test]
fn a_web_socket_step_by_step() {
    has(
        &told(&preset(), Some(UPGRADE), false),
        &[
            "client 192.0.2.1:40000, 73 bytes so far",
            "tcp-request content accept if HTTP\n    HTTP: req.proto_http is true? it is true: yes\n  holds",
            "use_backend ws if is_websocket",
            "it is \"h2c\", \"WebSocket\": yes\n  holds: backend ws",
            "decided with the first 73 bytes",
            "=> backend ws (t.cfg:",
            "=> server ws at 127.0.0.1:2200",
            "the only usable server",
        ],
    );
}

#[test]
fn bytes_that_do_not_decide_yet() {
    has(
        &told(&preset(), Some(&UPGRADE[..20]), false),
        &[
            "not there yet: not yet with 20 bytes",
            "not yet decided with 20 bytes",
            "within 500 ms",
            "no use_backend holds: the default backend web",
            "=> backend web",
            "the rest of the request's head is waited for",
        ],
    );
    has(&told(&preset(), Some(&[0; 12]), false), &["decided with the first 8 bytes", "=> backend socket"]);
    let silent = told(&preset(), Some(b""), true);
    assert!(!silent.contains("not yet"), "{silent}");
}

#[test]
fn what_is_no_request_is_said() {
    has(
        &told(&preset(), Some(b"\x16\x03\x01\0\0\0\0\0"), false),
        &["=> backend web", "the answer is 400: bad method"],
    );
}

const BASE: &str = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

#[test]
fn rejects_servers_and_control_characters() {
    let text = format!(
        "{BASE}frontend f\n bind :1\n tcp-request inspect-delay 1s\n \
         tcp-request content reject if {{ src 192.0.2.0/24 }}\n default_backend b\nbackend b\n"
    );
    has(&told(&text, Some(b"x"), false), &["src is in 192.0.2.0/24? it is 192.0.2.1: yes", "is closed"]);
    let text = format!(
        "{BASE}frontend f\n bind :1\n mode http\n default_backend b\nbackend b\n mode http\n \
         server a 127.0.0.1:1 weight 0\n server b 127.0.0.1:2 weight 2\n server c 127.0.0.1:3 weight 9 backup\n \
         server d 127.0.0.1:4 weight 5\n"
    );
    let request = b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n";
    let plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    has(&told(&text, Some(plain), false), &["=> server d", "follow by weight"]);
    let odd = told(&text, Some(request), false);
    assert!(!odd.contains(|c: char| c.is_control() && c != '\n'), "{odd}");
    let without = text.replace("server b", "server b 127.0.0.1:2 disabled\n #").replace("server d", "#");
    has(&told(&without, Some(plain), false), &["=> server c", "the first backup"]);
}

#[test]
fn rules_before_the_first_byte_and_for_each_request() {
    let text = format!(
        "{BASE}frontend f\n bind :1\n mode http\n tcp-request connection reject if {{ src 198.51.100.1 }}\n \
         tcp-request session set-var(sess.a) src\n tcp-request content silent-drop if {{ path /no }}\n \
         default_backend b\nbackend b\n mode http\n server s 127.0.0.1:1\n"
    );
    has(
        &told(&text, Some(b"GET /no HTTP/1.1\r\nHost: a\r\n\r\n"), false),
        &[
            "tcp-request connection reject",
            "does not hold",
            "tcp-request session set-var(sess.a) src\n  holds: on to the next rule",
            "the request's head is read first",
            "holds: drop without a word",
            "=> the connection is closed",
        ],
    );
    let other = told(&text, Some(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), false);
    has(&other, &["=> server s"]);
    let refused = told(&text.replace("198.51.100.1", "192.0.2.0/24"), Some(b""), false);
    assert!(refused.ends_with("=> the connection is closed\n") && !refused.contains("session"), "{refused}");
}

/// The same words as the engine, whatever the bytes are: nothing in here may break.
#[test]
fn any_bytes_and_any_cut() {
    let text = preset();
    for bytes in
        [UPGRADE, b"\0\0\0\0\0\0\0\0", b"\xff\xfe\r\n\x1b[31m", b"POST / HTTP/1.1\r\nHost: \x1b\r\n\r\n"]
    {
        for len in 0..=bytes.len() {
            for is_final in [false, true] {
                let told = told(&text, Some(&bytes[..len]), is_final);
                assert!(told.contains("=> "), "{told}");
                assert!(!told.contains('\x1b'), "{told}");
            }
        }
    }
}

const RULES: &str = "\
defaults
 mode http
 timeout connect 5s
 timeout client 50s
 timeout server 50s
frontend one
 bind :1
 acl is_old path_beg /old
 acl is_admin path_beg /admin
 block if { path /blocked }
 http-request set-header X-Seen yes if { path /seen }
 http-request allow if { path /early }
 http-request deny if is_admin
 redirect location /new if is_old
 http-response del-header Server
 reqideny ^x-bad:
 default_backend b
backend b
 http-request set-path /x if { be_name b } { path /last }
 http-request return status 204 if { path /last }
 http-response set-status 503 if { status 500 }
 server s 127.0.0.1:2
";

#[test]
fn rules_for_http_step_by_step() {
    let get = |path: &str| {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        told(RULES, Some(bytes.as_bytes()), true)
    };
    has(&get("/blocked"), &["block if", "holds: the answer is 403", "=> the answer is 403"]);
    has(
        &get("/a HTTP/1.1\r\nX-Bad: 1\r\nX-Rest:"),
        &["reqideny", "where a line matches", "=> the answer is 403"],
    );
    has(&get("/a"), &["reqideny", "but no line matches", "=> server s"]);
    has(&get("/admin"), &["http-request deny", "it is \"/admin\": yes", "=> the answer is 403"]);
    has(&get("/old/a"), &["http-request deny", "does not hold", "redirect", "=> the answer is 302"]);
    // `allow` ends the rules before `redirect`, not those of the backend.
    let early = get("/early");
    has(&early, &["holds: no further rules of this kind", "=> backend b", "set-path", "=> server s"]);
    assert!(!early.contains("http-request deny"), "{early}");
    has(
        &get("/seen"),
        &["holds: sets the header X-Seen", "note: ", "=> server s", "set-status", "del-header"],
    );
    has(&get("/last"), &["be_name is \"b\"? it is \"b\": yes", "changes the path", "=> the answer is 204"]);
    assert!(!get("/last").contains("server s"));
}

#[test]
fn the_table_has_rules_for_http() {
    has(
        &told(RULES, None, false),
        &[
            "is_old means: path_beg begins with \"/old\"",
            "the answer is 403 if { path /blocked }",
            "sets the header X-Seen if",
            "no further rules of this kind if",
            "the answer is 302 if is_old",
            "what is left goes to backend b",
            "to answers:\n  removes headers always",
            "backend b",
            "changes the path if",
            "server s",
            "to answers:\n  changes the status if",
        ],
    );
}

#[test]
fn what_keeps_clients_with_their_server_is_told() {
    let text = "frontend f\n mode http\n bind :80\n default_backend b\nbackend b\n mode http\n acl old path_beg /old\n \
                cookie SRV insert\n stick-table type ip size 1k\n stick on src if !old\n use-server two if { path /two }\n \
                ignore-persist if old\n server one 127.0.0.1:1 cookie c1 weight 9\n server two 127.0.0.1:2 cookie c2\n \
                server three 127.0.0.1:3 cookie c3 disabled\n";
    has(
        &told(text, None, true),
        &[
            "old means: path_beg begins with",
            "the server asked for does not count if old",
            "goes to server two, if it is up, if { path /two }",
            "the cookie `SRV` leads to the server that it means",
            "src is looked for in stick-table b if not old",
        ],
    );
    for (path, cookie, last) in [
        ("/", "", "=> server one at 127.0.0.1:1, weight 9\n   the first turn after a start"),
        ("/", "SRV=c1; x=y", "=> server one at 127.0.0.1:1, weight 9\n   its cookie asks for it"),
        ("/", "x=y; SRV=c2|aaaaa", "=> server two at 127.0.0.1:2, weight 1\n   its cookie asks for it"),
        ("/", "SRV=c3", "=> server one at 127.0.0.1:1, weight 9\n   the first turn"),
        ("/old", "SRV=c2", "=> server one at 127.0.0.1:1, weight 9\n   the first turn"),
        ("/two", "SRV=c1", "=> server two at 127.0.0.1:2, weight 1\n   by `use-server`"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
        has(&told(text, Some(request.as_bytes()), true), &[last]);
    }
}
