//! What rules make of the parts of a head: of its target, its lines, its fields.

use std::cell::Cell;

use crate::config::{HttpAction, LineRule, LineWork, Regex, TargetPart};
use crate::http::TooLong;
use crate::http::edit::{Change, FieldEdits, Text, path_of};
use crate::rules::{Sample, as_text, expand, matches};

/// Where a part of a target begins and ends.
pub(super) fn bounds(target: &[u8], part: TargetPart) -> (usize, usize) {
    let (start, path_end) = path_of(target);
    match part {
        TargetPart::Path => (start, path_end),
        TargetPart::PathAndQuery => (start, target.len()),
        TargetPart::Query => ((path_end + 1).min(target.len()), target.len()),
        TargetPart::Uri => (0, target.len()),
    }
}

/// The target with another part.
pub(super) fn with_part(target: &[u8], part: TargetPart, new: &[u8]) -> Vec<u8> {
    let (start, end) = bounds(target, part);
    let before = target.get(..start).unwrap_or_default();
    // Where there is no query, an empty one adds none.
    let has_mark = part != TargetPart::Query || before.ends_with(b"?") || new.is_empty();
    let mark: &[u8] = if has_mark { b"" } else { b"?" };
    [before, mark, new, target.get(end..).unwrap_or_default()].concat()
}

/// What a value becomes where the expression finds something in it: the replacement, with groups filled in.
pub(super) fn substituted(regex: &Regex, value: &[u8], by: &[u8]) -> Option<Vec<u8>> {
    as_text(value, by, &|value, by| {
        let found = regex.engine.captures(value)?;
        let mut out = Vec::new();
        expand(by, &mut out, &|group| found.get(group).map(|part| part.as_str().as_bytes()));
        Some(out)
    })
}

/// The actions on fields.
pub(super) fn change_fields(
    action: &HttpAction,
    filled: &[u8],
    mut fields: FieldEdits<'_>,
    text: &mut Text,
) -> Result<(), TooLong> {
    match action {
        HttpAction::AddHeader { name, alone, .. } => {
            if *alone {
                fields.remove(text, &|known| known.eq_ignore_ascii_case(name.as_bytes()));
            }
            fields.add(text, name.as_bytes(), filled)?;
        }
        HttpAction::DelHeader(matcher) => fields.remove(text, &|name| matches(matcher, &Sample::of(name))),
        HttpAction::ReplaceHeader { name, regex, parts, .. } => {
            let make = |old: &[u8]| match parts {
                false => substituted(regex, old, filled),
                true => {
                    // A comma between quotes is part of its element.
                    let (mut quoted, mut escaped) = (false, false);
                    let between = |byte: &u8| {
                        let plain = !std::mem::take(&mut escaped);
                        escaped = plain && quoted && *byte == b'\\';
                        quoted ^= plain && *byte == b'"';
                        *byte == b',' && !quoted
                    };
                    let mut list = Vec::with_capacity(old.len());
                    for (nth, part) in old.split(between).enumerate() {
                        if nth > 0 {
                            list.push(b',');
                        }
                        let new = substituted(regex, part.trim_ascii(), filled);
                        list.extend_from_slice(new.as_deref().unwrap_or(part));
                    }
                    Some(list)
                }
            };
            fields.replace(text, name.as_bytes(), &make)?;
        }
        _ => {}
    }
    Ok(())
}

/// What a rule makes of a line.
pub(super) fn changed(rule: &LineRule, line: &[u8], found: &Cell<bool>) -> Change {
    match &rule.work {
        LineWork::Replace(by) => substituted(&rule.regex, line, by).map_or(Change::Keep, Change::To),
        work if rule.regex.engine.is_match(&String::from_utf8_lossy(line)) => {
            found.set(true);
            if matches!(work, LineWork::Remove) { Change::Remove } else { Change::Keep }
        }
        _ => Change::Keep,
    }
}
