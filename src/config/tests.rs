//! Whole texts through the loader.

mod connections;
mod language;
mod stick;

use super::*;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

fn load_text(text: &str) -> Loaded {
    load(&[Source::new("t.cfg", text)], &|name| match name {
        "FD" => Some("5".to_owned()),
        _ => None,
    })
}

/// The configuration and its warnings, each without place and line.
fn good(text: &str) -> (Config, Vec<String>) {
    let loaded = load_text(text);
    let told = loaded.diagnostics.iter().filter(|d| d.severity != Severity::Detail);
    let messages: Vec<String> = told.map(ToString::to_string).collect();
    match loaded.config {
        Some(config) => (config, messages),
        None => panic!("{}\n---\n{text}", messages.join("\n")),
    }
}

fn errors(text: &str) -> Vec<String> {
    let loaded = load_text(text);
    let shown = |d: &Diagnostic| d.to_string();
    loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(shown).collect()
}

/// Timeouts, and something to send to and from, so that only the tested line can be wrong.
const BASE: &str = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

fn in_frontend(line: &str) -> String {
    format!(
        "{BASE}frontend f\n bind :1\n tcp-request inspect-delay 1s\n default_backend b\n {line}\nbackend b\n"
    )
}

fn in_backend(line: &str) -> String {
    format!("{BASE}frontend f\n bind :1\n default_backend b\nbackend b\n {line}\n")
}

/// The directives of the device gateway's file in the field.
const GATEWAY: &str = "\
global
    maxconn     4096
    nbproc      1

defaults

frontend all
    mode tcp
    bind  *:80
    tcp-request inspect-delay 500ms
    tcp-request content accept if HTTP
    acl is_websocket hdr(upgrade) -i websocket
    use_backend ws_backend if is_websocket
    acl is_socket payload(0,4) -m bin 00000000
    use_backend socket_backend if !HTTP is_socket
    default_backend www_backend
#frontend

backend www_backend
    mode        http
    option      httpclose
    option      forwardfor
    option      http-server-close
    no option   httpclose
    server apache2 localhost:8100 weight 1 maxconn 1024 check
backend ws_backend
    mode        tcp
    server ws_router_out localhost:2200 weight 1 maxconn 1024 check
backend socket_backend
    mode        tcp
    server ws_router_in localhost:2100 weight 1 maxconn 1024 check
";

#[test]
fn the_gateway_file_means_what_it_says() {
    let (config, warnings) = good(GATEWAY);
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(warnings[0].starts_with("t.cfg:3: warning: `nbproc` is ignored"), "{}", warnings[0]);
    let sniffing = "client 50s, http-request 10s, http-keep-alive 10s, tunnel 1h";
    assert!(warnings[1].contains(sniffing), "{}", warnings[1]);
    assert!(warnings[2].contains("connect 5s, server 50s, tunnel 1h"), "{}", warnings[2]);
    assert_eq!(config.global.maxconn, Some(4_096));
    let all = &config.frontends[0];
    assert_eq!(all.binds[0].address, BindAddress::Inet("0.0.0.0:80".parse().unwrap()));
    assert_eq!(all.tcp.request_delay_ms, Some(500));
    assert_eq!(all.default_backend, Some(BackendId(0)));
    assert_eq!(all.use_backends[0].backend, Chosen::Known(BackendId(1)));
    let terms = &all.use_backends[1].condition.as_ref().unwrap().any_of[0];
    let names: Vec<_> = terms.iter().map(|t| (t.negated, all.acls[t.acl.0].name.as_str())).collect();
    assert_eq!(names, [(true, "HTTP"), (false, "is_socket")]);
    assert_eq!(all.timeouts, ClientTimeouts::default());
    let www = &config.backends[0];
    assert_eq!(www.http.connection, ConnectionMode::ServerClose);
    assert_eq!(www.http.forward_for.as_ref().unwrap().header, "X-Forwarded-For");
    assert_eq!(www.timeouts, ServerTimeouts::default());
    assert_eq!(www.servers[0].address, ServerAddress::Inet("localhost".into(), ServerPort::Fixed(8_100)));
    assert_eq!(www.servers[0].maxconn, Some(1_024));
    assert_eq!(www.servers[0].check.unwrap().inter_ms, 2_000);
}

