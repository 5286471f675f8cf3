//! The process: signals, the daemon, and the log lines with their dates.

use crate::inside::Context;
use crate::rig::{http_config, tcp_gateway};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::logline::http_line;
use crate::support::peers::Backend;
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{
    Daemon, Gateway, Signal, Starter, folder, is_alive, run, send_signal, written,
};
use crate::support::program::{Program, installed};
use crate::support::syslog::Syslog;
use std::process::Command;
use std::time::{Duration, SystemTime};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const SECONDS_10: Duration = Duration::from_secs(10);

/// SIGUSR1 stops listening and lets a connection end in peace; SIGTERM ends at once.
pub fn signals(_: &Context) {
    let backend = Backend::echo();
    let mut gateway = tcp_gateway(&backend, "");
    let port = gateway.port;
    let mut client = gateway.client();
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    gateway.signal(Signal::USR1);
    eventually("it listens no more", || !is_listening(port));
    client.send("still served");
    assert_eq!(client.read_exact(12), b"still served");
    assert!(gateway.is_running());
    client.finish();
    client.read_to_end();
    assert_eq!(gateway.wait_exit(SECONDS_10).code(), Some(0));

    let mut gateway = tcp_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit(SECONDS_10).code(), Some(0));
    client.read_to_end();
}

/// A changed file serves new connections; a bad one is refused and named, and the last good one stays.
pub fn reload(_: &Context) {
    let (old, new) = (Backend::web("old"), Backend::web("new"));
    let mut gateway = Gateway::start(|port| http_config(port, old.port, ""));
    let port = gateway.port;
    assert_eq!(served_by(port), "old");
    gateway.rewrite_config(&http_config(port, new.port, ""));
    gateway.signal(Signal::USR2);
    eventually("the new file is in force", || served_by(port) == "new");
    gateway.rewrite_config("nonsense here\n");
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("gateway.cfg:1");
    assert!(gateway.is_running());
    assert_eq!(served_by(port), "new");
}

fn served_by(port: u16) -> String {
    let mut client = Client::to(port);
    client.send(GET);
    client.answer().header("x-backend").unwrap_or_default().to_string()
}

/// The parent ends when the daemon listens; SIGTERM ends the daemon and takes the pidfile away.
pub fn daemon(_: &Context) {
    let (backend, port, dir) = (Backend::web("a"), free_port(), folder());
    let (file, pidfile) = (dir.path().join("d.cfg"), dir.path().join("d.pid"));
    std::fs::write(&file, http_config(port, backend.port, "")).unwrap();
    let output = run(&["-D", "-p", pidfile.to_str().unwrap(), "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    let pid = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    let daemon = Daemon(pid);
    assert!(is_alive(pid) && is_listening(port));
    assert_eq!(served_by(port), "a");
    send_signal(pid, Signal::TERM);
    eventually("the daemon ends", || !is_alive(pid));
    assert!(!pidfile.exists(), "the pidfile goes with it");
    drop(daemon);

    // What is wrong at the start still reaches the terminal and the status.
    std::fs::write(&file, "nonsense\n").unwrap();
    let output = run(&["-D", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(written(&output).contains("d.cfg:1"), "{}", written(&output));
}

/// Both dates of a line, in this system's zone, in zones with a rule for summer time, and in odd ones.
pub fn log_lines(_: &Context) {
    for zone in [None, Some("UTC0"), Some("CET-1CEST,M3.5.0,M10.5.0/3"), Some("ABC9:30"), Some("NPT-5:45")] {
        expect_dates(zone);
    }
}

fn expect_dates(zone: Option<&str>) {
    let (syslog, backend, port, dir) = (Syslog::udp(), Backend::web("a"), free_port(), folder());
    let file = dir.path().join("log.cfg");
    let text = http_config(port, backend.port, "option httplog\n log global");
    std::fs::write(&file, format!("global\n log 127.0.0.1:{} local0\n{text}", syslog.port)).unwrap();
    let mut command = Command::new(Program::subject().path());
    command.args(["-db", "-f"]).arg(&file);
    if let Some(zone) = zone {
        command.env("TZ", zone);
    }
    let gateway = Starter::new().ready_port(port).spawn(command, dir);
    let before = unix_seconds();
    let mut client = gateway.client();
    client.send("GET /dated HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let datagram = syslog.wait_for("/dated");
    let after = unix_seconds();
    let line = http_line(&datagram);
    assert_eq!((line.header.pid, line.status, line.header.priority), (gateway.pid(), 200, 16 * 8 + 6));
    assert!(line.timers.iter().all(|timer| (0..15_000).contains(timer)), "{datagram}");
    let has = |format: &str, open: &str| {
        (before..=after).any(|second| datagram.contains(&format!("{open}{}", date(zone, second, format))))
    };
    assert!(has("+%b %e %H:%M:%S", ">"), "not now in {zone:?}: {datagram}");
    assert!(has("+%d/%b/%Y:%H:%M:%S", " ["), "not now in {zone:?}: {datagram}");
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// The system's own idea of a moment.
fn date(zone: Option<&str>, unix_seconds: u64, format: &str) -> String {
    let mut command = Command::new(installed("date", "coreutils"));
    command.env("LC_ALL", "C").args(["-d", &format!("@{unix_seconds}"), format]);
    if let Some(zone) = zone {
        command.env("TZ", zone);
    }
    let output = command.output().expect("date starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_string()
}
