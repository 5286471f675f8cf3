//! Persistence at work: which server a request's cookie asks for, and what the answer's cookies become
//! (configuration §4.2, "cookie"). Cookies for the log are kept on the way, as their fields are read anyway.

use super::super::trace::{Kept, Trace};
use super::rules::{End, Ending, Request, Response, editable};
use crate::backend::{Backend, Server, Wish};
use crate::config::{PersistCookie, PersistWord, Side};
use crate::http::cookies::{Cookie, Dated, Fate, SetCookie, edit_request, push_date};
use crate::http::edit::{Change, Text};
use crate::http::{Method, ResponseHead};

/// How far ahead of our clock a cookie's date may be.
const AHEAD_S: i32 = 86_400;
/// The level of syslog at which a blocked answer is told of.
const ALERT: u8 = 1;

/// Whether the cookies of requests, and of their answers, are to be looked at.
pub(super) fn reads_cookies(session: &super::Session, backend: Option<&Backend>) -> bool {
    !session.frontend.config.captures.cookie.name.is_empty()
        || backend.is_some_and(|backend| {
            let persistence = &backend.config.persistence;
            persistence.cookie.is_some() || persistence.check_cache
        })
}

/// Looks at the cookies of a request behind its rules: they say which server it asks for, where nothing else does.
///
/// # Errors
/// The changed field has no room.
pub(super) fn on_request(
    work: &mut Request<'_>,
    backend: Option<&Backend>,
    wish: &mut Wish,
    trace: &mut Trace,
) -> Result<(), End> {
    let rule = backend.zip(backend.and_then(|backend| backend.config.persistence.cookie.as_deref()));
    let now_s = seconds(work.session);
    let session = work.session;
    let mut is_captured = false;
    let mut visit = |cookie: Cookie<'_>| {
        if !is_captured {
            is_captured = session.capture_cookie(Side::Request, cookie);
        }
        match rule {
            Some((backend, rule)) if cookie.name == rule.name.as_bytes() => {
                choose(backend, rule, cookie.value, now_s, (&mut *wish, &mut trace.kept))
            }
            _ => Fate::Keep,
        }
    };
    let bytes = work.head_bytes();
    let mut plan = |field: &[u8]| match edit_request(field, &mut visit) {
        None => Change::Keep,
        Some(field) if field.is_empty() => Change::Remove,
        Some(field) => Change::To(field),
    };
    let planned = changes(&mut work.head.values(bytes, "cookie"), &mut plan);
    if planned.is_empty() {
        return Ok(());
    }
    let text = editable(&mut work.text, work.bytes, work.head.len, session);
    work.head.edit().each(text, b"cookie", &mut in_turn(planned)).map_err(|_| Ending::failed(b'R'))
}

/// What is to become of fields, up to the last that changes: nothing is allocated where none does.
fn changes(fields: &mut dyn Iterator<Item = &[u8]>, plan: &mut dyn FnMut(&[u8]) -> Change) -> Vec<Change> {
    let mut planned = Vec::new();
    for (nth, field) in fields.enumerate() {
        match plan(field) {
            Change::Keep => {}
            change => {
                planned.resize_with(nth, || Change::Keep);
                planned.push(change);
            }
        }
    }
    planned
}

fn in_turn(planned: Vec<Change>) -> impl FnMut(&[u8]) -> Change {
    let mut planned = planned.into_iter();
    move |_| planned.next().unwrap_or(Change::Keep)
}

/// What a cookie of ours says, and what becomes of it. Of several the first that finds a server counts.
fn choose(
    backend: &Backend,
    rule: &PersistCookie,
    value: &[u8],
    now_s: u32,
    (wish, kept): (&mut Wish, &mut Kept),
) -> Fate {
    let mut server = value.split(|byte| *byte == b'~').next().unwrap_or_default();
    let prefix_len = server.len();
    if !rule.prefix {
        let dated = Dated::of(value);
        server = dated.server;
        for (known, told) in [(&mut kept.last_s, dated.last_s), (&mut kept.first_s, dated.first_s)] {
            *known = if told == 0 { *known } else { told };
        }
    }
    let is_over = |date_s: u32, max_s: u32| {
        let age_s = now_s.wrapping_sub(date_s).cast_signed();
        date_s > 0 && max_s > 0 && (age_s > max_s.cast_signed() || age_s < -AHEAD_S)
    };
    let is_old = is_over(kept.first_s, rule.max_life_s);
    if is_old || is_over(kept.last_s, rule.max_idle_s) {
        (kept.flags[0], server) = (if is_old { b'O' } else { b'E' }, b"");
        (kept.last_s, kept.first_s) = (0, 0);
    }
    let is_ignored = kept.word == PersistWord::Ignore || wish.server.is_some();
    let mut found = None;
    if !is_ignored && !server.is_empty() {
        for (index, known) in backend.servers.iter().enumerate().filter(|(_, known)| known.has_cookie(server))
        {
            let is_up = known.is_up();
            kept.flags[0] = if is_up { b'V' } else { b'D' };
            if is_up || wish.even_down {
                found = Some(index);
                break;
            }
        }
    }
    if found.is_some() {
        wish.server = found;
    } else if kept.flags[0] == b'N' {
        kept.flags[0] = if is_ignored { b'U' } else { b'I' };
    }
    match rule {
        _ if rule.prefix && prefix_len < value.len() => Fate::Shorten(prefix_len + 1),
        _ if rule.insert && rule.indirect => Fate::Remove,
        _ => Fate::Keep,
    }
}

