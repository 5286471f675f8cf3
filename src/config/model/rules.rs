//! ACLs, conditions, and the rules that have them.

use super::{AclId, BackendId, Expr, Format, HttpRule, Matcher, Place};

/// `acl NAME …`: all lines of one name, which are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// Its name; predefined ACLs have theirs (`HTTP`), anonymous ones their text in braces.
    pub name: String,
    /// Where it was first written (or used).
    pub place: Place,
    /// Any of these makes it true.
    pub tests: Vec<AclTest>,
}

/// One sample expression with what it is matched against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclTest {
    /// What is looked at.
    pub expr: Expr,
    /// What it is compared with.
    pub matcher: Matcher,
}

/// `if CONDITION` or `unless CONDITION`: an or of ands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// True for `unless`: the whole is negated.
    pub unless: bool,
    /// Any of these groups, in which every term must hold.
    pub any_of: Vec<Vec<Term>>,
}

/// One word of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Written with `!`.
    pub negated: bool,
    /// Which ACL.
    pub acl: AclId,
}

/// The `tcp-request` and `tcp-response` rules of one proxy. Their actions are some of those for HTTP.
#[derive(Debug, Clone, Default)]
pub struct TcpRules {
    /// `tcp-request connection`: at the accept, before any byte.
    pub connection: Vec<HttpRule>,
    /// `tcp-request session`: behind the PROXY protocol header.
    pub session: Vec<HttpRule>,
    /// `tcp-request content`: by the client's first bytes, in `mode http` by each request.
    pub request: Vec<HttpRule>,
    /// `tcp-request inspect-delay`, milliseconds; `None` = content rules do not wait.
    pub request_delay_ms: Option<u64>,
    /// `tcp-response content`: by the server's first bytes, in `mode http` by each answer.
    pub response: Vec<HttpRule>,
    /// `tcp-response inspect-delay`.
    pub response_delay_ms: Option<u64>,
}

/// `use_backend NAME [if|unless …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseBackend {
    /// Which backend.
    pub backend: Chosen<BackendId>,
    /// `None` = always.
    pub condition: Option<Condition>,
    /// Where it was written.
    pub place: Place,
}

/// `use-server NAME if|unless …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseServer {
    /// Which server: its index in the backend.
    pub server: Chosen<usize>,
    /// When.
    pub condition: Condition,
}

/// What a rule chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen<T> {
    /// This one.
    Known(T),
    /// The one whose name the text becomes (`%[…]`).
    Called(Format),
}
