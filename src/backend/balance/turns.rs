//! `balance roundrobin`: servers in the order of the turns at which they are due, as HAProxy deals them out.
//!
//! A round has as many turns as the servers have weight together. A server is due again as many turns after its last
//! one as the round's weight holds its own; what the division leaves is carried over, so that over a round each gets
//! exactly its share. A turn at which nobody is due goes to the heaviest of those that had none in this round yet. Those
//! that are due beyond the round wait for the next one. Weights may change at any time.

use super::heap::Heap;

/// The greatest effective weight, 256 times its scale.
const WEIGHT_MAX: u64 = 4_096;
/// What a weight of 1 is.
const SCALE: u64 = 16;
/// Ranks within one turn.
const RANKS: u64 = 256;

#[derive(Clone, Copy, Default)]
struct Place {
    weight: u64,
    /// The turn at which it is due; 0 = it had none yet.
    due: u64,
    /// The turn at which it was due before.
    last: u64,
    /// What the division has left.
    rest: u64,
    /// The round in which `due` counts.
    round: u32,
}

/// Whose turn it is.
pub(super) struct Turns {
    /// Those with a turn in this round.
    due: Heap,
    /// Those that had none in it yet, heaviest first.
    fresh: Heap,
    /// Those for the next round.
    later: Heap,
    places: Vec<Place>,
    now: u64,
    /// The weight of this round, and that of the next one.
    weight: u64,
    next_weight: u64,
    round: u32,
    order: u64,
}

#[allow(clippy::indexing_slicing, reason = "servers below the number it was made for")]
impl Turns {
    pub fn new(weights: &[u32]) -> Self {
        let heap = || Heap::new(weights.len());
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut turns = Self {
            due: heap(),
            fresh: heap(),
            later: heap(),
            places: vec![Place::default(); weights.len()],
            now: sum,
            weight: sum,
            next_weight: sum,
            round: 0,
            order: 0,
        };
        for (server, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            turns.places[server].weight = weight.into();
            turns.start(server);
        }
        turns
    }

    /// A server's weight has become another one; 0 takes it out. `is_out`: it is passed over just now.
    pub fn set_weight(&mut self, server: usize, weight: u32, is_out: bool) {
        let weight = u64::from(weight);
        let before = std::mem::replace(&mut self.places[server].weight, weight);
        self.next_weight = self.next_weight.saturating_add(weight).saturating_sub(before);
        let was_fresh = self.fresh.has(server);
        self.take_out(server);
        if weight == 0 || is_out {
            return;
        }
        let Self { now, next_weight, round, .. } = *self;
        let left = (next_weight + self.weight).saturating_sub(now);
        let place = &mut self.places[server];
        place.rest = 0;
        if was_fresh {
            return self.start(server);
        }
        let step = next_weight / weight;
        if before == 0 {
            // It gets its share of what is left of this round.
            place.due = now + left / weight;
            place.last = now;
        } else {
            // Never later than it would have been due.
            place.due = place.due.min(place.last + step);
            if place.due < now + 2 {
                place.due = now + step;
            }
        }
        place.round = round;
        self.queue(server);
    }

    /// The next server, which has had its turn then. `accept` may refuse it for now: it is in no list until
    /// [`Self::put_back`].
    pub fn next(&mut self, accept: &mut dyn FnMut(usize) -> Verdict) -> Option<usize> {
        if self.weight == 0 {
            (self.weight, self.now) = (self.next_weight, self.next_weight);
        }
        let mut aside = None;
        let mut is_new_round = false;
        let found = loop {
            let Some(server) = self.front() else {
                if std::mem::replace(&mut is_new_round, true) {
                    break None;
                }
                self.begin_round();
                continue;
            };
            self.take_out(server);
            self.advance(server);
            match accept(server) {
                Verdict::Take => break Some(server),
                Verdict::Avoid => aside = Some(server),
                Verdict::Full => {}
            }
        };
        if let Some(server) = found {
            self.queue(server);
        }
        match aside {
            // Its place was in the round before.
            Some(server) if is_new_round && found.is_some() => self.start(server),
            Some(server) => self.queue(server),
            None => {}
        }
        found.or(aside)
    }

    /// One that was passed over counts again.
    pub fn put_back(&mut self, server: usize) {
        let Place { weight, round, .. } = self.places[server];
        if weight == 0 {
            return;
        }
        if round == self.round { self.queue(server) } else { self.start(server) }
    }

    /// Who comes next in this round.
    fn front(&mut self) -> Option<usize> {
        let first = self.due.first();
        if first.is_some_and(|server| self.places[server].due <= self.now) {
            return first;
        }
        let Some(server) = self.fresh.first() else { return first };
        (self.places[server].due, self.places[server].rest) = (0, 0);
        Some(server)
    }

    /// Gives a server its turn.
    fn advance(&mut self, server: usize) {
        let Self { now, next_weight, round, .. } = *self;
        let place = &mut self.places[server];
        if place.due == 0 {
            place.due = now;
        }
        place.last = place.due;
        let weight = place.weight.max(1);
        place.due += next_weight / weight;
        place.rest += next_weight % weight;
        if place.rest >= weight {
            place.rest -= weight;
            place.due += 1;
        }
        place.round = round;
        self.now += 1;
    }

    fn begin_round(&mut self) {
        std::mem::swap(&mut self.fresh, &mut self.later);
        (self.weight, self.now) = (self.next_weight, self.next_weight);
        self.round = self.round.wrapping_add(1);
    }

    /// Puts a server where its turn is.
    fn queue(&mut self, server: usize) {
        let order = self.next_order();
        let (weight, next_weight) = (self.weight, self.next_weight);
        let place = &mut self.places[server];
        if place.due >= 2 * weight || place.due >= weight + next_weight {
            place.due -= weight;
            self.later.push(server, WEIGHT_MAX - place.weight.min(WEIGHT_MAX), order);
        } else {
            let rank = (WEIGHT_MAX + place.rest).saturating_sub(place.weight) / SCALE;
            self.due.push(server, place.due * RANKS + rank, order);
        }
    }

    /// Puts a server among those that had no turn in this round.
    fn start(&mut self, server: usize) {
        let order = self.next_order();
        let place = &mut self.places[server];
        (place.due, place.round) = (0, self.round);
        self.fresh.push(server, WEIGHT_MAX - place.weight.min(WEIGHT_MAX), order);
    }

    fn take_out(&mut self, server: usize) {
        if self.later.remove(server).is_some() {
            self.places[server].due += self.weight;
        }
        self.due.remove(server);
        self.fresh.remove(server);
    }

    fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }
}

/// What is to be done with a server that would be the next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Take,
    /// Another one, if there is one.
    Avoid,
    Full,
}
