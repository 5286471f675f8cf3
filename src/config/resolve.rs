//! From drafts to the typed [`Config`]: names become indexes, defaults are filled in, sections are checked
//! against each other.

mod references;

use super::builder::Builder;
use super::checks::{check_delays, check_global, check_listening, check_reached, warn_of_timeouts};
use super::diagnostics::{DIAGNOSTICS_MAX, Severity, Sink};
use super::draft::{ErrorSource, NameRef, Proxy, ProxyKind, Settings, Timeouts, UseRule};
use super::keywords::stick;
use super::model::{
    Acl, Algorithm, Backend, BackendId, Chosen, ClientTimeouts, Config, ErrorPage, Frontend, Global,
    HttpOptions, HttpRules, Key, LogTarget, Mode, Server, ServerCookie, ServerTimeouts, StickTable, Target,
    TcpRules, TcpTuning, UseBackend, UseServer,
};
use references::{check_pages, position, references, server_names};
use std::mem::take;
use std::rc::Rc;

/// Above so many proxies no near name is looked for.
const HINT_PROXIES_MAX: usize = 10_000;

/// Makes the configuration out of everything that was read. Errors and warnings go to the builder's sink; what
/// is returned is only of use where there was no error.
pub(crate) fn resolve(b: &mut Builder<'_>) -> Config {
    let backends = number_backends(&b.proxies);
    // Where lines could not be read, what seems to be missing may well be there.
    let whole = !b.sink.has_errors();
    check_global(b);
    let mut tunnel_default = true;
    for proxy in &b.proxies {
        let t = &proxy.settings.timeouts;
        tunnel_default &= t.client.is_none() && t.server.is_none() && t.tunnel.is_none();
    }
    let mut reached = vec![false; b.proxies.len()];
    let targets: Vec<Targets> =
        (0..b.proxies.len()).map(|i| resolve_targets(b, i, &backends, &mut reached)).collect();
    if whole {
        let speaks_http = speaking_http(&b.proxies, &targets);
        super::lint::lint(b, &speaks_http);
        for (proxy, _) in b.proxies.iter_mut().zip(speaks_http).filter(|(_, speaks)| !speaks) {
            (proxy.blocks, proxy.http_rules) = Default::default();
        }
        check_reached(b, &reached);
        check_listening(b);
        check_delays(b);
    }
    super::states::resolve_tracks(b, &backends);
    let tables: Vec<StickTable> = take(&mut b.shared.tables).into_iter().map(|(table, _)| table).collect();
    let references = references(b, &backends, &tables);
    let by_name = match b.proxies.iter().any(works_names_out) {
        true => b.named_backends().filter_map(|at| backends.get(at).copied().flatten()).collect(),
        false => Vec::new(),
    };
    check_pages(b, &references);
    stick::check_keys(b, &references, &tables);
    let variables = take(&mut b.shared.variables);
    let mut config = Config {
        global: take(&mut b.global),
        userlists: take(&mut b.userlists),
        references,
        tables,
        variables,
        by_name,
        frontends: Vec::new(),
        backends: Vec::new(),
    };
    for proxy in &mut b.proxies {
        let mut blocks = take(&mut proxy.blocks);
        blocks.append(&mut proxy.http_rules.request);
        proxy.http_rules.request = blocks;
    }
    let ids = (1..).zip(&backends);
    for ((id, own_backend), (proxy, targets)) in ids.zip(b.proxies.iter_mut().zip(targets)) {
        if whole {
            warn_of_timeouts(&mut b.sink, proxy, tunnel_default);
        }
        let acls = take(&mut proxy.acls).into_list();
        let rules: Rules = (acls.into(), take(&mut proxy.http_rules).into());
        if proxy.kind.has_server_side() {
            check_balance(&mut b.sink, proxy);
            let server_rules = server_rules(&mut b.sink, proxy);
            let backend = backend(proxy, id, server_rules, rules.clone(), &config, tunnel_default);
            config.backends.push(backend);
        }
        if proxy.kind.has_client_side() && !proxy.settings.disabled {
            let frontend = frontend(proxy, id, *own_backend, targets, rules, &config, tunnel_default);
            config.frontends.push(frontend);
        }
    }
    config
}

/// The pages of a proxy, by status; of several lines for one status the last counts.
fn error_pages(settings: &Settings, references: &[Target]) -> Rc<[(u16, ErrorPage)]> {
    let mut found: Vec<(u16, ErrorPage)> = Vec::new();
    let mut set = |status: u16, page: Option<ErrorPage>| {
        found.retain(|(known, _)| *known != status);
        found.extend(page.map(|page| (status, page)));
    };
    for source in &settings.errors {
        match source {
            ErrorSource::Page(status, page) => set(*status, page.clone()),
            ErrorSource::Section(id, statuses) => {
                let Some(Target::Pages(pages)) = references.get(id.0) else { continue };
                let wanted = |status| statuses.is_empty() || statuses.contains(&status);
                for (status, page) in pages.iter().filter(|(status, _)| wanted(*status)) {
                    set(*status, Some(ErrorPage::Whole(page.clone())));
                }
            }
        }
    }
    found.into()
}

