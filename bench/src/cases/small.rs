//! Cases 1 to 4, 7 and 10: requests, messages and connections, all of them small.

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

const NGINX_RAW: &str = "nginx carries raw connections on a port of their own, without sniffing";
const SSLH_HTTP: &str =
    "sslh sniffs the first packet, then carries bytes: no X-Forwarded-For, no rules for later requests";

/// 1: HTTP keep-alive.
pub fn http(bench: &mut Bench) -> Result<()> {
    let mut programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let plan = plan("1", "HTTP keep-alive, 64 connections", Unit::REQUEST, Some(0.75), &[SSLH_HTTP]);
    bench.run(plan, &mut programs, |window| by_wrk(window, CONNECTIONS, false))?;
    drop(programs);
    logged(bench, "1", "HTTP keep-alive, 64 connections, with logging", Unit::REQUEST, |window| {
        by_wrk(window, CONNECTIONS, false)
    })
}

/// 2: one request per connection.
pub fn http_per_connection(bench: &mut Bench) -> Result<()> {
    let mut programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let reuse = Settings { defaults: "    http-reuse always\n", ..Settings::default() };
    programs.insert(2, Program::start_as(&bench.stage, Peer::Haproxy, HTTP_REUSE_ALWAYS, &reuse)?);
    let against = &["HAProxy", HTTP_REUSE_ALWAYS];
    let plan = Plan {
        against,
        ..plan("2", "HTTP, one connection per request, 32 at a time", Unit::REQUEST, Some(0.90), &[SSLH_HTTP])
    };
    bench.run(plan, &mut programs, |window| by_wrk(window, SHORT_LIVED, true))?;
    drop(programs);
    logged(bench, "2", "HTTP, one connection per request, with logging", Unit::REQUEST, |window| {
        by_wrk(window, SHORT_LIVED, true)
    })
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
    logged(bench, "4", "raw echo, 64 connections, with logging", Unit::MESSAGE, |window| {
        by_clients(window, Dialogue::Raw, CONNECTIONS)
    })
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

/// The same once more while each session is logged to a UDP port; sslh logs elsewhere and is left out.
fn logged(
    bench: &mut Bench,
    case: &str,
    title: &str,
    unit: Unit,
    load: impl Fn(&Window) -> Result<(Done, Cost)>,
) -> Result<()> {
    let sink = LogSink::start()?;
    let settings = Settings { log: Some(sink.address), ..Settings::default() };
    let mut notes = vec!["– sslh: has no log of sessions to a UDP port".to_string()];
    // nginx's stream part would need a log of its own kind: raw connections are compared without it.
    let peers: &[Peer] = if case == "4" {
        notes.push("– nginx: raw connections are logged with HTTP's lines nowhere".to_string());
        &[Peer::Oneport, Peer::Haproxy]
    } else {
        &[Peer::Oneport, Peer::Haproxy, Peer::Nginx]
    };
    let mut programs = bench.start_all(peers, &settings)?;
    let lines = std::cell::RefCell::new(vec![(0_u64, 0_u64); programs.len()]);
    let labels: Vec<String> = programs.iter().map(|program| program.label.clone()).collect();
    let counted = |window: &Window| {
        let before = sink.lines();
        let (done, cost) = load(window)?;
        let came = sink.settled_lines() - before;
        if came == 0 {
            bail!("{} has logged nothing", window.program.label);
        }
        if let Some(index) = labels.iter().position(|label| *label == window.program.label) {
            let (units, lines) = &mut lines.borrow_mut()[index];
            *units += done.units;
            *lines += came;
        }
        Ok((done, cost))
    };
    let plan = Plan { case, title, unit, goal: None, calls: false, against: HAPROXY, notes };
    bench.run(plan, &mut programs, counted)?;
    if let Some(measure) = bench.results.measures.last_mut() {
        for (label, (units, lines)) in labels.iter().zip(lines.into_inner()) {
            let by_unit = lines as f64 / units as f64;
            measure.notes.push(format!("{label} logged {by_unit:.3} lines a unit ({lines} lines)"));
        }
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
    warm.run(WARM_UP)?;
    drop(warm);
    window.measure(|| wrk::run(address, connections, close, window.seconds))
}

/// Connections that stay, opened before the window.
pub fn by_clients(window: &Window, dialogue: Dialogue, connections: usize) -> Result<(Done, Cost)> {
    let mut clients = Clients::open(dialogue, window.program.address(dialogue), connections)?;
    clients.run(WARM_UP)?;
    window.measure(|| clients.run(window.duration()))
}