fn seconds(session: &super::Session) -> u32 {
    // HAProxy counts in 32 bits as well: it is the difference of two dates that matters.
    (session.reactor().wall_ms() / 1_000) as u32
}

/// Looks at the cookies that an answer sets, behind the server's rules, and lets it set ours. `method` is the one that
/// the server got.
///
/// # Errors
/// There is no room for it, or `option checkcache` blocks the answer.
pub(super) fn on_answer(
    work: &mut Response<'_>,
    backend: &Backend,
    method: Method,
    trace: &mut Trace,
) -> Result<(), End> {
    let bytes = work.head_bytes();
    let names = ["set-cookie", "set-cookie2"];
    let sets = backend.config.persistence.check_cache && names.iter().any(|name| work.head.has(bytes, name));
    let server = trace.server().and_then(|index| backend.servers.get(index));
    edit_cookies(work, backend, server, trace)?;
    let is_private = insert_cookie(work, backend, server, method, trace)?;
    if sets && !is_private && may_be_cached(work.head, work.head_bytes(), method) == [true, true] {
        let (instance, name) = (&backend.config.name, server.map_or("", |server| &server.config.name));
        let text = format!("Blocking cacheable cookie in response from instance {instance}, server {name}.");
        backend.tell(ALERT, &text);
        return Err(Ending::answer(502, Vec::new(), (b'P', b'H'), true));
    }
    Ok(())
}

/// What becomes of the server's own cookies; one is kept for the log.
fn edit_cookies(
    work: &mut Response<'_>,
    backend: &Backend,
    server: Option<&Server>,
    trace: &mut Trace,
) -> Result<(), End> {
    let session = work.session;
    let rule = backend.config.persistence.cookie.as_deref();
    let ignored = trace.kept.word == PersistWord::Ignore;
    let direct = trace.kept.server.is_some();
    let mut is_captured = false;
    let mut flag = trace.kept.flags[1];
    let mut plan = |field: &[u8]| {
        let Some(set) = SetCookie::of(field) else { return Change::Keep };
        if !is_captured {
            is_captured = session.capture_cookie(Side::Response, set.cookie);
        }
        let own = rule.filter(|rule| !ignored && set.cookie.name == rule.name.as_bytes());
        let Some(rule) = own else { return tidied(&set) };
        let (told, change) = match rule {
            _ if rule.preserve => (b'P', tidied(&set)),
            _ if rule.insert || direct && rule.indirect => (b'D', Change::Remove),
            _ if !rule.rewrite && !rule.prefix => (b'P', tidied(&set)),
            _ => match value_of(server) {
                None => (b'P', tidied(&set)),
                Some(value) if rule.rewrite => (b'R', Change::To(set.with(b"", &value))),
                Some(mut value) => {
                    value.push(b'~');
                    (b'R', Change::To(set.with(&value, set.cookie.value)))
                }
            },
        };
        flag = told;
        change
    };
    let bytes = work.head_bytes();
    let planned = changes(&mut work.head.values(bytes, "set-cookie"), &mut plan);
    trace.kept.flags[1] = flag;
    if !planned.is_empty() {
        let text = editable(&mut work.text, work.bytes, work.head.len, session);
        let done = work.head.edit().each(text, b"set-cookie", &mut in_turn(planned));
        done.map_err(|_| Ending::failed(b'H'))?;
    }
    Ok(())
}

/// The value that means a server.
fn value_of(server: Option<&Server>) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    server?.push_cookie(&mut value).then_some(value)
}

