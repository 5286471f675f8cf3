//! Daemon, pidfile, limits, memory, signals, notifications to the service manager, privileges and their keeper, the
//! wall clock.
//!
//! The order at the start matters: the fork comes before anything that starts a thread, and
//! [`Signals`](signals::Signals) starts one.

mod accounts;
pub mod daemon;
mod inherit;
pub mod keeper;
pub mod limits;
pub mod memory;
pub mod notify;
pub mod pidfile;
pub mod privileges;
pub mod signals;
mod sys;
mod wall;

pub use accounts::{Kind, id_of};
pub use inherit::{inherited_descriptor, note_inherited};
pub use wall::wall_ms;
