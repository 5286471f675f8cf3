//! Configurations from the field, run as they stand.
//!
//! They belong to others, so they are not part of this repository: where the folder `../shared/reference`
//! (or the one that `ONEPORT_REFERENCE` names) is present they are run, and the test says so; the same
//! directives are always tested with `tests/configs`. Only what this machine cannot have is changed: ports, addresses
//! of servers, paths; without root also the keywords that need it.

use crate::support::client::{Answer, Client};
use crate::support::logline::http_line;
use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::process::{Gateway, Signal, Starter, folder, run, written};
use crate::support::program::only_oneport;
use crate::support::syslog::Syslog;
use crate::support::web::Nginx;
use crate::support::websocket::{WsEcho, connect, expect_echo};
use crate::support::{eventually, ms, within};
use std::path::PathBuf;
use std::time::Duration;

const OLD: &str = "HAProxy 2.6 refuses this file, or does something else";

fn reference(name: &str) -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let folder = std::env::var_os("ONEPORT_REFERENCE").map_or(beside, PathBuf::from);
    let text = std::fs::read_to_string(folder.join(name)).ok();
    match text {
        Some(_) => eprintln!("running {name} from {}", folder.display()),
        None => eprintln!("no {name} in {}: only our own configurations are run", folder.display()),
    }
    text
}

/// A file with pieces replaced, each of which must be there.
#[track_caller]
fn changed(text: &str, pieces: &[(&str, String)]) -> String {
    let mut text = text.to_owned();
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: privileges of the reference files, for want of root");
        let needs_root = |line: &str| {
            let word = line.split_whitespace().next().unwrap_or_default();
            ["chroot", "user", "group", "uid", "gid"].contains(&word)
        };
        text = text.lines().filter(|line| !needs_root(line)).map(|line| format!("{line}\n")).collect();
    }
    for (old, new) in pieces {
        let is_privilege = old.starts_with("chroot ");
        assert!(text.contains(old) || is_privilege, "`{old}` is not in the file any more");
        text = text.replace(old, new);
    }
    text
}

