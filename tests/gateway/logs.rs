//! Session lines as a syslog server gets them (configuration §8.2, §8.5).

use crate::support::logline::{HttpLine, TcpLine, http_line, tcp_line};
use crate::support::peers::{Backend, Peer, ok};
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Signal};
use crate::support::program::Program;
use crate::support::syslog::Syslog;
use crate::support::{eventually, ignore, ms};
use std::time::Duration;

const GET: &str = "GET /page HTTP/1.1\r\nHost: h\r\n\r\n";

struct Rig {
    syslog: Syslog,
    gateway: Gateway,
}

impl Rig {
    #[track_caller]
    fn start(mode: &str, server_port: u16, lines: &str) -> Self {
        let syslog = Syslog::udp();
        let option = if mode == "http" { "httplog" } else { "tcplog" };
        let gateway = Gateway::start(|port| {
            format!(
                "global\n log 127.0.0.1:{} local0\n\
                 defaults\n log global\n mode {mode}\n option {option}\n timeout connect 300ms\n timeout client 20s\n \
                 timeout server 20s\n retries 0\n\
                 frontend front\n bind 127.0.0.1:{port}\n default_backend back\n{}\
                 backend back\n{}\n server s1 127.0.0.1:{server_port}{}\n",
                syslog.port,
                only(lines, "front: "),
                only(lines, "back: "),
                only(lines, "server: ").trim_end(),
            )
        });
        Self { syslog, gateway }
    }

    #[track_caller]
    fn http(&self, text: &str) -> HttpLine {
        let line = http_line(&self.syslog.wait_for(text));
        assert_eq!(line.header.pid, self.gateway.pid());
        line
    }

    #[track_caller]
    fn tcp(&self) -> TcpLine {
        let line = tcp_line(&self.syslog.wait_for(" front back/"));
        assert_eq!(line.header.pid, self.gateway.pid());
        line
    }
}

/// The lines that begin with `prefix`.
fn only(lines: &str, prefix: &str) -> String {
    lines
        .lines()
        .filter_map(|line| line.trim().strip_prefix(prefix))
        .map(|line| format!(" {line}\n"))
        .collect()
}

#[test]
fn an_http_request() {
    let backend = Backend::start(|peer| {
        peer.read_request();
        peer.pause(ms(200));
        peer.write(ok("hello"));
        peer.read_to_end();
    });
    let rig = Rig::start("http", backend.port, "");
    let mut client = rig.gateway.client();
    client.send(GET);
    let answer = client.answer();
    let line = rig.http("/page");
    assert_eq!(line.header.priority, 16 * 8 + 6, "local0.info");
    let name = if Program::subject() == Program::Oneport { "oneport" } else { "haproxy" };
    assert_eq!(line.header.tag, name);
    assert!(line.client.starts_with("127.0.0.1:"));
    assert_eq!(
        (line.frontend.as_str(), line.backend.as_str(), line.server.as_str()),
        ("front", "back", "s1")
    );
    assert_eq!((line.status, line.termination.as_str(), line.retries), (200, "----", 0));
    assert_eq!(line.request, "GET /page HTTP/1.1");
    // HAProxy counts its own form of the head, which is a little longer.
    let sent = answer.head.len() + answer.body.len();
    assert!((sent..sent + 40).contains(&(line.bytes as usize)), "{} logged, {sent} sent", line.bytes);
    let [tr_request, tw, tc, tr_answer, ta] = line.timers;
    assert!(tr_request >= 0 && tw == 0 && tc >= 0, "{:?}", line.timers);
    assert!((190..5_000).contains(&tr_answer), "{:?}", line.timers);
    assert!(ta >= tr_answer && ta < 10_000, "{:?}", line.timers);
    assert_eq!(line.connections[..2], [1, 1], "{:?}", line.connections);
    assert!(line.connections[2..].iter().all(|count| *count <= 1), "{:?}", line.connections);
}

#[test]
fn every_request_of_a_connection_has_a_line() {
    let backend = Backend::web("a");
    let rig = Rig::start("http", backend.port, "");
    let mut client = rig.gateway.client();
    for n in 0..3 {
        client.send(format!("GET /number-{n} HTTP/1.1\r\nHost: h\r\n\r\n"));
        client.answer();
    }
    for n in 0..3 {
        assert_eq!(rig.http(&format!("/number-{n}")).status, 200);
    }
}

/// What the client does in a case of [`http_terminations`].
type Act = fn(&Rig);
/// What the server does.
type Script = fn(&mut Peer);

