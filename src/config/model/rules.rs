//! ACLs, conditions, and the rules that have them.

use super::{AclId, BackendId, Expr, Format, Matcher, Place};

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

/// `tcp-request content accept|reject [if|unless …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRule {
    /// What to do when it matches.
    pub action: ContentAction,
    /// `None` = always.
    pub condition: Option<Condition>,
    /// Where it was written.
    pub place: Place,
}

/// What a `tcp-request content` rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentAction {
    /// Go on to choosing a backend.
    Accept,
    /// Close the connection.
    Reject,
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
