//! The typed configuration: what the text means, checked once and never re-checked.
//!
//! Times are milliseconds (`_ms`), sizes bytes (`_bytes`). References between proxies are indexes into
//! [`Config`]'s lists, resolved and range-checked by the parser, so a reader may index with them.

mod actions;
mod balance;
mod checks;
mod connection;
mod format;
mod logs;
mod matcher;
mod persistence;
mod queues;
mod rules;
mod sample;
mod servers;
mod states;
mod stick;

pub use actions::*;
pub use balance::*;
pub use checks::*;
pub use connection::*;
pub use format::*;
pub use logs::*;
pub use matcher::*;
pub use persistence::*;
pub use queues::*;
pub use rules::*;
pub use sample::*;
pub use servers::*;
pub use states::*;
pub use stick::*;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use super::privileges::{Account, Privileges};
use super::userlist::UserList;

/// A whole configuration, ready to run.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The `global` sections, merged.
    pub global: Global,
    /// `userlist` sections in file order; no two have one name.
    pub userlists: Vec<UserList>,
    /// Every `frontend`, and the client side of every `listen`, in file order.
    pub frontends: Vec<Frontend>,
    /// Every `backend`, and the server side of every `listen`, in file order.
    pub backends: Vec<Backend>,
    /// The stick tables of all proxies.
    pub tables: Vec<StickTable>,
    /// What expressions name; [`RefId`] is an index into it.
    pub references: Vec<Target>,
    /// The backends in the order of their names, where rules work names out; else empty.
    pub by_name: Vec<BackendId>,
    /// Names of variables with their scopes, `txn.user`; [`VarId`] is an index into it.
    pub variables: Vec<std::rc::Rc<str>>,
}

/// Among [`Config::variables`] where an expression reads the request's line, which is kept then: no variable of the
/// language has such a name.
pub const REQUEST_LINE: &str = "line";

/// What an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A frontend, by its name: a disabled one is not in [`Config::frontends`].
    Frontend(std::rc::Rc<str>),
    /// A backend.
    Backend(BackendId),
    /// A server: its backend, and its index there.
    Server(BackendId, usize),
    /// The answers of an `http-errors` section, by status.
    Pages(std::rc::Rc<[(u16, std::rc::Rc<[u8]>)]>),
    /// A user list: its index in [`Config::userlists`].
    Users(usize),
    /// A stick table: its index in [`Config::tables`].
    Table(usize),
}

/// Index of a backend in [`Config::backends`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub usize);

/// Index of an ACL in its proxy's list ([`Frontend::acls`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(pub usize);

/// Where something was written: for messages at start-up (an address that cannot be bound, …).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named on the command line (`<preset>` for the built-in text).
    pub file: std::rc::Rc<str>,
    /// Line number, from 1.
    pub line: u32,
}

/// The `global` section.
#[derive(Debug, Clone)]
pub struct Global {
    /// `maxconn`: concurrent client connections of the process; `None` = work it out from the limits.
    pub maxconn: Option<u32>,
    /// `maxconnrate` or `maxsessrate`, the smaller of them: connections accepted a second; 0 = no limit.
    pub accepts_a_second: u32,
    /// `spread-checks`: percent by which the time between two checks goes up or down.
    pub spread_checks: u32,
    /// `max-spread-checks`: the first checks come within this time; `None` = within their interval.
    pub max_spread_checks_ms: Option<u64>,
    /// `daemon`: go to the background.
    pub daemon: bool,
    /// `pidfile PATH`.
    pub pidfile: Option<PathBuf>,
    /// `ulimit-n N`: the file-descriptor limit to ask for, instead of the one worked out from maxconn.
    pub ulimit_n: Option<u32>,
    /// `hard-stop-after`: how long connections may go on after a stop by SIGUSR1 or a reload; `None` = without end.
    pub hard_stop_after_ms: Option<u64>,
    /// `quiet`: print errors only.
    pub quiet: bool,
    /// `zero-warning`: a configuration with warnings is not used.
    pub zero_warning: bool,
    /// `set-dumpable`: leave core dumps in spite of a changed user.
    pub dumpable: bool,
    /// `chroot`, `user`, `group`, `uid`, `gid`: what is given up after the start.
    pub privileges: Privileges,
    /// `log` lines of the global section; proxies with `log global` hold a copy of them.
    pub logs: Vec<LogTarget>,
    /// `log-tag`: the program name in log lines; default `oneport`.
    pub log_tag: Option<String>,
    /// `log-send-hostname`: the name that lines tell; empty = the machine's.
    pub log_host: Option<String>,
    /// `tune.bufsize`: bytes of one buffer, at most 65,535; default 16,384.
    pub bufsize_bytes: usize,
    /// `tune.maxrewrite`: bytes kept free in a buffer for added headers; default 1,024. A head longer than
    /// `bufsize_bytes - maxrewrite_bytes` is refused.
    pub maxrewrite_bytes: usize,
}

