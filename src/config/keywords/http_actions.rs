//! The actions of rules for HTTP and of those for TCP (configuration §4.2, "http-request", "tcp-request content").

use super::replies::{plain_reply, reply};
use super::words::Words;
use super::{lines, logs};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{
    CaptureSlot, Format, HttpAction, MatchKind, Matcher, Piece, Redirect, RedirectKind, Reply, ReplyBody,
    Side, TargetPart,
};
use crate::config::sample::{self, Reader};
use crate::config::{format, patterns, suggest, values};
use std::rc::Rc;

// Which rules there are: an action may stand in some of them.
pub(super) const REQUEST: u8 = 1;
pub(super) const RESPONSE: u8 = 2;
pub(super) const AFTER: u8 = 4;
/// `tcp-request connection`.
pub(super) const CONNECTION: u8 = 8;
/// `tcp-request session`.
pub(super) const SESSION: u8 = 16;
/// `tcp-request content`.
pub(super) const CONTENT: u8 = 32;
/// `tcp-response content`.
pub(super) const ANSWER: u8 = 64;
pub(super) const TCP: u8 = CONNECTION | SESSION | CONTENT | ANSWER;
const ALL: u8 = REQUEST | RESPONSE | AFTER | TCP;

type Make = fn(&mut Words<'_>, &mut Reader<'_>) -> Result<HttpAction, Fault>;

/// The actions for the compatibility page: name, and the rules that take it.
#[cfg(test)]
pub(super) fn actions() -> impl Iterator<Item = (&'static str, String)> {
    const RULES: [(u8, &str); 7] = [
        (REQUEST, "`http-request`"),
        (RESPONSE, "`http-response`"),
        (AFTER, "`http-after-response`"),
        (CONNECTION, "`tcp-request connection`"),
        (SESSION, "`tcp-request session`"),
        (CONTENT, "`tcp-request content`"),
        (ANSWER, "`tcp-response content`"),
    ];
    ACTIONS.iter().map(|(name, sides, _)| {
        let rules = RULES.iter().filter(|(side, _)| sides & side != 0).map(|(_, rule)| *rule);
        (name.trim_end_matches('('), rules.collect::<Vec<_>>().join(", "))
    })
}

