//! What health checks say of servers: the same configuration, the same servers, and the lines that oneport and HAProxy
//! write of each. The servers' scripts and the lines of their backends are in `checks/`.

#[path = "checks/http.rs"]
mod http;
#[path = "checks/protocols.rs"]
mod protocols;
#[path = "checks/tcp.rs"]
mod tcp;

use crate::rig::DEFAULTS;
use crate::support::client::Client;
use crate::support::peers::{Backend, Peer, ok};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Starter};
use crate::support::program::Program;
use crate::support::{SOON, eventually, ms};
use Act::{Close, Flood, Hold, Read, ReadHead, Refuse, Reset, Say, Wait};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What a server does on each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It does not even listen.
    Refuse,
    /// Takes what comes.
    Read,
    /// Takes what comes up to an empty line.
    ReadHead,
    Say(&'static [u8]),
    /// Says nothing for a moment.
    Wait,
    /// Says nothing until the other side has had enough.
    Hold,
    Close,
    Reset,
    /// Up to 100 MB of header.
    Flood,
}

/// Lines of a backend, and what its server does. Parameters of the server stand behind a last `server`.
type Case = (&'static str, &'static [Act]);

/// What was seen of one case.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// What was logged of the first check and what followed from it.
    lines: Vec<String>,
    /// What the server got on its first connection.
    asked: String,
}

/// Every line of a configuration that is compared here.
pub fn compared_lines() -> Vec<String> {
    let all = [http::CASES, tcp::CASES, protocols::CASES, protocols::HELLOS].concat();
    let lines = all.iter().flat_map(|(lines, _)| {
        let (lines, parameters) = lines.split_once("server ").unwrap_or((lines, ""));
        let server = format!("server s 127.0.0.1:1 check {parameters}");
        lines.split("; ").map(str::to_owned).chain([server]).collect::<Vec<_>>()
    });
    lines.collect()
}

/// Runs all cases in one process.
fn run(program: Program, cases: &[Case]) -> Vec<Seen> {
    let port = free_port();
    let mut config = format!(
        "global\n log stdout format raw local0 debug\n{DEFAULTS} log global\n option log-health-checks\n \
         timeout check 700ms\nfrontend front\n mode tcp\n bind 127.0.0.1:{port}\n default_backend b0\n"
    );
    let mut servers = Vec::new();
    for (nth, (lines, acts)) in cases.iter().enumerate() {
        let server = (!acts.contains(&Refuse)).then(|| Backend::start(|peer| play(peer, acts)));
        let (lines, parameters) = lines.split_once("server ").unwrap_or((lines, ""));
        let to = server.as_ref().map_or_else(free_port, |server| server.port);
        let lines = lines.replace("; ", "\n ");
        let _ = write!(
            config,
            "backend b{nth}\n {lines}\n server s 127.0.0.1:{to} check inter 1500 {parameters}\n"
        );
        servers.push((server, to));
    }
    let gateway = Starter::of(program).ready_port(port).start(&config);
    let seen = servers.iter().enumerate().map(|(nth, (server, to))| {
        let lines = wait_for_lines(&gateway, nth);
        let asked = server.as_ref().map(|server| server.received(0)).unwrap_or_default();
        let asked = String::from_utf8_lossy(&asked).replace(&to.to_string(), "PORT");
        Seen { lines, asked: without_number(&asked, "127.0.0.1 ", " PORT\r\n") }
    });
    seen.collect()
}

/// The lines of a check and of the change of state that it leads to.
fn wait_for_lines(gateway: &Gateway, nth: usize) -> Vec<String> {
    let started = Instant::now();
    let name = format!(" b{nth}/s ");
    loop {
        let text = gateway.stderr();
        let of_server = |line: &&str| line.contains(&name) || line.contains(&format!("backend b{nth} has"));
        let told =
            |line: &&str| ["Health check for", "Server ", "backend "].iter().any(|s| line.starts_with(s));
        let all: Vec<&str> = text.lines().filter(of_server).filter(told).collect();
        let up = all.first().is_some_and(|line| line.contains(" succeeded,"));
        let wanted = if up { 1 } else { 3 };
        if all.len() >= wanted {
            let lines = all.into_iter().take(wanted);
            return lines.map(|line| without_number(line, "check duration: ", "ms")).collect();
        }
        assert!(started.elapsed() < SOON, "no line of b{nth}:\n{text}");
        std::thread::sleep(ms(20));
    }
}

/// A text without the number between these two, where there is one.
fn without_number(text: &str, before: &str, after: &str) -> String {
    let cut = text.rfind(before).and_then(|at| {
        let (start, rest) = text.split_at(at + before.len());
        let end = rest.find(after)?;
        rest[..end].bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{start}N{}", &rest[end..]))
    });
    cut.unwrap_or_else(|| text.to_owned())
}

fn play(peer: &mut Peer, acts: &[Act]) {
    for act in acts {
        match act {
            Refuse => {}
            Read => {
                if peer.read_some().is_err() {
                    return;
                }
            }
            ReadHead => {
                if peer.read_head().is_none() {
                    return;
                }
            }
            Say(bytes) => {
                if !peer.write(bytes) {
                    return;
                }
            }
            Wait => peer.pause(ms(100)),
            Hold => {
                peer.read_to_end();
            }
            Close => return,
            Reset => {
                peer.reset();
                return;
            }
            Flood => {
                let line = [b"X-Fill: ".as_slice(), &[b'x'; 1_000], b"\r\n"].concat();
                peer.write("HTTP/1.1 200 OK\r\n");
                for _ in 0..100_000 {
                    if !peer.write(&line) {
                        return;
                    }
                }
            }
        }
    }
}

