//! `http-check expect`, `tcp-check expect`: what an answer must be (configuration §4.2).

use super::checks::{add, constant, content, words_of};
use super::words::Words;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{
    CheckExpect, CheckMatch, CheckNotation, CheckPattern, CheckStatus, CheckText, MatchKind,
};
use crate::config::patterns::regex;
use crate::config::probes::Line;
use crate::config::values::number;

/// Names of the outcomes that an `expect` can be given.
const STATUSES: [(&str, &[(&str, CheckStatus)]); 3] = [
    (
        "ok-status",
        &[
            ("L7OK", CheckStatus::L7Ok),
            ("L7OKC", CheckStatus::L7OkC),
            ("L6OK", CheckStatus::L6Ok),
            ("L4OK", CheckStatus::L4Ok),
        ],
    ),
    (
        "error-status",
        &[
            ("L7OKC", CheckStatus::L7OkC),
            ("L7RSP", CheckStatus::L7Rsp),
            ("L7STS", CheckStatus::L7Sts),
            ("L6RSP", CheckStatus::L6Rsp),
            ("L4CON", CheckStatus::L4Con),
        ],
    ),
    (
        "tout-status",
        &[("L7TOUT", CheckStatus::L7Tout), ("L6TOUT", CheckStatus::L6Tout), ("L4TOUT", CheckStatus::L4Tout)],
    ),
];

pub(super) fn expect(b: &mut Builder<'_>, st: &Statement<'_>, is_http: bool) -> Result<(), Fault> {
    let mut words = Words::new(b, st, st.args());
    let mut expect = CheckExpect::new(CheckPattern::Ldap);
    let (mut comment, mut is_found) = (None, false);
    // The match stands anywhere among the options.
    while !is_found || !words.rest.is_empty() {
        if words.option("min-recv") {
            let word = words.next("a number")?;
            expect.min_recv = if word.is("-1") { None } else { Some(number(word, 0, i32::MAX as u32)?) };
        } else if words.option("comment") {
            comment = Some(words_of(words.next("a text")?)?);
        } else if words.option("on-success") {
            expect.on_success = Some(reason(b, st, words.next("a text")?)?);
        } else if words.option("on-error") {
            expect.on_error = Some(reason(b, st, words.next("a text")?)?);
        } else if words.option("status-code") {
            return Err(Fault::at(words.at, "`status-code` is not built: the code is that of the answer"));
        } else if let Some((name, list)) = STATUSES.iter().find(|(name, _)| words.option(name)) {
            let status = status(words.next("a status")?, list)?;
            match *name {
                "ok-status" => expect.ok = status,
                "error-status" => expect.error = Some(status),
                _ => expect.timeout = status,
            }
        } else if is_found {
            return st.end(words.rest);
        } else {
            let mut word = words.next("what is looked for")?;
            if word.is("!") {
                expect.negated = true;
                word = words.next("what is looked for")?;
            }
            let name = word.text()?;
            let name = name.strip_prefix('!').inspect(|_| expect.negated = true).unwrap_or(name);
            expect.pattern = pattern(b, st, (word, name), &mut words, is_http)?;
            is_found = true;
        }
    }
    add(b, st, is_http, Line::Expect(Box::new(expect)), comment)
}

fn reason(b: &mut Builder<'_>, st: &Statement<'_>, word: &Word) -> Result<CheckText, Fault> {
    let text = constant(b, st, word)?;
    Ok(CheckText::Text(String::from_utf8_lossy(&text).into()))
}

fn status(word: &Word, list: &[(&str, CheckStatus)]) -> Result<CheckStatus, Fault> {
    let found = list.iter().find(|(name, _)| word.is(name));
    found.map(|(_, status)| *status).ok_or_else(|| {
        let names: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
        Fault::at(word.span, format_args!("{}: expected one of {}", word.quoted(), names.join(", ")))
    })
}

