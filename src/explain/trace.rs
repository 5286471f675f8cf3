//! What happens to given bytes, step by step. The rooms that decide in a running gateway decide here too; this one
//! only tells what they said.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::scene::Scene;
use super::{Texts, ties, words};
use crate::config::{
    Acl, Backend, BackendId, Chosen, Condition, Config, Frontend, HttpAction, HttpRule, HttpRules, LineRule,
    LineWork, Mode, Place, Server, Term,
};
use crate::http::parse_request;
use crate::rules::{self, Choice, ContentVerdict, Seen, Verdict, View};

/// What a client does.
pub struct Connection<'a> {
    /// What it has sent so far.
    pub bytes: &'a [u8],
    /// Nothing more comes, or is waited for.
    pub is_final: bool,
    /// Where it comes from.
    pub from: SocketAddr,
    /// The time, milliseconds since 1970.
    pub wall_ms: i64,
}

/// Tells what the frontend with this index does with a connection.
#[must_use]
pub fn trace(config: &Config, texts: &Texts<'_>, frontend: usize, connection: &Connection<'_>) -> String {
    let Some(frontend) = config.frontends.get(frontend) else { return String::new() };
    let scene = Scene { config, frontend, connection, backend: Cell::new(None) };
    let mut teller = Teller { scene: &scene, texts, out: String::new() };
    heading(&mut teller.out, frontend);
    teller.say(&["client ", &connection.from.to_string(), ", ", &bytes(connection.bytes.len()), " so far\n"]);
    teller.run();
    teller.out
}

/// `frontend all (x.cfg:3), mode tcp`.
pub(super) fn heading(out: &mut String, frontend: &Frontend) {
    out.push_str("frontend ");
    out.push_str(&frontend.name);
    out.push_str(" (");
    words::place(out, &frontend.place);
    out.push_str("), ");
    out.push_str(words::mode(frontend.mode));
    out.push('\n');
}

/// The backend that a rule chooses.
pub(super) fn chosen<'a>(config: &'a Config, backend: &Chosen<BackendId>) -> &'a str {
    match backend {
        Chosen::Known(id) => name(config, *id),
        Chosen::Called(_) => "of a name that is worked out",
    }
}

/// A backend's name.
pub(super) fn name(config: &Config, id: BackendId) -> &str {
    config.backends.get(id.0).map_or("", |backend| backend.name.as_str())
}

fn config_mode(config: &Config, id: BackendId) -> Mode {
    config.backends.get(id.0).map_or(Mode::Tcp, |backend| backend.mode)
}

fn bytes(len: usize) -> String {
    let mut text = String::new();
    words::count(&mut text, len);
    text.push_str(if len == 1 { " byte" } else { " bytes" });
    text
}

pub(super) fn is_usable(server: &Server) -> bool {
    !server.disabled && server.weight > 0
}

/// What was decided, in one go or at the end of the inspect delay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Rejected,
    Chosen(Choice),
    NotYet,
}

struct Teller<'a> {
    scene: &'a Scene<'a>,
    texts: &'a Texts<'a>,
    out: String,
}

