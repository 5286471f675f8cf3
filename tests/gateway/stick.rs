//! Stick tables: which server answers, in oneport and in HAProxy, to the same clients in the same order.

use crate::rig::DEFAULTS;
use crate::support::client::Client;
use crate::support::peers::{Backend, web};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Signal, Starter};
use crate::support::program::{Program, only_oneport};
use crate::support::{eventually, ignore, ms};
use std::time::Instant;

const PROGRAMS: [Program; 2] = [Program::Oneport, Program::Haproxy];

/// A gateway of this program whose first port is `port`.
#[track_caller]
fn start(program: Program, port: u16, lines: &str) -> Gateway {
    Starter::of(program).ready_port(port).start(&format!("{DEFAULTS}{lines}"))
}

/// A `mode http` gateway with servers `a`, `b` and `c`, and these lines.
#[track_caller]
fn web_gateway(program: Program, servers: &[&Backend], parameters: &str, lines: &str) -> Gateway {
    let port = free_port();
    let mut text = format!(
        "listen web\n mode http\n bind 127.0.0.1:{port}\n \
         http-request return status 200 hdr X-Backend \"%[nbsrv]\" if {{ path /nbsrv }}\n{lines}\n"
    );
    for (server, name) in servers.iter().zip(["a", "b", "c"]) {
        text.push_str(&format!(" server {name} 127.0.0.1:{}{parameters}\n", server.port));
    }
    start(program, port, &text)
}

/// Who answers a client from 127.0.0.`last`, on a connection of its own.
#[track_caller]
fn ask(port: u16, last: u8, target: &str) -> String {
    let mut client = Client::from_source(&format!("127.0.0.{last}"), port);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    client.answer().header("x-backend").unwrap_or("nobody").to_string()
}

#[track_caller]
fn ask_all(gateway: &Gateway, sources: &[u8]) -> String {
    sources.iter().map(|last| ask(gateway.port, *last, "/")).collect::<Vec<_>>().join("")
}

/// What a server of a `mode tcp` backend says to a client from 127.0.0.`last` that sends `bytes`.
#[track_caller]
fn hear(port: u16, last: u8, bytes: &[u8]) -> String {
    let mut client = Client::from_source(&format!("127.0.0.{last}"), port);
    if !bytes.is_empty() {
        client.send(bytes);
    }
    String::from_utf8_lossy(&client.read_to_end().0).into_owned()
}

/// A server that says its name and closes.
fn named(name: &'static str) -> Backend {
    Backend::start(move |peer| ignore(peer.write(name)))
}

#[test]
fn clients_keep_their_server() {
    for program in PROGRAMS {
        let (a, b, c) = (Backend::web("a"), Backend::web("b"), Backend::web("c"));
        let gateway = web_gateway(program, &[&a, &b, &c], "", " stick-table type ip size 1k\n stick on src");
        assert_eq!(ask_all(&gateway, &[2, 3, 4, 2, 3, 4, 2, 2, 5, 5, 6, 4]), "abcabcaaaabc", "{program:?}");
    }
}

#[test]
fn a_client_whose_server_is_down_gets_another_one_and_keeps_that() {
    for program in PROGRAMS {
        let (a, b) = (Backend::web("a"), Backend::web("b"));
        let port = a.port;
        let lines = " stick-table type ip size 1k expire 1h\n stick on src";
        let gateway = web_gateway(program, &[&a, &b], " check inter 100 fall 2 rise 2", lines);
        let usable = |wanted: &str| {
            eventually("the checks have seen it", || ask(gateway.port, 9, "/nbsrv") == wanted);
        };
        usable("2");
        assert_eq!(ask_all(&gateway, &[2, 3, 2, 3]), "abab", "{program:?}");
        a.stop();
        usable("1");
        assert_eq!(ask_all(&gateway, &[2, 3, 4]), "bbb", "{program:?}");
        let _a = Backend::on_port(port, web("a"));
        usable("2");
        assert_eq!(ask_all(&gateway, &[2, 3, 4, 2]), "bbbb", "{program:?}");
    }
}

