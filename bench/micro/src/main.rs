//! Micro-benchmarks: what a connection or a request costs in the rooms that know no socket.
//!
//! They are for whoever changes such a room, to look at before and after. Nothing is asserted by the clock; what
//! CI holds is the instruction count beside this (bench/README.md).

mod chunked;
mod heads;
mod messages;
mod rules;
mod servers;
mod sniff;
mod stick;
#[path = "../../shared/upgrade.rs"]
mod upgrade;

/// Said by a benchmark before it measures, when its input does not do what it is there for.
const WRONG: &str = "this benchmark would measure something else than it says";

fn main() {
    divan::main();
}