/// Both programs say the same of each case, but for those whose number is given with what oneport says.
fn compare(cases: &[Case], differs: &[(&str, &str)]) {
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| run(Program::Oneport, cases));
        let theirs = run(Program::Haproxy, cases);
        (ours.join().unwrap(), theirs)
    });
    let mut problems = String::new();
    for ((case, ours), theirs) in cases.iter().zip(&ours).zip(&theirs) {
        let known = differs.iter().find(|(lines, _)| *lines == case.0);
        let right = match known {
            Some((_, says)) => ours != theirs && ours.lines.iter().any(|line| line.contains(says)),
            None => ours == theirs,
        };
        if !right {
            let _ = writeln!(problems, "{case:?}\n oneport: {ours:#?}\n haproxy: {theirs:#?}");
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn answers_of_http_servers() {
    compare(http::CASES, http::DIFFERS);
}

#[test]
fn answers_to_tcp_checks() {
    compare(tcp::CASES, &[]);
}

#[test]
fn answers_of_other_servers() {
    compare(protocols::CASES, &[]);
}

#[test]
fn answers_to_a_hello() {
    let told = |program| run(program, protocols::HELLOS).into_iter().map(|seen| seen.lines);
    assert!(told(Program::Oneport).eq(told(Program::Haproxy)));
}

/// A gateway whose only server is checked every 100 ms.
fn checking(server: &Backend, lines: &str, parameters: &str) -> Gateway {
    Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen web\n bind 127.0.0.1:{port}\n {lines}\n server s 127.0.0.1:{} check inter 100 {parameters}\n",
            server.port
        )
    })
}

#[test]
fn a_check_leaves_nothing_behind() {
    let server = Backend::answering(|_| crate::support::peers::ok("x"));
    // Somebody else may have used the port before.
    let earlier = in_time_wait(server.port);
    let gateway = checking(&server, "option httpchk GET / HTTP/1.1\n http-check expect string x", "");
    eventually("checks are made", || server.accepts() > 5);
    let before = gateway.settled_descriptors();
    eventually("many checks are made", || server.accepts() > 40);
    gateway.wait_descriptors(before);
    let after = in_time_wait(server.port);
    let left: Vec<&String> = after.iter().filter(|line| !earlier.contains(line)).collect();
    assert!(left.is_empty(), "connections that were not reset: {left:#?}");
}

/// Our ends of connections to this port that wait for their time to be up.
fn in_time_wait(port: u16) -> Vec<String> {
    let states = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let waiting = format!(" 0100007F:{port:04X} 06 ");
    let lines = states.lines().filter(|line| line.contains(&waiting));
    lines.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
}

#[test]
fn timeout_connect_is_for_the_connection_and_inter_for_all() {
    let hole = crate::support::peers::BlackHole::new();
    for (timeouts, said) in [
        ("timeout connect 300ms\n timeout check 5s", "Layer4 timeout, check duration: 3"),
        ("timeout connect 5s", "Layer4 timeout, check duration: 6"),
    ] {
        let gateway = Gateway::start(|port| {
            format!(
                "{DEFAULTS}listen web\n bind 127.0.0.1:{port}\n {timeouts}\n \
                 server s 127.0.0.1:{} check inter 600\n",
                hole.port
            )
        });
        gateway.wait_stderr(said);
    }
}

#[test]
fn an_address_and_a_port_of_their_own() {
    let (server, other) =
        (Backend::web("a"), Backend::start(|peer| crate::support::ignore(peer.write("ready"))));
    let lines = "option tcp-check\n tcp-check expect string ready";
    let gateway = checking(&server, lines, &format!("addr 127.0.0.1 port {}", other.port));
    eventually("checks are made", || other.accepts() > 3);
    assert_eq!(server.accepts(), 0);
    assert!(!gateway.stderr().contains("DOWN"), "{}", gateway.stderr());
    let lines = format!("{lines}\n")
        .replace("\n tcp-check", &format!("\n tcp-check connect port {}\n tcp-check", other.port));
    let before = other.accepts();
    let _gateway = checking(&server, &lines, "");
    eventually("checks are made", || other.accepts() > before + 3);
    assert_eq!(server.accepts(), 0);
}

#[test]
fn send_state_tells_of_a_servers_own_queue() {
    let states = Arc::new(Mutex::new(Vec::new()));
    let seen = states.clone();
    let server = Backend::start(move |peer| {
        while let Some(request) = peer.read_request() {
            match request.values("x-haproxy-server-state").first() {
                Some(state) => {
                    seen.lock().unwrap().push(state.to_string());
                    peer.write(ok("fine"));
                }
                // It never answers.
                None => std::thread::sleep(SOON),
            }
        }
    });
    let port = server.port;
    let gateway = Gateway::start(|listen| {
        format!(
            "global\n node here\n{DEFAULTS}listen web\n mode http\n bind 127.0.0.1:{listen}\n cookie S insert\n \
             option httpchk\n http-check send-state\n timeout queue 20s\n default-server maxconn 1\n \
             server s 127.0.0.1:{port} check inter 100 cookie s weight 3\n server t 127.0.0.1:{port} weight 1\n"
        )
    });
    let mut clients: Vec<Client> = Vec::new();
    // One at each server, one that waits for the first, one for any.
    for cookie in ["S=s", "", "S=s", ""] {
        let mut client = Client::to(gateway.port);
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\n\r\n"));
        clients.push(client);
    }
    let name =
        format!("UP; address=127.0.0.1; port={port}; name=web/s; node=here; weight=3/4; scur=1/3; qcur=1");
    eventually("the state is told", || states.lock().unwrap().last() == Some(&name));
}
