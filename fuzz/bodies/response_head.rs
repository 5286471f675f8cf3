//! An answer's head is read the same in every segmentation, and what is sent on means what was read.

use oneport::http::{
    After, Framing, Method, RequestFacts, ResponseEdits, ResponseHead, Version, parse_response,
    write_response,
};

/// Checks one input: the first byte picks the request, the others are what a server may answer.
pub fn check(data: &[u8]) {
    let Some((&pick, data)) = data.split_first() else { return };
    let method = [Method::Get, Method::Head, Method::Connect, Method::Post][usize::from(pick % 4)];
    let version = if pick & 4 == 0 { Version::Http11 } else { Version::Http10 };
    let to = RequestFacts { method, version };
    let whole = parse_response(data, to);
    for end in (0..data.len()).step_by(data.len() / 256 + 1) {
        match (parse_response(&data[..end], to), &whole) {
            (Ok(None), Ok(Some(head))) => assert!(end < head.len),
            (Ok(None), _) => {}
            (Ok(Some(part)), Ok(Some(head))) => assert!(part.len <= end && part.len == head.len),
            (Err(early), Err(late)) => assert_eq!(early, *late),
            (part, _) => panic!("{:?} at {end}, {:?} at the end", part.map(|_| ()), whole.map(|_| ())),
        }
    }
    if let Ok(Some(head)) = whole {
        for after in [After::KeepAlive, After::Close] {
            rewritten(&head, data, to, after);
        }
    }
}

fn rewritten(head: &ResponseHead, data: &[u8], to: RequestFacts, after: After) {
    let edits = ResponseEdits { client: to.version, after, add_fields: &[] };
    let mut out = vec![0; head.len + 512];
    let len = write_response(head, data, &edits, &mut out).expect("room enough");
    if head.fields.len() + 2 > oneport::http::MAX_FIELDS || len > 65_000 {
        return;
    }
    let written = &out[..len];
    let again = parse_response(written, to).expect("still an answer").expect("a whole one");
    assert_eq!((again.len, again.status), (len, head.status));
    assert_eq!(again.reason.of(written), head.reason.of(data));
    assert_eq!(again.tunnel, head.tunnel);
    assert!(!again.bare_lf);
    match (head.framing, to.version) {
        (Framing::Chunked, Version::Http10) => assert_eq!(again.framing, Framing::UntilClose),
        (framing, _) => assert_eq!(again.framing, framing),
    }
    assert!(again.values(written, "Content-Length").count() <= 1);
    assert!(again.values(written, "Transfer-Encoding").count() <= 1);
    assert_eq!(again.has(written, "Set-Cookie"), head.has(data, "Set-Cookie"));
    // A client that is told it may stay must know where the body ends, and be told to go where it cannot.
    if again.framing != Framing::None && !again.tunnel {
        assert_eq!(again.keep_alive, after == After::KeepAlive && head.is_delimited_for(to.version));
    }
    let mut twice = vec![0; len];
    assert_eq!(write_response(&again, written, &edits, &mut twice), Ok(len));
    assert_eq!(twice, written);
}
