//! One server: where it is, whether it is up, what it is carrying.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};

use rustix::net::SocketAddrUnix;

use super::health::{Admin, Counter, Facts, Op, State};
use super::idle::IdlePool;
use super::queue::Queue;
use super::way::Way;
use super::{Backend, ClientEnds};
use crate::config::{self, FirstAddress, ServerAddress, ServerPort};
use crate::counters::Side;
use crate::net::Target;
use crate::reactor::Handle;

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
    /// Of `connections`, those that were given to somebody who waited and who has not taken them yet.
    pub(super) promised: Cell<u32>,
    /// Between `minconn` and `maxconn`, where there is a `minconn`.
    pub(super) limit: Cell<u32>,
    /// What is not plain about its connections.
    pub(super) way: Option<Rc<Way>>,
    /// Alternatives in the resolver's order; none while its name has no address.
    targets: RefCell<Vec<Target>>,
    /// Loop clock of the last look-up of its name.
    pub(super) looked_up_ms: Cell<u64>,
    /// Its name was not found the last time.
    pub(super) is_lost: Cell<bool>,
    current: Cell<usize>,
    pub(super) state: State,
    /// Servers that go up and down with this one (`track`), and the one that this one goes with.
    trackers: RefCell<Vec<Place>>,
    tracked: RefCell<Option<Place>>,
    /// The deadlines of its sessions, where they may be ended before their time.
    sessions: RefCell<Vec<u32>>,
    /// How often its sessions were ended, and why they were the last time.
    ends: Cell<u32>,
    ended_by: Cell<u8>,
    /// Its weight now, 0 to 256: the configured one until it is changed.
    weight: Cell<u32>,
    /// Its `maxconn` now; 0 = no limit.
    pub(super) maxconn: Cell<u32>,
    /// How many sixteenths of its weight count: fewer while it starts slowly.
    ramp: Cell<u32>,
    /// The value of its cookie, where it is worked out.
    pub(super) cookie: Cell<super::cookie::Known>,
}

