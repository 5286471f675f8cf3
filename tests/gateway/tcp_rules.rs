//! `tcp-request` and `tcp-response` rules: what the differential cases cannot show, which is logs, resets, unix sockets
//! and messages. Most of it is true of HAProxy too.

use crate::rig::DEFAULTS;
use crate::support::client::Client;
use crate::support::logline::{http_line, tcp_line};
use crate::support::ms;
use crate::support::peers::{Backend, ok};
use crate::support::process::{Gateway, Signal, folder, run, written};
use crate::support::program::only_oneport;
use crate::support::socket::End;
use crate::support::syslog::Syslog;

const REFUSED: &str = " tcp-request inspect-delay 5s\n tcp-request content reject if { req.len ge 5 }";
const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// A frontend `f` and a backend `b`, with lines for each.
struct Rig {
    syslog: Syslog,
    gateway: Gateway,
}

impl Rig {
    #[track_caller]
    fn start(mode: &str, backend: &Backend, front: &str, back: &str) -> Self {
        let syslog = Syslog::udp();
        let gateway = Gateway::start(|port| {
            format!(
                "global\n log 127.0.0.1:{} local0\n{DEFAULTS} mode {mode}\n log global\n option {mode}log\n\
                 option dontlognull\nfrontend f\n bind 127.0.0.1:{port}\n{front}\n default_backend b\n\
                 backend b\n{back}\n server s 127.0.0.1:{}\n",
                syslog.port, backend.port
            )
        });
        Self { syslog, gateway }
    }

    /// The lines about sessions; whoever only looked whether the port is open is not in them.
    fn logged(&self) -> Vec<String> {
        self.syslog.lines().into_iter().filter(|line| line.contains("] f ")).collect()
    }

    /// Sends this, and reads to the end.
    #[track_caller]
    fn sent(&self, bytes: &str) -> (Vec<u8>, End) {
        let mut client = self.gateway.client();
        client.send(bytes);
        client.read_to_end()
    }
}

#[test]
fn a_connection_that_is_refused_at_its_accept_is_reset_and_not_logged() {
    let backend = Backend::echo();
    for rule in ["tcp-request connection reject if { src 127.0.0.0/8 }", "tcp-request session reject"] {
        let rig = Rig::start("tcp", &backend, &format!(" no option dontlognull\n {rule}"), "");
        assert_eq!(rig.gateway.client().read_to_end(), (Vec::new(), End::Reset), "{rule}");
        std::thread::sleep(ms(300));
        assert_eq!(rig.logged(), [""; 0], "{rule}");
    }
    assert_eq!(backend.accepts(), 0);
}

#[test]
fn what_content_rules_refuse_is_logged_as_pr() {
    let backend = Backend::echo();
    for (front, back, proxy) in [(REFUSED, "", "f"), ("", REFUSED, "b")] {
        let rig = Rig::start("tcp", &backend, front, back);
        assert_eq!(rig.sent("hello"), (Vec::new(), End::Closed));
        let line = tcp_line(&rig.syslog.wait_for("] f "));
        assert_eq!((line.backend.as_str(), line.server.as_str()), (proxy, "<NOSRV>"));
        assert_eq!((line.termination.as_str(), line.bytes), ("PR", 0));
        assert_eq!(line.timers[..2], [-1, -1]);
    }
    assert_eq!(backend.accepts(), 0);
}

#[test]
fn who_is_refused_without_having_sent_anything_is_not_logged_with_dontlognull() {
    let backend = Backend::echo();
    let rules =
        " tcp-request inspect-delay 500ms\n tcp-request content reject if { req.len gt 0 } or WAIT_END";
    let rig = Rig::start("tcp", &backend, rules, "");
    assert_eq!(rig.gateway.client().read_to_end(), (Vec::new(), End::Closed));
    assert_eq!(rig.sent("x"), (Vec::new(), End::Closed));
    rig.syslog.wait_for("] f ");
    std::thread::sleep(ms(300));
    assert_eq!(rig.logged().len(), 1);
}