/// Where a frontend can send to, resolved.
#[derive(Default)]
struct Targets {
    default_backend: Option<BackendId>,
    /// In the order of its `use_backend` rules; `None` = an error was noted, or the name is worked out.
    rules: Vec<Option<BackendId>>,
}

/// The index each proxy's server side will have in [`Config::backends`].
fn number_backends(proxies: &[Proxy]) -> Vec<Option<BackendId>> {
    let mut next = 0;
    let number = |proxy: &Proxy| {
        proxy.kind.has_server_side().then(|| {
            next += 1;
            BackendId(next - 1)
        })
    };
    proxies.iter().map(number).collect()
}

fn resolve_targets(
    b: &mut Builder<'_>,
    at: usize,
    backends: &[Option<BackendId>],
    reached: &mut [bool],
) -> Targets {
    let mut targets = Targets::default();
    let Some(proxy) = b.proxies.get(at) else { return targets };
    if !proxy.kind.has_client_side() {
        return targets;
    }
    let mode = proxy.settings.mode.unwrap_or_default();
    let mut faults = Vec::new();
    let mut find =
        |reference: &NameRef| match target(b, proxy, mode, reference, faults.len() <= DIAGNOSTICS_MAX) {
            Ok(index) => {
                if let Some(reached) = reached.get_mut(index) {
                    *reached = true;
                }
                backends.get(index).copied().flatten()
            }
            Err(message) => {
                // What would not be shown need not be kept.
                if faults.len() <= DIAGNOSTICS_MAX {
                    faults.push((reference.spot.clone(), message));
                }
                None
            }
        };
    let rule = |rule: &UseRule| match &rule.backend {
        Chosen::Known(name) => find(name),
        Chosen::Called(_) => None,
    };
    targets.rules = proxy.use_backends.iter().map(rule).collect();
    targets.default_backend = match &proxy.settings.default_backend {
        Some(reference) => find(reference),
        // A `listen` sends to its own servers.
        None => backends.get(at).copied().flatten(),
    };
    // A name that is worked out can be any.
    if works_names_out(proxy) {
        reached.fill(true);
    }
    let own = proxy.kind == ProxyKind::Listen && proxy.settings.default_backend.is_none();
    if own && let Some(reached) = reached.get_mut(at) {
        *reached = true;
    }
    if proxy.kind == ProxyKind::Frontend
        && proxy.use_backends.is_empty()
        && proxy.settings.default_backend.is_none()
        && !proxy.settings.disabled
        && !proxy.answers_by_itself()
        && !b.sink.has_errors()
    {
        let message = format!(
            "frontend `{}` has neither `default_backend` nor `use_backend`: its connections go nowhere",
            proxy.name
        );
        b.sink.push(Severity::Warning, proxy.spot.clone(), message);
    }
    for (spot, message) in faults {
        b.sink.push(Severity::Error, spot, message);
    }
    targets
}

/// The proxy a reference names.
fn target(
    b: &Builder<'_>,
    from: &Proxy,
    mode: Mode,
    reference: &NameRef,
    shown: bool,
) -> Result<usize, String> {
    let Some(index) = b.proxy_named(true, &reference.name) else {
        // Looking for a near name among very many, very often, would take minutes.
        let few = b.proxies.len() <= HINT_PROXIES_MAX;
        let hint = if few && shown { b.hint_of_proxies(true, &reference.name) } else { String::new() };
        return Err(format!("there is no backend `{}`{hint}", reference.name));
    };
    let to = b.proxies.get(index).and_then(|proxy| proxy.settings.mode).unwrap_or_default();
    if mode == Mode::Http && to == Mode::Tcp {
        return Err(format!(
            "`{}` is `mode http` and cannot send to `{}`, which is `mode tcp`; give both the same mode, or make \
             the frontend `mode tcp`",
            from.name, reference.name
        ));
    }
    Ok(index)
}

/// Which of the proxies have to do with HTTP: by their mode, or as frontends that tell protocols apart by the mode of a
/// backend they send to. A backend's name that is worked out can be that of any.
fn speaking_http(proxies: &[Proxy], targets: &[Targets]) -> Vec<bool> {
    let is_http = |proxy: &Proxy| proxy.settings.mode == Some(Mode::Http);
    let by_id: Vec<bool> = proxies.iter().filter(|proxy| proxy.kind.has_server_side()).map(is_http).collect();
    let of_id = |id: BackendId| by_id.get(id.0).is_none_or(|&http| http);
    let sends_to_http = |targets: &Targets| {
        targets.default_backend.is_some_and(of_id) || targets.rules.iter().any(|rule| rule.is_none_or(of_id))
    };
    proxies.iter().zip(targets).map(|(proxy, to)| is_http(proxy) || sends_to_http(to)).collect()
}

