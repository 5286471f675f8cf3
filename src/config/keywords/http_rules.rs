//! `http-request`, `http-response`, `http-after-response`, `redirect` and `block` (configuration §4.2).

use super::http_actions::{
    ACTIONS, AFTER, CONNECTION, CONTENT, REQUEST, RESPONSE, SESSION, TCP, redirect, text_format,
};
use super::replies::plain_reply;
use super::words::Words;
use super::{Keyword, Sections, lines, tcp_lint};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::draft::{Proxy, ProxyKind};
use crate::config::lexer::Word;
use crate::config::model::{CaptureSlot, HttpAction, HttpRule, MatchKind, Matcher, Patterns};
use crate::config::sample::Reader;
use crate::config::{condition, lint, suggest};
use crate::http::edit::is_own;

pub(super) const PROXIES: Sections = Sections::FRONTEND.or(Sections::LISTEN).or(Sections::BACKEND);
const RULES: Sections = PROXIES.or(Sections::DEFAULTS);
/// Rules of one kind in one proxy.
const RULES_MAX: usize = 65_536;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "http-request",
        RULES,
        "1.3",
        "<action> [<arguments>…] [if|unless <condition>]",
        "a rule for requests",
        |b, st| rule(b, st, REQUEST),
    ),
    Keyword::new(
        "http-response",
        RULES,
        "1.5",
        "<action> [<arguments>…] [if|unless <condition>]",
        "a rule for answers of servers",
        |b, st| rule(b, st, RESPONSE),
    ),
    Keyword::new(
        "http-after-response",
        RULES,
        "2.2",
        "<action> [<arguments>…] [if|unless <condition>]",
        "a rule for all answers, the gateway's own included",
        |b, st| rule(b, st, AFTER),
    ),
    Keyword::new(
        "redirect",
        PROXIES,
        "1.3",
        "location|prefix|scheme <to> [code <code>] [<option>…] [if|unless <condition>]",
        "send the client elsewhere; checked behind `http-request` rules",
        |b, st| {
            let rule = read(b, st, st.args(), &mut |words, reader| redirect(words, reader, false))?;
            add(b, st, |proxy| &mut proxy.http_rules.redirects, rule)
        },
    ),
    Keyword::new(
        "block",
        PROXIES,
        "1.3",
        "if|unless <condition>",
        "answer 403; checked before `http-request` rules",
        |b, st| {
            let rule = read(b, st, st.args(), &mut |_, _| Ok(HttpAction::Deny(plain_reply(403))))?;
            add(b, st, |proxy| &mut proxy.blocks, rule)
        },
    )
    .instead("http-request deny"),
];

