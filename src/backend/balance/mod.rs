//! Choosing a server (configuration §4.2, "balance").
//!
//! Each algorithm keeps what it needs in an order of its own, so that a choice costs about the same among two servers
//! and among two hundred. It knows servers by their weights alone; a weight of 0 is that of one on which the choice may
//! not fall: down, a backup while others are up, or without a weight. What is full is found out when the choice falls
//! on it, and put aside until it has room again.

mod first;
mod hash;
mod heap;
mod least;
mod map;
mod ring;
#[cfg(test)]
mod tests;
mod turns;

pub use hash::{hash, mixed};

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{Backend, Pick, Server, Wish};
use crate::config::{Affinity, Algorithm, Balance};
use first::First;
use least::Least;
use map::Map;
use ring::Ring;
use turns::{Turns, Verdict};

/// The choice between the servers of one backend.
pub(super) struct Balancer {
    state: RefCell<State>,
    /// A server's state or weight has changed since the last choice.
    is_stale: Cell<bool>,
    /// Connections to all servers.
    carried: Cell<u32>,
}

struct State {
    method: Method,
    ids: Vec<u32>,
    /// By server.
    weights: Vec<u32>,
    members: usize,
    /// The only one that is left.
    only: Option<usize>,
    /// Those that were full when the choice fell on them, and how many they are.
    out: Vec<bool>,
    outs: usize,
}

enum Method {
    Turns(Box<Turns>),
    Least(Least),
    First(First),
    Map(Map),
    Ring(Ring),
}

impl Balancer {
    /// Nothing is worked out before the first choice. `seed`: where chance begins.
    pub fn new(balance: &Balance, servers: &[Server], seed: u64) -> Self {
        let count = servers.len();
        let ids: Vec<u32> = servers.iter().map(|server| server.config.id).collect();
        let weights = vec![0; count];
        let method = match &balance.algorithm {
            Algorithm::RoundRobin => Method::Turns(Box::new(Turns::new(&weights))),
            Algorithm::LeastConn => Method::Least(Least::new(count)),
            Algorithm::First => Method::First(First::new(&ids)),
            _ if balance.is_static() => Method::Map(Map::new(&weights, 0)),
            _ => Method::Ring(Ring::seeded(seed)),
        };
        let (out, outs) = (vec![false; count], 0);
        let state = RefCell::new(State { method, ids, weights, members: 0, only: None, out, outs });
        Self { state, is_stale: Cell::new(true), carried: Cell::new(0) }
    }

    /// A server's state or weight has changed.
    pub fn changed(&self) {
        self.is_stale.set(true);
    }

    /// Chooses a server. One that a hash leads to may be full.
    pub fn pick(&self, balance: &Balance, servers: &[Server], wish: &Wish) -> Pick {
        let mut state = self.state.borrow_mut();
        if self.is_stale.replace(false) {
            state.update(balance, servers);
        }
        let is_full = |index: usize| servers.get(index).is_some_and(Server::is_full);
        let hash = wish.hash.filter(|_| matches!(balance.algorithm, Algorithm::Hash(_)));
        if state.members == 0 {
            return Pick::Down;
        }
        if let Some(only) = state.only {
            return if hash.is_none() && is_full(only) { Pick::Full } else { Pick::Server(only) };
        }
        if let Some(hash) = hash {
            return state.hashed(balance, servers, wish, hash, self.carried.get());
        }
        let found = state.next(balance, servers, wish.avoid).or_else(|| {
            // Limits may have moved without anybody's having left.
            let has_room = |index: &usize| state.out.get(*index) == Some(&true) && !is_full(*index);
            let back: Option<usize> = if state.outs > 0 { (0..servers.len()).find(has_room) } else { None };
            state.put_back(back?, servers);
            state.next(balance, servers, wish.avoid)
        });
        found.map_or(Pick::Full, Pick::Server)
    }

    /// Whether the choice can fall on this server now.
    pub fn serves(&self, balance: &Balance, servers: &[Server], index: usize) -> bool {
        let mut state = self.state.borrow_mut();
        if self.is_stale.replace(false) {
            state.update(balance, servers);
        }
        state.weights.get(index).is_some_and(|&weight| weight > 0)
    }

    /// A server has one connection more.
    pub fn taken(&self, servers: &[Server], index: usize) {
        self.carried.set(self.carried.get().saturating_add(1));
        let mut state = self.state.borrow_mut();
        if let (Method::Least(least), Some(server)) = (&mut state.method, servers.get(index)) {
            least.set_load(index, load(server));
        }
    }

    /// A server has one connection less.
    pub fn released(&self, servers: &[Server], index: usize) {
        self.carried.set(self.carried.get().saturating_sub(1));
        let mut state = self.state.borrow_mut();
        let Some(server) = servers.get(index) else { return };
        if state.outs > 0 && state.out.get(index) == Some(&true) && !server.is_full() {
            state.put_back(index, servers);
        } else if let Method::Least(least) = &mut state.method {
            least.set_load(index, load(server));
        }
    }
}

/// What a server carries, with those who wait for it.
fn load(server: &Server) -> u32 {
    let queued = u32::try_from(server.queued()).unwrap_or(u32::MAX);
    server.connections.get().saturating_add(queued)
}

impl State {
    /// The server that a hash leads to.
    fn hashed(&self, balance: &Balance, servers: &[Server], wish: &Wish, hash: u32, carried: u32) -> Pick {
        let may_take = |index: usize| {
            let Some(server) = servers.get(index) else { return false };
            let max = server.config.maxqueue as usize;
            Some(index) != wish.avoid
                && match balance.affinity {
                    Affinity::Always => true,
                    Affinity::MaxConn => !server.is_full(),
                    Affinity::MaxQueue => max == 0 || !server.is_full() || server.queued() < max,
                }
        };
        let found = match &self.method {
            Method::Ring(ring) => ring.find(hash, &mut |index| {
                let load = servers.get(index).map_or(0, |server| server.connections.get());
                let percent = balance.factor_percent;
                may_take(index) && (percent == 0 || ring.is_within(index, load, carried, percent))
            }),
            Method::Map(map) => map.find(hash, &mut |index| may_take(index)),
            _ => None,
        };
        found.map_or(Pick::Down, Pick::Server)
    }

