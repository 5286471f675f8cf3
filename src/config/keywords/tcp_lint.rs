//! Rules for connections and their first bytes that ask for what is not there (configuration §7.1).

use super::http_actions::{ANSWER, CONNECTION, CONTENT, SESSION};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::draft::AclTable;
use crate::config::lint;
use crate::config::model::{AclTest, Expr, Fetch, HttpAction, HttpRule, Piece, Side};

/// Looks at a rule of this kind.
///
/// # Errors
/// An action takes a value from bytes that are not there. A condition that does is only warned of: it never holds.
pub(super) fn check(b: &mut Builder<'_>, st: &Statement<'_>, rule: &HttpRule, side: u8) -> Result<(), Fault> {
    let (there, why) = match side {
        CONTENT => (Some(Side::Request), "the server has not sent anything yet"),
        ANSWER => (Some(Side::Response), "the client's bytes are gone by then"),
        _ => (None, "no byte has come by then"),
    };
    let missing = |expr: &Expr| expr.fetch.message().is_some_and(|needed| Some(needed) != there);
    let mut fault = None;
    values(&rule.action, &mut |expr| {
        if missing(expr) {
            let message = format!("`{}` has no value in `{}` rules: {why}", expr.text, st.keyword.name);
            fault = Some(st.wrong(message));
        }
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    let proxy = b.proxy()?;
    let acls = &proxy.acls;
    let tcp = &proxy.tcp_rules;
    let before = match side {
        CONNECTION => &tcp.connection,
        SESSION => &tcp.session,
        CONTENT => &tcp.request,
        _ => &tcp.response,
    };
    let ends = |rule: &&HttpRule| {
        matches!(
            rule.action,
            HttpAction::Allow | HttpAction::Reject | HttpAction::SilentDrop | HttpAction::Close
        )
    };
    let mut before = before.iter().filter(ends).map(|rule| (rule.condition.as_ref(), rule.place.line));
    let unreachable = lint::unreachable(acls, rule.condition.as_ref(), &mut before);
    let mut never = None;
    for term in rule.condition.iter().flat_map(|condition| condition.any_of.iter().flatten()) {
        let Some(acl) = acls.by_id(term.acl) else { continue };
        if acl.tests.iter().all(|AclTest { expr, .. }| missing(expr)) {
            never = never.or(Some(acl.name.clone()));
        }
    }
    if let Some(name) = never {
        let message = format!("the ACL `{name}` never matches in `{}` rules: {why}", st.keyword.name);
        b.warn(st, None, message);
    }
    if let Some(message) = unreachable {
        b.warn(st, None, message);
    }
    Ok(())
}

/// Whether a rule looks at the bytes of a message, or at whether there are more to come.
pub(crate) fn looks_at_bytes(rule: &HttpRule, acls: &AclTable) -> bool {
    let looks = |expr: &Expr| expr.fetch.message().is_some() || matches!(expr.fetch, Fetch::WaitEnd);
    let mut found = false;
    values(&rule.action, &mut |expr| found |= looks(expr));
    let terms = rule.condition.iter().flat_map(|condition| condition.any_of.iter().flatten());
    let mut tests = terms.filter_map(|term| acls.by_id(term.acl)).flat_map(|acl| &acl.tests);
    found || tests.any(|test| looks(&test.expr))
}

/// Shows the expressions whose values an action takes.
fn values(action: &HttpAction, show: &mut dyn FnMut(&Expr)) {
    match action {
        HttpAction::SetVar(_, expr)
        | HttpAction::Capture(_, _, expr)
        | HttpAction::SetPriority { to: expr, .. } => show(expr),
        HttpAction::SetVarFormat(_, format) => {
            for piece in &format.pieces {
                if let Piece::Sample(expr, _) = piece {
                    show(expr);
                }
            }
        }
        _ => {}
    }
}
