//! Matching a sample with patterns (configuration §7.1.3, §7.1.4).

use super::value::{Sample, Scratch};
use crate::config::{MatchKind, Matcher, Patterns, Regex};

/// Whether a whole sample matches any pattern.
pub fn matches(matcher: &Matcher, sample: &Sample<'_>) -> bool {
    match (matcher.kind, &matcher.patterns) {
        (MatchKind::Found, _) => true,
        (MatchKind::Bool, _) => sample.truth(),
        (MatchKind::Len, Patterns::Ints(ranges)) => {
            let len = sample.bytes(&mut Scratch::new()).len();
            in_range(ranges, i64::try_from(len).unwrap_or(i64::MAX))
        }
        (_, Patterns::Ints(ranges)) => sample.int().is_some_and(|number| in_range(ranges, number)),
        (_, Patterns::Nets(nets)) => sample.ip().is_some_and(|ip| nets.iter().any(|net| net.contains(ip))),
        _ => matches_text(matcher, sample.bytes(&mut Scratch::new())),
    }
}

fn in_range(ranges: &[(i64, i64)], number: i64) -> bool {
    ranges.iter().any(|&(low, high)| (low..=high).contains(&number))
}

/// The same for text.
fn matches_text(matcher: &Matcher, sample: &[u8]) -> bool {
    let patterns = match &matcher.patterns {
        Patterns::Bytes(patterns) => patterns,
        Patterns::Sorted(patterns) => return is_among(patterns, sample, matcher.ignore_case),
        Patterns::Regexes(list) => return any_regex(list, sample),
        Patterns::None | Patterns::Ints(_) | Patterns::Nets(_) => return false,
    };
    let any = |one: &dyn Fn(&[u8]) -> bool| any(patterns, one);
    let same = |pattern: &[u8], part: &[u8]| equal(pattern, part, matcher.ignore_case);
    match matcher.kind {
        MatchKind::Str | MatchKind::Bin => any(&|pattern| same(pattern, sample)),
        MatchKind::Beg => any(&|pattern| sample.get(..pattern.len()).is_some_and(|part| same(pattern, part))),
        MatchKind::End => any(&|pattern| {
            let start = sample.len().checked_sub(pattern.len());
            start.and_then(|start| sample.get(start..)).is_some_and(|part| same(pattern, part))
        }),
        MatchKind::Sub => any(&|pattern| {
            pattern.is_empty() || sample.windows(pattern.len()).any(|part| same(pattern, part))
        }),
        MatchKind::Dir => any(&|pattern| has_component(sample, pattern, b"/?", matcher.ignore_case)),
        MatchKind::Dom => any(&|pattern| has_component(sample, pattern, b"/?.:", matcher.ignore_case)),
        // Their patterns are no texts.
        _ => false,
    }
}

fn any(patterns: &[Vec<u8>], one: &dyn Fn(&[u8]) -> bool) -> bool {
    patterns.iter().any(|pattern| one(pattern))
}

/// Whether a sorted list has this text.
fn is_among(sorted: &[Vec<u8>], sample: &[u8], ignore_case: bool) -> bool {
    let lower = |byte: &u8| if ignore_case { byte.to_ascii_lowercase() } else { *byte };
    sorted.binary_search_by(|known| known.iter().copied().cmp(sample.iter().map(lower))).is_ok()
}

/// Bytes that are no UTF-8 are looked at as characters of their own.
fn any_regex(list: &[Regex], sample: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sample);
    list.iter().any(|regex| regex.engine.is_match(&text))
}

/// Whether a sample of `len` bytes of which only the first ones are known could still match.
pub(super) fn could_match(matcher: &Matcher, known: &[u8], len: usize) -> bool {
    let patterns = match &matcher.patterns {
        Patterns::Bytes(patterns) | Patterns::Sorted(patterns) => patterns.as_slice(),
        _ => return true,
    };
    let any = |one: &dyn Fn(&[u8]) -> bool| any(patterns, one);
    match matcher.kind {
        MatchKind::Str | MatchKind::Bin => {
            any(&|pattern| pattern.len() == len && agree(matcher, pattern, known))
        }
        MatchKind::Beg => any(&|pattern| pattern.len() <= len && agree(matcher, pattern, known)),
        MatchKind::End => any(&|pattern| {
            let start = len.checked_sub(pattern.len());
            start.is_some_and(|start| agree(matcher, pattern, known.get(start..).unwrap_or_default()))
        }),
        MatchKind::Sub => any(&|pattern| pattern.len() <= len),
        _ => true,
    }
}