#[test]
fn http_terminations() {
    let ask: Act = |rig| {
        let mut client = rig.gateway.client();
        client.send(GET);
        client.read_until_quiet(ms(1_500));
    };
    let half_a_body: Script = |peer| {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        peer.pause(ms(200));
    };
    let cases: Vec<(&str, &str, Script, Act, i32, &str)> = vec![
        ("slow server", "back: timeout server 300ms", |peer| ignore(peer.read_to_end()), ask, 504, "sH--"),
        ("server closes before its answer", "", |peer| ignore(peer.read_request()), ask, 502, "SH--"),
        (
            "server closes in its head",
            "",
            |peer| ignore((peer.read_request(), peer.write("HTTP/1.1 200"))),
            ask,
            502,
            "SH--",
        ),
        (
            "server resets before its answer",
            "",
            |peer| ignore((peer.read_request(), peer.reset())),
            ask,
            502,
            "SH--",
        ),
        (
            "answer is not HTTP",
            "",
            |peer| ignore((peer.read_request(), peer.write("no HTTP\r\n\r\n"), peer.read_to_end())),
            ask,
            502,
            "PH--",
        ),
        ("server closes in its body", "", half_a_body, ask, 200, "SD--"),
        (
            "server stops in its body",
            "back: timeout server 300ms",
            |peer| {
                peer.read_head();
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                peer.read_to_end();
            },
            ask,
            200,
            "sD--",
        ),
    ];
    for (what, lines, script, act, status, termination) in cases {
        let backend = Backend::start(script);
        let rig = Rig::start("http", backend.port, lines);
        act(&rig);
        let line = rig.http("/page");
        assert_eq!((line.status, line.termination.as_str()), (status, termination), "{what}");
        assert_eq!(line.server, "s1", "{what}");
    }
}

#[test]
fn a_server_that_refuses() {
    let rig = Rig::start("http", free_port(), "back: retries 2");
    let mut client = rig.gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 503);
    let line = rig.http("/page");
    assert_eq!((line.status, line.termination.as_str(), line.retries), (503, "SC--", 2));
    assert_eq!(line.timers[2..4], [-1, -1], "{:?}", line.timers);
}

#[test]
fn no_server_left() {
    let rig = Rig::start(
        "http",
        free_port(),
        "server: check inter 100 fall 1\nback: server s0 127.0.0.1:1 disabled",
    );
    std::thread::sleep(ms(1_000));
    let mut client = rig.gateway.client();
    client.send(GET);
    assert_eq!(client.answer().status, 503);
    let line = rig.http("/page");
    assert_eq!((line.status, line.termination.as_str(), line.server.as_str()), (503, "SC--", "<NOSRV>"));
}

#[test]
fn requests_that_never_were() {
    let backend = Backend::web("a");
    let rig = Rig::start("http", backend.port, "front: timeout http-request 300ms");
    let mut partial = rig.gateway.client();
    partial.send("GET /half HTTP/1.1\r\nHo");
    assert_eq!(partial.answer().status, 408);
    let line = rig.http("<BADREQ>");
    assert_eq!((line.status, line.termination.as_str(), line.server.as_str()), (408, "cR--", "<NOSRV>"));
    assert_eq!((line.backend.as_str(), line.timers[0]), ("front", -1));
}