#[test]
fn two_services_share_a_table() {
    for program in PROGRAMS {
        let servers = ["p1", "p2", "s1", "s2"].map(named);
        let [p1, p2, s1, s2] = servers.each_ref().map(|server| server.port);
        let (pop, smtp) = (free_port(), free_port());
        let _gateway = start(
            program,
            pop,
            &format!(
                "listen pop\n bind 127.0.0.1:{pop}\n stick-table type ip size 200k expire 30m\n \
                 stick store-request src\n server p1 127.0.0.1:{p1}\n server p2 127.0.0.1:{p2}\n\
                 listen smtp\n bind 127.0.0.1:{smtp}\n stick match src table pop\n \
                 server s1 127.0.0.1:{s1}\n server s2 127.0.0.1:{s2}\n"
            ),
        );
        let heard: Vec<String> =
            [(pop, 2), (pop, 3), (smtp, 3), (smtp, 3), (smtp, 2), (smtp, 9), (smtp, 9), (pop, 3), (smtp, 3)]
                .map(|(port, last)| hear(port, last, b""))
                .into();
        // The names are others, so that the numbers count: `stick match` alone stores nothing.
        assert_eq!(heard.join(" "), "p1 p2 s2 s2 s1 s1 s2 p1 s1", "{program:?}");
    }
}

#[test]
fn first_bytes_and_answers_are_keys_too() {
    for program in PROGRAMS {
        let (a, b) = (named("A-1"), named("B-1"));
        let servers = format!(" server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n", a.port, b.port);
        let wait = " tcp-request inspect-delay 5s\n tcp-request content accept if { req.len ge 3 }\n";
        let port = free_port();
        let text = " stick-table type string len 3 size 100\n stick on payload(0,3)\n";
        let _gateway =
            start(program, port, &format!("listen raw\n bind 127.0.0.1:{port}\n{wait}{text}{servers}"));
        let sent: [&[u8]; 6] = [b"one", b"two", b"one!", b"a\0b", b"a\0c", b"two"];
        let heard: Vec<String> = sent.map(|bytes| hear(port, 2, bytes)).into();
        assert_eq!(heard.join(" "), "A-1 B-1 A-1 A-1 A-1 B-1", "{program:?}");

        let port = free_port();
        let answers = " tcp-response inspect-delay 5s\n tcp-response content accept if { res.len ge 3 }\n";
        let text = " stick-table type binary len 8 size 100\n stick match payload(0,3)\n \
                    stick store-response res.payload(0,3)\n";
        let _gateway = start(
            program,
            port,
            &format!("listen raw\n bind 127.0.0.1:{port}\n{wait}{answers}{text}{servers}"),
        );
        let sent: [&[u8]; 6] = [b"xyz", b"xyz", b"A-1", b"A-1", b"B-1", b"B-1"];
        let heard: Vec<String> = sent.map(|bytes| hear(port, 2, bytes)).into();
        assert_eq!(heard.join(" "), "A-1 B-1 A-1 A-1 B-1 B-1", "{program:?}");
    }
}

/// In `mode tcp` a server need not say a word.
#[test]
fn a_server_is_known_once_it_is_connected_to() {
    for program in PROGRAMS {
        let (a, b) = (Backend::silent(), Backend::silent());
        let port = free_port();
        let _gateway = start(
            program,
            port,
            &format!(
                "listen raw\n bind 127.0.0.1:{port}\n stick-table type ip size 100\n stick on src\n \
                 server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n",
                a.port, b.port
            ),
        );
        let mut clients = Vec::new();
        for expected in 1..=4 {
            clients.push(Client::from_source("127.0.0.2", port));
            eventually("the server has it", || a.accepts() + b.accepts() == expected);
            std::thread::sleep(ms(100));
        }
        assert_eq!((a.accepts(), b.accepts()), (4, 0), "{program:?}");
    }
}

#[test]
fn entries_expire_after_their_last_use() {
    std::thread::scope(|scope| {
        for program in PROGRAMS {
            scope.spawn(move || {
                let (a, b) = (Backend::web("a"), Backend::web("b"));
                let lines = " stick-table type ip size 1k expire 3s\n stick on src";
                let gateway = web_gateway(program, &[&a, &b], "", lines);
                let mut before = Instant::now();
                assert_eq!(ask(gateway.port, 2, "/"), "a");
                for _ in 0..5 {
                    std::thread::sleep(ms(800));
                    assert_eq!(ask(gateway.port, 2, "/"), "a", "{program:?}, after {:?}", before.elapsed());
                    before = Instant::now();
                }
                std::thread::sleep(ms(3_300));
                assert_eq!(ask(gateway.port, 2, "/"), "b", "{program:?}");
            });
        }
    });
}

