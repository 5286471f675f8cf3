//! Log lines, syslog, what is shown of the counters.
//!
//! The way of a session line: the session fills a [`Record`], its frontend's [`Logger`] writes it as text
//! ([`formats`]), puts the syslog header before it ([`syslog`]) and hands it to a [`Sink`](target::Sink), which
//! sends it or drops it, but never waits. Messages of the program itself come through the `log` facade
//! ([`facade`]) and go to the terminal, and once it runs, to the targets of the `global` section.

pub mod facade;
pub mod formats;
pub mod line;
pub mod logger;
mod outlet;
pub mod record;
pub mod repeats;
pub mod stats;
pub mod syslog;
pub mod target;
pub mod timestamp;
pub mod zone;

pub use line::LogLine;
pub use logger::{Logger, SESSION_SEVERITY};
pub use record::{BAD_REQUEST, NO_SERVER, Peer, Record, Refused, Timers};
pub use stats::{Column, Row, ServerState, Value};
pub use target::Sinks;
