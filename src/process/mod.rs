//! Daemon, pidfile, limits, signals.
//!
//! The order at the start matters: the fork comes before anything that starts a thread, and
//! [`Signals`](signals::Signals) starts one.

pub mod daemon;
pub mod limits;
pub mod pidfile;
pub mod signals;
mod sys;
