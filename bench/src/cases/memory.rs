//! Case 6: memory at rest, by idle connection, and what is given back.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::load::clients::Clients;
use crate::load::dialogue::Dialogue;
use crate::peers::{Peer, Program, Settings, Work};
use crate::results::Measure;
use crate::tree::Memory;

/// Connections of each kind.
const COUNT: usize = 1_500;
/// How long idle connections are left alone before they are weighed, and again after they have gone: pools that
/// shrink by a clock have done so by then.
const CALM: Duration = Duration::from_secs(7);

/// What one program was found to use.
pub struct Weighed {
    pub label: String,
    pub count: usize,
    rest: Memory,
    open: Memory,
    left: Memory,
}

impl Weighed {
    /// KiB of each connection.
    pub fn each(&self) -> f64 {
        grown(self.open, self.rest) / self.count as f64
    }
}

pub fn memory(bench: &mut Bench) -> Result<()> {
    let mut at_rest: Vec<(String, Memory)> = Vec::new();
    for dialogue in Dialogue::ALL {
        let (peers, notes) = bench.able(&[Work::Many(dialogue)], &Peer::ALL);
        if at_rest.is_empty() {
            at_rest = rest(bench)?;
            file_rest(bench, &at_rest);
        }
        let wanted: Vec<_> = peers.iter().map(|&peer| (peer, COUNT)).collect();
        let weighed = weigh(bench, &wanted, dialogue, true)?;
        file(bench, dialogue, &weighed, &notes);
    }
    Ok(())
}

/// Memory of fresh programs that have served nothing.
fn rest(bench: &Bench) -> Result<Vec<(String, Memory)>> {
    let programs = bench.start_all(&Peer::ALL, &Settings::default())?;
    sleep(Duration::from_secs(1));
    programs.iter().map(|program| Ok((program.label.clone(), program.tree.memory()?))).collect()
}

fn file_rest(bench: &mut Bench, at_rest: &[(String, Memory)]) {
    let figures = |title: &str, pick: fn(&Memory) -> u64| Measure {
        values: at_rest.iter().map(|(label, memory)| (label.clone(), vec![pick(memory) as f64])).collect(),
        goal: Some(0.15),
        ..Measure::new("6", title, "KiB")
    };
    let private = figures("at rest, private dirty", |memory| memory.private_dirty);
    let resident = figures("at rest, resident with shared libraries", |memory| memory.resident);
    for measure in [private, resident] {
        bench.say(&measure);
        bench.results.measures.push(measure);
    }
}

/// Fresh programs side by side, each with so many connections: memory is not disturbed by neighbours, and the
/// waiting is done once.
pub fn weigh(
    bench: &Bench,
    wanted: &[(Peer, usize)],
    dialogue: Dialogue,
    also_afterwards: bool,
) -> Result<Vec<Weighed>> {
    let mut programs = Vec::new();
    for &(peer, _) in wanted {
        programs.push(Program::start(&bench.stage, peer, &Settings::default())?);
    }
    let mut before = Vec::new();
    let mut clients = Vec::new();
    for (program, &(_, count)) in programs.iter().zip(wanted) {
        before.push(program.tree.memory()?);
        clients.push(open_idle(program, dialogue, count)?);
    }
    sleep(CALM);
    let open: Vec<Memory> = programs.iter().map(|program| program.tree.memory()).collect::<Result<_>>()?;
    // Whoever closed some of them meanwhile would look better than it is.
    clients.iter_mut().try_for_each(Clients::once).context("the idle connections are not all alive")?;
    drop(clients);
    if also_afterwards {
        sleep(CALM);
    }
    let mut weighed = Vec::new();
    for (index, (program, &(_, count))) in programs.iter().zip(wanted).enumerate() {
        let left = program.tree.memory()?;
        weighed.push(Weighed {
            label: program.label.clone(),
            count,
            rest: before[index],
            open: open[index],
            left,
        });
    }
    Ok(weighed)
}

/// `count` connections that have each done one unit of work and are silent now.
pub fn open_idle(program: &Program, dialogue: Dialogue, count: usize) -> Result<Clients> {
    let what = || format!("{count} idle {dialogue:?} connections to {}", program.label);
    let mut clients = Clients::open(dialogue, program.address(dialogue), count).with_context(what)?;
    clients.once().with_context(what)?;
    Ok(clients)
}

fn file(bench: &mut Bench, dialogue: Dialogue, weighed: &[Weighed], notes: &[String]) {
    let name = dialogue.name();
    let figures = |title: String, unit, goal, figure: fn(&Weighed) -> f64| Measure {
        values: weighed.iter().map(|one| (one.label.clone(), vec![figure(one)])).collect(),
        goal,
        notes: notes.to_vec(),
        ..Measure::new("6", &title, unit)
    };
    let each = figures(format!("per idle {name}"), "KiB", Some(0.75), Weighed::each);
    let left = figures(format!("kept 7 s after {COUNT} of these have closed ({name})"), "KiB", None, |one| {
        grown(one.left, one.rest)
    });
    for measure in [each, left] {
        bench.say(&measure);
        bench.results.measures.push(measure);
    }
}

/// KiB more than at rest; less than nothing is possible, where start-up memory is given back.
fn grown(now: Memory, rest: Memory) -> f64 {
    now.private_dirty as f64 - rest.private_dirty as f64
}