/// Reads a rule of this kind.
pub(super) fn rule(b: &mut Builder<'_>, st: &Statement<'_>, side: u8) -> Result<(), Fault> {
    let [word, rest @ ..] = st.args() else {
        return Err(st.wrong(format_args!("`{}` needs an action", st.keyword.name)));
    };
    let text = word.text()?;
    let named = |name: &str| match name.strip_suffix('(') {
        Some(stem) => text.strip_prefix(stem).is_some_and(|rest| rest.starts_with('(')),
        None => name == text,
    };
    let here = || ACTIONS.iter().filter(|(_, sides, _)| sides & side != 0);
    let Some((_, _, make)) = here().find(|(name, ..)| named(name)) else {
        let hint = suggest::hint(text, here().map(|(name, ..)| name.trim_end_matches('(')));
        return Err(Fault::at(
            word.span,
            format_args!("the action {} of `{}` is not built{hint}", word.quoted(), st.keyword.name),
        ));
    };
    let mut rule = read(b, st, rest, &mut |words, reader| {
        (words.action, words.at, words.side) = (&word.bytes, word.span, side);
        make(words, reader)
    })?;
    if side & TCP != 0 {
        tcp_lint::check(b, st, &rule, side)?;
    }
    if let Some(name) = own_header(&rule.action) {
        b.warn(
            st,
            Some(word.span),
            format!("no effect on `{name}`: the gateway itself decides about this header"),
        );
    }
    if let HttpAction::Auth(realm) = &mut rule.action
        && realm.pieces.is_empty()
    {
        *realm = text_format(b.proxy()?.name.as_bytes());
    }
    if let [name, ..] = rest
        && let Some(bare) = name.bytes.strip_suffix(b":")
        && text.ends_with("-header")
    {
        let bare = String::from_utf8_lossy(bare);
        b.warn(st, Some(name.span), format!("the colon is not part of the name: taken as `{bare}`"));
    }
    if let HttpAction::Capture(_, slot, _) = &mut rule.action
        && let CaptureSlot::Own(len_bytes) = *slot
    {
        let proxy = b.proxy()?;
        if proxy.kind == ProxyKind::Backend {
            return Err(Fault::at(word.span, "a backend has no captures of its own: expected `id <number>`"));
        }
        let list = &mut proxy.captures.request;
        *slot = CaptureSlot::Number(
            lines::capture_slot(list, len_bytes).map_err(|why| Fault::at(word.span, why))?,
        );
    }
    let list: fn(&mut Proxy) -> &mut Vec<HttpRule> = match side {
        REQUEST => |proxy| &mut proxy.http_rules.request,
        RESPONSE => |proxy| &mut proxy.http_rules.response,
        AFTER => |proxy| &mut proxy.http_rules.after,
        CONNECTION => |proxy| &mut proxy.tcp_rules.connection,
        SESSION => |proxy| &mut proxy.tcp_rules.session,
        CONTENT => |proxy| &mut proxy.tcp_rules.request,
        _ => |proxy| &mut proxy.tcp_rules.response,
    };
    add(b, st, list, rule)
}

fn own_header(action: &HttpAction) -> Option<&str> {
    match action {
        HttpAction::DelHeader(Matcher { patterns: Patterns::Bytes(list), kind: MatchKind::Str, .. }) => {
            list.iter().find(|name| is_own(name)).and_then(|name| std::str::from_utf8(name).ok())
        }
        HttpAction::AddHeader { name, .. } | HttpAction::ReplaceHeader { name, .. } => {
            Some(&**name).filter(|name| is_own(name.as_bytes()))
        }
        _ => None,
    }
}

/// Reads an action and the condition behind it.
pub(super) fn read<'w>(
    b: &mut Builder<'_>,
    st: &Statement<'w>,
    words: &'w [Word],
    make: &mut dyn FnMut(&mut Words<'w>, &mut Reader<'_>) -> Result<HttpAction, Fault>,
) -> Result<HttpRule, Fault> {
    let spot = b.spot(st, words.first().map(|word| word.span));
    let mut words = Words::new(b, st, words);
    let (acls, mut reader) = b.terms(&spot)?;
    let action = make(&mut words, &mut reader)?;
    let condition = condition::parse(acls, &mut reader, st.place, words.rest)?;
    if let Some((span, message)) = words.warning {
        b.warn(st, Some(span), message);
    }
    Ok(HttpRule { action, condition, place: st.place.clone() })
}

/// Adds a rule to its list, with a warning where it stands in vain.
fn add(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    list: fn(&mut Proxy) -> &mut Vec<HttpRule>,
    rule: HttpRule,
) -> Result<(), Fault> {
    let proxy = b.proxy()?;
    let misplaced = lint::misplaced(proxy, st.keyword.name);
    let acls = std::mem::take(&mut proxy.acls);
    // Those for TCP have a look of their own.
    let never = match st.keyword.name.starts_with("tcp-") {
        true => None,
        false => lint::unreachable_http(&acls, &mut list(proxy).iter()),
    };
    proxy.acls = acls;
    push(list(proxy), rule)?;
    if let Some(message) = never.or(misplaced) {
        b.warn(st, None, message);
    }
    Ok(())
}

pub(super) fn push(rules: &mut Vec<HttpRule>, rule: HttpRule) -> Result<(), Fault> {
    if rules.len() == RULES_MAX {
        return Err(Fault::line(format_args!("a section has at most {RULES_MAX} rules of one kind")));
    }
    rules.push(rule);
    Ok(())
}
