//! What lines say of connections to servers and from clients.

use super::*;
use crate::config::{Foreign, NO_SERVER, Pool, Server, ServerAddress, ServerPort, SourceAddress, TcpTuning};

fn loaded(text: &str) -> Config {
    let loaded = load_text(text);
    loaded.config.unwrap_or_else(|| panic!("{text}\n{:?}", loaded.diagnostics))
}

fn servers(lines: &str) -> Vec<Server> {
    loaded(&in_backend(lines)).backends.pop().unwrap().servers
}

#[test]
fn sources_of_servers() {
    let all = servers(
        "server a 1.1.1.1:80 source 127.0.0.2\n server b 1.1.1.1:80 source *:70-80 usesrc client interface eth0\n \
         default-server source 127.0.0.9 usesrc clientip\n server c 1.1.1.1:80\n server d 1.1.1.1:80 source 127.0.0.3:5",
    );
    let source = |at: usize| all[at].source.clone().unwrap();
    let ip = |text: &str| Some(text.parse().unwrap());
    assert_eq!(source(0), SourceAddress { address: ip("127.0.0.2"), ..SourceAddress::default() });
    let wanted = SourceAddress {
        address: None,
        ports: Some((70, 80)),
        foreign: Some(Foreign::Client),
        interface: Some("eth0".into()),
    };
    assert_eq!(source(1), wanted);
    assert_eq!(source(2).foreign, Some(Foreign::ClientIp));
    // What a `source` says begins anew.
    assert_eq!((source(3).foreign, source(3).ports), (None, Some((5, 5))));
}

#[test]
fn the_source_of_a_backend_is_inherited() {
    let text = in_backend("source 0.0.0.0 usesrc hdr_ip(X-Ip,2) interface lo\n server a 1.1.1.1:80");
    let source = loaded(&text).backends[0].source.clone().unwrap();
    assert_eq!(source.foreign, Some(Foreign::Header("X-Ip".into(), 2)));
    assert_eq!(source.interface.as_deref(), Some("lo"));
    for (word, wanted) in [
        ("hdr_ip(a)", Foreign::Header("a".into(), -1)),
        ("1.2.3.4:80", Foreign::Address("1.2.3.4:80".parse().unwrap())),
        ("[::1]", Foreign::Address("[::1]:0".parse().unwrap())),
    ] {
        let text = format!("defaults\n source * usesrc {word}\nlisten l\n bind :1\n server s 1.1.1.1:80\n");
        assert_eq!(loaded(&text).backends[0].source.clone().unwrap().foreign, Some(wanted), "{word}");
    }
}

#[test]
fn pools_and_values_for_the_kernel() {
    let text = in_backend(
        "srvtcpka-cnt 4\n srvtcpka-idle 1m\n srvtcpka-intvl 7\n option nolinger\n http-send-name-header X-Srv\n \
         server a 1.1.1.1:80 pool-max-conn 5 pool-purge-delay 1s max-reuse 0 tcp-ut 4s tfo id 7 proto h1 ws auto\n \
         server b 1.1.1.1:80 pool-max-conn -1 max-reuse -1 tfo no-tfo",
    );
    let mut config = loaded(&text);
    let backend = config.backends.pop().unwrap();
    let tuning = TcpTuning { probes: 4, idle_s: 60, interval_s: 7, no_linger: true, ..TcpTuning::default() };
    assert_eq!((backend.tuning, backend.send_name.as_deref()), (tuning, Some("X-Srv")));
    let [a, b] = backend.servers.as_slice() else { panic!() };
    assert_eq!(a.pool, Pool { max: 5, keep_ms: 1_000, reuse_max: 0 });
    assert_eq!((a.user_timeout_ms, a.fast_open, a.id), (4_000, true, 7));
    assert_eq!((b.pool, b.fast_open, b.id), (Pool::default(), false, 2));
    let text =
        in_frontend("clitcpka-idle 50\n bind :2 interface lo mss 1400 tcp-ut 5s tfo\n bind :3 mss -100");
    let frontend = loaded(&text).frontends.pop().unwrap();
    let [first, tuned, less] = frontend.binds.as_slice() else { panic!() };
    let wanted =
        TcpTuning { user_timeout_ms: 5_000, idle_s: 50, mss: 1_400, fast_open: true, ..first.tuning };
    assert_eq!((tuned.tuning, tuned.interface.as_deref()), (wanted, Some("lo")));
    assert_eq!((less.tuning, first.tuning.idle_s), (first.tuning, 50));
}

