//! Heads as they go on.

use super::*;

const EDITS: RequestEdits<'_> =
    RequestEdits { after: After::KeepAlive, add_fields: &[], forward_for: None, proxy_header: false };

fn forwarded(input: &str, edits: &RequestEdits<'_>) -> String {
    let head = request(input.as_bytes()).unwrap().unwrap();
    let mut out = [0; 2_048];
    let len = write_request(&head, input.as_bytes(), edits, &mut out).unwrap();
    for short in 0..len {
        assert_eq!(write_request(&head, input.as_bytes(), edits, &mut out[..short]), Err(TooLong));
    }
    let written = &out[..len];
    let again = request(written).unwrap().expect("what is written can be read");
    assert_eq!((again.len, again.framing, again.upgrade), (len, head.framing, head.upgrade));
    assert!(!again.bare_lf);
    String::from_utf8_lossy(written).into_owned()
}

fn answered(input: &str, edits: &ResponseEdits<'_>, method: Method) -> String {
    let to = RequestFacts { method, ..GET };
    let head = response(input.as_bytes(), to).unwrap().unwrap();
    let mut out = [0; 2_048];
    let len = write_response(&head, input.as_bytes(), edits, &mut out).unwrap();
    for short in 0..len {
        assert_eq!(write_response(&head, input.as_bytes(), edits, &mut out[..short]), Err(TooLong));
    }
    String::from_utf8_lossy(&out[..len]).into_owned()
}

