//! The choice of a server: the same as HAProxy's wherever a fixed function of the request decides, and in the order of
//! turns.

use crate::rig::DEFAULTS;
use crate::support::client::Client;
use crate::support::ms;
use crate::support::peers::{Backend, ok};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Starter};
use crate::support::program::Program;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

const KEYS: usize = 1_000;
/// Unequal weights, one server down, one with an id of its own, one for when nobody else is left.
const SERVERS: &str = " server a @W@ weight 3\n server b @W@ weight 10\n server c @W@ weight 5 disabled\n \
                       server d @W@ weight 1 id 17\n server e @W@ weight 7\n server f @W@ weight 9 backup\n";

/// A gateway with a backend for each of these; requests say in `b` which one they mean, answers in `x-s` who it was.
#[track_caller]
fn start(program: Program, web: &Backend, backends: &[(String, String)]) -> Gateway {
    let port = free_port();
    let mut text =
        format!("{DEFAULTS}frontend f\n mode http\n bind 127.0.0.1:{port}\n use_backend %[req.hdr(b)]\n");
    for (name, lines) in backends {
        text += &format!("backend {name}\n mode http\n http-response set-header x-s %s\n{lines}\n");
    }
    let text = text.replace("@W@", &format!("127.0.0.1:{}", web.port));
    Starter::of(program).ready_port(port).start(&text)
}

/// Who answered each of these requests, sent in lots of fifty.
#[track_caller]
fn servers_of(client: &mut Client, requests: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for lot in requests.chunks(50) {
        client.send(lot.concat());
        for request in lot {
            let answer = client.answer();
            assert_eq!(answer.status, 200, "{request}");
            found.push(answer.header("x-s").unwrap_or_default().to_owned());
        }
    }
    found
}

/// Asks both programs, and fails where they have chosen differently.
#[track_caller]
fn compare(backends: &[(String, String)], requests: &dyn Fn(&str) -> Vec<String>) {
    let web = Backend::web("w");
    let ours = start(Program::Oneport, &web, backends);
    let theirs = start(Program::Haproxy, &web, backends);
    for (name, lines) in backends {
        let requests = requests(name);
        let [ours, theirs] = [&ours, &theirs].map(|gateway| servers_of(&mut gateway.client(), &requests));
        let differ = ours.iter().zip(&theirs).zip(&requests).find(|((ours, theirs), _)| ours != theirs);
        let count = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count();
        assert_eq!(count, 0, "{lines}\n{differ:?}");
        // What always went to one server would prove nothing.
        let mut known = ours;
        known.sort();
        known.dedup();
        assert!(known.len() > 1 || lines.contains("balance first"), "{lines}: {known:?}");
    }
}

fn backends(heads: impl Iterator<Item = String>, servers: &str) -> Vec<(String, String)> {
    (0..).zip(heads).map(|(at, head)| (format!("b{at}"), format!("{head}\n{servers}"))).collect()
}

/// A thousand requests that differ in everything that is hashed.
fn thousand(backend: &str) -> Vec<String> {
    let request = |i: usize| {
        format!(
            "GET /p{}/q{i}/r?x=1&id=user{i} HTTP/1.1\r\nHost: www{}.site{i}.example\r\nX-K: k{i}, more\r\n\
             X-N: {}\r\nb: {backend}\r\n\r\n",
            i * 7_919 % 613,
            i % 7,
            i * i
        )
    };
    (0..KEYS).map(request).collect()
}

#[test]
fn every_function_leads_to_the_server_that_haproxy_chooses() {
    let mut heads = vec![" balance uri".to_owned(), " balance uri\n hash-type consistent".to_owned()];
    for method in ["map-based", "consistent"] {
        for function in ["sdbm", "djb2", "wt6", "crc32"] {
            for modifier in ["", " avalanche"] {
                heads.push(format!(" balance uri\n hash-type {method} {function}{modifier}"));
            }
        }
    }
    compare(&backends(heads.into_iter(), SERVERS), &thousand);
}

#[test]
fn every_key_leads_to_the_server_that_haproxy_chooses() {
    let keys = [
        "uri whole",
        "uri len 5",
        "uri depth 1",
        "uri path-only len 7 depth 2",
        "url_param id",
        "hdr(X-K)",
        "hdr(host) use_domain_only",
        "hash req.hdr(x-n)",
        "hash path,lower,bytes(1,5)",
        "hash req.hdr(x-n),add(1)",
        "hash method",
    ];
    let heads = keys.iter().flat_map(|key| {
        ["map-based djb2 avalanche", "consistent"].map(|kind| format!(" balance {key}\n hash-type {kind}"))
    });
    let all = backends(heads, SERVERS);
    // One method is one key.
    let (method, all): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, lines)| lines.contains("method"));
    compare(&all, &thousand);
    let methods = |backend: &str| {
        let all = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "FOO", "A", "B", "C", "D"];
        let end = format!(" / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nb: {backend}\r\n\r\n");
        all.iter().map(|method| format!("{method}{end}")).collect()
    };
    compare(&method, &methods);
}

