//! Case 9: wake-ups while nothing happens.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::memory::open_idle;
use crate::bench::Bench;
use crate::load::clients::Clients;
use crate::load::dialogue::Dialogue;
use crate::peers::{Peer, Settings};
use crate::results::Measure;

/// 100 connections, of all kinds.
const MIX: [(Dialogue, usize); 3] = [(Dialogue::Http, 34), (Dialogue::WebSocket, 33), (Dialogue::Raw, 33)];
/// No timer that traffic has started runs any more after this; idle timeouts are 300 s.
const CALM: Duration = Duration::from_secs(8);
const WATCHED: Duration = Duration::from_secs(20);

pub fn idle(bench: &mut Bench) -> Result<()> {
    let programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    let mut clients = Vec::new();
    for program in &programs {
        for (dialogue, count) in MIX {
            clients.push(open_idle(program, dialogue, count)?);
        }
    }
    sleep(CALM);
    let started = Instant::now();
    let before: Vec<u64> = programs.iter().map(|program| program.tree.sleeps()).collect::<Result<_>>()?;
    sleep(if bench.quick { WATCHED / 4 } else { WATCHED });
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let mut values = Vec::new();
    for (program, before) in programs.iter().zip(before) {
        let woken = program.tree.sleeps()?.saturating_sub(before);
        values.push((program.label.clone(), vec![woken as f64 / minutes]));
    }
    clients.iter_mut().try_for_each(Clients::once)?;
    let measure = Measure {
        values,
        notes: vec![
            "34 kept-alive HTTP connections, 33 WebSockets, 33 raw tunnels; all threads and processes".into(),
        ],
        ..Measure::new("9", "wake-ups with 100 idle connections", "per minute")
    };
    bench.say(&measure);
    bench.results.measures.push(measure);
    Ok(())
}
