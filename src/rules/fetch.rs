//! Sample fetches (configuration §7.3), each with the verdict of its matcher.

use super::Verdict;
use super::matching::{could_match, matches};
use super::view::{Head, View};
use crate::config::{AclTest, Fetch, MatchKind, Matcher};

/// Fetches the sample of one test and compares it.
pub(super) fn test(test: &AclTest, view: &View<'_>) -> Verdict {
    let found = test.matcher.kind == MatchKind::Found;
    match &test.fetch {
        // The sample is a boolean, which is there in any case.
        Fetch::Always(value) => (*value || found).into(),
        Fetch::ProtoHttp => match view.http() {
            Head::Whole(_) => Verdict::Yes,
            Head::NotYet => Verdict::NotYet,
            Head::None => Verdict::No,
        },
        Fetch::Payload { offset, len: 0 } => open_payload(*offset, &test.matcher, view),
        Fetch::Payload { offset, len } => payload(*offset, *len, &test.matcher, view),
        Fetch::Header { name, occurrence } => header(name, *occurrence, &test.matcher, view),
    }
}

/// `payload(offset,len)` with a length: there once all its bytes are.
fn payload(offset: usize, len: usize, matcher: &Matcher, view: &View<'_>) -> Verdict {
    let start = view.bytes().get(offset..).unwrap_or_default();
    if let Some(sample) = start.get(..len) {
        return matches(matcher, sample).into();
    }
    // What is there already may contradict every pattern: then nothing is worth waiting for.
    if view.is_final() || !could_match(matcher, start, len) {
        return Verdict::No;
    }
    Verdict::NotYet
}

/// `payload(offset,0)`: all there is, which more bytes make longer.
fn open_payload(offset: usize, matcher: &Matcher, view: &View<'_>) -> Verdict {
    let sample = view.bytes().get(offset..).unwrap_or_default();
    if view.is_final() {
        return (!sample.is_empty() && matches(matcher, sample)).into();
    }
    match matcher.kind {
        // These stay true, however many bytes follow.
        MatchKind::Found | MatchKind::Beg | MatchKind::Sub
            if !sample.is_empty() && matches(matcher, sample) =>
        {
            Verdict::Yes
        }
        MatchKind::Beg | MatchKind::Str | MatchKind::Bin => {
            // As if the sample had the length of the pattern, each pattern by itself.
            let alone = |pattern: &Vec<u8>| sample.len() <= pattern.len() || matcher.kind == MatchKind::Beg;
            let open = matcher
                .patterns
                .iter()
                .any(|pattern| alone(pattern) && super::matching::agree(matcher, pattern, sample));
            if open { Verdict::NotYet } else { Verdict::No }
        }
        MatchKind::Bool => Verdict::No,
        _ => Verdict::NotYet,
    }
}

/// `hdr(name[,occurrence])`: the comma-separated elements of all fields of that name.
fn header(name: &str, occurrence: i32, matcher: &Matcher, view: &View<'_>) -> Verdict {
    let head = match view.http() {
        Head::Whole(head) => head,
        Head::NotYet => return Verdict::NotYet,
        Head::None => return Verdict::No,
    };
    let elements = || head.values(view.bytes(), name).flat_map(Elements::of);
    let wanted = match occurrence {
        0 => return elements().any(|sample| matches(matcher, sample)).into(),
        // First = 1.
        n if n > 0 => usize::try_from(n).ok().and_then(|n| n.checked_sub(1)),
        // Last = -1; counted first, since nothing is allocated.
        n => usize::try_from(n.unsigned_abs()).ok().and_then(|n| elements().count().checked_sub(n)),
    };
    let sample = wanted.and_then(|index| elements().nth(index));
    sample.is_some_and(|sample| matches(matcher, sample)).into()
}

/// The elements of a comma-separated value, blanks around them removed; commas in quoted strings do not count
/// (RFC 9110 §5.6.1, §5.6.4).
struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    fn of(value: &'a [u8]) -> Self {
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

fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_at_commas_outside_of_quotes() {
        let elements = |value: &'static str| {
            Elements::of(value.as_bytes()).map(|e| std::str::from_utf8(e).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(elements("a"), ["a"]);
        assert_eq!(elements(" a b ,\tc,"), ["a b", "c", ""]);
        assert_eq!(elements(r#"a="x,\",y", b"#), [r#"a="x,\",y""#, "b"]);
        assert_eq!(elements(""), [""]);
    }
}