impl Global {
    /// `tune.bufsize` where it is not set.
    pub const BUFSIZE_BYTES: usize = 16_384;
    /// `tune.maxrewrite` where it is not set.
    pub const MAXREWRITE_BYTES: usize = 1_024;
}

impl Default for Global {
    fn default() -> Self {
        Self {
            maxconn: None,
            accepts_a_second: 0,
            spread_checks: 0,
            max_spread_checks_ms: None,
            daemon: false,
            pidfile: None,
            ulimit_n: None,
            hard_stop_after_ms: None,
            quiet: false,
            zero_warning: false,
            dumpable: false,
            privileges: Privileges::default(),
            logs: Vec::new(),
            log_tag: None,
            log_host: None,
            bufsize_bytes: Self::BUFSIZE_BYTES,
            maxrewrite_bytes: Self::MAXREWRITE_BYTES,
        }
    }
}

/// `mode tcp` or `mode http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Bytes are carried unchanged.
    #[default]
    Tcp,
    /// HTTP/1.0 and 1.1 messages are understood.
    Http,
}

/// The client side of a proxy.
#[derive(Debug, Clone)]
pub struct Frontend {
    /// Its name.
    pub name: String,
    /// Its number among all proxies, from 1 (`fe_id`).
    pub id: u32,
    /// Where the section starts.
    pub place: Place,
    /// `mode`.
    pub mode: Mode,
    /// `bind` lines; one entry an address (ranges and lists are expanded).
    pub binds: Vec<Bind>,
    /// `maxconn` of the frontend; `None` = only the global limit.
    pub maxconn: Option<u32>,
    /// `rate-limit sessions`: connections accepted a second; 0 = no limit.
    pub accepts_a_second: u32,
    /// `backlog`: length of the kernel's accept queue; `None` = the frontend's or process's maxconn.
    pub backlog: Option<u32>,
    /// Its ACLs, the predefined and anonymous ones it uses included.
    pub acls: Rc<[Acl]>,
    /// Its rules for connections and their first bytes.
    pub tcp: TcpRules,
    /// Its rules for HTTP.
    pub http_rules: Rc<HttpRules>,
    /// `errorfile` and its like, by status.
    pub errors: Rc<[(u16, ErrorPage)]>,
    /// `monitor-uri`.
    pub monitor_uri: Option<std::rc::Rc<str>>,
    /// `monitor-net`: clients from there are told that all is well, and nothing else.
    pub monitor_nets: Vec<Net>,
    /// `monitor fail`: any of these makes it a 503.
    pub monitor_fail: Vec<Condition>,
    /// `use_backend` rules in file order.
    pub use_backends: Vec<UseBackend>,
    /// The server side of a `listen`.
    pub own_backend: Option<BackendId>,
    /// `default_backend`; for a `listen` its own server side.
    pub default_backend: Option<BackendId>,
    /// Timeouts on the client's side, and those of the tunnel.
    pub timeouts: ClientTimeouts,
    /// HTTP options written in the frontend (or inherited from its defaults).
    pub http: HttpOptions,
    /// Where its session lines go; empty = nowhere.
    pub logs: Vec<LogTarget>,
    /// Which session line is written.
    pub log_format: LogFormat,
    /// The rest that is said of session lines.
    pub lines: Lines,
    /// `log-tag` of the proxy; `None` = the process's.
    pub log_tag: Option<String>,
    /// What is kept of messages.
    pub captures: Captures,
    /// `option dontlognull`: no line for a connection that sent nothing.
    pub dont_log_null: bool,
    /// `option clitcpka` / `option tcpka`: `SO_KEEPALIVE` towards the client. On by default (a difference from HAProxy).
    pub tcp_keepalive: bool,
}