/// Runs the file with its own checks first: `-c` says yes.
#[track_caller]
fn start(text: &str, ports: &[u16]) -> Gateway {
    let dir = folder();
    let file = dir.path().join("checked.cfg");
    std::fs::write(&file, text).unwrap();
    let output = run(&["-c", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    let starter = ports.iter().fold(Starter::new(), |starter, port| starter.ready_port(*port));
    starter.start(text)
}

fn ask(port: u16, request: &str) -> Answer {
    let mut client = Client::to(port);
    client.send(format!("{request}\r\n\r\n"));
    client.answer()
}

#[track_caller]
fn not_active(gateway: &Gateway, keywords: &[&str]) {
    for keyword in keywords {
        gateway.wait_stderr(&format!("warning: `{keyword}` is not active yet"));
    }
}

#[test]
fn single_port_cfg() {
    let Some(text) = reference("single-port.cfg") else { return };
    if only_oneport(OLD) {
        return;
    }
    let (web, ws, socket, port) = (Nginx::start(), WsEcho::start(), Backend::echo(), free_port());
    let text = changed(
        &text,
        &[
            ("*:80", format!("*:{port}")),
            (":8100", format!(":{}", web.port)),
            (":2200", format!(":{}", ws.port)),
            (":2100", format!(":{}", socket.port)),
        ],
    );
    let gateway = start(&text, &[port]);
    gateway.wait_stderr("`nbproc` is ignored");
    let mut client = Client::to(port);
    for _ in 0..2 {
        client.send("GET /from HTTP/1.1\r\nHost: device\r\n\r\n");
        let answer = client.answer();
        // `option forwardfor`; `no option httpclose` comes last, so the client's connection stays.
        assert_eq!((answer.header("x-backend"), answer.text().as_str()), (Some("nginx"), "127.0.0.1"));
    }
    expect_echo(&mut connect(port, "/echo"), "over the reference file".into());
    for preamble in [4, 8] {
        let mut raw = Client::to(port);
        let mut bytes = vec![0; preamble];
        bytes.extend(b"raw");
        raw.send_bytewise(&bytes, ms(30));
        assert_eq!(raw.read_exact(bytes.len()), bytes);
    }
    // What is neither goes to the default backend, which speaks HTTP.
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\0\0\0", b"SSH-2.0-x\r\n"] {
        let mut other = Client::to(port);
        other.send(bytes);
        assert_eq!(other.answer().status, 400);
    }
}

#[test]
fn load_balancer_cfg() {
    let Some(text) = reference("load-balancer.cfg") else { return };
    if only_oneport(OLD) {
        return;
    }
    let (first, second, port) = (Nginx::named("node1"), Nginx::named("node2"), free_port());
    let (syslog, jail) = (Syslog::udp(), folder());
    let text = changed(
        &text,
        &[
            ("*:80", format!("*:{port}")),
            ("192.168.90.201:8080", format!("127.0.0.1:{}", first.port)),
            ("192.168.90.202:8080", format!("127.0.0.1:{}", second.port)),
            ("log 127.0.0.1 local3", format!("log 127.0.0.1:{} local3", syslog.port)),
            ("chroot /var/lib/haproxy", format!("chroot {}", jail.path().display())),
        ],
    );
    let gateway = start(&text, &[port]);
    not_active(&gateway, &["stats socket", "stats uri"]);
    let node = |host: &str| {
        let answer = ask(port, &format!("GET / HTTP/1.1\r\nHost: {host}"));
        answer.header("x-backend").unwrap_or_default().to_owned()
    };
    let turns: Vec<String> = (0..6).map(|_| node("www.xuliangwei.com")).collect();
    assert_eq!(turns.iter().filter(|name| *name == "node1").count(), 3, "round robin: {turns:?}");
    for host in ["proxy.xuliangwei.com", "my.proxy.xuliangwei.com", "PROXY.xuliangwei.com"] {
        // `hdr_end(host)` without `-i`.
        let only_second = (0..4).all(|_| node(host) == "node2");
        assert_eq!(only_second, !host.starts_with('P'), "{host}");
    }
    assert_eq!(ask(port, "GET /real HTTP/1.1\r\nHost: h").text(), "127.0.0.1", "forwardfor header X-REAL-IP");
    let line = http_line(&syslog.wait_for("/real"));
    assert_eq!(
        (line.header.priority, line.status, line.frontend.as_str()),
        (19 * 8 + 6, 200, "ha_xuliangwei_com")
    );
    assert_eq!(line.backend, "ha_xuliangwei_com_backend");
    assert!(line.server.starts_with("web-node"));
    // One dies: the other one serves alone, and the second site, which has no other, says so at once.
    let (name, second_port) = ("node2", second.port);
    drop(second);
    gateway.wait_stderr("proxy_xuliangwei_com_backend has no server available!");
    within(Duration::from_secs(60), "the first one serves alone", || {
        (0..4).all(|_| node("www.xuliangwei.com") == "node1")
    });
    assert_eq!(ask(port, "GET / HTTP/1.1\r\nHost: proxy.xuliangwei.com").status, 503);
    let _second = Nginx::on_port(name, second_port);
    within(Duration::from_secs(60), "the second site is back", || node("proxy.xuliangwei.com") == "node2");
    // `option dontlognull`: a connection without a byte has no line.
    let sessions = || -> Vec<String> {
        syslog.lines().into_iter().filter(|line| line.contains("] ha_xuliangwei_com ")).collect()
    };
    // Once this one's line is there, those of all before it are.
    assert_eq!(ask(port, "GET /before HTTP/1.1\r\nHost: h").status, 404);
    syslog.wait_for("/before");
    let before = sessions().len();
    drop(Client::to(port));
    assert_eq!(ask(port, "GET /last HTTP/1.1\r\nHost: h").status, 404);
    syslog.wait_for("/last");
    assert_eq!(sessions().len(), before + 1, "{:?}", sessions());
}

#[test]
fn macos_cfg() {
    let Some(text) = reference("macos.cfg") else { return };
    if only_oneport(OLD) {
        return;
    }
    let (first, second) = (Nginx::named("server1"), Nginx::named("server2"));
    let (port, stats) = (free_port(), free_port());
    let text = changed(
        &text,
        &[
            ("*:80", format!("*:{port}")),
            (":9000", format!(":{stats}")),
            (":7121", format!(":{}", first.port)),
            (":7122", format!(":{}", second.port)),
        ],
    );
    let gateway = start(&text, &[port, stats]);
    not_active(&gateway, &["stats enable", "stats realm", "stats uri", "stats auth"]);
    let mut client = Client::to(port);
    let mut names: Vec<String> = (0..4)
        .map(|_| {
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            client.answer().header("x-backend").unwrap_or_default().to_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["server1", "server1", "server2", "server2"]);
    assert_eq!(
        ask(stats, "GET /haproxy_stats HTTP/1.1\r\nHost: localhost").status,
        503,
        "no page yet, no server"
    );
    // `maxconn 40`: the 41st waits.
    let mut held: Vec<Client> = (0..39).map(|_| Client::to(port)).collect();
    let mut late = Client::to(port);
    late.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    late.expect_silence(ms(500));
    held.clear();
    assert_eq!(late.answer().status, 200);
}

#[test]
fn two_weights_cfg() {
    let Some(text) = reference("two-weights.cfg") else { return };
    if only_oneport(OLD) {
        return;
    }
    let (first, second, port) = (Nginx::named("web1"), Nginx::named("web2"), free_port());
    let text = changed(
        &text,
        &[
            ("0.0.0.0:80", format!("0.0.0.0:{port}")),
            ("192.168.16.2:80", format!("127.0.0.1:{}", first.port)),
            ("192.168.16.3:80", format!("127.0.0.1:{}", second.port)),
        ],
    );
    let gateway = start(&text, &[port]);
    gateway.wait_stderr("sets no value for these timeouts");
    let mut web1 = 0;
    for _ in 0..6 {
        let mut client = Client::to(port);
        client.send("GET /from HTTP/1.1\r\nHost: WW1.itnihao.cn\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.text(), "127.0.0.1", "option forwardfor");
        web1 += usize::from(answer.header("x-backend") == Some("web1"));
        assert!(client.read_to_end().0.is_empty(), "option httpclose");
    }
    assert_eq!(web1, 2, "weights 1 and 2");
    let names: Vec<String> = (0..300)
        .map(|_| {
            let answer = ask(port, "GET /from HTTP/1.1\r\nHost: www.itnihao.cn");
            answer.header("x-backend").unwrap_or_default().to_owned()
        })
        .collect();
    let counts = ["web1", "web2"].map(|server| names.iter().filter(|name| *name == server).count());
    assert_eq!(counts, [100, 200], "weights 1 and 2 over 300 requests");
    clients_stay(["web1", "web2"], &|cookie| {
        ask(port, &format!("GET /from HTTP/1.1\r\nHost: www.itnihao.cn\r\nCookie: {cookie}"))
    });
    for host in ["itnihao.cn", "www.itnihao.cn.evil", "wwwXitnihao.cn", "www.itnihao.cn"] {
        // A dot of the expression stands for any character, as its author wrote it.
        let served = host.len() == "www.itnihao.cn".len();
        let answer = ask(port, &format!("GET / HTTP/1.1\r\nHost: {host}"));
        assert_eq!(answer.status, if served { 200 } else { 503 }, "{host}");
    }
}

/// `cookie SERVERID`: whoever has a server's value goes to it, others are shared out; nobody is given a cookie, which
/// the servers do.
fn clients_stay(values: [&str; 2], ask: &dyn Fn(&str) -> Answer) {
    for value in values {
        for cookie in [format!("SERVERID={value}"), format!("a=1; SERVERID={value}; b=2")] {
            for _ in 0..5 {
                let answer = ask(&cookie);
                assert_eq!((answer.status, answer.header("x-backend")), (200, Some(value)), "{cookie}");
                assert_eq!(answer.header("set-cookie"), None);
            }
        }
    }
    let unknown: Vec<String> =
        (0..6).map(|_| ask("SERVERID=other").header("x-backend").unwrap_or_default().to_owned()).collect();
    assert_eq!(unknown.iter().filter(|name| *name == values[0]).count(), 2, "weights 1 and 2: {unknown:?}");
}

/// The servers of three-sites.cfg: three sites with two each, whose weights are 1 and 2.
const SERVERS: [&str; 6] = ["web1", "web2", "blog1", "blog2", "bbs1", "bbs2"];

/// three-sites.cfg at work, with six web servers.
struct ThreeSites {
    gateway: Gateway,
    syslog: Syslog,
    /// `web1`, `web2`, `blog1`, … in the order of the file.
    servers: [Option<Nginx>; 6],
    /// `http_80_in`, `admin_status`, `site_status`.
    ports: [u16; 3],
    files: tempfile::TempDir,
}

impl ThreeSites {
    fn start() -> Option<Self> {
        let text = reference("three-sites.cfg")?;
        if only_oneport(OLD) {
            return None;
        }
        let ports = [free_port(), free_port(), free_port()];
        let (servers, syslog) = (SERVERS.map(Nginx::named), Syslog::udp());
        let (files, jail) = (folder(), folder());
        for status in [403, 500, 502, 503, 504] {
            write_page(&files, status, "from the file");
        }
        let mut text = text;
        for (server, name) in servers.iter().zip(SERVERS) {
            let address = if name.ends_with('1') { "192.168.16.2:80" } else { "192.168.16.3:80" };
            let line = format!("server {name} {address}");
            text = changed(&text, &[(line.as_str(), format!("server {name} 127.0.0.1:{}", server.port))]);
        }
        let text = changed(
            &text,
            &[
                ("0.0.0.0:80 ", format!("0.0.0.0:{} ", ports[0])),
                ("0.0.0.0:65532", format!("0.0.0.0:{}", ports[1])),
                ("0.0.0.0:1081", format!("0.0.0.0:{}", ports[2])),
                ("monitor-net 192.168.16.2/32", "monitor-net 127.0.0.8/32".into()),
                ("monitor-net 192.168.16.3/32", "monitor-net 127.0.0.9/32".into()),
                ("log 127.0.0.1 local3", format!("log 127.0.0.1:{} local3", syslog.port)),
                ("/etc/haproxy/errorfiles", files.path().display().to_string()),
                ("chroot /var/haproxy", format!("chroot {}", jail.path().display())),
                ("/var/run/haproxy.pid", files.path().join("pid").display().to_string()),
            ],
        );
        let mut gateway = start(&text, &ports);
        gateway.keep(jail);
        let servers = servers.map(Some);
        Some(Self { gateway, syslog, servers, ports, files })
    }

    /// A request as the file's rules let it through: with a length, and with `killall=` in its address.
    fn site(&self, host: &str) -> Answer {
        ask(self.ports[0], &format!("GET /from?killall=1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0"))
    }
}

fn write_page(files: &tempfile::TempDir, status: u16, text: &str) {
    let page =
        format!("HTTP/1.0 {status} Page\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n{text}\n");
    std::fs::write(files.path().join(format!("{status}.http")), page).unwrap();
}

#[test]
fn three_sites_cfg_routes_blocks_and_redirects() {
    let Some(sites) = ThreeSites::start() else { return };
    let old = ["contimeout", "clitimeout", "srvtimeout", "block"];
    old.iter().for_each(|old| sites.gateway.wait_stderr(&format!("`{old}` is the old spelling")));
    sites.gateway.wait_stderr("`nbproc` is ignored");
    let stats =
        ["refresh", "uri", "realm", "auth", "hide-version", "admin"].map(|word| format!("stats {word}"));
    not_active(&sites.gateway, &stats.each_ref().map(String::as_str));

    for (host, backend) in [
        ("www.itnihao.cn", "server_web"),
        ("WW1.itnihao.cn", "server_web"),
        ("blog.itnihao.cn", "server_blog"),
        ("my.blog.itnihao.cn", "server_blog"),
        ("bbs.itnihao.cn", "server_bbs"),
        ("www.itnihao.cn.example", "server_bbs"),
    ] {
        let answer = sites.site(host);
        assert_eq!((answer.status, answer.text().as_str()), (200, "127.0.0.1"), "{host}");
        let pattern = format!(" http_80_in {backend}/");
        let line = http_line(&sites.syslog.wait_for(&pattern));
        assert_eq!((line.header.priority, line.request.as_str()), (158, "GET /from?killall=1 HTTP/1.1"));
    }
    let answer = sites.site("itnihao.cn");
    assert_eq!(answer.status, 301);
    assert_eq!(answer.header("location"), Some("http://blog.itniaho.cn/from?killall=1"));
    for (request, status) in [
        ("GET /?killall=1 HTTP/1.1\r\nHost: www.itnihao.cn", 403),
        ("GET / HTTP/1.1\r\nHost: www.itnihao.cn\r\nContent-Length: 0", 403),
        ("GET /ALLOW/?killall=1 HTTP/1.1\r\nHost: www.itnihao.cn\r\nContent-Length: 0", 403),
        ("GET /allowed?KILLALL=1 HTTP/1.1\r\nHost: www.itnihao.cn\r\nContent-Length: 0", 404),
        ("POST /discard?killall=1 HTTP/1.1\r\nHost: itnihao.com\r\nContent-Length: 0", 200),
    ] {
        assert_eq!(ask(sites.ports[0], request).status, status, "{request}");
    }
    for (host, servers) in [
        ("www.itnihao.cn", ["web1", "web2"]),
        ("blog.itnihao.cn", ["blog1", "blog2"]),
        ("bbs.itnihao.cn", ["bbs1", "bbs2"]),
    ] {
        let names: Vec<String> =
            (0..30).map(|_| sites.site(host).header("x-backend").unwrap_or_default().to_owned()).collect();
        let counts = servers.map(|server| names.iter().filter(|name| *name == server).count());
        assert_eq!(counts, [10, 20], "weights 1 and 2: {names:?}");
    }
    for (host, servers) in [
        ("www.itnihao.cn", ["web1", "web2"]),
        ("blog.itnihao.cn", ["blog1", "blog2"]),
        ("bbs.itnihao.cn", ["bbs1", "bbs2"]),
    ] {
        clients_stay(servers, &|cookie| {
            let request = format!(
                "GET /from?killall=1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nCookie: {cookie}"
            );
            ask(sites.ports[0], &request)
        });
    }
}

#[test]
fn three_sites_cfg_captures_and_serves_its_pages() {
    let Some(sites) = ThreeSites::start() else { return };
    let admin = sites.ports[1];
    let long = "r".repeat(250);
    let answer = ask(
        admin,
        &format!("GET /admin HTTP/1.1\r\nHost: my.admin\r\nReferer: http://{long}\r\nContent-Length: 0"),
    );
    assert_eq!((answer.status, answer.text().as_str()), (503, "from the file\n"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
    let line = sites.syslog.wait_for("/admin ");
    let captured = format!("{{my.admin|0|http://{}}} {{||}} \"GET /admin HTTP/1.1\"", "r".repeat(193));
    assert!(line.contains(&captured), "{line}");
    // To the global target alone: `log … err` wants no such lines.
    assert_eq!(sites.syslog.lines().iter().filter(|line| line.contains("/admin ")).count(), 1);

    // The folder of the pages is out of reach behind the `chroot`; a reload has them all the same.
    write_page(&sites.files, 503, "written anew");
    sites.gateway.signal(Signal::USR2);
    sites.gateway.wait_stderr("is in force");
    let answer = ask(admin, "GET /again HTTP/1.1\r\nHost: my.admin");
    assert_eq!((answer.status, answer.text().as_str()), (503, "written anew\n"));
    assert_eq!(sites.site("www.itnihao.cn").status, 200);
}

#[test]
fn three_sites_cfg_tells_monitors() {
    let Some(mut sites) = ThreeSites::start() else { return };
    let port = sites.ports[2];
    let status = || ask(port, "GET /site_status HTTP/1.1\r\nHost: h").status;
    eventually("all servers are up", || status() == 200);
    assert_eq!(ask(port, "GET /other HTTP/1.1\r\nHost: h").status, 503, "no server in this section");
    sites.syslog.wait_for("/other");
    for address in ["127.0.0.8", "127.0.0.9"] {
        let mut client = Client::from_source(address, port);
        client.send("GET /unheard HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.read_to_end().0, b"HTTP/1.0 200 OK\r\n\r\n", "{address}");
    }
    // Each site by itself decides: three checks, 1.5 s apart, take one server down, and three bring it back.
    for site in [1, 4] {
        let server = sites.servers[site].take().unwrap();
        let (name, port) = (SERVERS[site], server.port);
        drop(server);
        within(Duration::from_secs(60), "a site is dead", || status() == 503);
        sites.servers[site] = Some(Nginx::on_port(name, port));
        within(Duration::from_secs(60), "the site is back", || status() == 200);
    }
    let unheard = ["/site_status", "/unheard", "127.0.0.8", "127.0.0.9"];
    let lines = sites.syslog.lines();
    assert!(!lines.iter().any(|line| unheard.iter().any(|word| line.contains(word))), "{lines:?}");
}

#[test]
fn three_sites_cfg_redispatches_those_whose_server_dies() {
    let Some(mut sites) = ThreeSites::start() else { return };
    let ask = |target: &str| {
        let request = format!(
            "GET {target}?killall=1 HTTP/1.1\r\nHost: www.itnihao.cn\r\nContent-Length: 0\r\nCookie: SERVERID=web1"
        );
        ask(sites.ports[0], &request)
    };
    let server = |answer: &Answer| answer.header("x-backend").unwrap_or_default().to_owned();
    assert_eq!(server(&ask("/from")), "web1");
    let dead = sites.servers[0].take().unwrap();
    let port = dead.port;
    drop(dead);
    // Before a check has found it out: retried, and then sent to the other one.
    let answer = ask("/real");
    assert_eq!((answer.status, server(&answer).as_str()), (200, "web2"));
    let line = sites.syslog.wait_for("GET /real");
    let told = http_line(&line);
    assert_eq!((told.backend.as_str(), told.server.as_str(), told.status), ("server_web", "web2", 200));
    // Once it is known to be down nobody tries it.
    sites.gateway.wait_stderr("Server server_web/web1 is DOWN");
    let answer = ask("/discard");
    assert_eq!((answer.status, server(&answer).as_str()), (200, "web2"));
    assert_eq!(http_line(&sites.syslog.wait_for("GET /discard")).retries, 0);
    sites.servers[0] = Some(Nginx::on_port("web1", port));
    within(Duration::from_secs(60), "its clients are back with it", || server(&ask("/from")) == "web1");
}
