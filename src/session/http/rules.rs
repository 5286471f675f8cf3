//! The rules for HTTP at work. No waiting in here.

use std::cell::Cell;
use std::rc::Rc;

use super::super::Session;
use super::super::extra::LogLevel;
use super::super::fill::fill;
use super::super::world::Scene;
use super::changes::{bounds, change_fields, changed, substituted, with_part};
use super::replies::replied;
use crate::backend::Backend;
use crate::config::{
    Acl, CaptureSlot, HeaderNames, HttpAction, HttpRule, HttpRules, LineRule, LineWork, Redirect,
    RedirectKind,
};
use crate::http::answer::compose;
use crate::http::edit::{Text, path_of};
use crate::http::{RequestHead, ResponseHead, TooLong, body_so_far};
use crate::net::Buffer;
use crate::rules::fill::encode;
use crate::rules::{Sample, Scratch, Seen, View, applies, is_to_proxy, value};

/// How rules end a request or replace an answer. Boxed, because it is rare and comes through many hands.
pub(in crate::session) type End = Box<Ending>;

/// The same in the open.
pub(in crate::session) enum Ending {
    /// With this answer; empty = the page of its status.
    Answer {
        status: u16,
        bytes: Vec<u8>,
        /// Who and in which phase, for the termination state.
        termination: (u8, u8),
        /// The connection may stay open.
        keep_alive: bool,
        /// Only after `timeout tarpit`.
        tarpit: bool,
    },
    /// A change could not be made, in this phase: 500.
    Failed(u8),
    /// Without a word; with a reset, or not, and only after `timeout tarpit`, or at once.
    Drop { reset: bool, tarpit: bool },
    /// Not yet: the rules go on once so many bytes of the body have come, or all of it.
    Wait { within: Within, at_least: usize },
}

/// How long a body may take.
pub(in crate::session) enum Within {
    /// From now on, milliseconds.
    Time(u64),
    /// `timeout http-request`.
    Request,
}

impl Ending {
    pub(super) fn answer(status: u16, bytes: Vec<u8>, termination: (u8, u8), keep_alive: bool) -> End {
        Box::new(Self::Answer { status, bytes, termination, keep_alive, tarpit: false })
    }

    pub(super) fn failed(phase: u8) -> End {
        Box::new(Self::Failed(phase))
    }

    pub(in crate::session) fn drop(reset: bool, tarpit: bool) -> End {
        Box::new(Self::Drop { reset, tarpit })
    }

    pub(super) fn wait(within: Within, at_least: usize) -> End {
        Box::new(Self::Wait { within, at_least })
    }
}

/// What has become of a rule.
pub(in crate::session) enum Done {
    Next,
    /// `strict-mode`.
    Strict(bool),
    Stop,
    End(End),
}

/// A request under the rules.
pub(super) struct Request<'a> {
    pub session: &'a Session,
    pub head: &'a mut RequestHead,
    /// As it came.
    pub bytes: &'a [u8],
    /// A changed head's text.
    pub text: Option<Text>,
    /// The backend, once it is chosen.
    pub backend: Option<Rc<Backend>>,
    pub at: At,
}

/// How far the rules of a request have come.
#[derive(Clone, Copy)]
pub(super) struct At {
    /// The list at hand, and its next rule.
    list: usize,
    rule: usize,
    strict: bool,
    /// The body was waited for (`option http-buffer-request`).
    buffered: bool,
}

impl At {
    pub const START: Self = Self { list: 0, rule: 0, strict: true, buffered: false };
}

