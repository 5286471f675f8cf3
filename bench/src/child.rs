//! Child processes that end with their owner, and on Ctrl-C.

use std::path::PathBuf;
use std::process::{Child as StdChild, Command};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Every child that is alive, for the thread that ends them on a signal.
static ALIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// How long a child may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(3);

/// A process that is ended when this is dropped.
pub struct Child {
    name: String,
    process: StdChild,
}

impl Child {
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        // The list is locked over the start: no signal finds a child that is not in it.
        let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let process = command.spawn().with_context(|| format!("starting {name} ({command:?})"))?;
        alive.push(process.id());
        Ok(Self { name: name.to_string(), process })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Fails when the process has ended on its own.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) => anyhow::bail!("{} has ended: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Sends `signal` and waits for the end, as strace needs to write its summary.
    pub fn end_by(&mut self, signal: Signal) -> Result<()> {
        send(self.process.id(), signal);
        self.wait(PATIENCE).with_context(|| format!("{} does not end", self.name))
    }

    fn wait(&mut self, patience: Duration) -> Option<()> {
        let started = Instant::now();
        while started.elapsed() < patience {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return Some(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let pid = self.process.id();
        if matches!(self.process.try_wait(), Ok(None)) {
            send(pid, Signal::TERM);
            if self.wait(PATIENCE).is_none() {
                send(pid, Signal::KILL);
                let _ = self.process.wait();
            }
        }
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).retain(|&one| one != pid);
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone already is what is wanted.
        let _ = kill_process(pid, signal);
    }
}

/// From here on SIGINT, SIGTERM and SIGHUP end all children, then this process, and remove its `scratch`.
pub fn end_all_on_signals(scratch: PathBuf) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Held to the end: nothing is started any more.
            let alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
            alive.iter().for_each(|&pid| send(pid, Signal::TERM));
            std::thread::sleep(Duration::from_millis(500));
            alive.iter().for_each(|&pid| send(pid, Signal::KILL));
            let _ = std::fs::remove_dir_all(&scratch);
            eprintln!("bench: interrupted");
            std::process::exit(130);
        }
    });
    Ok(())
}
