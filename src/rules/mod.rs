//! ACLs and actions: conditions with three values over a view of the bytes. Pure functions, no allocation.
//!
//! A client's first bytes come in any segmentation, so a condition is *yes*, *no*, or *not yet*: more bytes
//! could still change it. What is decided stays decided, however many bytes follow.

mod fetch;
mod matcher;
mod view;

pub use view::View;

use crate::config::{Acl, BackendId, Condition, ContentAction, Frontend, Term};

/// The value of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds, whatever follows.
    Yes,
    /// It does not, whatever follows.
    No,
    /// It depends on bytes that are still to come.
    NotYet,
}

/// What `tcp-request content` rules come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentVerdict {
    /// Go on to choosing a backend.
    Accept,
    /// Close the connection.
    Reject,
    /// More bytes are needed.
    NotYet,
}

/// What `use_backend` rules come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This backend.
    Backend(BackendId),
    /// No rule matches, and there is no default.
    None,
    /// A rule that more bytes could still make true stands before any that is.
    NotYet,
}

/// Evaluates `tcp-request content` rules in order: the first that matches decides, the first that cannot be
/// decided yet makes the whole wait, and none means accept (configuration §4.2, "tcp-request content").
pub fn content_verdict(frontend: &Frontend, view: &View<'_>) -> ContentVerdict {
    for rule in &frontend.content_rules {
        match holds(rule.condition.as_ref(), &frontend.acls, view) {
            Verdict::No => {}
            Verdict::NotYet => return ContentVerdict::NotYet,
            Verdict::Yes => {
                return match rule.action {
                    ContentAction::Accept => ContentVerdict::Accept,
                    ContentAction::Reject => ContentVerdict::Reject,
                };
            }
        }
    }
    ContentVerdict::Accept
}

/// Evaluates `use_backend` rules in order. A rule that is not decided yet is waited for, even when a later one
/// or the default would do: two of eight zero bytes must not end at the default backend.
pub fn choose_backend(frontend: &Frontend, view: &View<'_>) -> Choice {
    for rule in &frontend.use_backends {
        match holds(rule.condition.as_ref(), &frontend.acls, view) {
            Verdict::No => {}
            Verdict::NotYet => return Choice::NotYet,
            Verdict::Yes => return Choice::Backend(rule.backend),
        }
    }
    frontend.default_backend.map_or(Choice::None, Choice::Backend)
}

/// The value of an `if` or `unless`; without one the rule always holds.
fn holds(condition: Option<&Condition>, acls: &[Acl], view: &View<'_>) -> Verdict {
    condition.map_or(Verdict::Yes, |condition| evaluate(condition, acls, view))
}

/// The value of a condition.
pub fn evaluate(condition: &Condition, acls: &[Acl], view: &View<'_>) -> Verdict {
    let group = |terms: &Vec<Term>| all(terms.iter().map(|term| term_value(term, acls, view)));
    let value = any(condition.any_of.iter().map(group));
    if condition.unless { value.not() } else { value }
}

fn term_value(term: &Term, acls: &[Acl], view: &View<'_>) -> Verdict {
    // The parser has checked the index; a missing ACL would hold nothing.
    let tests = acls.get(term.acl.0).map_or(&[][..], |acl| &acl.tests);
    let value = any(tests.iter().map(|test| fetch::test(test, view)));
    if term.negated { value.not() } else { value }
}

impl Verdict {
    /// The opposite; "not yet" stays.
    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::NotYet => Self::NotYet,
        }
    }
}

impl From<bool> for Verdict {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// Or: one yes is enough, and then nothing further is looked at.
fn any(values: impl Iterator<Item = Verdict>) -> Verdict {
    let mut result = Verdict::No;
    for value in values {
        match value {
            Verdict::Yes => return Verdict::Yes,
            Verdict::NotYet => result = Verdict::NotYet,
            Verdict::No => {}
        }
    }
    result
}

/// And: one no is enough.
fn all(values: impl Iterator<Item = Verdict>) -> Verdict {
    let mut result = Verdict::Yes;
    for value in values {
        match value {
            Verdict::No => return Verdict::No,
            Verdict::NotYet => result = Verdict::NotYet,
            Verdict::Yes => {}
        }
    }
    result
}

#[cfg(test)]
mod tests;
