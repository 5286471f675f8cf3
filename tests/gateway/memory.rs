//! What connections take at most: the stated bound against what the kernel counts, and `-m`.

use crate::rig::DEFAULTS;
use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Signal, Starter, folder, run, written};
use crate::support::program::only_oneport;
use crate::support::syslog::Syslog;
use crate::support::{eventually, ms};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

const NOT_HAPROXY: &str = "what the program says of its memory";

/// Connections that are measured.
const MEASURED: usize = 150;
/// Connections before those: they take the pipes of splice, and make the tables and the pool.
const BEFORE: usize = 50;

/// KiB that one connection takes at most, as the line at the start says.
#[track_caller]
fn stated_kib_each(gateway: &Gateway) -> u64 {
    gateway.wait_stderr(" each) and ");
    let stderr = gateway.stderr();
    let before = stderr.split(" KiB each)").next().unwrap();
    before.rsplit('(').next().unwrap().parse().unwrap_or_else(|_| panic!("no number in {stderr}"))
}

/// Anonymous memory once it has stopped growing.
fn settled_anonymous_kib(gateway: &Gateway) -> u64 {
    let mut last = gateway.anonymous_kib();
    eventually("its memory stops growing", || {
        std::thread::sleep(ms(300));
        let before = std::mem::replace(&mut last, gateway.anonymous_kib());
        before == last
    });
    last
}

/// The measured growth is below the bound, and the bound is not far above what can really happen.
#[track_caller]
fn check_bound(gateway: &Gateway, before_kib: u64) {
    let each_kib = stated_kib_each(gateway);
    let stated_kib = each_kib * MEASURED as u64;
    let grown_kib = settled_anonymous_kib(gateway) - before_kib;
    eprintln!("{} KiB a connection measured, {each_kib} stated", grown_kib as f64 / MEASURED as f64);
    assert!(grown_kib < stated_kib, "{grown_kib} KiB for {MEASURED} connections, {stated_kib} stated");
    assert!(grown_kib * 16 > stated_kib * 10, "{stated_kib} KiB stated, and no more than {grown_kib} taken");
}

