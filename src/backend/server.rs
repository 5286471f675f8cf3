//! One server: where it is, whether it is up, what it is carrying.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;

use rustix::net::SocketAddrUnix;

use super::ClientEnds;
use super::idle::IdlePool;
use super::queue::Queue;
use super::way::Way;
use crate::config::{self, ServerAddress, ServerPort};
use crate::counters::Side;
use crate::net::Target;

/// A server at work.
pub struct Server {
    /// What the configuration says of it.
    pub config: config::Server,
    /// Connections (in `mode http`: requests) that use it now.
    pub connections: Cell<u32>,
    /// What happened here.
    pub counters: Side,
    pub(super) idle: IdlePool,
    /// Those who must go to it.
    pub(super) queue: Queue,
    /// Between `minconn` and `maxconn`, where there is a `minconn`.
    pub(super) limit: Cell<u32>,
    /// What is not plain about its connections.
    pub(super) way: Option<Box<Way>>,
    /// Alternatives in the resolver's order, at least one.
    targets: Vec<Target>,
    current: Cell<usize>,
    up: Cell<bool>,
    /// Its weight now, 0 to 256: the configured one until it is changed.
    weight: Cell<u32>,
    /// How much of its weight counts, percent: less while it starts slowly.
    ramp_percent: Cell<u32>,
    /// The running value of smooth weighted round robin.
    pub(super) turn: Cell<i64>,
    /// The value of its cookie, where it is worked out.
    pub(super) cookie: Cell<super::cookie::Known>,
}

impl Server {
    /// Makes the server's address into targets; `resolve` gives the addresses of a host.
    ///
    /// # Errors
    /// A message that names the address, when the host has none or a unix path is too long.
    pub fn targets(
        config: &config::Server,
        resolve: impl Fn(&str, u16) -> Result<Vec<SocketAddr>, String>,
    ) -> Result<Vec<Target>, String> {
        let fail = |address: &str, reason: &dyn fmt::Display| {
            format!("server '{}': address '{address}' cannot be used: {reason}", config.name)
        };
        let unix = |address: rustix::io::Result<SocketAddrUnix>, text: &str| {
            address.map(|address| vec![Target::Unix(address)]).map_err(|error| fail(text, &error))
        };
        let number = |port: &ServerPort| match port {
            ServerPort::Fixed(number) => *number,
            ServerPort::FromClient(_) => 0,
        };
        match &config.address {
            ServerAddress::Inet(host, port) => {
                let addresses = resolve(host, number(port)).map_err(|reason| fail(host, &reason))?;
                let addresses = addresses.into_iter().map(Target::Inet);
                Ok(match config.nth_address.and_then(|nth| usize::try_from(nth).ok()) {
                    Some(nth) => addresses.skip(nth).take(1).collect(),
                    None => addresses.collect(),
                })
            }
            // Checks go to this machine, as HAProxy's do.
            ServerAddress::FromClient(port) => {
                Ok(vec![Target::Inet(SocketAddr::new([0; 4].into(), number(port)))])
            }
            ServerAddress::Unix(path) => unix(SocketAddrUnix::new(path), &path.to_string_lossy()),
            ServerAddress::Abstract(name) => {
                unix(SocketAddrUnix::new_abstract_name(name), &String::from_utf8_lossy(name))
            }
        }
    }

    /// A server that is up until a check says otherwise.
    pub fn new(config: config::Server, targets: Vec<Target>) -> Self {
        debug_assert!(!targets.is_empty() || config.disabled);
        let weight = Cell::new(config.weight);
        let limit = Cell::new(config.minconn);
        Self {
            config,
            weight,
            ramp_percent: Cell::new(100),
            connections: Cell::new(0),
            counters: Side::default(),
            idle: IdlePool::default(),
            queue: Queue::default(),
            limit,
            way: None,
            targets,
            current: Cell::new(0),
            up: Cell::new(true),
            turn: Cell::new(0),
            cookie: Cell::default(),
        }
    }

    /// Where it is for everybody; `None` where that depends on the client.
    pub fn own_target(&self) -> Option<Target> {
        self.target(&ClientEnds::default())
    }