impl Request<'_> {
    /// What the head's spans point into.
    pub fn head_bytes(&self) -> &[u8] {
        self.text.as_ref().map_or(self.bytes, Text::bytes)
    }

    /// Runs the lists of a proxy, from where they stopped before; its word on names of headers comes before redirects.
    pub fn run_all(&mut self, rules: &HttpRules, names: HeaderNames, acls: &[Acl]) -> Result<(), End> {
        let lists = [&rules.request, &rules.lines, &rules.added];
        while let Some(list) = lists.get(self.at.list) {
            if !list.is_empty() {
                self.run(list, acls)?;
            }
            self.at.list += 1;
        }
        self.at.list = 0;
        self.restrict_names(names)?;
        if rules.redirects.is_empty() { Ok(()) } else { self.run(&rules.redirects, acls) }
    }

    /// Runs one list of rules; `allow` leaves it early.
    fn run(&mut self, rules: &[HttpRule], acls: &[Acl]) -> Result<(), End> {
        let backend = self.backend.clone();
        let mut scene = Scene::of(self.session);
        scene.backend = backend.as_deref().or(scene.backend);
        while let Some(rule) = rules.get(self.at.rule) {
            self.at.rule += 1;
            match self.apply(rule, acls, &scene) {
                Ok(Done::Next) => {}
                Ok(Done::Stop) => break,
                Ok(Done::Strict(on)) => self.at.strict = on,
                Ok(Done::End(end)) => return Err(end),
                Err(TooLong) if self.at.strict => return Err(Ending::failed(b'R')),
                Err(TooLong) => {}
            }
        }
        (self.at.rule, self.at.strict) = (0, true);
        Ok(())
    }

    /// `option http-buffer-request`: rules run once the body is there.
    pub fn buffer(&mut self, wanted: bool) -> Result<(), End> {
        if wanted && !std::mem::replace(&mut self.at.buffered, true) && self.lacks(usize::MAX) {
            return Err(Ending::wait(Within::Request, usize::MAX));
        }
        Ok(())
    }

    /// Whether so many bytes of the body are still to come.
    fn lacks(&self, at_least: usize) -> bool {
        let (data, whole) =
            body_so_far(self.head.framing, self.bytes.get(self.head.len..).unwrap_or_default());
        !whole && data.len() < at_least
    }

    /// What rules look at.
    pub fn seen(&self) -> Seen<'_> {
        let body = self.bytes.get(self.head.len..).unwrap_or_default();
        Seen::with_head(self.head_bytes(), self.head).with_body(body)
    }

    /// What `option http-restrict-req-hdr-names` says of the head as it stands.
    fn restrict_names(&mut self, names: HeaderNames) -> Result<(), End> {
        if names == HeaderNames::Preserve {
            return Ok(());
        }
        let is_odd = |name: &[u8]| !name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-');
        let bytes = self.head_bytes();
        if !self.head.fields.iter().any(|field| is_odd(field.name.of(bytes))) {
            return Ok(());
        }
        if names == HeaderNames::Reject {
            return Err(Ending::answer(403, Vec::new(), (b'P', b'R'), true));
        }
        let text = editable(&mut self.text, self.bytes, self.head.len, self.session);
        self.head.edit().remove(text, &is_odd);
        Ok(())
    }

    fn apply(&mut self, rule: &HttpRule, acls: &[Acl], scene: &Scene<'_>) -> Result<Done, TooLong> {
        let view = self.seen().within(scene);
        if !applies(rule.condition.as_ref(), acls, &view) {
            return Ok(Done::Next);
        }
        let filled = filled(&rule.action, &view);
        if let Some(done) = common(scene, &rule.action, &view, &filled) {
            return Ok(done);
        }
        let target = self.head.target.of(view.bytes());
        match &rule.action {
            HttpAction::Redirect(redirect) => {
                let host = self.head.values(view.bytes(), "host").next().unwrap_or_default();
                return Ok(redirection(redirect, &filled, (target, host), b'R').map_or(Done::Next, Done::End));
            }
            HttpAction::SetTarget(part, _) => {
                let target = with_part(target, *part, &filled);
                let text = editable(&mut self.text, self.bytes, self.head.len, self.session);
                self.head.set_target(text, &target)?;
            }
            HttpAction::ReplaceTarget(part, regex, _) => {
                let (start, end) = bounds(target, *part);
                let old = target.get(start..end).unwrap_or_default();
                if let Some(new) = substituted(regex, old, &filled) {
                    let target = with_part(target, *part, &new);
                    let text = editable(&mut self.text, self.bytes, self.head.len, self.session);
                    self.head.set_target(text, &target)?;
                }
            }
            HttpAction::WaitForBody { time_ms, at_least } => {
                let (within, at_least) = (Within::Time(*time_ms), *at_least);
                if self.lacks(at_least) {
                    return Ok(Done::End(Ending::wait(within, at_least)));
                }
            }
            HttpAction::Lines(rule) => {
                let found = Cell::new(false);
                let text = editable(&mut self.text, self.bytes, self.head.len, self.session);
                self.head.lines(text, &|line| changed(rule, line, &found))?;
                self.head.follow_host(text)?;
                let view = Seen::with_head(text.bytes(), self.head).within(scene);
                return Ok(line_found(scene, rule, &found, &view));
            }
            HttpAction::SetMethod(_) => {
                let text = editable(&mut self.text, self.bytes, self.head.len, self.session);
                self.head.set_method(text, &filled)?;
            }
            action => {
                let text = editable(&mut self.text, self.bytes, self.head.len, self.session);
                change_fields(action, &filled, self.head.edit(), text)?;
                self.head.follow_host(text)?;
            }
        }
        Ok(Done::Next)
    }
}