#[test]
fn what_content_rules_refuse_of_http_has_no_answer() {
    let backend = Backend::answering(|_| ok("hello"));
    let rig = Rig::start("http", &backend, " tcp-request content reject if { path / }", "");
    assert_eq!(rig.sent(GET), (Vec::new(), End::Closed));
    let line = http_line(&rig.syslog.wait_for("] f "));
    assert_eq!((line.termination.as_str(), line.status), ("PR--", -1));
    assert_eq!((line.server.as_str(), line.request.as_str()), ("<NOSRV>", "<BADREQ>"));
    let rig = Rig::start("http", &backend, "", " tcp-request content reject");
    assert_eq!(rig.sent(GET), (Vec::new(), End::Closed));
    let line = http_line(&rig.syslog.wait_for("] f "));
    assert_eq!((line.backend.as_str(), line.request.as_str()), ("b", "GET / HTTP/1.1"));
    assert_eq!(line.termination, "PR--");
}

#[test]
fn what_a_server_must_not_say_is_logged_as_pd() {
    let banner = Backend::start(|peer| {
        peer.write("220 ready\r\n");
        peer.read_to_end();
    });
    let rules =
        " tcp-response inspect-delay 5s\n tcp-response content reject if { res.payload(0,3) -m str 220 }";
    let rig = Rig::start("tcp", &banner, "", rules);
    assert_eq!(rig.sent(""), (Vec::new(), End::Closed));
    let line = tcp_line(&rig.syslog.wait_for("] f "));
    assert_eq!((line.server.as_str(), line.termination.as_str(), line.bytes), ("s", "PD", 11));

    let web = Backend::answering(|_| ok("hello"));
    let rules = " tcp-response inspect-delay 5s\n tcp-response content reject if { status 200 }";
    let rig = Rig::start("http", &web, "", rules);
    assert_eq!(rig.sent(GET), (Vec::new(), End::Closed));
    let line = http_line(&rig.syslog.wait_for("] f "));
    assert_eq!((line.server.as_str(), line.termination.as_str(), line.status), ("s", "PD--", 200));
}

#[test]
fn a_server_is_waited_for_no_longer_than_its_delay() {
    let slow = Backend::start(|peer| {
        peer.write("220 ");
        peer.pause(ms(1_500));
        peer.write("ready");
        peer.read_to_end();
    });
    let rules = " tcp-response inspect-delay 300ms\n tcp-response content accept if { res.len ge 9 }";
    let rig = Rig::start("tcp", &slow, "", rules);
    let mut client = rig.gateway.client();
    let begun = std::time::Instant::now();
    assert_eq!(client.read_exact(4), b"220 ");
    assert!(begun.elapsed() >= ms(250), "it was withheld");
    assert_eq!(client.read_exact(5), b"ready");
}

#[test]
fn close_ends_the_servers_side_and_delivers_what_it_has_sent() {
    let backend = Backend::echo();
    let rules = " tcp-response inspect-delay 5s\n tcp-response content close if { res.len ge 5 }";
    let rig = Rig::start("tcp", &backend, "", rules);
    assert_eq!(rig.sent("hello"), (b"hello".to_vec(), End::Closed));
    let line = tcp_line(&rig.syslog.wait_for("] f "));
    assert_eq!((line.termination.as_str(), line.bytes), ("--", 5));
}

#[test]
fn a_silent_drop_says_nothing() {
    let backend = Backend::echo();
    for (rule, logged) in [
        ("tcp-request connection silent-drop", 0),
        ("tcp-request session silent-drop", 0),
        ("tcp-request inspect-delay 5s\n tcp-request content silent-drop if { req.len gt 0 }", 1),
    ] {
        let rig = Rig::start("tcp", &backend, &format!(" {rule}"), "");
        let mut client = rig.gateway.client();
        client.send("hello");
        // HAProxy, as root, leaves out even the reset.
        let (bytes, _) = client.read_until_quiet(ms(400));
        assert!(bytes.is_empty(), "{rule}");
        match logged {
            0 => std::thread::sleep(ms(300)),
            _ => drop(rig.syslog.wait_for("] f ")),
        }
        let lines = rig.logged();
        assert_eq!(lines.len(), logged, "{rule}: {lines:?}");
        assert!(lines.iter().all(|line| tcp_line(line).termination == "PR"), "{lines:?}");
    }
    assert_eq!(backend.accepts(), 0);
}