#[test]
fn a_reload_keeps_the_table() {
    if only_oneport("HAProxy loses its tables without peers") {
        return;
    }
    let (a, b, c) = (Backend::web("a"), Backend::web("b"), Backend::web("c"));
    let lines = " stick-table type ip size 1k\n stick on src";
    let gateway = web_gateway(Program::subject(), &[&a, &b], "", lines);
    assert_eq!(ask_all(&gateway, &[2, 3, 2, 3]), "abab");
    // Another order, another server, and it may hold less.
    gateway.rewrite_config(&format!(
        "{DEFAULTS}listen web\n mode http\n bind 127.0.0.1:{}\n stick-table type ip size 100 expire 1h\n \
         stick on src\n http-response set-header X-New 1\n server c 127.0.0.1:{}\n server b 127.0.0.1:{}\n \
         server a 127.0.0.1:{}\n",
        gateway.port, c.port, b.port, a.port
    ));
    gateway.signal(Signal::HUP);
    eventually("the new file is in force", || {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.answer().header("x-new").is_some()
    });
    assert_eq!(ask_all(&gateway, &[2, 3, 2, 3, 3]), "ababb");
}

/// The first bytes of a Remote Desktop connection with this cookie.
fn remote_desktop(cookie: &str) -> Vec<u8> {
    [b"\x03\0\0\x40\x3b\xe0\0\0\0\0\0".as_slice(), b"Cookie: ", cookie.as_bytes(), b"\r\n"].concat()
}

#[test]
fn the_cookie_of_a_remote_desktop_connection_names_a_server() {
    for program in PROGRAMS {
        let (a, b) = (named("a"), named("b"));
        let port = free_port();
        let _gateway = start(
            program,
            port,
            &format!(
                "listen desks\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 5s\n \
                 tcp-request content accept if RDP_COOKIE\n persist rdp-cookie\n \
                 stick-table type string len 20 size 100\n stick on req.rdp_cookie(mstshash)\n \
                 server a 127.0.0.1:{}\n server b 127.0.0.1:{}\n",
                a.port, b.port
            ),
        );
        let of = |server: &Backend, behind: &str| {
            format!("{}.{}{behind}", u32::from_le_bytes([127, 0, 0, 1]), server.port.swap_bytes())
        };
        let heard: String = [
            format!("msts={}", of(&b, ".0000")),
            format!("MSTS={}", of(&b, ".x")),
            "mstshash=joe".into(),
            "mstshash=ann".into(),
            "mstshash=joe".into(),
            "mstshash=ann".into(),
            // These name none, and take turns.
            format!("other={}", of(&b, ".0000")),
            format!("msts={}", of(&b, "")),
            "msts=1.2".into(),
        ]
        .iter()
        .map(|cookie| hear(port, 2, &remote_desktop(cookie)))
        .collect();
        assert_eq!(heard, "bbabababa", "{program:?}");
    }
}

/// Map-based and consistent hashing alike.
#[test]
fn the_same_cookie_of_a_remote_desktop_connection_leads_to_the_same_server() {
    let servers = ["a", "b", "c", "d", "e"].map(named);
    for kind in ["map-based", "consistent wt6 avalanche"] {
        let [ours, theirs] = [Program::Oneport, Program::Haproxy].map(|program| {
            let port = free_port();
            let mut text = format!(
                "listen desks\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 5s\n \
                 tcp-request content accept if RDP_COOKIE\n balance rdp-cookie(mstshash)\n hash-type {kind}\n"
            );
            for (server, weight) in servers.iter().zip(1..) {
                text.push_str(&format!(" server s{weight} 127.0.0.1:{} weight {weight}\n", server.port));
            }
            let _gateway = start(program, port, &text);
            let user = |n| hear(port, 2, &remote_desktop(&format!("mstshash=user{n}")));
            (0..60).map(user).collect::<String>()
        });
        assert_eq!(ours, theirs, "{kind}");
        assert!(ours.contains('a') && ours.contains('e'), "{ours}");
    }
}
