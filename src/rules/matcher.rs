//! Comparing a sample with the patterns of an ACL.

use crate::config::{MatchKind, Matcher};

/// What separates the components of a path (configuration §7.1.3, "dir").
const PATH_DELIMITERS: &[u8] = b"/?";
/// What separates the components of a host name ("dom").
const DOMAIN_DELIMITERS: &[u8] = b"/?.:";

/// Compares a boolean sample.
pub(super) fn boolean(matcher: &Matcher, value: bool) -> bool {
    match matcher.kind {
        MatchKind::Bool => value,
        MatchKind::Found => true,
        // HAProxy turns a boolean into "1" or "0" before other comparisons.
        _ => sample(matcher, if value { b"1" } else { b"0" }),
    }
}

/// Compares a sample of bytes; any pattern is enough.
pub(super) fn sample(matcher: &Matcher, sample: &[u8]) -> bool {
    let any = |holds: &dyn Fn(&[u8]) -> bool| matcher.patterns.iter().any(|pattern| holds(pattern));
    let fold = matcher.ignore_case;
    match matcher.kind {
        MatchKind::Found => true,
        MatchKind::Bool => !matches!(sample, b"" | b"0"),
        MatchKind::Bin => any(&|pattern| sample == pattern),
        MatchKind::Str => any(&|pattern| equal(sample, pattern, fold)),
        MatchKind::Beg => {
            any(&|pattern| sample.get(..pattern.len()).is_some_and(|start| equal(start, pattern, fold)))
        }
        MatchKind::End => any(&|pattern| {
            let from = sample.len().checked_sub(pattern.len());
            from.and_then(|from| sample.get(from..)).is_some_and(|end| equal(end, pattern, fold))
        }),
        MatchKind::Sub => any(&|pattern| contains(sample, pattern, fold)),
        MatchKind::Dir => any(&|pattern| contains_component(sample, pattern, fold, PATH_DELIMITERS)),
        MatchKind::Dom => any(&|pattern| contains_component(sample, pattern, fold, DOMAIN_DELIMITERS)),
    }
}

/// Whether no sample of `len` bytes that begins with `start` can match.
pub(super) fn is_contradicted(matcher: &Matcher, start: &[u8], len: usize) -> bool {
    let cannot = |pattern: &Vec<u8>| {
        let common = pattern.len().min(start.len());
        let differs = || match (start.get(..common), pattern.get(..common)) {
            (Some(start), Some(pattern)) => !equal(start, pattern, matcher.ignore_case),
            _ => false,
        };
        match matcher.kind {
            MatchKind::Bin | MatchKind::Str => pattern.len() != len || differs(),
            MatchKind::Beg => pattern.len() > len || differs(),
            MatchKind::End | MatchKind::Sub | MatchKind::Dir | MatchKind::Dom => pattern.len() > len,
            MatchKind::Found | MatchKind::Bool => false,
        }
    };
    !matches!(matcher.kind, MatchKind::Found | MatchKind::Bool) && matcher.patterns.iter().all(cannot)
}

fn equal(sample: &[u8], pattern: &[u8], fold: bool) -> bool {
    if fold { sample.eq_ignore_ascii_case(pattern) } else { sample == pattern }
}

fn contains(sample: &[u8], pattern: &[u8], fold: bool) -> bool {
    pattern.is_empty() || sample.windows(pattern.len()).any(|window| equal(window, pattern, fold))
}

/// Whether the pattern, delimiters at its own ends left out, stands in the sample between delimiters or ends.
fn contains_component(sample: &[u8], pattern: &[u8], fold: bool, delimiters: &[u8]) -> bool {
    let is_delimiter = |byte: Option<&u8>| byte.is_none_or(|byte| delimiters.contains(byte));
    let from = pattern.iter().position(|byte| !delimiters.contains(byte)).unwrap_or(pattern.len());
    let to = pattern.iter().rposition(|byte| !delimiters.contains(byte)).map_or(from, |last| last + 1);
    let Some(pattern) = pattern.get(from..to).filter(|pattern| !pattern.is_empty()) else { return false };
    sample.windows(pattern.len()).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| sample.get(before));
        let after = sample.get(at + pattern.len());
        equal(window, pattern, fold) && is_delimiter(before) && is_delimiter(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(kind: MatchKind, pattern: &[u8]) -> Matcher {
        Matcher { kind, ignore_case: false, patterns: vec![pattern.to_vec()] }
    }

    #[test]
    fn each_method_compares_in_its_way() {
        let rows: [(MatchKind, &[u8], &[u8], bool); 16] = [
            (MatchKind::Str, b"abc", b"abc", true),
            (MatchKind::Str, b"abc", b"abcd", false),
            (MatchKind::Beg, b"abc", b"abcd", true),
            (MatchKind::Beg, b"abc", b"ab", false),
            (MatchKind::End, b"bcd", b"abcd", true),
            (MatchKind::End, b"abcde", b"bcde", false),
            (MatchKind::Sub, b"bc", b"abcd", true),
            (MatchKind::Dir, b"allow", b"/x/allow/y", true),
            (MatchKind::Dir, b"/allow/", b"/x/allow?q", true),
            (MatchKind::Dir, b"allow", b"/x/allowed", false),
            (MatchKind::Dom, b"example", b"www.example.org", true),
            (MatchKind::Dom, b"example.org", b"www.example.org:80", true),
            (MatchKind::Dom, b"ample", b"www.example.org", false),
            (MatchKind::Bin, b"\0\0", b"\0\0", true),
            (MatchKind::Bin, b"\0\0", b"\0", false),
            (MatchKind::Found, b"", b"", true),
        ];
        for (kind, pattern, value, expected) in rows {
            assert_eq!(sample(&matcher(kind, pattern), value), expected, "{kind:?} {pattern:?} {value:?}");
        }
    }

    #[test]
    fn a_start_that_differs_contradicts() {
        assert!(is_contradicted(&matcher(MatchKind::Bin, b"\0\0\0\0"), b"\x16", 4));
        assert!(!is_contradicted(&matcher(MatchKind::Bin, b"\0\0\0\0"), b"\0\0", 4));
        assert!(!is_contradicted(&matcher(MatchKind::Bin, b"\0\0\0\0"), b"", 4));
        assert!(is_contradicted(&matcher(MatchKind::Bin, b"\0\0"), b"\0", 4), "lengths can never be equal");
        assert!(!is_contradicted(&matcher(MatchKind::Sub, b"x"), b"abc", 4));
    }
}
