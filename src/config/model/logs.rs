//! Where log lines go, and which.

use std::path::PathBuf;
use std::rc::Rc;

use super::{Alias, Format, Piece};

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
    /// `sample RANGES:N`: of each N lines those of these numbers, from 1, are sent.
    pub sample: Option<Sampling>,
}

/// `sample 1,3-5:10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampling {
    /// First and last number of each range.
    pub ranges: Vec<(u32, u32)>,
    /// After so many lines the counting begins anew.
    pub of: u32,
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
    /// `<PRI>1 2026-11-21T01:55:23.000000+01:00 host tag pid - - `.
    Rfc5424,
    /// `<PRI>`: `priority`.
    Priority,
    /// `<N>2026-11-21T01:55:23.000000+01:00 `: `timed`.
    Timed,
    /// The time only: `iso`.
    Iso,
    /// As [`LogWire::Rfc3164`], never with a host name: `local`.
    Local,
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
    /// `log-format`, `option httplog clf`: the text of [`Lines::custom`].
    Custom,
}

/// What a proxy says of its session lines beside their format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// `log-format`.
    pub custom: Option<Rc<Format>>,
    /// `error-log-format`: lines of connections that never became a session.
    pub errors: Option<Rc<Format>>,
    /// `log-format-sd`: the structured data of `format rfc5424`.
    pub structured: Option<Rc<Format>>,
    /// `unique-id-format`.
    pub unique_id: Option<Rc<Format>>,
    /// `unique-id-header`.
    pub unique_id_header: Option<Rc<str>>,
    /// `option dontlog-normal`: only what went wrong gets a line.
    pub only_errors: bool,
    /// `option logasap`: the line is written when the answer begins.
    pub asap: bool,
    /// `option log-separate-errors`: what went wrong is logged as an error.
    pub separate_errors: bool,
}

impl Lines {
    /// Whether the addresses of the server's connection are written.
    #[must_use]
    pub fn tell_server_address(&self) -> bool {
        let wanted =
            |piece: &Piece| matches!(piece, Piece::Alias(Alias::Bi | Alias::Bp | Alias::Si | Alias::Sp, _));
        let formats = [&self.custom, &self.structured];
        formats.into_iter().flatten().any(|format| format.pieces.iter().any(wanted))
    }
}

/// What is kept of messages for the line: `capture …`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    /// Of the request.
    pub request: Vec<Capture>,
    /// Of the answer.
    pub response: Vec<Capture>,
    /// A cookie, by the beginning of its text `name=value`; an empty name = none.
    pub cookie: Capture,
}

impl Captures {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty() && self.cookie.name.is_empty()
    }
}

/// `capture request header NAME len N`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// Whose value; empty = a slot that a rule fills.
    pub name: String,
    /// How much of it is kept.
    pub len_bytes: usize,
}
