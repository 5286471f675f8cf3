//! One server: where it is, whether it is up, what it is carrying.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;

use rustix::net::SocketAddrUnix;

use super::idle::IdlePool;
use crate::config::{self, ServerAddress, ServerPort};
use crate::net::Target;

/// A server at work.
pub struct Server {
    /// What the configuration says of it.
    pub config: config::Server,
    /// Connections (in `mode http`: requests) that use it now.
    pub connections: Cell<u32>,
    /// All that ever did.
    pub total: Cell<u64>,
    pub(super) idle: IdlePool,
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
        match &config.address {
            ServerAddress::Inet(host, port) => {
                let number = match port {
                    ServerPort::Fixed(number) => *number,
                    ServerPort::FromClient(_) => 0,
                };
                let addresses = resolve(host, number).map_err(|reason| fail(host, &reason))?;
                Ok(addresses.into_iter().map(Target::Inet).collect())
            }
            ServerAddress::Unix(path) => unix(SocketAddrUnix::new(path), &path.to_string_lossy()),
            ServerAddress::Abstract(name) => {
                unix(SocketAddrUnix::new_abstract_name(name), &String::from_utf8_lossy(name))
            }
        }
    }

    /// A server that is up until a check says otherwise.
    pub fn new(config: config::Server, targets: Vec<Target>) -> Self {
        debug_assert!(!targets.is_empty());
        let weight = Cell::new(config.weight);
        Self {
            config,
            weight,
            ramp_percent: Cell::new(100),
            connections: Cell::new(0),
            total: Cell::new(0),
            idle: IdlePool::default(),
            targets,
            current: Cell::new(0),
            up: Cell::new(true),
            turn: Cell::new(0),
            cookie: Cell::default(),
        }
    }

    /// Where to connect to now. `local` is the address the client came to, for servers without a port.
    pub fn target(&self, local: Option<SocketAddr>) -> Option<Target> {
        let target = self.targets.get(self.current.get()).or(self.targets.first())?;
        match (target, &self.config.address) {
            (Target::Inet(address), ServerAddress::Inet(_, ServerPort::FromClient(offset))) => {
                let port = i32::from(local?.port()).checked_add(*offset)?;
                Some(Target::Inet(SocketAddr::new(address.ip(), u16::try_from(port).ok()?)))
            }
            _ => Some(target.clone()),
        }
    }

    /// Its address now; without a port of its own, the port is 0.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self.targets.get(self.current.get())? {
            Target::Inet(address) => Some(*address),
            _ => None,
        }
    }

    /// Whether each connection to it begins with its client's addresses, or takes its port from them.
    pub fn is_told_of_clients(&self) -> bool {
        self.config.send_proxy.is_some()
            || matches!(self.config.address, ServerAddress::Inet(_, ServerPort::FromClient(_)))
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

    /// Whether it is at its `maxconn`.
    pub fn is_full(&self) -> bool {
        self.config.maxconn.is_some_and(|maxconn| self.connections.get() >= maxconn)
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

    /// An idle connection that is still quiet, if there is one; with `proven` one that has carried more than one
    /// request.
    pub fn take_idle(&self, proven: bool) -> Option<crate::net::Stream> {
        self.idle.take(proven)
    }
}
