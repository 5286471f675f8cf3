//! Cases 1 to 4, 7 and 10: requests, messages and connections, all of them small.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::bench::{Bench, Cost, Plan, Unit, Window};
use crate::load::clients::Clients;
use crate::load::dialogue::Dialogue;
use crate::load::{Done, churn, wrk};
use crate::log_sink::LogSink;
use crate::peers::{Peer, Program, Settings, Work};

const CONNECTIONS: usize = 64;
/// Connections at a time where each carries one unit.
const SHORT_LIVED: usize = 32;
const WARM_UP: Duration = Duration::from_millis(100);
const HAPROXY: &[&str] = &["HAProxy"];
const HTTP_REUSE_ALWAYS: &str = "HAProxy, http-reuse always";

const REUSE: &str = "    http-reuse always\n";

const SSLH_LOG: &str = "– sslh: cannot log to a UDP port";
const NGINX_LOG: &str = "– nginx: measured with HTTP's log only";
const NGINX_RAW: &str = "nginx carries raw connections on a port of their own, without sniffing";
const SSLH_HTTP: &str =
    "sslh sniffs the first packet, then carries bytes: no X-Forwarded-For, no rules for later requests";

/// 1: HTTP keep-alive.
pub fn http(bench: &mut Bench) -> Result<()> {
    let mut programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let plan = plan("1", "HTTP keep-alive, 64 connections", Unit::REQUEST, Some(0.75), &[SSLH_HTTP]);
    bench.run(plan, &mut programs, |window| by_wrk(window, CONNECTIONS, false))?;
    drop(programs);
    let logging = Logged {
        case: "1",
        title: "HTTP keep-alive, 64 connections, with logging",
        unit: Unit::REQUEST,
        peers: &[Peer::Oneport, Peer::Haproxy, Peer::Nginx],
        against: HAPROXY,
        notes: &[SSLH_LOG],
        lines: |requests| requests,
    };
    logged(bench, logging, |window| by_wrk(window, CONNECTIONS, false))
}

/// 2: one request per connection.
pub fn http_per_connection(bench: &mut Bench) -> Result<()> {
    let mut programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let reuse = Settings { defaults: REUSE, ..Settings::default() };
    programs.insert(2, Program::start_as(&bench.stage, Peer::Haproxy, HTTP_REUSE_ALWAYS, &reuse)?);
    let against = &["HAProxy", HTTP_REUSE_ALWAYS];
    let plan = Plan {
        against,
        ..plan("2", "HTTP, one connection per request, 32 at a time", Unit::REQUEST, Some(0.90), &[SSLH_HTTP])
    };
    bench.run(plan, &mut programs, |window| by_wrk(window, SHORT_LIVED, true))?;
    drop(programs);
    let logging = Logged {
        case: "2",
        title: "HTTP, one connection per request, with logging",
        unit: Unit::REQUEST,
        peers: &[Peer::Oneport, Peer::Haproxy, Peer::Nginx],
        against,
        notes: &[SSLH_LOG],
        lines: |requests| requests,
    };
    logged(bench, logging, |window| by_wrk(window, SHORT_LIVED, true))
}

/// 3: WebSocket echo.
pub fn websocket(bench: &mut Bench) -> Result<()> {
    let mut programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let plan = plan("3", "WebSocket echo, 64 connections, 64 bytes", Unit::MESSAGE, Some(0.92), &[]);
    bench.run(plan, &mut programs, |window| by_clients(window, Dialogue::WebSocket, CONNECTIONS))
}

/// 4: raw echo behind the zeros, many connections and one.
pub fn raw(bench: &mut Bench) -> Result<()> {
    let mut programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let many = plan("4", "raw echo, 64 connections, 64 bytes", Unit::MESSAGE, Some(0.92), &[NGINX_RAW]);
    bench.run(many, &mut programs, |window| by_clients(window, Dialogue::Raw, CONNECTIONS))?;
    let one = plan("4", "raw echo, one connection, 64 bytes", Unit::MESSAGE, None, &[NGINX_RAW]);
    bench.run(one, &mut programs, |window| by_clients(window, Dialogue::Raw, 1))?;
    drop(programs);
    let logging = Logged {
        case: "4",
        title: "raw echo, 64 connections, with logging",
        unit: Unit::MESSAGE,
        peers: &[Peer::Oneport, Peer::Haproxy],
        against: HAPROXY,
        notes: &[SSLH_LOG, NGINX_LOG],
        lines: |_| CONNECTIONS as u64,
    };
    logged(bench, logging, |window| by_clients(window, Dialogue::Raw, CONNECTIONS))
}