#[test]
fn requests() {
    let cases: &[(&str, &str)] = &[
        // Nothing to change: byte for byte, odd white space included.
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\t y \r\n", "GET / HTTP/1.1\r\nHost: a\r\nX:\t y \r\n"),
        ("\r\nGET / HTTP/1.1\r\nhOST: a\r\n", "GET / HTTP/1.1\r\nhOST: a\r\n"),
        ("GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n"),
        // Hop-by-hop fields at the front, in the middle, at the end.
        ("GET / HTTP/1.1\r\nConnection: keep-alive\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"),
        ("GET / HTTP/1.1\r\nA: b\r\nKeep-Alive: 5\r\nHost: a\r\n", "GET / HTTP/1.1\r\nA: b\r\nHost: a\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"),
        (
            "GET / HTTP/1.1\r\nConnection: x-foo, close\r\nX-Foo: 1\r\nX-Foo-2: 2\r\n",
            "GET / HTTP/1.1\r\nX-Foo-2: 2\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nX-A: 1\r\nConnection: x-b\r\nConnection: ,x-a\r\nX-B: 2\r\n",
            "GET / HTTP/1.1\r\n",
        ),
        // What Connection cannot remove.
        (
            "GET / HTTP/1.1\r\nConnection: host, cookie, authorization, x-forwarded-for, x-forwarded-proto\r\n\
             Host: a\r\nCookie: c\r\nAuthorization: d\r\nX-Forwarded-For: e\r\nX-Forwarded-Proto: f\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: c\r\nAuthorization: d\r\nX-Forwarded-For: e\r\nX-Forwarded-Proto: f\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nConnection: content-length, expect\r\nContent-Length: 5\r\nExpect: 100-continue\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
        ),
        // Framing said twice is said once.
        (
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\nA: b\r\n",
            "POST / HTTP/1.1\r\nA: b\r\nContent-Length: 5\r\n",
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 0120\r\n", "POST / HTTP/1.1\r\nContent-Length: 120\r\n"),
        ("POST / HTTP/1.1\r\nContent-Length: 00\r\n", "POST / HTTP/1.1\r\nContent-Length: 0\r\n"),
        (
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\nB: c\r\n", "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n"),
        // TE.
        ("GET / HTTP/1.1\r\nTE: gzip\r\n", "GET / HTTP/1.1\r\n"),
        (
            "GET / HTTP/1.1\r\nConnection: TE, close\r\nTE: gzip, Trailers\r\nA: b\r\n",
            "GET / HTTP/1.1\r\nA: b\r\nTE: trailers\r\nConnection: TE\r\n",
        ),
        // Upgrades.
        (
            "GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nA: b\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nA: b\r\nConnection: Upgrade\r\n",
        ),
        ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n", "GET / HTTP/1.1\r\n"),
        (
            "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
            "GET / HTTP/1.1\r\n",
        ),
        // HTTP/1.0 stays; persistence must be said.
        ("GET / HTTP/1.0\r\nA: b\r\n", "GET / HTTP/1.0\r\nA: b\r\nConnection: keep-alive\r\n"),
        // Line ends.
        ("GET / HTTP/1.1\nHost: a\r\nX:\t y \nConnection: close\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n"),
    ];
    for (input, expected) in cases {
        for end in ["\r\n", "\n"] {
            let output = forwarded(&format!("{input}{end}"), &EDITS);
            let expected =
                if end == "\n" { expected.replace(":\t y \r", ": y\r") } else { expected.to_string() };
            assert_eq!(output, format!("{expected}\r\n"), "{input:?}");
        }
    }
}

#[test]
fn request_edits() {
    let add_fields: &[(&str, &[u8])] = &[("X-Forwarded-For", b"192.0.2.1"), ("X-B", b"c")];
    let edits =
        RequestEdits { forward_for: Some("X-Client"), add_fields, after: After::Close, proxy_header: false };
    assert_eq!(
        forwarded(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-client\r\nX-Client: 1\r\nTE: trailers\r\n\r\n",
            &edits
        ),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Client: 1\r\nX-Forwarded-For: 192.0.2.1\r\nX-B: c\r\n\
         TE: trailers\r\nConnection: TE, close\r\n\r\n"
    );
    assert_eq!(
        forwarded("GET / HTTP/1.0\r\n\r\n", &edits),
        "GET / HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\nX-B: c\r\n\r\n"
    );
}

#[test]
fn responses() {
    use After::{Close, KeepAlive};
    use Version::{Http10, Http11};
    let ok = "HTTP/1.1 200 OK\r\n";
    let cases: &[(Version, After, &str, &str)] = &[
        (Http11, KeepAlive, "Content-Length: 2\r\nConnection: close\r\n", "Content-Length: 2\r\n"),
        (
            Http11,
            Close,
            "Content-Length: 2\r\nA: b\r\n",
            "Content-Length: 2\r\nA: b\r\nConnection: close\r\n",
        ),
        (Http10, KeepAlive, "Content-Length: 2\r\n", "Content-Length: 2\r\nConnection: keep-alive\r\n"),
        (Http10, Close, "Content-Length: 2\r\n", "Content-Length: 2\r\nConnection: close\r\n"),
        (Http11, KeepAlive, "A: b\r\n", "A: b\r\nConnection: close\r\n"),
        (
            Http11,
            KeepAlive,
            "Transfer-Encoding: chunked\r\nContent-Length: 9\r\n",
            "Transfer-Encoding: chunked\r\n",
        ),
        (Http10, KeepAlive, "Transfer-Encoding: chunked\r\nA: b\r\n", "A: b\r\nConnection: close\r\n"),
        (Http11, KeepAlive, "Content-Length: 2, 2\r\n", "Content-Length: 2\r\n"),
        (
            Http11,
            KeepAlive,
            "Content-Length: 2\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\nConnection: Upgrade, X-A, Set-Cookie\r\nX-A: b\r\nSet-Cookie: c\r\n",
            "Content-Length: 2\r\nSet-Cookie: c\r\n",
        ),
    ];
    for (client, after, lines, expected) in cases {
        let edits = ResponseEdits { client: *client, after: *after, add_fields: &[] };
        let output = answered(&format!("{ok}{lines}\r\n"), &edits, Method::Get);
        assert_eq!(output, format!("{ok}{expected}\r\n"), "{client:?} {after:?} {lines:?}");
        let again = response(output.as_bytes(), GET).unwrap().unwrap();
        if *client == Http11 {
            assert_eq!(output, answered(&output, &edits, Method::Get));
            assert_eq!(again.keep_alive, edits.after == KeepAlive && again.framing != Framing::UntilClose);
        }
    }
}

#[test]
fn responses_without_a_body_of_their_own() {
    let edits =
        ResponseEdits { client: Version::Http11, after: After::KeepAlive, add_fields: &[("X-A", b"b")] };
    let cases: &[(Method, &str, &str)] = &[
        (
            Method::Get,
            "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nX-A: b\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            Method::Get,
            "HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n",
        ),
        (Method::Get, "HTTP/1.0 204 No\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 204 No\r\nX-A: b\r\n\r\n"),
        (
            Method::Head,
            "HTTP/1.0 200 OK\nContent-Length: 03\n\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\n",
        ),
        (
            Method::Head,
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n",
        ),
        (
            Method::Connect,
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n",
        ),
        (
            Method::Get,
            "HTTP/1.1 426 Upgrade\r\nConnection: Upgrade\r\nUpgrade: a\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 426 Upgrade\r\nUpgrade: a\r\nContent-Length: 0\r\nX-A: b\r\nConnection: Upgrade\r\n\r\n",
        ),
    ];
    for (method, input, expected) in cases {
        assert_eq!(answered(input, &edits, *method), *expected, "{method:?} {input:?}");
    }
}
