//! What all cases share: programs in turn, windows of load, what is measured in them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::load::Done;
use crate::peers::{Binaries, Peer, Program, Settings, Stage, Work};
use crate::results::{Calls, Measure, Results, Speed, Spread};
use crate::strace;
use crate::tree::Tree;

/// One run of the benchmark.
pub struct Bench<'a> {
    pub stage: Stage<'a>,
    pub rounds: usize,
    pub seconds: u32,
    pub quick: bool,
    pub results: Results,
    pub started: Instant,
}

/// What a case measures by running load.
pub struct Plan<'a> {
    pub case: &'a str,
    pub title: &'a str,
    /// What one unit of work is, for "µs CPU per …".
    pub unit: Unit,
    pub goal: Option<f64>,
    /// Whether a further round counts system calls.
    pub calls: bool,
    pub against: &'a [&'a str],
    pub notes: Vec<String>,
}

/// The unit of work and how its cost is written.
#[derive(Clone, Copy)]
pub struct Unit {
    pub cost: &'static str,
    /// From nanoseconds by unit to what `cost` says.
    pub factor: f64,
    pub speed: &'static str,
    pub speed_factor: f64,
}

impl Unit {
    pub const REQUEST: Self = Self::micros("µs CPU/request", "requests/s");
    pub const MESSAGE: Self = Self::micros("µs CPU/message", "messages/s");
    pub const CONNECTION: Self = Self::micros("µs CPU/connection", "connections/s");
    /// Units are bytes.
    pub const GIB: Self = Self {
        cost: "CPU s/GiB",
        factor: (1_u64 << 30) as f64 / 1e9,
        speed: "GiB/s",
        speed_factor: 1.0 / (1_u64 << 30) as f64,
    };

    const fn micros(cost: &'static str, speed: &'static str) -> Self {
        Self { cost, factor: 1e-3, speed, speed_factor: 1.0 }
    }
}

/// What is measured around the load of one window.
pub enum Meter<'a> {
    Cpu,
    Calls(&'a Path),
}

/// What was measured.
pub enum Cost {
    /// Nanoseconds.
    Cpu(u64),
    Calls(strace::Counts),
}

/// One window of load on one program.
pub struct Window<'a> {
    pub program: &'a Program,
    pub seconds: u32,
    meter: Meter<'a>,
}

impl Window<'_> {
    pub fn duration(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// Whether system calls are counted: the program is slow then, and every unit counts.
    pub fn counts_calls(&self) -> bool {
        matches!(self.meter, Meter::Calls(_))
    }

    /// Runs `load` and measures what it costs the program, up to the moment when all is quiet again.
    pub fn measure(&self, load: impl FnOnce() -> Result<Done>) -> Result<(Done, Cost)> {
        match self.meter {
            Meter::Cpu => {
                let before = self.program.tree.cpu()?;
                let done = load()?;
                settle(&self.program.tree)?;
                let used = self.program.tree.cpu()?.since(&before);
                Ok((done, Cost::Cpu(used)))
            }
            Meter::Calls(scratch) => {
                let settled = || {
                    let done = load()?;
                    std::thread::sleep(Duration::from_millis(50));
                    Ok(done)
                };
                let (done, counts) = strace::count(&self.program.tree, scratch, settled)?;
                Ok((done, Cost::Calls(counts)))
            }
        }
    }
}

/// Waits until the tree has nothing left to do: the last closes belong to the window.
fn settle(tree: &Tree) -> Result<()> {
    let mut last = tree.cpu()?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        let now = tree.cpu()?;
        if now.since(&last) < 100_000 {
            break;
        }
        last = now;
    }
    Ok(())
}

impl<'a> Bench<'a> {
    /// Those who can do all of `work`, and why the others cannot.
    pub fn able(&self, work: &[Work], peers: &[Peer]) -> (Vec<Peer>, Vec<String>) {
        let (mut able, mut notes) = (Vec::new(), Vec::new());
        for &peer in peers {
            match work.iter().find_map(|&work| peer.refuses(work, self.binaries())) {
                None => able.push(peer),
                Some(reason) => notes.push(format!("– {reason}")),
            }
        }
        (able, notes)
    }

