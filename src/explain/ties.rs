//! Which server a client is led to, and why: by rules, by what it was given before, else by the balance.

use super::trace::is_usable;
use super::words;
use crate::config::{
    Algorithm, Backend, Chosen, Condition, Config, Expr, Fetch, PersistRule, PersistWord, Server,
    ServerCookie, Side, StickRule, Target,
};
use crate::rules::{self, View};

/// The conditions of a backend's rules about the choice of servers.
pub(super) fn conditions(backend: &Backend) -> Vec<&Condition> {
    let sticks = backend.sticks.request.iter().chain(&backend.sticks.response);
    let mut all: Vec<&Condition> = sticks.filter_map(|rule| rule.condition.as_ref()).collect();
    all.extend(backend.server_rules.iter().map(|rule| &rule.condition));
    all.extend(backend.persistence.rules.iter().map(|rule| &rule.condition));
    all
}

/// The backend's rules about the choice of servers, in the order in which they are asked.
pub(super) fn table(out: &mut String, config: &Config, backend: &Backend) {
    let mut line = |parts: [&str; 4], condition: Option<&Condition>| {
        out.push_str("  ");
        for part in parts {
            words::text(out, part.as_bytes());
        }
        if condition.is_some() {
            words::condition(out, condition, &backend.acls);
        }
        out.push('\n');
    };
    for PersistRule { word, condition } in &backend.persistence.rules {
        let does = match word {
            PersistWord::Force => "the server asked for is gone to even while it is down ",
            _ => "the server asked for does not count ",
        };
        line([does, "", "", ""], Some(condition));
    }
    for rule in &backend.server_rules {
        let name = match &rule.server {
            Chosen::Known(index) => backend.servers.get(*index).map_or("", |server| server.name.as_str()),
            Chosen::Called(_) => "of a name that is worked out",
        };
        line(["goes to server ", name, ", if it is up, ", ""], Some(&rule.condition));
    }
    if let Some(cookie) = &backend.persistence.cookie {
        line(["the cookie `", &cookie.name, "` leads to the server that it means, if it is up", ""], None);
    }
    for StickRule { expr, table, matches, condition, .. } in
        backend.sticks.request.iter().chain(&backend.sticks.response)
    {
        let Some(Target::Table(at)) = config.references.get(table.0) else { continue };
        let table = config.tables.get(*at).map_or("", |table| &*table.name);
        let does = if *matches { " is looked for in stick-table " } else { " is stored in stick-table " };
        line([&expr.text, does, table, if condition.is_some() { " " } else { "" }], condition.as_ref());
    }
}

/// The server of a connection, and why.
pub(super) fn server<'b>(backend: &'b Backend, view: &View<'_>) -> Option<(&'b Server, String)> {
    let said = |server: &'b Server, why: &str| Some((server, why.to_owned()));
    let holds = |condition| rules::applies(Some(condition), &backend.acls, view);
    for rule in backend.server_rules.iter().filter(|rule| holds(&rule.condition)) {
        match &rule.server {
            Chosen::Known(index) => match backend.servers.get(*index) {
                Some(server) if !server.disabled => return said(server, "by `use-server`, if it is up"),
                _ => {}
            },
            Chosen::Called(_) => break,
        }
    }
    let persist = backend.persistence.rules.iter().find(|rule| holds(&rule.condition));
    if let Some(server) = by_cookie(backend, view)
        && persist.is_none_or(|rule| rule.word != PersistWord::Ignore)
    {
        return said(server, "its cookie asks for it, if it is up");
    }
    let (server, why) = by_balance(backend)?;
    let known =
        if backend.sticks.request.is_empty() { "" } else { ", unless a stick-table knows another one" };
    Some((server, [why, known].concat()))
}

fn by_cookie<'b>(backend: &'b Backend, view: &View<'_>) -> Option<&'b Server> {
    let rule = backend.persistence.cookie.as_ref()?;
    let cookie = Expr::of(Fetch::Cookie(Side::Request, rule.name.clone()), "");
    let mut found = None;
    rules::value(&cookie, view, &mut |sample| {
        let rules::Sample::Bytes(value) = sample else { return };
        // What follows is the application's own, or dates.
        let end = if rule.prefix { b'~' } else { b'|' };
        let value = value.split(|byte| *byte == end).next().unwrap_or_default();
        let asked = |server: &&Server| {
            matches!(&server.cookie, Some(ServerCookie::Value(own)) if **own == *value) && !server.disabled
        };
        found = found.or(backend.servers.iter().find(asked));
    });
    found
}

fn by_balance(backend: &Backend) -> Option<(&Server, &'static str)> {
    // As in the gateway: weight 0 and `disabled` take nothing, backups wait until no other is left.
    let usable = || backend.servers.iter().filter(|server| is_usable(server));
    let mut best: Option<&Server> = None;
    for server in usable().filter(|server| !server.backup) {
        if best.is_none_or(|best| server.weight > best.weight) {
            best = Some(server);
        }
    }
    let alone = usable().filter(|server| !server.backup).count() == 1;
    match best {
        Some(server) if alone => Some((server, "the only usable server, if it is up")),
        Some(server) => Some((
            server,
            match &backend.balance.algorithm {
                Algorithm::Hash(_) | Algorithm::Random(_) => {
                    "or another one: `balance` decides for each by itself"
                }
                _ => "the first turn after a start if all are up; later ones follow by weight",
            },
        )),
        None => usable().next().map(|server| (server, "no other server is usable: the first backup")),
    }
}
