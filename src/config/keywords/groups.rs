//! Keywords that are read and do nothing, or are refused, many for one reason. One string a group, names separated by
//! `|`, since an entry each would weigh ten times as much.

use super::Status::{self, AcceptedIgnored, NotYet, Refused, Silent};
use super::takes::Takes;
use super::{Sections, entry_of, listed};

/// Keywords of sections that share what becomes of them.
pub(crate) struct Group {
    /// Where they may stand.
    pub sections: Sections,
    /// What their arguments look like.
    pub takes: Takes,
    /// What becomes of them, and why.
    pub status: Status,
    /// Their names, separated by `|`.
    pub names: &'static str,
}

/// Parameters of `bind` or `server` lines that share what becomes of them.
pub(crate) struct Parameters {
    /// Whether a value follows.
    pub value: bool,
    /// What becomes of them, and why.
    pub status: Status,
    /// Their names, separated by `|`.
    pub names: &'static str,
}

const GLOBAL: Sections = Sections::GLOBAL;
const PROXIES: Sections = Sections::PROXIES;
const CLIENT: Sections = Sections::CLIENT_SIDE;
const SERVER: Sections = Sections::SERVER_SIDE;

const TLS: &str = "TLS is not built, and what asks for it is refused";
const STATISTICS: &str = "there is no statistics page yet";
const NO_PROGRAMS: &str = "oneport never runs another program; `check` alone connects to the server";
const STATE_FILES: &str = "the states of servers are not kept over a restart";
const ONE_THREAD: &str = "oneport serves on one thread";
const NAMESPACE: &str = "it would need a process of its own in that network namespace; start oneport in it";
const NO_COMPRESSION: &str = "answers pass as they are";
const NEVER_TUNED: &str = "it tunes what is not built in this way here";
const STRICT: &str = "what the standard forbids is answered with 400 or 502";

const fn group(sections: Sections, takes: Takes, status: Status, names: &'static str) -> Group {
    Group { sections, takes, status, names }
}