/// The actions: name, where each may stand, reader of its arguments. A name that ends in `(` takes a variable.
pub(super) const ACTIONS: &[(&str, u8, Make)] = &[
    ("allow", 7, |_, _| Ok(HttpAction::Allow)),
    ("deny", 3, |words, reader| {
        let status = if reader_is_response(words) { 502 } else { 403 };
        Ok(HttpAction::Deny(reply(words, reader, plain_reply(status))?))
    }),
    ("return", 3, |words, reader| {
        let empty = Reply { body: ReplyBody::Empty, ..plain_reply(200) };
        Ok(HttpAction::Return(reply(words, reader, empty)?))
    }),
    ("tarpit", REQUEST, |words, reader| Ok(HttpAction::Tarpit(reply(words, reader, plain_reply(500))?))),
    ("auth", REQUEST, |words, reader| {
        let realm = match words.option("realm") {
            true => format::parse_for_rule(reader, words.next("a realm")?)?,
            // The name of the proxy: see `rule`.
            false => Format::default(),
        };
        Ok(HttpAction::Auth(realm))
    }),
    ("redirect", 3, |words, reader| redirect(words, reader, true)),
    ("set-header", 7, |words, reader| add_header(words, reader, true)),
    ("add-header", 7, |words, reader| add_header(words, reader, false)),
    ("del-header", 7, |words, _| del_header(words)),
    ("replace-header", 7, |words, reader| replace_header(words, reader, false)),
    ("replace-value", 7, |words, reader| replace_header(words, reader, true)),
    ("set-path", REQUEST, |words, reader| set_target(words, reader, TargetPart::Path)),
    ("set-pathq", REQUEST, |words, reader| set_target(words, reader, TargetPart::PathAndQuery)),
    ("set-query", REQUEST, |words, reader| set_target(words, reader, TargetPart::Query)),
    ("set-uri", REQUEST, |words, reader| set_target(words, reader, TargetPart::Uri)),
    ("replace-path", REQUEST, |words, reader| replace_target(words, reader, TargetPart::Path)),
    ("replace-pathq", REQUEST, |words, reader| replace_target(words, reader, TargetPart::PathAndQuery)),
    ("replace-uri", REQUEST, |words, reader| replace_target(words, reader, TargetPart::Uri)),
    ("set-method", REQUEST, |words, reader| {
        Ok(HttpAction::SetMethod(format::parse_for_rule(reader, words.next("a method")?)?))
    }),
    ("set-status", RESPONSE | AFTER, |words, _| {
        let status = status(words.next("a status")?, 200, 999)?;
        let reason = match words.option("reason") {
            true => words.next("a reason")?.text()?,
            false => crate::http::answer::reason(status),
        };
        Ok(HttpAction::SetStatus(status, reason.into()))
    }),
    ("set-var(", ALL, |words, reader| {
        let id = words.variable(reader)?;
        let (expr, _) = sample::parse(reader, words.next("an expression")?)?;
        Ok(HttpAction::SetVar(id, expr))
    }),
    ("set-var-fmt(", ALL, |words, reader| {
        let id = words.variable(reader)?;
        Ok(HttpAction::SetVarFormat(id, format::parse_for_rule(reader, words.next("a text")?)?))
    }),
    ("unset-var(", ALL, |words, reader| Ok(HttpAction::UnsetVar(words.variable(reader)?.id))),
    ("capture", REQUEST | RESPONSE | CONTENT, capture),
    ("set-log-level", REQUEST | RESPONSE | CONTENT | ANSWER, |words, _| log_level(words)),
    ("set-priority-class", REQUEST | CONTENT, |words, reader| set_priority(words, reader, false)),
    ("set-priority-offset", REQUEST | CONTENT, |words, reader| set_priority(words, reader, true)),
    ("disable-l7-retry", REQUEST, |_, _| Ok(HttpAction::SendOnce)),
    ("wait-for-body", REQUEST | RESPONSE, |words, _| {
        let at = words.at;
        let (mut time, mut at_least) = (None, usize::MAX);
        loop {
            if words.option("time") {
                time = Some(values::time_ms(words.next("a time")?)?);
            } else if words.option("at-least") {
                let bytes = values::number(words.next("a number of bytes")?, 0, u32::MAX)?;
                at_least = usize::try_from(bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(usize::MAX);
            } else {
                let time_ms = time.ok_or_else(|| Fault::at(at, "`wait-for-body` needs `time <time>`"))?;
                return Ok(HttpAction::WaitForBody { time_ms, at_least });
            }
        }
    }),
    ("silent-drop", REQUEST | RESPONSE | TCP, |_, _| Ok(HttpAction::SilentDrop)),
    ("reject", REQUEST | TCP, |_, _| Ok(HttpAction::Reject)),
    ("accept", TCP, |_, _| Ok(HttpAction::Allow)),
    ("close", ANSWER, |_, _| Ok(HttpAction::Close)),
    ("expect-proxy", CONNECTION, |words, _| {
        let word = words.next("`layer4`")?;
        match word.is("layer4") {
            true => Ok(HttpAction::ExpectProxy),
            false => Err(word.wrong(": expected `layer4`")),
        }
    }),
    ("switch-mode", CONTENT, switch_mode),
    ("strict-mode", 7, |words, _| {
        let word = words.next("`on` or `off`")?;
        match word.as_str() {
            "on" => Ok(HttpAction::StrictMode(true)),
            "off" => Ok(HttpAction::StrictMode(false)),
            _ => Err(word.wrong(": expected `on` or `off`")),
        }
    }),
];

fn reader_is_response(words: &Words<'_>) -> bool {
    words.side == RESPONSE
}

/// `SAMPLE len N`, or `SAMPLE id N` for a slot that `declare capture` has made.
fn capture(words: &mut Words<'_>, reader: &mut Reader<'_>) -> Result<HttpAction, Fault> {
    let (expr, _) = sample::parse(reader, words.next("an expression")?)?;
    let side = if words.side == RESPONSE { Side::Response } else { Side::Request };
    let number = |words: &mut Words<'_>, min, max| {
        let number = values::number(words.next("a number")?, min, max)?;
        Ok(usize::try_from(number).unwrap_or(0))
    };
    let slot = if words.option("id") {
        CaptureSlot::Number(number(words, 0, lines::CAPTURES_MAX - 1)?)
    } else if side == Side::Request && words.option("len") {
        CaptureSlot::Own(number(words, 1, lines::LEN_BYTES_MAX)?)
    } else {
        let expected =
            if side == Side::Request { "`len <length>` or `id <number>`" } else { "`id <number>`" };
        return Err(Fault::at(words.at, format_args!("{expected} was expected behind this word")));
    };
    Ok(HttpAction::Capture(side, slot, expr))
}

