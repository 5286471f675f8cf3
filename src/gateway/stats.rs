//! What happened, as plain values: the counters of frontends, backends and servers under HAProxy's names.

use std::net::IpAddr;

use super::build::Runtime;
use crate::backend::{Admin, Backend, Facts, Op, Server};
use crate::config::{Algorithm, Balance, Fetch, Key, Mode, ServerAddress};
use crate::counters::{Counter, Side, Step, Times};
use crate::net::Target;
use crate::observe::{Column, Row, ServerState};
use crate::session::Frontend;

/// The lines of all proxies, in the order of their numbers: the frontend's, its servers', the backend's.
pub(super) fn all(runtime: &Runtime, now_ms: u64) -> Vec<Row> {
    let mut proxies: Vec<(u32, Vec<Row>)> = Vec::new();
    proxies.extend(runtime.frontends.iter().map(|front| (front.config.id, vec![frontend(front, now_ms)])));
    for backend in runtime.backends.iter() {
        let servers = backend.servers.iter().zip(1..);
        let mut rows: Vec<Row> =
            servers.map(|(one, sid)| server(runtime, backend, one, sid, now_ms)).collect();
        rows.push(whole(backend, now_ms));
        proxies.push((backend.config.id, rows));
    }
    // Stable: the frontend of a `listen` comes before its servers.
    proxies.sort_by_key(|(id, _)| *id);
    proxies.into_iter().flat_map(|(_, rows)| rows).collect()
}

fn begin(proxy: &str, service: &str, id: u32, mode: Mode) -> Row {
    let mut row = Row::default();
    row.text(Column::Pxname, proxy);
    row.text(Column::Svname, service);
    row.text(Column::Mode, if mode == Mode::Http { "http" } else { "tcp" });
    row.numbers(&[(Column::Pid, 1), (Column::Iid, id.into())]);
    row
}

fn frontend(frontend: &Frontend, now_ms: u64) -> Row {
    let (config, front) = (&frontend.config, &frontend.counters);
    let mut row = begin(&config.name, "FRONTEND", config.id, config.mode);
    row.text(Column::Status, if frontend.leaving.get() { "STOP" } else { "OPEN" });
    common(&mut row, &[&front.side], config.mode, now_ms);
    row.numbers(&[
        (Column::Scur, frontend.connections.get().into()),
        (Column::RateLim, config.accepts_a_second.into()),
        (Column::Type, 0),
        (Column::Sid, 0),
        (Column::Dreq, front.side.denied_requests.get()),
        (Column::Ereq, front.side.request_errors.get()),
        (Column::ConnRate, front.connection_rate.per_second(now_ms).into()),
        (Column::ConnRateMax, front.connection_rate.max().into()),
        (Column::ConnTot, front.connections.get()),
        (Column::Dcon, front.denied_connections.get()),
        (Column::Dses, front.denied_sessions.get()),
    ]);
    if let Some(maxconn) = config.maxconn {
        row.numbers(&[(Column::Slim, maxconn.into())]);
    }
    row.numbers(&[
        (Column::ReqRate, front.request_rate.per_second(now_ms).into()),
        (Column::ReqRateMax, front.request_rate.max().into()),
        (Column::ReqTot, front.side.responses.sum()),
    ]);
    if config.mode == Mode::Http {
        row.numbers(&[(Column::Intercepted, front.intercepted.get())]);
    }
    row
}

/// Counters that are one number: those of a frontend or a server, or of a backend followed by those of its servers.
type Sides<'a> = [&'a Side];

fn sum(sides: &Sides<'_>, which: fn(&Side) -> &Counter) -> u64 {
    sides.iter().map(|side| which(side).get()).sum()
}