/// The server side of a proxy.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Its number among all proxies, from 1 (`be_id`).
    pub id: u32,
    /// Where the section starts.
    pub place: Place,
    /// `mode`.
    pub mode: Mode,
    /// `balance`.
    pub balance: Balance,
    /// What its checks say and expect; `None` = they connect.
    pub check_plan: Option<Rc<CheckPlan>>,
    /// Its ACLs; a `listen` has them on both sides.
    pub acls: Rc<[Acl]>,
    /// Its rules for first bytes.
    pub tcp: TcpRules,
    /// Its rules for HTTP; a `listen` has them on both sides, and they run once.
    pub http_rules: Rc<HttpRules>,
    /// `use-server` rules in file order.
    pub server_rules: Vec<UseServer>,
    /// What keeps clients with their servers.
    pub persistence: Persistence,
    /// Its stick rules.
    pub sticks: StickRules,
    /// `errorfile` and its like, by status.
    pub errors: Rc<[(u16, ErrorPage)]>,
    /// `server` lines in file order.
    pub servers: Vec<Server>,
    /// Timeouts on the server's side.
    pub timeouts: ServerTimeouts,
    /// Queues and retries.
    pub queues: Queues,
    /// HTTP options written in the backend (or inherited from its defaults).
    pub http: HttpOptions,
    /// `option srvtcpka` / `option tcpka`: `SO_KEEPALIVE` towards servers. On by default.
    pub tcp_keepalive: bool,
    /// `source`: where connections to servers come from that do not say it themselves.
    pub source: Option<SourceAddress>,
    /// What the kernel is told of connections to servers.
    pub tuning: TcpTuning,
    /// `http-send-name-header`: the field that tells a server its name.
    pub send_name: Option<Rc<str>>,
    /// Where messages about its servers go (state changes); empty = the program's own log only.
    pub logs: Vec<LogTarget>,
    /// `log-tag`: the program name in those.
    pub log_tag: Option<String>,
    /// `option log-health-checks`: a line for each check that says something new.
    pub log_checks: bool,
    /// It is a `listen` section: messages call it a proxy.
    pub listens: bool,
}

/// One listening address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What to listen on.
    pub address: BindAddress,
    /// The address as written, for messages.
    pub text: String,
    /// Where it was written.
    pub place: Place,
    /// `backlog N` on the bind line.
    pub backlog: Option<u32>,
    /// `maxconn N` on the bind line.
    pub maxconn: Option<u32>,
    /// `name NAME`.
    pub name: Option<String>,
    /// `mode OCTAL`: permissions of a unix socket.
    pub unix_mode: Option<u32>,
    /// `user NAME` or `uid N`: the owner of a unix socket's file.
    pub unix_user: Option<Account>,
    /// `group NAME` or `gid N`: its group.
    pub unix_group: Option<Account>,
    /// `v6only`: an IPv6 socket that takes no IPv4 connections. `v4v6` is the opposite; `None` = the system's default.
    pub v6only: Option<bool>,
    /// `transparent`: the address need not be one of this machine.
    pub transparent: bool,
    /// `accept-proxy`: each connection begins with a PROXY protocol header.
    pub accept_proxy: bool,
    /// `interface`: what comes through this one only.
    pub interface: Option<Rc<str>>,
    /// What the kernel is told of its connections.
    pub tuning: TcpTuning,
}

/// What a `bind` line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindAddress {
    /// IPv4 or IPv6 address and port. A host name has been turned into [`BindAddress::Host`].
    Inet(SocketAddr),
    /// A host name, resolved when the socket is made.
    Host(String, u16),
    /// A unix socket's path (`unix@/path` or `/path`).
    Unix(PathBuf),
    /// A name in the abstract namespace (`abns@name`), without the leading zero byte.
    Abstract(Vec<u8>),
    /// An inherited listening socket (`fd@N`).
    Fd(i32),
}

/// `option forwardfor` or `option originalto`: an address to tell servers of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardFor {
    /// The header's name; default `X-Forwarded-For` or `X-Original-To`.
    pub header: String,
    /// `if-none`: leave a header that the client sent as it is, and add nothing.
    pub if_none: bool,
    /// `except`: nothing is told of addresses in here.
    pub except: Option<Net>,
}