/// What is looked for, by the name of the match.
fn pattern(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    (word, name): (&Word, &str),
    words: &mut Words<'_>,
    is_http: bool,
) -> Result<CheckPattern, Fault> {
    let notation = match (name, is_http) {
        ("string", _) => CheckNotation::Text,
        ("string-lf", _) => CheckNotation::Format,
        ("binary", false) => CheckNotation::Binary,
        ("binary-lf", false) => CheckNotation::BinaryFormat,
        ("rstring", _) => return Ok(CheckPattern::Regex(expression(words.next("an expression")?, false)?)),
        ("rbinary", false) => {
            return Ok(CheckPattern::HexRegex(expression(words.next("an expression")?, false)?));
        }
        ("rstatus", true) => {
            return Ok(CheckPattern::StatusRegex(expression(words.next("an expression")?, false)?));
        }
        ("status", true) => return Ok(CheckPattern::Status(codes(words.next("statuses")?)?)),
        ("hdr" | "fhdr", true) => return header(b, st, words, name == "fhdr"),
        _ => {
            let expected = match is_http {
                true => "status, rstatus, hdr, fhdr, string or rstring",
                false => "string, rstring, binary or rbinary",
            };
            return Err(Fault::at(word.span, format_args!("{}: expected {expected}", word.quoted())));
        }
    };
    Ok(CheckPattern::Bytes(content(b, st, words.next("what is looked for")?, notation)?, notation))
}

fn expression(word: &Word, ignore_case: bool) -> Result<crate::config::Regex, Fault> {
    regex(word.text()?, ignore_case).map_err(|why| Fault::at(word.span, why))
}

/// `200,201,300-310`.
fn codes(word: &Word) -> Result<Vec<(u16, u16)>, Fault> {
    let bad = |part: &str| {
        Fault::at(
            word.span,
            format_args!("`{}` is no status or range of them, such as 200-399", part.escape_debug()),
        )
    };
    let code = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let mut codes = Vec::new();
    for part in word.text()?.split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let range = code(low).zip(code(high)).filter(|(low, high)| low <= high);
        codes.push(range.ok_or_else(|| bad(part))?);
    }
    if codes.is_empty() { Err(bad("")) } else { Ok(codes) }
}

/// `name [-m METHOD] NAME [value [-m METHOD] VALUE]`.
fn header(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    words: &mut Words<'_>,
    whole: bool,
) -> Result<CheckPattern, Fault> {
    let (is_plain, is_format) = (words.option("name"), words.option("name-lf"));
    if !is_plain && !is_format {
        return Err(Fault::at(words.at, "`name NAME` was expected behind this word"));
    }
    let name = compared(b, st, words, is_format, true)?;
    let (is_plain, is_format) = (words.option("value"), words.option("value-lf"));
    let value = match is_plain || is_format {
        true => Some(compared(b, st, words, is_format, false)?),
        false => None,
    };
    Ok(CheckPattern::Header { name, value, whole })
}

fn compared(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    words: &mut Words<'_>,
    is_format: bool,
    ignore_case: bool,
) -> Result<CheckMatch, Fault> {
    let mut kind = MatchKind::Str;
    if words.option("-m") {
        let word = words.next("str, beg, end, sub or reg")?;
        kind = match word.as_str() {
            "str" => MatchKind::Str,
            "beg" => MatchKind::Beg,
            "end" => MatchKind::End,
            "sub" => MatchKind::Sub,
            "reg" if !is_format => {
                return expression(words.next("an expression")?, ignore_case).map(CheckMatch::Regex);
            }
            _ => {
                let expected = if is_format { "str, beg, end or sub" } else { "str, beg, end, sub or reg" };
                return Err(Fault::at(word.span, format_args!("{}: expected {expected}", word.quoted())));
            }
        };
    }
    let notation = if is_format { CheckNotation::Format } else { CheckNotation::Text };
    Ok(CheckMatch::Text(kind, content(b, st, words.next("a text")?, notation)?))
}
