//! `balance first`: the server with the lowest id that has room. A bit for each server, in the order of the ids.

use super::turns::Verdict;

/// Which servers are open.
pub(super) struct First {
    /// The servers by id.
    ranked: Vec<u32>,
    /// The rank of each server.
    ranks: Vec<u32>,
    /// By rank: bits of those that are up and not passed over.
    open: Vec<u32>,
}

#[allow(clippy::indexing_slicing, reason = "servers below the number it was made for")]
impl First {
    /// For servers with these ids.
    pub fn new(ids: &[u32]) -> Self {
        let mut by_id: Vec<u64> = (0..).zip(ids).map(|(server, &id)| u64::from(id) << 32 | server).collect();
        by_id.sort_unstable();
        let ranked: Vec<u32> = by_id.iter().map(|&server| server as u32).collect();
        let mut ranks = vec![0; ids.len()];
        for (rank, server) in (0..).zip(&ranked) {
            ranks[*server as usize] = rank;
        }
        Self { ranked, ranks, open: vec![0; ids.len().div_ceil(32)] }
    }

    pub fn set(&mut self, server: usize, is_open: bool) {
        let rank = self.ranks[server];
        let (word, bit) = (&mut self.open[rank as usize / 32], 1 << (rank % 32));
        if is_open { *word |= bit } else { *word &= !bit }
    }

    /// The first that is accepted; those that are full are closed until they are set open again.
    pub fn next(&mut self, accept: &mut dyn FnMut(usize) -> Verdict) -> Option<usize> {
        let mut aside = None;
        for word in 0..self.open.len() {
            let mut bits = self.open[word];
            while bits != 0 {
                let server = self.ranked[word * 32 + bits.trailing_zeros() as usize] as usize;
                bits &= bits - 1;
                match accept(server) {
                    Verdict::Take => return Some(server),
                    Verdict::Avoid => aside = Some(server),
                    Verdict::Full => self.set(server, false),
                }
            }
        }
        aside
    }
}