/// What all kinds of lines have.
fn common(row: &mut Row, sides: &Sides<'_>, mode: Mode, now_ms: u64) {
    let Some(side) = sides.first() else { return };
    row.numbers(&[
        (Column::Smax, side.sessions_max.get().into()),
        (Column::Stot, side.sessions.get()),
        (Column::Bin, sum(sides, |side| &side.bytes_in)),
        (Column::Bout, sum(sides, |side| &side.bytes_out)),
        (Column::Dresp, sum(sides, |side| &side.denied_responses)),
        (Column::Rate, side.rate.per_second(now_ms).into()),
        (Column::RateMax, side.rate.max().into()),
        (Column::Eint, sum(sides, |side| &side.internal_errors)),
        (Column::Wrew, 0),
    ]);
    if mode == Mode::Http {
        let classes = [
            Column::HrspOther,
            Column::Hrsp1xx,
            Column::Hrsp2xx,
            Column::Hrsp3xx,
            Column::Hrsp4xx,
            Column::Hrsp5xx,
        ];
        for (name, class) in classes.into_iter().zip(0..) {
            row.numbers(&[(name, side.responses.get(class))]);
        }
        row.numbers(&[(Column::ReqTot, side.responses.sum())]);
    }
}

/// What backends and servers have.
fn behind(row: &mut Row, sides: &Sides<'_>, now_ms: u64) {
    let Some(side) = sides.first() else { return };
    let times = [
        (Column::Qtime, Column::QtimeMax, Step::Queue),
        (Column::Ctime, Column::CtimeMax, Step::Connect),
        (Column::Rtime, Column::RtimeMax, Step::Response),
        (Column::Ttime, Column::TtimeMax, Step::Total),
    ];
    let all = || sides.iter().map(|side| &side.times);
    for (average, longest, step) in times {
        let max_ms = all().map(|times| times.max_ms(step)).max().unwrap_or(0);
        row.numbers(&[(average, Times::average_ms(all(), step)), (longest, max_ms.into())]);
    }
    row.numbers(&[
        (Column::Qmax, side.queue_max.get().into()),
        (Column::Econ, sum(sides, |side| &side.connect_errors)),
        (Column::Eresp, sum(sides, |side| &side.response_errors)),
        (Column::Wretr, sum(sides, |side| &side.retries)),
        (Column::Wredis, sum(sides, |side| &side.redispatches)),
        (Column::Lbtot, sum(sides, |side| &side.chosen)),
        (Column::CliAbrt, sum(sides, |side| &side.client_aborts)),
        (Column::SrvAbrt, sum(sides, |side| &side.server_aborts)),
        (Column::Connect, sum(sides, |side| &side.connects)),
    ]);
    // Of one that never had a session nothing is said, where HAProxy says -1.
    if side.last_session_ms.get() > 0 {
        row.numbers(&[(Column::Lastsess, now_ms.saturating_sub(side.last_session_ms.get()) / 1_000)]);
    }
}

/// Requests of a server that needed no new connection.
fn reuses(server: &Server) -> u64 {
    server.counters.sessions.get().saturating_sub(server.counters.connects.get())
}

fn whole(backend: &Backend, now_ms: u64) -> Row {
    let config = &backend.config;
    let mut row = begin(&config.name, "BACKEND", config.id, config.mode);
    let mut sides = vec![&backend.counters];
    sides.extend(backend.servers.iter().map(|server| &server.counters));
    common(&mut row, &sides, config.mode, now_ms);
    behind(&mut row, &sides, now_ms);
    let usable = || backend.servers.iter().filter(|server| server.is_usable());
    let (active, backups) =
        (usable().filter(|s| !s.config.backup).count(), usable().filter(|s| s.config.backup).count());
    let is_up = active + backups > 0 || backend.servers.is_empty();
    row.text(Column::Status, if is_up { "UP" } else { "DOWN" });
    let outages = &backend.outages;
    row.numbers(&[
        (Column::Chkdown, outages.count.get().into()),
        (Column::Lastchg, outages.unchanged_ms(now_ms) / 1_000),
        (Column::Downtime, outages.down_ms(is_up, now_ms) / 1_000),
    ]);
    let of_use = || usable().filter(|server| server.config.backup == (active == 0));
    row.numbers(&[
        (Column::Scur, backend.connections.get().into()),
        (Column::Dreq, backend.counters.denied_requests.get()),
        (Column::Qcur, backend.queued_for_any() as u64),
        (Column::Type, 1),
        (Column::Reuse, backend.servers.iter().map(reuses).sum()),
        (Column::Sid, 0),
        (Column::Act, active as u64),
        (Column::Bck, backups as u64),
        (Column::Weight, of_use().map(|server| u64::from(shown_weight(server))).sum()),
        (Column::Uweight, of_use().map(|server| u64::from(server.weight())).sum()),
    ]);
    row.text(Column::Algo, algorithm(&config.balance));
    row
}

