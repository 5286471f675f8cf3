//! Pages for errors, and answers to monitors (configuration §4.2, "errorfile", "monitor-uri").

use std::path::Path;
use std::rc::Rc;

use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::condition;
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::patterns::read_file;
use crate::config::values::number;
use crate::http::answer::{page, redirection};

/// The statuses of answers that the gateway gives by itself (configuration §1.3.1).
const STATUSES: [u16; 18] =
    [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 422, 425, 429, 431, 500, 501, 502, 503];

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "errorfile",
        Sections::PROXIES,
        "1.3",
        "<status> <file>",
        "send this file, a whole HTTP answer, instead of our own page",
        errorfile,
    ),
    Keyword::new(
        "errorloc",
        Sections::PROXIES,
        "1.3",
        "<status> <url>",
        "send clients elsewhere (302) instead of an error page",
        |b, st| errorloc(b, st, 302),
    ),
    Keyword::new("errorloc302", Sections::PROXIES, "1.3", "<status> <url>", "the same", |b, st| {
        errorloc(b, st, 302)
    }),
    Keyword::new("errorloc303", Sections::PROXIES, "1.3", "<status> <url>", "the same with 303", |b, st| {
        errorloc(b, st, 303)
    }),
    Keyword::new(
        "monitor-uri",
        Sections::CLIENT_SIDE,
        "1.3",
        "<uri>",
        "answer requests for exactly this target with 200, without a log line",
        |b, st| {
            let text = st.one("a target such as /alive")?.text()?;
            b.settings()?.monitor_uri = Some(text.into());
            Ok(())
        },
    ),
    Keyword::new(
        "monitor fail",
        Sections::FRONTEND.or(Sections::LISTEN),
        "1.3",
        "if|unless <condition>",
        "answer `monitor-uri` with 503 when the condition holds",
        |b, st| {
            let spot = b.spot(st, Some(st.name_span()));
            let (acls, mut reader) = b.terms(&spot)?;
            let condition = condition::parse(acls, &mut reader, st.place, st.args())?
                .ok_or_else(|| Fault::at(st.name_span(), "expected `monitor fail if CONDITION`"))?;
            b.proxy()?.monitor_fail.push(condition);
            Ok(())
        },
    ),
];

fn two<'s>(st: &Statement<'s>) -> Result<(u16, &'s Word), Fault> {
    let [code, word, rest @ ..] = st.args() else {
        return Err(Fault::at(st.name_span(), format!("`{}` takes {}", st.keyword.name, st.keyword.args)));
    };
    st.end(rest)?;
    let status = u16::try_from(number(code, 200, 504)?).unwrap_or(500);
    if !STATUSES.contains(&status) && status != 504 {
        let list: Vec<String> = STATUSES.iter().map(u16::to_string).collect();
        return Err(Fault::at(
            code.span,
            format!("no error page has the status {status}; expected one of {}, 504", list.join(", ")),
        ));
    }
    Ok((status, word))
}

fn set(b: &mut Builder<'_>, status: u16, page: Vec<u8>) -> Result<(), Fault> {
    let errors = &mut b.settings()?.errors;
    errors.retain(|(known, _)| *known != status);
    errors.push((status, Rc::from(page)));
    Ok(())
}

fn errorfile(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let (status, word) = two(st)?;
    let path = word.text()?;
    let fault = |why: String| Fault::at(word.span, why);
    let bytes_max = b.global.bufsize_bytes.saturating_sub(b.global.maxrewrite_bytes);
    let bytes = read_file(Path::new(path), bytes_max as u64).map_err(fault)?;
    if bytes.is_empty() {
        // HAProxy's way to say: close without an answer.
        return set(b, status, Vec::new());
    }
    let page = page(&bytes).map_err(|why| fault(format!("`{path}` is no HTTP answer: {why}")))?;
    set(b, status, page)
}

fn errorloc(b: &mut Builder<'_>, st: &Statement<'_>, code: u16) -> Result<(), Fault> {
    let (status, word) = two(st)?;
    if word.bytes.iter().any(|&b| b <= b' ' || b == 0x7f) {
        return Err(Fault::at(word.span, "a blank or control character cannot stand in an address"));
    }
    set(b, status, redirection(code, &word.bytes))
}
