//! What the configuration says of servers, and of the choice between them.

use std::net::IpAddr;
use std::path::PathBuf;

use super::{Place, Pool, ServerCookie, SourceAddress, StateRules};
use std::rc::Rc;

/// `server NAME ADDRESS …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Where it was written.
    pub place: Place,
    /// Where it is.
    pub address: ServerAddress,
    /// `weight`, 0 to 256; default 1. A server of weight 0 gets no new traffic.
    pub weight: u32,
    /// `maxconn`: concurrent connections to it; `None` = no limit.
    pub maxconn: Option<u32>,
    /// `minconn`: where `maxconn` begins while the backend is not full (`fullconn`); 0 = it does not move.
    pub minconn: u32,
    /// `maxqueue`: how many may wait for this very server; 0 = no limit.
    pub maxqueue: u32,
    /// `check …`; `None` = never checked, always up.
    pub check: Option<Check>,
    /// `backup`: used when no other server is up.
    pub backup: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// `send-proxy`, `send-proxy-v2`: each connection begins with a PROXY protocol header.
    pub send_proxy: Option<SendProxy>,
    /// `cookie`: the value that means it.
    pub cookie: Option<ServerCookie>,
    /// `redir`: GET and HEAD are told to ask there, by what stands before their path.
    pub redirect: Option<Rc<str>>,
    /// `non-stick`: no stick table learns that a client was given to it.
    pub non_stick: bool,
    /// `id`: its number; 0 = the next that is free.
    pub id: u32,
    /// `source`: where connections to it come from; `None` = as the backend says.
    pub source: Option<SourceAddress>,
    /// `tcp-ut`: how long sent bytes may stay unacknowledged, milliseconds; 0 = as the kernel has it.
    pub user_timeout_ms: u32,
    /// `tfo`: the first bytes go with the first packet.
    pub fast_open: bool,
    /// Its idle connections.
    pub pool: Pool,
    /// `server-template`: of the addresses that its name has, the one with this number; `None` = all of them.
    pub nth_address: Option<u32>,
    /// How its state changes, but for `check`.
    pub state: StateRules,
}

impl Default for Server {
    #[inline(never)]
    fn default() -> Self {
        Self {
            name: String::new(),
            place: Place::default(),
            address: ServerAddress::Inet(String::new(), ServerPort::Fixed(0)),
            weight: 1,
            maxconn: None,
            minconn: 0,
            maxqueue: 0,
            check: None,
            backup: false,
            disabled: false,
            send_proxy: None,
            cookie: None,
            redirect: None,
            non_stick: false,
            id: 0,
            source: None,
            user_timeout_ms: 0,
            fast_open: false,
            pool: Pool::default(),
            nth_address: None,
            state: StateRules::default(),
        }
    }
}

/// A PROXY protocol header to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendProxy {
    /// `send-proxy`: version 1, a line.
    Line,
    /// `send-proxy-v2`: version 2.
    Binary {
        /// `proxy-v2-options crc32c`: with a checksum.
        with_crc32c: bool,
    },
}

/// What a `server` line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host (name or address literal as written, brackets removed) and its port.
    Inet(String, ServerPort),
    /// The address that the client came to (`0.0.0.0`, `*`), and the port.
    FromClient(ServerPort),
    /// A unix socket's path.
    Unix(PathBuf),
    /// A name in the abstract namespace, without the leading zero byte.
    Abstract(Vec<u8>),
}

/// The port of a `server` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPort {
    /// `:80`.
    Fixed(u16),
    /// None written, or `:+N`/`:-N`: the port the client came to, plus the offset.
    FromClient(i32),
}

/// Health checks of a server: a TCP connect every `inter_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// `inter`: between two checks; default 2,000.
    pub inter_ms: u64,
    /// `fastinter`: between two checks while the state is changing; default `inter_ms`.
    pub fastinter_ms: Option<u64>,
    /// `downinter`: between two checks of a server that is down; default `inter_ms`.
    pub downinter_ms: Option<u64>,
    /// `rise`: successes until a server is up again; default 2.
    pub rise: u32,
    /// `fall`: failures until a server is down; default 3.
    pub fall: u32,
    /// `port`: another port for the check.
    pub port: Option<u16>,
    /// `addr`: another address for the check.
    pub address: Option<IpAddr>,
    /// `spread-checks` of the global section.
    pub spread_percent: u32,
    /// What a check begins with: what the server's connections do (not on another `port`), or `check-send-proxy`.
    pub send_proxy: Option<SendProxy>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            inter_ms: 2_000,
            fastinter_ms: None,
            downinter_ms: None,
            rise: 2,
            fall: 3,
            port: None,
            address: None,
            spread_percent: 0,
            send_proxy: None,
        }
    }
}