/// 7: connections that come, say something and go.
pub fn connections(bench: &mut Bench) -> Result<()> {
    let mut programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let plan = plan(
        "7",
        "raw connections opened, sniffed, closed, 32 at a time",
        Unit::CONNECTION,
        Some(0.90),
        &[NGINX_RAW],
    );
    bench.run(plan, &mut programs, |window| {
        let address = window.program.address(Dialogue::Raw);
        churn::run(address, SHORT_LIVED, WARM_UP)?;
        window.measure(|| churn::run(address, SHORT_LIVED, window.duration()))
    })
}

/// 10: cases 1 and 3 with servers on unix sockets.
pub fn unix_backends(bench: &mut Bench) -> Result<()> {
    let (peers, notes) = bench.able(&[Work::UnixBackends], &Peer::ALL);
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    let mut programs = bench.start_all(&peers, &Settings { unix: true, ..Settings::default() })?;
    let http = plan("10", "HTTP keep-alive, 64 connections, unix socket", Unit::REQUEST, None, &notes);
    bench.run(http, &mut programs, |window| by_wrk(window, CONNECTIONS, false))?;
    let websocket = plan("10", "WebSocket echo, 64 connections, unix socket", Unit::MESSAGE, None, &notes);
    bench.run(websocket, &mut programs, |window| by_clients(window, Dialogue::WebSocket, CONNECTIONS))
}

fn plan<'a>(case: &'a str, title: &'a str, unit: Unit, goal: Option<f64>, notes: &[&str]) -> Plan<'a> {
    let notes = notes.iter().map(ToString::to_string).collect();
    Plan { case, title, unit, goal, calls: true, against: HAPROXY, notes }
}

/// What a case does once more while each session is logged to a UDP port.
struct Logged<'a> {
    case: &'a str,
    title: &'a str,
    unit: Unit,
    peers: &'a [Peer],
    against: &'static [&'static str],
    notes: &'a [&'a str],
    /// Lines that must come of a window with so many units, if none is lost.
    lines: fn(u64) -> u64,
}

/// Runs it; whoever logs less than half of the lines has not done the work, which ends the run. (Some may be
/// lost on the way: UDP has no flow control.)
fn logged(bench: &mut Bench, wanted: Logged, load: impl Fn(&Window) -> Result<(Done, Cost)>) -> Result<()> {
    let sink = LogSink::start()?;
    let settings = Settings { log: Some(sink.address), ..Settings::default() };
    let mut programs = bench.start_all(wanted.peers, &settings)?;
    if wanted.against.contains(&HTTP_REUSE_ALWAYS) {
        let reuse = Settings { defaults: REUSE, ..settings };
        programs.insert(2, Program::start_as(&bench.stage, Peer::Haproxy, HTTP_REUSE_ALWAYS, &reuse)?);
    }
    let lines: RefCell<BTreeMap<String, u64>> = RefCell::default();
    let counted = |window: &Window| {
        let before = sink.lines();
        let (done, cost) = load(window)?;
        let (came, due) = (sink.settled_lines() - before, (wanted.lines)(done.units));
        if came * 2 < due {
            bail!("{came} lines were logged, {due} were due");
        }
        *lines.borrow_mut().entry(window.program.label.clone()).or_default() += came;
        Ok((done, cost))
    };
    let Logged { case, title, unit, against, .. } = wanted;
    let notes = wanted.notes.iter().map(ToString::to_string).collect();
    bench.run(
        Plan { case, title, unit, goal: None, calls: false, against, notes },
        &mut programs,
        counted,
    )?;
    let counts: Vec<String> =
        lines.into_inner().iter().map(|(label, lines)| format!("{label} {lines}")).collect();
    if let Some(measure) = bench.results.measures.last_mut() {
        measure.notes.push(format!("lines logged: {}", counts.join(", ")));
    }
    Ok(())
}

/// wrk; but calls over kept-alive connections are counted with clients of our own: wrk leaves 64 requests
/// unfinished, which is a lot at strace's speed.
fn by_wrk(window: &Window, connections: usize, close: bool) -> Result<(Done, Cost)> {
    if window.counts_calls() && !close {
        return by_clients(window, Dialogue::Http, connections);
    }
    let address = window.program.front;
    let mut warm = Clients::open(Dialogue::Http, address, connections)?;
    warm.once()?;
    drop(warm);
    window.measure(|| wrk::run(address, connections, close, window.seconds))
}

/// Connections that stay, opened before the window.
pub fn by_clients(window: &Window, dialogue: Dialogue, connections: usize) -> Result<(Done, Cost)> {
    let mut clients = Clients::open(dialogue, window.program.address(dialogue), connections)?;
    clients.run(WARM_UP)?;
    window.measure(|| clients.run(window.duration()))
}