/// Keywords of sections.
pub(crate) const GROUPS: &[Group] = &[
    group(
        GLOBAL,
        Takes::Any,
        Silent(NEVER_TUNED),
        "tune.applet.zero-copy-forwarding|tune.buffers.limit|tune.buffers.reserve|tune.chksize|tune.comp.maxlevel|\
         tune.disable-fast-forward|tune.disable-zero-copy-forwarding|tune.epoll.mask-events|\
         tune.events.max-events-at-once|tune.fail-alloc|tune.fd.edge-triggered|tune.glitches.kill.cpu-usage|\
         tune.h1.zero-copy-fwd-recv|tune.h1.zero-copy-fwd-send|tune.h2.be.glitches-threshold|\
         tune.h2.be.initial-window-size|tune.h2.be.max-concurrent-streams|tune.h2.be.rxbuf|\
         tune.h2.fe.glitches-threshold|tune.h2.fe.initial-window-size|tune.h2.fe.max-concurrent-streams|\
         tune.h2.fe.max-total-streams|tune.h2.fe.rxbuf|tune.h2.header-table-size|tune.h2.initial-window-size|\
         tune.h2.max-concurrent-streams|tune.h2.max-frame-size|tune.h2.zero-copy-fwd-send|tune.http.cookielen|\
         tune.http.logurilen|tune.http.maxhdr|tune.idle-pool.shared|tune.idletimer|tune.listener.default-shards|\
         tune.listener.multi-queue|tune.lua.bool-sample-conversion|tune.lua.burst-timeout|tune.lua.forced-yield|\
         tune.lua.log.loggers|tune.lua.log.stderr|tune.lua.maxmem|tune.lua.openlibs|tune.lua.service-timeout|\
         tune.lua.session-timeout|tune.lua.task-timeout|tune.max-checks-per-thread|tune.max-rules-at-once|\
         tune.maxaccept|tune.maxpollevents|tune.memory.hot-size|tune.notsent-lowat.client|tune.notsent-lowat.server|\
         tune.pattern.cache-size|tune.peers.max-updates-at-once|tune.pipesize|tune.pool-high-fd-ratio|\
         tune.pool-low-fd-ratio|tune.pt.zero-copy-forwarding|tune.quic.cc-hystart|tune.quic.cc.cubic.min-losses|\
         tune.quic.disable-tx-pacing|tune.quic.disable-udp-gso|tune.quic.frontend.conn-tx-buffers.limit|\
         tune.quic.frontend.default-max-window-size|tune.quic.frontend.max-data-size|\
         tune.quic.frontend.max-idle-timeout|tune.quic.frontend.max-streams-bidi|tune.quic.frontend.max-tx-mem|\
         tune.quic.frontend.stream-data-ratio|tune.quic.max-frame-loss|tune.quic.reorder-ratio|\
         tune.quic.retry-threshold|tune.quic.socket-owner|tune.quic.zero-copy-fwd-send|tune.rcvbuf.backend|\
         tune.rcvbuf.client|tune.rcvbuf.frontend|tune.rcvbuf.server|tune.recv_enough|tune.renice.runtime|\
         tune.renice.startup|tune.ring.queues|tune.runqueue-depth|tune.sched.low-latency|tune.sndbuf.backend|\
         tune.sndbuf.client|tune.sndbuf.frontend|tune.sndbuf.server|tune.stick-counters|\
         tune.takeover-other-tg-connections|tune.vars.check-max-size|tune.vars.global-max-size|\
         tune.vars.proc-max-size|tune.vars.reqres-max-size|tune.vars.sess-max-size|tune.vars.txn-max-size|\
         tune.zlib.memlevel|tune.zlib.windowsize|maxpipes|no-memory-trimming|profiling.memory|profiling.tasks|\
         warn-blocked-traffic-after|stats timeout|stats maxconn|stats bind-process|busy-polling|\
         expose-deprecated-directives|expose-experimental-directives",
    ),
    group(
        GLOBAL,
        Takes::Any,
        Silent(TLS),
        "ca-base|crt-base|issuers-chain-path|key-base|limited-quic|maxsslconn|maxsslrate|ocsp-update.disable|\
         ssl-default-bind-ciphers|ssl-default-bind-ciphersuites|ssl-default-bind-client-sigalgs|\
         ssl-default-bind-curves|ssl-default-bind-options|ssl-default-bind-sigalgs|ssl-default-server-ciphers|\
         ssl-default-server-ciphersuites|ssl-default-server-client-sigalgs|ssl-default-server-curves|\
         ssl-default-server-options|ssl-default-server-sigalgs|ssl-dh-param-file|ssl-engine|ssl-load-extra-del-ext|\
         ssl-load-extra-files|ssl-mode-async|ssl-propquery|ssl-provider|ssl-provider-path|ssl-security-level|\
         ssl-server-verify|ssl-skip-self-issued-ca|tune.ssl.cachesize|tune.ssl.capture-buffer-size|\
         tune.ssl.capture-cipherlist-size|tune.ssl.certificate-compression|tune.ssl.default-dh-param|\
         tune.ssl.force-private-cache|tune.ssl.hard-maxrecord|tune.ssl.keylog|tune.ssl.lifetime|\
         tune.ssl.maxrecord|tune.ssl.ocsp-update.maxdelay|tune.ssl.ocsp-update.mindelay|\
         tune.ssl.ssl-ctx-cache-size",
    ),
    group(
        GLOBAL,
        Takes::Any,
        Silent(ONE_THREAD),
        "cpu-map|cpu-policy|cpu-set|nbthread|numa-cpu-mapping|thread-group|thread-groups|thread-hard-limit",
    ),
    group(
        GLOBAL,
        Takes::Nothing,
        Silent("the loop is epoll's, and bytes are the same however they are carried"),
        "noepoll|noevports|nogetaddrinfo|nokqueue|noktls|nopoll|noreuseport|nosepoll|nosplice",
    ),
    group(
        GLOBAL,
        Takes::Any,
        Silent("there is no master process; SIGUSR2 and SIGHUP reload"),
        "master-worker|mworker-max-reloads|mworker-prealias",
    ),
    group(
        GLOBAL,
        Takes::Any,
        Silent(
            "HTTP/2, a client for HTTP, and peers are not built; names of header fields pass as they came",
        ),
        "cluster-secret|h1-case-adjust|h1-case-adjust-file|h2-workaround-bogus-websocket-clients|\
         httpclient.resolvers.disabled|httpclient.resolvers.id|httpclient.resolvers.prefer|httpclient.retries|\
         httpclient.ssl.ca-file|httpclient.ssl.verify|httpclient.timeout.connect",
    ),
    group(
        GLOBAL,
        Takes::Any,
        AcceptedIgnored("compression is not built"),
        "maxcompcpuusage|maxcomprate|maxzlibmem",
    ),
    group(
        GLOBAL,
        Takes::Nothing,
        AcceptedIgnored("where there are too few descriptors maxconn is lowered, with a warning"),
        "strict-limits",
    ),
    group(
        GLOBAL,
        Takes::Number,
        AcceptedIgnored("`ulimit-n` and `maxconn` bound the descriptors"),
        "fd-hard-limit",
    ),
    group(GLOBAL, Takes::Any, AcceptedIgnored(NO_PROGRAMS), "external-check"),
    group(GLOBAL, Takes::Any, NotYet("closing is not spread over time"), "close-spread-time"),
    group(GLOBAL, Takes::AtLeastOne, NotYet("there is no statistics socket yet"), "stats socket"),
    group(GLOBAL, Takes::AtLeastOne, NotYet(STATE_FILES), "server-state-base|server-state-file"),
    group(GLOBAL, Takes::AtLeastOne, AcceptedIgnored("the system looks names up"), "dns-accept-family"),
    group(
        GLOBAL,
        Takes::Any,
        Refused("scripts in Lua would not run"),
        "lua-load|lua-load-per-thread|lua-prepend-path",
    ),
    group(
        GLOBAL,
        Takes::Any,
        Refused("devices are not recognised by their User-Agent"),
        "51degrees-cache-size|51degrees-data-file|51degrees-property-name-list|51degrees-property-separator|\
         deviceatlas-json-file|deviceatlas-log-level|deviceatlas-properties-cookie|deviceatlas-separator|\
         wurfl-cache-size|wurfl-data-file|wurfl-information-list|wurfl-information-list-separator",
    ),
    group(GLOBAL, Takes::Any, Refused("no capability is kept when privileges are given up"), "setcap"),
    group(
        PROXIES,
        Takes::Any,
        NotYet(STATISTICS),
        "stats admin|stats enable|stats hide-version|stats http-request|stats realm|stats scope|\
         stats show-desc|stats show-legends|stats show-modules|stats show-node|stats uri|option contstats|\
         option socket-stats",
    ),
    group(PROXIES, Takes::Time, NotYet(STATISTICS), "stats refresh"),
    group(PROXIES, Takes::Credentials, NotYet(STATISTICS), "stats auth"),
    group(
        PROXIES,
        Takes::Any,
        NotYet("no mail is sent"),
        "email-alert|email-alert from|email-alert level|email-alert mailers|email-alert myhostname|email-alert to",
    ),
    group(PROXIES, Takes::Any, NotYet(NO_COMPRESSION), "compression"),
    group(PROXIES, Takes::Any, Silent(ONE_THREAD), "bind-process"),
    group(PROXIES, Takes::Any, Silent("it names the section for other programs"), "guid|id"),
    group(
        PROXIES,
        Takes::Nothing,
        Silent("the kernel decides, or bulk is spliced anyway"),
        "option http-use-htx|option idle-close-on-response|option splice-auto|\
         option splice-request|option splice-response|option tcp-smart-accept|option tcp-smart-connect|\
         option tcpsplice",
    ),
    group(PROXIES, Takes::Nothing, Silent("no bytes are ever held back"), "option http-no-delay"),
    group(
        PROXIES,
        Takes::Nothing,
        AcceptedIgnored("what passes in either direction keeps both sides of a tunnel open"),
        "option independent-streams",
    ),
    group(
        PROXIES,
        Takes::Nothing,
        AcceptedIgnored(STRICT),
        "option accept-invalid-http-request|option accept-invalid-http-response|\
         option accept-unsafe-violations-in-http-request|option accept-unsafe-violations-in-http-response",
    ),
    group(
        PROXIES,
        Takes::Nothing,
        Silent("HTTP/2 is not built, and names of header fields pass as they came"),
        "option disable-h2-upgrade|option h1-case-adjust-bogus-client|option h1-case-adjust-bogus-server",
    ),
    group(
        CLIENT,
        Takes::Number,
        Silent("idle server connections belong to their server"),
        "max-session-srv-conns",
    ),
    group(SERVER, Takes::Any, NotYet(STATE_FILES), "load-server-state-from-file|server-state-file-name"),
    group(
        SERVER,
        Takes::Any,
        Refused(NO_PROGRAMS),
        "option external-check|external-check command|external-check path",
    ),
    group(
        PROXIES,
        Takes::Any,
        Refused("HAProxy 2.5 took it out: it sent to wherever a client asked for; write `server` lines"),
        "option http_proxy",
    ),
    group(PROXIES, Takes::Any, Refused("HAProxy 1.6 took it out; write `cookie`"), "appsession"),
    group(
        PROXIES,
        Takes::Any,
        Refused(
            "HAProxy 2.1 took it out; write `http-request replace-header NAME REGEX VALUE` or `set-path`",
        ),
        "cliexp",
    ),
    group(
        PROXIES,
        Takes::Any,
        Refused("HAProxy 2.1 took it out; write `use_backend NAME if …`"),
        "reqsetbe|reqisetbe",
    ),
    group(
        PROXIES,
        Takes::Any,
        Refused("HAProxy 2.1 took it out; write `http-response replace-header NAME REGEX VALUE`"),
        "srvexp",
    ),
    group(
        PROXIES,
        Takes::Any,
        Refused("FastCGI is not built: the application would be spoken to in HTTP"),
        "use-fcgi-app",
    ),
];

