//! `balance static-rr` and `hash-type map-based`: a table in which each server stands as often as its weight says, spread
//! as HAProxy spreads it, so that the same number leads to the same server.

use super::turns::Verdict;

/// The table, made anew when servers come or go.
pub(super) struct Map {
    slots: Vec<u32>,
    at: usize,
}

#[allow(clippy::indexing_slicing, reason = "positions below the table's length, servers below their number")]
impl Map {
    /// `weights` of 0 are left out.
    pub fn new(weights: &[u32], at: usize) -> Self {
        let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut scores = vec![0i64; weights.len()];
        let mut slots = Vec::with_capacity(usize::try_from(sum).unwrap_or(0));
        for _ in 0..sum {
            // Only whole sums count for who is ahead; of equals the first one is.
            let mut best: Option<(usize, i64)> = None;
            for (server, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
                scores[server] += i64::from(weight);
                let ahead = i64::from(scores[server] >= 0) + i64::from(scores[server] >= sum);
                if best.is_none_or(|(_, most)| ahead > most) {
                    best = Some((server, ahead));
                }
            }
            let Some((server, _)) = best else { break };
            scores[server] -= sum;
            slots.push(u32::try_from(server).unwrap_or(u32::MAX));
        }
        Self { slots, at }
    }

    /// Where turns go on.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The server that a number leads to, or the next one in the table that `accept` takes.
    pub fn find(&self, hash: u32, accept: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        let len = self.slots.len();
        let first = usize::try_from(hash).unwrap_or(0).checked_rem(len)?;
        let slots = self.slots[first..].iter().chain(&self.slots[..first]);
        slots
            .map(|&server| server as usize)
            .find(|&server| accept(server))
            .or(Some(self.slots[first] as usize))
    }

    /// Whose turn it is.
    pub fn next(&mut self, accept: &mut dyn FnMut(usize) -> Verdict) -> Option<usize> {
        let len = self.slots.len();
        let start = if self.at < len { self.at } else { 0 };
        let mut aside = None;
        for step in 0..len {
            let at = if start + step < len { start + step } else { start + step - len };
            let server = self.slots[at] as usize;
            match accept(server) {
                Verdict::Take => {
                    self.at = at + 1;
                    return Some(server);
                }
                Verdict::Avoid => aside = Some((at, server)),
                Verdict::Full => {}
            }
        }
        let (at, server) = aside?;
        self.at = at + 1;
        Some(server)
    }
}
