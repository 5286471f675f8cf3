//! What is said of a whole configuration, once all of it is read.

use super::builder::Builder;
use super::diagnostics::{Severity, Sink, Spot};
use super::draft::{Proxy, ProxyKind};
use super::keywords::looks_at_bytes;
use super::model::{Global, HttpRule, Mode, TcpRules};
use super::privileges::{Account, Privileges, Written};
use super::resolve::{client_timeouts, server_timeouts};
use super::values::show_ms;

pub(super) fn check_global(b: &mut Builder<'_>) {
    let Global { bufsize_bytes, maxrewrite_bytes, .. } = b.global;
    // Half a buffer at least is for the head itself.
    if maxrewrite_bytes > bufsize_bytes / 2 {
        b.global.maxrewrite_bytes = bufsize_bytes / 2;
        let message = format!(
            "`tune.maxrewrite` {maxrewrite_bytes} is more than half of `tune.bufsize` {bufsize_bytes}; \
             {} is used",
            bufsize_bytes / 2
        );
        b.sink.push(Severity::Warning, Spot::default(), message);
    }
    let Privileges { chroot, user, group } = &b.global.privileges;
    let mut warn = |spot: Spot, message| b.sink.push(Severity::Warning, spot, message);
    // Who is told to stay root is in no want of a group.
    let stays_root = |user: &Written<Account>| match &user.value {
        Account::Id(id) => *id == 0,
        Account::Name(name) => name == "root",
    };
    match (chroot, user.as_ref().filter(|user| !stays_root(user)), group) {
        (Some(chroot), None, _) => {
            warn(chroot.spot(), "`chroot` without `user`: root knows ways out of such a folder");
        }
        (_, Some(user), None) => {
            warn(user.spot(), "`user` without `group`: the process keeps the group it was started with");
        }
        _ => {}
    }
}

pub(super) fn check_reached(b: &mut Builder<'_>, reached: &[bool]) {
    for (proxy, reached) in b.proxies.iter().zip(reached) {
        if proxy.kind == ProxyKind::Backend
            && !reached
            && !proxy.settings.disabled
            && !proxy.only_holds_a_table()
        {
            let message = format!("no frontend sends to backend `{}`", proxy.name);
            b.sink.push(Severity::Warning, proxy.spot.clone(), message);
        }
    }
}

pub(super) fn check_listening(b: &mut Builder<'_>) {
    let mut listening = false;
    for proxy in &b.proxies {
        if !proxy.kind.has_client_side() || proxy.settings.disabled {
            continue;
        }
        listening |= !proxy.binds.is_empty();
        if proxy.binds.is_empty() {
            let message =
                format!("{} `{}` has no `bind` line: nothing can reach it", proxy.kind.name(), proxy.name);
            b.sink.push(Severity::Warning, proxy.spot.clone(), message);
        }
    }
    if !listening && !b.sink.has_errors() {
        let message = "nothing to listen on: no enabled frontend or listen section has a `bind` line";
        b.sink.push(Severity::Error, Spot::default(), message);
    }
}

/// Content rules that have no time to wait for content. In `mode http` a request's head is there already.
pub(super) fn check_delays(b: &mut Builder<'_>) {
    for proxy in b.proxies.iter().filter(|proxy| !proxy.settings.disabled) {
        let TcpRules { request, request_delay_ms, response, response_delay_ms, .. } = &proxy.tcp_rules;
        let http = proxy.settings.mode == Some(Mode::Http);
        let look = |rules: &[HttpRule]| rules.iter().any(|rule| looks_at_bytes(rule, &proxy.acls));
        let mut warn = |what: &str, seen: &str| {
            let message = format!(
                "{} `{}` has `{what} content` rules but no `{what} inspect-delay`: they see only what {seen}",
                proxy.kind.name(),
                proxy.name
            );
            b.sink.push(Severity::Warning, proxy.spot.clone(), message);
        };
        if request_delay_ms.is_none() && !http && look(request) {
            warn("tcp-request", "has come with the first bytes");
        }
        if response_delay_ms.is_none() && look(response) {
            warn("tcp-response", "is known before the first byte");
        }
    }
}

/// One warning a section that leaves a needed timeout to the defaults, naming every default it gets.
pub(super) fn warn_of_timeouts(sink: &mut Sink, proxy: &Proxy, tunnel_default: bool) {
    let t = &proxy.settings.timeouts;
    let (client, server) = (proxy.kind.has_client_side(), proxy.kind.has_server_side());
    let needed = client && t.client.is_none() || server && (t.server.is_none() || t.connect.is_none());
    if !needed || proxy.settings.disabled || proxy.only_holds_a_table() {
        return;
    }
    let client_side = client_timeouts(t, tunnel_default);
    let server_side = server_timeouts(t, tunnel_default);
    // A sniffing frontend in `mode tcp` may well carry HTTP.
    let sniffs = proxy.tcp_rules.request_delay_ms.is_some() || !proxy.tcp_rules.request.is_empty();
    let http = proxy.settings.mode == Some(Mode::Http) || sniffs;
    let mut used = Vec::new();
    let mut note = |on: bool, set: Option<u64>, name: &str, value_ms: u64| {
        if on && set.is_none() {
            used.push(format!("{name} {}", show_ms(value_ms)));
        }
    };
    note(server, t.connect, "connect", server_side.connect_ms);
    note(client, t.client, "client", client_side.client_ms);
    note(server, t.server, "server", server_side.server_ms);
    note(client && http, t.http_request, "http-request", client_side.http_request_ms);
    note(client && http, t.http_keep_alive, "http-keep-alive", client_side.http_keep_alive_ms);
    note(tunnel_default, t.tunnel, "tunnel", client_side.tunnel_ms.unwrap_or(0));
    let message = format!(
        "{} `{}` sets no value for these timeouts; defaults are used: {}",
        proxy.kind.name(),
        proxy.name,
        used.join(", ")
    );
    sink.push(Severity::Warning, proxy.spot.clone(), message);
}