/// Writes the same bytes over and over, until nobody takes any more.
fn stuff(stream: &UnixStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    let (mut at, mut full) = (0, 0);
    // The gateway may still be moving what was written: full three times in a row is full.
    while full < 3 {
        match (&*stream).write(&bytes[at..]) {
            Ok(len) => {
                at = (at + len) % bytes.len();
                full = 0;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                full += 1;
                std::thread::sleep(ms(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A gateway from one unix socket to another, whose buffers in the kernel are small; and the server's end.
fn between_unix_sockets(sections: impl FnOnce(&str, &str) -> String) -> (Gateway, UnixListener, String) {
    let dir = folder();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (front, back) = (path("front"), path("back"));
    let server = UnixListener::bind(&back).unwrap();
    let config = format!("{DEFAULTS}{}", sections(&front, &back));
    let mut gateway = Starter::new().ready_path(front.as_ref()).start(&config);
    gateway.keep(dir);
    (gateway, server, front)
}

#[test]
fn stuffed_tunnels_stay_below_the_stated_bound() {
    if only_oneport(NOT_HAPROXY) {
        return;
    }
    let (gateway, server, front) = between_unix_sockets(|front, back| {
        format!(
            "listen raw\n    mode tcp\n    maxconn 1000\n    bind unix@{front}\n    server s unix@{back}\n"
        )
    });
    let open = |count: usize| -> Vec<_> {
        let open_one = |_| {
            let client = UnixStream::connect(&front).unwrap();
            let (server, _) = server.accept().unwrap();
            stuff(&client, &[b'x'; 65_536]);
            stuff(&server, &[b'y'; 65_536]);
            (client, server)
        };
        (0..count).map(open_one).collect()
    };
    let _first = open(BEFORE);
    let before_kib = settled_anonymous_kib(&gateway);
    let _stuffed = open(MEASURED);
    check_bound(&gateway, before_kib);
}

/// A head of 15 KiB, nearly the most that is taken.
fn long_head(first_line: &str) -> String {
    let name = "X-Filler: ";
    let filler = "f".repeat(14_900 - first_line.len());
    format!("{first_line}\r\nHost: device\r\n{name}{filler}\r\n\r\n")
}

fn read_head(stream: &mut UnixStream) -> usize {
    let mut len = 0;
    let mut last = [0; 4];
    let mut byte = [0; 1];
    while last != *b"\r\n\r\n" {
        stream.read_exact(&mut byte).unwrap();
        last.rotate_left(1);
        last[3] = byte[0];
        len += 1;
    }
    len
}

/// The worst that is known: a used server connection, so that a copy of the request is kept; a client that sends its
/// next request at once and reads nothing; a server that sends one long interim answer after the other.
#[test]
fn stuffed_requests_stay_below_the_stated_bound() {
    if only_oneport(NOT_HAPROXY) {
        return;
    }
    let syslog = Syslog::udp();
    let (gateway, server, front) = between_unix_sockets(|front, back| {
        format!(
            "listen web\n    mode http\n    maxconn 1000\n    log 127.0.0.1:{} local0\n    option httplog\n    \
             bind unix@{front}\n    server s unix@{back}\n",
            syslog.port
        )
    });
    let open = |count: usize| -> Vec<_> {
        // All at once, so that each leaves a server connection to lie idle.
        let mut clients: Vec<_> = (0..count).map(|_| UnixStream::connect(&front).unwrap()).collect();
        let mut servers: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                client.write_all(b"GET /first HTTP/1.1\r\nHost: device\r\n\r\n").unwrap();
                let mut server = server.accept().unwrap().0;
                read_head(&mut server);
                server
            })
            .collect();
        for server in &mut servers {
            server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        for client in &mut clients {
            read_head(client);
        }
        for client in &mut clients {
            client.write_all(long_head("GET /second HTTP/1.1").as_bytes()).unwrap();
            client.write_all(long_head("GET /third HTTP/1.1").as_bytes()).unwrap();
        }
        for server in &mut servers {
            assert!(read_head(server) > 14_000);
            stuff(server, long_head("HTTP/1.1 103 Early Hints").as_bytes());
        }
        clients.into_iter().zip(servers).collect()
    };
    let _first = open(BEFORE);
    let before_kib = settled_anonymous_kib(&gateway);
    let _stuffed = open(MEASURED);
    check_bound(&gateway, before_kib);
}

fn config(port: u16, global: &str) -> String {
    format!(
        "global\n    {global}\n{DEFAULTS}listen web\n    mode http\n    bind 127.0.0.1:{port}\n    \
         server s 127.0.0.1:{port}\n"
    )
}

fn told(config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let dir = folder();
    let file = dir.path().join("gateway.cfg");
    std::fs::write(&file, config).unwrap();
    let output = run(&[arguments, &["-f", file.to_str().unwrap()]].concat());
    (output.status.code(), written(&output))
}

#[test]
fn a_maxconn_that_does_not_fit_is_refused_with_the_numbers() {
    if only_oneport(NOT_HAPROXY) {
        return;
    }
    let port = free_port();
    let text = config(port, "maxconn 1000");
    for arguments in [&["-db", "-m", "64"][..], &["-c", "-m", "64"], &["-c", "--memory=64", "-q"]] {
        let (code, said) = told(&text, arguments);
        assert_eq!(code, Some(1), "{said}");
        for part in ["maxconn 1000", "84.0 MiB (86 KiB each)", "2.1 MiB besides", "-m gives 64 MiB"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(said.contains("maxconn 738 would fit, or -m 86 would do"), "{said}");
    }
    assert_eq!(told(&text, &["-c", "-m", "87"]).0, Some(0));
    assert_eq!(told(&text, &["-c", "-m", "64", "-n", "738"]).0, Some(0));
    assert_eq!(told(&text, &["-c", "-m", "64", "-n", "739"]).0, Some(1));
    // A stick table counts with all that it may come to hold.
    let with_table = format!("{text}backend t\n stick-table type ip size 1m\n");
    let (code, said) = told(&with_table, &["-c", "-m", "120"]);
    assert!(code == Some(1) && said.contains("70.1 MiB besides"), "{said}");
    assert_eq!(told(&with_table, &["-c", "-m", "155"]).0, Some(0));
    // Larger buffers, fewer connections.
    let (code, said) = told(&config(port, "tune.bufsize 65535"), &["-db", "-m", "2"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("not even one connection fits"), "{said}");
}

#[test]
fn memory_sets_maxconn_where_nothing_else_does() {
    if only_oneport(NOT_HAPROXY) {
        return;
    }
    let port = free_port();
    let start = |memory: &str, text: &str| {
        Starter::new().argument("-m").argument(memory).ready_port(port).start(text)
    };
    let mut gateway = start("4", &config(port, "# nothing"));
    gateway.wait_stderr(
        "at most 23 connections: up to 2.0 MiB of memory for them (86 KiB each) and 2.1 MiB besides",
    );
    // A reload obeys too, and says the limits where they have changed.
    gateway.rewrite_config(&config(port, "maxconn 24"));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("maxconn 24 does not fit into memory");
    gateway.wait_stderr("the one before stays in force");
    gateway.rewrite_config(&config(port, "maxconn 23"));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("is in force");
    gateway.rewrite_config(&config(port, "maxconn 20"));
    gateway.signal(Signal::USR2);
    gateway.wait_stderr("at most 20 connections");
    assert_eq!(gateway.stderr().matches("at most 23 connections").count(), 1, "{}", gateway.stderr());
    assert!(gateway.is_running());
}

#[test]
fn quiet_says_nothing_of_limits() {
    if only_oneport(NOT_HAPROXY) {
        return;
    }
    let port = free_port();
    let gateway = Starter::new().argument("-q").ready_port(port).start(&config(port, "maxconn 10"));
    std::thread::sleep(ms(100));
    assert_eq!(gateway.stderr(), "");
}

#[test]
fn idle_server_connections_are_bounded_by_maxconn() {
    if only_oneport("the bound on idle connections to all servers together") {
        return;
    }
    let backends = [Backend::web("a"), Backend::web("b"), Backend::web("c")];
    let gateway = Gateway::start(|port| {
        let mut text = format!(
            "global\n    maxconn 2\n{DEFAULTS}listen web\n    mode http\n    bind 127.0.0.1:{port}\n    \
             balance roundrobin\n"
        );
        for backend in &backends {
            text += &format!("    server s{0} 127.0.0.1:{0}\n", backend.port);
        }
        text
    });
    for _ in 0..6 {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    }
    // Each server had its turn twice, and the third is left without a connection.
    assert!(backends.iter().all(|backend| backend.accepts() >= 1));
    eventually("two idle connections", || backends.iter().map(Backend::open).sum::<usize>() == 2);
}
