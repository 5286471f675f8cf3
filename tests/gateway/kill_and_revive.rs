//! Servers that are killed and come back under steady load: no client sees a failed request, if it is one that may be
//! repeated and the configuration lets it be repeated.
//!
//! It lasts a minute, and a third of one more with checks; `ONEPORT_KILL_SECONDS` says another time for both.

use crate::support::client::Client;
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{Gateway, folder};
use crate::support::program::installed;
use crate::support::{eventually, ms};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 64;
const SERVERS: usize = 4;
/// Between two requests of a connection.
const PACE: Duration = ms(15);
/// A server dies so often, and is back after half of this.
const PERIOD: Duration = ms(2_000);

/// An nginx of a single process, so that its process id is all of it.
struct Victim {
    port: u16,
    dir: tempfile::TempDir,
    child: Child,
}

impl Victim {
    fn start() -> Self {
        let (dir, port) = (folder(), free_port());
        let root = dir.path().display();
        let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} master_process off; daemon off; pid {root}/pid; error_log {root}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n\
               access_log off; keepalive_requests 1000000;\n\
               client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;\n\
               uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
               server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 \"alive\\n\"; }} }}\n\
             }}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let child = Self::spawn(dir.path());
        let victim = Self { port, dir, child };
        eventually("nginx listens", || is_listening(port));
        victim
    }

    fn spawn(dir: &std::path::Path) -> Child {
        Command::new(installed("nginx", "nginx"))
            .args(["-e", "stderr", "-p"])
            .arg(dir)
            .arg("-c")
            .arg(dir.join("nginx.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts")
    }

    /// Ends it in the middle of whatever it does.
    fn kill(&mut self) {
        self.child.kill().expect("it is a child of ours");
        self.child.wait().unwrap();
    }

    fn revive(&mut self) {
        self.child = Self::spawn(self.dir.path());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the clients have seen.
#[derive(Default)]
struct Tally {
    done: AtomicBool,
    answers: AtomicUsize,
    slowest_ms: AtomicUsize,
    failures: std::sync::Mutex<Vec<String>>,
}

/// One connection of steady load, renewed now and then.
fn load(port: u16, number: usize, tally: &Tally) {
    let mut client = Client::to(port);
    let mut asked = 0;
    while !tally.done.load(Ordering::Relaxed) {
        let started = Instant::now();
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: h\r\n\r\n"));
        match client.try_answer_to("GET") {
            Ok(answer) if answer.status == 200 => tally.answers.fetch_add(1, Ordering::Relaxed),
            other => {
                let what = other.map_or_else(|why| why, |answer| answer.status.to_string());
                tally.failures.lock().unwrap().push(format!("connection {number}, request {asked}: {what}"));
                return;
            }
        };
        asked += 1;
        tally.slowest_ms.fetch_max(started.elapsed().as_millis() as usize, Ordering::Relaxed);
        // A part of the load comes over new connections, whose requests are the first.
        if number.is_multiple_of(2) && asked % 10 == 0 {
            client = Client::to(port);
        }
        std::thread::sleep(PACE);
    }
}

/// No request fails while servers die and come back, for so many seconds; `server` is what else is said of each of
/// them.
fn nobody_notices(server: &str, seconds: u64) {
    let wanted = std::env::var("ONEPORT_KILL_SECONDS").ok();
    let lasting = Duration::from_secs(wanted.map_or(seconds, |text| text.parse().unwrap()));
    let mut victims: Vec<Victim> = (0..SERVERS).map(|_| Victim::start()).collect();
    let gateway = Gateway::start(|port| {
        let servers: String = victims
            .iter()
            .enumerate()
            .map(|(at, victim)| format!(" server s{at} 127.0.0.1:{} {server}\n", victim.port))
            .collect();
        format!(
            "{}listen l\n mode http\n bind 127.0.0.1:{port}\n balance roundrobin\n retries 3\n \
             option redispatch\n retry-on all-retryable-errors\n{servers}",
            crate::rig::DEFAULTS
        )
    });
    let tally = Arc::new(Tally::default());
    let port = gateway.port;
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let tally = tally.clone();
            std::thread::Builder::new()
                .stack_size(512 * 1024)
                .spawn(move || load(port, number, &tally))
                .expect("a thread for a client")
        })
        .collect();
    let started = Instant::now();
    let mut kills = 0;
    while started.elapsed() < lasting {
        let victim = &mut victims[kills % SERVERS];
        victim.kill();
        kills += 1;
        std::thread::sleep(PERIOD / 2);
        victim.revive();
        eventually("nginx listens again", || is_listening(victim.port));
        std::thread::sleep(PERIOD / 2);
    }
    tally.done.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let failures = tally.failures.lock().unwrap();
    let answers = tally.answers.load(Ordering::Relaxed);
    assert!(failures.is_empty(), "{} failures beside {answers} answers: {failures:#?}", failures.len());
    // A hundredth of what the pace allows: there was load, and it went on to the end.
    assert!(answers > kills * CONNECTIONS, "only {answers} answers while {kills} servers died");
    let slowest_ms = tally.slowest_ms.load(Ordering::Relaxed);
    eprintln!("{answers} answers, the slowest after {slowest_ms} ms; {kills} servers killed and revived");
}

#[test]
fn servers_that_die_and_come_back_are_not_noticed() {
    nobody_notices("", 60);
}

#[test]
fn the_same_with_checks() {
    nobody_notices("check inter 200 fall 2 rise 1", 20);
}
