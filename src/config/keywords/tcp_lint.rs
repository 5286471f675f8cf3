//! Rules for connections and their first bytes that ask for what is not there (configuration §7.1).

use super::http_rules::{ANSWER, CONNECTION, CONTENT, SESSION};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lint;
use crate::config::model::{AclTest, Expr, HttpAction, HttpRule, Piece, Side};

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
    let fault = |expr: &Expr| {
        let message = format!("`{}` has no value in `{}` rules: {why}", expr.text, st.keyword.name);
        Err(Fault::at(st.name_span(), message))
    };
    match &rule.action {
        HttpAction::SetVar(_, expr) | HttpAction::Capture(_, _, expr) if missing(expr) => return fault(expr),
        HttpAction::SetVarFormat(_, format) => {
            for piece in &format.pieces {
                if let Piece::Sample(expr, _) = piece
                    && missing(expr)
                {
                    return fault(expr);
                }
            }
        }
        _ => {}
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
    let before = before.iter().filter(ends).map(|rule| (rule.condition.as_ref(), rule.place.line));
    let unreachable = lint::unreachable(acls, rule.condition.as_ref(), before);
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
