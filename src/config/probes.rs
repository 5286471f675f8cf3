//! From the lines about health checks to the steps that are made of them.

use std::rc::Rc;

use super::diagnostics::Spot;
use super::model::{CheckAct, CheckConnect, CheckExpect, CheckKind, CheckPattern, CheckPlan, CheckStep};

/// Lines about checks of one section.
const LINES_MAX: usize = 1_000;

/// What a section says of checks. A section that says something of its own about a kind of checks inherits nothing of
/// that kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probes {
    /// Which kind of checks was chosen last.
    pub choice: Option<Choice>,
    pub http: Lines,
    pub tcp: Lines,
    /// The request of `option httpchk`.
    request: Option<Request>,
    /// `http-check send-state`.
    pub send_state: bool,
    /// `http-check disable-on-404`.
    pub disable_on_404: bool,
}

/// `option …`.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    Http,
    Tcp,
    /// A check that brings its steps along.
    Script(Rc<[CheckStep]>),
}

/// `http-check` or `tcp-check` lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    list: Vec<(Line, Option<Box<str>>)>,
    inherited: bool,
    /// Where the first one stands.
    pub spot: Option<Spot>,
}

/// One of these lines.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    /// Its text goes with the lines that follow.
    Comment(Box<str>),
    Connect(CheckConnect),
    Send(Box<[u8]>),
    Request(Request),
    Expect(Box<CheckExpect>),
}

/// An HTTP request; what is not said is filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub method: Option<Box<str>>,
    pub uri: Option<Box<str>>,
    pub version: Option<Box<str>>,
    pub headers: Vec<(Box<str>, Box<[u8]>)>,
    pub body: Option<Box<[u8]>>,
    /// It was written before the first `http-check send`, whose words then count.
    is_first: bool,
    /// It was inherited by a section that has `http-check` lines: only for want of another one.
    is_spare: bool,
}

impl Probes {
    /// A section starts with these of another one.
    pub fn inherit(&mut self) {
        (self.http.inherited, self.tcp.inherited) = (true, true);
    }

    /// `option httpchk`.
    pub fn set_request(&mut self, request: Request) {
        self.http.own();
        let is_first = !self.http.list.iter().any(|(line, _)| matches!(line, Line::Request(_)));
        self.request = Some(Request { is_first, ..request });
        self.choice = Some(Choice::Http);
    }

    /// `option tcp-check`.
    pub fn set_tcp(&mut self) {
        self.tcp.own();
        self.choice = Some(Choice::Tcp);
    }

    /// Takes an `http-check` line.
    ///
    /// # Errors
    /// It cannot follow those before it.
    pub fn add_http(&mut self, line: Line, comment: Option<Box<str>>, spot: Spot) -> Result<(), String> {
        if self.http.own()
            && let Some(request) = &mut self.request
        {
            request.is_spare = true;
        }
        let since = self.http.list.iter().rev().map(|(line, _)| line);
        let mut since = since.take_while(|line| !matches!(line, Line::Connect(_)));
        match &line {
            Line::Request(_) if since.any(|line| matches!(line, Line::Request(_) | Line::Expect(_))) => {
                return Err("an `http-check connect` is missing before this second request".into());
            }
            Line::Expect(_)
                if self.http.connects() && !since.any(|line| matches!(line, Line::Request(_))) =>
            {
                return Err("an `http-check send` is missing between `http-check connect` and this".into());
            }
            _ => {}
        }
        self.http.add(line, comment, spot, "http-check")
    }

    /// Takes a `tcp-check` line.
    ///
    /// # Errors
    /// It cannot follow those before it.
    pub fn add_tcp(&mut self, line: Line, comment: Option<Box<str>>, spot: Spot) -> Result<(), String> {
        self.tcp.own();
        self.tcp.add(line, comment, spot, "tcp-check")
    }

    /// Lines of this section that do nothing, since checks of another kind were chosen: where, what they are, and what
    /// is missing.
    pub fn idle_lines(&self) -> Vec<(Spot, String)> {
        let http = Some(&self.http).filter(|_| !matches!(self.choice, Some(Choice::Http)));
        let tcp = Some(&self.tcp).filter(|_| !matches!(self.choice, Some(Choice::Tcp)));
        let mut idle = Vec::new();
        for (lines, what) in [
            (http, "`http-check` lines do nothing without `option httpchk`"),
            (tcp, "`tcp-check` lines do nothing without `option tcp-check`"),
        ] {
            if let Some(lines) = lines.filter(|lines| !lines.inherited && !lines.list.is_empty()) {
                idle.extend(lines.spot.clone().map(|spot| (spot, what.to_owned())));
            }
        }
        idle
    }

