//! Where log lines go, and which.

use std::path::PathBuf;

/// `log ADDRESS [len N] [format F] FACILITY [LEVEL [MINLEVEL]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// Where lines go.
    pub address: LogAddress,
    /// `len N`: the longest line in bytes, its line end not counted; default 1,024. Lines end at 4,095 at the latest.
    pub len_bytes: usize,
    /// `format F`.
    pub format: LogWire,
    /// The facility's number, 0 (kern) to 23 (local7).
    pub facility: u8,
    /// Lines less urgent than this severity (0 = emerg … 7 = debug) are left out; default 7.
    pub level: u8,
    /// Lines more urgent than this are sent as this severity; default 0.
    pub min_level: u8,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogAddress {
    /// UDP to a host (name or literal) and port (default 514).
    Udp(String, u16),
    /// A unix datagram socket, `/dev/log`. Where it does not exist, stderr is used instead.
    Unix(PathBuf),
    /// `stdout`, `stderr`, `fd@N`.
    Fd(i32),
}

/// `format F` of a `log` line: what stands before the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogWire {
    /// `<PRI>Mon dd hh:mm:ss tag[pid]: ` — `local` and `rfc3164` without a host name.
    #[default]
    Rfc3164,
    /// `<N>` only: `short`.
    Short,
    /// Nothing: `raw`.
    Raw,
}

/// The session line of a frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// No option given: HAProxy's short default line (configuration §8.2.1).
    #[default]
    Default,
    /// `option tcplog`.
    Tcp,
    /// `option httplog`. On a sniffed port, sessions that are not HTTP get the tcplog line.
    Http,
}