#[test]
fn captures_variables_and_log_levels_of_tcp_sessions() {
    let backend = Backend::echo();
    let rig = Rig::start(
        "tcp",
        &backend,
        " tcp-request inspect-delay 5s\n tcp-request connection set-var(sess.from) src\n\
         tcp-request content capture req.payload(0,5) len 3\n\
         tcp-request content set-var-fmt(txn.text) \"<%[var(sess.from)]>\"\n\
         tcp-request content set-log-level silent if { req.payload(0,5) -m str quiet }\n\
         log-format \"] f %hr %[var(txn.text)] %ts\"",
        "",
    );
    for text in ["quiet", "hello"] {
        let mut client = rig.gateway.client();
        client.send(text);
        assert_eq!(client.read_exact(5), text.as_bytes());
        client.finish();
        client.read_to_end();
    }
    let line = rig.syslog.wait_for("] f ");
    assert!(line.trim_end().ends_with("] f {hel} <127.0.0.1> --"), "{line}");
    std::thread::sleep(ms(200));
    assert_eq!(rig.logged().len(), 1);
}

#[test]
fn a_variable_of_the_process_is_seen_by_other_connections_until_a_reload() {
    if only_oneport("HAProxy reloads with its master process") {
        return;
    }
    let backend = Backend::answering(|request| ok(&request.values("x-count").join(",")));
    let config = |port: u16| {
        format!(
            "{DEFAULTS} mode http\nlisten l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{}\n\
             tcp-request connection set-var(proc.count) int(1) if !{{ var(proc.count) -m found }}\n\
             http-request set-var(proc.count) var(proc.count),add(1)\n\
             http-request set-header X-Count %[var(proc.count)]\n",
            backend.port
        )
    };
    let gateway = Gateway::start(config);
    let count = || {
        let mut client = gateway.client();
        client.send(GET);
        client.answer().text().parse::<u32>().unwrap()
    };
    // The start looked whether the port is open.
    let first = count();
    assert_eq!(count(), first + 1);
    gateway.rewrite_config(&config(gateway.port));
    gateway.signal(Signal::HUP);
    crate::support::eventually("a new count", || count() < first + 2);
}

#[test]
fn a_header_is_expected_of_those_whom_a_rule_names() {
    let backend = Backend::echo();
    let rig = Rig::start(
        "tcp",
        &backend,
        " tcp-request connection expect-proxy layer4 if { src 127.0.0.1 }\n\
         tcp-request session reject if { src 192.0.2.66 }",
        "",
    );
    let mut client = rig.gateway.client();
    client.send("PROXY TCP4 192.0.2.1 198.51.100.2 1001 80\r\nhello");
    assert_eq!(client.read_exact(5), b"hello");
    client.finish();
    client.read_to_end();
    rig.syslog.wait_for(": 192.0.2.1:1001 [");
    assert_eq!(rig.sent("no header at all").0, b"");
    rig.syslog.wait_for("Received something which does not look like a PROXY protocol header");
    let (bytes, end) = rig.sent("PROXY TCP4 192.0.2.66 198.51.100.2 1001 80\r\nhello");
    assert!(bytes.is_empty() && end != End::Open);
    assert!(!rig.syslog.lines().iter().any(|line| line.contains("192.0.2.66")));
}

