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

    /// Puts a server in, or elsewhere, with this rank.
    pub fn put(&mut self, server: usize, key: u64, order: u64) {
        // Servers are counted in 32 bits: each is a line of a file.
        let entry = Entry { key, order, server: u32::try_from(server).unwrap_or(u32::MAX) };
        let at = match (self.places[server] as usize).checked_sub(1) {
            Some(at) => at,
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.settle(at, entry);
    }

    /// Takes a server out; its key and order, if it was in here.
    pub fn remove(&mut self, server: usize) -> Option<(u64, u64)> {
        let at = (std::mem::take(&mut self.places[server]) as usize).checked_sub(1)?;
        let removed = self.entries[at];
        let last = self.entries.pop()?;
        if at < self.entries.len() {
            self.settle(at, last);
        }
        Some((removed.key, removed.order))
    }

    /// Finds the place of an entry, from a free one on, up or down.
    fn settle(&mut self, mut at: usize, entry: Entry) {
        while at > 0 && entry.is_before(&self.entries[(at - 1) / 2]) {
            self.set(at, self.entries[(at - 1) / 2]);
            at = (at - 1) / 2;
        }
        loop {
            let mut below = 2 * at + 1;
            let Some(mut least) = self.entries.get(below) else { break };
            if let Some(other) = self.entries.get(below + 1).filter(|other| other.is_before(least)) {
                (below, least) = (below + 1, other);
            }
            if !least.is_before(&entry) {
                break;
            }
            self.set(at, *least);
            at = below;
        }
        self.set(at, entry);
    }

    fn set(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
        self.places[entry.server as usize] = place(at);
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
            heap.put(server, (server as u64 * 37) % 10, server as u64);
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
