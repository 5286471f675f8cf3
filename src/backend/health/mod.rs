//! Health checks: a TCP connect every `inter`, on the control plane.

mod answer;
mod probe;
mod script;
mod verdict;

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use async_io::Timer;

use super::{Backend, Server};
use crate::config::Check;
use probe::probe;
use verdict::{Status, Verdict};

/// Checks one server for as long as its backend lives.
pub(super) async fn watch(backend: Weak<Backend>, index: usize, check: Check, first_delay_ms: u64) {
    let Some(mut health) = start(&backend, index, check) else { return };
    let mut pause_ms = first_delay_ms;
    let start = Instant::now();
    loop {
        if pause_ms > 0 {
            Timer::after(Duration::from_millis(pause_ms)).await;
        }
        let Some(verdict) = probe(&backend, index, &check).await else { return };
        let Some(backend) = backend.upgrade() else { return };
        if verdict.status == Status::SockErr {
            // Says nothing about the server: as if this check had not been made.
            pause_ms = health.pause_ms().max(1);
            continue;
        }
        if let (false, Some(server)) = (verdict.status.is_ok(), backend.servers.get(index)) {
            // The name's next address, where it has several.
            server.rotate_target();
        }
        if let Some(change) = health.note(verdict.status.is_ok()) {
            apply(&backend, index, change, &verdict);
        }
        // The nanoseconds since the start is chance enough.
        let chance = start.elapsed().subsec_nanos();
        pause_ms = spread_ms(health.pause_ms(), check.spread_percent, chance).max(1);
    }
}

/// A pause that is longer or shorter by up to so many percent.
fn spread_ms(pause_ms: u64, percent: u32, chance: u32) -> u64 {
    let most_ms = pause_ms.saturating_mul(percent.into()) / 100;
    pause_ms.saturating_sub(most_ms).saturating_add(u64::from(chance) % (2 * most_ms + 1))
}

fn start(backend: &Weak<Backend>, index: usize, check: Check) -> Option<Health> {
    let backend = backend.upgrade()?;
    let server = backend.servers.get(index)?;
    if server.check_target().is_none() {
        let (name, server) = (&backend.config.name, &server.config.name);
        log::warn!("Server {name}/{server} is not checked: it has no port of its own; add 'port N' to it");
        return None;
    }
    Some(Health::new(check, server.is_up()))
}

/// Puts a change of state into force and tells the log, in HAProxy's words, which operators search for.
fn apply(backend: &Rc<Backend>, index: usize, up: bool, verdict: &Verdict) {
    let Some(server) = backend.servers.get(index) else { return };
    server.set_up(up);
    let usable = |backup| {
        let counts = |server: &&Server| server.is_usable() && server.config.backup == backup;
        backend.servers.iter().filter(counts).count()
    };
    let (active, backups) = (usable(false), usable(true));
    let (name, server_name) = (&backend.config.name, &server.config.name);
    let reason = verdict.reason();
    if up {
        log::warn!(
            "Server {name}/{server_name} is UP, reason: {reason}. \
             {active} active and {backups} backup servers online. 0 sessions requeued, {} total in queue.",
            backend.queued()
        );
    } else {
        log::warn!(
            "Server {name}/{server_name} is DOWN, reason: {reason}. \
             {active} active and {backups} backup servers left. {} sessions active, 0 requeued, \
             {} remaining in queue.",
            server.connections.get(),
            backend.queued()
        );
        if active + backups == 0 {
            log::error!("backend {name} has no server available!");
        }
    }
    backend.servers_changed();
}

/// The counting of successes and failures (configuration §5.2, "rise" and "fall"). Pure.
struct Health {
    check: Check,
    up: bool,
    /// Consecutive results against the present state.
    against: u32,
}

impl Health {
    /// A server starts on probation, as in HAProxy: its first failed check takes it down.
    fn new(check: Check, up: bool) -> Self {
        Self { check, up, against: if up { check.fall.saturating_sub(1) } else { 0 } }
    }

    /// Counts a result; `Some(up)` when the state changes.
    fn note(&mut self, ok: bool) -> Option<bool> {
        if ok == self.up {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let needed = if self.up { self.check.fall } else { self.check.rise };
        if self.against < needed.max(1) {
            return None;
        }
        self.up = ok;
        self.against = 0;
        Some(ok)
    }

    /// Until the next check.
    fn pause_ms(&self) -> u64 {
        let Check { inter_ms, fastinter_ms, downinter_ms, .. } = self.check;
        if self.against > 0 {
            fastinter_ms.unwrap_or(inter_ms)
        } else if self.up {
            inter_ms
        } else {
            downinter_ms.unwrap_or(inter_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> Check {
        Check { fastinter_ms: Some(500), downinter_ms: Some(5_000), ..Check::default() }
    }

    #[test]
    fn pauses_are_spread_around_their_length() {
        let spread: Vec<u64> = (0..2_000).map(|chance| spread_ms(2_000, 5, chance)).collect();
        assert_eq!((spread.iter().min(), spread.iter().max()), (Some(&1_900), Some(&2_100)));
        assert_eq!(spread_ms(2_000, 0, 12_345), 2_000);
    }

    #[test]
    fn the_first_failure_after_the_start_takes_a_server_down() {
        assert_eq!(Health::new(check(), true).note(false), Some(false));
    }

    #[test]
    fn fall_failures_in_a_row_take_a_proven_server_down() {
        let mut health = Health::new(check(), true);
        let results = [true, false, false, true, false, false, false];
        let changes: Vec<_> = results.into_iter().map(|ok| health.note(ok)).collect();
        assert_eq!(changes, [None, None, None, None, None, None, Some(false)]);
    }

    #[test]
    fn rise_successes_in_a_row_bring_it_back() {
        let mut health = Health::new(check(), false);
        let results = [false, true, false, true, true];
        let changes: Vec<_> = results.into_iter().map(|ok| health.note(ok)).collect();
        assert_eq!(changes, [None, None, None, None, Some(true)]);
    }

    #[test]
    fn the_pause_depends_on_the_state() {
        let mut health = Health::new(check(), true);
        health.note(true);
        assert_eq!(health.pause_ms(), 2_000);
        health.note(false);
        assert_eq!(health.pause_ms(), 500);
        health.note(false);
        health.note(false);
        assert_eq!(health.pause_ms(), 5_000);
    }
}
