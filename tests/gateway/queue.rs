//! Queues for servers: oneport beside HAProxy with the same configuration, and what oneport does beyond that.
//!
//! A case is a row of steps, and what is compared is the order in which requests came to servers, what clients got, and
//! the log lines.

use crate::support::client::Client;
use crate::support::peers::{Backend, Peer, ok};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Signal, Starter};
use crate::support::program::{Program, only_oneport};
use crate::support::syslog::Syslog;
use crate::support::{eventually, ignore, ms};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Time for a step to have its effect.
const SETTLED: Duration = ms(150);

/// Servers that answer in the order of the requests, one for each [`Gate::release`].
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Passed>, Condvar)>);

#[derive(Default)]
struct Passed {
    arrived: Vec<String>,
    released: usize,
}

impl Gate {
    fn script(&self, name: &'static str) -> impl Fn(&mut Peer) + Send + Sync + 'static {
        let gate = self.clone();
        move |peer| {
            while let Some(request) = peer.read_request() {
                let (passed, changed) = &*gate.0;
                let mut passed = passed.lock().unwrap();
                passed.arrived.push(format!("{name} {}", request.target));
                let number = passed.arrived.len();
                let wait = changed.wait_while(passed, |passed| passed.released < number);
                drop(wait.unwrap());
                peer.write(ok(name));
            }
        }
    }

    fn release(&self, count: usize) {
        let (passed, changed) = &*self.0;
        passed.lock().unwrap().released += count;
        changed.notify_all();
    }

    fn arrived(&self) -> Vec<String> {
        self.0.0.lock().unwrap().arrived.clone()
    }
}

/// A gateway with two servers behind one gate.
struct Rig {
    gateway: Gateway,
    syslog: Syslog,
    gate: Gate,
    clients: BTreeMap<String, Client>,
    _servers: [Backend; 2],
}

impl Rig {
    fn start(program: Program, lines: &str) -> Self {
        let gate = Gate::default();
        let servers = [Backend::start(gate.script("a")), Backend::start(gate.script("b"))];
        let syslog = Syslog::udp();
        let lines = lines
            .replace("@a@", &format!("127.0.0.1:{}", servers[0].port))
            .replace("@b@", &format!("127.0.0.1:{}", servers[1].port));
        let port = free_port();
        // Of several threads each would have an order of its own.
        let threads = if program == Program::Haproxy { "global\n nbthread 1\n" } else { "" };
        let gateway = Starter::of(program).ready_port(port).start(&format!(
            "{threads}defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n \
             timeout queue 20s\nlisten l\n bind 127.0.0.1:{port}\n log 127.0.0.1:{} local0\n \
             log-format \"line %HP %b/%s %ST %tsc %rc %sq/%bq.\"\n {lines}\n",
            syslog.port
        ));
        Self { gateway, syslog, gate, clients: BTreeMap::new(), _servers: servers }
    }

    fn step(&mut self, step: &str) {
        let (what, who) = step.split_once(' ').unwrap_or((step, ""));
        match what {
            "ask" => {
                let mut client = self.gateway.client();
                client.send(format!("GET {who} HTTP/1.1\r\nHost: h\r\n\r\n"));
                self.clients.insert(who.to_owned(), client);
            }
            "release" => self.gate.release(1),
            "read" => assert_eq!(self.clients.get_mut(who).unwrap().answer().status, 200),
            // The same client asks for the same once more.
            "again" => ignore(
                self.clients.get_mut(who).unwrap().send(format!("GET {who} HTTP/1.1\r\nHost: h\r\n\r\n")),
            ),
            "leave" => drop(self.clients.remove(who)),
            "pause" => std::thread::sleep(ms(who.parse().unwrap())),
            _ => panic!("no step `{step}`"),
        }
        std::thread::sleep(SETTLED);
    }