/// Parameters of a `bind` line.
pub(crate) const BIND: &[Parameters] = &[
    Parameters {
        value: true,
        status: Silent(TLS),
        names: "alpn|ca-file|ca-ignore-err|ca-sign-file|ca-sign-pass|ca-verify-file|ciphers|ciphersuites|\
                client-sigalgs|crl-file|crt|crt-ignore-err|crt-list|curves|ecdhe|npn|sigalgs|ssl-max-ver|\
                ssl-min-ver|tls-ticket-keys|verify",
    },
    Parameters {
        value: false,
        status: Silent(TLS),
        names: "allow-0rtt|force-sslv3|force-tlsv10|force-tlsv11|force-tlsv12|force-tlsv13|\
                generate-certificates|no-alpn|no-ca-names|no-sslv3|no-tls-tickets|no-tlsv10|no-tlsv11|no-tlsv12|\
                no-tlsv13|prefer-client-ciphers|strict-sni",
    },
    Parameters {
        value: true,
        status: Silent(NEVER_TUNED),
        names: "expose-fd|guid-prefix|id|level|nice|process|severity-output|shards|thread",
    },
    Parameters { value: false, status: Silent(NEVER_TUNED), names: "defer-accept" },
    Parameters { value: true, status: Refused(NAMESPACE), names: "namespace" },
];

