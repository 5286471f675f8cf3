//! What the configuration says of connections beyond where they go: where they come from, what the kernel is told of
//! them, how long they are kept.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// What log lines say of a server that no `server` line names.
pub const NO_SERVER: &str = "<NOSRV>";

/// `source …`: where connections to servers come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceAddress {
    /// Our address; `None` = the kernel chooses.
    pub address: Option<IpAddr>,
    /// The first and the last port, for one connection each; `None` = the kernel chooses.
    pub ports: Option<(u16, u16)>,
    /// `usesrc`: the address that servers see is not ours.
    pub foreign: Option<Foreign>,
    /// `interface`: connections go through this one only.
    pub interface: Option<Rc<str>>,
}

/// `usesrc …`: whose address servers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// This one; port 0 = any.
    Address(SocketAddr),
    /// `client`: the client's, with its port.
    Client,
    /// `clientip`: the client's, with any port.
    ClientIp,
    /// `hdr_ip(name,occurrence)`: the one in this field of the request; an occurrence below 0 counts from the last.
    Header(Rc<str>, i32),
}

impl Foreign {
    /// Whether it is another one for each client.
    pub fn is_of_client(&self) -> bool {
        !matches!(self, Self::Address(_))
    }
}

/// What the kernel is told of TCP connections; 0 = its own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpTuning {
    /// `tcp-ut`: how long sent bytes may stay unacknowledged, milliseconds.
    pub user_timeout_ms: u32,
    /// `clitcpka-cnt`, `srvtcpka-cnt`: keepalive probes without an answer before the connection is given up.
    pub probes: u32,
    /// `clitcpka-idle`, `srvtcpka-idle`: silence before the first one, seconds.
    pub idle_s: u32,
    /// `clitcpka-intvl`, `srvtcpka-intvl`: between two of them, seconds.
    pub interval_s: u32,
    /// `mss`: the longest segment.
    pub mss: i32,
    /// `tfo`: bytes go with the first packet.
    pub fast_open: bool,
    /// `option nolinger`: connections to servers end with a reset, and leave nothing behind.
    pub no_linger: bool,
}

/// Idle connections of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// `pool-max-conn`: so many at most.
    pub max: u32,
    /// `pool-purge-delay`: how long each is kept, milliseconds; 0 = not at all.
    pub keep_ms: u64,
    /// `max-reuse`: how many requests may follow the first one on a connection.
    pub reuse_max: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { max: u32::MAX, keep_ms: 5_000, reuse_max: u32::MAX }
    }
}