/// An answer under the rules.
pub(super) struct Response<'a> {
    pub session: &'a Session,
    pub backend: Option<&'a Backend>,
    /// The server's index there.
    pub server: Option<usize>,
    pub head: &'a mut ResponseHead,
    pub bytes: &'a [u8],
    pub text: Option<Text>,
}

impl Response<'_> {
    /// What the head's spans point into.
    pub fn head_bytes(&self) -> &[u8] {
        self.text.as_ref().map_or(self.bytes, Text::bytes)
    }

    /// Runs the lists of a proxy for its server's answers.
    pub fn run_all(&mut self, rules: &HttpRules, acls: &[Acl]) -> Result<(), End> {
        for list in [&rules.response, &rules.response_lines, &rules.response_added] {
            self.run(list, acls)?;
        }
        Ok(())
    }

    /// Runs one list of rules.
    #[inline]
    pub fn run(&mut self, rules: &[HttpRule], acls: &[Acl]) -> Result<(), End> {
        if rules.is_empty() { Ok(()) } else { self.run_list(rules, acls) }
    }

    fn run_list(&mut self, rules: &[HttpRule], acls: &[Acl]) -> Result<(), End> {
        let mut strict = true;
        for rule in rules {
            match self.apply(rule, acls) {
                Ok(Done::Next) => {}
                Ok(Done::Stop) => break,
                Ok(Done::Strict(on)) => strict = on,
                Ok(Done::End(end)) => return Err(end),
                Err(TooLong) if strict => return Err(Ending::failed(b'H')),
                Err(TooLong) => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, rule: &HttpRule, acls: &[Acl]) -> Result<Done, TooLong> {
        let mut scene = Scene::of(self.session);
        (scene.backend, scene.server) = (self.backend.or(scene.backend), self.server);
        let view =
            Seen::of_response(self.text.as_ref().map_or(self.bytes, Text::bytes), self.head).within(&scene);
        if !applies(rule.condition.as_ref(), acls, &view) {
            return Ok(Done::Next);
        }
        let filled = filled(&rule.action, &view);
        if let Some(done) = common(&scene, &rule.action, &view, &filled) {
            return Ok(done);
        }
        if let HttpAction::Redirect(redirect) = &rule.action {
            return Ok(redirection(redirect, &filled, (b"", b""), b'H').map_or(Done::Next, Done::End));
        }
        let text = editable(&mut self.text, self.bytes, self.head.len, self.session);
        match &rule.action {
            HttpAction::Lines(rule) => {
                let found = Cell::new(false);
                self.head.edit().lines(text, &|line| changed(rule, line, &found))?;
                let view = Seen::of_response(text.bytes(), self.head).within(&scene);
                return Ok(line_found(&scene, rule, &found, &view));
            }
            HttpAction::SetStatus(status, reason) => {
                self.head.set_status(text, *status, reason.as_bytes())?;
            }
            action => change_fields(action, &filled, self.head.edit(), text)?,
        }
        Ok(Done::Next)
    }
}

/// What follows from lines that were found.
fn line_found(scene: &Scene<'_>, rule: &LineRule, found: &Cell<bool>, view: &View<'_>) -> Done {
    match &rule.work {
        LineWork::End(action) if found.get() => common(scene, action, view, b"").unwrap_or(Done::Next),
        _ => Done::Next,
    }
}

pub(in crate::session) fn filled(action: &HttpAction, view: &View<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(format) = action.format() {
        fill(format, view, &mut out);
    }
    out
}

pub(super) fn editable<'t>(
    text: &'t mut Option<Text>,
    bytes: &[u8],
    len: usize,
    session: &Session,
) -> &'t mut Text {
    // The copy keeps the head's old text beside the new one: twice a head is room enough for what will fit.
    let bytes_max = session.frontend.head_bytes_max.saturating_mul(2);
    text.get_or_insert_with(|| {
        Text::of(bytes.get(..len).unwrap_or(bytes), bytes_max).within(Buffer::take().capacity())
    })
}

