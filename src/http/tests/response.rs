//! Answer heads.

use super::*;

fn to(method: Method) -> RequestFacts {
    RequestFacts { method, ..GET }
}

#[test]
fn spans_and_length() {
    let text = b"HTTP/1.1 200 All r\xe9ght\r\nA: b\r\nContent-Length: 2\r\n\r\nok";
    let head = response(text, GET).unwrap().unwrap();
    assert_eq!((head.status, head.reason.of(text)), (200, &b"All r\xe9ght"[..]));
    assert_eq!((head.len, head.framing), (text.len() - 2, Framing::Length(2)));
    assert!(head.has(text, "a"));
    for (line, reason) in [("HTTP/1.1 200\r\n", ""), ("HTTP/1.1 200 \r\n", ""), ("HTTP/1.0 404 No\n", "No")] {
        let text = format!("{line}\r\n");
        let head = response(text.as_bytes(), GET).unwrap().unwrap();
        assert_eq!(head.reason.of(text.as_bytes()), reason.as_bytes());
    }
}

#[test]
fn framing() {
    use Framing as F;
    use Method::*;
    let cases: &[(Method, &str, &str, F, bool)] = &[
        (Get, "200", "", F::UntilClose, false),
        (Get, "200", "Content-Length: 5\r\n", F::Length(5), true),
        (Get, "200", "Content-Length: 5, 5\r\n", F::Length(5), true),
        (Get, "200", "Content-Length: 0\r\n", F::Length(0), true),
        (Get, "200", "Transfer-Encoding: chunked\r\n", F::Chunked, true),
        (Get, "200", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", F::Chunked, false),
        (Get, "200", "Content-Length: 5\r\nConnection: close\r\n", F::Length(5), false),
        (Head, "200", "", F::None, true),
        (Head, "200", "Content-Length: 5\r\n", F::None, true),
        (Head, "200", "Transfer-Encoding: chunked\r\n", F::None, true),
        (Get, "304", "Content-Length: 5\r\n", F::None, true),
        (Get, "204", "Content-Length: 5\r\n", F::None, true),
        (Get, "204", "Transfer-Encoding: chunked\r\n", F::None, true),
        (Get, "100", "Content-Length: 5\r\n", F::None, true),
        (Get, "103", "", F::None, true),
        (Get, "101", "", F::UntilClose, false),
        (Connect, "200", "Content-Length: 5\r\n", F::UntilClose, false),
        (Connect, "204", "", F::UntilClose, false),
        (Connect, "407", "Content-Length: 5\r\n", F::Length(5), true),
        (Connect, "407", "", F::UntilClose, false),
    ];
    for (method, status, lines, framing, keep_alive) in cases {
        let text = format!("HTTP/1.1 {status} Reason\r\n{lines}\r\n");
        let head = response(text.as_bytes(), to(*method)).unwrap().unwrap();
        assert_eq!((head.framing, head.keep_alive), (*framing, *keep_alive), "{method:?} {text:?}");
    }
}

#[test]
fn tunnels_and_interim_answers() {
    let head = |status: &str, method| {
        response(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes(), to(method)).unwrap().unwrap()
    };
    assert!(head("101", Method::Get).tunnel && !head("101", Method::Get).is_interim());
    assert!(head("100", Method::Get).is_interim() && !head("100", Method::Get).tunnel);
    assert!(head("200", Method::Connect).tunnel && !head("200", Method::Get).tunnel);
    assert!(!head("403", Method::Connect).tunnel);
}

#[test]
fn bad_answers() {
    use HeadError as E;
    let cases: &[(&[u8], E)] = &[
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", E::StatusLine),
        (b"ICY 200 OK\r\n\r\n", E::StatusLine),
        (b"SSH-2.0", E::StatusLine),
        (b"HTTP/2 200\r\n\r\n", E::StatusLine),
        (b"HTTP/1.1 20 OK\r\n\r\n", E::StatusLine),
        (b"HTTP/1.1 099 OK\r\n\r\n", E::StatusLine),
        (b"HTTP/1.1 2000 OK\r\n\r\n", E::StatusLine),
        (b"HTTP/1.1  200 OK\r\n\r\n", E::StatusLine),
        (b"HTTP/1.1 200 O\x01K\r\n\r\n", E::StatusLine),
        (b"HTTP/1.1 200 O\rK\r\n\r\n", E::StatusLine),
        (b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", E::FieldValue),
        (b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", E::FieldValue),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", E::FieldName),
        (b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", E::FieldName),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", E::ContentLength),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", E::ContentLength),
        (b"HTTP/1.1 204 OK\r\nContent-Length: 5, 6\r\n\r\n", E::ContentLength),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", E::TransferEncoding),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", E::TransferCoding),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", E::TransferEncoding),
    ];
    for (input, error) in cases {
        assert_eq!(response(input, GET).map(|_| ()), Err(*error), "{}", input.escape_ascii());
    }
}
