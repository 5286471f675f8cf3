//! `mode http`: messages, bodies and connections (RFC 9110, RFC 9112).

use crate::rig::{http_config, http_gateway};
use crate::support::pattern::payload;
use crate::support::peers::{Backend, ok};
use crate::support::process::Gateway;
use crate::support::socket::End;
use crate::support::{eventually, ms, show};

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn both_sides_are_kept_alive() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    for index in 0..10 {
        client.send(format!("GET /{index} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(client.answer().text(), format!("a GET /{index}\n"));
    }
    assert_eq!(backend.accepts(), 1, "ten requests need one server connection");
}

#[test]
fn an_idle_server_connection_serves_the_next_client() {
    let backend = Backend::web("a");
    // HAProxy must be told; a client's first request takes an idle connection only when asked for.
    let haproxy = crate::support::program::Program::subject() == crate::support::program::Program::Haproxy;
    let gateway = http_gateway(&backend, if haproxy { "http-reuse always" } else { "" });
    for _ in 0..5 {
        let mut client = gateway.client();
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    assert!(backend.accepts() < 5, "{} server connections for five clients in turn", backend.accepts());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
    client.send(requests);
    for n in 0..20 {
        assert_eq!(client.answer().text(), format!("a GET /{n}\n"));
    }
}

#[test]
fn pipelined_bodies_end_where_they_end() {
    let backend = Backend::answering(|request| ok(&String::from_utf8_lossy(&request.body)));
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send(
        "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nfirst\
         POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3;x=y\r\nond\r\n0\r\n\r\n\
         POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nthird",
    );
    for expected in ["first", "second", "third"] {
        assert_eq!(client.answer().text(), expected);
    }
}

#[test]
fn a_request_body_is_streamed() {
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let backend = Backend::answering(|request| ok(&String::from_utf8_lossy(&request.body)));
        let gateway = http_gateway(&backend, "");
        let chunked = framing.contains("chunked");
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"));
        client.send(if chunked { "5\r\nearly\r\n" } else { "early" });
        eventually("the first half arrives before the second is sent", || {
            backend.received(0).windows(5).any(|five| five == b"early")
        });
        client.send(if chunked { "5\r\nlater\r\n0\r\n\r\n" } else { "later" });
        assert_eq!(client.answer().text(), "earlylater", "{framing}");
    }
}

#[test]
fn an_answers_body_is_streamed() {
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked", "X-Framing: close"] {
        let chunked = framing.contains("chunked");
        let backend = Backend::start(move |peer| {
            peer.read_head();
            peer.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
            peer.write(if chunked { "5\r\nearly\r\n" } else { "early" });
            // Sent only after the client has seen the first half and says so.
            peer.read_exact(2);
            peer.write(if chunked { "5\r\nlater\r\n0\r\n\r\n" } else { "later" });
        });
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n");
        let mut seen = Vec::new();
        while !seen.windows(5).any(|five| five == b"early") {
            seen.extend(client.read_exact(1));
        }
        client.send("go");
        while !seen.windows(5).any(|five| five == b"later") {
            seen.extend(client.read_exact(1));
        }
    }
}

#[test]
fn large_bodies_both_ways() {
    const LEN: usize = 8 * 1024 * 1024;
    let backend = Backend::answering(|request| {
        assert!(request.body == payload(11, LEN), "{} bytes", request.body.len());
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n").into_bytes();
        answer.extend(payload(12, LEN));
        answer
    });
    let gateway = http_gateway(&backend, "");
    for _ in 0..2 {
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {LEN}\r\n\r\n"));
        client.send(payload(11, LEN));
        assert!(client.answer().body == payload(12, LEN));
    }
}

