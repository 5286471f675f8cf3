//! Request heads.

use super::*;

/// `GET / HTTP/1.1`, a Host, and these lines.
fn with(lines: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: a\r\n", lines, b"\r\n"].concat()
}

fn good(input: &[u8]) -> RequestHead {
    match request(input) {
        Ok(Some(head)) => head,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

#[test]
fn spans_and_length() {
    let text =
        b"\r\nPOST /a?b=c HTTP/1.1\r\nHost: a\r\nX-One:\t one \r\nx-one:\r\nContent-Length: 4\r\n\r\nbody";
    let head = good(text);
    assert_eq!((head.method, head.method_span.of(text)), (Method::Post, &b"POST"[..]));
    assert_eq!(head.target.of(text), b"/a?b=c");
    assert_eq!(head.len, text.len() - 4);
    assert_eq!(head.values(text, "X-ONE").collect::<Vec<_>>(), [&b"one"[..], b""]);
    assert!(head.has(text, "host") && !head.has(text, "hos"));
    assert_eq!(head.framing, Framing::Length(4));
    assert_eq!(Span { start: 70, end: 9_000 }.of(text), b"");
    assert_eq!(Span { start: 9, end: 3 }.of(text), b"");
}

#[test]
fn request_lines() {
    use HeadError as E;
    let cases: &[(&[u8], Option<E>)] = &[
        (b"GET / HTTP/1.1", None),
        (b"get / HTTP/1.1", None),
        (b"M-SEARCH * HTTP/1.1", None),
        (b"OPTIONS * HTTP/1.0", None),
        (b"GET /<>\"{}|\\^` HTTP/1.1", None),
        (b"GET http://a/x HTTP/1.1", None),
        (b"GET HTTPS://a:443/x HTTP/1.1", None),
        (b"GET http://a:80?x HTTP/1.1", None),
        (b"CONNECT a:443 HTTP/1.1", None),
        (b"CONNECT a:443 HTTP/1.0", None),
        (b"G(T / HTTP/1.1", Some(E::Method)),
        (b" GET / HTTP/1.1", Some(E::Method)),
        (b"GET\t/ HTTP/1.1", Some(E::Method)),
        (b"GET", Some(E::Method)),
        (b"A-METHOD-THAT-IS-LONGER-THAN-ANY-REAL-ONE / HTTP/1.1", Some(E::Method)),
        (b"SSH-2.0-OpenSSH_9.2 / HTTP/1.1", Some(E::Method)),
        (b"GET  / HTTP/1.1", Some(E::Target)),
        (b"GET /", Some(E::Target)),
        (b"GET foo HTTP/1.1", Some(E::Target)),
        (b"GET foo:/bar HTTP/1.1", Some(E::Target)),
        (b"GET :// HTTP/1.1", Some(E::Target)),
        (b"GET http:///x HTTP/1.1", Some(E::Target)),
        (b"GET http://u@a/ HTTP/1.1", Some(E::Target)),
        (b"GET /a#b HTTP/1.1", Some(E::Target)),
        (b"GET /\xc3\xa9 HTTP/1.1", Some(E::Target)),
        (b"GET /\0 HTTP/1.1", Some(E::Target)),
        (b"GET /\x7f HTTP/1.1", Some(E::Target)),
        (b"GET /\ta HTTP/1.1", Some(E::Target)),
        (b"GET *x HTTP/1.1", Some(E::Target)),
        (b"CONNECT / HTTP/1.1", Some(E::Target)),
        (b"CONNECT a HTTP/1.1", Some(E::Target)),
        (b"CONNECT a:99999 HTTP/1.1", Some(E::Target)),
        (b"CONNECT :1 HTTP/1.1", Some(E::Target)),
        (b"CONNECT http://a:1/ HTTP/1.1", Some(E::Target)),
        (b"GET / a HTTP/1.1", Some(E::RequestLine)),
        (b"GET /  HTTP/1.1", Some(E::RequestLine)),
        (b"GET / http/1.1", Some(E::RequestLine)),
        (b"GET / HTTP/", Some(E::RequestLine)),
        (b"GET / HTTP/1.1 ", Some(E::LineEnd)),
        (b"GET / HTTP/1.1\r", Some(E::LineEnd)),
        (b"GET / HTTP/1.2", Some(E::Version)),
        (b"GET / HTTP/0.9", Some(E::Version)),
        (b"PRI * HTTP/2.0", Some(E::Version)),
    ];
    for (line, error) in cases {
        let input = [line, &b"\r\n\r\n"[..]].concat();
        assert_eq!(request(&input).map(|head| head.is_some()).err(), *error, "{}", line.escape_ascii());
    }
}

#[test]
fn what_is_no_http_is_refused_at_once() {
    let cases: &[(&[u8], Option<usize>)] = &[
        (b"\0\0\0\0\0\0\0\0hello", Some(1)),
        (b"\x16\x03\x01\x02\x00\x01", Some(1)),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Some(4)),
        (b"\x80abc", Some(1)),
        (b"{\"a\": 1}", Some(1)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(12)),
        (b"EHLO example.org\r\n", Some(17)),
        (b"\r\n\r\n\r\n\r\n\r\nGET", Some(10)),
        (b"\rGET", Some(2)),
        (b"hello world, this is no request", Some(12)),
        (b"GET foo ", Some(8)),
        (b"GET / HTTP/2", Some(12)),
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Some(33)),
        (b"\n\r\n\r\n\r\nGET / HT", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX y", Some(27)),
        (b"GET /", None),
    ];
    for (input, at) in cases {
        assert_eq!(refused_at(input), *at, "{}", input.escape_ascii());
    }
}

#[test]
fn field_lines() {
    use HeadError as E;
    let cases: &[(&[u8], Option<E>)] = &[
        (b"X: \xe9\xff\r\n", None),
        (b"X:\ta\tb\t\r\n", None),
        (b"X:\r\n", None),
        (b"X : a\r\n", Some(E::FieldName)),
        (b"X\t: a\r\n", Some(E::FieldName)),
        (b"X\r\n", Some(E::FieldName)),
        (b": a\r\n", Some(E::FieldName)),
        (b"X: a\r\n b\r\n", Some(E::FieldName)),
        (b"X: a\r\n\tb\r\n", Some(E::FieldName)),
        (b"X\0: a\r\n", Some(E::FieldName)),
        (b"X(: a\r\n", Some(E::FieldName)),
        (b"\xff: a\r\n", Some(E::FieldName)),
        (b"X: a\0b\r\n", Some(E::FieldValue)),
        (b"X: a\x01b\r\n", Some(E::FieldValue)),
        (b"X: a\x7fb\r\n", Some(E::FieldValue)),
        (b"X: a\rb\r\n", Some(E::FieldValue)),
        (b"X: a\r\r\n", Some(E::FieldValue)),
        (b"X: a\r\n\rY: b\r\n", Some(E::LineEnd)),
    ];
    for (lines, error) in cases {
        assert_eq!(request(&with(lines)).map(|_| ()).err(), *error, "{}", lines.escape_ascii());
    }
    // A folded first line, right after the request line.
    assert_eq!(request(b"GET / HTTP/1.1\r\n X: a\r\n\r\n").map(|_| ()), Err(E::FieldName));
}

#[test]
fn content_length() {
    let cases: &[(&[u8], Option<u64>)] = &[
        (b"Content-Length: 5\r\n", Some(5)),
        (b"Content-Length:5\t \r\n", Some(5)),
        (b"Content-Length: 0\r\n", Some(0)),
        (b"Content-Length: 5, 5\r\n", Some(5)),
        (b"Content-Length: 05,\t5\r\n", Some(5)),
        (b"Content-Length: 5\r\ncontent-length: 5\r\n", Some(5)),
        (b"Content-Length: 9223372036854775807\r\n", Some(i64::MAX as u64)),
        (b"Content-Length: 9223372036854775808\r\n", None),
        (b"Content-Length: 18446744073709551621\r\n", None),
        (b"Content-Length: 99999999999999999999999999\r\n", None),
        (b"Content-Length: 5,6\r\n", None),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", None),
        (b"Content-Length: 5, 5\r\nContent-Length: 6\r\n", None),
        (b"Content-Length: +5\r\n", None),
        (b"Content-Length: -5\r\n", None),
        (b"Content-Length: 0x5\r\n", None),
        (b"Content-Length: 5 5\r\n", None),
        (b"Content-Length: 5.0\r\n", None),
        (b"Content-Length: 5a\r\n", None),
        (b"Content-Length: \"5\"\r\n", None),
        (b"Content-Length: 5,\r\n", None),
        (b"Content-Length: ,5\r\n", None),
        (b"Content-Length:\r\n", None),
        (b"Content-Length: 5;a=b\r\n", None),
        (b"Content-Length: \xd9\xa5\r\n", None),
    ];
    for (lines, length) in cases {
        let outcome = request(&with(lines)).map(|head| head.unwrap().framing);
        let expected = length.map(Framing::Length).ok_or(HeadError::ContentLength);
        assert_eq!(outcome, expected, "{}", lines.escape_ascii());
    }
}

#[test]
fn transfer_encoding() {
    use HeadError as E;
    let cases: &[(&[u8], Option<E>)] = &[
        (b"Transfer-Encoding: chunked\r\n", None),
        (b"transfer-encoding:\tCHUNKED \r\n", None),
        (b"Transfer-Encoding: gzip, chunked\r\n", Some(E::TransferCoding)),
        (b"Transfer-Encoding: gzip\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: identity\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: identity, chunked\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunked, identity\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunked, chunked\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunked,\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: ,chunked\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunked;q=1\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: \"chunked\"\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: xchunked\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunked x\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: chunk\xc3\xa9d\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding:\r\n", Some(E::TransferEncoding)),
        (b"Transfer-Encoding: \x0bchunked\r\n", Some(E::FieldValue)),
        (b"Transfer-Encoding: chunked\0\r\n", Some(E::FieldValue)),
        (b"Transfer-Encoding : chunked\r\n", Some(E::FieldName)),
        (b"Transfer-Encoding\r\n : chunked\r\n", Some(E::FieldName)),
        (b"Transfer-Encoding:\r\n chunked\r\n", Some(E::FieldName)),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5, 6\r\n", Some(E::ContentLength)),
    ];
    for (lines, error) in cases {
        let outcome = request(&with(lines)).map(|head| head.unwrap().framing);
        assert_eq!(outcome, error.map_or(Ok(Framing::Chunked), Err), "{}", lines.escape_ascii());
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(request(old).map(|_| ()), Err(E::TransferEncoding));
}

#[test]
fn both_lengths_end_the_connection() {
    for lines in [
        &b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"[..],
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: keep-alive\r\n",
    ] {
        let head = good(&with(lines));
        assert_eq!((head.framing, head.keep_alive), (Framing::Chunked, false));
    }
}

#[test]
fn persistence() {
    let cases: &[(&str, &str, bool)] = &[
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive\r\nconnection: foo, CLOSE\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", true),
        ("1.1", "Proxy-Connection: close\r\n", false),
    ];
    for (version, lines, keep) in cases {
        let input = format!("GET / HTTP/{version}\r\n{lines}\r\n");
        assert_eq!(good(input.as_bytes()).keep_alive, *keep, "{input:?}");
    }
}

#[test]
fn upgrades_and_expectations() {
    let cases: &[(&str, &str, bool)] = &[
        ("1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
        ("1.1", "Connection: keep-alive, upgrade\r\nUPGRADE: WebSocket\r\n", true),
        ("1.1", "Upgrade: websocket\r\n", false),
        ("1.1", "Connection: Upgrade\r\n", false),
        ("1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
        ("1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", false),
        ("1.1", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        ("1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n", false),
    ];
    for (version, lines, upgrade) in cases {
        let input = format!("GET / HTTP/{version}\r\n{lines}\r\n");
        assert_eq!(good(input.as_bytes()).upgrade, *upgrade, "{input:?}");
    }
    assert!(good(&with(b"Expect: 100-Continue\r\n")).expect_continue);
    assert!(!good(&with(b"Expect: something\r\n")).expect_continue);
    assert!(!good(b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expect_continue);
}

#[test]
fn hosts() {
    let cases: &[(&str, &str, bool)] = &[
        ("GET /", "", true), // as HAProxy
        ("GET /", "Host:\r\n", true),
        ("GET /", "Host: a\r\nHost: A\r\n", true),
        ("GET /", "Host: a\r\nHost: b\r\n", false),
        ("GET /", "Host: a\r\nHost:\r\n", false),
        ("GET /", "Host: [::1]:80\r\n", true),
        ("GET /", "Host: a b\r\n", false),
        ("GET /", "Host: a/b\r\n", false),
        ("GET /", "Host: u@a\r\n", false),
        ("GET http://a/", "Host: a\r\n", true),
        ("GET http://a/", "Host: A:80\r\n", true),
        ("GET http://a:80/", "Host: a\r\n", true),
        ("GET http://a:81/", "Host: a\r\n", false),
        ("GET http://a/", "Host: b\r\n", false),
        ("GET https://a/", "Host: a:443\r\n", true),
        ("GET https://a/", "Host: a:80\r\n", false),
        ("GET http://a/", "", true),
        ("CONNECT a:443", "Host: a:443\r\n", true),
        ("CONNECT a:443", "Host: a\r\n", true),
        ("CONNECT a:444", "Host: a\r\n", false),
        ("CONNECT a:443", "Host: b:443\r\n", false),
        ("CONNECT [::1]:443", "Host: [::1]:443\r\n", true),
    ];
    for (start, lines, fine) in cases {
        let input = format!("{start} HTTP/1.1\r\n{lines}\r\n");
        let expected = if *fine { None } else { Some(HeadError::Host) };
        assert_eq!(request(input.as_bytes()).map(|_| ()).err(), expected, "{input:?}");
    }
}

#[test]
fn connect_has_no_body() {
    let connect = |lines: &str| request(format!("CONNECT a:1 HTTP/1.1\r\n{lines}\r\n").as_bytes());
    assert_eq!(connect("").unwrap().unwrap().framing, Framing::None);
    assert_eq!(connect("Content-Length: 1\r\n").map(|_| ()), Err(HeadError::ContentLength));
    assert_eq!(connect("Transfer-Encoding: chunked\r\n").map(|_| ()), Err(HeadError::TransferEncoding));
}

#[test]
fn line_ends() {
    assert!(!good(b"GET / HTTP/1.1\r\nA: b\r\n\r\n").bare_lf);
    for input in [
        &b"GET / HTTP/1.1\nA: b\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nA: b\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n\n",
        b"\nGET / HTTP/1.1\r\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\n\n",
    ] {
        assert!(good(input).bare_lf, "{}", input.escape_ascii());
    }
}

#[test]
fn limits() {
    let fields =
        |count: usize| [b"GET / HTTP/1.1\r\n".as_slice(), &b"A: b\r\n".repeat(count), b"\r\n"].concat();
    assert_eq!(good(&fields(MAX_FIELDS)).fields.len(), MAX_FIELDS);
    let error = request(&fields(MAX_FIELDS + 1)).map(|_| ()).unwrap_err();
    assert_eq!((error, error.status()), (HeadError::TooManyFields, 431));
    let long = |len: usize| [b"GET /".as_slice(), &b"a".repeat(len), b" HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(parse_request(&long(65_535 - 18)).unwrap().unwrap().len, 65_535);
    assert_eq!(parse_request(&long(65_535 - 17)).map(|_| ()), Err(HeadError::TooLong));
    let listed = with(format!("Connection: {}\r\n", ",".repeat(64)).as_bytes());
    assert_eq!(request(&listed).map(|_| ()), Err(HeadError::ConnectionOptions));
}