pub(super) fn client_timeouts(t: &Timeouts, tunnel_default: bool) -> ClientTimeouts {
    let default = ClientTimeouts::default();
    ClientTimeouts {
        client_ms: t.client.unwrap_or(default.client_ms),
        client_fin_ms: t.client_fin,
        http_request_ms: t.http_request.unwrap_or(default.http_request_ms),
        http_keep_alive_ms: t.http_keep_alive.or(t.http_request).unwrap_or(default.http_keep_alive_ms),
        tunnel_ms: t.tunnel.or(default.tunnel_ms.filter(|_| tunnel_default)),
        tarpit_ms: t.tarpit.or(t.connect).unwrap_or(default.tarpit_ms),
    }
}

pub(super) fn server_timeouts(t: &Timeouts, tunnel_default: bool) -> ServerTimeouts {
    let default = ServerTimeouts::default();
    let connect_ms = t.connect.unwrap_or(default.connect_ms);
    ServerTimeouts {
        connect_ms,
        server_ms: t.server.unwrap_or(default.server_ms),
        server_fin_ms: t.server_fin,
        tunnel_ms: t.tunnel.or(default.tunnel_ms.filter(|_| tunnel_default)),
        queue_ms: t.queue.unwrap_or(connect_ms),
        tarpit_ms: t.tarpit.unwrap_or(connect_ms),
        check_ms: t.check,
    }
}

fn http_options(settings: &Settings) -> HttpOptions {
    HttpOptions { connection: settings.connection.unwrap_or_default(), ..settings.http.clone() }
}

fn logs(settings: &Settings, global: &Global) -> Vec<LogTarget> {
    let mut logs = if settings.log_global { global.logs.clone() } else { Vec::new() };
    logs.extend(settings.logs.iter().cloned());
    logs
}

/// The client side of a proxy, which is left without it.
fn frontend(
    proxy: &mut Proxy,
    id: u32,
    own_backend: Option<BackendId>,
    targets: Targets,
    (acls, http_rules): Rules,
    config: &Config,
    tunnel_default: bool,
) -> Frontend {
    let settings = &mut proxy.settings;
    let mut use_backends = Vec::with_capacity(targets.rules.len());
    for (UseRule { backend, condition, place }, known) in
        take(&mut proxy.use_backends).into_iter().zip(targets.rules)
    {
        let backend = match (backend, known) {
            (Chosen::Called(name), _) => Chosen::Called(name),
            (_, Some(id)) => Chosen::Known(id),
            // An error was noted.
            _ => continue,
        };
        use_backends.push(UseBackend { backend, condition, place });
    }
    let [tuning, _] = settings.tunings;
    let mut binds = take(&mut proxy.binds);
    for bind in &mut binds {
        let TcpTuning { user_timeout_ms, mss, fast_open, .. } = bind.tuning;
        bind.tuning = TcpTuning { user_timeout_ms, mss, fast_open, ..tuning };
    }
    Frontend {
        name: proxy.name.clone(),
        id,
        place: proxy.spot.place.clone(),
        mode: settings.mode.unwrap_or_default(),
        binds,
        maxconn: settings.maxconn,
        accepts_a_second: settings.accepts_a_second,
        backlog: settings.backlog,
        acls,
        tcp: take(&mut proxy.tcp_rules),
        http_rules,
        errors: error_pages(settings, &config.references),
        monitor_uri: settings.monitor_uri.take(),
        monitor_nets: take(&mut settings.monitor_nets),
        monitor_fail: take(&mut proxy.monitor_fail),
        use_backends,
        own_backend,
        default_backend: targets.default_backend,
        timeouts: client_timeouts(&settings.timeouts, tunnel_default),
        http: http_options(settings),
        logs: logs(settings, &config.global),
        log_format: settings.log_format,
        lines: take(&mut settings.lines),
        log_tag: settings.log_tag.clone(),
        captures: take(&mut proxy.captures),
        dont_log_null: settings.dont_log_null,
        tcp_keepalive: settings.client_keepalive.unwrap_or(true),
    }
}

/// ACLs and rules for HTTP, shared by both sides of a `listen`.
type Rules = (Rc<[Acl]>, Rc<HttpRules>);

/// Whether `use_backend` rules of a proxy work names out.
fn works_names_out(proxy: &Proxy) -> bool {
    proxy.use_backends.iter().any(|rule| matches!(rule.backend, Chosen::Called(_)))
}

