//! Servers that come and go: the states they pass through and the lines that tell of it, beside HAProxy's.

use crate::support::client::Client;
use crate::support::peers::{Backend, Peer};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Starter, folder};
use crate::support::program::{Program, installed, only_oneport};
use crate::support::syslog::Syslog;
use crate::support::{SOON, eventually, ms};
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const DEFAULTS: &str =
    "defaults\n mode http\n timeout connect 1s\n timeout client 20s\n timeout server 20s\n";

/// Both programs with one configuration, and what they log.
struct Pair {
    ours: Watched,
    theirs: Watched,
}

struct Watched {
    gateway: Gateway,
    log: Syslog,
}

impl Pair {
    /// `@listen@` and `@log@` in the text are each program's own.
    #[track_caller]
    fn start(text: &str) -> Self {
        let watched = |program| {
            let (port, log) = (free_port(), Syslog::udp());
            let target = format!("127.0.0.1:{} len 4096 local0", log.port);
            let text = text.replace("@listen@", &port.to_string()).replace("@log@", &target);
            let gateway =
                Starter::of(program).ready_port(port).start(&format!("{DEFAULTS} log {target}\n{text}"));
            Watched { gateway, log }
        };
        Self { ours: watched(Program::Oneport), theirs: watched(Program::Haproxy) }
    }

    fn both(&self) -> [&Watched; 2] {
        [&self.ours, &self.theirs]
    }

    /// Waits until both have logged this so many times.
    #[track_caller]
    fn wait(&self, text: &str, times: usize) {
        let started = Instant::now();
        for watched in self.both() {
            loop {
                let lines = watched.lines();
                if lines.iter().filter(|line| line.contains(text)).count() >= times {
                    break;
                }
                assert!(
                    started.elapsed() < SOON,
                    "`{text}` {times} times expected in:\n{}",
                    lines.join("\n")
                );
                std::thread::sleep(ms(5));
            }
        }
    }

    /// Compares what both have logged of this server or backend.
    #[track_caller]
    fn compare(&self, about: &str) {
        let of = |watched: &Watched| -> Vec<String> {
            watched.lines().into_iter().filter(|line| line.contains(about)).collect()
        };
        assert_eq!(of(&self.ours), of(&self.theirs), "ours, and HAProxy's");
    }
}

impl Watched {
    /// The lines about servers, as `<level> text` without times.
    fn lines(&self) -> Vec<String> {
        self.log.lines().iter().filter_map(|line| normal(line)).collect()
    }
}

/// `<129>Nov 21 19:36:17 haproxy[12919]: Server …, check duration: 3ms. …` without what differs from run to run; `None` for
/// lines of sessions.
fn normal(line: &str) -> Option<String> {
    let (level, rest) = line.split_once('>')?;
    let (_, text) = rest.split_once("]: ")?;
    if level == "<134" {
        return None;
    }
    let mut text = text.trim_end().to_owned();
    if let Some(at) = text.find("check duration: ") {
        let from = at + "check duration: ".len();
        let to = text[from..].find("ms").map(|len| from + len)?;
        text.replace_range(from..to, "N");
    }
    Some(format!("{level}> {text}"))
}

/// A server whose answers to checks are changed while it runs, and that can be gone for a while.
struct Fickle {
    port: u16,
    status: Arc<AtomicU16>,
    running: Mutex<Option<Backend>>,
}

impl Fickle {
    fn start() -> Self {
        let fickle =
            Self { port: free_port(), status: Arc::new(AtomicU16::new(200)), running: Mutex::default() };
        fickle.come_back();
        fickle
    }

    fn come_back(&self) {
        let status = self.status.clone();
        let script = move |peer: &mut Peer| {
            while peer.read_request().is_some() {
                let status = status.load(Ordering::SeqCst);
                peer.write(format!("HTTP/1.1 {status} Word\r\nContent-Length: 0\r\n\r\n"));
            }
        };
        *self.running.lock().unwrap() = Some(Backend::on_port(self.port, script));
    }

