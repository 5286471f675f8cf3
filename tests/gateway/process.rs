//! The process: flags, signals, daemon, pidfile, and a new process that takes over from an old one.

use crate::rig::{http_config, tcp_config, tcp_gateway};
use crate::support::client::Client;
use crate::support::peers::{Backend, ok};
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{Daemon, Gateway, Signal, Starter, folder, is_alive, run, written};
use crate::support::program::{Program, only_oneport};
use crate::support::{eventually, ms};
use std::time::Duration;

const SECONDS_10: Duration = Duration::from_secs(10);

#[test]
fn sigterm_and_sigint_stop_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let backend = Backend::echo();
        let mut gateway = tcp_gateway(&backend, "");
        let mut client = gateway.client();
        client.send("x");
        client.read_exact(1);
        gateway.signal(signal);
        gateway.wait_exit(SECONDS_10);
        client.read_to_end();
        assert!(!is_listening(gateway.port));
    }
}

#[test]
fn sigusr1_finishes_the_connections_and_stops() {
    let backend = Backend::echo();
    let mut gateway = tcp_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("x");
    client.read_exact(1);
    gateway.signal(Signal::USR1);
    let port = gateway.port;
    eventually("it listens no more", || !is_listening(port));
    std::thread::sleep(ms(300));
    client.send("still served");
    assert_eq!(client.read_exact(12), b"still served");
    assert!(gateway.is_running());
    client.finish();
    client.read_to_end();
    drop(client);
    let status = gateway.wait_exit(SECONDS_10);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn sigusr1_ends_idle_kept_alive_connections_and_finishes_requests() {
    let backend = Backend::answering(|request| {
        if request.target == "/slow" {
            std::thread::sleep(ms(700));
        }
        ok("whole")
    });
    let mut gateway = crate::rig::http_gateway(&backend, "");
    let mut idle = gateway.client();
    idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    idle.answer();
    let mut busy = gateway.client();
    busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    std::thread::sleep(ms(200));
    gateway.signal(Signal::USR1);
    assert_eq!(busy.answer().text(), "whole");
    // The idle client is told at its next request, or closed before.
    idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    idle.read_to_end();
    drop(busy);
    gateway.wait_exit(SECONDS_10);
}

#[test]
fn sigpipe_is_ignored() {
    let backend = Backend::echo();
    let mut gateway = tcp_gateway(&backend, "");
    gateway.signal(Signal::PIPE);
    std::thread::sleep(ms(200));
    assert!(gateway.is_running());
}

fn started_with(gateway: &Gateway, port: u16, server: u16, flag: &str) -> Gateway {
    Starter::new()
        .argument(flag)
        .argument(gateway.pid().to_string())
        .ready_port(port)
        .start(&http_config(port, server, ""))
        .expect_other_pid(gateway)
}

impl Gateway {
    fn expect_other_pid(self, other: &Gateway) -> Self {
        assert_ne!(self.pid(), other.pid());
        self
    }
}

/// `-sf`: the old process stops listening and finishes what it has.
#[test]
fn a_new_process_takes_over_softly() {
    let (echo, web) = (Backend::echo(), Backend::web("new"));
    let mut old = tcp_gateway(&echo, "");
    let port = old.port;
    let mut client = old.client();
    client.send("x");
    client.read_exact(1);
    let new = started_with(&old, port, web.port, "-sf");
    eventually("new connections are the new process's", || {
        let mut client = Client::to(port);
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.read_until_quiet(ms(300)).0.starts_with(b"HTTP/1.1 200")
    });
    client.send("old");
    assert_eq!(client.read_exact(3), b"old");
    assert!(old.is_running());
    drop(client);
    old.wait_exit(SECONDS_10);
    drop(new);
}

/// `-st`: the old process ends at once.
#[test]
fn a_new_process_takes_over_hard() {
    let (echo, web) = (Backend::echo(), Backend::web("new"));
    let mut old = tcp_gateway(&echo, "");
    let port = old.port;
    let mut client = old.client();
    client.send("x");
    client.read_exact(1);
    let _new = started_with(&old, port, web.port, "-st");
    old.wait_exit(SECONDS_10);
    client.read_to_end();
    let mut client = Client::to(port);
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().header("x-backend"), Some("new"));
}

/// A process id that is long gone is no reason not to start.
#[test]
fn taking_over_from_nobody() {
    let backend = Backend::echo();
    let port = free_port();
    let gateway = Starter::new()
        .argument("-sf")
        .argument("4190000")
        .argument("4190001")
        .ready_port(port)
        .start(&tcp_config(port, &format!("127.0.0.1:{}", backend.port), ""));
    drop(gateway.client());
}

