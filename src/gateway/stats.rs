//! What happened, as plain values: the counters of frontends, backends and servers under HAProxy's names.

use std::net::IpAddr;

use super::build::Runtime;
use crate::backend::{Backend, Server};
use crate::config::{Algorithm, Balance, Key, Mode, ServerAddress};
use crate::counters::{Side, Step};
use crate::net::Target;
use crate::observe::{Column, Row, ServerState};
use crate::session::Frontend;

/// The lines of all proxies, in the order of their numbers: the frontend's, its servers', the backend's.
pub(super) fn all(runtime: &Runtime, now_ms: u64) -> Vec<Row> {
    let mut proxies: Vec<(u32, Vec<Row>)> = Vec::new();
    proxies.extend(runtime.frontends.iter().map(|front| (front.config.id, vec![frontend(front, now_ms)])));
    for backend in runtime.backends.iter() {
        let servers = backend.servers.iter().zip(1..);
        let mut rows: Vec<Row> = servers.map(|(one, sid)| server(backend, one, sid, now_ms)).collect();
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
    common(&mut row, &front.side, config.mode, now_ms);
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
        (Column::Intercepted, front.intercepted.get()),
        (Column::Dcon, front.denied_connections.get()),
        (Column::Dses, front.denied_sessions.get()),
    ]);
    if let Some(maxconn) = config.maxconn {
        row.numbers(&[(Column::Slim, maxconn.into())]);
    }
    if config.mode == Mode::Http {
        row.numbers(&[
            (Column::ReqRate, front.request_rate.per_second(now_ms).into()),
            (Column::ReqRateMax, front.request_rate.max().into()),
        ]);
    }
    row
}

/// What all kinds of lines have.
fn common(row: &mut Row, side: &Side, mode: Mode, now_ms: u64) {
    row.numbers(&[
        (Column::Smax, side.sessions_max.get().into()),
        (Column::Stot, side.sessions.get()),
        (Column::Bin, side.bytes_in.get()),
        (Column::Bout, side.bytes_out.get()),
        (Column::Dresp, side.denied_responses.get()),
        (Column::Rate, side.rate.per_second(now_ms).into()),
        (Column::RateMax, side.rate.max().into()),
        (Column::Eint, side.internal_errors.get()),
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
        row.numbers(&[(Column::ReqTot, side.requests.get())]);
    }
}

/// What backends and servers have.
fn behind(row: &mut Row, side: &Side, now_ms: u64) {
    let times = [
        (Column::Qtime, Column::QtimeMax, Step::Queue),
        (Column::Ctime, Column::CtimeMax, Step::Connect),
        (Column::Rtime, Column::RtimeMax, Step::Response),
        (Column::Ttime, Column::TtimeMax, Step::Total),
    ];
    for (average, longest, step) in times {
        row.numbers(&[(average, side.times.average_ms(step)), (longest, side.times.max_ms(step).into())]);
    }
    row.numbers(&[
        (Column::Qmax, side.queue_max.get().into()),
        (Column::Econ, side.connect_errors.get()),
        (Column::Eresp, side.response_errors.get()),
        (Column::Wretr, side.retries.get()),
        (Column::Wredis, side.redispatches.get()),
        (Column::Lbtot, side.chosen.get()),
        (Column::CliAbrt, side.client_aborts.get()),
        (Column::SrvAbrt, side.server_aborts.get()),
        (Column::Connect, side.connects.get()),
        (Column::Reuse, side.reuses.get()),
    ]);
    // Of one that never had a session nothing is said, where HAProxy says -1.
    if side.last_session_ms.get() > 0 {
        row.numbers(&[(Column::Lastsess, now_ms.saturating_sub(side.last_session_ms.get()) / 1_000)]);
    }
}

fn whole(backend: &Backend, now_ms: u64) -> Row {
    let config = &backend.config;
    let mut row = begin(&config.name, "BACKEND", config.id, config.mode);
    common(&mut row, &backend.counters, config.mode, now_ms);
    behind(&mut row, &backend.counters, now_ms);
    let usable = || backend.servers.iter().filter(|server| server.is_usable());
    let (active, backups) =
        (usable().filter(|s| !s.config.backup).count(), usable().filter(|s| s.config.backup).count());
    let is_up = active + backups > 0 || config.servers.is_empty();
    row.text(Column::Status, if is_up { "UP" } else { "DOWN" });
    let of_use = || usable().filter(|server| server.config.backup == (active == 0));
    row.numbers(&[
        (Column::Scur, backend.connections.get().into()),
        (Column::Dreq, backend.counters.denied_requests.get()),
        (Column::Qcur, backend.queued() as u64),
        (Column::Type, 1),
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
        Algorithm::Hash(Key::Sample(_)) => "hash",
    }
}

/// A server's weight as it counts now, in whole numbers.
fn shown_weight(server: &Server) -> u32 {
    server.effective_weight().div_ceil(16)
}

fn server(backend: &Backend, server: &Server, sid: u64, now_ms: u64) -> Row {
    let config = &server.config;
    let mut row = begin(&backend.config.name, &config.name, backend.config.id, backend.config.mode);
    common(&mut row, &server.counters, backend.config.mode, now_ms);
    behind(&mut row, &server.counters, now_ms);
    row.text(Column::Status, status(server));
    row.numbers(&[
        (Column::Scur, server.connections.get().into()),
        (Column::Type, 2),
        (Column::Sid, sid),
        (Column::Act, u64::from(!config.backup)),
        (Column::Bck, u64::from(config.backup)),
        (Column::Weight, shown_weight(server).into()),
        (Column::Uweight, server.weight().into()),
        (Column::UsedConnCur, server.connections.get().into()),
    ]);
    if let Some(maxconn) = config.maxconn {
        row.numbers(&[(Column::Slim, maxconn.into())]);
    }
    if config.maxqueue > 0 {
        row.numbers(&[(Column::Qlimit, config.maxqueue.into())]);
    }
    if let Some(check) = &config.check {
        row.numbers(&[(Column::CheckRise, check.rise.into()), (Column::CheckFall, check.fall.into())]);
    }
    row.text(Column::Addr, &shown_address(server));
    row
}

/// The state in a word.
fn status(server: &Server) -> &'static str {
    match (server.config.disabled, server.config.check.is_some()) {
        (true, _) => "MAINT",
        (false, false) => "no check",
        (false, true) if server.is_up() => "UP",
        (false, true) => "DOWN",
    }
}

/// How all servers are.
pub(super) fn states(runtime: &Runtime) -> Vec<ServerState> {
    let of = |backend: &Backend| -> Vec<ServerState> {
        backend.servers.iter().zip(1..).map(|(server, id)| state(backend, server, id)).collect()
    };
    runtime.backends.iter().flat_map(|backend| of(backend)).collect()
}

fn state(backend: &Backend, server: &Server, id: u32) -> ServerState {
    const STOPPED: u8 = 0;
    const RUNNING: u8 = 2;
    const DISABLED_BY_CONFIGURATION: u8 = 4;
    let config = &server.config;
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
        operation: if server.is_up() { RUNNING } else { STOPPED },
        administration: if config.disabled { DISABLED_BY_CONFIGURATION } else { 0 },
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
