//! What a health check says and expects: `option httpchk`, `option tcp-check` and their like (configuration §4.2).

use std::net::IpAddr;
use std::rc::Rc;

use super::{MatchKind, Regex};

/// The steps of a backend's checks. Without any, a check is a connection that stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckPlan {
    /// One after the other; the first one connects.
    pub steps: Vec<CheckStep>,
    /// How answers are read, and how reasons are worded.
    pub kind: CheckKind,
    /// `http-check disable-on-404`: a server that is up and answers so takes only those who must go to it.
    pub disable_on_404: bool,
    /// `node`, for `http-check send-state`.
    pub node: Option<Rc<str>>,
}

/// What kind of check it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckKind {
    /// Nothing but a connection, or what `option smtpchk` and its like bring along.
    #[default]
    Protocol,
    /// `option tcp-check`: reasons name the step.
    Tcp,
    /// `option httpchk`.
    Http,
}

/// A step of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckStep {
    /// What is done.
    pub act: CheckAct,
    /// Its number in reasons; 0 = it was not written.
    pub number: u16,
    /// `comment`.
    pub comment: Option<Box<str>>,
}

/// What a step of a check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckAct {
    /// Opens a connection, and closes the one before it.
    Connect(CheckConnect),
    /// Sends bytes; what has come so far is forgotten.
    Send {
        /// The bytes.
        bytes: Box<[u8]>,
        /// Where among them a field tells the server's state (`http-check send-state`).
        state_at: Option<u16>,
    },
    /// Looks at what has come.
    Expect(Box<CheckExpect>),
}

/// Where a check connects to; what is not said is as the `server` line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckConnect {
    /// `port`.
    pub port: Option<u16>,
    /// `addr`.
    pub address: Option<IpAddr>,
    /// `send-proxy`: a PROXY protocol header goes first.
    pub send_proxy: bool,
    /// `default`: so it does where the server's checks begin with one.
    pub as_server: bool,
    /// `linger`: the connection is ended in order and not reset.
    pub linger: bool,
}

/// `http-check expect`, `tcp-check expect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckExpect {
    /// What is looked for.
    pub pattern: CheckPattern,
    /// `!`: it must not be there.
    pub negated: bool,
    /// `min-recv`: bytes there must be; with them what is not found is missing. `None` = wait for it.
    pub min_recv: Option<u32>,
    /// `ok-status`.
    pub ok: CheckStatus,
    /// `error-status`; `None` = what goes with the pattern.
    pub error: Option<CheckStatus>,
    /// `tout-status`.
    pub timeout: CheckStatus,
    /// `on-success`.
    pub on_success: Option<CheckText>,
    /// `on-error`.
    pub on_error: Option<CheckText>,
    /// The answer begins with a code of three digits, for reasons.
    pub has_code: bool,
}

impl CheckExpect {
    /// One that looks for this, with the usual outcome.
    #[must_use]
    pub fn new(pattern: CheckPattern) -> Self {
        Self {
            pattern,
            negated: false,
            min_recv: None,
            ok: CheckStatus::L7Ok,
            error: None,
            timeout: CheckStatus::L7Tout,
            on_success: None,
            on_error: None,
            has_code: false,
        }
    }
}

/// What an answer is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckPattern {
    /// `string`, `binary`: these bytes; in HTTP, in the body.
    Bytes(Box<[u8]>, CheckNotation),
    /// `rstring`; in HTTP, in the body.
    Regex(Regex),
    /// `rbinary`: in the answer as hexadecimal digits.
    HexRegex(Regex),
    /// `status`: codes from … to ….
    Status(Vec<(u16, u16)>),
    /// `rstatus`.
    StatusRegex(Regex),
    /// `hdr`, `fhdr`.
    Header {
        /// Its name, in any letter case.
        name: CheckMatch,
        /// Its value; `None` = any.
        value: Option<CheckMatch>,
        /// `fhdr`: commas do not separate values.
        whole: bool,
    },
    /// The first packet of a MySQL server (0), or the one after it (1), is no error.
    MySql(u8),
    /// An LDAP server's answer to a bind.
    Ldap,
}

/// How a pattern of bytes was written, for reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckNotation {
    /// `string`.
    Text,
    /// `string-lf`.
    Format,
    /// `binary`.
    Binary,
    /// `binary-lf`.
    BinaryFormat,
}

/// How a name or a value of a header is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckMatch {
    /// `-m str|beg|end|sub`.
    Text(MatchKind, Box<[u8]>),
    /// `-m reg`.
    Regex(Regex),
}

/// `on-success`, `on-error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckText {
    /// This.
    Text(Box<str>),
    /// The answer from this byte on (blanks left out), up to its first line end.
    Line(u8),
    /// The answer from this byte on, up to a zero byte.
    Answer(u8),
}

/// How a check ended, in HAProxy's order (management §9.1, "check_status").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// For want of our own descriptors, memory or ports, or a port to connect to: says nothing about the server.
    SockErr,
    /// The connection broke once it stood.
    Reset,
    /// The connection stands.
    L4Ok,
    /// It did not in time.
    L4Tout,
    /// It was refused, there is no way, …
    L4Con,
    /// The answer to a TLS hello that was expected.
    L6Ok,
    /// No such answer in time.
    L6Tout,
    /// Another answer.
    L6Rsp,
    /// No whole answer in time.
    L7Tout,
    /// An answer that cannot be understood, or lacks what was expected.
    L7Rsp,
    /// The answer that was expected.
    L7Ok,
    /// The server takes those who must go to it, and nobody else (`http-check disable-on-404`).
    L7OkC,
    /// An answer that says that something is wrong.
    L7Sts,
    /// No check: errors that the traffic has met (`observe`).
    Hana,
}
