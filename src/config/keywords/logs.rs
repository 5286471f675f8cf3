//! `log` lines (configuration §4.2, "log").

use super::{Keyword, Sections};
use crate::config::address;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{LogTarget, LogWire, Sampling};
use crate::config::suggest;
use crate::config::values::number;

/// Facilities, each at its number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp",
    "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
/// Severities, each at its number.
pub(super) const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// Shortest and longest `len`.
const LEN_BYTES: (u32, u32) = (80, 65_535);
/// Lines a section can send to.
const TARGETS_MAX: usize = 64;

const ARGS: &str = "global | <address> [len <bytes>] [format <format>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]";

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "log",
        Sections::GLOBAL,
        "1.3",
        ARGS,
        "where lines go that proxies with `log global` write",
        |b, st| {
            if let Some(word) = st.args().first().filter(|word| word.is("global")) {
                return Err(Fault::at(
                    word.span,
                    "`log global` stands in proxies; here an address is expected",
                ));
            }
            let target = target(b, st)?;
            push(&mut b.global.logs, target, st)
        },
    ),
    Keyword::new(
        "log",
        Sections::PROXIES,
        "1.3",
        ARGS,
        "where session lines go; `no log` = nowhere",
        |b, st| {
            if st.negated {
                st.none()?;
                let settings = b.settings()?;
                settings.logs.clear();
                settings.log_global = false;
                return Ok(());
            }
            if let [word, rest @ ..] = st.args()
                && word.is("global")
            {
                st.end(rest)?;
                b.settings()?.log_global = true;
                return Ok(());
            }
            let target = target(b, st)?;
            push(&mut b.settings()?.logs, target, st)
        },
    )
    .with_no(),
];

fn push(logs: &mut Vec<LogTarget>, target: LogTarget, st: &Statement<'_>) -> Result<(), Fault> {
    if logs.len() == TARGETS_MAX {
        return Err(st.wrong(format_args!("a section has at most {TARGETS_MAX} `log` lines")));
    }
    logs.push(target);
    Ok(())
}

fn target(b: &Builder<'_>, st: &Statement<'_>) -> Result<LogTarget, Fault> {
    let [first, rest @ ..] = st.args() else {
        return Err(st.wrong(format_args!("expected `log {ARGS}`")));
    };
    let address = address::log(first, b.env)?;
    let mut target = LogTarget {
        address,
        len_bytes: 1_024,
        format: LogWire::Rfc3164,
        facility: 0,
        level: 7,
        min_level: 0,
        sample: None,
    };
    let mut words = rest.iter();
    let mut facility = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "len" => {
                let value = value_of(word, words.next())?;
                target.len_bytes = number(value, LEN_BYTES.0, LEN_BYTES.1)? as usize;
            }
            "format" => target.format = format(value_of(word, words.next())?)?,
            "sample" => target.sample = Some(sampling(value_of(word, words.next())?)?),
            _ => {
                facility = Some(word);
                break;
            }
        }
    }
    let Some(facility) = facility else {
        return Err(Fault::line("the facility is missing; write for example `daemon` or `local0`"));
    };
    target.facility = position(facility, &FACILITIES, "facility")?;
    if let Some(level) = words.next() {
        target.level = position(level, &LEVELS, "level")?;
    }
    if let Some(level) = words.next() {
        target.min_level = position(level, &LEVELS, "level")?;
    }
    st.end(words.as_slice())?;
    Ok(target)
}

fn value_of<'w>(word: &Word, value: Option<&'w Word>) -> Result<&'w Word, Fault> {
    value.ok_or_else(|| word.wrong(" needs a value"))
}

/// Formats by their names.
const FORMATS: &[(&str, LogWire)] = &[
    ("local", LogWire::Local),
    ("rfc3164", LogWire::Rfc3164),
    ("rfc5424", LogWire::Rfc5424),
    ("priority", LogWire::Priority),
    ("short", LogWire::Short),
    ("timed", LogWire::Timed),
    ("iso", LogWire::Iso),
    ("raw", LogWire::Raw),
];

fn format(word: &Word) -> Result<LogWire, Fault> {
    let found = FORMATS.iter().find(|(name, _)| word.is(name));
    found.map(|(_, format)| *format).ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
        Fault::at(word.span, format_args!("{}: expected a format: {}", word.quoted(), names.join(", ")))
    })
}

/// `1,3-5:10`.
fn sampling(word: &Word) -> Result<Sampling, Fault> {
    let read = || {
        let (list, of) = word.text().ok()?.split_once(':')?;
        let of: u32 = of.parse().ok()?;
        let mut ranges = Vec::new();
        let mut least = 1;
        for range in list.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            // In rising order, none in two ranges.
            if first < least || last < first || last > of {
                return None;
            }
            least = last.checked_add(1)?;
            ranges.push((first, last));
        }
        Some(Sampling { ranges, of })
    };
    read().ok_or_else(|| word.wrong(": expected ranges and a size, as `1,3-5:10`: of each 10 lines these"))
}

/// The number of a name in one of the two lists above.
fn position(word: &Word, names: &[&str], what: &str) -> Result<u8, Fault> {
    let text = word.text()?;
    let at = names.iter().position(|name| *name == text).and_then(|at| u8::try_from(at).ok());
    at.ok_or_else(|| {
        let hint = suggest::hint_of(text, names);
        Fault::at(
            word.span,
            format_args!("{} is no {what}{hint}; expected one of {}", word.quoted(), names.join(" ")),
        )
    })
}