fn algorithm(balance: &Balance) -> &'static str {
    match &balance.algorithm {
        Algorithm::RoundRobin => "roundrobin",
        Algorithm::StaticRr => "static-rr",
        Algorithm::LeastConn => "leastconn",
        Algorithm::First => "first",
        Algorithm::Random(_) => "random",
        Algorithm::Hash(Key::Source) => "source",
        Algorithm::Hash(Key::Uri { .. }) => "uri",
        Algorithm::Hash(Key::UrlParam(_)) => "url_param",
        Algorithm::Hash(Key::Header { .. }) => "hdr",
        Algorithm::Hash(Key::Sample(expr)) if matches!(expr.fetch, Fetch::RdpCookie(_)) => "rdp-cookie",
        Algorithm::Hash(Key::Sample(_)) => "hash",
    }
}

/// A server's weight as it counts now, in whole numbers.
fn shown_weight(server: &Server) -> u32 {
    server.effective_weight().div_ceil(16)
}

fn server(runtime: &Runtime, backend: &Backend, server: &Server, sid: u64, now_ms: u64) -> Row {
    let config = &server.config;
    let mut row = begin(&backend.config.name, &config.name, backend.config.id, backend.config.mode);
    let sides = [&server.counters];
    let (idle, proven) = server.idle_connections();
    common(&mut row, &sides, backend.config.mode, now_ms);
    behind(&mut row, &sides, now_ms);
    health(&mut row, server, now_ms);
    if let Some((backend, index)) = config.state.track
        && let Some(backend) = runtime.backends.get(backend.0)
        && let Some(tracked) = backend.servers.get(index)
    {
        row.text(Column::Tracked, &format!("{}/{}", backend.config.name, tracked.config.name));
    }
    row.numbers(&[
        (Column::Scur, server.connections.get().into()),
        (Column::Type, 2),
        (Column::Reuse, reuses(server)),
        (Column::Sid, sid),
        (Column::Qcur, server.queued() as u64),
        (Column::Act, u64::from(!config.backup)),
        (Column::Bck, u64::from(config.backup)),
        (Column::Weight, shown_weight(server).into()),
        (Column::Uweight, server.weight().into()),
        (Column::UsedConnCur, server.connections.get().into()),
        (Column::SrvIcur, idle as u64),
        (Column::SafeConnCur, proven as u64),
        (Column::IdleConnCur, idle.saturating_sub(proven) as u64),
    ]);
    if let Some(maxconn) = config.maxconn {
        row.numbers(&[(Column::Slim, maxconn.into())]);
    }
    if config.maxqueue > 0 {
        row.numbers(&[(Column::Qlimit, config.maxqueue.into())]);
    }
    row.text(Column::Addr, &shown_address(server));
    row
}