/// The reference files, where they are beside the repository.
#[test]
fn reference_files_load_or_say_what_is_missing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    if !folder.join("single-port.cfg").exists() {
        eprintln!("no ../shared/reference beside the repository: skipped");
        return;
    }
    for (file, loads) in [
        ("single-port.cfg", true),
        ("macos.cfg", true),
        ("two-weights.cfg", true),
        ("load-balancer.cfg", true),
        ("three-sites.cfg", false),
    ] {
        let sources = read_sources(&[folder.join(file)], Reading::First).unwrap();
        let loaded = load(&sources, &|_| None);
        assert_eq!(loaded.config.is_some(), loads, "{file}: {:?}", loaded.diagnostics);
    }
}

#[test]
fn line_ends_marks_and_a_missing_last_newline_make_no_difference() {
    let dos = format!("\u{feff}{}", GATEWAY.trim_end().replace('\n', "\r\n"));
    assert_eq!(format!("{:?}", good(&dos)), format!("{:?}", good(GATEWAY)));
}

#[test]
fn all_errors_come_in_one_go_with_their_places() {
    let text = "global\n maxcon 5\ndefaults\n mod tcp\nfrontend f\n bind :1 nam x\n usebackend b if x\n\
                 default_backend bb\nbackend b\n server a 1.1.1.1:80 chekc\n timeout server 5x\n";
    let all = errors(text);
    let firsts: Vec<&str> = all.iter().map(|e| e.lines().next().unwrap()).collect();
    assert_eq!(
        firsts,
        [
            "t.cfg:2: error: unknown keyword `maxcon` in section global; did you mean `maxconn`?",
            "t.cfg:4: error: unknown keyword `mod` in section defaults; did you mean `mode`?",
            "t.cfg:6: error: unknown bind parameter `nam`; did you mean `name`?",
            "t.cfg:7: error: unknown keyword `usebackend` in section frontend; did you mean `use_backend`?",
            "t.cfg:10: error: unknown server parameter `chekc`; did you mean `check`?",
            "t.cfg:11: error: `5x` has no time unit; expected a time such as 500ms, 5s, 2m, 1h \
             (us, ms, s, m, h, d; without a unit ms)",
            "t.cfg:8: error: there is no backend `bb`; did you mean `b`?",
        ]
    );
    assert!(all[2].ends_with("\n     bind :1 nam x\n             ^^^"), "{}", all[2]);
}

