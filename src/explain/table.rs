//! The routing table of a configuration in plain words.

use super::{Texts, words};
use crate::config::{Acl, Backend, BackendId, Chosen, Condition, Config, Frontend, HttpAction, HttpRule};

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
            backend(&mut out, known);
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
        let first = tcp().map(|rule: &HttpRule| rule.condition.as_ref());
        first.chain(frontend.use_backends.iter().map(|rule| rule.condition.as_ref()))
    };
    for (id, acl) in frontend.acls.iter().enumerate() {
        let used = |condition: &Condition| condition.any_of.iter().flatten().any(|term| term.acl.0 == id);
        if rules().flatten().any(used) {
            self::acl(out, acl);
        }
    }
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
    out.push('\n');
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

fn backend(out: &mut String, backend: &Backend) {
    out.push_str("backend ");
    out.push_str(&backend.name);
    out.push_str(" (");
    words::place(out, &backend.place);
    out.push_str("), ");
    out.push_str(words::mode(backend.mode));
    out.push_str(match backend.servers.as_slice() {
        [] => ", no server: every connection is refused\n",
        [_] => "\n",
        _ => ", servers take turns by weight\n",
    });
    for server in &backend.servers {
        out.push_str("  ");
        words::server(out, server);
        out.push('\n');
    }
    out.push('\n');
}
