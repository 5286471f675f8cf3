//! The counters of frontends, backends and servers against those of HAProxy, over the same traffic.
//!
//! oneport runs inside of this process, as a library: what it counts is asked of [`oneport::gateway::Gateway::stats`].

use crate::support::client::Client;
use crate::support::peers::{Backend, Peer, echo, ok};
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{Starter, folder};
use crate::support::program::Program;
use crate::support::{eventually, ms};
use oneport::config::{Source, load};
use oneport::gateway::{Gateway, Late, Names, Options};
use oneport::observe::stats::COLUMNS;
use oneport::observe::zone::Zone;
use oneport::observe::{Sinks, Value};
use oneport::reactor::Reactor;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};

const GET: &str = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

/// What is compared. Left out are numbers that are each program's own: bytes of HTTP (HAProxy counts its own form of the
/// messages), times, ids, and what only HAProxy has.
const COMPARED: [&str; 36] = [
    "smax",
    "stot",
    "dreq",
    "dresp",
    "ereq",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "status",
    "weight",
    "act",
    "bck",
    "type",
    "lbtot",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "conn_tot",
    "intercepted",
    "dcon",
    "dses",
    "connect",
    "reuse",
    "mode",
    "algo",
    "uweight",
    "scur",
    "qcur",
    "qmax",
];

const NOT_PASSED_ON: &str = "only bytes that were passed on count";

/// Columns that HAProxy fills in and oneport does not, because it has nothing to say there.
const ONLY_HAPROXY: [&str; 17] = [
    "comp_in",
    "comp_out",
    "comp_byp",
    "comp_rsp",
    "cache_lookups",
    "cache_hits",
    "need_conn_est",
    "slim",
    "lastsess",
    "check_desc",
    "agent_desc",
    "last_chk",
    "last_agt",
    "agent_status",
    "agent_code",
    "agent_duration",
    "src_ilim",
];

const TOO_EARLY: &str = "the rule may speak before the client's first bytes have come, in both";

/// What differs, and why: shape, column, reason.
const DIFFERS: &[(&str, &str, &str)] = &[
    ("reset", "eresp", "HAProxy counts an answer that a reset cuts off twice"),
    ("queued", "lbtot", "HAProxy does not count the choice for one who has waited"),
    ("queued", "connect", "an idle connection serves the first request of another client as well"),
    ("queued", "reuse", "an idle connection serves the first request of another client as well"),
    ("i", "algo", "HAProxy 2.6 has no word for `balance random`"),
    ("raw-refused", "bin", NOT_PASSED_ON),
    ("raw-retried", "bin", NOT_PASSED_ON),
    ("raw-no-server", "bin", NOT_PASSED_ON),
    ("raw-rejected-behind", "bin", NOT_PASSED_ON),
    ("raw-rejected", "bin", TOO_EARLY),
    ("raw-answer-rejected", "bin", TOO_EARLY),
];

/// Some traffic, with proxies of its own.
struct Shape {
    name: &'static str,
    mode: &'static str,
    /// Lines of the frontend and of the backend.
    front: &'static str,
    back: String,
    drive: fn(u16),
}

impl Shape {
    fn http(name: &'static str, front: &'static str, back: String, drive: fn(u16)) -> Self {
        Self { name, mode: "http", front, back, drive }
    }

    fn tcp(name: &'static str, front: &'static str, back: String, drive: fn(u16)) -> Self {
        Self { name, mode: "tcp", front, back, drive }
    }
}

/// A `server` line.
fn server(backend: &Backend) -> String {
    format!("server s 127.0.0.1:{}", backend.port)
}

/// Sends these bytes and reads what comes, until the connection ends or nothing more comes.
fn say(port: u16, bytes: &str) {
    let mut client = Client::to(port);
    client.send(bytes);
    client.read_until_quiet(ms(600));
}

/// One request and its answer.
fn get(port: u16) {
    let mut client = Client::to(port);
    client.send(GET);
    client.answer();
}

fn get_silently(port: u16) {
    say(port, GET);
}

fn hello(port: u16) {
    say(port, "hello");
}

/// The peers of all shapes.
struct Peers {
    good: Backend,
    missing: Backend,
    silent: Backend,
    closing: Backend,
    resetting: Backend,
    garbage: Backend,
    half: Backend,
    stopping: Backend,
    slow: Backend,
    interim: Backend,
    echo: Backend,
    raw_reset: Backend,
    dead: u16,
}