#[test]
fn mistakes_and_what_is_said_of_them() {
    for (text, part) in [
        (in_frontend("server a 1.1.1.1:80"), "`server` is allowed only in listen and backend"),
        (in_backend("bind :80"), "`bind` is allowed only in frontend and listen"),
        (in_backend("daemon"), "`daemon` is allowed only in global"),
        (in_frontend("stats socket /s"), "allowed only in global"),
        (in_backend("appsession x"), "write `cookie`"),
        (in_frontend("cliexp a b"), "write `http-request replace-header"),
        (in_frontend("reqirep a"), "a line was expected behind this word"),
        (in_frontend("reqadd a"), "expected a line `Name: value` in one word"),
        (in_frontend("no reqirep a b"), "`no` cannot stand before `reqirep`"),
        (in_backend("option http_proxy"), "write `server` lines"),
        (in_backend("option external-check"), "never runs another program"),
        (in_backend("cookie"), "`cookie` needs an argument"),
        (in_backend("fullconn x"), "expected a number"),
        (in_backend("stats auth nobody"), "`nobody` is not USER:PASSWORD"),
        (in_backend("stats refresh 5x"), "no time unit"),
        (in_backend("option persist x"), "`option persist` takes no arguments"),
        (in_backend("cookie A insert prefix"), "exclude each other"),
        (in_backend("cookie A rewrite indirect"), "exclude each other"),
        (in_backend("cookie A preserve"), "needs `insert` or `indirect`"),
        (in_backend("cookie A insert inderect"), "did you mean `indirect`"),
        (in_backend("cookie A insert attr a;b"), "`a;b` cannot be a part of a cookie"),
        (in_backend("cookie A insert domain"), "`domain` needs a value"),
        (in_backend("cookie A insert maxlife 69y"), "no time unit"),
        (in_backend("force-persist"), "`force-persist` needs a condition"),
        (in_backend("dynamic-cookie-key"), "needs the key"),
        (in_backend("server a 1.1.1.1:80 cookie"), "`cookie` needs a value"),
        (in_backend("server a 1.1.1.1:80 ssl verify none"), "`ssl` is refused: TLS is not built"),
        (in_frontend("bind :80 proto h2"), "not built it yet"),
        (in_frontend("ring r"), "HAProxy has the section `ring`"),
        (in_backend("balence x"), "did you mean `balance`"),
        (in_backend("option httpchek"), "did you mean `option httpchk`"),
        (in_frontend("tcp-response content accept"), "`tcp-response content` is allowed only in"),
        (in_backend("tcp-request connection accept"), "`tcp-request connection` is allowed only in"),
        (in_frontend("timeout cleint 5s"), "did you mean `timeout client`"),
        (in_frontend("option http-tunnel"), "is refused"),
        (in_frontend("no timeout client"), "`no` cannot stand before `timeout client`"),
        (in_frontend("timeout client"), "`timeout client` needs a time"),
        (in_frontend("timeout client 1s 2s"), "unexpected `2s`"),
        (in_frontend("option tcplog x"), "takes no arguments"),
        (in_frontend("mode htp"), "expected tcp or http"),
        (in_frontend("bind :80 ssl crt x"), "TLS"),
        (in_frontend("bind :80 name"), "needs a value"),
        (in_frontend("bind :80 mode 999"), "octal"),
        (in_frontend("maxconn 10k"), "expected a number"),
        (in_frontend("tcp-request content deny"), "the action `deny` of `tcp-request content` is not built"),
        (in_frontend("tcp-request content accept when HTTP"), "expected `if`"),
        (in_frontend("use_backend b if nope"), "no ACL called `nope`"),
        (in_frontend("use_backend c"), "there is no backend `c`"),
        (in_frontend("use_backend %[hdr(host)"), "never closed"),
        (in_frontend("use_backend b%%"), "there is no backend `b%`"),
        (in_frontend("use-server s if TRUE"), "`use-server` is allowed only in listen and backend"),
        (in_backend("server s 1.1.1.1:80\n use-server s"), "expected `use-server NAME if|unless"),
        (in_backend("server srv 1.1.1.1:80\n use-server serv if TRUE"), "did you mean `srv`"),
        (in_backend("http-request wait-for-body at-least 5"), "needs `time"),
        (in_backend("http-request wait-for-body time"), "a time was expected"),
        (in_frontend("use_backend f"), "there is no backend `f`"),
        (in_frontend("acl or always_true"), "cannot be called `or`"),
        (in_frontend("acl a,b always_true"), "cannot stand in a ACL name"),
        (in_frontend("log"), "expected `log"),
        (in_frontend("log 127.0.0.1"), "facility is missing"),
        (in_frontend("log 127.0.0.1 locl0"), "did you mean `local0`"),
        (in_frontend("log 127.0.0.1 len 5 local0"), "80"),
        (in_frontend("log 127.0.0.1 format rfc9999 local0"), "expected a format"),
        (in_frontend("option forwardfor except nowhere"), "is no address or network"),
        (in_frontend("option forwardfor header a:b"), "no header name"),
        (in_frontend("'unclosed"), "never closed"),
        (in_backend("balance rounrobin"), "did you mean `roundrobin`"),
        (in_backend("balance"), "expected `balance` and roundrobin, static-rr"),
        (in_backend("balance uri depht 2"), "did you mean `depth`"),
        (in_backend("balance uri len"), "a number is missing"),
        (in_backend("balance uri len 0"), "expected a number from 1"),
        (in_backend("balance uri(x)"), "`uri` takes nothing in parentheses"),
        (in_backend("balance url_param"), "needs the name of a parameter"),
        (in_backend("balance url_param id foo"), "expected `check_post`"),
        (in_backend("balance url_param id check_post soon"), "expected a number"),
        (in_backend("balance hdr"), "`hdr` needs the name of a header"),
        (in_backend("balance hdr(a:b)"), "`hdr` needs the name of a header"),
        (in_backend("balance hdr(host) domain"), "expected `use_domain_only`"),
        (in_backend("balance random(0)"), "expected a number from 1 to 1000"),
        (in_backend("balance random(3"), "is never closed"),
        (in_backend("balance hash"), "`hash` needs an expression"),
        (in_backend("balance hash req.hdr(a) b"), "unexpected `b`"),
        (in_backend("balance hash res.hdr(a)"), "the server has not answered yet"),
        (in_backend("hash-type avalanche"), "expected map-based or consistent"),
        (in_backend("hash-type"), "expected `hash-type` and map-based or consistent"),
        (in_backend("hash-type consistent crc23"), "did you mean `crc32`"),
        (in_backend("hash-type map-based sdbm avalance"), "did you mean `avalanche`"),
        (in_backend("hash-balance-factor 100"), "expected 0, or a percentage above 100"),
        (in_backend("hash-preserve-affinity maxcon"), "did you mean `maxconn`"),
        (in_backend("server a"), "expected `server NAME"),
        (in_backend("server a 1.1.1.1:80\n server a 1.1.1.2:80"), "has a server `a` already, in line 9"),
        (in_backend("server a 1.1.1.1:80 weight 257"), "from 0 to 256"),
        (in_backend("server a 1.1.1.1:80 inter 0"), "cannot be 0"),
        (in_frontend("frontend f\n bind :2"), "there is a frontend `f` already, at t.cfg:5"),
        (in_frontend("listen b\n bind :2"), "there is a listen `b` already"),
        (in_frontend("frontend g from none"), "no `defaults` section called `none`"),
        (in_frontend("backend g :80"), "a section's heading is `backend NAME"),
        (in_frontend("frontend g nonsense"), "has no port"),
        (in_frontend("frontend"), "needs a name"),
        ("bind :80".to_owned(), "stands before the first section"),
        (String::new(), "nothing to listen on"),
        (
            in_frontend(
                "mode http\nbackend t\n mode tcp\nfrontend g\n mode http\n bind :2\n default_backend t",
            ),
            "cannot send to",
        ),
        (in_backend("server a 1.1.1.1 check"), "no port to be checked at"),
        (
            in_backend(
                "option tcp-check\n tcp-check connect port 8\n tcp-check connect\n server a 1.1.1.1 check",
            ),
            "no port to be checked at",
        ),
    ] {
        let all = errors(&text);
        assert!(all.iter().any(|e| e.contains(part)), "{text}\nwanted: {part}\n{}", all.join("\n"));
    }
}