/// `http [proto h1]`: requests are told apart by their first bytes anyway, so this only ends the rules.
fn switch_mode(words: &mut Words<'_>, _: &mut Reader<'_>) -> Result<HttpAction, Fault> {
    let wrong = |word: &Word, expected| {
        Err(Fault::at(word.span, format_args!("{}: expected `{expected}`", word.quoted())))
    };
    let word = words.next("`http`")?;
    if !word.is("http") {
        return wrong(word, "http");
    }
    if words.option("proto") {
        let word = words.next("`h1`")?;
        if !word.is("h1") {
            return wrong(word, "h1");
        }
    }
    Ok(HttpAction::Allow)
}

fn set_priority(
    words: &mut Words<'_>,
    reader: &mut Reader<'_>,
    of_offset: bool,
) -> Result<HttpAction, Fault> {
    let (to, _) = sample::parse(reader, words.next("an expression")?)?;
    Ok(HttpAction::SetPriority { of_offset, to })
}

fn log_level(words: &mut Words<'_>) -> Result<HttpAction, Fault> {
    let word = words.next("a level")?;
    let level = logs::LEVELS.iter().position(|name| word.is(name));
    match (level, word.is("silent")) {
        (None, false) => {
            let hint = suggest::hint(word.text()?, logs::LEVELS.iter().copied().chain(["silent"]));
            Err(Fault::at(word.span, format_args!("{} is no log level{hint}", word.quoted())))
        }
        (level, _) => Ok(HttpAction::SetLogLevel(level.and_then(|level| u8::try_from(level).ok()))),
    }
}

fn add_header(words: &mut Words<'_>, reader: &mut Reader<'_>, alone: bool) -> Result<HttpAction, Fault> {
    let name = header_name(words.next("the name of a header")?)?;
    let value = format::parse_for_rule(reader, words.next("a value")?)?;
    Ok(HttpAction::AddHeader { name, value, alone })
}

fn del_header(words: &mut Words<'_>) -> Result<HttpAction, Fault> {
    let word = words.next("the name of a header")?;
    let mut kind = MatchKind::Str;
    if words.option("-m") {
        let method = words.next("a method")?;
        kind = match method.as_str() {
            "str" => MatchKind::Str,
            "beg" => MatchKind::Beg,
            "end" => MatchKind::End,
            "sub" => MatchKind::Sub,
            "reg" => MatchKind::Reg,
            _ => return Err(method.wrong(": expected str, beg, end, sub or reg")),
        };
    }
    if kind == MatchKind::Str {
        header_name(word)?;
    }
    let mut list = patterns::empty(kind);
    patterns::add(&mut list, kind, true, &word.bytes).map_err(|why| Fault::at(word.span, why))?;
    Ok(HttpAction::DelHeader(Matcher { kind, ignore_case: true, patterns: list }))
}

fn replace_header(words: &mut Words<'_>, reader: &mut Reader<'_>, parts: bool) -> Result<HttpAction, Fault> {
    let name = header_name(words.next("the name of a header")?)?;
    let (regex, by) = replacement(words, reader)?;
    Ok(HttpAction::ReplaceHeader { name, regex, by, parts })
}

