//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use argh::FromArgs;

use crate::websocket::Protocol;

/// Measures oneport beside HAProxy, nginx and sslh (see bench/README.md).
#[derive(FromArgs)]
pub struct Options {
    /// only these parts, separated by commas: 1 to 10, and g for growth
    #[argh(option, default = "Cases::all()", from_str_fn(cases))]
    pub cases: Cases,
    /// rounds of each measurement; default 5
    #[argh(option, default = "5")]
    pub rounds: usize,
    /// seconds of one window of load; default 1
    #[argh(option, default = "1")]
    pub seconds: u32,
    /// one short round of everything, to see that it works; its figures are worth nothing
    #[argh(switch)]
    pub quick: bool,
    /// the oneport binary to measure
    #[argh(option)]
    pub oneport: Option<PathBuf>,
    /// write the tables of a full run to this file
    #[argh(option)]
    pub write: Option<PathBuf>,
    #[argh(subcommand)]
    pub role: Option<Role>,
}

/// What the harness starts itself as, beside the measuring.
#[derive(FromArgs)]
#[argh(subcommand)]
pub enum Role {
    ServeEcho(ServeEcho),
    ServeBulk(ServeBulk),
}

/// The end of the bulk tunnels, until its standard input ends.
#[derive(FromArgs)]
#[argh(subcommand, name = "serve-bulk")]
pub struct ServeBulk {
    /// address:port to listen on
    #[argh(option)]
    pub listen: std::net::SocketAddr,
}

/// An echo server on a TCP address and a unix socket, until its standard input ends.
#[derive(FromArgs)]
#[argh(subcommand, name = "serve-echo")]
pub struct ServeEcho {
    /// raw or websocket
    #[argh(option)]
    pub protocol: Protocol,
    /// address:port to listen on
    #[argh(option)]
    pub listen: std::net::SocketAddr,
    /// path of the unix socket to listen on
    #[argh(option)]
    pub unix: PathBuf,
}

/// The chosen parts of the benchmark; "g" is growth.
pub struct Cases(Vec<String>);

/// Every part, in the order of the run.
const ALL: [&str; 11] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "g"];

impl Cases {
    fn all() -> Self {
        Self(ALL.iter().map(ToString::to_string).collect())
    }

    pub fn contains(&self, case: &str) -> bool {
        self.0.iter().any(|one| one == case)
    }

    /// Whether nothing is left out: only then is a run a result.
    pub fn is_all(&self) -> bool {
        ALL.iter().all(|case| self.contains(case))
    }
}

fn cases(text: &str) -> Result<Cases, String> {
    let chosen: Vec<String> = text.split(',').map(|case| case.trim().to_ascii_lowercase()).collect();
    match chosen.iter().find(|case| !ALL.contains(&case.as_str())) {
        Some(unknown) => Err(format!("there is no case {unknown:?}: 1 to 10, or g for growth")),
        None => Ok(Cases(chosen)),
    }
}

impl Options {
    /// Checks what belongs together, and fills in what `--quick` means.
    pub fn settle(mut self) -> Result<Self> {
        if self.quick {
            self.rounds = 1;
            self.seconds = 1;
        }
        if self.rounds == 0 || self.seconds == 0 {
            bail!("a measurement needs at least one round of one second");
        }
        if let Some(path) = &self.oneport {
            self.oneport =
                Some(path.canonicalize().with_context(|| format!("--oneport {}", path.display()))?);
        }
        Ok(self)
    }

    /// Whether this run is long enough and complete enough to be written down.
    pub fn is_full(&self) -> bool {
        self.cases.is_all() && !self.quick && self.rounds >= 3
    }
}