#[test]
fn oddities_are_warnings_and_no_more() {
    for (text, part) in [
        (in_backend("backend lonely"), "no frontend sends to backend `lonely`"),
        (in_frontend("frontend g\n default_backend b"), "has no `bind` line"),
        (in_frontend("frontend g\n bind :2"), "neither `default_backend` nor `use_backend`"),
        (in_frontend("acl a hdr(host)"), "no pattern"),
        (in_backend("contimeout 5000"), "old spelling of `timeout connect`"),
        (in_backend("option forceclose"), "old spelling of `option httpclose`"),
        (in_backend("redispatch"), "option redispatch"),
        (in_frontend("option httpchk"), "no effect here: `option httpchk` is allowed only in"),
        (in_backend("http-check expect status 200"), "do nothing without `option httpchk`"),
        (
            in_backend("cookie A\n no option persist\n server a 1.1.1.1:1 id 5 cookie b redir /x"),
            "`cookie` has no effect in `mode tcp`",
        ),
        (in_backend("balance hdr(host)"), "needs `mode http`: servers take turns"),
        (in_backend("balance source foo"), "`balance source` takes nothing more"),
        (in_backend("server a 1.1.1.1:80 resolvers x verify none weight 2"), "`resolvers` is not active"),
        (in_backend("stats refresh 30"), "no statistics page"),
        (in_backend("grace 5s"), "ignored: a stop closes"),
        (in_backend("peers p\n peer a 1.1.1.1:1\n nonsense 'x"), "`peers` is not active yet"),
        (in_frontend("frontend g :80 name x\n default_backend b"), "the old spelling of `bind`"),
        (in_backend("maxconn 5"), "no effect here"),
        (in_frontend("timeout server 5s"), "no effect here"),
        (
            in_backend("frontend g\n bind :2\n default_backend b\n tcp-request content accept if HTTP"),
            "inspect-delay",
        ),
        (format!("global\n maxconn 1\n maxconn 2\n{}", in_backend("")), "set before"),
        (format!("global\n tune.maxrewrite 16000\n{}", in_backend("")), "more than half"),
    ] {
        let (_, warnings) = good(&text);
        assert_eq!(warnings.len(), 1, "{text}\n{warnings:?}");
        assert!(warnings[0].contains(part), "{text}\nwanted: {part}\n{}", warnings[0]);
    }
}