    /// What there was to see, once everybody has been served.
    fn picture(mut self, lines: usize) -> String {
        let before = self.gate.arrived().len();
        // One by one: servers that are free at the same time would take the next ones in any order.
        for _ in 0..self.clients.len() {
            self.gate.release(1);
            std::thread::sleep(SETTLED);
        }
        self.gate.release(1_000);
        let mut picture = format!("{before} without being released\n");
        for (who, client) in &mut self.clients {
            let answer = client.answer();
            picture.push_str(&format!("{who} got {}\n", answer.status));
        }
        eventually("all log lines have come", || self.lines().len() >= lines);
        for line in self.gate.arrived().into_iter().chain(self.lines()) {
            picture.push_str(&line);
            picture.push('\n');
        }
        picture
    }

    /// Those of requests: the look whether the port listens leaves one as well.
    fn lines(&self) -> Vec<String> {
        let lines = self.syslog.lines().into_iter();
        let lines = lines.filter_map(|line| line.find("line ").map(|at| line[at..].trim_end().to_owned()));
        let mut lines: Vec<String> = lines.filter(|line| line.starts_with("line /")).collect();
        // Two that end at once may end in any order.
        lines.sort();
        lines
    }
}

/// Both programs do the same.
#[track_caller]
fn same(lines: &str, steps: &[&str]) -> String {
    let asked = steps.iter().filter(|step| step.starts_with('a')).count();
    let picture = |program| {
        let mut rig = Rig::start(program, lines);
        steps.iter().for_each(|step| rig.step(step));
        rig.picture(asked)
    };
    let (ours, theirs) = (picture(Program::Oneport), picture(Program::Haproxy));
    assert_eq!(ours, theirs, "\n{lines}\n{steps:?}");
    ours
}

#[test]
fn who_came_first_is_served_first() {
    let picture = same("server s1 @a@ maxconn 1", &["ask /1", "ask /2", "ask /3", "ask /4"]);
    assert!(picture.contains("1 without being released"), "{picture}");
    assert!(picture.contains("line /4 l/s1 200 ---- 0 0/3."), "{picture}");
}

#[test]
fn the_server_of_a_rule_has_a_queue_of_its_own() {
    same(
        "server s1 @a@ maxconn 1\n server s2 @b@ maxconn 1\n use-server s1 if { path_beg /s }",
        &["ask /s1", "ask /s2", "ask /3", "ask /s4", "ask /5", "release", "release", "release"],
    );
}

#[test]
fn both_queues_of_a_server_are_served_in_the_order_of_time() {
    let lines = "server s1 @a@ maxconn 1\n use-server s1 if { path_beg /s }";
    same(lines, &["ask /1", "ask /2", "ask /s3", "ask /4", "ask /s5"]);
}

#[test]
fn a_class_comes_before_time() {
    let lines = "http-request set-priority-class int(-7) if { path_beg /now }\n \
                 http-request set-priority-class int(9) if { path_beg /late }\n server s1 @a@ maxconn 1\n \
                 use-server s1 if { path_end s }";
    same(lines, &["ask /1", "ask /late2", "ask /3s", "ask /4", "ask /now5", "ask /now6s", "ask /late7"]);
}

#[test]
fn an_offset_moves_the_time() {
    let lines = "http-request set-priority-offset int(-60000) if { path_beg /now }\n \
                 http-request set-priority-offset int(60000) if { path_beg /late }\n server s1 @a@ maxconn 1";
    same(lines, &["ask /1", "ask /late2", "ask /3", "ask /late4", "ask /now5", "ask /now6", "ask /7"]);
}

#[test]
fn too_many_for_one_server_are_refused() {
    let lines = "server s1 @a@ maxconn 1 maxqueue 1\n server s2 @b@\n use-server s1 if TRUE";
    let picture = same(lines, &["ask /1", "ask /2", "ask /3"]);
    assert!(picture.contains("line /3 l/s1 503 SQ-- 0 0/0."), "{picture}");
}

#[test]
fn too_many_for_one_server_go_to_another() {
    let lines =
        "option redispatch\n server s1 @a@ maxconn 1 maxqueue 1\n server s2 @b@\n use-server s1 if TRUE";
    let picture = same(lines, &["ask /1", "ask /2", "ask /3"]);
    assert!(picture.contains("line /3 l/s2 200 ---- +0 0/0."), "{picture}");
}

#[test]
fn the_time_in_a_queue_is_bounded() {
    let lines = "timeout queue 400ms\n server s1 @a@ maxconn 1\n use-server s1 if { path_beg /s }";
    let picture = same(lines, &["ask /1", "ask /2", "ask /s3", "pause 700"]);
    assert!(picture.contains("line /2 l/<NOSRV> 503 sQ-- 0 0/1."), "{picture}");
    assert!(picture.contains("line /s3 l/s1 503 sQ-- 0 1/0."), "{picture}");
}

#[test]
fn whoever_leaves_is_forgotten() {
    let lines = "option abortonclose\n server s1 @a@ maxconn 1\n use-server s1 if { path_beg /s }";
    let steps = ["ask /1", "ask /2", "ask /s3", "ask /4", "leave /2", "leave /s3", "release"];
    let picture = same(lines, &steps);
    assert!(picture.contains("line /2 l/<NOSRV> -1 CQ-- 0 0/1."), "{picture}");
}

#[test]
fn whoever_leaves_keeps_the_place_without_the_option() {
    same("server s1 @a@ maxconn 1", &["ask /1", "ask /2", "ask /3", "leave /2"]);
}

/// In `mode tcp` one that has sent nothing has nothing to wait for.
#[test]
fn whoever_leaves_a_queue_of_connections_is_forgotten() {
    for (option, sends, finishes) in [
        ("", "", true),
        ("", "", false),
        ("", "x", true),
        ("option abortonclose", "x", true),
        ("", "x", false),
    ] {
        let picture = |program| {
            let server = Backend::start(|peer| {
                peer.write("hi");
                peer.read_to_end();
            });
            let syslog = Syslog::udp();
            let port = free_port();
            let gateway = Starter::of(program).ready_port(port).start(&format!(
                "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n \
                 timeout queue 3s\nlisten l\n bind 127.0.0.1:{port}\n log 127.0.0.1:{} local0\n {option}\n \
                 log-format \"line %b/%s %ts %rc %sq/%bq.\"\n server s 127.0.0.1:{} maxconn 1\n",
                syslog.port, server.port
            ));
            // The look whether the port listens has its line first.
            std::thread::sleep(SETTLED);
            let before = syslog.lines().len();
            let mut first = gateway.client();
            assert_eq!(first.read_exact(2), b"hi");
            let mut second = gateway.client();
            second.send(sends);
            std::thread::sleep(SETTLED);
            let kept = if finishes {
                second.finish();
                Some(second)
            } else {
                drop(second);
                None
            };
            std::thread::sleep(SETTLED);
            first.finish();
            eventually("both have their lines", || syslog.lines().len() >= before + 2);
            drop(kept);
            let lines = syslog.lines().into_iter().skip(before);
            let mut lines: Vec<String> =
                lines.map(|line| line[line.find("line").unwrap()..].trim_end().to_owned()).collect();
            lines.sort();
            lines
        };
        let (ours, theirs) = (picture(Program::Oneport), picture(Program::Haproxy));
        assert_eq!(ours, theirs, "{option} {sends} {finishes}");
    }
}

#[test]
fn limits_move_with_the_load() {
    let lines = "fullconn 4\n server s1 @a@ minconn 1 maxconn 4";
    let picture = same(lines, &["ask /1", "ask /2", "ask /3", "ask /4", "ask /5", "ask /6"]);
    assert!(picture.contains("4 without being released"), "{picture}");
    let lines = "fullconn 8\n server s1 @a@ minconn 1 maxconn 4";
    let picture = same(lines, &["ask /1", "ask /2", "ask /3"]);
    assert!(picture.contains("1 without being released"), "{picture}");
}

#[test]
fn minconn_alone_is_the_limit() {
    let picture = same("server s1 @a@ minconn 2", &["ask /1", "ask /2", "ask /3"]);
    assert!(picture.contains("2 without being released"), "{picture}");
}

/// A tenth of what the frontends can take.
#[test]
fn fullconn_follows_the_frontends() {
    let lines = "maxconn 40\n server s1 @a@ minconn 1 maxconn 8";
    let picture = same(lines, &["ask /1", "ask /2", "ask /3"]);
    assert!(picture.contains("3 without being released"), "{picture}");
}

#[test]
fn a_clients_last_server_is_waited_for() {
    for (max, line) in
        [("-1", "line /1 l/s1 200 ---- 0 1/0."), ("0", " 0/1."), ("1", "line /1 l/s1 200 ---- 0 1/0.")]
    {
        let lines = format!(
            "option prefer-last-server\n http-reuse never\n max-keep-alive-queue {max}\n server s1 @a@ maxconn 1\n \
             server s2 @b@ maxconn 1"
        );
        let picture =
            same(&lines, &["ask /1", "release", "read /1", "ask /2", "ask /3", "again /1", "release"]);
        assert!(picture.contains(line), "{max}: {picture}");
    }
}

#[test]
fn hundreds_who_wait_are_all_served() {
    let backend = Backend::answering(|_| ok("x"));
    let gateway = Gateway::start(|port| {
        format!(
            "{}listen l\n mode http\n bind 127.0.0.1:{port}\n timeout queue 60s\n server s 127.0.0.1:{} maxconn 2\n",
            crate::rig::DEFAULTS,
            backend.port
        )
    });
    let mut clients: Vec<Client> = (0..400).map(|_| gateway.client()).collect();
    for round in 0..2 {
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200, "round {round}");
        }
    }
    assert!(backend.open_most() <= 4, "{} at once", backend.open_most());
}

