//! A request head is read the same in every segmentation, and what is sent on means what was read.

use oneport::http::{After, Framing, RequestEdits, RequestHead, parse_request, write_request};

/// Checks one input: any bytes a client may send.
pub fn check(data: &[u8]) {
    let whole = parse_request(data);
    // Every cut of short inputs, some of long ones: each cut costs a parse.
    for end in (0..data.len()).step_by(data.len() / 256 + 1) {
        match (parse_request(&data[..end]), &whole) {
            (Ok(None), Ok(Some(head))) => assert!(end < head.len),
            (Ok(None), _) => {}
            (Ok(Some(part)), Ok(Some(head))) => assert!(part.len <= end && part.len == head.len),
            (Err(early), Err(late)) => assert_eq!(early, *late),
            (part, _) => panic!("{:?} at {end}, {:?} at the end", part.map(|_| ()), whole.map(|_| ())),
        }
    }
    if let Ok(Some(head)) = whole {
        assert!(head.framing != Framing::UntilClose);
        for after in [After::KeepAlive, After::Close] {
            rewritten(&head, data, after);
        }
    }
}

fn rewritten(head: &RequestHead, data: &[u8], after: After) {
    let edits =
        RequestEdits { after, add_fields: &[], forward_for: Some("X-Client-Ip"), proxy_header: false };
    let mut out = vec![0; head.len + 512];
    let len = write_request(head, data, &edits, &mut out).expect("room enough");
    // Two fields may come on top: TE and Connection.
    if head.fields.len() + 2 > oneport::http::MAX_FIELDS || len > 65_000 {
        return;
    }
    let written = &out[..len];
    let again = parse_request(written).expect("still a request").expect("a whole one");
    assert_eq!(again.len, len);
    assert_eq!(again.method_span.of(written), head.method_span.of(data));
    assert_eq!(again.target.of(written), head.target.of(data));
    assert_eq!((again.version, again.framing), (head.version, head.framing));
    assert_eq!((again.upgrade, again.expect_continue), (head.upgrade, head.expect_continue));
    assert!(!again.bare_lf);
    assert!(head.upgrade || again.keep_alive == (after == After::KeepAlive));
    for name in ["Content-Length", "Transfer-Encoding", "Host"] {
        assert!(again.values(written, name).count() <= 1);
    }
    assert!(!(again.has(written, "Content-Length") && again.has(written, "Transfer-Encoding")));
    for name in ["Host", "X-Forwarded-For", "X-Client-Ip", "Cookie"] {
        assert_eq!(again.has(written, name), head.has(data, name), "{name}");
    }
    let mut twice = vec![0; len];
    assert_eq!(write_request(&again, written, &edits, &mut twice), Ok(len));
    assert_eq!(twice, written);
}
