//! What rules do with requests and answers (configuration §4.2, "http-request").

use std::rc::Rc;

use super::{Condition, Expr, Format, Matcher, Place, RefId, Regex, Side, VarId};

/// The rules of one proxy for HTTP.
#[derive(Debug, Clone, Default)]
pub struct HttpRules {
    /// `block` and `http-request`.
    pub request: Vec<HttpRule>,
    /// `reqrep` and the like, which come after them.
    pub lines: Vec<HttpRule>,
    /// `reqadd`, after those.
    pub added: Vec<HttpRule>,
    /// `redirect`, which come last.
    pub redirects: Vec<HttpRule>,
    /// `http-response`.
    pub response: Vec<HttpRule>,
    /// `rsprep` and the like, which come after them.
    pub response_lines: Vec<HttpRule>,
    /// `rspadd`, after those.
    pub response_added: Vec<HttpRule>,
    /// `http-after-response`.
    pub after: Vec<HttpRule>,
}

impl HttpRules {
    /// Whether there are any for requests.
    #[inline(always)]
    #[must_use]
    pub fn ask_requests(&self) -> bool {
        self.of_requests().iter().any(|list| !list.is_empty())
    }

    /// Whether there are any for answers.
    #[inline(always)]
    #[must_use]
    pub fn ask_answers(&self) -> bool {
        self.of_answers().iter().any(|list| !list.is_empty())
    }

    /// Those for requests, in the order in which they are asked.
    #[must_use]
    pub fn of_requests(&self) -> [&[HttpRule]; 4] {
        [&self.request, &self.lines, &self.added, &self.redirects]
    }

    /// Those for answers.
    #[must_use]
    pub fn of_answers(&self) -> [&[HttpRule]; 4] {
        [&self.response, &self.response_lines, &self.response_added, &self.after]
    }
}

/// An action with its condition.
#[derive(Debug, Clone)]
pub struct HttpRule {
    /// What to do.
    pub action: HttpAction,
    /// `None` = always.
    pub condition: Option<Condition>,
    /// Where it was written.
    pub place: Place,
}

/// What a rule does.
#[derive(Debug, Clone)]
pub enum HttpAction {
    /// No further rules of this kind (`allow`, in rules for TCP `accept`).
    Allow,
    /// An answer of our own that says no.
    Deny(Reply),
    /// The same after `timeout tarpit`.
    Tarpit(Reply),
    /// An answer of our own.
    Return(Reply),
    /// 401 with this realm.
    Auth(Format),
    /// To another address.
    Redirect(Redirect),
    /// `set-header` (alone) and `add-header`.
    AddHeader {
        /// Its name.
        name: Rc<str>,
        /// Its value.
        value: Format,
        /// All others of the name go.
        alone: bool,
    },
    /// Removes the headers with such names.
    DelHeader(Matcher),
    /// `replace-header`, and `replace-value` for each value between commas.
    ReplaceHeader {
        /// Its name.
        name: Rc<str>,
        /// What is looked for.
        regex: Regex,
        /// What the value becomes.
        by: Format,
        /// Each value between commas by itself.
        parts: bool,
    },
    /// `set-path`, `set-pathq`, `set-query`, `set-uri`.
    SetTarget(TargetPart, Format),
    /// `replace-path`, `replace-pathq`, `replace-uri`.
    ReplaceTarget(TargetPart, Regex, Format),
    /// `set-method`.
    SetMethod(Format),
    /// `set-status`, with its reason.
    SetStatus(u16, Rc<str>),
    /// `set-var`.
    SetVar(SetVar, Expr),
    /// `set-var-fmt`.
    SetVarFormat(SetVar, Format),
    /// `unset-var`.
    UnsetVar(VarId),
    /// `capture`: keeps a value in a slot of the log line.
    Capture(Side, CaptureSlot, Expr),
    /// `set-log-level`: 0 (emerg) to 7 (debug); `None` = no line at all.
    SetLogLevel(Option<u8>),
    /// `wait-for-body`.
    WaitForBody {
        /// How long.
        time_ms: u64,
        /// So many bytes are enough.
        at_least: usize,
    },
    /// Closes without a word, with a reset.
    SilentDrop,
    /// Closes.
    Reject,
    /// `tcp-response content close`: closes the server's side; what it has sent is still delivered.
    Close,
    /// `tcp-request connection expect-proxy layer4`: a PROXY protocol header comes first.
    ExpectProxy,
    /// `reqrep` and the like.
    Lines(LineRule),
    /// `set-priority-class`, or `set-priority-offset`.
    SetPriority {
        /// The second of both.
        of_offset: bool,
        /// What to.
        to: Expr,
    },
    /// `disable-l7-retry`: once sent, the request is not sent again.
    SendOnce,
    /// `strict-mode on|off`: whether a change that cannot be made is an error.
    StrictMode(bool),
}

