//! Pages for errors and answers to monitors: what a differential case cannot show.

use crate::rig::{http_config, http_gateway, tcp_gateway};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::process::{Gateway, folder};
use crate::support::program::only_oneport;
use crate::support::syslog::Syslog;

const MONITOR_NET: &str = "HAProxy 2 has no monitor-net any more";
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn everything(client: &mut Client) -> String {
    String::from_utf8(client.read_to_end().0).unwrap()
}

/// It is answered before it asks, as the monitors of old load balancers want it, and nobody hears of it.
#[test]
fn monitors_are_answered_without_a_line_and_without_a_server() {
    if only_oneport(MONITOR_NET) {
        return;
    }
    let (web, syslog) = (Backend::web("a"), Syslog::udp());
    let gateway = http_gateway(
        &web,
        &format!(
            "log 127.0.0.1:{} local0\n option httplog\n monitor-net 127.0.0.8/30\n monitor-net 127.0.0.77",
            syslog.port
        ),
    );
    for address in ["127.0.0.8", "127.0.0.11", "127.0.0.77"] {
        assert_eq!(
            everything(&mut Client::from_source(address, gateway.port)),
            "HTTP/1.0 200 OK\r\n\r\n",
            "{address}"
        );
        let mut client = Client::from_source(address, gateway.port);
        client.send(GET);
        assert_eq!(everything(&mut client), "HTTP/1.0 200 OK\r\n\r\n", "{address}, asking");
    }
    for address in ["127.0.0.12", "127.0.0.7", "127.0.0.1"] {
        let mut client = Client::from_source(address, gateway.port);
        client.send(GET);
        assert_eq!(client.answer().header("x-backend"), Some("a"), "{address}");
        syslog.wait_for(&format!("{address}:"));
    }
    assert_eq!(syslog.lines().len(), 3, "{:?}", syslog.lines());
}

#[test]
fn in_mode_tcp_monitors_are_let_go() {
    if only_oneport(MONITOR_NET) {
        return;
    }
    let (raw, syslog) = (Backend::echo(), Syslog::udp());
    let gateway = tcp_gateway(
        &raw,
        &format!("log 127.0.0.1:{} local0\n option tcplog\n monitor-net 127.0.0.8", syslog.port),
    );
    assert_eq!(everything(&mut Client::from_source("127.0.0.8", gateway.port)), "");
    let mut client = Client::from_source("127.0.0.9", gateway.port);
    client.send("echo");
    assert_eq!(client.read_exact(4), b"echo");
    drop(client);
    syslog.wait_for("127.0.0.9:");
    assert_eq!((raw.accepts(), syslog.lines().len()), (1, 1), "{:?}", syslog.lines());
}

#[test]
fn a_monitor_hears_of_servers_that_are_down() {
    let (first, second) = (Backend::web("a"), Backend::web("b"));
    let gateway = Gateway::start(|port| {
        let check = "check inter 100 fall 1 rise 1";
        let text = http_config(
            port,
            first.port,
            "monitor-uri /site_status\n acl site_dead nbsrv(web) lt 2\n monitor fail if site_dead",
        );
        let servers = format!("{check}\n    server s2 127.0.0.1:{} {check}\n", second.port);
        text.replacen(&format!(":{}\n", first.port), &format!(":{} {servers}", first.port), 1)
    });
    let status = || {
        let mut client = gateway.client();
        client.send("GET /site_status HTTP/1.1\r\nHost: h\r\n\r\n");
        client.answer().status
    };
    eventually("both servers are up", || status() == 200);
    second.stop();
    eventually("one is missing", || status() == 503);
    assert!(first.received_all().is_empty(), "monitors' requests are answered here");
}

/// A page keeps its reason and gets the length that its file does not say.
#[test]
fn a_page_is_sent_as_it_is_written() {
    let dir = folder();
    let file = dir.path().join("503.http");
    let text = "HTTP/1.0 503 Closed for lunch\r\nContent-Type: text/html\r\n\r\n<h1>à bientôt</h1>\n";
    std::fs::write(&file, text).unwrap();
    let gateway = Gateway::start(|port| {
        http_config(port, free_port(), &format!("retries 0\n errorfile 503 {}", file.display()))
    });
    for method in ["GET", "HEAD"] {
        let mut client = gateway.client();
        client.send(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = client.answer_to(method);
        assert!(answer.head.contains(" 503 Closed for lunch\r\n"), "{}", answer.head);
        assert_eq!(answer.header("content-type"), Some("text/html"));
        assert_eq!(answer.text(), if method == "GET" { "<h1>à bientôt</h1>\n" } else { "" });
    }
}

/// A large page leaves in several buffers.
#[test]
fn a_page_of_15_kib() {
    let dir = folder();
    let file = dir.path().join("503.http");
    let body = "0123456789abcde\n".repeat(950);
    std::fs::write(&file, format!("HTTP/1.1 503 Large\r\nX-Page: large\r\n\r\n{body}")).unwrap();
    let gateway = Gateway::start(|port| {
        http_config(port, free_port(), &format!("retries 0\n errorfile 503 {}", file.display()))
    });
    let mut client = gateway.client();
    client.send(GET);
    let answer = client.answer();
    assert_eq!((answer.header("x-page"), answer.text()), (Some("large"), body));
}
