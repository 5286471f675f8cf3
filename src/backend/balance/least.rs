//! `balance leastconn`: the server with the fewest connections for its weight; of several the one that has been so for
//! longest.

use super::heap::Heap;
use super::turns::Verdict;

/// The greatest effective weight: what a load is counted in.
const WEIGHT_MAX: u64 = 4_096;

/// Servers by load.
pub(super) struct Least {
    heap: Heap,
    weights: Vec<u32>,
    keys: Vec<u64>,
    order: u64,
}

#[allow(clippy::indexing_slicing, reason = "servers below the number it was made for")]
impl Least {
    pub fn new(servers: usize) -> Self {
        Self { heap: Heap::new(servers), weights: vec![0; servers], keys: vec![0; servers], order: 0 }
    }

    /// A server's weight has become another one; 0 takes it out. `load`: how many it has and how many wait for it,
    /// `None` while it is passed over.
    pub fn set_weight(&mut self, server: usize, weight: u32, load: Option<u32>) {
        self.weights[server] = weight;
        self.heap.remove(server);
        if let Some(load) = load.filter(|_| weight > 0) {
            self.put(server, load);
        }
    }

    /// A server's load has become another one.
    pub fn set_load(&mut self, server: usize, load: u32) {
        if self.heap.has(server) && self.key(server, load) != self.keys[server] {
            self.heap.remove(server);
            self.put(server, load);
        }
    }

    /// One that was passed over counts again.
    pub fn put_back(&mut self, server: usize, load: u32) {
        if self.weights[server] > 0 && !self.heap.has(server) {
            self.put(server, load);
        }
    }

    /// The least loaded that is accepted; one that is full is in no list until [`Self::put_back`].
    pub fn next(&mut self, accept: &mut dyn FnMut(usize) -> Verdict) -> Option<usize> {
        let mut aside = None;
        let found = loop {
            let Some(server) = self.heap.first() else { break None };
            match accept(server) {
                Verdict::Take => break Some(server),
                Verdict::Avoid => aside = self.heap.remove(server).map(|rank| (server, rank)),
                Verdict::Full => drop(self.heap.remove(server)),
            }
        };
        let Some((server, (key, order))) = aside else { return found };
        self.heap.push(server, key, order);
        found.or(Some(server))
    }

    fn key(&self, server: usize, load: u32) -> u64 {
        match load {
            0 => 0,
            load => (u64::from(load) + 1) * WEIGHT_MAX / u64::from(self.weights[server].max(1)),
        }
    }

    fn put(&mut self, server: usize, load: u32) {
        self.keys[server] = self.key(server, load);
        self.order += 1;
        self.heap.push(server, self.keys[server], self.order);
    }
}