    /// Whether it is at this address.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        matches!(self.own_target(), Some(Target::Inet(target)) if target == address)
    }

    /// Where to connect to now, for servers without an address or port with the one that the client came to. `None` =
    /// that is not known, or would lead back to us.
    pub(super) fn target(&self, client: &ClientEnds) -> Option<Target> {
        let target = self.targets.get(self.current.get()).or(self.targets.first())?;
        let (ip, port) = match (target, &self.config.address) {
            (Target::Inet(address), ServerAddress::Inet(_, port @ ServerPort::FromClient(_))) => {
                (address.ip(), port)
            }
            (_, ServerAddress::FromClient(port)) => (client.destination?.ip(), port),
            _ => return Some(target.clone()),
        };
        let port = match port {
            ServerPort::Fixed(port) => *port,
            ServerPort::FromClient(offset) => {
                let port = i32::from(client.destination?.port()).checked_add(*offset)?;
                u16::try_from(port).ok()?
            }
        };
        let address = SocketAddr::new(ip, port);
        (client.gateway != Some(address)).then_some(Target::Inet(address))
    }

    /// Whether each connection to it begins with its client's addresses, or has to do with them.
    pub fn is_told_of_clients(&self) -> bool {
        self.config.send_proxy.is_some()
            || matches!(self.config.address, ServerAddress::Inet(_, ServerPort::FromClient(_)))
            || self.follows_clients()
            || self.way.as_ref().is_some_and(|way| way.foreign.is_some())
    }

    /// Whether it is wherever the client wanted to go.
    pub fn follows_clients(&self) -> bool {
        matches!(self.config.address, ServerAddress::FromClient(_))
    }

    /// The field of requests that tells where connections to it come from, and which of its values.
    pub fn source_header(&self) -> Option<(&str, i32)> {
        self.way.as_ref()?.header().map(|(name, occurrence)| (&**name, occurrence))
    }

    /// Where to send a health check to; `None` when the server has no port of its own and none for checks.
    pub(super) fn check_target(&self) -> Option<Target> {
        let port = self.config.check.and_then(|check| check.port);
        match (self.targets.get(self.current.get())?, port) {
            (Target::Inet(address), Some(port)) => Some(Target::Inet(SocketAddr::new(address.ip(), port))),
            (Target::Inet(address), None) if address.port() == 0 => None,
            (target, _) => Some(target.clone()),
        }
    }

    /// The current address did not answer: the next attempt uses the name's next one, where it has several.
    pub(super) fn rotate_target(&self) {
        self.current.set((self.current.get() + 1) % self.targets.len().max(1));
    }

    /// Whether the choice may fall on it: up, and with a weight.
    pub fn is_usable(&self) -> bool {
        self.is_up() && self.weight.get() > 0
    }

    /// Its weight now, 0 to 256.
    pub fn weight(&self) -> u32 {
        self.weight.get()
    }

    /// What counts for its share of the traffic: sixteenths of its weight, less while it starts slowly.
    pub fn effective_weight(&self) -> u32 {
        const SCALE: u32 = 16;
        self.weight.get().saturating_mul(SCALE).saturating_mul(self.ramp_percent.get()).div_ceil(100)
    }

    /// Whether it takes those that must go to it (rules, cookies): neither disabled nor failed.
    pub fn is_up(&self) -> bool {
        self.up.get() && !self.config.disabled
    }

    /// Whether checks are made: not while it is in maintenance.
    pub(super) fn is_checked(&self) -> bool {
        self.config.check.is_some() && !self.config.disabled
    }

    /// Whether whoever comes has to wait: it is at its limit, or others wait already.
    pub fn is_full(&self) -> bool {
        self.config.maxconn.is_some() && (!self.has_room() || !self.queue.is_empty())
    }

    /// Whether it is below its limit: `maxconn`, or less while `minconn` or its slow start keep it low.
    pub(super) fn has_room(&self) -> bool {
        let Some(maxconn) = self.config.maxconn else { return true };
        let limit = if self.config.minconn == 0 { maxconn } else { self.limit.get() };
        let limit = match self.ramp_percent.get() {
            100 => limit,
            percent => (u64::from(limit) * u64::from(percent) / 100).max(1) as u32,
        };
        self.connections.get() < limit
    }

    /// Sessions that wait for this very server.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.set(up);
        if !up {
            self.idle.clear();
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.config.name == other.config.name && self.targets == other.targets
    }

    pub(super) fn inherit(&self, old: &Self) {
        if self.config.check.is_some() && old.config.check.is_some() {
            self.up.set(old.up.get());
        }
        self.current.set(old.current.get());
    }

    /// An idle connection that is still quiet, if there is one, and how many requests it has carried; with `proven`
    /// more than one.
    pub fn take_idle(&self, proven: bool) -> Option<(crate::net::Stream, u32)> {
        self.idle.take(proven)
    }

    /// Whether a connection that has carried so many requests may carry another one.
    pub fn may_reuse(&self, requests: u32) -> bool {
        requests <= self.config.pool.reuse_max
    }
}
