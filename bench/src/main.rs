//! `make bench`: measures oneport beside HAProxy, nginx and sslh. README.md says what and why.

mod backends;
mod bench;
mod cases;
mod child;
mod echo_server;
mod host;
mod load;
mod log_sink;
mod options;
mod peers;
mod report;
mod results;
mod strace;
mod template;
mod tree;
mod websocket;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use bench::Bench;
use options::{Options, Role};
use peers::{Binaries, Stage};

/// Enough for 4,000 connections through a gateway, and 1,500 each through four of them.
const OPEN_FILES: u64 = 20_000;

fn main() -> ExitCode {
    let options: Options = argh::from_env();
    let outcome = match &options.role {
        Some(Role::ServeEcho(wanted)) => echo_server::serve(wanted.protocol, wanted.listen, &wanted.unix),
        Some(Role::ServeBulk(wanted)) => load::bulk::serve(wanted.listen),
        None => options.settle().and_then(|options| measure(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen cases and prints the tables.
fn measure(options: &Options) -> Result<()> {
    let started = Instant::now();
    let scratch = tempfile::tempdir()?;
    child::end_all_on_signals(scratch.path().to_path_buf())?;
    host::raise_open_files(OPEN_FILES)?;
    let cores = host::Cores::split()?;
    if cores.shared {
        eprintln!("bench: only one core here: the program and the load share it, and latencies mean little");
    }
    cores.go_to_load()?;
    let oneport = options.oneport.clone().context("--oneport PATH says which binary to measure")?;
    let binaries = Binaries::find(oneport)?;
    let backends = backends::Backends::start(scratch.path())?;
    let stage = Stage { dir: scratch.path(), binaries: &binaries, backends: &backends, cores: &cores };
    let mut bench = Bench {
        stage,
        rounds: options.rounds,
        seconds: options.seconds,
        quick: options.quick,
        results: results::Results::default(),
        started,
    };
    // As it stands now: somebody may commit while this runs.
    let machine = facts(&bench, options);
    run_cases(&mut bench, options)?;
    let took = started.elapsed();
    let tables = report::Report { results: &bench.results, machine, took };
    print!("{}", tables.long());
    bench.progress("the whole run is done");
    finish(options, &tables)
}

fn run_cases(bench: &mut Bench, options: &Options) -> Result<()> {
    type Case = fn(&mut Bench) -> Result<()>;
    let all: [(&str, Case); 11] = [
        ("1", cases::small::http),
        ("2", cases::small::http_per_connection),
        ("3", cases::small::websocket),
        ("4", cases::small::raw),
        ("5", cases::bulk::bulk),
        ("6", cases::memory::memory),
        ("7", cases::small::connections),
        ("8", cases::start::start),
        ("9", cases::idle::idle),
        ("10", cases::small::unix_backends),
        ("g", cases::growth::growth),
    ];
    for (name, case) in all.iter().filter(|(name, _)| options.cases.contains(name)) {
        case(bench).with_context(|| format!("case {name}"))?;
    }
    Ok(())
}

/// The machine, the versions, and how the run was made.
fn facts(bench: &Bench, options: &Options) -> Vec<(String, String)> {
    let mut facts = host::describe(bench.stage.cores);
    facts.extend(bench.binaries().versions());
    facts.extend(host::commit().map(|commit| ("Commit".into(), commit)));
    facts.push(("Rounds".into(), format!("{} of {} s", options.rounds, options.seconds)));
    facts
}

/// Writes a full run down; a part of one is only shown.
fn finish(options: &Options, report: &report::Report) -> Result<()> {
    let Some(path): Option<&PathBuf> = options.write.as_ref() else { return Ok(()) };
    if !options.is_full() {
        eprintln!("bench: only a full run of three rounds or more is written to {}", path.display());
        return Ok(());
    }
    std::fs::write(path, report.long()).with_context(|| path.display().to_string())?;
    eprintln!("bench: written to {}", path.display());
    Ok(())
}
