//! Pages for errors, and answers to monitors (configuration §4.2, "errorfile", "monitor-uri").

use std::rc::Rc;

use super::{Keyword, Sections, listed, replies};
use crate::config::builder::{Builder, Statement};
use crate::config::condition;
use crate::config::diagnostics::Fault;
use crate::config::draft::ErrorSource;
use crate::config::lexer::Word;
use crate::config::model::{ErrorPage, RefId, ReplyBody};
use crate::config::patterns::{self, Files};
use crate::config::sample::ReferenceKind;
use crate::config::values::number;
use crate::http::answer::{page, redirection};

/// The statuses of answers that the gateway gives by itself (configuration §1.3.1).
const STATUSES: &str = "200|400|401|403|404|405|407|408|410|413|422|425|429|431|500|501|502|503|504";
/// Networks of one `monitor-net` list.
const NETS_MAX: usize = 1_024;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "errorfile",
        Sections::PROXIES.or(Sections::HTTP_ERRORS),
        "1.3",
        "<status> <file>",
        "send this file, a whole HTTP answer, instead of our own page",
        errorfile,
    ),
    Keyword::new(
        "errorfiles",
        Sections::PROXIES,
        "2.2",
        "<name> [<status>…]",
        "send the answers of this `http-errors` section, all of them or these",
        errorfiles,
    ),
    Keyword::new(
        "http-error",
        Sections::PROXIES,
        "2.2",
        "status <status> [content-type <type>] [errorfile|errorfiles|file|lf-file|string|lf-string <value>] \
         [default-errorfiles] [hdr <name> <value>]…",
        "what is sent in place of our own page for a status",
        http_error,
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
            b.settings().monitor_uri = Some(text.into());
            Ok(())
        },
    ),
    Keyword::new(
        "monitor-net",
        Sections::CLIENT_SIDE,
        "1.3",
        "<address>[/<mask>]",
        "tell clients from there that all is well (`mode http`) or close (`mode tcp`), without a log line",
        |b, st| {
            let word = st.one("a network such as 192.0.2.0/24")?;
            let net = patterns::net(word.text()?).map_err(|why| Fault::at(word.span, why))?;
            let nets = &mut b.settings().monitor_nets;
            if nets.len() == NETS_MAX {
                return Err(Fault::line(format_args!("a section has at most {NETS_MAX} of these")));
            }
            nets.push(net);
            Ok(())
        },
    )
    .instead("http-request return status 200 if { src … }"),
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
                .ok_or_else(|| st.wrong("expected `monitor fail if CONDITION`"))?;
            b.proxy()?.monitor_fail.push(condition);
            Ok(())
        },
    ),
];

/// A status that a page can have.
fn page_status(word: &Word) -> Result<u16, Fault> {
    let status = u16::try_from(number(word, 200, 599)?).unwrap_or(500);
    if listed(STATUSES, &status.to_string()) {
        return Ok(status);
    }
    let list = STATUSES.replace('|', ", ");
    Err(Fault::at(word.span, format_args!("no error page has the status {status}; expected one of {list}")))
}

fn two<'s>(st: &Statement<'s>) -> Result<(u16, &'s Word), Fault> {
    let [code, word, rest @ ..] = st.args() else {
        return Err(usage(st));
    };
    st.end(rest)?;
    Ok((page_status(code)?, word))
}

fn usage(st: &Statement<'_>) -> Fault {
    st.wrong(format_args!("`{}` takes {}", st.keyword.name, st.keyword.args))
}

fn set(b: &mut Builder<'_>, status: u16, page: Rc<[u8]>) -> Result<(), Fault> {
    if let Some(pages) = b.error_section() {
        pages.retain(|(known, _)| *known != status);
        pages.push((status, page));
        return Ok(());
    }
    b.settings().errors.push(ErrorSource::Page(status, Some(ErrorPage::Whole(page))));
    Ok(())
}

/// The largest answer in a file: a buffer, without what is kept free for added headers.
pub(super) fn answer_bytes_max(b: &Builder<'_>) -> u64 {
    b.global.bufsize_bytes.saturating_sub(b.global.maxrewrite_bytes) as u64
}

/// The answer in a file; empty = close without a word.
pub(super) fn whole_answer(files: &Files, word: &Word, bytes_max: u64) -> Result<Rc<[u8]>, Fault> {
    let path = word.text()?;
    // The usual way to name nothing; it is no plain file.
    if path == "/dev/null" {
        return Ok(Rc::default());
    }
    let bytes = files.read(path, bytes_max).map_err(|why| Fault::at(word.span, why))?;
    if bytes.is_empty() {
        return Ok(Rc::default());
    }
    let page = page(&bytes);
    page.map(Rc::from).map_err(|why| Fault::at(word.span, format_args!("`{path}` is no HTTP answer: {why}")))
}

fn errorfile(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let (status, word) = two(st)?;
    let page = whole_answer(&b.shared.files, word, answer_bytes_max(b))?;
    set(b, status, page)
}

fn errorfiles(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [name, codes @ ..] = st.args() else {
        return Err(usage(st));
    };
    let mut statuses = Vec::with_capacity(codes.len());
    for code in codes {
        statuses.push(page_status(code)?);
    }
    let spot = b.spot(st, Some(name.span));
    let id = b.reader(&spot).reference(ReferenceKind::Pages, name.text()?);
    let id = id.map_err(|why| Fault::at(name.span, why))?;
    b.shared.wanted_pages.extend(statuses.iter().map(|status| (id, *status, spot.clone())));
    from_section(b, id, statuses)
}

fn from_section(b: &mut Builder<'_>, id: RefId, statuses: Vec<u16>) -> Result<(), Fault> {
    b.settings().errors.push(ErrorSource::Section(id, statuses));
    Ok(())
}

fn http_error(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    match st.args() {
        [word, code, ..] if word.is("status") => page_status(code)?,
        _ => return Err(usage(st)),
    };
    let reply = replies::error_reply(b, st)?;
    let status = reply.status;
    let page = match &reply.body {
        ReplyBody::Page => None,
        ReplyBody::Whole(page) => Some(ErrorPage::Whole(page.clone())),
        ReplyBody::Pages(id) => return from_section(b, *id, vec![status]),
        _ => Some(ErrorPage::Made(Rc::new(reply))),
    };
    b.settings().errors.push(ErrorSource::Page(status, page));
    Ok(())
}

fn errorloc(b: &mut Builder<'_>, st: &Statement<'_>, code: u16) -> Result<(), Fault> {
    let (status, word) = two(st)?;
    if word.bytes.iter().any(|&b| b <= b' ' || b == 0x7f) {
        return Err(Fault::at(word.span, "a blank or control character cannot stand in an address"));
    }
    set(b, status, redirection(code, &word.bytes).into())
}