    pub fn binaries(&self) -> &'a Binaries {
        self.stage.binaries
    }

    pub fn start_all(&self, peers: &[Peer], settings: &Settings) -> Result<Vec<Program>> {
        peers.iter().map(|&peer| Program::start(&self.stage, peer, settings)).collect()
    }

    /// Runs `load` on every program in turn, round by round, and files what it costs.
    pub fn run(
        &mut self,
        plan: Plan,
        programs: &mut [Program],
        load: impl Fn(&Window) -> Result<(Done, Cost)>,
    ) -> Result<()> {
        let what = format!("case {} ({})", plan.case, plan.title);
        let rounds = self.rounds_of(&what, plan.unit, programs, self.seconds, &load)?;
        let mut measure = Measure {
            against: plan.against.iter().map(ToString::to_string).collect(),
            goal: plan.goal,
            notes: plan.notes.clone(),
            ..Measure::new(plan.case, plan.title, plan.unit.cost)
        };
        for (program, rounds) in programs.iter().zip(rounds) {
            if let Some(failure) = &program.failure {
                measure.notes.push(format!("– {} fails: {failure}", program.label));
                continue;
            }
            let (costs, done): (Vec<f64>, Vec<Done>) = rounds.into_iter().unzip();
            measure.values.push((program.label.clone(), costs));
            self.results.speeds.push(speed(&plan, &program.label, &done));
        }
        self.say(&measure);
        self.results.measures.push(measure);
        if plan.calls {
            self.count_calls(&plan, programs, load)?;
        }
        Ok(())
    }

    /// The costs and the work of every round, by program; the programs take turns.
    pub fn rounds_of(
        &self,
        what: &str,
        unit: Unit,
        programs: &mut [Program],
        seconds: u32,
        load: impl Fn(&Window) -> Result<(Done, Cost)>,
    ) -> Result<Vec<Vec<(f64, Done)>>> {
        let mut rounds: Vec<Vec<(f64, Done)>> = programs.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.rounds {
            for (program, costs) in programs.iter_mut().zip(&mut rounds) {
                if program.failure.is_some() {
                    continue;
                }
                let window = Window { program, seconds, meter: Meter::Cpu };
                let outcome = load(&window).with_context(|| format!("{what}, {}", window.program.label));
                if let Some((done, Cost::Cpu(ns))) = program.judge(outcome)? {
                    costs.push((ns as f64 / done.units as f64 * unit.factor, done));
                }
            }
        }
        Ok(rounds)
    }

    /// A short round under strace.
    fn count_calls(
        &mut self,
        plan: &Plan,
        programs: &mut [Program],
        load: impl Fn(&Window) -> Result<(Done, Cost)>,
    ) -> Result<()> {
        for program in programs.iter_mut().filter(|program| program.failure.is_none()) {
            let window = Window { program, seconds: 1, meter: Meter::Calls(self.stage.dir) };
            let what =
                || format!("case {} ({}), {} under strace", plan.case, plan.title, window.program.label);
            let outcome = load(&window).with_context(what);
            let Some((done, Cost::Calls(counts))) = program.judge(outcome)? else { continue };
            let by_unit = |calls: u64| calls as f64 / done.units as f64;
            let mut most: Vec<_> =
                counts.iter().map(|(name, &calls)| (name.clone(), by_unit(calls))).collect();
            most.sort_by(|one, other| other.1.total_cmp(&one.1));
            most.retain(|(_, calls)| *calls >= 0.005);
            self.results.calls.push(Calls {
                case: plan.case.into(),
                title: plan.title.into(),
                program: program.label.clone(),
                per_unit: by_unit(counts.values().sum()),
                most,
            });
        }
        Ok(())
    }

    /// One line of progress.
    pub fn say(&self, measure: &Measure) {
        let figures: Vec<String> = measure
            .values
            .iter()
            .filter_map(|(name, values)| Some(format!("{name} {:.3}", Spread::of(values)?.median)))
            .collect();
        let ratio = measure.ratio().map_or(String::new(), |ratio| format!("  ratio {:.2}", ratio.median));
        self.progress(&format!(
            "{:>2} {}: {} ({}){ratio}",
            measure.case,
            measure.title,
            figures.join(", "),
            measure.unit
        ));
    }

    pub fn progress(&self, text: &str) {
        eprintln!("[{:>4} s] {text}", self.started.elapsed().as_secs());
    }
}

/// The median speed, and the medians of the percentiles.
fn speed(plan: &Plan, program: &str, done: &[Done]) -> Speed {
    let median = |values: Vec<f64>| Spread::of(&values).map_or(f64::NAN, |spread| spread.median);
    let latencies: Vec<_> = done.iter().filter_map(|done| done.latency).collect();
    let latency = (!latencies.is_empty()).then(|| crate::load::Latency {
        p50: median(latencies.iter().map(|latency| latency.p50).collect()),
        p90: median(latencies.iter().map(|latency| latency.p90).collect()),
        p99: median(latencies.iter().map(|latency| latency.p99).collect()),
    });
    let per_second =
        done.iter().map(|done| done.units as f64 / done.seconds * plan.unit.speed_factor).collect();
    Speed {
        case: plan.case.into(),
        title: plan.title.into(),
        program: program.into(),
        per_second: median(per_second),
        unit: plan.unit.speed,
        latency,
    }
}
