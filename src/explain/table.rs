//! The routing table of a configuration in plain words.

use super::{Texts, ties, words};
use crate::config::{
    Acl, Backend, BackendId, Chosen, Condition, Config, Frontend, HttpAction, HttpRule, HttpRules,
};

/// Each frontend with its addresses and rules, each backend with its servers; of one frontend where `only` says so.
#[must_use]
pub fn table(config: &Config, texts: &Texts<'_>, only: Option<usize>) -> String {
    let mut out = String::new();
    for (at, known) in config.frontends.iter().enumerate() {
        if only.is_none_or(|only| only == at) {
            frontend(&mut out, config, texts, known);
        }
    }
    for (at, known) in config.backends.iter().enumerate() {
        let named = |frontend: &Frontend| {
            frontend.default_backend == Some(BackendId(at))
                || frontend.use_backends.iter().any(|rule| match &rule.backend {
                    Chosen::Known(id) => *id == BackendId(at),
                    Chosen::Called(_) => true,
                })
        };
        if only.is_none_or(|only| config.frontends.get(only).is_some_and(named)) {
            backend(&mut out, config, texts, known);
        }
    }
    out
}

fn frontend(out: &mut String, config: &Config, texts: &Texts<'_>, frontend: &Frontend) {
    super::trace::heading(out, frontend);
    for bind in &frontend.binds {
        out.push_str("  listens on ");
        words::text(out, bind.text.as_bytes());
        out.push('\n');
    }
    let tcp = || frontend.tcp.connection.iter().chain(&frontend.tcp.session).chain(&frontend.tcp.request);
    let rules = || {
        let first = tcp().chain(of_http(&frontend.http_rules)).map(|rule: &HttpRule| rule.condition.as_ref());
        first.chain(frontend.use_backends.iter().map(|rule| rule.condition.as_ref()))
    };
    acls(out, &frontend.acls, &|id| rules().flatten().any(|condition| names(condition, id)));
    if let Some(ms) = frontend.tcp.request_delay_ms {
        out.push_str("  waits at most ");
        words::number(out, i64::try_from(ms).unwrap_or(i64::MAX));
        out.push_str(" ms for bytes that decide\n");
    }
    for rule in tcp() {
        let does = match rule.action {
            HttpAction::Allow => "goes on to the choice of a backend ",
            HttpAction::Reject | HttpAction::SilentDrop => "is closed ",
            HttpAction::ExpectProxy => "must begin with a PROXY protocol header ",
            _ => "is noted ",
        };
        self::rule(out, does, rule.condition.as_ref(), &frontend.acls);
        texts.show(out, &rule.place);
    }
    http_rules(out, texts, frontend.http_rules.of_requests(), &frontend.acls);
    for rule in &frontend.use_backends {
        let does = ["goes to backend ", super::trace::chosen(config, &rule.backend), " "].concat();
        self::rule(out, &does, rule.condition.as_ref(), &frontend.acls);
        texts.show(out, &rule.place);
    }
    match frontend.default_backend {
        Some(id) => {
            out.push_str("  what is left goes to backend ");
            out.push_str(super::trace::name(config, id));
            out.push_str(", the default\n");
        }
        None => out.push_str("  what is left goes nowhere: there is no default backend\n"),
    }
    http_answers(out, texts, &frontend.http_rules, &frontend.acls);
    out.push('\n');
}

/// All of a proxy's rules for HTTP.
fn of_http(rules: &HttpRules) -> impl Iterator<Item = &HttpRule> {
    rules.of_requests().into_iter().chain(rules.of_answers()).flatten()
}

fn http_rules(out: &mut String, texts: &Texts<'_>, lists: [&[HttpRule]; 4], acls: &[Acl]) {
    for rule in lists.into_iter().flatten() {
        let mut does = String::new();
        words::action(&mut does, &rule.action);
        does.push(' ');
        self::rule(out, &does, rule.condition.as_ref(), acls);
        texts.show(out, &rule.place);
    }
}

/// The declarations of those that are used.
fn acls(out: &mut String, acls: &[Acl], used: &dyn Fn(usize) -> bool) {
    for (_, acl) in acls.iter().enumerate().filter(|(id, _)| used(*id)) {
        self::acl(out, acl);
    }
}

fn names(condition: &Condition, id: usize) -> bool {
    condition.any_of.iter().flatten().any(|term| term.acl.0 == id)
}

/// Its declarations: alternatives on lines of their own.
fn acl(out: &mut String, acl: &Acl) {
    for test in &acl.tests {
        out.push_str("  ");
        out.push_str(&acl.name);
        out.push_str(" means: ");
        words::test(out, test);
        out.push('\n');
    }
}

fn rule(out: &mut String, does: &str, condition: Option<&Condition>, acls: &[Acl]) {
    out.push_str("  ");
    out.push_str(does);
    words::condition(out, condition, acls);
    out.push_str("\n      ");
}

/// The rules for what comes back.
fn http_answers(out: &mut String, texts: &Texts<'_>, rules: &HttpRules, acls: &[Acl]) {
    if rules.of_answers().into_iter().any(|list| !list.is_empty()) {
        out.push_str("  to answers:\n");
    }
    http_rules(out, texts, rules.of_answers(), acls);
}

fn backend(out: &mut String, config: &Config, texts: &Texts<'_>, backend: &Backend) {
    out.push_str("backend ");
    out.push_str(&backend.name);
    out.push_str(" (");
    words::place(out, &backend.place);
    out.push_str("), ");
    out.push_str(words::mode(backend.mode));
    match backend.servers.as_slice() {
        [] => out.push_str(", no server: every connection is refused"),
        [_] => {}
        _ => words::balance(out, &backend.balance),
    }
    out.push('\n');
    let mut conditions = ties::conditions(backend);
    conditions.extend(of_http(&backend.http_rules).filter_map(|rule| rule.condition.as_ref()));
    acls(out, &backend.acls, &|id| conditions.iter().any(|condition| names(condition, id)));
    http_rules(out, texts, backend.http_rules.of_requests(), &backend.acls);
    ties::table(out, config, backend);
    for server in &backend.servers {
        out.push_str("  ");
        words::server(out, server);
        out.push('\n');
    }
    http_answers(out, texts, &backend.http_rules, &backend.acls);
    out.push('\n');
}