    /// The one whose turn it is, among those that have room; not `avoid`, if there is another.
    fn next(&mut self, balance: &Balance, servers: &[Server], avoid: Option<usize>) -> Option<usize> {
        let Self { method, out, outs, .. } = self;
        let verdict = |index: usize| match servers.get(index) {
            Some(server) if !server.is_full() => {
                if Some(index) == avoid {
                    Verdict::Avoid
                } else {
                    Verdict::Take
                }
            }
            _ => Verdict::Full,
        };
        let mut noting = |index: usize| {
            let verdict = verdict(index);
            if let (Verdict::Full, Some(out)) = (verdict, out.get_mut(index)) {
                *out = true;
                *outs += 1;
            }
            verdict
        };
        match method {
            Method::Turns(turns) => turns.next(&mut noting),
            Method::Least(least) => least.next(&mut noting),
            Method::First(first) => first.next(&mut noting),
            Method::Map(map) => map.next(&mut |index| verdict(index)),
            Method::Ring(ring) => match balance.algorithm {
                Algorithm::Random(draws) => {
                    let load = |index: usize| servers.get(index).map_or(0, |server| server.connections.get());
                    ring.draw(draws, &load, &mut |index| verdict(index))
                }
                _ => ring.next(&mut |index| verdict(index)),
            },
        }
    }

    /// One that was full has room.
    fn put_back(&mut self, index: usize, servers: &[Server]) {
        if let Some(out) = self.out.get_mut(index).filter(|out| **out) {
            *out = false;
            self.outs = self.outs.saturating_sub(1);
        }
        match &mut self.method {
            Method::Turns(turns) => turns.put_back(index),
            Method::Least(least) => least.put_back(index, servers.get(index).map_or(0, load)),
            Method::First(first) => {
                first.set(index, self.weights.get(index).is_some_and(|&weight| weight > 0))
            }
            Method::Map(_) | Method::Ring(_) => {}
        }
    }

    /// Works out on whom the choice may fall, and tells the algorithm what has changed.
    fn update(&mut self, balance: &Balance, servers: &[Server]) {
        let weights = weights(balance, servers);
        let was_empty = self.members == 0;
        let before = std::mem::replace(&mut self.weights, weights);
        let mut members = self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0);
        let one = members.next().map(|(index, _)| index);
        self.members = usize::from(one.is_some()) + members.count();
        self.only = one.filter(|_| self.members == 1);
        if before == self.weights {
            return;
        }
        match &mut self.method {
            Method::Map(map) => *map = Map::new(&self.weights, map.at()),
            Method::Ring(ring) => ring.set(&self.ids, &self.weights),
            Method::Turns(turns) if was_empty => **turns = Turns::new(&self.weights),
            _ => {
                for (index, (&weight, before)) in self.weights.iter().zip(before).enumerate() {
                    if weight == before {
                        continue;
                    }
                    if weight == 0 && self.out.get(index) == Some(&true) {
                        self.outs = self.outs.saturating_sub(1);
                        self.out.get_mut(index).into_iter().for_each(|out| *out = false);
                    }
                    let is_out = self.out.get(index) == Some(&true);
                    match &mut self.method {
                        Method::Turns(turns) => turns.set_weight(index, weight, is_out),
                        Method::Least(least) => {
                            let load = servers.get(index).map(load).filter(|_| !is_out);
                            least.set_weight(index, weight, load);
                        }
                        Method::First(first) => first.set(index, weight > 0 && !is_out),
                        Method::Map(_) | Method::Ring(_) => {}
                    }
                }
            }
        }
    }
}

/// What the choice goes by: 0 for those it may not fall on. Backups count only while no other server is up, and then
/// only the first of them, or with `option allbackups` all (configuration §5.2, "backup").
fn weights(balance: &Balance, servers: &[Server]) -> Vec<u32> {
    let any_active = servers.iter().any(|server| server.is_usable() && !server.config.backup);
    // Tables are made from the smallest whole numbers that are in the same proportion.
    let divisor = servers.iter().fold(0, |divisor, server| common_divisor(divisor, server.config.weight));
    let mut has_backup = false;
    let weight = |server: &Server| {
        let counts = server.is_usable()
            && (any_active && !server.config.backup
                || !any_active && (balance.all_backups || !std::mem::replace(&mut has_backup, true)));
        match (counts, balance.is_static()) {
            (false, _) => 0,
            (true, true) => server.config.weight / divisor.max(1),
            (true, false) => server.effective_weight(),
        }
    };
    servers.iter().map(weight).collect()
}

fn common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Backend {
    /// Gives a server another weight, 0 to 256, for as long as the process runs.
    ///
    /// # Errors
    /// A message: there is no such weight, or the algorithm knows only whole weights.
    pub fn set_weight(self: &Rc<Self>, index: usize, weight: u32) -> Result<(), &'static str> {
        let Some(server) = self.servers.get(index) else { return Err("No such server.") };
        if weight > 256 {
            return Err("Absolute weight can only be between 0 and 256 inclusive.");
        }
        if self.config.balance.is_static() && weight != 0 && weight != server.config.weight {
            return Err("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.");
        }
        let before = self.usable();
        server.set_weight(weight);
        self.after_change(before);
        Ok(())
    }
}
