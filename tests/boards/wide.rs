//! Numbers that do not fit into the 32 bits of a `usize`: on a 32-bit board a length that is cut off there would
//! make the rest of a body the next request.

use crate::inside::Context;
use crate::rig::http_gateway;
use crate::support::ms;
use crate::support::peers::Backend;
use crate::support::process::Gateway;

/// 4 GiB, and what would be left of it in 32 bits.
const LENGTH: u64 = (1 << 32) + LEFT_OF_IT;
const LEFT_OF_IT: u64 = 10;
/// More than what would be left: were the length cut off, this would not be one body.
const BODY: &[u8] = b"this is longer than the ten bytes that would be left of the length";

/// A request whose length has more than 32 bits, in a header and as a chunk.
pub fn request_bodies(_: &Context) {
    for (header, before) in framings() {
        let backend = Backend::silent();
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send(format!("POST /wide HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n{before}"));
        client.send(BODY);
        let end = [before.as_bytes(), BODY].concat();
        crate::support::eventually("the whole beginning of the body arrives", || {
            backend.received(0).ends_with(&end)
        });
        let received = String::from_utf8(backend.received(0)).unwrap();
        assert!(received.to_lowercase().contains(&header.to_lowercase()), "{received}");
        client.expect_silence(ms(200));
    }
}

/// The same of an answer.
pub fn answer_bodies(_: &Context) {
    for (header, before) in framings() {
        let start = format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n{before}");
        let backend = Backend::start(move |peer| {
            peer.read_request();
            peer.write([start.as_bytes(), BODY].concat());
            peer.read_to_end();
        });
        let gateway = http_gateway(&backend, "");
        let mut client = gateway.client();
        client.send("GET /wide HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = client.read_head().unwrap();
        assert!(head.to_lowercase().contains(&header.to_lowercase()), "{head}");
        let rest = [before.as_bytes(), BODY].concat();
        assert_eq!(client.read_exact(rest.len()), rest);
        client.expect_silence(ms(200));
    }
}

/// A header that says how long the body is, and what stands before the body's bytes.
fn framings() -> [(String, String); 2] {
    [
        (format!("Content-Length: {LENGTH}"), String::new()),
        ("Transfer-Encoding: chunked".into(), format!("{LENGTH:x}\r\n")),
    ]
}

/// 24 days are 2,073,600,000 milliseconds, and almost as many as there can be: they are not over at once.
pub fn timeouts(_: &Context) {
    let backend = Backend::echo();
    let gateway = Gateway::start(|port| {
        format!(
            "defaults\n timeout connect 24d\n timeout client 24d\n timeout server 24d\n timeout tunnel 24d\n \
             timeout check 24d\n\
             listen l\n mode tcp\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 24d\n \
             tcp-request content accept if {{ payload(0,2) -m bin 0000 }}\n server s 127.0.0.1:{} check inter 24d\n",
            backend.port
        )
    });
    let mut client = gateway.client();
    client.send([0]);
    client.expect_silence(ms(400));
    client.send([0]);
    assert_eq!(client.read_exact(2), [0, 0]);
    client.expect_silence(ms(800));
    client.send("still here");
    assert_eq!(client.read_exact(10), b"still here");
}