/// The rules of a backend for first bytes. In a `listen` section they are the client side's, and run once; but for those
/// about the first bytes of servers.
fn tcp_rules(proxy: &mut Proxy) -> TcpRules {
    if !proxy.kind.has_client_side() {
        return take(&mut proxy.tcp_rules);
    }
    let TcpRules { request_delay_ms, response, response_delay_ms, .. } = &mut proxy.tcp_rules;
    TcpRules {
        request_delay_ms: *request_delay_ms,
        response: take(response),
        response_delay_ms: *response_delay_ms,
        ..TcpRules::default()
    }
}

/// The `use-server` rules of a proxy; a server that is not there is an error.
fn server_rules(sink: &mut Sink, proxy: &mut Proxy) -> Vec<UseServer> {
    let mut rules = Vec::new();
    for (server, condition) in take(&mut proxy.use_servers) {
        let server = match server {
            Chosen::Called(name) => Chosen::Called(name),
            Chosen::Known(NameRef { name, spot }) => {
                let missing = format_args!("`{}` has no server `{name}`", proxy.name);
                match position(&name, server_names(proxy), missing) {
                    Ok(index) => Chosen::Known(index),
                    Err(message) => {
                        sink.push(Severity::Error, spot, message);
                        continue;
                    }
                }
            }
        };
        rules.push(UseServer { server, condition });
    }
    rules
}

/// Gives each server without a number the first free one from its place on, as HAProxy does.
fn number_servers(servers: &mut [Server]) {
    let mut taken: Vec<u32> = servers.iter().map(|server| server.id).filter(|&id| id > 0).collect();
    taken.sort_unstable();
    for (mut id, server) in (1..).zip(servers) {
        if server.id == 0 {
            let at = loop {
                match taken.binary_search(&id) {
                    Ok(_) => id += 1,
                    Err(at) => break at,
                }
            };
            taken.insert(at, id);
            server.id = id;
        }
    }
}

/// What is part of a request cannot be hashed where none is read.
fn check_balance(sink: &mut Sink, proxy: &mut Proxy) {
    let algorithm = &mut proxy.settings.balance.algorithm;
    let of_requests =
        matches!(algorithm, Algorithm::Hash(Key::Uri { .. } | Key::UrlParam(_) | Key::Header { .. }));
    if of_requests && proxy.settings.mode != Some(Mode::Http) {
        *algorithm = Algorithm::RoundRobin;
        let message = format!(
            "`{}` balances by a part of requests, which needs `mode http`: servers take turns",
            proxy.name
        );
        sink.push(Severity::Warning, proxy.spot.clone(), message);
    }
}

/// Takes from a proxy what a client side has no use for.
fn backend(
    proxy: &mut Proxy,
    id: u32,
    server_rules: Vec<UseServer>,
    (acls, http_rules): Rules,
    config: &Config,
    tunnel_default: bool,
) -> Backend {
    let tcp = tcp_rules(proxy);
    let mut servers = take(&mut proxy.servers);
    let settings = &mut proxy.settings;
    for check in servers.iter_mut().filter_map(|server| server.check.as_mut()) {
        check.spread_percent = config.global.spread_checks;
    }
    number_servers(&mut servers);
    // Everything goes there, and nothing to the servers.
    if let Some(direct) = proxy.direct.take().or_else(|| settings.transparent.take()) {
        servers.iter_mut().for_each(|server| server.disabled = true);
        servers.push(direct);
    }
    if settings.disabled {
        // What still names it finds no server.
        servers.iter_mut().for_each(|server| server.disabled = true);
    }
    let mut persistence = take(&mut settings.persistence);
    persistence.rules = take(&mut proxy.persist_rules);
    let is_dynamic = persistence.cookie.as_ref().is_some_and(|cookie| cookie.dynamic);
    if let Some(key) = settings.dynamic_cookie_key.as_ref().filter(|_| is_dynamic) {
        for server in servers.iter_mut().filter(|server| server.cookie.is_none()) {
            server.cookie = Some(ServerCookie::Dynamic(key.clone()));
        }
    }
    Backend {
        name: proxy.name.clone(),
        id,
        place: proxy.spot.place.clone(),
        mode: settings.mode.unwrap_or_default(),
        balance: take(&mut settings.balance),
        check_plan: settings.probes.plan(),
        acls,
        tcp,
        http_rules,
        server_rules,
        persistence,
        sticks: take(&mut proxy.sticks),
        errors: error_pages(settings, &config.references),
        servers,
        timeouts: server_timeouts(&settings.timeouts, tunnel_default),
        queues: settings.queues,
        http: http_options(settings),
        tcp_keepalive: settings.server_keepalive.unwrap_or(true),
        source: settings.source.take(),
        tuning: settings.tunings[1],
        send_name: settings.send_name.take(),
        logs: logs(settings, &config.global),
        log_tag: settings.log_tag.clone(),
        log_checks: settings.log_checks,
        listens: proxy.kind.has_client_side(),
    }
}
