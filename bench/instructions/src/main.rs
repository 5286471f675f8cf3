//! Counts the instructions that oneport spends on a fixed sequence of requests, per unit of work, and holds them
//! against the committed figures.
//!
//! The real binary runs under `valgrind --tool=callgrind`; one thread plays all its clients and servers in lock
//! step, so that it meets the same bytes in the same order in every run. A run with some units of each kind is
//! subtracted from runs with more of one kind: what is left is those units, without start-up and warm-up.
//!
//! Usage: `oneport-instructions [--bless] [ONEPORT]`; see bench/README.md.

mod environment;
mod figures;
mod gateway;
mod peers;
#[path = "../../shared/upgrade.rs"]
mod upgrade;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use figures::Figures;
use gateway::{Gateway, Subject};
use peers::Backends;

/// Units of each kind in every run but the one for the start: pools and caches are filled by them.
const WARM_UP: u32 = 10;

/// A kind of work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    HttpRequest,
    HttpConnection,
    WsConnection,
    WsMessage,
    RawConnection,
    RawMessage,
}

impl Kind {
    /// All kinds, in the order they are done in, with their names and how many of them are counted.
    const ALL: [(Self, &'static str, u32); 6] = [
        (Self::HttpRequest, "http-request", 200),
        (Self::HttpConnection, "http-connection", 50),
        (Self::WsConnection, "ws-connection", 50),
        (Self::WsMessage, "ws-message", 200),
        (Self::RawConnection, "raw-connection", 50),
        (Self::RawMessage, "raw-message", 200),
    ];

    fn perform(self, count: u32, backends: &mut Backends, gateway: &mut Gateway) -> io::Result<()> {
        match self {
            Self::HttpRequest => backends.requests(gateway, count),
            Self::HttpConnection => (0..count).try_for_each(|_| backends.lone_request(gateway)),
            Self::WsConnection => (0..count).try_for_each(|_| backends.websocket(gateway, 1)),
            Self::WsMessage => backends.websocket(gateway, count),
            Self::RawConnection => (0..count).try_for_each(|_| backends.raw(gateway, 1)),
            Self::RawMessage => backends.raw(gateway, count),
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// False when a figure is out of bounds.
fn run() -> io::Result<bool> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = here.join("../..");
    let (mut bless, mut oneport) = (false, project.join("target/release/oneport"));
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--bless") => bless = true,
            Some(flag) if flag.starts_with('-') => {
                return Err(io::Error::other(format!("what is {flag}? Usage: [--bless] [ONEPORT]")));
            }
            _ => oneport = PathBuf::from(argument),
        }
    }
    let subject = Subject {
        oneport: fs::canonicalize(&oneport)
            .map_err(|error| io::Error::other(format!("cannot find {}: {error}", oneport.display())))?,
        config: here.join("single-port.cfg"),
        work: project.join("target/instructions"),
    };
    fs::create_dir_all(&subject.work)?;
    let measured = Figures { environment: environment::environment()?, units: measure(&subject)? };

    let file = here.join("figures.txt");
    if bless {
        fs::write(&file, measured.to_text())?;
        print!("{}", measured.to_text());
        return Ok(true);
    }
    let committed = fs::read_to_string(&file)
        .and_then(|text| Figures::parse(&text).map_err(io::Error::other))
        .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    let verdict = measured.against(&committed);
    print!("{}", verdict.text);
    Ok(!verdict.failed)
}

/// Instructions for one of each unit.
fn measure(subject: &Subject) -> io::Result<Vec<(String, u64)>> {
    let start = count(subject, "start", |_| 0)?;
    let base = count(subject, "base", |_| WARM_UP)?;
    let mut units = vec![("start".to_owned(), start)];
    for (kind, name, more) in Kind::ALL {
        let whole = count(subject, name, |of| if of == kind { WARM_UP + more } else { WARM_UP })?;
        let Some(units_alone) = whole.checked_sub(base).filter(|&count| count > 0) else {
            return Err(io::Error::other(format!("{name}: {more} units more took no instruction more")));
        };
        let per_unit = units_alone as f64 / f64::from(more);
        units.push((name.to_owned(), per_unit.round() as u64));
    }
    Ok(units)
}

/// Instructions of a whole run, from exec to exit, with so many units of each kind.
fn count(subject: &Subject, name: &str, of_each: impl Fn(Kind) -> u32) -> io::Result<u64> {
    let mut backends = Backends::new()?;
    let mut gateway = Gateway::start(subject, name, &backends.ports()?)?;
    for (kind, doing, _) in Kind::ALL {
        let count = of_each(kind);
        if count > 0 {
            kind.perform(count, &mut backends, &mut gateway)
                .map_err(|error| io::Error::other(format!("run {name}, while doing {doing}: {error}")))?;
        }
    }
    gateway.stop()
}