/// How a server is, and what its checks have found.
fn health(row: &mut Row, server: &Server, now_ms: u64) {
    let facts = server.facts(now_ms);
    let config = &server.config;
    row.text(Column::Status, &status(server, &facts));
    row.numbers(&[(Column::Lastchg, facts.unchanged_ms / 1_000)]);
    if config.check.is_some() {
        row.numbers(&[
            (Column::Chkfail, facts.failed_checks.into()),
            (Column::Chkdown, facts.downs.into()),
            (Column::Downtime, facts.down_ms / 1_000),
            (Column::CheckRise, facts.check.rise.into()),
            (Column::CheckFall, facts.check.fall.into()),
            (Column::CheckHealth, facts.check.health.into()),
            (Column::CheckDuration, facts.check_ms),
        ]);
        if facts.failed_observed > 0 {
            row.numbers(&[(Column::Hanafail, facts.failed_observed.into())]);
        }
        row.text(Column::CheckStatus, facts.check_status.unwrap_or("INI"));
        if let Some(code) = facts.check_code {
            row.numbers(&[(Column::CheckCode, code.into())]);
        }
    }
    if config.state.agent.is_some() {
        row.numbers(&[
            (Column::AgentRise, facts.agent.rise.into()),
            (Column::AgentFall, facts.agent.fall.into()),
            (Column::AgentHealth, facts.agent.health.into()),
        ]);
    }
    if facts.op == Op::Starting && server.weight() > 0 {
        let percent = u64::from(server.effective_weight()) * 100 / (u64::from(server.weight()) * 16);
        row.numbers(&[(Column::Throttle, percent)]);
    }
}

/// The state in words; how many checks it is from the other one where it is on its way there.
fn status(server: &Server, facts: &Facts) -> String {
    let check = &facts.check;
    let is_checked = server.config.check.is_some();
    let is_watched = is_checked || server.config.state.track.is_some();
    let (word, steps) = match facts.op {
        _ if facts.admin.meets(Admin::NO_ADDRESS) => return "MAINT (resolution)".into(),
        _ if facts.admin.is_maint() => return "MAINT".into(),
        Op::Stopped => ("DOWN", (check.health > 0 && is_checked).then_some((check.health, check.rise))),
        _ if facts.admin.is_drain() => return "DRAIN".into(),
        _ if !is_watched => return "no check".into(),
        op => {
            let left = (check.health + 1).saturating_sub(check.rise);
            let word = if op == Op::Stopping { "NOLB" } else { "UP" };
            (word, (left < check.fall && is_checked).then_some((left, check.fall)))
        }
    };
    match steps {
        Some((steps, of)) => format!("{word} {steps}/{of}"),
        None => word.into(),
    }
}

/// How all servers are.
pub(super) fn states(runtime: &Runtime, now_ms: u64) -> Vec<ServerState> {
    let of = |backend: &Backend| -> Vec<ServerState> {
        backend.servers.iter().zip(1..).map(|(server, id)| state(backend, server, id, now_ms)).collect()
    };
    runtime.backends.iter().flat_map(|backend| of(backend)).collect()
}

fn state(backend: &Backend, server: &Server, id: u32, now_ms: u64) -> ServerState {
    let config = &server.config;
    let facts = server.facts(now_ms);
    let target = server.own_target();
    let (address, port) = match &target {
        Some(Target::Inet(address)) => (address.ip().to_string(), address.port()),
        _ => (shown_address(server), 0),
    };
    let host = match &config.address {
        ServerAddress::Inet(host, _) if host.parse::<IpAddr>().is_err() => Some(host.clone()),
        _ => None,
    };
    ServerState {
        backend: (backend.config.id, backend.config.name.clone()),
        server: (id, config.name.clone()),
        address,
        port,
        host,
        operation: facts.op as u8,
        administration: facts.admin.0,
        unchanged_ms: facts.unchanged_ms,
        check_status: facts.check_status,
        check_health: facts.check.health,
        agent_health: config.state.agent.as_ref().map(|_| facts.agent.health),
        weight: server.weight(),
        initial_weight: config.weight,
    }
}

/// `address:port`, a unix socket's path, or the name of one.
fn shown_address(server: &Server) -> String {
    match (&server.config.address, server.own_target()) {
        (_, Some(Target::Inet(address))) => address.to_string(),
        (ServerAddress::Unix(path), _) => path.to_string_lossy().into_owned(),
        (ServerAddress::Abstract(name), _) => format!("abns@{}", String::from_utf8_lossy(name)),
        (ServerAddress::Inet(host, _), _) => host.clone(),
        (ServerAddress::FromClient(_), _) => "0.0.0.0".to_owned(),
    }
}