/// Where a server is at the start, as `init-addr` says; none for one that waits for its name to have an address.
fn first_addresses(
    config: &config::Server,
    host: &str,
    port: u16,
    resolve: impl Fn(&str, u16) -> Result<Vec<SocketAddr>, String>,
) -> Result<Vec<SocketAddr>, String> {
    let ways = &config.state.first_address;
    if ways.is_empty() || host.parse::<IpAddr>().is_ok() {
        return resolve(host, port);
    }
    let mut reason = "`init-addr` leaves no way to it".to_owned();
    for way in ways {
        match way {
            // Of a reload: taken over later, where there is none.
            FirstAddress::Last => {}
            FirstAddress::None => return Ok(Vec::new()),
            FirstAddress::Fixed(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
            FirstAddress::System => match resolve(host, port) {
                Ok(addresses) => return Ok(addresses),
                Err(error) => reason = error,
            },
        }
    }
    Err(reason)
}

/// A server of a backend: weak, since they may name each other in a ring of backends.
type Place = (Weak<Backend>, usize);

/// The whole share of a server, as steps of `slowstart` count it.
const RAMP_TOP: u32 = 16;

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
                let addresses = first_addresses(config, host, number(port), resolve);
                let addresses =
                    addresses.map_err(|reason| fail(host, &reason))?.into_iter().map(Target::Inet);
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
        let weight = Cell::new(config.weight);
        let limit = Cell::new(config.minconn);
        let maxconn = config.maxconn.unwrap_or(0);
        let counter = config
            .check
            .map_or(Counter::new(1, 1), |c| Counter::new(c.rise, c.fall).at(config.state.first_state));
        let disabled = Admin::CONFIGURED_MAINT.with(Admin::MAINT);
        let admin = if config.disabled { disabled } else { Admin::default() };
        let admin = if targets.is_empty() { admin.with(Admin::NO_ADDRESS) } else { admin };
        Self {
            config,
            weight,
            maxconn: Cell::new(maxconn),
            ramp: Cell::new(RAMP_TOP),
            connections: Cell::new(0),
            counters: Side::default(),
            idle: IdlePool::default(),
            queue: Queue::default(),
            promised: Cell::new(0),
            limit,
            way: None,
            targets: RefCell::new(targets),
            looked_up_ms: Cell::new(0),
            is_lost: Cell::new(false),
            current: Cell::new(0),
            state: State::new(counter, admin, 0),
            trackers: RefCell::default(),
            tracked: RefCell::default(),
            sessions: RefCell::default(),
            ends: Cell::new(0),
            ended_by: Cell::new(0),
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

    /// Its address now; without a port of its own, the port is 0.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self.targets.borrow().get(self.current.get())? {
            Target::Inet(address) => Some(*address),
            Target::Unix(_) => None,
        }
    }

    /// Its name has these addresses now. The one in use stays, if it is among them.
    pub(super) fn move_to(&self, addresses: Vec<SocketAddr>) {
        let port = match self.config.address {
            ServerAddress::Inet(_, ServerPort::Fixed(port)) => port,
            _ => 0,
        };
        let nth = self.config.nth_address.and_then(|nth| usize::try_from(nth).ok());
        let (skipped, most) = nth.map_or((0, usize::MAX), |nth| (nth, 1));
        let addresses = addresses.into_iter().skip(skipped).take(most);
        let targets: Vec<Target> =
            addresses.map(|address| Target::Inet(SocketAddr::new(address.ip(), port))).collect();
        if targets.is_empty() {
            return;
        }
        let now = self.targets.borrow().get(self.current.get()).cloned();
        self.current.set(targets.iter().position(|target| Some(target) == now.as_ref()).unwrap_or(0));
        self.targets.replace(targets);
    }

    /// Where to connect to now, for servers without an address or port with the one that the client came to. `None` =
    /// that is not known, or would lead back to us.
    pub(super) fn target(&self, client: &ClientEnds) -> Option<Target> {
        let targets = self.targets.borrow();
        let target = targets.get(self.current.get()).or(targets.first())?;
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

    /// Where to send a health check to; without a port of its own the port is 0, and the check's steps have theirs.
    pub(super) fn check_target(&self) -> Option<Target> {
        let port = self.config.check.and_then(|check| check.port);
        match (self.targets.borrow().get(self.current.get())?, port) {
            (Target::Inet(address), Some(port)) => Some(Target::Inet(SocketAddr::new(address.ip(), port))),
            (target, _) => Some(target.clone()),
        }
    }

    /// The current address did not answer: the next attempt uses the name's next one, where it has several.
    pub(super) fn rotate_target(&self) {
        self.current.set((self.current.get() + 1) % self.targets.borrow().len().max(1));
    }

    /// Whether the choice may fall on it: up, not about to leave, and with a weight.
    pub fn is_usable(&self) -> bool {
        matches!(self.state.op.get(), Op::Running | Op::Starting)
            && self.weight.get() > 0
            && !self.state.admin.get().is_drain()
    }

    /// Its weight now, 0 to 256.
    pub fn weight(&self) -> u32 {
        self.weight.get()
    }

    /// What counts for its share of the traffic: sixteenths of its weight, less while it starts slowly.
    pub fn effective_weight(&self) -> u32 {
        self.weight.get().saturating_mul(self.ramp.get())
    }

    /// How much of its share it gets after so much of the whole time of its slow start.
    pub(super) fn set_ramp(&self, past_ms: u64, whole_ms: u64) {
        let steps = u64::from(RAMP_TOP).saturating_mul(past_ms) / whole_ms.max(1) + 1;
        self.ramp.set(u32::try_from(steps).unwrap_or(RAMP_TOP).min(RAMP_TOP));
    }

    /// Whether it takes those that must go to it (rules, cookies): neither in maintenance nor failed.
    pub fn is_up(&self) -> bool {
        self.state.op.get() != Op::Stopped
    }

    /// Whether it is in maintenance: neither traffic nor checks.
    pub fn is_in_maintenance(&self) -> bool {
        self.state.admin.get().is_maint()
    }

    /// Whether whoever comes has to wait: it is at its limit, or others wait already.
    pub fn is_full(&self) -> bool {
        self.maxconn.get() > 0 && (!self.has_room() || !self.queue.is_empty())
    }

    /// Whether it is below its limit: `maxconn`, or less while `minconn` or its slow start keep it low.
    pub(super) fn has_room(&self) -> bool {
        let maxconn = self.maxconn.get();
        if maxconn == 0 {
            return true;
        }
        let limit = if self.config.minconn == 0 { maxconn } else { self.limit.get() };
        let limit = match self.ramp.get() {
            RAMP_TOP => limit,
            ramp => (limit.saturating_mul(ramp) / RAMP_TOP).max(1),
        };
        self.connections.get() < limit
    }

    /// Connections (in `mode http`: requests) for the log line: without those that are about to begin.
    pub fn in_use(&self) -> u32 {
        self.connections.get().saturating_sub(self.promised.get())
    }

    /// Sessions that wait for this very server.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// What operators are told of its state, at this time of the loop's clock.
    pub fn facts(&self, now_ms: u64) -> Facts {
        self.state.facts(now_ms)
    }

    /// Changes its weight; [`Backend::servers_changed`] is the caller's.
    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.set(weight);
    }

    /// Changes its `maxconn`; 0 = no limit.
    pub(super) fn set_maxconn(&self, maxconn: u32) {
        self.maxconn.set(maxconn);
    }

    /// For tests of the choice.
    #[cfg(test)]
    pub(super) fn set_up(&self, up: bool) {
        self.state.enter(if up { Op::Running } else { Op::Stopped }, 0);
    }

    /// Makes it go up and down with another server.
    pub(super) fn follow(&self, tracked: (&Rc<Backend>, usize)) {
        *self.tracked.borrow_mut() = Some((Rc::downgrade(tracked.0), tracked.1));
    }

    /// Makes another server go up and down with it.
    pub(super) fn lead(&self, tracker: (&Rc<Backend>, usize)) {
        self.trackers.borrow_mut().push((Rc::downgrade(tracker.0), tracker.1));
    }

    /// The server that it tracks.
    pub(super) fn tracked(&self) -> Option<(Rc<Backend>, usize)> {
        let tracked = self.tracked.borrow();
        let (backend, index) = tracked.as_ref()?;
        Some((backend.upgrade()?, *index))
    }

    /// Those that track it.
    pub(super) fn trackers(&self) -> Vec<(Rc<Backend>, usize)> {
        let trackers = self.trackers.borrow();
        trackers.iter().filter_map(|(backend, index)| Some((backend.upgrade()?, *index))).collect()
    }

    /// Counts a session among those that may be ended; returns how often they were.
    pub(super) fn join(&self, deadline: u32) -> u32 {
        self.sessions.borrow_mut().push(deadline);
        self.ends.get()
    }

    pub(super) fn part(&self, deadline: u32) {
        let mut sessions = self.sessions.borrow_mut();
        if let Some(at) = sessions.iter().rposition(|known| *known == deadline) {
            sessions.swap_remove(at);
        }
    }

    /// Why the sessions were ended since there were so many ends.
    pub(super) fn ended_since(&self, ends: u32) -> Option<u8> {
        (self.ends.get() != ends).then_some(self.ended_by.get())
    }

    /// Ends its sessions: each finds its deadline expired, and asks why.
    pub(super) fn end_sessions(&self, by: u8, reactor: Handle) {
        let sessions = self.sessions.take();
        self.ended_by.set(by);
        self.ends.set(self.ends.get().wrapping_add(1));
        for deadline in sessions {
            reactor.expire(deadline);
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.config.name == other.config.name && self.config.address == other.config.address
    }

    pub(super) fn inherit(&self, old: &Self) {
        let is_checked = |server: &Self| server.config.check.is_some() || server.config.state.is_followed();
        self.state.inherit(&old.state, is_checked(self) == is_checked(old));
        // What an agent or an operator has changed holds until the file says otherwise.
        if self.config.weight == old.config.weight {
            self.weight.set(old.weight.get());
        }
        if self.config.maxconn == old.config.maxconn {
            self.maxconn.set(old.maxconn.get());
        }
        let known = old.address();
        if self.targets.borrow().is_empty() && known.is_some() {
            // `init-addr last`: there is none now, but there was one.
            self.targets.replace(old.targets.borrow().clone());
            self.state.end_without_address();
        }
        let at = |targets: &[Target]| {
            targets.iter().position(|t| matches!(t, Target::Inet(a) if Some(*a) == known))
        };
        self.current.set(at(&self.targets.borrow()).unwrap_or(0));
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