/// Whether pattern and bytes are the same as far as both go.
pub(super) fn agree(matcher: &Matcher, pattern: &[u8], bytes: &[u8]) -> bool {
    let len = pattern.len().min(bytes.len());
    match (pattern.get(..len), bytes.get(..len)) {
        (Some(a), Some(b)) => equal(a, b, matcher.ignore_case),
        _ => false,
    }
}

fn equal(a: &[u8], b: &[u8], ignore_case: bool) -> bool {
    if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
}

/// Whether the pattern, without delimiters at its ends, stands between delimiters or ends of the sample.
fn has_component(sample: &[u8], pattern: &[u8], delimiters: &[u8], ignore_case: bool) -> bool {
    let is_delimiter = |byte: &u8| delimiters.contains(byte);
    let Some(start) = pattern.iter().position(|byte| !is_delimiter(byte)) else { return false };
    let end = pattern.iter().rposition(|byte| !is_delimiter(byte)).map_or(start, |last| last + 1);
    let pattern = pattern.get(start..end).unwrap_or_default();
    let free = |at: usize| sample.get(at).is_none_or(is_delimiter);
    sample.windows(pattern.len()).enumerate().any(|(at, part)| {
        let begins = at.checked_sub(1).is_none_or(free);
        begins && free(at + pattern.len()) && equal(part, pattern, ignore_case)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(kind: MatchKind, ignore_case: bool, patterns: &[&str]) -> Matcher {
        let patterns = patterns.iter().map(|p| p.as_bytes().to_vec()).collect();
        let patterns = match kind {
            MatchKind::Found => Patterns::None,
            _ => Patterns::Bytes(patterns),
        };
        Matcher { kind, ignore_case, patterns }
    }

    fn matches(matcher: &Matcher, sample: &[u8]) -> bool {
        super::matches(matcher, &Sample::of(sample))
    }

    #[test]
    fn methods() {
        use MatchKind::{Beg, Bin, Dir, Dom, End, Found, Str, Sub};
        for (kind, pattern, sample, want) in [
            (Found, "", "x", true),
            (Str, "abc", "abc", true),
            (Str, "abc", "abcd", false),
            (Bin, "\0\0", "\0\0", true),
            (Beg, "www.", "www.a", true),
            (Beg, "www.", "ww", false),
            (End, ".org", "a.org", true),
            (End, ".org", "org", false),
            (Sub, "b", "abc", true),
            (Sub, "", "", true),
            (Sub, "abcd", "abc", false),
            (Dir, "img", "/img/a.png", true),
            (Dir, "/img/", "/a/img", true),
            (Dir, "img", "/imgs/a", false),
            (Dir, "a/b", "/a/b?c", true),
            (Dom, "example", "www.example.org:80", true),
            (Dom, "example.org", "example.org", true),
            (Dom, "xample", "www.example.org", false),
            (Dom, ".", "a.b", false),
        ] {
            assert_eq!(
                matches(&matcher(kind, false, &[pattern]), sample.as_bytes()),
                want,
                "{pattern} {sample}"
            );
        }
        assert!(matches(&matcher(Str, true, &["x", "websocket"]), b"WebSocket"));
        assert!(!matches(&matcher(Str, false, &["x", "websocket"]), b"WebSocket"));
        assert!(matches(&matcher(Dom, true, &["blog.a"]), b"Blog.A"));
        assert!(!matches(&matcher(Str, false, &[]), b""));
    }

    #[test]
    fn the_known_part_can_rule_a_match_out() {
        use MatchKind::{Beg, Bin, End, Found, Sub};
        for (kind, pattern, known, want) in [
            (Bin, "\0\0\0\0", "", true),
            (Bin, "\0\0\0\0", "\0\0", true),
            (Bin, "\0\0\0\0", "\0\u{1}", false),
            (Bin, "\0\0\0", "\0\0", false),
            (Beg, "ab", "abc", true),
            (Beg, "ab", "b", false),
            (End, "cd", "ab", true),
            (End, "cd", "abx", false),
            (Sub, "abcde", "", false),
            (Found, "", "x", true),
        ] {
            let got = could_match(&matcher(kind, false, &[pattern]), known.as_bytes(), 4);
            assert_eq!(got, want, "{pattern:?} {known:?}");
        }
    }
}