#[test]
fn a_frontend_that_answers_by_itself_needs_no_backend() {
    for (rule, told) in [
        ("http-request return status 200", 0),
        ("redirect scheme https", 0),
        ("http-request deny if TRUE", 1),
        ("http-request allow", 1),
    ] {
        let (_, warnings) = good(&in_frontend(&format!("frontend g\n mode http\n bind :2\n {rule}")));
        let of_backends = warnings.iter().filter(|warning| warning.contains("neither `default_backend`"));
        assert_eq!(of_backends.count(), told, "{rule}: {warnings:?}");
    }
    let (_, warnings) = good(&in_frontend("monitor-net 192.0.2.0/24"));
    assert!(warnings[0].contains("old spelling of `http-request return"), "{warnings:?}");
}

#[test]
fn defaults_start_afresh_and_can_be_named() {
    let text = "\
defaults base
 timeout client 1s
 timeout server 2s
 timeout connect 3s
 mode http
defaults other from base
 timeout client 7s
defaults
 timeout client 9s
 timeout server 9s
 timeout connect 9s
frontend a
 bind :1
 default_backend x
frontend b from other
 bind :2
 default_backend y
backend x
backend y from base
";
    let (config, warnings) = good(text);
    assert!(warnings.is_empty(), "{warnings:?}");
    let seen: Vec<_> = config.frontends.iter().map(|f| (f.mode, f.timeouts.client_ms)).collect();
    assert_eq!(seen, [(Mode::Tcp, 9_000), (Mode::Http, 7_000)]);
    assert_eq!(config.backends[1].timeouts.connect_ms, 3_000);
    assert_eq!(config.backends[0].timeouts.tunnel_ms, None);
}

#[test]
fn a_listen_is_both_sides() {
    let text =
        format!("{BASE}listen l\n bind :80,unix@/s mode 660 name n\n server a /run/a backup disabled\n");
    let (config, warnings) = good(&text);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.frontends[0].default_backend, Some(BackendId(0)));
    assert_eq!(config.frontends[0].binds.len(), 2);
    assert_eq!(config.frontends[0].binds[1].unix_mode, Some(0o660));
    assert!(config.backends[0].servers[0].backup && config.backends[0].servers[0].disabled);
}

#[test]
fn disabled_proxies_do_not_listen_and_have_no_server() {
    let text =
        in_backend("server a 1.1.1.1:1\n disabled\nfrontend off\n bind :9\n disabled\n default_backend b");
    let (config, warnings) = good(&text);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.frontends.len(), 1);
    assert!(config.backends[0].servers[0].disabled);
}

#[test]
fn options_and_their_no_forms() {
    let (config, _) = good(&in_frontend(
        "no option tcpka\n option clitcpka\n option httplog\n option tcplog\n no option httplog\n \
         option dontlognull\n option httpclose\n no option http-server-close\n \
         option forwardfor header X-Real-IP if-none",
    ));
    let f = &config.frontends[0];
    assert!(f.tcp_keepalive && f.dont_log_null);
    assert_eq!(f.log_format, LogFormat::Tcp);
    assert_eq!(f.http.connection, ConnectionMode::Close);
    let forward_for = ForwardFor { header: "X-Real-IP".into(), if_none: true, except: None };
    assert_eq!(f.http.forward_for, Some(forward_for));
}

#[test]
fn logs_are_global_own_or_none() {
    let text = "\
global
 log 127.0.0.1 len 2048 format raw local3 err notice
 log stderr daemon
defaults
 log global
 timeout client 1s
 timeout server 1s
 timeout connect 1s
frontend a
 bind :1
 log /dev/log local0
 default_backend b
frontend c
 bind :2
 no log
 default_backend b
backend b
";
    let (config, _) = good(text);
    let udp = &config.frontends[0].logs[0];
    assert_eq!(udp.address, LogAddress::Udp("127.0.0.1".into(), 514));
    let rest = (udp.len_bytes, udp.format, udp.facility, udp.level, udp.min_level);
    assert_eq!(rest, (2_048, LogWire::Raw, 19, 3, 5));
    assert_eq!(config.frontends[0].logs.len(), 3);
    assert!(config.frontends[1].logs.is_empty());
    assert_eq!(config.backends[0].logs.len(), 2);
}