/// A gateway with one checked server for one request at a time.
fn checked(server: u16, more: &str) -> Gateway {
    Gateway::start(|port| {
        format!(
            "{}listen l\n mode http\n bind 127.0.0.1:{port}\n timeout queue 30s\n retries 0\n \
             server s 127.0.0.1:{server} maxconn 1 check inter 100 fall 1 rise 1\n {more}\n",
            crate::rig::DEFAULTS
        )
    })
}

fn get(gateway: &Gateway, target: &str) -> Client {
    let mut client = gateway.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    client
}

#[test]
fn a_queue_outlives_the_end_of_all_servers() {
    if only_oneport("HAProxy sends those away who wait for a server that goes down") {
        return;
    }
    for more in ["", "option redispatch\n use-server s if TRUE"] {
        let gate = Gate::default();
        let server = Backend::start(gate.script("a"));
        let gateway = checked(server.port, more);
        let mut held = get(&gateway, "/held");
        eventually("the place is taken", || gate.arrived().len() == 1);
        let mut waiting: Vec<Client> = (0..5).map(|_| get(&gateway, "/waits")).collect();
        std::thread::sleep(SETTLED);
        let port = server.port;
        server.stop();
        gateway.wait_stderr(if more.is_empty() {
            " 0 requeued, 5 remaining in queue"
        } else {
            " 5 requeued, "
        });
        assert_eq!(get(&gateway, "/late").answer().status, 503, "whoever comes now is told at once");
        gate.release(1_000);
        assert_eq!(held.answer().status, 200);
        let _again = Backend::on_port(port, gate.script("a"));
        for client in &mut waiting {
            assert_eq!(client.answer().status, 200);
        }
        gateway.wait_stderr("1 sessions requeued, 4 total in queue");
        assert_eq!(gate.arrived().len(), 6);
    }
}

#[test]
fn a_queue_outlives_a_reload() {
    if only_oneport("its processes replace each other") {
        return;
    }
    let gate = Gate::default();
    let server = Backend::start(gate.script("a"));
    let gateway = checked(server.port, "");
    let mut held = get(&gateway, "/held");
    eventually("the place is taken", || gate.arrived().len() == 1);
    let mut waiting: Vec<Client> = (0..5).map(|_| get(&gateway, "/waits")).collect();
    std::thread::sleep(SETTLED);
    gateway.signal(Signal::USR2);
    std::thread::sleep(ms(500));
    gate.release(1_000);
    for client in std::iter::once(&mut held).chain(&mut waiting) {
        assert_eq!(client.answer().status, 200);
    }
}
