//! What has come of a body, for rules that look into it.

use std::borrow::Cow;

use super::chunked::Chunked;
use super::head::Framing;

/// The data of a body as far as it has come, and whether nothing is to come any more. `raw` is what stands behind the
/// head. Chunks that are broken end it: whoever passes the body on will find that out.
#[must_use]
pub fn body_so_far(framing: Framing, raw: &[u8]) -> (Cow<'_, [u8]>, bool) {
    match framing {
        Framing::None => (Cow::Borrowed(&[]), true),
        Framing::UntilClose => (Cow::Borrowed(raw), false),
        Framing::Length(len) => match usize::try_from(len).ok().and_then(|len| raw.get(..len)) {
            Some(whole) => (Cow::Borrowed(whole), true),
            None => (Cow::Borrowed(raw), false),
        },
        Framing::Chunked => {
            let mut data = raw.to_vec();
            let step = Chunked::new().dechunk(&mut data);
            data.truncate(step.map_or(0, |step| step.data));
            (Cow::Owned(data), step.map_or(true, |step| step.done))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_where_their_framing_says() {
        for (framing, raw, data, whole) in [
            (Framing::None, "GET /", "", true),
            (Framing::Length(3), "ab", "ab", false),
            (Framing::Length(3), "abcGET /", "abc", true),
            (Framing::Length(u64::MAX), "abc", "abc", false),
            (Framing::Chunked, "", "", false),
            (Framing::Chunked, "3\r\nabc\r\n2\r\nd", "abcd", false),
            (Framing::Chunked, "3\r\nabc\r\n0\r\n\r\nGET /", "abc", true),
            (Framing::Chunked, "x", "", true),
        ] {
            let found = body_so_far(framing, raw.as_bytes());
            assert_eq!((&*found.0, found.1), (data.as_bytes(), whole), "{framing:?} {raw}");
        }
    }
}
