//! `reqrep`, `rspadd` and their like, which worked on whole lines of a head. HAProxy 2.1 took them out; devices that
//! were set up before still have them (configuration of 1.8, §4.2).

use super::Keyword;
use super::http_actions::header_name;
use super::http_rules::{PROXIES, push, read};
use super::replies::plain_reply;
use super::words::Words;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{Format, HttpAction, HttpRules, LineRule, LineWork, Piece};
use crate::config::patterns;

const SEARCH: &str = "<regex> [if|unless <condition>]";
const REPLACE: &str = "<regex> <line> [if|unless <condition>]";
const ADD: &str = "<line> [if|unless <condition>]";

pub(super) const TABLE: &[Keyword] = &[
    old("reqadd", ADD, "add a line to requests", "http-request add-header"),
    old("reqallow", SEARCH, "let requests with such a line pass", "http-request allow"),
    old("reqdel", SEARCH, "remove such lines from requests", "http-request del-header"),
    old("reqdeny", SEARCH, "answer requests with such a line with 403", "http-request deny"),
    old("reqpass", SEARCH, "let requests with such a line pass", "http-request allow"),
    old("reqrep", REPLACE, "replace such lines of requests", "http-request replace-header"),
    old("reqtarpit", SEARCH, "hold requests with such a line back", "http-request tarpit"),
    old("reqiallow", SEARCH, "`reqallow`, letter case aside", "http-request allow"),
    old("reqidel", SEARCH, "`reqdel`, letter case aside", "http-request del-header"),
    old("reqideny", SEARCH, "`reqdeny`, letter case aside", "http-request deny"),
    old("reqipass", SEARCH, "`reqpass`, letter case aside", "http-request allow"),
    old("reqirep", REPLACE, "`reqrep`, letter case aside", "http-request replace-header"),
    old("reqitarpit", SEARCH, "`reqtarpit`, letter case aside", "http-request tarpit"),
    old("rspadd", ADD, "add a line to answers", "http-response add-header"),
    old("rspdel", SEARCH, "remove such lines from answers", "http-response del-header"),
    old("rspdeny", SEARCH, "answer 502 for answers with such a line", "http-response deny"),
    old("rsprep", REPLACE, "replace such lines of answers", "http-response replace-header"),
    old("rspidel", SEARCH, "`rspdel`, letter case aside", "http-response del-header"),
    old("rspideny", SEARCH, "`rspdeny`, letter case aside", "http-response deny"),
    old("rspirep", REPLACE, "`rsprep`, letter case aside", "http-response replace-header"),
];

const fn old(name: &'static str, args: &'static str, help: &'static str, new: &'static str) -> Keyword {
    Keyword::new(name, PROXIES, "1.3", args, help, rule).lenient().instead(new)
}

fn rule(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let name = st.keyword.name;
    let of_request = name.starts_with("req");
    let work = name.get(3..).unwrap_or_default();
    // No work begins with this letter itself.
    let (work, ignore_case) = work.strip_prefix('i').map_or((work, false), |work| (work, true));
    let rule = read(b, st, st.args(), &mut |words, _| action(words, work, ignore_case, of_request))?;
    let HttpRules { lines, response_lines, added, response_added, .. } = &mut b.proxy()?.http_rules;
    push(
        match (of_request, work == "add") {
            (true, false) => lines,
            (true, true) => added,
            (false, false) => response_lines,
            (false, true) => response_added,
        },
        rule,
    )
}

fn action(
    words: &mut Words<'_>,
    work: &str,
    ignore_case: bool,
    of_request: bool,
) -> Result<HttpAction, Fault> {
    let word = words.next(if work == "add" { "a line `Name: value`" } else { "a regular expression" })?;
    if work == "add" {
        let (name, value) = word
            .text()?
            .split_once(':')
            .ok_or_else(|| word.wrong(": expected a line `Name: value` in one word"))?;
        let name = header_name(&Word { bytes: name.into(), span: word.span })?;
        let value = Format { pieces: vec![Piece::Text(value.trim().as_bytes().into())] };
        return Ok(HttpAction::AddHeader { name, value, alone: false });
    }
    let regex = patterns::regex(word.text()?, ignore_case).map_err(|why| Fault::at(word.span, why))?;
    let denied = plain_reply(if of_request { 403 } else { 502 });
    let work = match work {
        "del" => LineWork::Remove,
        "rep" => LineWork::Replace(words.next("a line")?.bytes.as_slice().into()),
        "deny" => LineWork::End(HttpAction::Deny(denied).into()),
        "tarpit" => LineWork::End(HttpAction::Tarpit(plain_reply(500)).into()),
        _ => LineWork::End(HttpAction::Allow.into()),
    };
    Ok(HttpAction::Lines(LineRule { regex, work }))
}