impl Peers {
    fn start() -> Self {
        let once = |bytes: &'static str| {
            Backend::start(move |peer| {
                peer.read_request();
                peer.write(bytes);
            })
        };
        let answering = |bytes: &'static str| Backend::answering(move |_| bytes.as_bytes().to_vec());
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf";
        Self {
            good: Backend::answering(|_| ok("hello")),
            missing: answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            silent: Backend::silent(),
            closing: once(""),
            resetting: Backend::start(|peer| {
                peer.read_request();
                peer.reset();
            }),
            garbage: answering("nonsense\r\n\r\n"),
            half: once(half),
            stopping: answering(half),
            slow: Backend::answering(|_| {
                std::thread::sleep(ms(400));
                ok("slow")
            }),
            interim: answering(
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ),
            echo: Backend::start(echo),
            raw_reset: Backend::start(|peer: &mut Peer| {
                let _ = peer.read_some();
                peer.reset();
            }),
            dead: free_port(),
        }
    }
}

/// Requests that end as they should, or by a rule.
fn shapes_of_rules(peers: &Peers) -> Vec<Shape> {
    let good = || server(&peers.good);
    let three = |port| {
        let mut client = Client::to(port);
        for _ in 0..3 {
            client.send(GET);
            client.answer();
        }
    };
    vec![
        Shape::http("three", "", good(), three),
        Shape::http("missing", "", server(&peers.missing), get),
        Shape::http("interim", "", server(&peers.interim), get),
        Shape::http("post", "", good(), |port| {
            say(port, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        }),
        Shape::http("denied", "http-request deny", good(), get),
        Shape::http("denied-behind", "", format!("http-request deny\n{}", good()), get),
        Shape::http("tarpit", "timeout tarpit 100ms\nhttp-request tarpit", good(), get),
        Shape::http("dropped", "http-request silent-drop", good(), get_silently),
        Shape::http("rejected", "http-request reject", good(), get_silently),
        Shape::http("returned", "http-request return status 200", good(), get),
        Shape::http("returned-behind", "", format!("http-request return status 200\n{}", good()), get),
        Shape::http("redirected", "http-request redirect location /", good(), get),
        Shape::http("redirected-behind", "", format!("http-request redirect location /\n{}", good()), get),
        Shape::http("answer-denied", "", format!("http-response deny\n{}", good()), get),
        Shape::http("answer-denied-before", "http-response deny", good(), get),
        Shape::http("monitor", "monitor-uri /x", good(), get),
        Shape::http(
            "preferred",
            "",
            format!("use-server t if TRUE\n{}\n{}", good(), good().replace(" s ", " t ")),
            get,
        ),
        Shape::http("bad", "", good(), |port| say(port, "GET / HTTP/x.1\r\n\r\n")),
        Shape::http("nothing", "", good(), |port| drop(Client::to(port))),
        Shape::http("half-a-head", "", good(), |port| {
            let mut client = Client::to(port);
            client.send("GET / HT");
            std::thread::sleep(ms(200));
        }),
        Shape::http("slow-head", "timeout http-request 200ms", good(), |port| say(port, "GET /")),
        Shape::http("silent-client", "timeout http-request 200ms", good(), |port| say(port, "")),
        Shape::http("idle", "timeout http-keep-alive 200ms", good(), get_silently),
        Shape::tcp("raw", "", server(&peers.echo), hello),
        Shape::tcp("raw-null", "", server(&peers.echo), |port| {
            let client = Client::to(port);
            client.finish();
            std::thread::sleep(ms(200));
        }),
        Shape::tcp("raw-rejected", "tcp-request content reject", server(&peers.echo), hello),
        Shape::tcp("raw-no-connection", "tcp-request connection reject", server(&peers.echo), hello),
        Shape::tcp("raw-no-session", "tcp-request session reject", server(&peers.echo), hello),
        Shape::tcp(
            "raw-rejected-behind",
            "",
            format!("tcp-request content reject\n{}", server(&peers.echo)),
            hello,
        ),
        Shape::tcp(
            "raw-answer-rejected",
            "",
            format!("tcp-response content reject\n{}", server(&peers.echo)),
            hello,
        ),
    ]
}

/// What goes wrong with servers.
fn shapes_of_faults(peers: &Peers) -> Vec<Shape> {
    let good = || server(&peers.good);
    let dead = format!("server s 127.0.0.1:{}", peers.dead);
    let two = |port| {
        let mut first = Client::to(port);
        first.send(GET);
        std::thread::sleep(ms(100));
        get(port);
        first.answer();
    };
    vec![
        Shape::http("refused", "", format!("retries 0\n{dead}"), get),
        Shape::http("retried", "", format!("retries 2\ntimeout connect 100ms\n{dead}"), get),
        Shape::http("no-answer", "", format!("timeout server 200ms\n{}", server(&peers.silent)), get),
        Shape::http("closed", "", format!("retries 0\n{}", server(&peers.closing)), get),
        Shape::http("reset", "", format!("retries 0\n{}", server(&peers.resetting)), get),
        Shape::http("garbage", "", server(&peers.garbage), get),
        Shape::http("half-a-body", "", server(&peers.half), get_silently),
        Shape::http(
            "stops-in-body",
            "",
            format!("timeout server 200ms\n{}", server(&peers.stopping)),
            get_silently,
        ),
        Shape::http("no-server", "", format!("{} disabled", good()), get),
        Shape::http("weight-0", "", format!("{} weight 0", good()), get),
        Shape::http("backup", "", format!("{} backup", good()), get),
        Shape::http(
            "weights",
            "",
            format!("{} weight 3\n{} weight 5", good(), good().replace(" s ", " t ")),
            get,
        ),
        Shape::http("queue-over", "", format!("timeout queue 100ms\n{} maxconn 1", server(&peers.slow)), two),
        Shape::http("queued", "", format!("{} maxconn 1", server(&peers.slow)), two),
        Shape::tcp("raw-refused", "", format!("retries 0\n{dead}"), hello),
        Shape::tcp("raw-retried", "", format!("retries 1\ntimeout connect 100ms\n{dead}"), hello),
        Shape::tcp("raw-reset", "", server(&peers.raw_reset), hello),
        Shape::tcp("raw-client-resets", "", server(&peers.echo), |port| {
            let mut client = Client::to(port);
            client.send("hello");
            client.read_exact(5);
            client.reset();
        }),
        Shape::tcp("raw-silent", "", format!("timeout server 200ms\n{}", server(&peers.silent)), hello),
        Shape::tcp("raw-client-silent", "timeout client 200ms", server(&peers.silent), hello),
        Shape::tcp("raw-no-server", "", format!("{} disabled", good()), hello),
    ]
}

/// All proxies on ports of their own, and these.
fn config(shapes: &[Shape]) -> (String, Vec<u16>) {
    let mut text = String::new();
    let mut ports = Vec::new();
    for Shape { name, mode, front, back, .. } in shapes {
        let port = free_port();
        ports.push(port);
        let lines = |text: &str| text.lines().map(|line| format!(" {line}\n")).collect::<String>();
        text.push_str(&format!(
            "frontend f-{name}\n mode {mode}\n timeout client 5s\n bind 127.0.0.1:{port}\n{} default_backend b-{name}\n\
             backend b-{name}\n mode {mode}\n timeout connect 2s\n timeout server 5s\n timeout check 5s\n{}",
            lines(front),
            lines(back)
        ));
    }
    (text, ports)
}

/// Sends each shape's traffic to its port, all at once.
fn drive(shapes: &[Shape], ports: &[u16]) {
    std::thread::scope(|scope| {
        for (shape, port) in shapes.iter().zip(ports) {
            scope.spawn(|| (shape.drive)(*port));
        }
    });
}

/// The values of a table by proxy, service and column; empty ones are left out.
type Table = BTreeMap<(String, String, String), String>;

fn table(lines: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    for line in lines {
        for (name, value) in COLUMNS.iter().zip(&line).filter(|(_, value)| !value.is_empty()) {
            table.insert((line[0].clone(), line[1].clone(), name.to_string()), value.clone());
        }
    }
    table
}

/// HAProxy's `show stat`.
fn of_haproxy(socket: &Path) -> Table {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"show stat\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap().trim_start_matches("# ");
    assert!(head.starts_with(&COLUMNS.join(",")), "the columns are not HAProxy's: {head}");
    table(lines.filter(|line| !line.is_empty()).map(|line| line.split(',').map(Into::into).collect()))
}

/// oneport inside of this process.
struct Inside {
    ask: Sender<()>,
    tables: Receiver<Table>,
}

impl Inside {
    fn start(text: String, ports: &[u16]) -> Self {
        let (ask, asked) = channel();
        let (answer, tables) = channel();
        std::thread::spawn(move || serve(text, asked, answer));
        eventually("oneport listens", || is_listening(ports[ports.len() - 1]));
        Self { ask, tables }
    }

    fn table(&self) -> Table {
        self.ask.send(()).unwrap();
        self.tables.recv().unwrap()
    }
}

/// Runs a gateway until nobody asks any more.
fn serve(text: String, asked: Receiver<()>, answer: Sender<Table>) {
    let loaded = load(&[Source::new("counters.cfg", text)], &|_| None);
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let reactor = Reactor::new().unwrap();
    let options = Options {
        maxconn: 1_000,
        late: Late::Refuse,
        take_over: false,
        log_tag: "oneport".into(),
        sinks: Sinks::new(Zone::of_system()),
    };
    let names = Names::look_up(Names::wanted(&config));
    let gateway = Rc::new(
        Gateway::open(reactor, config, &names, options).unwrap_or_else(|errors| panic!("{errors:?}")),
    );
    gateway.start();
    let steering = async move {
        loop {
            async_io::Timer::after(ms(10)).await;
            match asked.try_recv() {
                Ok(()) => {
                    let shown = |value: &Value| match value {
                        Value::Nothing => String::new(),
                        Value::Number(number) => number.to_string(),
                        Value::Text(text) => text.clone(),
                    };
                    let rows = gateway.stats();
                    let lines = rows.iter().map(|row| row.values().iter().map(shown).collect());
                    answer.send(table(lines)).unwrap();
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
            }
        }
    };
    reactor.run(steering).unwrap();
}

/// A client that comes after another may come before the other's session has ended: how many
/// there were at once is the machine's to say, for one more.
fn is_one_apart(our: &str, their: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    matches!((number(our), number(their)), (Some(our), Some(their)) if our.abs_diff(their) == 1)
}

/// What the two tables say otherwise in these columns, in words.
fn differences(ours: &Table, theirs: &Table, columns: &[&str]) -> Vec<String> {
    let zero = String::from("0");
    let mut found = Vec::new();
    let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for key @ (proxy, service, column) in keys {
        let raw = proxy.contains("-raw");
        let is_compared =
            columns.contains(&column.as_str()) || raw && ["bin", "bout"].contains(&column.as_str());
        if !is_compared {
            continue;
        }
        let value = |table: &Table| table.get(key).unwrap_or(&zero).clone();
        let (our, their) = (value(ours), value(theirs));
        if our == their || column == "smax" && is_one_apart(&our, &their) {
            continue;
        }
        let shape = &proxy[2..];
        if !DIFFERS.iter().any(|(name, differs, _)| *name == shape && differs == column) {
            found.push(format!("{proxy}/{service} {column}: {our}, and HAProxy says {their}"));
        }
    }
    found
}

/// Columns that one program fills in and the other does not.
fn gaps(ours: &Table, theirs: &Table) -> Vec<String> {
    let only_in = |one: &Table, other: &Table| -> Vec<String> {
        let keys = one.keys().filter(|key| !other.contains_key(*key));
        keys.filter(|(_, _, column)| !ONLY_HAPROXY.contains(&column.as_str()))
            .map(|key| format!("{key:?}"))
            .collect()
    };
    let mut found = only_in(theirs, ours);
    found.extend(only_in(ours, theirs).into_iter().map(|key| format!("{key} is ours alone")));
    found
}

/// Runs all shapes through both programs, until their tables agree in these columns.
fn compare(shapes: &[Shape], columns: &[&str]) -> Table {
    let dir = folder();
    let socket = dir.path().join("stats");
    let (text, their_ports) = config(shapes);
    let text = format!("global\n stats socket {}\n{text}", socket.display());
    // Addresses are opened in order, so the last one tells of all.
    let haproxy = Starter::of(Program::Haproxy).ready_port(their_ports[their_ports.len() - 1]).start(&text);
    let (text, our_ports) = config(shapes);
    let inside = Inside::start(text, &our_ports);
    drive(shapes, &their_ports);
    drive(shapes, &our_ports);
    // What is counted at the end of a session comes a moment after it.
    let mut found = Vec::new();
    let started = std::time::Instant::now();
    while started.elapsed() < crate::support::SOON {
        let ours = inside.table();
        let theirs = of_haproxy(&socket);
        found = differences(&ours, &theirs, columns);
        found.extend(gaps(&ours, &theirs));
        if found.is_empty() {
            return ours;
        }
        std::thread::sleep(ms(300));
    }
    drop(haproxy);
    panic!("{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn counters_are_those_of_haproxy() {
    let peers = Peers::start();
    let mut shapes = shapes_of_rules(&peers);
    shapes.extend(shapes_of_faults(&peers));
    let ours = compare(&shapes, &COMPARED);
    let number = |proxy: &str, service: &str, column: &str| -> u64 {
        let key = (proxy.to_string(), service.to_string(), column.to_string());
        ours.get(&key).unwrap_or_else(|| panic!("{key:?}")).parse().unwrap()
    };
    // Bytes are those on the wire; the peers and the client write each of them out.
    let answer_len = ok("hello").len() as u64;
    for (proxy, service) in [("f-three", "FRONTEND"), ("b-three", "s"), ("b-three", "BACKEND")] {
        assert_eq!(number(proxy, service, "bin"), 3 * GET.len() as u64, "{proxy}/{service}");
        assert!(number(proxy, service, "bout").abs_diff(3 * answer_len) < 100, "{proxy}/{service}");
    }
    // The slow server takes 400 ms; one of its two clients waited so long for the other.
    for service in ["s", "BACKEND"] {
        let times = ["qtime", "rtime", "ttime"].map(|column| number("b-queued", service, column));
        assert!(
            times[0] >= 100 && times[1] >= 400 && times[2] >= times[0] + times[1] - 2,
            "{service}: {times:?}"
        );
        assert!(number("b-queued", service, "qtime_max") >= 200);
    }
    assert_eq!(number("b-no-answer", "s", "rtime"), 0, "without an answer there is no time of one");
}

/// What is compared of servers that are checked.
const STATES: [&str; 17] = [
    "status",
    "weight",
    "act",
    "bck",
    "chkfail",
    "chkdown",
    "type",
    "check_status",
    "check_code",
    "check_rise",
    "check_fall",
    "check_health",
    "hanafail",
    "throttle",
    "tracked",
    "algo",
    "uweight",
];

#[test]
fn states_of_servers_are_those_of_haproxy() {
    let (good, web) = (Backend::echo(), Backend::answering(|_| ok("hello")));
    let failing = Backend::answering(|_| b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".to_vec());
    let dead = free_port();
    let idle = |port| drop(Client::to(port));
    let check = "check inter 150 rise 2 fall 3";
    let tcp = |name, back| Shape::tcp(name, "", back, idle);
    let mut shapes = vec![
        tcp("up", format!("server s 127.0.0.1:{} {check}\nserver t 127.0.0.1:{}", good.port, good.port)),
        tcp("down", format!("server s 127.0.0.1:{dead} {check}\nserver t 127.0.0.1:{} backup", good.port)),
        tcp(
            "all-down",
            format!("server s 127.0.0.1:{dead} {check}\nserver t 127.0.0.1:{dead} {check} backup"),
        ),
        tcp(
            "none",
            format!("server s 127.0.0.1:{} disabled\nserver t 127.0.0.1:{} weight 0", good.port, good.port),
        ),
        tcp("drained", format!("server s 127.0.0.1:{} {check} weight 0", good.port)),
        tcp(
            "weights",
            format!(
                "server s 127.0.0.1:{} {check} weight 7\nserver t 127.0.0.1:{dead} {check} weight 9",
                good.port
            ),
        ),
        tcp(
            "tracking",
            format!("server s 127.0.0.1:{dead} {check}\nserver t 127.0.0.1:{} track s", good.port),
        ),
        Shape::http(
            "web",
            "",
            format!(
                "option httpchk\nserver s 127.0.0.1:{} {check}\nserver t 127.0.0.1:{} {check}",
                web.port, failing.port
            ),
            idle,
        ),
    ];
    let algorithms = [
        "roundrobin",
        "static-rr",
        "leastconn",
        "first",
        "source",
        "uri",
        "url_param x",
        "hdr(x)",
        "random(2)",
        "hash path",
    ];
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    shapes.extend(algorithms.iter().zip(names).map(|(algorithm, name)| {
        Shape::http(name, "", format!("balance {algorithm}\nserver s 127.0.0.1:{}", web.port), idle)
    }));
    compare(&shapes, &STATES);
}
