//! Parts of messages: elements of lists, cookies, targets, queries. Slices of what came, nothing copied.

use crate::http::cookies::value_len;
use crate::http::find;

/// The elements of a comma-separated value, blanks around them removed; commas in quoted strings do not count
/// (RFC 9110 §5.6.1, §5.6.4).
#[derive(Clone)]
pub(super) struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    pub fn of(value: &'a [u8]) -> Self {
        Self { rest: Some(value) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut in_quotes = false;
        let mut escaped = false;
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_quotes => escaped = true,
                b'"' => in_quotes = !in_quotes,
                b',' if !in_quotes => {
                    self.rest = rest.get(at + 1..);
                    return rest.get(..at).map(trim);
                }
                _ => {}
            }
        }
        Some(trim(rest))
    }
}

/// The first element of a comma-separated value.
#[must_use]
pub fn first_element(value: &[u8]) -> &[u8] {
    Elements::of(value).next().unwrap_or_default()
}

/// Without blanks around it.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// The values of a cookie in one field: of `Cookie`, or the one of `Set-Cookie` (`first_only`). An empty name
/// stands for every cookie.
pub(super) fn cookies<'a, 'n>(
    field: &'a [u8],
    name: &'n str,
    first_only: bool,
) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
    let mut rest = Some(field);
    let pairs = std::iter::from_fn(move || {
        let text = rest?;
        let end = cookie_end(text);
        rest = text.get(end + 1..);
        text.get(..end)
    });
    pairs.take(if first_only { 1 } else { usize::MAX }).filter_map(move |pair| {
        let (key, value) = split_at_byte(trim(pair), b'=')?;
        (name.is_empty() || trim(key) == name.as_bytes()).then(|| trim(value))
    })
}

/// Where the first cookie of a field ends: at `;` or `,` outside of a quoted part of its value, as in HAProxy.
fn cookie_end(text: &[u8]) -> usize {
    match text.iter().position(|byte| b"=;,".contains(byte)) {
        None => text.len(),
        Some(at) => match text.split_at_checked(at + 1) {
            Some(([.., b'='], value)) => at + 1 + value_len(value),
            _ => at,
        },
    }
}

/// What stands before and behind the first `byte`.
pub(super) fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The target from its path's first slash on; nothing for `*` and for CONNECT's `host:port`.
#[must_use]
pub fn path_and_query(target: &[u8]) -> Option<&[u8]> {
    if target.first() == Some(&b'/') {
        return Some(target);
    }
    let colon = find(target, b"://")?;
    let rest = target.get(colon + 3..)?;
    rest.get(memchr::memchr(b'/', rest)?..)
}

/// A target's part before the `?`.
pub(super) fn without_query(target: &[u8]) -> &[u8] {
    split_at_byte(target, b'?').map_or(target, |(path, _)| path)
}

/// The values of a parameter in a query; an empty name stands for every parameter. The delimiter before the
/// query ends parameters as well.
pub(super) fn parameters<'a>(
    query: &'a [u8],
    name: &'a str,
    delimiter: u8,
) -> impl Iterator<Item = &'a [u8]> + Clone {
    query.split(move |&b| b == b'&' || b == b';' || b == delimiter).filter_map(move |pair| {
        let (key, value) = split_at_byte(pair, b'=')?;
        (name.is_empty() || key == name.as_bytes()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(list: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
        list.map(|bytes| std::str::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn elements_are_cut_at_commas_outside_of_quotes() {
        let elements = |value: &'static str| texts(Elements::of(value.as_bytes()));
        assert_eq!(elements("a"), ["a"]);
        assert_eq!(elements(" a b ,\tc,"), ["a b", "c", ""]);
        assert_eq!(elements(r#"a="x,\",y", b"#), [r#"a="x,\",y""#, "b"]);
        assert_eq!(elements(""), [""]);
    }

    #[test]
    fn cookies_targets_and_queries() {
        assert_eq!(texts(cookies(b"a=1; b=\"2\" ;a=3", "a", false)), ["1", "3"]);
        assert_eq!(texts(cookies(b"a=1; b=\"2\"", "b", false)), ["\"2\""]);
        assert_eq!(texts(cookies(b"a=1; Path=/", "Path", true)), [""; 0]);
        assert_eq!(path_and_query(b"http://h:1/a?b"), Some(&b"/a?b"[..]));
        assert_eq!(path_and_query(b"*"), None);
        assert_eq!(path_and_query(b"http://h"), None);
        assert_eq!(texts(parameters(b"a=1&b=2;a=3?a=4&c", "a", b'?')), ["1", "3", "4"]);
        assert_eq!(texts(parameters(b"a=1&&c", "", b'?')), ["1"]);
    }
}