    /// What is to be done; `None` = connect.
    pub fn plan(&self, node: Option<&Rc<str>>) -> Option<Rc<CheckPlan>> {
        let disable_on_404 = self.disable_on_404;
        let (kind, steps) = match self.choice.as_ref()? {
            Choice::Script(steps) => (CheckKind::Protocol, steps.to_vec()),
            Choice::Tcp => (CheckKind::Tcp, self.tcp.steps(&mut Line::act)),
            Choice::Http => (CheckKind::Http, self.http_steps()),
        };
        Some(Rc::new(CheckPlan { steps, kind, disable_on_404, node: node.cloned() }))
    }

    fn http_steps(&self) -> Vec<CheckStep> {
        // That of `option httpchk` is one with the first one that was written, if that stands in the same section.
        let mut of_option = self.request.clone().filter(|request| !request.is_spare);
        let mut steps = self.http.steps(&mut |line| {
            let Line::Request(request) = line else { return line.act() };
            let merged = match of_option.take() {
                Some(first) if first.is_first => first.overridden(request),
                Some(later) => request.clone().overridden(&later),
                None => request.clone(),
            };
            Some(merged.act(self.send_state))
        });
        if !steps.iter().any(|step| matches!(step.act, CheckAct::Send { .. })) {
            let act = self.request.clone().unwrap_or_default().act(self.send_state);
            steps.insert(1, CheckStep { act, number: 0, comment: None });
        }
        if !matches!(steps.last().map(|step| &step.act), Some(CheckAct::Expect(_))) {
            let usual = CheckExpect::new(CheckPattern::Status(vec![(200, 399)]));
            steps.push(CheckStep { act: CheckAct::Expect(Box::new(usual)), number: 0, comment: None });
        }
        steps
    }
}

impl Lines {
    /// A section says something of its own.
    fn own(&mut self) -> bool {
        let inherited = self.inherited;
        if inherited {
            *self = Self::default();
        }
        inherited
    }

    fn connects(&self) -> bool {
        self.list.iter().any(|(line, _)| matches!(line, Line::Connect(_)))
    }

    fn add(&mut self, line: Line, comment: Option<Box<str>>, spot: Spot, name: &str) -> Result<(), String> {
        let only_comments = self.list.iter().all(|(line, _)| matches!(line, Line::Comment(_)));
        if matches!(line, Line::Connect(_)) && !only_comments && !self.connects() {
            return Err(format!("where there is a `{name} connect` the first step has to be one"));
        }
        if self.list.len() == LINES_MAX {
            return Err(format!("a section has at most {LINES_MAX} lines about checks"));
        }
        self.list.push((line, comment));
        self.spot.get_or_insert(spot);
        Ok(())
    }

    /// The steps, numbered as the lines are; the first one connects.
    fn steps(&self, act: &mut dyn FnMut(&Line) -> Option<CheckAct>) -> Vec<CheckStep> {
        let mut steps = Vec::with_capacity(self.list.len() + 3);
        if !self.connects() {
            let as_server = CheckConnect { as_server: true, ..CheckConnect::default() };
            steps.push(CheckStep { act: CheckAct::Connect(as_server), number: 0, comment: None });
        }
        let mut common: Option<&Box<str>> = None;
        for (number, (line, comment)) in (1..).zip(&self.list) {
            if let Line::Comment(text) = line {
                common = Some(text);
            }
            if let Some(act) = act(line) {
                let comment = comment.as_ref().or(common).cloned();
                common = common.filter(|_| !matches!(act, CheckAct::Connect(_)));
                steps.push(CheckStep { act, number, comment });
            }
        }
        steps
    }
}

impl Line {
    fn act(&self) -> Option<CheckAct> {
        Some(match self {
            Self::Comment(_) => return None,
            Self::Connect(how) => CheckAct::Connect(*how),
            Self::Send(bytes) => CheckAct::Send { bytes: bytes.clone(), state_at: None },
            Self::Request(request) => request.clone().act(false),
            Self::Expect(expect) => CheckAct::Expect(expect.clone()),
        })
    }
}

