//! Whatever a `Cookie` field holds, editing it keeps what is to be kept, and what was removed is gone for good.

use oneport::http::cookies::{Cookie, Dated, Fate, SetCookie, edit_request};

/// Checks one input: a field's value.
pub fn check(data: &[u8]) {
    let mut seen = Vec::new();
    let tidied = edit_request(data, &mut |cookie| note(&mut seen, cookie, Fate::Keep));
    let tidied = tidied.unwrap_or_else(|| data.to_vec());
    assert!(tidied.len() <= data.len());
    // A second look finds the same cookies, and nothing to do.
    let mut again = Vec::new();
    assert_eq!(edit_request(&tidied, &mut |cookie| note(&mut again, cookie, Fate::Keep)), None);
    assert_eq!(seen, again);

    let is_ours = |name: &[u8]| name.len().is_multiple_of(2);
    let mut remove = |cookie: Cookie<'_>| if is_ours(cookie.name) { Fate::Remove } else { Fate::Keep };
    if let Some(left) = edit_request(data, &mut remove) {
        assert!(left.len() <= data.len());
        let mut rest = Vec::new();
        edit_request(&left, &mut |cookie| note(&mut rest, cookie, Fate::Keep));
        let kept: Vec<_> = seen.iter().filter(|(name, _)| !is_ours(name)).cloned().collect();
        assert_eq!(rest, kept);
    }

    for (_, value) in &seen {
        let dated = Dated::of(value);
        assert!(value.starts_with(dated.server) && !dated.server.contains(&b'|'));
        assert!(dated.last_s.is_multiple_of(4) && dated.first_s.is_multiple_of(4));
    }
    if let Some(set) = SetCookie::of(data) {
        let written = set.with(b"", set.cookie.value);
        let read = SetCookie::of(&written).expect("what was written is read back");
        assert_eq!((read.cookie, read.rest, read.is_tidy), (set.cookie, set.rest, true));
    }
}

/// Name and value.
type Seen = Vec<(Vec<u8>, Vec<u8>)>;

fn note(seen: &mut Seen, cookie: Cookie<'_>, fate: Fate) -> Fate {
    seen.push((cookie.name.to_vec(), cookie.value.to_vec()));
    fate
}
