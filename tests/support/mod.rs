//! What the behaviour tests share: the gateway as a process, raw clients, scripted peers, a syslog receiver.
//!
//! Everything here is blocking and made of threads on purpose: a test reads as a sequence of steps, and
//! nothing of the code under test (its event loop, its buffers, its parser) is used to test it.

pub mod client;
pub mod logline;
pub mod pattern;
pub mod peers;
pub mod ports;
pub mod process;
pub mod program;
pub mod socket;
pub mod syslog;
pub mod web;
pub mod websocket;

use std::time::{Duration, Instant};

/// How long anything that must happen may take on a loaded two-core machine.
pub const SOON: Duration = Duration::from_secs(15);

/// `n` milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Waits until `condition` holds; fails the test with `what` when it does not within [`SOON`].
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(SOON, what, condition);
}

/// Waits until `condition` holds, at most `limit`.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(ms(10));
    }
}

/// That something took as long as it should: never too early; late only as far as a loaded machine explains.
#[track_caller]
pub fn expect_about(took: Duration, expected: Duration) {
    assert!(took + ms(20) >= expected, "too early: {took:?} of {expected:?}");
    assert!(took < expected + Duration::from_secs(8), "too late: {took:?} of {expected:?}");
}

/// For scripts of one expression: how it went does not matter to them.
pub fn ignore<T>(_: T) {}

/// Bytes as a readable string for failure messages, at most 2,000 of them.
pub fn show(bytes: &[u8]) -> String {
    let end = bytes.len().min(2_000);
    let more = if bytes.len() > end { format!(" … ({} bytes)", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", bytes[..end].escape_ascii())
}