#[test]
fn chunks_of_every_size_arrive_whole() {
    const LEN: usize = 300_000;
    let backend = Backend::answering(|request| {
        assert!(request.body == payload(13, LEN), "{} bytes", request.body.len());
        chunked(&request.body, &[16_384, 1, 7, 40_000, 3])
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    let body = chunked(&payload(13, LEN), &[1, 2, 1_000, 16_300, 70_000]);
    let body = &body["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".len()..];
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send_pieces(body.chunks(9_001), ms(1));
    assert!(client.answer().body == payload(13, LEN));
}

/// A 200 answer in chunks whose sizes take turns.
fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut rest = body;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(rest.len().min(*size));
        out.extend(format!("{:X}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
        rest = after;
    }
    out.extend(b"0\r\n\r\n");
    out
}

#[test]
fn trailers_pass_both_ways() {
    let backend = Backend::answering(|request| {
        assert_eq!(request.trailers, [("x-sum".to_string(), "request".to_string())]);
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: answer\r\n\r\n".to_vec()
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: request\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!(answer.text(), "hi");
    assert_eq!(answer.trailers, [("x-sum".to_string(), "answer".to_string())]);
}

#[test]
fn answers_without_a_body_end_at_their_head() {
    let backend = Backend::answering(|request| match request.target.as_str() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n".to_vec(),
        "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec(),
        "/head-chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        _ => ok("last"),
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    for (method, target, status) in
        [("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/head", 200), ("HEAD", "/head-chunked", 200)]
    {
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = client.answer_to(method);
        assert_eq!(answer.status, status, "{target}");
        if target == "/head" {
            assert_eq!(answer.header("content-length"), Some("1000"));
        }
    }
    client.send("GET /last HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().text(), "last");
}

#[test]
fn expect_100_continue_waits_for_the_server() {
    let backend = Backend::start(|peer| {
        let head = peer.read_head().unwrap().to_ascii_lowercase();
        assert!(head.contains("expect: 100-continue"), "{head}");
        peer.pause(ms(100));
        peer.write("HTTP/1.1 100 Continue\r\n\r\n");
        let body = peer.read_exact(4).unwrap();
        peer.write(ok(&String::from_utf8_lossy(&body)));
        peer.read_to_end();
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("body");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
}

#[test]
fn expect_100_continue_may_be_refused() {
    let backend = Backend::start(|peer| {
        peer.read_head();
        peer.write("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 417);
}

#[test]
fn interim_answers_pass() {
    let backend = Backend::answering(|_| {
        let mut answer = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n".to_vec();
        answer.extend(ok("final"));
        answer
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send(GET);
    let hints = client.answer();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</s.css>")));
    assert_eq!(client.answer().text(), "final");
}

#[test]
fn a_101_makes_a_tunnel() {
    let backend = Backend::start(|peer| {
        let head = peer.read_head().unwrap().to_ascii_lowercase();
        assert!(head.contains("upgrade: echo"), "{head}");
        assert!(head.contains("connection: upgrade"), "{head}");
        peer.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello");
        crate::support::peers::echo(peer);
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(client.answer().status, 101);
    assert_eq!(client.read_exact(5), b"hello");
    client.send(b"\0\r\n\r\nanything");
    assert_eq!(client.read_exact(13), b"\0\r\n\r\nanything");
    client.finish();
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
}

#[test]
fn a_refused_upgrade_stays_http() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET /u HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    client.send(GET);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn http_1_0_clients() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut plain = gateway.client();
    plain.send("GET /a HTTP/1.0\r\n\r\n");
    assert_eq!(plain.answer().text(), "a GET /a\n");
    assert_eq!(plain.read_to_end(), (Vec::new(), End::Closed));
    let mut kept = gateway.client();
    for _ in 0..3 {
        kept.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let answer = kept.answer();
        assert_eq!(answer.text(), "a GET /a\n");
        let connection = answer.header("connection").unwrap_or_default().to_ascii_lowercase();
        assert!(connection.contains("keep-alive"), "a 1.0 client must be told: {}", answer.head);
    }
}

/// RFC 9112 §7.1: no chunks for a 1.0 client; its body ends with the connection.
#[test]
fn a_chunked_answer_is_unwrapped_for_a_1_0_client() {
    if crate::support::program::only_oneport("HAProxy sends chunks to a 1.0 client") {
        return;
    }
    let backend = Backend::answering(|_| chunked(b"in pieces", &[2]));
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("transfer-encoding"), None, "{}", answer.head);
    assert_eq!(answer.text(), "in pieces");
}

#[test]
fn a_1_0_server() {
    let backend = Backend::start(|peer| {
        peer.read_head();
        peer.write("HTTP/1.0 200 OK\r\n\r\nup to the end");
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.answer().text(), "up to the end");
}

#[test]
fn hop_by_hop_fields_stop_here() {
    let backend = Backend::answering(|request| {
        // RFC 9110 §7.6.1: what Connection names, and Connection's own message, is for us alone.
        assert!(request.values("keep-alive").is_empty(), "{}", request.head);
        assert!(!request.has_token("connection", "keep-alive, x-secret"), "{}", request.head);
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n".to_vec();
        answer.extend(b"Keep-Alive: timeout=5\r\nX-Kept: yes\r\n\r\n");
        answer
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nX-End: 1\r\n\r\n");
    if crate::support::program::only_oneport("HAProxy passes Keep-Alive on") {
        return;
    }
    let answer = client.answer();
    assert_eq!(answer.header("x-kept"), Some("yes"));
    assert_eq!(answer.header("keep-alive"), None, "{}", answer.head);
}

#[test]
fn a_field_that_connection_names_is_removed() {
    if crate::support::program::only_oneport("HAProxy leaves the fields that Connection names") {
        return;
    }
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: x-secret\r\nX-Secret: 1\r\nX-Kept: 2\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let received = String::from_utf8(backend.received(0)).unwrap().to_ascii_lowercase();
    assert!(!received.contains("x-secret: 1"), "{received}");
    assert!(received.contains("x-kept: 2"), "{received}");
}

#[test]
fn a_client_that_says_close_is_closed() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
}

#[test]
fn a_client_that_half_closes_gets_its_answer() {
    let backend = Backend::start(|peer| {
        peer.read_request();
        peer.pause(ms(200));
        peer.write(ok("late"));
        peer.read_to_end();
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send(GET);
    client.finish();
    assert_eq!(client.answer().text(), "late");
}

#[test]
fn an_answer_before_the_body_has_come_is_passed_on() {
    let backend = Backend::start(|peer| {
        peer.read_head();
        peer.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        peer.read_to_end();
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nfirst bytes");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (413, "big"));
}

/// Both sides kept alive; the server closes its idle connection; the next request must not suffer.
#[test]
fn a_server_connection_that_closed_while_idle_is_not_used() {
    let backend = Backend::start(|peer| {
        peer.read_request();
        peer.write(ok("one each"));
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    for _ in 0..5 {
        client.send(GET);
        assert_eq!(client.answer().text(), "one each");
        std::thread::sleep(ms(30));
    }
    assert_eq!(backend.accepts(), 5);
}

#[test]
fn each_request_of_a_connection_is_routed_by_itself() {
    let (a, b) = (Backend::web("a"), Backend::web("b"));
    let gateway = Gateway::start(|port| {
        format!(
            "{}frontend f\n mode http\n bind 127.0.0.1:{port}\n use_backend b if {{ hdr(x-to) b }}\n\
             default_backend a\nbackend a\n mode http\n server s 127.0.0.1:{}\n\
             backend b\n mode http\n server s 127.0.0.1:{}\n",
            crate::rig::DEFAULTS,
            a.port,
            b.port
        )
    });
    let mut client = gateway.client();
    for to in ["a", "b", "b", "a", "b"] {
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nX-To: {to}\r\n\r\n"));
        assert_eq!(client.answer().header("x-backend"), Some(to));
    }
}

#[test]
fn a_request_in_pieces_and_bytewise() {
    let backend = Backend::answering(|request| ok(&format!("{} {}", request.target, request.body.len())));
    let gateway = http_gateway(&backend, "");
    let request =
        "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n";
    for split in 1..request.len() {
        let mut client = gateway.client();
        client.send_pieces([&request[..split], &request[split..]], ms(2));
        assert_eq!(client.answer().text(), "/p 10", "split at {split}");
    }
    let mut client = gateway.client();
    client.send_bytewise(request, ms(1));
    assert_eq!(client.answer().text(), "/p 10");
}

#[test]
fn an_answer_in_pieces_and_bytewise() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n";
    let backend = Backend::start(move |peer| {
        while let Some(request) = peer.read_request() {
            let split: usize = request.target[1..].parse().unwrap();
            if split == 0 {
                for byte in answer.as_bytes() {
                    peer.write([*byte]);
                    peer.pause(ms(1));
                }
            } else {
                peer.write(&answer[..split]);
                peer.pause(ms(2));
                peer.write(&answer[split..]);
            }
        }
    });
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    for split in 0..answer.len() {
        client.send(format!("GET /{split} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(client.answer().text(), "0123456789", "split at {split}");
    }
}

#[test]
fn nothing_is_invented_between_requests() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send(GET);
    client.answer();
    client.expect_silence(ms(300));
    assert_eq!(
        backend.received(0).iter().filter(|byte| **byte == b'G').count(),
        1,
        "{}",
        show(&backend.received(0))
    );
}

#[test]
fn mode_http_over_unix_sockets_on_both_sides() {
    let dir = crate::support::process::folder();
    let (front, back) = (dir.path().join("front.sock"), dir.path().join("back.sock"));
    let _backend = Backend::on_path(&back, crate::support::peers::web("unix"));
    let config = http_config(crate::support::ports::free_port(), 1, "").replace(
        "server s1 127.0.0.1:1",
        &format!("bind unix@{} mode 666\n    server s1 unix@{}", front.display(), back.display()),
    );
    let gateway = crate::support::process::Starter::new().ready_path(&front).start(&config);
    let mut client = crate::support::client::Client::to_path(&front);
    client.send(GET);
    assert_eq!(client.answer().text(), "unix GET /a\n");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&front).unwrap().permissions().mode() & 0o777, 0o666);
    drop(gateway);
}