#[test]
fn a_daemon_with_a_pidfile() {
    let backend = Backend::web("a");
    for in_file in [false, true] {
        let (port, dir) = (free_port(), folder());
        let (file, pidfile) = (dir.path().join("d.cfg"), dir.path().join("d.pid"));
        let mut text = http_config(port, backend.port, "");
        let mut arguments = vec!["-f", file.to_str().unwrap()];
        if in_file {
            text = format!("global\n daemon\n pidfile {}\n{text}", pidfile.display());
        } else {
            arguments.extend(["-D", "-p", pidfile.to_str().unwrap()]);
        }
        std::fs::write(&file, text).unwrap();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", written(&output));
        eventually("the pidfile is there", || {
            std::fs::read_to_string(&pidfile).is_ok_and(|text| text.ends_with('\n'))
        });
        let pid = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
        let daemon = Daemon(pid);
        assert!(is_alive(daemon.0));
        eventually("the daemon listens", || is_listening(port));
        let mut client = Client::to(port);
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.answer().status, 200);
        for descriptor in 0..3 {
            let target = std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap_or_default();
            assert!(
                !target.to_string_lossy().starts_with("pipe:"),
                "a daemon holds none of its parent's pipes"
            );
        }
        crate::support::process::send_signal(pid, Signal::TERM);
        eventually("the daemon ends", || !is_alive(pid));
    }
}

#[test]
fn db_keeps_a_daemon_in_the_foreground() {
    let backend = Backend::web("a");
    let mut gateway =
        Gateway::start(|port| format!("global\n daemon\n{}", http_config(port, backend.port, "")));
    std::thread::sleep(ms(200));
    assert!(gateway.is_running());
}

#[test]
fn version_flags() {
    let short = run(&["-v"]);
    assert_eq!(short.status.code(), Some(0));
    let text = written(&short);
    if Program::subject() == Program::Oneport {
        assert!(text.contains(&format!("oneport version {}", env!("CARGO_PKG_VERSION"))), "{text}");
    }
    let long = run(&["-vv"]);
    assert_eq!(long.status.code(), Some(0));
    assert!(written(&long).len() > text.len(), "-vv says more than -v");
}

#[test]
fn quiet_says_nothing() {
    let (port, dir) = (free_port(), folder());
    let file = dir.path().join("q.cfg");
    std::fs::write(&file, format!("listen l\n mode http\n bind 127.0.0.1:{port}\n server s 127.0.0.1:1\n"))
        .unwrap();
    // The way an OpenWrt service checks its file.
    let output = run(&["-c", "-q", "-V", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    let output = run(&["-c", "-q", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn folder_and_maxconn_flags() {
    let (port, dir) = (free_port(), folder());
    let backend = Backend::web("a");
    std::fs::write(dir.path().join("c.cfg"), http_config(port, backend.port, "")).unwrap();
    let mut command = std::process::Command::new(Program::subject().path());
    command.args(["-db", "-n", "100", "-L", "me", "-C"]).arg(dir.path()).args(["-f", "c.cfg"]);
    let gateway = Starter::new().ready_port(port).spawn(command, dir);
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn an_unknown_flag_is_an_error() {
    let output = run(&["--no-such-flag"]);
    assert_eq!(output.status.code(), Some(1), "{}", written(&output));
}

/// The soft limit is 64 when it starts; maxconn 500 needs more.
#[test]
fn the_descriptor_limit_is_raised_to_what_maxconn_needs() {
    let backend = Backend::echo();
    let (port, dir) = (free_port(), folder());
    let file = dir.path().join("l.cfg");
    let text = tcp_config(port, &format!("127.0.0.1:{}", backend.port), "");
    std::fs::write(&file, format!("global\n maxconn 500\n{text}")).unwrap();
    let mut command = std::process::Command::new(crate::support::program::installed("sh", "dash"));
    command.args(["-c", "ulimit -S -n 64; exec \"$0\" \"$@\""]).arg(Program::subject().path());
    command.args(["-db", "-f"]).arg(&file);
    let gateway = Starter::new().ready_port(port).spawn(command, dir);
    let mut clients: Vec<Client> = (0..100).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send("x");
        assert_eq!(client.read_exact(1), b"x");
    }
}

#[test]
fn at_rest_it_does_not_wake_up() {
    if only_oneport("HAProxy wakes up now and then") {
        return;
    }
    let backend = Backend::web("a");
    let gateway = crate::rig::http_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.answer();
    std::thread::sleep(ms(500));
    let before = context_switches(gateway.pid());
    std::thread::sleep(ms(3_000));
    let woken = context_switches(gateway.pid()) - before;
    assert!(woken <= 5, "{woken} wake-ups in three seconds of rest");
}

/// Voluntary context switches of all threads.
fn context_switches(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .filter_map(|status| {
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}

/// `hard-stop-after`: connections that would go on for ever are cut after a stop, and after a reload those of the
/// configuration before it.
#[test]
fn hard_stop_after_cuts_what_does_not_end() {
    if only_oneport("HAProxy's old process is another one") {
        return;
    }
    let backend = Backend::echo();
    let server = format!("127.0.0.1:{}", backend.port);
    let config = |port| format!("global\n hard-stop-after 700ms\n{}", tcp_config(port, &server, ""));
    let mut gateway = Gateway::start(config);
    let echo = |client: &mut Client| {
        client.send("x");
        assert_eq!(client.read_exact(1), b"x");
    };
    let mut old = gateway.client();
    echo(&mut old);
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("was read again");
    let mut new = gateway.client();
    echo(&mut new);
    old.read_to_end();
    gateway.wait_stderr("hard-stop-after has passed: 1 connections are cut");
    echo(&mut new);
    gateway.signal(Signal::USR1);
    new.read_to_end();
    assert!(gateway.wait_exit(SECONDS_10).success());
}