    fn go(&self) {
        if let Some(backend) = self.running.lock().unwrap().take() {
            backend.stop();
        }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

const LISTEN: &str = "listen l\n bind 127.0.0.1:@listen@\n";

#[test]
fn dead_and_back_is_told_as_haproxy_tells_it() {
    let (a, b) = (Fickle::start(), Fickle::start());
    let pair = Pair::start(&format!(
        "{LISTEN} server a 127.0.0.1:{} check inter 100 fastinter 50 downinter 70\n server k 127.0.0.1:{} check \
         inter 100 backup\nbackend o\n server t 127.0.0.1:{} track l/a\n server m 127.0.0.1:{} disabled check\n",
        a.port, b.port, a.port, a.port
    ));
    for round in 1..=3 {
        a.go();
        pair.wait("o/t is DOWN", round);
        a.come_back();
        pair.wait("o/t is UP", round);
    }
    b.go();
    pair.wait("l/k is DOWN", 1);
    a.go();
    pair.wait("o/t is DOWN", 4);
    b.come_back();
    pair.wait("l/k is UP", 1);
    a.come_back();
    pair.wait("o/t is UP", 4);
    pair.compare("");
}

#[test]
fn each_check_that_says_something_new_is_told() {
    let a = Fickle::start();
    // Each in a backend of its own: how many are left then does not depend on whose check comes first.
    let checks = " option log-health-checks\n option httpchk GET /\n http-check disable-on-404\n";
    let pair = Pair::start(&format!(
        "{LISTEN}{checks} server a 127.0.0.1:{} check inter 60 rise 3 fall 2\nbackend w\n{checks} \
         server z 127.0.0.1:{} check inter 60 weight 0\n",
        a.port, a.port
    ));
    let both = |text: &str, times: usize| {
        pair.wait(&format!("l/a is {text}"), times);
        pair.wait(&format!("w/z is {text}"), times);
    };
    pair.wait("status: 2/2 UP", 1);
    pair.wait("status: 3/3 DRAIN", 1);
    a.answer(404);
    both("stopping", 1);
    a.answer(503);
    both("DOWN", 1);
    // Nobody is with it: 404 is a failure now, and no news.
    a.answer(404);
    std::thread::sleep(ms(300));
    a.answer(200);
    both("UP", 1);
    a.go();
    both("DOWN", 2);
    pair.compare("l/a");
    pair.compare("w/z");
}

#[test]
fn a_server_that_flaps_leaves_no_doubt() {
    let a = Fickle::start();
    let pair = Pair::start(&format!("{LISTEN} server a 127.0.0.1:{} check inter 20 rise 1 fall 1\n", a.port));
    for _ in 0..10 {
        a.go();
        std::thread::sleep(ms(200));
        a.come_back();
        std::thread::sleep(ms(200));
    }
    a.go();
    for watched in pair.both() {
        eventually("it is down for good", || {
            watched.lines().last().is_some_and(|line| line.contains("no server available"))
        });
        let lines = watched.lines();
        assert!(lines.len() >= 12, "{}", lines.join("\n"));
        for (at, line) in lines.iter().enumerate() {
            let expected =
                ["l/a is DOWN, reason: ", "proxy l has no server available!", "l/a is UP, reason: "];
            assert!(line.contains(expected[at % 3]), "{at} in\n{}", lines.join("\n"));
        }
    }
}

#[test]
fn all_down_then_one_back_serves_those_who_wait() {
    let a = Fickle::start();
    let pair = Pair::start(&format!(
        "{LISTEN} retries 10\n server a 127.0.0.1:{} check inter 100 rise 1\n server b 127.0.0.1:{} check inter 100\n",
        a.port,
        free_port()
    ));
    pair.wait("l/b is DOWN", 1);
    a.go();
    pair.wait("l/a is DOWN", 1);
    let ask = |watched: &Watched| {
        let mut client = Client::to(watched.gateway.port);
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        client.answer().status
    };
    assert_eq!(pair.both().map(ask), [503, 503]);
    a.come_back();
    pair.wait("l/a is UP", 1);
    assert_eq!(pair.both().map(ask), [200, 200]);
    pair.compare("l/a");
}

#[test]
fn errors_of_traffic_count_as_haproxy_counts_them() {
    for on_error in ["fail-check", "sudden-death", "mark-down"] {
        let (a, checked) = (Fickle::start(), Fickle::start());
        let pair = Pair::start(&format!(
            "{LISTEN} option log-health-checks\n server a 127.0.0.1:{} check port {} inter 5s rise 3 fall 2 observe layer7 \
             error-limit 3 on-error {on_error}\n",
            a.port, checked.port
        ));
        pair.wait("status: 2/2 UP", 1);
        a.answer(500);
        for watched in pair.both() {
            for _ in 0..6 {
                let mut client = Client::to(watched.gateway.port);
                client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
                client.answer();
            }
        }
        pair.wait("l/a is DOWN", 1);
        pair.compare("Health check");
    }
}

#[test]
fn sessions_end_with_their_server() {
    let checked = Fickle::start();
    let silent = Backend::silent();
    let pair = Pair::start(&format!(
        "{LISTEN} option httplog\n server a 127.0.0.1:{} check port {} inter 100 rise 1 fall 1 on-marked-down \
         shutdown-sessions on-marked-up shutdown-backup-sessions\n server k 127.0.0.1:{} backup\n",
        silent.port, checked.port, silent.port
    ));
    for (server, end) in [("l/a", " DH-- "), ("l/k", " UH-- ")] {
        let mut clients: Vec<Client> = pair.both().map(|watched| Client::to(watched.gateway.port)).into();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        let open = silent.open_most();
        eventually("both wait for the server", || silent.open() >= 2 && silent.open_most() >= open);
        std::thread::sleep(ms(200));
        if server == "l/a" {
            checked.go()
        } else {
            checked.come_back()
        }
        for (client, watched) in clients.iter_mut().zip(pair.both()) {
            assert_eq!(client.answer().status, 502);
            let line = watched.log.wait_for(end);
            assert!(line.contains(server), "{line}");
        }
    }
}

/// An agent that says what stands there.
fn agent(said: &Arc<Mutex<&'static str>>) -> Backend {
    let said = said.clone();
    Backend::start(move |peer| {
        let _ = peer.read_some();
        let line = format!("{}\n", said.lock().unwrap());
        peer.write(line);
    })
}

#[test]
fn a_backend_whose_last_weight_becomes_0_is_told_of() {
    let said = Arc::new(Mutex::new("ready up"));
    let agent = agent(&said);
    let web = Fickle::start();
    let pair = Pair::start(&format!(
        "{LISTEN} option log-health-checks\n server a 127.0.0.1:{} agent-check agent-port {} agent-inter 100 \
         agent-send hello\\n\n server b 127.0.0.1:{} weight 0\n",
        web.port, agent.port, web.port
    ));
    pair.wait("via agent : up", 1);
    *said.lock().unwrap() = "0%";
    pair.wait("proxy l has no server available!", 1);
}

#[test]
fn agents_are_listened_to() {
    let said = Arc::new(Mutex::new("up"));
    let agent = agent(&said);
    let web = Fickle::start();
    let pair = Pair::start(&format!(
        "{LISTEN} option log-health-checks\n server a 127.0.0.1:{} weight 100 agent-check agent-port {} agent-inter 100 \
         agent-send hello\\n\n server b 127.0.0.1:{} track a\n",
        web.port, agent.port, web.port
    ));
    pair.wait("via agent : up", 1);
    for (line, logged) in [
        ("down # no disk", "l/b is DOWN via l/a"),
        ("up 50%", "l/b is UP via l/a"),
        ("maint", "l/b is going DOWN for maintenance via l/a"),
        ("ready", "l/b is UP/READY (leaving maintenance)"),
        ("drain", "l/b enters drain state via l/a"),
        ("ready 100%", "l/b is UP (leaving forced drain)"),
        (
            "stopped",
            "Agent check for server l/a failed, reason: Layer7 wrong status, code: 0, info: \"via agent : stopped\"",
        ),
    ] {
        *said.lock().unwrap() = line;
        pair.wait(logged, 1);
    }
    pair.wait("l/b is DOWN via l/a", 2);
    // HAProxy repeats this with each answer.
    let lines = |watched: &Watched| -> Vec<String> { watched.lines() };
    assert_eq!(lines(&pair.ours), lines(&pair.theirs), "ours, and HAProxy's");
}

#[test]
fn a_server_starts_slowly() {
    let (a, b) = (Backend::web("a"), Backend::web("b"));
    let checked = Fickle::start();
    let pair = Pair::start(&format!(
        "{LISTEN} server a 127.0.0.1:{} weight 32\n server b 127.0.0.1:{} weight 32 check port {} inter 50 rise 1 fall 1 \
         slowstart 30s\n",
        a.port, b.port, checked.port
    ));
    checked.go();
    pair.wait("l/b is DOWN", 1);
    checked.come_back();
    pair.wait("l/b is UP", 1);
    for watched in pair.both() {
        let mut of_b = 0;
        for _ in 0..64 {
            let mut client = Client::to(watched.gateway.port);
            client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            of_b += u32::from(client.answer().header("x-backend") == Some("b"));
        }
        assert!((2..=12).contains(&of_b), "{of_b} of 64 in its first seconds");
    }
}

/// The gateway with a hosts file of its own, in a mount namespace of its own.
#[test]
fn a_name_that_moves_or_vanishes_is_followed() {
    const REASON: &str = "HAProxy looks names up once, unless a `resolvers` section asks a name server";
    if only_oneport(REASON) {
        return;
    }
    let port = free_port();
    let web = |ip: &str, name| {
        let listener = TcpListener::bind((ip, port)).unwrap();
        Backend::listen(listener, crate::support::peers::web(name))
    };
    let dir = folder();
    let (hosts, file) = (dir.path().join("hosts"), dir.path().join("gateway.cfg"));
    // In place: what is mounted is the file and not its name.
    let write = |names: &str| std::fs::write(&hosts, format!("127.0.0.1 localhost\n{names}\n")).unwrap();
    write("127.0.0.1 moving.test");
    let listen = free_port();
    let config = format!(
        "{DEFAULTS}listen l\n bind 127.0.0.1:{listen}\n retries 0\n server a moving.test:{port} check inter 100\n \
         server n later.test:{port} check inter 100 init-addr last,libc,none\n"
    );
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(installed("unshare", "util-linux"));
    let shell = "mount --bind \"$1\" /etc/hosts && exec \"$0\" -db -f \"$2\"";
    command.args(["--map-root-user", "--mount", "--propagation", "private", "sh", "-c", shell]);
    command.arg(Program::subject().path()).arg(&hosts).arg(&file);
    let first = web("127.0.0.1", "first");
    let gateway = Starter::new().ready_port(listen).spawn(command, dir);
    let ask = || {
        let mut client = Client::to(listen);
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let answer = client.answer();
        (answer.status, answer.header("x-backend").unwrap_or_default().to_owned())
    };
    assert_eq!(ask(), (200, "first".into()));
    // It vanishes: while the server is there, nobody minds; then its last address stays.
    write("");
    std::thread::sleep(ms(300));
    assert_eq!(ask(), (200, "first".into()));
    first.stop();
    gateway.wait_stderr("Server l/a: moving.test is not found any more");
    gateway.wait_stderr("Server l/a is DOWN");
    assert_eq!(ask().0, 503);
    let _second = web("127.0.0.9", "second");
    write("127.0.0.9 moving.test");
    gateway.wait_stderr("l/a changed its IP from 127.0.0.1 to 127.0.0.9 by libc.");
    gateway.wait_stderr("Server l/a is UP");
    assert_eq!(ask(), (200, "second".into()));
    write("127.0.0.9 moving.test later.test");
    gateway.wait_stderr("Server l/n ('later.test') is UP/READY (resolves again).");
    for _ in 0..2 {
        assert_eq!(ask(), (200, "second".into()));
    }
}
