//! What session lines tell: `capture …`, `log-format …`, `unique-id-…` (configuration §4.2).

use super::options::flag;
use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::{Fault, Spot};
use crate::config::format as formats;
use crate::config::lexer::Word;
use crate::config::model::{Capture, Captures, Format, Lines, LogFormat, Piece};
use crate::config::values::number;
use std::rc::Rc;

const CLIENT: Sections = Sections::CLIENT_SIDE;
/// Not in `defaults`.
const OWN: Sections = Sections::FRONTEND.or(Sections::LISTEN);
/// Headers that one proxy keeps of a message.
pub(super) const CAPTURES_MAX: u32 = 256;
/// The longest text that is kept.
pub(super) const LEN_BYTES_MAX: u32 = 65_535;

/// `option httplog clf`.
const CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc \
                   %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "capture request header",
        OWN,
        "1.3",
        "<name> len <bytes>",
        "keep a header of each request for its log line",
        |b, st| capture(b, st, header(st)?, |all| &mut all.request),
    ),
    Keyword::new(
        "capture response header",
        OWN,
        "1.3",
        "<name> len <bytes>",
        "keep a header of each answer for its log line",
        |b, st| capture(b, st, header(st)?, |all| &mut all.response),
    ),
    Keyword::new(
        "capture cookie",
        OWN,
        "1.3",
        "<name> len <bytes>",
        "keep a cookie, by the beginning of its text `name=value`, for the log line",
        |b, st| {
            b.proxy()?.captures.cookie = header(st)?;
            Ok(())
        },
    ),
    Keyword::new(
        "declare capture request",
        OWN,
        "1.6",
        "len <bytes>",
        "a place that `http-request capture … id` fills",
        |b, st| capture(b, st, unnamed(st)?, |all| &mut all.request),
    ),
    Keyword::new(
        "declare capture response",
        OWN,
        "1.6",
        "len <bytes>",
        "a place that `http-response capture … id` fills",
        |b, st| capture(b, st, unnamed(st)?, |all| &mut all.response),
    ),
    Keyword::new("log-format", CLIENT, "1.5", "<text>", "session lines of one's own", |b, st| {
        format(b, st, "the text of the line", |lines| &mut lines.custom)?;
        b.settings().log_format = LogFormat::Custom;
        Ok(())
    }),
    Keyword::new(
        "error-log-format",
        CLIENT,
        "2.5",
        "<text>",
        "lines of one's own for connections that never became a session",
        |b, st| format(b, st, "the text of the line", |lines| &mut lines.errors),
    ),
    Keyword::new(
        "log-format-sd",
        CLIENT,
        "1.5",
        "<text>",
        "the structured data of lines in `format rfc5424`",
        |b, st| format(b, st, "the text", |lines| &mut lines.structured),
    ),
    Keyword::new("unique-id-format", CLIENT, "1.5", "<text>", "the text of each request's id", |b, st| {
        format(b, st, "the text of the id", |lines| &mut lines.unique_id)
    }),
    Keyword::new(
        "unique-id-header",
        CLIENT,
        "1.5",
        "<name>",
        "the header in which the server gets each request's id",
        |b, st| {
            let word = st.one("the name of a header")?;
            b.settings().lines.unique_id_header = Some(header_name(word)?.into());
            Ok(())
        },
    ),
    Keyword::new(
        "log-tag",
        Sections::PROXIES,
        "1.6",
        "<text>",
        "the program's name in log lines",
        |b, st| {
            b.settings().log_tag = Some(st.one("the name")?.text()?.to_owned());
            Ok(())
        },
    ),
    switch("option dontlog-normal", "1.3", "only sessions that went wrong get a line", |b, st| {
        flag(b, st, |s| &mut s.lines.only_errors)
    }),
    switch("option logasap", "1.3", "write the line when the answer begins", |b, st| {
        flag(b, st, |s| &mut s.lines.asap)
    }),
    switch("option log-separate-errors", "1.3", "log sessions that went wrong as errors", |b, st| {
        flag(b, st, |s| &mut s.lines.separate_errors)
    }),
];