#[test]
fn templates_make_servers() {
    let all = servers("server-template w 2 host.example:80 weight 9\n server-template v 5-6 1.1.1.1:80 id 9");
    let facts: Vec<_> = all.iter().map(|s| (s.name.as_str(), s.weight, s.nth_address, s.id)).collect();
    let wanted = [("w1", 9, Some(0), 1), ("w2", 9, Some(1), 2), ("v5", 1, None, 9), ("v6", 1, None, 4)];
    assert_eq!(facts, wanted);
}

#[test]
fn servers_without_a_name() {
    let all = servers("server s 1.1.1.1:80\n dispatch 127.0.0.1:81");
    let [named, direct] = all.as_slice() else { panic!() };
    assert!(named.disabled && !direct.disabled);
    assert_eq!(direct.name, NO_SERVER);
    assert_eq!(direct.address, ServerAddress::Inet("127.0.0.1".into(), ServerPort::Fixed(81)));
    let all = servers("option transparent");
    assert_eq!(all[0].address, ServerAddress::FromClient(ServerPort::FromClient(0)));
    assert!(servers("option transparent\n no option transparent").is_empty());
}

#[test]
fn mistakes() {
    let server = |words: &str| in_backend(&format!("server s 1.1.1.1:80 {words}"));
    for (text, part) in [
        (in_backend("source"), "expected `source ADDRESS"),
        (in_backend("source 127.0.0.1:1-9"), "stands in `server … source`"),
        (in_backend("source host"), "`host` is a name"),
        (in_backend("source /tmp/x"), "not from a unix socket"),
        (in_backend("source * usesrc"), "`usesrc` needs a value"),
        (in_backend("source * via x"), "expected `usesrc` or `interface`"),
        (in_backend("source * usesrc clientp"), "expected an address, client, clientip or hdr_ip"),
        (in_backend("source * usesrc hdr_ip(x,0)"), "other than 0"),
        (in_backend("source * usesrc hdr_ip(x,-11)"), "-10 is the farthest"),
        (in_backend("source * usesrc hdr_ip()"), "no header name"),
        (in_backend("source * usesrc hdr_ip(x"), "`)` is missing"),
        (in_backend("source * interface a/b"), "no name of an interface"),
        (server("usesrc client"), "stand behind `source`"),
        (server("source 1.1.1.1:9-1"), "runs backwards"),
        (server("pool-max-conn -2"), "-1 for any"),
        (server("max-reuse x"), "-1 for any"),
        (server("pool-purge-delay x"), "no time"),
        (server("id 0"), "1 to"),
        (server("id 5\n server t 1.1.1.1:80 id 5"), "the server `s` has the `id` 5 already"),
        (server("ws h2"), "only HTTP/1 is spoken"),
        (server("proto h2"), "only HTTP/1 is spoken"),
        (server("namespace n"), "`namespace` is refused"),
        (server("socks4 1.1.1.1:1"), "`socks4` is refused"),
        (server("send-proxy-v2-ssl"), "write `send-proxy-v2`"),
        (in_backend("server-template w 2"), "expected `server-template PREFIX"),
        (in_backend("server-template w 0 1.1.1.1:80"), "expected a number or a range"),
        (in_backend("server-template w 3-1 1.1.1.1:80"), "expected a number or a range"),
        (in_backend("server-template w 1-99999 1.1.1.1:80"), "at most 4096"),
        (in_backend("server w2 1.1.1.1:80\n server-template w 2 1.1.1.1:80"), "has a server `w2` already"),
        (in_backend("dispatch 127.0.0.1"), "expected an address with a port"),
        (in_backend("dispatch *:80"), "expected an address with a port"),
        (in_backend("dispatch 127.0.0.1:80 x"), "unexpected `x`"),
        (in_backend("option transparent x"), "takes no argument"),
        (in_backend("http-send-name-header a:b"), "no header name"),
        (in_backend("srvtcpka-cnt 200"), "from 0 to 127"),
        (in_backend("srvtcpka-idle 10h"), "at most 32767 seconds"),
        (in_frontend("bind :2 mss 0"), "1 to 65535"),
        (in_frontend("bind :2 interface"), "needs a value"),
        (in_frontend("bind :2 namespace x"), "`namespace` is refused"),
    ] {
        let all = errors(&text);
        assert!(all.iter().any(|e| e.contains(part)), "{text}\nwanted: {part}\n{}", all.join("\n"));
    }
}