#[test]
fn a_bad_request() {
    let backend = Backend::web("a");
    let rig = Rig::start("http", backend.port, "");
    let mut client = rig.gateway.client();
    client.send("\x01\x02 garbage\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    let line = rig.http("<BADREQ>");
    assert_eq!((line.status, line.termination.as_str(), line.server.as_str()), (400, "PR--", "<NOSRV>"));
}

#[test]
fn a_client_that_goes_before_its_request_is_whole() {
    let backend = Backend::web("a");
    let rig = Rig::start("http", backend.port, "");
    let mut client = rig.gateway.client();
    client.send("GET /half HTTP/1.1\r\nHo");
    std::thread::sleep(ms(100));
    drop(client);
    let line = rig.http("<BADREQ>");
    assert_eq!((line.status, line.termination.as_str()), (400, "CR--"));
}

#[test]
fn a_client_that_goes_while_the_answer_comes() {
    let backend = Backend::start(|peer| {
        peer.read_head();
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while peer.write([b'x'; 10_000]) {
            peer.pause(ms(1));
        }
    });
    let rig = Rig::start("http", backend.port, "");
    let mut client = rig.gateway.client();
    client.send(GET);
    client.read_exact(100_000);
    client.reset();
    let line = rig.http("/page");
    assert_eq!((line.status, line.termination.as_str()), (200, "CD--"));
}

#[test]
fn a_tcp_session() {
    let backend = Backend::echo();
    let rig = Rig::start("tcp", backend.port, "");
    let mut client = rig.gateway.client();
    client.send("x".repeat(1_000));
    client.read_exact(1_000);
    std::thread::sleep(ms(200));
    client.finish();
    client.read_to_end();
    let line = rig.tcp();
    assert_eq!(
        (line.frontend.as_str(), line.backend.as_str(), line.server.as_str()),
        ("front", "back", "s1")
    );
    assert_eq!((line.bytes, line.termination.as_str(), line.retries), (1_000, "--", 0));
    assert!(
        line.timers[0] >= 0 && line.timers[1] >= 0 && (200..10_000).contains(&line.timers[2]),
        "{:?}",
        line.timers
    );
    assert_eq!(line.header.priority, 16 * 8 + 6);
    assert!(line.client.starts_with("127.0.0.1:"));
    assert!(line.connections[0] >= 1 && line.connections[1] >= 1, "{:?}", line.connections);
}

#[test]
fn tcp_terminations() {
    let cases: &[(&str, &str, Script, Act, &str)] = &[
        (
            "silent client",
            "front: timeout client 300ms",
            |peer| ignore(peer.read_to_end()),
            |rig| ignore(rig.gateway.client().read_to_end()),
            "cD",
        ),
        (
            "silent server",
            "back: timeout server 300ms",
            |peer| ignore(peer.read_to_end()),
            |rig| ignore(rig.gateway.client().read_to_end()),
            "sD",
        ),
        (
            "server resets",
            "",
            |peer| {
                peer.write("x");
                peer.read_exact(1);
                peer.reset();
            },
            |rig| {
                let mut client = rig.gateway.client();
                client.read_exact(1);
                client.send("x");
                client.read_to_end();
            },
            "SD",
        ),
        (
            "client resets",
            "",
            |peer| ignore((peer.write("x"), peer.read_to_end())),
            |rig| {
                let mut client = rig.gateway.client();
                client.read_exact(1);
                client.reset();
            },
            "CD",
        ),
    ];
    for (what, lines, script, act, termination) in cases {
        let backend = Backend::start(script);
        let rig = Rig::start("tcp", backend.port, lines);
        act(&rig);
        assert_eq!(rig.tcp().termination, *termination, "{what}");
    }
}

#[test]
fn a_tcp_server_that_refuses() {
    let rig = Rig::start("tcp", free_port(), "");
    rig.gateway.client().read_to_end();
    let line = rig.tcp();
    assert_eq!((line.termination.as_str(), line.bytes, line.timers[1]), ("SC", 0, -1));
}

#[test]
fn without_dontlognull_a_probe_is_a_line() {
    let backend = Backend::echo();
    let rig = Rig::start("http", backend.port, "");
    drop(rig.gateway.client());
    let line = rig.http("<BADREQ>");
    assert_eq!((line.status, line.termination.as_str(), line.bytes), (400, "CR--", 0));
}

#[test]
fn with_dontlognull_a_probe_is_no_line() {
    let backend = Backend::web("a");
    let rig = Rig::start("http", backend.port, "front: option dontlognull");
    for _ in 0..3 {
        drop(rig.gateway.client());
    }
    let mut client = rig.gateway.client();
    client.send(GET);
    client.answer();
    rig.http("/page");
    rig.syslog.expect_none("<BADREQ>", ms(200));
}

#[test]
fn a_long_request_line_is_cut_to_the_length() {
    let syslog = Syslog::udp();
    let backend = Backend::web("a");
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{0} local0 info\n log 127.0.0.1:{0} len 300 local1\n{1}",
            syslog.port,
            crate::rig::http_config(port, backend.port, "log global\noption httplog")
        )
    });
    let mut client = gateway.client();
    client.send(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "long".repeat(1_000)));
    client.answer();
    let full = syslog.wait_for("<134>");
    let short = syslog.wait_for("<142>");
    assert!(full.len() <= 1_025 && full.len() > 900, "{}", full.len());
    assert!(short.len() <= 301 && short.len() > 250, "{}", short.len());
    assert!(short.ends_with('\n') && full.ends_with('\n'));
}

#[test]
fn a_level_keeps_lines_out() {
    let syslog = Syslog::udp();
    let backend = Backend::web("a");
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{0} local0 err\n log 127.0.0.1:{0} local1\n{1}",
            syslog.port,
            crate::rig::http_config(port, backend.port, "log global\noption httplog")
        )
    });
    let mut client = gateway.client();
    client.send(GET);
    client.answer();
    syslog.wait_for("/page");
    syslog.expect_none("<134>", ms(200));
}