#[test]
fn rules_of_a_tcp_backend_hold_for_an_upgrade_too() {
    let (web, raw) = (Backend::answering(|_| ok("web")), Backend::echo());
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}frontend f\n mode tcp\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 5s\n\
             use_backend raw if {{ hdr(upgrade) -m found }}\n default_backend web\n\
             backend web\n mode http\n server s 127.0.0.1:{}\n\
             backend raw\n mode tcp\n tcp-request content reject if {{ path /no }}\n server s 127.0.0.1:{}\n",
            web.port, raw.port
        )
    });
    let ask = |client: &mut Client, path: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"));
    };
    for kept_alive in [false, true] {
        for (path, passes) in [("/no", false), ("/yes", true)] {
            let mut client = gateway.client();
            if kept_alive {
                client.send(GET);
                assert_eq!(client.answer().text(), "web");
            }
            ask(&mut client, path);
            match passes {
                true => assert_eq!(client.read_exact(4), b"GET "),
                false => assert_eq!(client.read_to_end().0, b"", "{kept_alive}"),
            }
        }
    }
}

/// HAProxy ignores them in `mode tcp`. Here they see every request, so that none gets round them by being the first.
#[test]
fn rules_for_http_of_a_sniffing_frontend_hold_for_an_upgrade_too() {
    if only_oneport("HAProxy ignores rules for HTTP in mode tcp") {
        return;
    }
    let (web, raw) = (Backend::answering(|_| ok("web")), Backend::echo());
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}frontend f\n mode tcp\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 5s\n\
             http-request deny if {{ path /no }}\n use_backend raw if {{ hdr(upgrade) -m found }}\n\
             default_backend web\nbackend web\n mode http\n server s 127.0.0.1:{}\n\
             backend raw\n mode tcp\n server s 127.0.0.1:{}\n",
            web.port, raw.port
        )
    });
    for kept_alive in [false, true] {
        for (path, passes) in [("/no", false), ("/yes", true)] {
            let mut client = gateway.client();
            if kept_alive {
                client.send(GET);
                assert_eq!(client.answer().text(), "web");
            }
            let upgrade = "Host: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
            client.send(format!("GET {path} HTTP/1.1\r\n{upgrade}"));
            match passes {
                true => assert_eq!(client.read_exact(4), b"GET "),
                false => assert_eq!(client.answer().status, 403, "{kept_alive}"),
            }
        }
    }
}

#[test]
fn each_request_of_a_sniffed_connection_is_asked_about() {
    if only_oneport("HAProxy closes a sniffed connection after its first request") {
        return;
    }
    let web = Backend::answering(|request| ok(&request.values("x-path").join(",")));
    let gateway = Gateway::start(|port| {
        format!(
            "{DEFAULTS}frontend f\n mode tcp\n bind 127.0.0.1:{port}\n tcp-request inspect-delay 5s\n\
             tcp-request content set-var(txn.path) path\n tcp-request content reject if {{ path_beg /no }}\n\
             tcp-request content accept if HTTP\n http-request set-header X-Path %[var(txn.path)]\n\
             default_backend web\nbackend web\n mode http\n server s 127.0.0.1:{}\n",
            web.port
        )
    });
    let mut client = gateway.client();
    for path in ["/one", "/two"] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(client.answer().text(), path);
    }
    client.send("GET /no/three HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
}

#[test]
fn an_upgrade_is_asked_about_as_an_answer_and_its_first_bytes_arrive() {
    let backend = Backend::start(|peer| {
        if peer.read_head().is_some() {
            peer.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfirst");
        }
        peer.read_to_end();
    });
    let rules = " tcp-response inspect-delay 5s\n tcp-response content reject if { status 403 }";
    let rig = Rig::start("http", &backend, "", rules);
    let mut client = rig.gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.answer().status, 101);
    assert_eq!(client.read_exact(5), b"first");
}

/// What `-c` says of lines in a frontend, whether it takes them, and what HAProxy's words for it share with ours.
#[track_caller]
fn check(text: &str) -> (bool, String) {
    let dir = folder();
    let file = dir.path().join("test.cfg");
    std::fs::write(&file, text).unwrap();
    let output = run(&["-c", "-f", file.to_str().unwrap()]);
    (output.status.success(), written(&output))
}

