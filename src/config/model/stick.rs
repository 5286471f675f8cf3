//! Stick tables, and the rules that keep clients on their server (configuration §4.2, "stick-table", "stick on").

use std::rc::Rc;

use super::{Condition, Expr, RefId};

/// `stick-table …`. Each proxy has one at most, which bears its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickTable {
    /// The proxy's name.
    pub name: Rc<str>,
    /// `type`.
    pub kind: KeyKind,
    /// Bytes of a key at most: 4 for `ip` and `integer`, 16 for `ipv6`, `len` (32 without it) for the others.
    pub key_bytes_max: u32,
    /// `size`: entries at most.
    pub size: u32,
    /// `expire`: from the last match or store of an entry to its end; 0 = never.
    pub expire_ms: u64,
    /// `nopurge`: a full table takes no new entry; else the oldest goes.
    pub nopurge: bool,
    /// `srvkey addr`: servers are known by their addresses, not by their names.
    pub by_address: bool,
}

impl StickTable {
    /// What it takes in memory once it is full: 32 bytes an entry beside its key, up to 12 of its index while that
    /// grows, and what an allocator may waste.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        const ENTRY_BYTES: u64 = 64;
        u64::from(self.size).saturating_mul(ENTRY_BYTES + u64::from(self.key_bytes_max))
    }
}

/// What the keys of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `ip`: IPv4 addresses.
    Ipv4,
    /// `ipv6`: IPv6 addresses, among them IPv4 ones as `::ffff:a.b.c.d`.
    Ipv6,
    /// `integer`: 32 bits.
    Integer,
    /// `string`: text, cut at `len`.
    Text,
    /// `binary`: bytes, cut at `len`; shorter ones stand for the same with zeros behind.
    Bytes,
}

/// `stick on`, `stick match`, `stick store-request`, `stick store-response`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickRule {
    /// What makes the key.
    pub expr: Expr,
    /// The table.
    pub table: RefId,
    /// Whether a known key chooses its server.
    pub matches: bool,
    /// Whether the server that answers is stored.
    pub stores: bool,
    /// When; `None` = always.
    pub condition: Option<Condition>,
}

/// The stick rules of a backend, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StickRules {
    /// About requests and connections.
    pub request: Vec<StickRule>,
    /// About answers: `stick store-response`.
    pub response: Vec<StickRule>,
}

impl StickRules {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }
}
