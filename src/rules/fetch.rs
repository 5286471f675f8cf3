//! Sample fetches: taking from the view what an ACL compares.

use super::view::{Head, View};
use super::{Verdict, any, matcher};
use crate::config::{AclTest, Fetch, Matcher};

/// The value of one ACL line.
pub(super) fn test(test: &AclTest, view: &View<'_>) -> Verdict {
    let matcher = &test.matcher;
    match &test.fetch {
        Fetch::Always(value) => matcher::boolean(matcher, *value).into(),
        Fetch::ProtoHttp => match view.head() {
            Head::Whole(_) => matcher::boolean(matcher, true).into(),
            Head::Absent => matcher::boolean(matcher, false).into(),
            Head::Partial => Verdict::NotYet,
        },
        Fetch::Payload { offset, len } => payload(matcher, *offset, *len, view),
        Fetch::Header { name, occurrence } => header(matcher, name, *occurrence, view),
    }
}

/// `payload(offset,len)`: exactly these bytes. While some are missing it is "not yet", unless those that are
/// there already contradict every pattern.
fn payload(matcher: &Matcher, offset: usize, len: usize, view: &View<'_>) -> Verdict {
    let there = view.bytes().get(offset..).unwrap_or_default();
    if len == 0 {
        // All there is: it could always be more, until no more will come.
        return match view.is_final() {
            true if there.is_empty() => Verdict::No,
            true => matcher::sample(matcher, there).into(),
            false => Verdict::NotYet,
        };
    }
    match there.get(..len) {
        Some(sample) => matcher::sample(matcher, sample).into(),
        None if view.is_final() => Verdict::No,
        None if matcher::is_contradicted(matcher, there, len) => Verdict::No,
        None => Verdict::NotYet,
    }
}

/// `hdr(name[,occurrence])`: each value of a comma-separated list counts by itself (configuration §7.3.6).
fn header(matcher: &Matcher, name: &str, occurrence: i32, view: &View<'_>) -> Verdict {
    let head = match view.head() {
        Head::Whole(head) => head,
        Head::Partial => return Verdict::NotYet,
        Head::Absent => return Verdict::No,
    };
    let values = || head.values(view.bytes(), name).flat_map(elements);
    let found = |value: Option<&[u8]>| value.is_some_and(|value| matcher::sample(matcher, value)).into();
    match occurrence {
        0 => any(values().map(|value| matcher::sample(matcher, value).into())),
        nth if nth > 0 => found(values().nth(nth.unsigned_abs() as usize - 1)),
        from_end => {
            let count = values().count();
            let back = from_end.unsigned_abs() as usize;
            found(count.checked_sub(back).and_then(|index| values().nth(index)))
        }
    }
}

/// The elements of a comma-separated list, without the blanks around them. A comma in a quoted string parts
/// nothing. A field without a value has one empty element.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |byte| {
            if escaped {
                escaped = false;
                return false;
            }
            match byte {
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return true,
                _ => {}
            }
            false
        })
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parted_at_commas_outside_quotes() {
        let all: Vec<&[u8]> = elements(b" a, \"b, \\\"c\" ,,d ").collect();
        assert_eq!(all, [&b"a"[..], b"\"b, \\\"c\"", b"", b"d"]);
        assert_eq!(elements(b"").count(), 1);
    }
}