#[test]
fn log_tag_and_unix_datagrams() {
    let dir = crate::support::process::folder();
    let path = dir.path().join("log");
    let syslog = Syslog::unix(&path);
    let backend = Backend::web("a");
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log-tag doorman\n log {} daemon\n{}",
            path.display(),
            crate::rig::http_config(port, backend.port, "log global\noption httplog")
        )
    });
    let mut client = gateway.client();
    client.send(GET);
    client.answer();
    let line = http_line(&syslog.wait_for("/page"));
    assert_eq!((line.header.tag.as_str(), line.header.priority), ("doorman", 3 * 8 + 6));
}

/// Log lines are dropped, never waited for.
#[test]
fn a_syslog_server_that_is_away_or_stuck_stops_nobody() {
    let dir = crate::support::process::folder();
    let path = dir.path().join("stuck");
    // Bound and never read: its queue is full after a few lines.
    let _stuck = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let backend = Backend::web("a");
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{} local0\n log {} local0\n{}",
            free_port(),
            path.display(),
            crate::rig::http_config(port, backend.port, "log global\noption httplog")
        )
    });
    let mut client = gateway.client();
    let started = std::time::Instant::now();
    for _ in 0..300 {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(20));
    if Program::subject() == Program::Oneport {
        gateway.signal(Signal::TERM);
        gateway.wait_stderr("log lines were lost since the start");
    }
}

/// Ten of a kind are written, the others counted.
#[test]
fn a_flood_of_messages_is_summarised() {
    if crate::support::program::only_oneport("HAProxy writes them all") {
        return;
    }
    let syslog = Syslog::udp();
    let backend = Backend::web("a");
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{} local0\n{}",
            syslog.port,
            crate::rig::http_config(port, backend.port, "log global\noption httplog")
        )
    });
    for _ in 0..60 {
        gateway.signal(Signal::HUP);
        std::thread::sleep(ms(50));
    }
    // Session lines are never held back.
    let mut client = gateway.client();
    for _ in 0..30 {
        client.send(GET);
        client.answer();
    }
    gateway.signal(Signal::TERM);
    let told = syslog.wait_for("more such messages");
    assert!(told.contains("read again and is in force: "), "{told}");
    let count = |text: &str| syslog.lines().iter().filter(|line| line.contains(text)).count();
    // Ten within ten seconds; a busy machine may take longer than that.
    assert!((10..40).contains(&count("read again and is in force\n")));
    assert_eq!(count("/page"), 30);
}

#[test]
fn a_sniffed_port_logs_http_with_httplog_and_the_rest_with_tcplog() {
    if crate::support::program::only_oneport("HAProxy logs an upgraded stream with tcplog") {
        return;
    }
    let (web, echo, syslog) = (Backend::web("a"), Backend::echo(), Syslog::udp());
    let gateway = Gateway::start(|port| {
        format!(
            "global\n log 127.0.0.1:{} local0\n{}frontend front\n mode tcp\n log global\n option httplog\n \
             bind 127.0.0.1:{port}\n tcp-request inspect-delay 500ms\n tcp-request content accept if HTTP\n \
             use_backend raw if {{ payload(0,2) -m bin 0000 }}\n default_backend www\n\
             backend www\n mode http\n server w 127.0.0.1:{}\nbackend raw\n mode tcp\n server r 127.0.0.1:{}\n",
            syslog.port,
            crate::rig::DEFAULTS,
            web.port,
            echo.port
        )
    });
    let mut client = gateway.client();
    client.send(GET);
    client.answer();
    let line = http_line(&syslog.wait_for("/page"));
    assert_eq!((line.backend.as_str(), line.server.as_str(), line.status), ("www", "w", 200));
    let mut raw = gateway.client();
    raw.send([0, 0, 1]);
    raw.read_exact(3);
    raw.finish();
    raw.read_to_end();
    let line = tcp_line(&syslog.wait_for(" front raw/"));
    assert_eq!((line.server.as_str(), line.termination.as_str(), line.bytes), ("r", "--", 3));
}

#[test]
fn servers_going_down_are_told() {
    let backend = Backend::web("a");
    let rig = Rig::start("http", backend.port, "server: check inter 100 fall 2 rise 1");
    backend.stop();
    let line = rig.syslog.wait_for("DOWN");
    assert!(line.contains("back/s1"), "{line}");
    eventually("it is still there", || rig.gateway.descriptors() > 0);
}