impl HttpAction {
    /// Whether no rule of its list follows it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Allow
                | Self::Deny(_)
                | Self::Tarpit(_)
                | Self::Return(_)
                | Self::Auth(_)
                | Self::Redirect(_)
                | Self::SilentDrop
                | Self::Reject
        )
    }

    /// The text that is filled in for it.
    #[must_use]
    pub fn format(&self) -> Option<&Format> {
        match self {
            Self::AddHeader { value: format, .. }
            | Self::ReplaceHeader { by: format, .. }
            | Self::SetTarget(_, format)
            | Self::ReplaceTarget(_, _, format)
            | Self::SetMethod(format)
            | Self::SetVarFormat(_, format)
            | Self::Auth(format) => Some(format),
            Self::Redirect(redirect) => Some(&redirect.to),
            _ => None,
        }
    }
}

/// Which variable is set, and when.
#[derive(Debug, Clone, Copy)]
pub struct SetVar {
    /// Which.
    pub id: VarId,
    /// Which of [`SET_CONDITIONS`] must hold, a bit each.
    pub conditions: u8,
}

/// The conditions of `set-var(name,condition…)`, in the order of their bits.
pub const SET_CONDITIONS: [&str; 8] =
    ["ifexists", "ifnotexists", "ifempty", "ifnotempty", "ifset", "ifnotset", "ifgt", "iflt"];

/// Where `capture` keeps its value.
#[derive(Debug, Clone, Copy)]
pub enum CaptureSlot {
    /// In this one, declared before (`id N`).
    Number(usize),
    /// In one of its own of this length (`len N`); a number once the whole rule is read.
    Own(usize),
}

/// What is done about lines of a head, `GET / HTTP/1.1` or `Name: value`.
#[derive(Debug, Clone)]
pub struct LineRule {
    /// Which lines.
    pub regex: Regex,
    /// What.
    pub work: LineWork,
}

/// What a [`LineRule`] does.
#[derive(Debug, Clone)]
pub enum LineWork {
    /// The line goes.
    Remove,
    /// It becomes this, with groups filled in.
    Replace(Rc<[u8]>),
    /// The message meets this action.
    End(Box<HttpAction>),
}

/// A part of a request's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPart {
    /// Without the query.
    Path,
    /// With it.
    PathAndQuery,
    /// What follows the `?`.
    Query,
    /// All of it.
    Uri,
}

/// An answer that a rule gives.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// `content-type`.
    pub content_type: Option<Rc<str>>,
    /// Its body.
    pub body: ReplyBody,
    /// `hdr`.
    pub headers: Vec<(Rc<str>, Format)>,
}

/// The body of a [`Reply`].
#[derive(Debug, Clone)]
pub enum ReplyBody {
    /// The page for the status.
    Page,
    /// None.
    Empty,
    /// A text or a file.
    Bytes(Rc<[u8]>),
    /// A text that is filled in.
    Format(Format),
    /// A whole answer (`errorfile`).
    Whole(Rc<[u8]>),
    /// The page that an `http-errors` section has for the status.
    Pages(RefId),
}

/// What is sent in place of our own page for a status.
#[derive(Debug, Clone)]
pub enum ErrorPage {
    /// A whole answer (`errorfile`, `errorloc`); empty = the connection is closed without a word.
    Whole(Rc<[u8]>),
    /// An answer that is made each time (`http-error`).
    Made(Rc<Reply>),
}

/// `redirect`.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// What `to` is.
    pub kind: RedirectKind,
    /// Where to.
    pub to: Format,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Without the query.
    pub drop_query: bool,
    /// With a slash at the end of the path.
    pub append_slash: bool,
    /// Nothing happens where `to` is empty.
    pub ignore_empty: bool,
    /// The value of `Set-Cookie`.
    pub cookie: Option<Rc<str>>,
}

/// What the text of a redirect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectKind {
    /// The whole address.
    Location,
    /// What comes before the path.
    Prefix,
    /// The scheme; the host is that of the request.
    Scheme,
}