#[test]
fn keep_alive_falls_back_to_http_request() {
    let (config, _) = good(&in_frontend("timeout http-request 3s\n timeout tunnel 0"));
    let t = config.frontends[0].timeouts;
    assert_eq!((t.http_request_ms, t.http_keep_alive_ms, t.tunnel_ms), (3_000, 3_000, Some(0)));
}

#[test]
fn environment_reaches_quotes_and_addresses() {
    let (config, _) = good(&in_frontend("bind fd@${FD}\n bind \"[::1]:${PORT-8080}\"\n bind :70-72"));
    let addresses: Vec<_> = config.frontends[0].binds.iter().skip(1).map(|b| b.address.clone()).collect();
    assert_eq!(addresses[0], BindAddress::Fd(5));
    assert_eq!(addresses[1], BindAddress::Inet("[::1]:8080".parse::<SocketAddr>().unwrap()));
    assert_eq!(addresses.len(), 5);
}

#[test]
fn sections_do_not_run_on_into_the_next_file() {
    let sources = [Source::new("a.cfg", GATEWAY), Source::new("b.cfg", "bind :90\n")];
    let loaded = load(&sources, &|_| None);
    let error = loaded.diagnostics.iter().find(|d| d.severity == Severity::Error).unwrap();
    assert!(error.to_string().starts_with("b.cfg:1: error: `bind` stands before"), "{error}");
}

#[test]
fn errors_are_bounded() {
    let loaded = load_text(&format!("global\n{}", " nonsense\n".repeat(5_000)));
    assert_eq!(loaded.diagnostics.len(), DIAGNOSTICS_MAX + 1);
    assert!(loaded.config.is_none());
}

/// Four lines for each: an ACL, a rule, and a backend with its server.
fn many_backends(count: usize) -> String {
    let mut text = BASE.to_owned();
    text.push_str("frontend f\n bind :1\n tcp-request inspect-delay 1s\n");
    for i in 0..count {
        let _ = write!(text, " acl a{i} hdr(host) -i h{i}.example\n use_backend b{i} if a{i} !HTTP\n");
    }
    for i in 0..count {
        let _ = write!(text, "backend b{i}\n server s{i} 127.0.0.1:{} check\n", i + 1);
    }
    text
}

/// Processor time of this thread alone: other tests and a busy machine do not count.
fn processor_us(work: impl FnOnce()) -> i64 {
    let now_us = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        #[allow(clippy::useless_conversion, reason = "32 bits wide on some targets")]
        let (seconds, nanoseconds) = (i64::from(now.tv_sec), i64::from(now.tv_nsec));
        seconds * 1_000_000 + nanoseconds / 1_000
    };
    let begun_us = now_us();
    work();
    now_us() - begun_us
}

#[test]
fn ten_thousand_lines_take_as_long_as_four_times_a_quarter_of_them() {
    let load_us = |count: usize| {
        let text = many_backends(count);
        processor_us(|| {
            let (config, warnings) = good(&text);
            assert!(warnings.is_empty(), "{warnings:?}");
            assert_eq!(config.backends.len(), count);
        })
    };
    let (quarter_us, whole_us) = (load_us(625), load_us(2_500));
    // 4 is linear, 16 quadratic.
    assert!(whole_us < 10 * quarter_us, "{quarter_us} us became {whole_us} us");
}

#[test]
fn root_in_a_chroot_is_warned_of_however_it_is_written() {
    let warnings = |lines: &str| {
        let text = format!("global\n{lines}\nlisten l\n bind :1\n");
        let loaded = load(&[Source::new("p.cfg", text)], &|_| None);
        let messages = loaded.diagnostics.into_iter().map(|diagnostic| diagnostic.message);
        messages.filter(|message| message.contains("without `")).collect::<Vec<_>>()
    };
    for lines in [" chroot /srv", " chroot /srv\n user root", " uid 0\n chroot /srv\n group nogroup"] {
        let all = warnings(lines);
        assert!(all.len() == 1 && all[0].contains("root knows ways out"), "{lines}: {all:?}");
    }
    assert!(warnings(" chroot /srv\n user nobody")[0].contains("`user` without `group`"));
    for lines in [" user root", " uid 0", " chroot /srv\n user nobody\n group nogroup"] {
        assert_eq!(warnings(lines), [""; 0], "{lines}");
    }
}