/// The actions that mean the same for requests and answers.
pub(in crate::session) fn common(
    scene: &Scene<'_>,
    action: &HttpAction,
    view: &View<'_>,
    filled: &[u8],
) -> Option<Done> {
    let session = scene.session;
    let phase = if view.response().is_some() { b'H' } else { b'R' };
    Some(match action {
        HttpAction::Allow => Done::Stop,
        HttpAction::StrictMode(on) => Done::Strict(*on),
        HttpAction::Deny(reply) => Done::End(replied(scene, reply, view, (b'P', phase))),
        HttpAction::Tarpit(reply) => Done::End(replied(scene, reply, view, (b'P', b'T'))),
        HttpAction::Return(reply) => Done::End(replied(scene, reply, view, (b'L', phase))),
        HttpAction::Auth(_) => {
            let realm: Vec<u8> =
                filled.iter().copied().filter(|&b| b >= b' ' && b != b'"' && b != 0x7f).collect();
            let challenge = [b"Basic realm=\"", &realm[..], b"\""].concat();
            // In front of a proxy that asks in its own words.
            let target = view.head().map(|head| head.target.of(view.bytes()));
            let to_proxy = scene.session.frontend.config.http.proxy_header && target.is_some_and(is_to_proxy);
            let (status, name): (u16, &[u8]) =
                if to_proxy { (407, b"Proxy-Authenticate") } else { (401, b"WWW-Authenticate") };
            let fields: [(&[u8], &[u8]); 3] =
                [(name, &challenge), (b"Cache-Control", b"no-cache"), (b"Content-Type", b"text/html")];
            const BODY: &[u8] = b"<!doctype html><title>Unauthorized</title><h1>Unauthorized</h1>\n";
            Done::End(Ending::answer(status, compose(status, &fields, BODY), (b'L', phase), true))
        }
        HttpAction::SilentDrop => Done::End(Ending::drop(true, false)),
        HttpAction::Reject => Done::End(Ending::drop(false, false)),
        HttpAction::SetVar(to, expr) => {
            let mut found = None;
            value(expr, view, &mut |sample| found = Some(sample.clone().into_owned()));
            if let Some(found) = found {
                session.set_variable_if(*to, found);
            }
            Done::Next
        }
        HttpAction::SetVarFormat(to, _) => {
            session.set_variable_if(*to, Sample::Bytes(filled.to_vec().into()));
            Done::Next
        }
        HttpAction::Capture(side, slot, expr) => {
            if let CaptureSlot::Number(slot) = *slot {
                value(expr, view, &mut |sample| {
                    session.capture(*side, slot, sample.bytes(&mut Scratch::default()))
                });
            }
            Done::Next
        }
        HttpAction::SetLogLevel(level) => {
            session.set_log_level(level.map_or(LogLevel::Silent, LogLevel::Severity));
            Done::Next
        }
        HttpAction::SetPriority { of_offset, to } => {
            value(to, view, &mut |sample| {
                if let Some(number) = sample.int() {
                    session.set_priority(*of_offset, number);
                }
            });
            Done::Next
        }
        HttpAction::SendOnce => {
            session.send_once();
            Done::Next
        }
        HttpAction::UnsetVar(id) => {
            session.set_variable(*id, None);
            Done::Next
        }
        _ => return None,
    })
}

/// The answer of a redirect; `None` where there is nowhere to go.
fn redirection(redirect: &Redirect, to: &[u8], (target, host): (&[u8], &[u8]), phase: u8) -> Option<End> {
    if redirect.ignore_empty && to.is_empty() {
        return None;
    }
    let (start, path_end) = path_of(target);
    let path = target.get(start..path_end).unwrap_or_default();
    let query = if redirect.drop_query { &b""[..] } else { target.get(path_end..).unwrap_or_default() };
    let slash: &[u8] = if redirect.append_slash && !path.ends_with(b"/") { b"/" } else { b"" };
    let path = [path, slash, query].concat();
    let mut location = match redirect.kind {
        RedirectKind::Location => to.to_vec(),
        // `/` alone adds nothing, so that the path is the address.
        RedirectKind::Prefix if to == b"/" => path,
        RedirectKind::Prefix => [to, &path].concat(),
        RedirectKind::Scheme => [to, b"://", host, &path].concat(),
    };
    // Neither can stand in an address.
    encode(&mut location, 0, &|b| b <= b' ' || b == 0x7f);
    let mut fields: Vec<(&[u8], &[u8])> = vec![(b"Location", &location)];
    if matches!(redirect.status, 302 | 303 | 307) {
        fields.push((b"Cache-Control", b"no-cache"));
    }
    if let Some(cookie) = &redirect.cookie {
        fields.push((b"Set-Cookie", cookie.as_bytes()));
    }
    Some(Ending::answer(redirect.status, compose(redirect.status, &fields, b""), (b'L', phase), true))
}
