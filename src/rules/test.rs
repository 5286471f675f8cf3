//! One test of an ACL: an expression and what it is compared with.

use super::Verdict;
use super::fetch::{Fetched, each};
use super::matching::{agree, could_match, matches};
use super::value::Sample;
use super::view::View;
use crate::config::{AclTest, Fetch, MatchKind, Matcher, Patterns};

/// Fetches the samples of one test and compares them, up to the first that matches.
pub(super) fn test(test: &AclTest, view: &View<'_>) -> Verdict {
    if test.expr.converters.is_empty() {
        match test.expr.fetch {
            Fetch::Payload { side, offset, len } => {
                let Some(bytes) = view.message(side) else { return Verdict::No };
                let start = bytes.get(offset..).unwrap_or_default();
                return match len {
                    0 => open_payload(start, &test.matcher, view),
                    _ => payload(start, len, &test.matcher, view),
                };
            }
            Fetch::Len(side) if !view.is_final() => {
                return view.message(side).map_or(Verdict::No, |bytes| growing(&test.matcher, bytes.len()));
            }
            _ => {}
        }
    }
    let mut hit = false;
    let fetched = each(&test.expr, view, true, &mut |sample| {
        hit = matches(&test.matcher, &sample);
        !hit
    });
    match fetched {
        Fetched::Done => hit.into(),
        Fetched::NotYet if view.is_final() => Verdict::No,
        Fetched::NotYet => Verdict::NotYet,
    }
}

/// A number that can only grow: decided once no further byte changes the answer.
fn growing(matcher: &Matcher, len: usize) -> Verdict {
    let Patterns::Ints(ranges) = &matcher.patterns else { return Verdict::NotYet };
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    if ranges.iter().any(|&(low, high)| low <= len && high == i64::MAX) {
        return Verdict::Yes;
    }
    if ranges.iter().any(|&(_, high)| high >= len) { Verdict::NotYet } else { Verdict::No }
}

/// `payload(offset,len)` with a length: there once all its bytes are.
fn payload(start: &[u8], len: usize, matcher: &Matcher, view: &View<'_>) -> Verdict {
    if let Some(sample) = start.get(..len) {
        return matches(matcher, &Sample::of(sample)).into();
    }
    // What is there already may contradict every pattern: then nothing is worth waiting for.
    if view.is_final() || !could_match(matcher, start, len) {
        return Verdict::No;
    }
    Verdict::NotYet
}

/// `payload(offset,0)`: all there is, which more bytes make longer.
fn open_payload(sample: &[u8], matcher: &Matcher, view: &View<'_>) -> Verdict {
    let hit = || matches(matcher, &Sample::of(sample));
    if view.is_final() {
        return (!sample.is_empty() && hit()).into();
    }
    match (matcher.kind, &matcher.patterns) {
        // These stay true, however many bytes follow.
        (MatchKind::Found | MatchKind::Beg | MatchKind::Sub, _) if !sample.is_empty() && hit() => {
            Verdict::Yes
        }
        (
            MatchKind::Beg | MatchKind::Str | MatchKind::Bin,
            Patterns::Bytes(list) | Patterns::Sorted(list),
        ) => {
            // As if the sample had the length of the pattern, each pattern by itself.
            let alone = |pattern: &Vec<u8>| sample.len() <= pattern.len() || matcher.kind == MatchKind::Beg;
            let open = list.iter().any(|pattern| alone(pattern) && agree(matcher, pattern, sample));
            if open { Verdict::NotYet } else { Verdict::No }
        }
        (MatchKind::Bool, _) => Verdict::No,
        _ => Verdict::NotYet,
    }
}
