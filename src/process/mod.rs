//! Daemon, pidfile, limits, signals.

mod inherit;

pub use inherit::{inherited_descriptor, note_inherited_sockets};