/// `http-reuse`: when a request may go over a server connection that has carried others (configuration §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// Where nothing is written: always for a request that may be repeated, else as `safe`.
    #[default]
    Repeatable,
    /// Only that of the same client's earlier requests.
    Never,
    /// Not the first request of a client's connection.
    Safe,
    /// The first one too, where the server connection has carried more than one request.
    Aggressive,
    /// Each request.
    Always,
}

/// `option http-restrict-req-hdr-names`: what becomes of header names with other characters than letters, digits and `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderNames {
    /// Nothing.
    #[default]
    Preserve,
    /// The fields are removed.
    Delete,
    /// The request is refused with a 403.
    Reject,
}

/// What becomes of connections after an HTTP answer (configuration §4.2, "option httpclose"). A server's connection
/// closes where frontend or backend say so, a client's where the frontend does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionMode {
    /// Both sides are kept alive.
    #[default]
    KeepAlive,
    /// `option http-server-close`: the client's side is kept alive.
    ServerClose,
    /// `option httpclose`: both sides close.
    Close,
}

/// Options of a proxy for HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpOptions {
    /// `option http-server-close`, `option httpclose`, `option http-keep-alive`.
    pub connection: ConnectionMode,
    /// `option forwardfor`. The header that a backend names wins over the frontend's.
    pub forward_for: Option<ForwardFor>,
    /// `option http-buffer-request`: rules run once the body is there.
    pub buffer_request: bool,
    /// `option originalto`, the same for the address the client came to.
    pub original_to: Option<ForwardFor>,
    /// `http-reuse`.
    pub reuse: Reuse,
    /// `option http-restrict-req-hdr-names`, of each proxy after its rules.
    pub header_names: HeaderNames,
    /// `option http-pretend-keepalive`: a server is not told that its connection will close.
    pub pretend_keep_alive: bool,
    /// `option http-ignore-probes`: neither answer nor log line for a connection that sent nothing.
    pub ignore_probes: bool,
    /// `option http-use-proxy-header`: `Proxy-Connection` in requests to a proxy.
    pub proxy_header: bool,
}

/// Timeouts of a frontend. Where the file sets none, the defaults given here apply (and a warning names them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// `timeout client`: inactivity of the client; default 50,000. 0 = for ever, as everywhere here.
    pub client_ms: u64,
    /// `timeout client-fin`: inactivity once one side has closed; `None` = `client_ms`.
    pub client_fin_ms: Option<u64>,
    /// `timeout http-request`: from the first byte (or the accept) to a whole head; default 10,000.
    pub http_request_ms: u64,
    /// `timeout http-keep-alive`: waiting for the next request; default `http-request`'s, else 10,000.
    pub http_keep_alive_ms: u64,
    /// `timeout tunnel` as the frontend has it (a backend's wins). `None`: client and server timeouts apply.
    /// Default 3,600,000 where the file sets neither it nor client nor server.
    pub tunnel_ms: Option<u64>,
    /// `timeout tarpit`: before the answer of a `tarpit` rule; default 5,000.
    pub tarpit_ms: u64,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            client_ms: 50_000,
            client_fin_ms: None,
            http_request_ms: 10_000,
            http_keep_alive_ms: 10_000,
            tunnel_ms: Some(3_600_000),
            tarpit_ms: 5_000,
        }
    }
}

/// Timeouts of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// `timeout connect`; default 5,000.
    pub connect_ms: u64,
    /// `timeout server`: inactivity of the server; default 50,000.
    pub server_ms: u64,
    /// `timeout server-fin`; `None` = `server_ms`.
    pub server_fin_ms: Option<u64>,
    /// `timeout tunnel`; see [`ClientTimeouts::tunnel_ms`].
    pub tunnel_ms: Option<u64>,
    /// `timeout queue`: waiting for a free slot of a server; default `connect_ms`.
    pub queue_ms: u64,
    /// `timeout tarpit`: before the answer of a `tarpit` rule; default `connect_ms`.
    pub tarpit_ms: u64,
    /// `timeout check`: for a health check whose connection stands; `None` = the whole check has the server's `inter`.
    pub check_ms: Option<u64>,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            server_ms: 50_000,
            server_fin_ms: None,
            tunnel_ms: Some(3_600_000),
            queue_ms: 5_000,
            tarpit_ms: 5_000,
            check_ms: None,
        }
    }
}