const fn switch(name: &'static str, since: &'static str, help: &'static str, parse: super::Parse) -> Keyword {
    Keyword::new(name, CLIENT, since, "", help, parse).with_no().lenient()
}

/// A place for a text that a rule fills: its number. For `http-request capture EXPR len N`.
///
/// # Errors
/// There are too many.
pub(crate) fn capture_slot(list: &mut Vec<Capture>, len_bytes: usize) -> Result<usize, String> {
    if list.len() >= CAPTURES_MAX as usize {
        return Err(format!("a proxy keeps at most {CAPTURES_MAX} headers of a message"));
    }
    list.push(Capture { name: String::new(), len_bytes });
    Ok(list.len() - 1)
}

/// `option httplog clf`.
pub(super) fn clf(b: &mut Builder<'_>, st: &Statement<'_>, word: &Word) -> Result<(), Fault> {
    let text = Word { bytes: CLF.as_bytes().to_vec(), span: word.span };
    let format = line(b, st, &text)?;
    let settings = b.settings();
    settings.lines.custom = Some(format);
    settings.log_format = LogFormat::Custom;
    Ok(())
}

/// A text of one's own.
fn format(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    what: &str,
    of: fn(&mut Lines) -> &mut Option<Rc<Format>>,
) -> Result<(), Fault> {
    let format = line(b, st, st.one(what)?)?;
    *of(&mut b.settings().lines) = Some(format);
    Ok(())
}

/// A text of a line: blanks side by side are one, at its beginning none.
fn line(b: &mut Builder<'_>, st: &Statement<'_>, word: &Word) -> Result<Rc<Format>, Fault> {
    let spot: Spot = b.spot(st, Some(word.span));
    let mut format = formats::parse(&mut b.reader(&spot), word)?;
    for (nth, piece) in format.pieces.iter_mut().enumerate() {
        if let Piece::Text(text) = piece {
            let kept: &[u8] = if nth == 0 { text.trim_ascii_start() } else { text.as_ref() };
            let mut bytes = kept.to_vec();
            bytes.dedup_by(|a, b| a.is_ascii_whitespace() && b.is_ascii_whitespace());
            *text = bytes.into();
        }
    }
    Ok(format.into())
}

fn capture(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    capture: Capture,
    of: fn(&mut Captures) -> &mut Vec<Capture>,
) -> Result<(), Fault> {
    let list = of(&mut b.proxy()?.captures);
    let slot = capture_slot(list, capture.len_bytes).map_err(|message| st.wrong(message))?;
    if let Some(kept) = list.get_mut(slot) {
        *kept = capture;
    }
    Ok(())
}

/// `len N`, for what a rule fills.
fn unnamed(st: &Statement<'_>) -> Result<Capture, Fault> {
    Ok(Capture { name: String::new(), len_bytes: len(st, st.args())? })
}

/// `NAME len N`.
fn header(st: &Statement<'_>) -> Result<Capture, Fault> {
    let [name, rest @ ..] = st.args() else {
        return Err(st.wrong(format_args!("expected `{} {}`", st.keyword.name, st.keyword.args)));
    };
    Ok(Capture { name: header_name(name)?.to_owned(), len_bytes: len(st, rest)? })
}

/// `len N`.
fn len(st: &Statement<'_>, words: &[Word]) -> Result<usize, Fault> {
    let [word, value, rest @ ..] = words else {
        return Err(
            st.wrong(format_args!("the length is missing: `{} {}`", st.keyword.name, st.keyword.args))
        );
    };
    if !word.is("len") {
        return Err(word.wrong(": expected `len`"));
    }
    st.end(rest)?;
    Ok(number(value, 1, LEN_BYTES_MAX)? as usize)
}

fn header_name(word: &Word) -> Result<&str, Fault> {
    let text = word.text()?;
    // A cookie's name may have its `=` behind it.
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~=".contains(&byte);
    if text.is_empty() || !text.bytes().all(fine) {
        return Err(word.wrong(" is no name"));
    }
    Ok(text)
}