impl Teller<'_> {
    fn say(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.out.push_str(part));
    }

    fn view(&self, len: usize, is_final: bool) -> View<'_> {
        let bytes = self.scene.connection.bytes;
        Seen::new(bytes.get(..len).unwrap_or(bytes), is_final).within(self.scene)
    }

    /// Whether an HTTP request is routed by its whole head alone, without a look at the first bytes.
    fn is_by_head(&self) -> bool {
        let frontend = self.scene.frontend;
        frontend.mode == Mode::Http
    }

    fn run(&mut self) {
        let len = self.scene.connection.bytes.len();
        let is_final = self.scene.connection.is_final;
        let from = self.scene.connection.from.ip();
        let tcp = &self.scene.frontend.tcp;
        let no = |teller: &Self, rules| {
            rules::verdict(rules, &teller.scene.frontend.acls, &teller.view(0, true))
                == ContentVerdict::Reject
        };
        self.explain_rules(&tcp.connection, 0, true, "holds: accept");
        if no(self, &tcp.connection) {
            return self.say(&["=> the connection is closed\n"]);
        }
        if self.scene.frontend.monitor_nets.iter().any(|net| net.contains(from)) {
            let answer = match self.scene.frontend.mode {
                Mode::Http => "answered 200 and closed",
                Mode::Tcp => "closed",
            };
            return self.say(&["=> the client is of a monitor-net: ", answer, ", without a log line\n"]);
        }
        self.explain_rules(&tcp.session, 0, true, "holds: accept");
        if no(self, &tcp.session) {
            return self.say(&["=> the connection is closed\n"]);
        }
        if self.is_by_head() {
            self.say(&["the request's head is read first, then the rules are asked\n"]);
            return self.requests();
        }
        let waits = self.scene.frontend.tcp.request_delay_ms;
        let at_once = is_final || waits.is_none();
        let mut outcome = self.outcome(len, at_once);
        self.explain(len, at_once);
        if outcome == Outcome::NotYet {
            let ms = waits.unwrap_or(0).to_string();
            self.say(&["not yet decided with ", &bytes(len), ": more bytes could change it\n\n"]);
            self.say(&["if nothing more comes within ", &ms, " ms (tcp-request inspect-delay), then:\n"]);
            outcome = self.outcome(len, true);
            self.explain(len, true);
        } else if !at_once {
            let decided = self.decided_at(len);
            self.say(&["decided with the first ", &bytes(decided), "\n"]);
        }
        match outcome {
            Outcome::Rejected => self.say(&["=> the connection is closed\n"]),
            Outcome::Chosen(Choice::Backend(id)) => {
                let frontend = self.scene.frontend;
                let is_request = matches!(parse_request(self.scene.connection.bytes), Ok(Some(_)));
                let is_http = config_mode(self.scene.config, id) == Mode::Http;
                if is_request && is_http && self.is_monitor() {
                    return;
                }
                if !is_request || self.http_rules(frontend.http_rules.of_requests(), &frontend.acls) {
                    self.backend(id);
                }
            }
            Outcome::Chosen(_) | Outcome::NotYet => {
                self.say(&["=> no rule holds and there is no default backend: the connection is closed\n"]);
            }
        }
    }

    /// What the engine says to so many of the bytes.
    fn outcome(&self, len: usize, is_final: bool) -> Outcome {
        let (frontend, view) = (self.scene.frontend, self.view(len, is_final));
        match rules::content_verdict(frontend, &view) {
            ContentVerdict::Reject => return Outcome::Rejected,
            ContentVerdict::NotYet if !is_final => return Outcome::NotYet,
            ContentVerdict::Accept | ContentVerdict::NotYet => {}
        }
        match rules::choose_backend(frontend, &view) {
            Choice::NotYet if !is_final => Outcome::NotYet,
            choice => Outcome::Chosen(choice),
        }
    }

    /// The least number of bytes with which it is decided: what is decided stays so.
    fn decided_at(&self, len: usize) -> usize {
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.outcome(middle, false) == Outcome::NotYet {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The rules in the order in which they are asked, up to the one that decides. A new kind of rule is one more
    /// loop here.
    fn explain(&mut self, len: usize, is_final: bool) {
        let frontend = self.scene.frontend;
        if self.explain_rules(&frontend.tcp.request, len, is_final, "holds: on to the choice of a backend")
            && (frontend.mode == Mode::Tcp || self.is_by_head())
        {
            self.explain_choice(len, is_final);
        }
    }

    /// Rules of one kind; false where they end the connection, or cannot tell yet.
    fn explain_rules(&mut self, rules: &[HttpRule], len: usize, is_final: bool, accept: &str) -> bool {
        for rule in rules {
            let (does, goes_on) = match rule.action {
                HttpAction::Allow => (accept, Some(true)),
                HttpAction::Reject => ("holds: reject", Some(false)),
                HttpAction::SilentDrop => ("holds: drop without a word", Some(false)),
                _ => ("holds: on to the next rule", None),
            };
            let condition = (rule.condition.as_ref(), &*self.scene.frontend.acls);
            match (self.rule(&rule.place, condition, (len, is_final), does), goes_on) {
                (Verdict::No, _) | (Verdict::Yes, None) => {}
                (Verdict::Yes, Some(goes_on)) => return goes_on,
                (Verdict::NotYet, _) => return false,
            }
        }
        true
    }

    fn explain_choice(&mut self, len: usize, is_final: bool) {
        let Scene { frontend, config, .. } = *self.scene;
        for rule in &frontend.use_backends {
            let does = ["holds: backend ", chosen(config, &rule.backend)].concat();
            let condition = (rule.condition.as_ref(), &*frontend.acls);
            if self.rule(&rule.place, condition, (len, is_final), &does) != Verdict::No {
                if matches!(rule.backend, Chosen::Called(_)) {
                    self.say(&["  a name that no backend has stands for the default backend\n"]);
                }
                return;
            }
        }
        match frontend.default_backend {
            Some(id) => self.say(&["no use_backend holds: the default backend ", name(config, id), "\n"]),
            None => self.say(&["no use_backend holds, and there is no default backend\n"]),
        }
    }

    /// One rule: its line, what each of its terms saw, and what came of it.
    fn rule(
        &mut self,
        place: &Place,
        (condition, acls): (Option<&Condition>, &[Acl]),
        (len, is_final): (usize, bool),
        does: &str,
    ) -> Verdict {
        self.texts.show(&mut self.out, place);
        let scene = self.scene;
        let verdict = condition.map_or(Verdict::Yes, |condition| {
            let bytes = scene.connection.bytes;
            let view = Seen::new(bytes.get(..len).unwrap_or(bytes), is_final).within(scene);
            terms(&mut self.out, condition, acls, &view);
            rules::evaluate(condition, acls, &view)
        });
        let said = match verdict {
            Verdict::Yes => does,
            Verdict::No => "does not hold",
            Verdict::NotYet => "not yet",
        };
        self.say(&["  ", said, "\n"]);
        verdict
    }

    /// A `mode http` frontend: the head, and the rules with it.
    fn requests(&mut self) {
        let len = self.scene.connection.bytes.len();
        if self.head() && !self.is_monitor() {
            let frontend = self.scene.frontend;
            let accept = "holds: on to the rules for HTTP";
            if !self.explain_rules(&frontend.tcp.request, len, true, accept) {
                return self.say(&["=> the connection is closed\n"]);
            }
            if !self.http_rules(frontend.http_rules.of_requests(), &frontend.acls) {
                return;
            }
            self.explain_choice(len, true);
            match rules::choose_backend(self.scene.frontend, &self.view(len, true)) {
                Choice::Backend(id) => self.backend(id),
                Choice::None | Choice::NotYet => self.say(&["=> the answer is 503: there is no backend\n"]),
            }
        }
    }

    /// Whether the request is for `monitor-uri`, and what it is told then.
    fn is_monitor(&mut self) -> bool {
        let Scene { frontend, connection, .. } = *self.scene;
        let Some(uri) = &frontend.monitor_uri else { return false };
        let head = parse_request(connection.bytes).ok().flatten();
        let asked = head.is_some_and(|head| head.target.of(connection.bytes) == uri.as_bytes());
        if asked {
            let view = self.view(connection.bytes.len(), true);
            let fails = |condition| rules::applies(Some(condition), &frontend.acls, &view);
            let status = if frontend.monitor_fail.iter().any(fails) { "503" } else { "200" };
            self.say(&[
                "=> the request is for monitor-uri ",
                uri,
                ": the answer is ",
                status,
                ", without a log line\n",
            ]);
        }
        asked
    }

    /// The rules for requests, up to one that ends it; true when none does. What they change is not changed here.
    fn http_rules(&mut self, lists: [&[HttpRule]; 4], acls: &[Acl]) -> bool {
        let len = self.scene.connection.bytes.len();
        let mut changed = false;
        for list in lists {
            for rule in list {
                let mut does = String::from("holds: ");
                words::action(&mut does, &rule.action);
                let condition = (rule.condition.as_ref(), acls);
                if self.rule(&rule.place, condition, (len, true), &does) != Verdict::Yes {
                    continue;
                }
                match &rule.action {
                    HttpAction::Allow => break,
                    HttpAction::StrictMode(_) | HttpAction::Capture(..) | HttpAction::SetLogLevel(_) => {}
                    action if self.ends(action) => {
                        self.say(&["=> "]);
                        words::action(&mut self.out, action);
                        self.say(&["\n"]);
                        return false;
                    }
                    HttpAction::Lines(LineRule { work: LineWork::End(_), .. }) => {
                        self.say(&["  but no line matches\n"]);
                    }
                    _ => changed = true,
                }
            }
        }
        if changed {
            self.say(&["note: what these rules change is not changed here: all rules are shown the request as it came\n"]);
        }
        true
    }

    /// Whether an action ends this request.
    fn ends(&self, action: &HttpAction) -> bool {
        match action {
            HttpAction::Lines(LineRule { regex, work: LineWork::End(_) }) => {
                let bytes = self.scene.connection.bytes;
                let head = parse_request(bytes).ok().flatten().and_then(|head| bytes.get(..head.len));
                let mut lines = head.unwrap_or_default().split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
                lines.any(|line| !line.is_empty() && regex.engine.is_match(&String::from_utf8_lossy(line)))
            }
            HttpAction::Deny(_)
            | HttpAction::Tarpit(_)
            | HttpAction::Return(_)
            | HttpAction::Auth(_)
            | HttpAction::Redirect(_)
            | HttpAction::SilentDrop
            | HttpAction::Reject => true,
            _ => false,
        }
    }

    /// Says what is wrong with the request's head; true when nothing is.
    fn head(&mut self) -> bool {
        match parse_request(self.scene.connection.bytes) {
            Ok(Some(_)) => return true,
            Ok(None) => {
                let ms = self.scene.frontend.timeouts.http_request_ms.to_string();
                self.say(&["=> the rest of the request's head is waited for, at most ", &ms, " ms\n"]);
            }
            Err(error) => {
                self.say(&["=> the answer is ", &error.status().to_string(), ": ", error.reason(), "\n"]);
            }
        }
        false
    }

    fn backend(&mut self, id: BackendId) {
        let Some(backend) = self.scene.config.backends.get(id.0) else { return };
        self.say(&["=> backend ", &backend.name, " ("]);
        words::place(&mut self.out, &backend.place);
        self.say(&["), ", words::mode(backend.mode), "\n"]);
        self.scene.backend.set(Some(backend));
        // What a `listen` shares with its own servers has been told.
        let lists = match self.is_listen(backend) {
            true => [&[][..]; 4],
            false => backend.http_rules.of_requests(),
        };
        if backend.mode == Mode::Http && !(self.head() && self.http_rules(lists, &backend.acls)) {
            return;
        }
        let view = self.view(self.scene.connection.bytes.len(), true);
        match ties::server(backend, &view) {
            Some((server, why)) => {
                self.say(&["=> "]);
                words::server(&mut self.out, server);
                self.say(&["\n   ", &why, "\n"]);
            }
            None => self.say(&["=> no server is usable (each is disabled or has weight 0): refused\n"]),
        }
        if backend.mode == Mode::Http {
            self.answers(backend);
        }
    }

    /// Whether a backend is the server side of the frontend's own section.
    fn is_listen(&self, backend: &Backend) -> bool {
        Rc::ptr_eq(&backend.http_rules, &self.scene.frontend.http_rules)
    }

    /// The rules for answers: what they will see is not known.
    fn answers(&mut self, backend: &Backend) {
        let none = HttpRules::default();
        let front = &self.scene.frontend.http_rules;
        let back = if self.is_listen(backend) { &none } else { &*backend.http_rules };
        // Those for answers of all kinds come last, on both sides.
        let ([of_back @ .., back_after], [of_front @ .., front_after]) =
            (back.of_answers(), front.of_answers());
        let lists = || of_back.into_iter().chain(of_front).chain([back_after, front_after]);
        if lists().any(|list| !list.is_empty()) {
            self.say(&["the answer is shown to these rules:\n"]);
        }
        for rule in lists().flatten() {
            self.texts.show(&mut self.out, &rule.place);
        }
    }
}

/// The terms of a condition in the order in which they are asked, up to the one that decides.
fn terms(out: &mut String, condition: &Condition, acls: &[Acl], view: &View<'_>) {
    for group in &condition.any_of {
        let mut all = Verdict::Yes;
        for term in group {
            all = all.and(self::term(out, *term, acls, view));
            if all == Verdict::No {
                break;
            }
        }
        if all == Verdict::Yes {
            return;
        }
    }
}

fn term(out: &mut String, term: Term, acls: &[Acl], view: &View<'_>) -> Verdict {
    let Some(acl) = acls.get(term.acl.0) else { return Verdict::No };
    let mut any = Verdict::No;
    for test in &acl.tests {
        out.push_str("    ");
        out.push_str(&acl.name);
        out.push_str(": ");
        words::test(out, test);
        out.push_str("? ");
        let mut seen = false;
        let verdict = rules::look(test, view, &mut |sample| {
            out.push_str(if seen { ", " } else { "it is " });
            seen = true;
            words::sample(out, sample);
        });
        out.push_str(match (seen, verdict) {
            (false, Verdict::NotYet) => "not there yet",
            (false, Verdict::Yes | Verdict::No) => "there is none",
            (true, _) => "",
        });
        out.push_str(match verdict {
            Verdict::Yes => ": yes",
            Verdict::No => ": no",
            Verdict::NotYet => ": not yet with ",
        });
        if verdict == Verdict::NotYet {
            out.push_str(&bytes(view.bytes().len()));
        }
        out.push('\n');
        any = any.or(verdict);
        if any == Verdict::Yes {
            break;
        }
    }
    if term.negated { any.negate() } else { any }
}