impl Request {
    /// This one, with what another one says in its place.
    fn overridden(self, by: &Self) -> Self {
        Self {
            method: by.method.clone().or(self.method),
            uri: by.uri.clone().or(self.uri),
            version: by.version.clone().or(self.version),
            headers: if by.headers.is_empty() { self.headers } else { by.headers.clone() },
            body: by.body.clone().or(self.body),
            ..Self::default()
        }
    }

    /// Its bytes, and where among them a field with the server's state belongs.
    fn act(self, send_state: bool) -> CheckAct {
        let method = self.method.as_deref().unwrap_or("OPTIONS");
        let version = self.version.as_deref().unwrap_or("HTTP/1.0");
        let uri = self.uri.as_deref().unwrap_or("/");
        let mut bytes = format!("{method} {uri} {version}\r\n").into_bytes();
        let mut says_connection = false;
        for (name, value) in &self.headers {
            // These two follow from the body.
            if ["content-length", "transfer-encoding"].contains(&name.as_ref()) {
                continue;
            }
            says_connection |= name.as_ref() == "connection";
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        let state_at = u16::try_from(bytes.len()).ok().filter(|_| send_state);
        let body = self.body.as_deref().unwrap_or_default();
        let usually_without = ["GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "CONNECT"].contains(&method);
        if !body.is_empty() || !usually_without {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        if version == "HTTP/1.1" && !says_connection {
            bytes.extend_from_slice(b"connection: close\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        CheckAct::Send { bytes: bytes.into(), state_at }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{CheckAct, CheckPlan, Source, load};
    use std::rc::Rc;

    fn plan(defaults: &str, lines: &str) -> Option<Rc<CheckPlan>> {
        let text = format!(
            "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n {defaults}\nbackend b\n {lines}\n \
             server s 127.0.0.1:1 check\nfrontend f\n bind :1\n default_backend b\n"
        );
        let loaded = load(&[Source::new("t", text)], &|_| None);
        let config = loaded.config.unwrap_or_else(|| panic!("{lines}: {:?}", loaded.diagnostics));
        config.backends[0].check_plan.clone()
    }

    /// First lines of requests, or what is sent; `-` = a connection, `?` = an answer.
    fn story(defaults: &str, lines: &str) -> String {
        let plan = plan(defaults, lines).expect("a plan");
        let word = |act: &CheckAct| match act {
            CheckAct::Connect(_) => "-".to_owned(),
            CheckAct::Expect(_) => "?".to_owned(),
            CheckAct::Send { bytes, .. } => {
                String::from_utf8_lossy(bytes).split("\r\n").next().unwrap_or_default().to_owned()
            }
        };
        plan.steps.iter().map(|step| word(&step.act)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_a_section_says_itself_stands_alone() {
        assert!(plan("http-check expect status 200", "").is_none());
        for (defaults, lines, says) in [
            ("option httpchk", "", "- OPTIONS / HTTP/1.0 ?"),
            ("option httpchk GET /d\n http-check expect status 404", "", "- GET /d HTTP/1.0 ?"),
            ("option httpchk GET /d", "http-check expect status 404", "- GET /d HTTP/1.0 ?"),
            ("option httpchk GET /d", "http-check send hdr a b", "- OPTIONS / HTTP/1.0 ?"),
            ("option httpchk GET /d", "option httpchk GET /b", "- GET /b HTTP/1.0 ?"),
            ("tcp-check send q", "option tcp-check", "-"),
            ("option tcp-check\n tcp-check send q", "", "- q"),
            ("option httpchk", "option tcp-check\n tcp-check send y", "- y"),
            ("", "option tcp-check\n tcp-check send q\n option httpchk", "- OPTIONS / HTTP/1.0 ?"),
            ("", "option httpchk GET /a\n http-check send uri /b", "- GET /b HTTP/1.0 ?"),
            ("", "http-check send uri /b\n option httpchk GET /a", "- GET /a HTTP/1.0 ?"),
        ] {
            assert_eq!(story(defaults, lines), says, "{defaults} | {lines}");
        }
    }

    #[test]
    fn steps_have_the_numbers_of_their_lines_and_the_comments_before_them() {
        let lines = "option tcp-check\n tcp-check comment a\n tcp-check connect\n tcp-check comment b\n \
                     tcp-check send x\n tcp-check expect comment c string y\n tcp-check expect string z";
        let plan = plan("", lines).unwrap();
        let told: Vec<_> =
            plan.steps.iter().map(|step| (step.number, step.comment.as_deref().unwrap_or(""))).collect();
        assert_eq!(told, [(2, "a"), (4, "b"), (5, "c"), (6, "b")]);
    }
}
