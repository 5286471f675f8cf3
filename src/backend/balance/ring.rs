//! `hash-type consistent` and `balance random`: each server stands at as many places of a ring as it has weight, and a
//! number leads to the nearest place. Another server's coming or going moves few numbers. The places follow from the
//! server's id alone, as in HAProxy.

use super::hash::avalanche;
use super::turns::Verdict;

/// Places of the greatest weight.
const PLACES_MAX: u32 = 4_096;

/// The ring.
#[derive(Default)]
pub(super) struct Ring {
    /// Place (upper half) and server (lower half), in the order of the places.
    places: Vec<u64>,
    /// By the upper bits of a number: the first place with these bits or higher ones.
    starts: Vec<u32>,
    shift: u32,
    /// By server: its weight, and the weight of those before it; the last entry has the sum.
    weights: Vec<(u32, u32)>,
    /// Where turns go on: the place of the last one.
    last: Option<u32>,
    chance: u32,
}

#[allow(clippy::indexing_slicing, reason = "positions below the ring's length, servers below their number")]
impl Ring {
    /// Where chance begins.
    pub fn seeded(seed: u64) -> Self {
        Self { chance: (seed ^ seed >> 32) as u32 | 1, ..Self::default() }
    }

    /// Servers come, go, or weigh something else: `weights` by server, with 0 for those that are not to be found.
    pub fn set(&mut self, ids: &[u32], weights: &[u32]) {
        let of = |places: &[(u32, u32)], server: usize| places.get(server).map_or(0, |known| known.0);
        let known = std::mem::take(&mut self.weights);
        let mut sum = 0u32;
        for &weight in weights {
            self.weights.push((weight, sum));
            sum = sum.saturating_add(weight);
        }
        self.weights.push((0, sum));
        // What stays is in order already; what comes is sorted by itself.
        let same = |place: &u64| of(&known, server(*place)) == weights[server(*place)];
        self.places.retain(same);
        let mut coming: Vec<u64> = Vec::new();
        for (server, (&id, &weight)) in ids.iter().zip(weights).enumerate() {
            if of(&known, server) != weight {
                let first = id.wrapping_mul(PLACES_MAX);
                let place = |nth| u64::from(avalanche(first.wrapping_add(nth))) << 32 | server as u64;
                coming.extend((0..weight).map(place));
            }
        }
        coming.sort_unstable();
        merge(&mut self.places, &coming);
        self.index();
    }

    /// Fills `starts`: about as many as there are places.
    fn index(&mut self) {
        let bits = self.places.len().max(2).ilog2();
        self.shift = 32 - bits;
        self.starts.clear();
        let mut at = 0;
        for upper in 0..1u32 << bits {
            while self.places.get(at).is_some_and(|&place| key(place) >> self.shift < upper) {
                at += 1;
            }
            self.starts.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
    }

    /// The first place from `hash` on; the number of places where there is none.
    fn from(&self, hash: u32) -> usize {
        let start = self.starts.get((hash >> self.shift) as usize).map_or(0, |&at| at as usize);
        let before = self.places[start..].iter().take_while(|&&place| key(place) < hash);
        start + before.count()
    }

    /// The place that is nearest to a number, the earlier one of two.
    fn nearest(&self, hash: u32) -> Option<usize> {
        let len = self.places.len();
        let at = self.from(hash);
        let after = if at < len { at } else { 0 };
        let before = after.checked_sub(1).or(len.checked_sub(1))?;
        let behind = hash.wrapping_sub(key(self.places[before]));
        let ahead = key(self.places[after]).wrapping_sub(hash);
        Some(if behind <= ahead { before } else { after })
    }

    /// The server that a number leads to, or the next one on the ring that `accept` takes.
    pub fn find(&self, hash: u32, accept: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        let first = self.nearest(hash)?;
        let places = self.places[first..].iter().chain(&self.places[..first]);
        places.map(|&place| server(place)).find(|&server| accept(server)).or(Some(server(self.places[first])))
    }

    /// Whose turn it is, in the order of the ring.
    pub fn next(&mut self, accept: &mut dyn FnMut(usize) -> Verdict) -> Option<usize> {
        let start = self.last.map_or(0, |last| match last.checked_add(1) {
            Some(next) => self.from(next),
            None => 0,
        });
        let len = self.places.len();
        let mut aside = None;
        for step in 0..len {
            let place = self.places[(start + step) % len];
            match accept(server(place)) {
                Verdict::Take => {
                    self.last = Some(key(place));
                    return Some(server(place));
                }
                Verdict::Avoid => aside = Some(place),
                Verdict::Full => {}
            }
        }
        self.last = Some(key(aside?));
        aside.map(server)
    }

    /// The least loaded of so many drawn at random.
    pub fn draw(
        &mut self,
        draws: u32,
        load: &dyn Fn(usize) -> u32,
        accept: &mut dyn FnMut(usize) -> Verdict,
    ) -> Option<usize> {
        let mut best: Option<usize> = None;
        for _ in 0..draws {
            let hash = self.random();
            // Several places of one server stand side by side.
            let drawn = self.find(hash, &mut |server| accept(server) == Verdict::Take)?;
            let weigh =
                |server: usize, other: usize| u64::from(load(server)) * u64::from(self.weights[other].0);
            if best.is_none_or(|best| weigh(drawn, best) <= weigh(best, drawn)) {
                best = Some(drawn);
            }
        }
        // Where none was taken, `find` gives one that is to be avoided, or full.
        best.filter(|&server| accept(server) != Verdict::Full)
    }

    /// Whether a server carries no more than `percent` of its share of all that is carried, the next one included
    /// (configuration §4.2, "hash-balance-factor").
    pub fn is_within(&self, server: usize, load: u32, all: u32, percent: u32) -> bool {
        let ((weight, before), Some(&(_, sum))) = (self.weights[server], self.weights.last()) else {
            return true;
        };
        let (weight, before, sum) = (u64::from(weight), u64::from(before), u64::from(sum).max(1));
        let places = ((u64::from(all) + 1) * u64::from(percent)).div_ceil(100);
        let (each, rest) = (places / sum, places % sum);
        let own = weight * each + (before + weight) * rest / sum - before * rest / sum;
        u64::from(load) < own.max(1)
    }

    fn random(&mut self) -> u32 {
        let mut x = self.chance;
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.chance = x;
        x
    }
}

fn key(place: u64) -> u32 {
    (place >> 32) as u32
}

fn server(place: u64) -> usize {
    (place as u32) as usize
}

/// Puts one sorted list into another, from the end on: nothing is moved twice.
#[allow(clippy::indexing_slicing, reason = "positions below the lengths of both")]
fn merge(into: &mut Vec<u64>, coming: &[u64]) {
    let (mut old, mut new) = (into.len(), coming.len());
    into.resize(old + new, 0);
    while new > 0 {
        let at = old + new - 1;
        if old > 0 && into[old - 1] > coming[new - 1] {
            into[at] = into[old - 1];
            old -= 1;
        } else {
            into[at] = coming[new - 1];
            new -= 1;
        }
    }
}