#[test]
fn rules_that_cannot_be_are_refused_with_file_and_line() {
    let rest = " default_backend b\nbackend b\n mode tcp\n server s 127.0.0.1:1\n";
    for (defaults, line, part) in [
        ("d", "tcp-request connection set-var(sess.a) req.len", "no byte has come by then"),
        ("d", "tcp-request session capture src len 4", "`capture` of `tcp-request session`"),
        ("d", "tcp-request content capture src", "`len <length>`"),
        ("d", "tcp-request connection expect-proxy layer7", "expected `layer4`"),
        ("d", "tcp-request connection expect-netscaler-cip layer4", "`expect-netscaler-cip`"),
        ("d", "tcp-request content set-var(a) src", "no variable"),
        ("d", "tcp-request content rejct", "did you mean `reject`"),
        ("d", "tcp-response content accept", "allowed only in"),
        ("d", "use_backend b if { http_auth(people) }", "there is no userlist `people`"),
    ] {
        let text = format!("{DEFAULTS}frontend f\n bind 127.0.0.1:29999\n mode tcp\n {line}\n{rest}");
        let (fine, said) = check(&text.replace("defaults\n", &format!("defaults {defaults}\n")));
        assert!(!fine, "{line}: {said}");
        if !only_oneport("the words are ours") {
            assert!(said.contains(part) && said.contains("test.cfg:"), "{line}: {said}");
        }
    }
    for (heading, rule, proxies, part) in [
        (
            "defaults",
            "tcp-request content reject",
            "frontend f\n",
            "only in a `defaults` section that has a name",
        ),
        ("defaults", "acl a src 127.0.0.1", "frontend f\n", "only in a `defaults` section that has a name"),
        (
            "defaults d",
            "tcp-request content reject",
            "listen f\n server s 127.0.0.1:2\n",
            "a `listen` section cannot",
        ),
        (
            "defaults d",
            "tcp-request content reject",
            "backend x\nfrontend f\n",
            "frontends and backends cannot",
        ),
        (
            "defaults d",
            "tcp-request session reject",
            "backend x\ndefaults g\nfrontend f\n",
            "a backend cannot inherit",
        ),
        (
            "defaults d",
            "tcp-request content reject",
            "defaults e from d\nfrontend f\n",
            "cannot be inherited",
        ),
        (
            "defaults d",
            "acl a src 127.0.0.1",
            "frontend f\n tcp-request content reject if a\n",
            "no ACL called `a`",
        ),
    ] {
        let text =
            format!("{heading}\n mode tcp\n {rule}\n{proxies} bind 127.0.0.1:29999\ndefaults z\n{rest}");
        let (fine, said) =
            check(&text.replace("defaults z\n default_backend b", " default_backend b\ndefaults z"));
        assert!(!fine, "{heading} {rule}: {said}");
        if !only_oneport("the words are ours") {
            assert!(said.contains(part), "{rule}: {said}");
        }
    }
}

#[test]
fn rules_that_never_hold_are_warned_of() {
    if only_oneport("the words are ours") {
        return;
    }
    for (line, part) in [
        (
            "tcp-request connection reject if { req.len gt 3 }",
            "never matches in `tcp-request connection` rules",
        ),
        ("tcp-request session reject if HTTP", "the ACL `HTTP` never matches"),
        ("tcp-request content reject if { status 200 }", "the server has not sent anything yet"),
        ("tcp-request content accept\n tcp-request content reject", "this rule is never reached"),
        (
            "tcp-request inspect-delay 0\n tcp-request content reject if HTTP",
            "no `tcp-request inspect-delay`",
        ),
        ("tcp-request inspect-delay 0\n tcp-request content set-var(txn.a) src", ""),
    ] {
        let (fine, said) = check(&format!(
            "{DEFAULTS}frontend f\n bind 127.0.0.1:29999\n mode tcp\n tcp-request inspect-delay 1s\n {line}\n\
             default_backend b\nbackend b\n mode tcp\n server s 127.0.0.1:1\n"
        ));
        assert!(fine && said.contains(part), "{line}: {said}");
        assert_eq!(part.is_empty(), !said.contains("warning"), "{line}: {said}");
    }
}