/// Parameters of a `server` line.
pub(crate) const SERVERS: &[Parameters] = &[
    Parameters {
        value: true,
        status: NotYet("the system looks its name up, at the start and at a reload"),
        names: "resolve-net|resolve-opts|resolve-prefer|resolvers",
    },
    Parameters {
        value: true,
        status: Silent(TLS),
        names: "alpn|ca-file|check-alpn|check-sni|ciphers|ciphersuites|client-sigalgs|crl-file|crt|curves|npn|\
                sigalgs|sni|ssl-max-ver|ssl-min-ver|verify|verifyhost",
    },
    Parameters {
        value: false,
        status: Silent(TLS),
        names: "allow-0rtt|force-sslv3|force-tlsv10|force-tlsv11|force-tlsv12|force-tlsv13|no-check-ssl|no-ssl|\
                no-ssl-reuse|no-sslv3|no-tls-tickets|no-tlsv10|no-tlsv11|no-tlsv12|no-tlsv13|ssl-reuse|\
                tls-tickets",
    },
    Parameters {
        value: false,
        status: Refused("TLS is not built, it would go in the clear where encryption was meant"),
        names: "check-ssl|ssl",
    },
    Parameters { value: true, status: Silent(NEVER_TUNED), names: "guid|log-proto" },
    Parameters {
        value: true,
        status: Silent("idle connections are shared without a threshold: there is one thread"),
        names: "pool-low-conn",
    },
    Parameters { value: true, status: Refused(NAMESPACE), names: "namespace" },
    Parameters {
        value: true,
        status: Refused("connections go to the server itself, and not through a SOCKS proxy"),
        names: "socks4",
    },
    Parameters {
        value: false,
        status: Refused("connections go to the server itself, and not through a SOCKS proxy"),
        names: "check-via-socks4",
    },
    Parameters {
        value: false,
        status: Refused("it tells of the client's TLS, which is not built: write `send-proxy-v2`"),
        names: "send-proxy-v2-ssl|send-proxy-v2-ssl-cn",
    },
    Parameters { value: false, status: Silent(TLS), names: "no-send-proxy-v2-ssl|no-send-proxy-v2-ssl-cn" },
    Parameters {
        value: true,
        status: Refused("HAProxy 2.9 has it; version 2 headers tell addresses only"),
        names: "set-proxy-v2-tlv-fmt",
    },
];

/// Whole sections that do nothing yet; their lines are not looked at.
pub(crate) const SECTIONS: &[(Status, &str)] = &[
    (NotYet("the system looks names up"), "resolvers"),
    (NotYet("no mail is sent"), "mailers"),
    (NotYet("there are no peers to share tables with"), "peers"),
    (NotYet("nothing is cached"), "cache"),
    (Silent("they are for those who look for faults in HAProxy"), "traces"),
];

/// The group of a keyword, and the keyword: preferring one that may stand in `section`.
pub(super) fn find(name: &str, section: Sections) -> Option<(&'static str, &'static Group)> {
    let mut found = None;
    for group in GROUPS {
        let Some(one) = entry_of(group.names, name) else { continue };
        if group.sections.meets(section) {
            return Some((one, group));
        }
        found = found.or(Some((one, group)));
    }
    found
}

/// The group of a parameter, and the parameter.
pub(super) fn parameter(
    groups: &'static [Parameters],
    name: &str,
) -> Option<(&'static str, &'static Parameters)> {
    groups.iter().find_map(|group| entry_of(group.names, name).map(|one| (one, group)))
}

impl Group {
    /// Whether `no` may stand before one of its keywords.
    pub(crate) fn takes_no(&self, name: &str) -> bool {
        name.starts_with("option ") || listed("strict-limits|busy-polling|numa-cpu-mapping|log", name)
    }
}
