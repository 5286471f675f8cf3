//! Servers by rank: the lowest key first, of equal keys the one that came first.

/// A heap of servers that knows where each is, so that any can be taken out.
#[derive(Default)]
pub(super) struct Heap {
    entries: Vec<Entry>,
    /// By server: its place in `entries`, from 1; 0 = it is not in here.
    places: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    order: u64,
    server: u32,
}

impl Entry {
    fn is_before(&self, other: &Self) -> bool {
        (self.key, self.order) < (other.key, other.order)
    }
}

#[allow(
    clippy::indexing_slicing,
    reason = "places within the list; servers below the number it was made for"
)]
impl Heap {
    /// An empty one for so many servers.
    pub fn new(servers: usize) -> Self {
        Self { entries: Vec::with_capacity(servers), places: vec![0; servers] }
    }

    /// The first server.
    pub fn first(&self) -> Option<usize> {
        self.entries.first().map(|entry| entry.server as usize)
    }

    pub fn has(&self, server: usize) -> bool {
        self.places[server] > 0
    }

    /// Puts a server in, with its rank: once.
    pub fn push(&mut self, server: usize, key: u64, order: u64) {
        let at = self.entries.len();
        // Servers are counted in 32 bits: each is a line of a file.
        self.entries.push(Entry { key, order, server: u32::try_from(server).unwrap_or(u32::MAX) });
        self.places[server] = place(at);
        self.rise(at);
    }

    /// Takes a server out; its key and order, if it was in here.
    pub fn remove(&mut self, server: usize) -> Option<(u64, u64)> {
        let at = (std::mem::take(&mut self.places[server]) as usize).checked_sub(1)?;
        let removed = self.entries.swap_remove(at);
        if let Some(moved) = self.entries.get(at) {
            self.places[moved.server as usize] = place(at);
            let at = self.sink(at);
            self.rise(at);
        }
        Some((removed.key, removed.order))
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let above = (at - 1) / 2;
            if !self.entries[at].is_before(&self.entries[above]) {
                break;
            }
            self.swap(at, above);
            at = above;
        }
    }

    fn sink(&mut self, mut at: usize) -> usize {
        loop {
            let mut least = at;
            for below in [2 * at + 1, 2 * at + 2] {
                if below < self.entries.len() && self.entries[below].is_before(&self.entries[least]) {
                    least = below;
                }
            }
            if least == at {
                return at;
            }
            self.swap(at, least);
            at = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.entries.swap(a, b);
        for at in [a, b] {
            self.places[self.entries[at].server as usize] = place(at);
        }
    }
}

/// What `places` holds for a place in the list.
fn place(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_comes_first_and_any_can_be_taken_out() {
        let mut heap = Heap::new(100);
        for server in 0..100 {
            heap.push(server, (server as u64 * 37) % 10, server as u64);
        }
        assert_eq!(heap.remove(50), Some((0, 50)));
        assert_eq!(heap.remove(50), None);
        let mut seen = Vec::new();
        while let Some(server) = heap.first() {
            assert!(heap.has(server));
            seen.push(heap.remove(server).unwrap());
        }
        assert_eq!(seen.len(), 99);
        assert!(seen.is_sorted());
    }
}