fn replacement(
    words: &mut Words<'_>,
    reader: &mut Reader<'_>,
) -> Result<(crate::config::model::Regex, Format), Fault> {
    let word = words.next("a regular expression")?;
    let regex = patterns::regex(word.text()?, false).map_err(|why| Fault::at(word.span, why))?;
    Ok((regex, format::parse_for_rule(reader, words.next("a replacement")?)?))
}

fn set_target(words: &mut Words<'_>, reader: &mut Reader<'_>, part: TargetPart) -> Result<HttpAction, Fault> {
    Ok(HttpAction::SetTarget(part, format::parse_for_rule(reader, words.next("a text")?)?))
}

fn replace_target(
    words: &mut Words<'_>,
    reader: &mut Reader<'_>,
    part: TargetPart,
) -> Result<HttpAction, Fault> {
    let (regex, by) = replacement(words, reader)?;
    Ok(HttpAction::ReplaceTarget(part, regex, by))
}

pub(super) fn redirect(
    words: &mut Words<'_>,
    reader: &mut Reader<'_>,
    filled: bool,
) -> Result<HttpAction, Fault> {
    let word = words.next("`location`, `prefix` or `scheme`")?;
    let kind = match word.as_str() {
        "location" => RedirectKind::Location,
        "prefix" => RedirectKind::Prefix,
        "scheme" => RedirectKind::Scheme,
        _ => {
            return Err(word.wrong(": expected `location`, `prefix` or `scheme`"));
        }
    };
    let word = words.next("an address")?;
    value_text(word)?;
    let to = if filled { format::parse_for_rule(reader, word)? } else { text_format(&word.bytes) };
    let mut redirect = Redirect {
        kind,
        to,
        status: 302,
        drop_query: false,
        append_slash: false,
        ignore_empty: false,
        cookie: None,
    };
    loop {
        if words.option("code") {
            let word = words.next("a status")?;
            redirect.status = status(word, 301, 308)?;
            if matches!(redirect.status, 304..=306) {
                return Err(Fault::at(word.span, "expected 301, 302, 303, 307 or 308"));
            }
        } else if words.option("drop-query") {
            redirect.drop_query = true;
        } else if words.option("append-slash") {
            redirect.append_slash = true;
        } else if words.option("ignore-empty") {
            redirect.ignore_empty = true;
        } else if words.option("set-cookie") {
            let text = value_text(words.next("a cookie")?)?;
            redirect.cookie = Some(format!("{text}; path=/;").into());
        } else if words.option("clear-cookie") {
            let text = value_text(words.next("a cookie")?)?;
            let mark = if text.ends_with('=') { "" } else { "=" };
            redirect.cookie = Some(format!("{text}{mark}; path=/; Max-Age=0;").into());
        } else {
            return Ok(HttpAction::Redirect(redirect));
        }
    }
}

pub(super) fn text_format(text: &[u8]) -> Format {
    Format { pieces: vec![Piece::Text(text.into())] }
}

pub(super) fn status(word: &Word, min: u32, max: u32) -> Result<u16, Fault> {
    values::number(word, min, max).map(|status| u16::try_from(status).unwrap_or(500))
}

/// Text that can stand in a header's value.
pub(super) fn value_text(word: &Word) -> Result<&str, Fault> {
    match word.bytes.iter().any(u8::is_ascii_control) {
        true => Err(Fault::at(word.span, "a control character cannot stand in a header")),
        false => word.text(),
    }
}

pub(super) fn header_name(word: &Word) -> Result<Rc<str>, Fault> {
    // HAProxy takes `X-Name:` and writes two colons.
    let bytes = word.bytes.strip_suffix(b":").unwrap_or(&word.bytes);
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if bytes.is_empty() || !bytes.iter().all(|&b| tchar(b)) {
        return Err(word.wrong(" is no header name"));
    }
    Ok(String::from_utf8_lossy(bytes).into())
}
