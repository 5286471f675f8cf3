//! Framing that could be read in two ways is never passed on (RFC 9112 §3, §5, §6, §7; issue "HTTP").

use crate::rig::http_gateway;
use crate::support::peers::{Backend, ok};
use crate::support::program::only_oneport;
use crate::support::socket::End;
use crate::support::{ms, show};

/// Requests whose end, length or fields two readers could understand differently.
const AMBIGUOUS: &[(&str, &str)] = &[
    ("two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    ("a list of two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 4\r\n\r\nabcd"),
    ("a signed length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc"),
    ("a negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\nabc"),
    ("a length in hexadecimal", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc"),
    ("an empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n"),
    ("a length with words", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3 4\r\n\r\nabc"),
    (
        "a length over 64 bits",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    ),
    ("a bare CR in the head", "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rX-B: b\r\n\r\n"),
    ("a bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("a space before the colon", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc"),
    ("a tab before the colon", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
    ("a space before the first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    ("a NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n"),
    ("a NUL in a name", "GET / HTTP/1.1\r\nHost: h\r\nX\0A: b\r\n\r\n"),
    ("a NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("a field without a colon", "GET / HTTP/1.1\r\nHost: h\r\nX-A\r\n\r\n"),
    ("an empty name", "GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n"),
    ("a coding that is not chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\nabc"),
    ("chunked not last", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("chunked twice", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    (
        "a control in the coding",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    ("no version", "GET /\r\nHost: h\r\n\r\n"),
    ("an unknown version", "GET / HTTP/3.7\r\nHost: h\r\n\r\n"),
    ("a name of spaces", "GET / HTTP/1.1\r\nHost: h\r\nX A: b\r\n\r\n"),
];

/// Chunked bodies that break off being chunked; the head may have gone on already.
const BAD_CHUNKS: &[(&str, &str)] = &[
    ("a size that is no number", "x\r\nabc\r\n0\r\n\r\n"),
    ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
    ("a size with a prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
    ("an empty size", "\r\nabc\r\n0\r\n\r\n"),
    ("a size over 64 bits", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("no line end after the data", "3\r\nabcd\r\n0\r\n\r\n"),
    ("a bare CR after the size", "3\rabc\r\n0\r\n\r\n"),
];

#[test]
fn an_ambiguous_head_is_a_400_and_reaches_nobody() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut wrong = Vec::new();
    for (what, request) in AMBIGUOUS {
        let mut client = gateway.client();
        client.send(request);
        match client.try_answer_to("GET") {
            Ok(answer) if answer.status == 400 => {}
            Ok(answer) => wrong.push(format!("{what}: {}", answer.status)),
            Err(problem) => wrong.push(format!("{what}: {problem}")),
        }
        if client.read_until_quiet(ms(1_000)).1 == End::Open {
            wrong.push(format!("{what}: the connection stays open after the 400"));
        }
    }
    let haproxy_takes = ["a NUL in a value", "an unknown version"];
    if crate::support::program::Program::subject() == crate::support::program::Program::Haproxy {
        wrong.retain(|line| !haproxy_takes.iter().any(|known| line.starts_with(known)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_of_an_ambiguous_request_reaches_the_backend() {
    if only_oneport("HAProxy lets some of them pass") {
        return;
    }
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    for (_, request) in AMBIGUOUS {
        let mut client = gateway.client();
        client.send(request);
        client.read_to_end();
    }
    assert_eq!(show(&backend.received_all()), show(b""));
}

#[test]
fn the_same_bytewise() {
    if only_oneport("HAProxy lets some of them pass") {
        return;
    }
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    for (what, request) in AMBIGUOUS {
        let mut client = gateway.client();
        client.send_bytewise(request, std::time::Duration::from_micros(200));
        let (bytes, _) = client.read_to_end();
        assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400 "), "{what}: {}", show(&bytes));
    }
    assert_eq!(show(&backend.received_all()), show(b""));
}

#[test]
fn obs_fold_is_a_400() {
    if only_oneport("HAProxy unfolds") {
        return;
    }
    for fold in [" folded", "\tfolded"] {
        let backend = Backend::web("a");
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\r\n{fold}\r\n\r\n"));
        assert_eq!(client.answer().status, 400);
        assert_eq!(backend.accepts(), 0);
    }
}

#[test]
fn transfer_encoding_in_http_1_0_is_a_400() {
    if only_oneport("HAProxy 2.6 takes it and closes") {
        return;
    }
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    assert_eq!(client.read_to_end().1, End::Closed);
    assert_eq!(backend.accepts(), 0);
}

#[test]
fn equal_lengths_are_one_length() {
    for lengths in ["Content-Length: 3\r\nContent-Length: 3", "Content-Length: 3, 3"] {
        let backend = Backend::answering(|request| {
            assert_eq!(request.values("content-length"), ["3"], "{}", request.head);
            ok(&String::from_utf8_lossy(&request.body))
        });
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{lengths}\r\n\r\nabc"));
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "abc"), "{lengths}");
    }
}

/// RFC 9112 §6.1, §6.3: Transfer-Encoding wins, Content-Length goes, the connection closes after the answer.
#[test]
fn a_length_beside_a_transfer_encoding() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 500000",
    ] {
        let backend = Backend::answering(|request| {
            assert!(request.values("content-length").is_empty(), "{}", request.head);
            assert!(request.has_token("transfer-encoding", "chunked"), "{}", request.head);
            ok(&String::from_utf8_lossy(&request.body))
        });
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        ));
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "abc"), "{fields}");
        let (rest, end) = client.read_to_end();
        assert_eq!(show(&rest), show(b""), "{fields}");
        assert_ne!(end, End::Open);
        assert!(!show(&backend.received_all()).contains("smuggled"));
    }
}

/// The body is looked at as it passes: what is wrong in it never reaches the backend, and no second request
/// is made of what follows.
#[test]
fn a_bad_chunk_ends_the_connection() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    for (what, body) in BAD_CHUNKS {
        let mut client = gateway.client();
        client.send(format!(
            "POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /smuggled HTTP/1.1\r\n\r\n"
        ));
        let (bytes, end) = client.read_to_end();
        assert!(bytes.starts_with(b"HTTP/1.1 400 "), "{what}: {}", show(&bytes));
        assert_ne!(end, End::Open, "{what}");
    }
    assert!(!show(&backend.received_all()).contains("smuggled"));
}

#[test]
fn a_bare_lf_is_never_a_second_reading() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\nHost: h\n\n");
    let answer = client.answer();
    // RFC 9112 §2.2 lets a recipient take a bare LF as a line end; what it passes on must then be CRLF.
    assert!(answer.status == 200 || answer.status == 400, "{}", answer.head);
    let received = backend.received_all();
    let bare = received
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'\n' && (at == 0 || received[at - 1] != b'\r'));
    assert!(!bare, "{}", show(&received));
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let backend = Backend::web("a");
    let gateway = http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    client.send("\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().text(), "a GET /b\n");
}

/// Answers that two clients could understand differently are a 502, and the client's connection tells.
#[test]
fn an_ambiguous_answer_is_a_502() {
    for (what, answer) in [
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabcd"),
        ("no HTTP", "220 smtp ready\r\n\r\n"),
        ("a NUL in a value", "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"),
        ("a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc"),
        ("no status", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
        ("a field without a colon", "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n"),
    ] {
        if what.contains("NUL") && only_oneport("HAProxy passes a NUL on") {
            continue;
        }
        let backend = Backend::answering(move |_| answer.as_bytes().to_vec());
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().status, 502, "{what}");
    }
}