/// Gives the client a cookie, where it is to have one; true where the answer then says that nobody else may keep it.
fn insert_cookie(
    work: &mut Response<'_>,
    backend: &Backend,
    server: Option<&Server>,
    method: Method,
    trace: &mut Trace,
) -> Result<bool, End> {
    let fail = |_| Ending::failed(b'H');
    let session = work.session;
    let rule = backend.config.persistence.cookie.as_deref().filter(|rule| rule.insert);
    let Some(rule) = rule.filter(|_| trace.kept.word != PersistWord::Ignore) else { return Ok(false) };
    let now_s = seconds(session);
    if !wants_cookie(rule, &trace.kept, now_s) || rule.post_only && method != Method::Post {
        return Ok(false);
    }
    let value = value_of(server);
    let has_value = value.is_some();
    let field = new_cookie(rule, value, trace.kept.first_s, now_s);
    let cached = rule.no_cache && may_be_cached(work.head, work.head_bytes(), method)[0];
    let text: &mut Text = editable(&mut work.text, work.bytes, work.head.len, session);
    work.head.edit().add(text, b"Set-Cookie", &field).map_err(fail)?;
    trace.kept.flags[1] = if has_value && trace.kept.server.is_some() { b'U' } else { b'I' };
    if cached {
        work.head.edit().add(text, b"Cache-Control", b"private").map_err(fail)?;
    }
    Ok(cached)
}

fn tidied(set: &SetCookie<'_>) -> Change {
    if set.is_tidy { Change::Keep } else { Change::To(set.with(b"", set.cookie.value)) }
}

/// Whether the client is to be given a cookie: its server is not the one it asked for, or a date is to be renewed, told
/// for the first time, or told no more.
fn wants_cookie(rule: &PersistCookie, kept: &Kept, now_s: u32) -> bool {
    let has_own = kept.flags[1] == b'P' && rule.preserve;
    let is_dated = rule.max_idle_s > 0 || kept.last_s > 0;
    let is_old = kept.last_s == 0 || kept.last_s.wrapping_sub(now_s).cast_signed() < 0;
    let first_changes = (rule.max_life_s > 0) != (kept.first_s > 0);
    !has_own && (kept.server.is_none() || is_dated && is_old || first_changes)
}

/// A field `Set-Cookie`; for a server without a value one that takes the client's cookie back.
fn new_cookie(rule: &PersistCookie, value: Option<Vec<u8>>, first_s: u32, now_s: u32) -> Vec<u8> {
    let mut field = [rule.name.as_bytes(), b"="].concat();
    match value {
        None => field.extend_from_slice(b"; Expires=Thu, 01-Jan-1970 00:00:01 GMT"),
        Some(value) => {
            field.extend(value);
            if rule.max_idle_s > 0 || rule.max_life_s > 0 {
                field.push(b'|');
                push_date(now_s, &mut field);
            }
            if rule.max_life_s > 0 {
                field.push(b'|');
                push_date(if first_s > 0 { first_s } else { now_s }, &mut field);
            }
        }
    }
    field.extend_from_slice(b"; path=/");
    field.extend_from_slice(rule.attributes.as_bytes());
    field
}

/// Whether somebody on the way might keep this answer, and whether its cookies too: by the method, the status, and what
/// it says of its age.
fn may_be_cached(head: &ResponseHead, bytes: &[u8], method: Method) -> [bool; 2] {
    const FORBID: [&str; 5] = ["no-cache", "no-store", "private", "max-age=0", "s-maxage=0"];
    const STATUSES: [u16; 11] = [200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501];
    let is_safe = matches!(method, Method::Get | Method::Head | Method::Options | Method::Trace);
    let is = |word: &[u8], text: &str| word.eq_ignore_ascii_case(text.as_bytes());
    if head.values(bytes, "pragma").next().is_some_and(|value| is(value, "no-cache")) {
        return [false; 2];
    }
    let mut may = is_safe && STATUSES.contains(&head.status);
    let mut with_cookies = may;
    let mut has_age = ["etag", "last-modified", "expires"].iter().any(|name| head.has(bytes, name));
    for field in head.values(bytes, "cache-control") {
        for word in field.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let begins = |text: &str| word.get(..text.len()).is_some_and(|start| is(start, text));
            if is(word, "public") {
                (may, with_cookies) = (true, true);
            }
            may &= !FORBID.iter().any(|text| is(word, text));
            with_cookies &= !begins("no-cache=\"set-cookie");
            has_age |= begins("max-age") || begins("s-maxage");
        }
    }
    [may && has_age, with_cookies]
}