#[test]
fn addresses_lead_to_the_server_that_haproxy_chooses() {
    let kinds = ["map-based", "map-based wt6 avalanche", "consistent", "consistent crc32"];
    let all = backends(kinds.iter().map(|kind| format!(" balance source\n hash-type {kind}")), SERVERS);
    let web = Backend::web("w");
    let gateways = [Program::Oneport, Program::Haproxy].map(|program| start(program, &web, &all));
    let requests: Vec<String> =
        all.iter().map(|(name, _)| format!("GET / HTTP/1.1\r\nHost: h\r\nb: {name}\r\n\r\n")).collect();
    let mut seen = BTreeMap::new();
    for i in 0..KEYS {
        let source = format!("127.{}.{}.{}", i % 3, i * 37 % 251, 1 + i % 250);
        let [ours, theirs] = gateways
            .each_ref()
            .map(|gateway| servers_of(&mut Client::from_source(&source, gateway.port), &requests));
        assert_eq!(ours, theirs, "{source}");
        for server in ours {
            *seen.entry(server).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["a", "b", "d", "e"]);
}

#[test]
fn where_nothing_is_to_be_hashed_and_where_nothing_ever_is_turns_are_haproxys() {
    let heads = [
        "roundrobin",
        "static-rr",
        "leastconn",
        "first",
        "hdr(x-none)",
        "url_param none",
        "hash req.hdr(x-none)",
        "hdr(x-none)\n hash-type consistent",
    ];
    let same = |backend: &str| vec![format!("GET / HTTP/1.1\r\nHost: h\r\nb: {backend}\r\n\r\n"); 700];
    compare(&backends(heads.iter().map(|head| format!(" balance {head}")), SERVERS), &same);
    // With every server but the backups down.
    let backups = " server a @W@ disabled\n server b @W@ weight 3 backup\n server c @W@ weight 5 backup\n";
    let heads = heads.iter().map(|head| format!(" option allbackups\n balance {head}"));
    compare(&backends(heads, backups), &same);
}

#[test]
fn parameters_in_bodies_are_found_as_haproxy_finds_them() {
    let head = " balance url_param id check_post\n hash-type map-based sdbm".to_owned();
    let servers: String = (0..40).map(|i| format!(" server s{i} @W@\n")).collect();
    let posts = |backend: &str| {
        let bodies = [
            "id=abc",
            "x=1&id=abc",
            "id=abc def",
            "id=a%41+b",
            "id=",
            "x=1",
            "xid=2",
            "id=q\r\n",
            "id=1&id=2",
            "",
        ];
        let post = |(at, body): (usize, &&str)| {
            let target = if at % 2 == 0 { "/" } else { "/?a=1" };
            let len = body.len();
            format!(
                "POST {target} HTTP/1.1\r\nHost: h\r\nb: {backend}\r\nContent-Length: {len}\r\n\r\n{body}"
            )
        };
        let mut all: Vec<String> = bodies.iter().enumerate().map(post).collect();
        let put = format!("PUT / HTTP/1.1\r\nHost: h\r\nb: {backend}\r\nContent-Length: 5\r\n\r\nid=9a");
        let both =
            format!("POST /?id=url HTTP/1.1\r\nHost: h\r\nb: {backend}\r\nContent-Length: 5\r\n\r\nid=9a");
        all.extend([put, both]);
        all
    };
    compare(&backends([head].into_iter(), &servers), &posts);
}

#[test]
fn a_body_that_comes_late_is_waited_for() {
    let web = Backend::web("w");
    let servers: String = (0..40).map(|i| format!(" server s{i} @W@\n")).collect();
    let all = backends(
        [" balance url_param id\n http-request add-header x-once y".to_owned()].into_iter(),
        &servers,
    );
    let gateway = start(Program::subject(), &web, &all);
    let head = "POST / HTTP/1.1\r\nHost: h\r\nb: b0\r\nContent-Length: 6\r\n\r\n";
    let whole = servers_of(&mut gateway.client(), &[format!("{head}id=abc")]);
    let mut client = gateway.client();
    client.send(head);
    std::thread::sleep(ms(200));
    assert_eq!(servers_of(&mut client, &["id=abc".to_owned()]), whole);
    let seen = String::from_utf8(web.received_all()).unwrap();
    assert_eq!(seen.matches("x-once").count(), 2, "{seen}");
}

#[test]
fn the_slower_server_gets_fewer_connections() {
    let answering = |wait| {
        Backend::answering(move |_| {
            std::thread::sleep(ms(wait));
            ok("x")
        })
    };
    let (fast, slow) = (answering(5), answering(150));
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}listen l\n mode http\n bind 127.0.0.1:{port}\n balance leastconn\n http-response set-header \
             x-s %s\n server fast 127.0.0.1:{}\n server slow 127.0.0.1:{}\n",
            fast.port, slow.port
        )
    });
    let counts = Mutex::new(BTreeMap::new());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = gateway.client();
                while started.elapsed() < ms(3_000) {
                    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                    let server = client.answer().header("x-s").unwrap_or_default().to_owned();
                    *counts.lock().unwrap().entry(server).or_insert(0) += 1;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    assert!(counts["fast"] > 2 * counts["slow"], "{counts:?}");
    assert!(fast.open_most() >= 2 && slow.open_most() >= 2, "both are used: {counts:?}");
}
