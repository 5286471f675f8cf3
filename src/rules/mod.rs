//! ACLs, conditions and rules over the bytes of a connection: pure functions. Converters, and fetches that put
//! texts together, allocate; nothing else does.
//!
//! Everything has three values: what more bytes could still make true or false is [`Verdict::NotYet`]. Once a
//! verdict is yes or no, more bytes do not change it, so the answer does not depend on how a client's bytes
//! were cut into segments.

mod convert;
mod fetch;
pub mod fill;
mod matching;
mod rdp;
mod test;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod view;
mod world;

pub use convert::{as_text, expand, replaced};
pub use fetch::is_to_proxy;
pub use matching::matches;
pub use rdp::rdp_cookie;
pub use text::{first_element, path_and_query};
pub use value::{Sample, Scratch};
pub use view::{Seen, View};
pub use world::{Nowhere, World};

use crate::config::{Acl, AclTest, BackendId, Chosen, Condition, Expr, Frontend, HttpAction, HttpRule, Term};

/// Yes, no, or more bytes are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// More bytes will tell.
    NotYet,
}

impl Verdict {
    /// The opposite; what is open stays open.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::NotYet => Self::NotYet,
        }
    }

    /// Both: one no is enough for no.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::NotYet,
        }
    }

    /// Either: one yes is enough for yes.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.negate().and(other.negate()).negate()
    }
}

impl From<bool> for Verdict {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// What the `tcp-request content` rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentVerdict {
    /// Go on to choosing a backend.
    Accept,
    /// Close the connection.
    Reject,
    /// More bytes are needed; at the end of the inspect delay ask again with a final view.
    NotYet,
}

/// Where a connection or request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// To this backend.
    Backend(BackendId),
    /// No rule matched and there is no default: an error answer, or a close.
    None,
    /// More bytes are needed; at the end of the inspect delay ask again with a final view.
    NotYet,
}

/// What the `tcp-request content` rules of a frontend say of bytes, variables left aside. Never
/// [`ContentVerdict::NotYet`] for a final view.
#[must_use]
pub fn content_verdict(frontend: &Frontend, view: &View<'_>) -> ContentVerdict {
    verdict(&frontend.tcp.request, &frontend.acls, view)
}

/// The same of any rules for connections and their first bytes.
#[must_use]
pub fn verdict(rules: &[HttpRule], acls: &[Acl], view: &View<'_>) -> ContentVerdict {
    walk(rules, acls, view, &mut |action| match action {
        HttpAction::Allow => Some(ContentVerdict::Accept),
        HttpAction::Reject | HttpAction::SilentDrop => Some(ContentVerdict::Reject),
        _ => None,
    })
}

/// Runs rules for connections and their first bytes in order, up to the first that is undecided or of which `act` says
/// what it comes to; `act` does what the action says. No such rule means accept (configuration §4.2, "tcp-request
/// content").
pub fn walk(
    rules: &[HttpRule],
    acls: &[Acl],
    view: &View<'_>,
    act: &mut dyn FnMut(&HttpAction) -> Option<ContentVerdict>,
) -> ContentVerdict {
    for rule in rules {
        let verdict = match optional(rule.condition.as_ref(), acls, view) {
            Verdict::No => None,
            Verdict::NotYet => Some(ContentVerdict::NotYet),
            Verdict::Yes => act(&rule.action),
        };
        if let Some(verdict) = verdict {
            return verdict;
        }
    }
    ContentVerdict::Accept
}

/// The first `use_backend` rule whose condition holds, else the default backend, as for a name that no backend has. A rule that more bytes could
/// still make true holds up the choice, where HAProxy would pass it over: so a preamble may come in pieces.
/// Never [`Choice::NotYet`] for a final view.
#[must_use]
pub fn choose_backend(frontend: &Frontend, view: &View<'_>) -> Choice {
    for rule in &frontend.use_backends {
        match optional(rule.condition.as_ref(), &frontend.acls, view) {
            Verdict::No => {}
            Verdict::NotYet => return Choice::NotYet,
            Verdict::Yes => match &rule.backend {
                Chosen::Known(id) => return Choice::Backend(*id),
                Chosen::Called(name) if fill::is_settled(name, view) == Verdict::NotYet => {
                    return Choice::NotYet;
                }
                Chosen::Called(name) => match view.world().backend_called(name, view) {
                    Some(id) => return Choice::Backend(id),
                    // The rule was the one that counts, as in HAProxy: what follows it is not asked.
                    None => break,
                },
            },
        }
    }
    frontend.default_backend.map_or(Choice::None, Choice::Backend)
}

/// Whether a condition holds; `acls` are those of its proxy. Never [`Verdict::NotYet`] for a final view.
#[must_use]
pub fn evaluate(condition: &Condition, acls: &[Acl], view: &View<'_>) -> Verdict {
    let mut any = Verdict::No;
    for group in &condition.any_of {
        any = any.or(all_hold(group, acls, view));
        if any == Verdict::Yes {
            break;
        }
    }
    if condition.unless { any.negate() } else { any }
}

/// Shows the value of an expression; of several values the last (configuration §7.3.6, "req.hdr"). Nothing is
/// shown where there is none. True where it is final.
pub fn value(expr: &Expr, view: &View<'_>, show: &mut dyn FnMut(&Sample<'_>)) -> bool {
    let fetched = fetch::each(expr, view, false, &mut |sample| {
        show(&sample);
        false
    });
    fetched == fetch::Fetched::Done
}

/// What has come of a request's body.
#[must_use]
pub fn body<'a>(view: &View<'a>) -> Option<std::borrow::Cow<'a, [u8]>> {
    let head = view.head()?;
    Some(crate::http::body_so_far(head.framing, view.body(head)).0)
}

/// What one test of an ACL says, and every sample it looked at; none is shown where there is none (yet).
pub fn look(test: &AclTest, view: &View<'_>, show: &mut dyn FnMut(&Sample<'_>)) -> Verdict {
    fetch::each(&test.expr, view, true, &mut |sample| {
        show(&sample);
        true
    });
    test::test(test, view)
}

/// Whether an optional condition holds; without one it does.
#[must_use]
pub fn applies(condition: Option<&Condition>, acls: &[Acl], view: &View<'_>) -> bool {
    optional(condition, acls, view) == Verdict::Yes
}

fn optional(condition: Option<&Condition>, acls: &[Acl], view: &View<'_>) -> Verdict {
    condition.map_or(Verdict::Yes, |condition| evaluate(condition, acls, view))
}

fn all_hold(group: &[Term], acls: &[Acl], view: &View<'_>) -> Verdict {
    let mut all = Verdict::Yes;
    for term in group {
        // Ids are resolved by the loader; one from elsewhere names an ACL without alternatives.
        let verdict = acls.get(term.acl.0).map_or(Verdict::No, |acl| any_test(acl, view));
        all = all.and(if term.negated { verdict.negate() } else { verdict });
        if all == Verdict::No {
            break;
        }
    }
    all
}

fn any_test(acl: &Acl, view: &View<'_>) -> Verdict {
    let mut any = Verdict::No;
    for test in &acl.tests {
        any = any.or(test::test(test, view));
        if any == Verdict::Yes {
            break;
        }
    }
    any
}
