//! System calls of a process tree, counted by strace.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::child::Child;
use crate::tree::Tree;

/// How often each system call was made.
pub type Counts = BTreeMap<String, u64>;

/// Counts the calls that `tree` makes while `work` runs.
pub fn count<T>(tree: &Tree, scratch: &Path, work: impl FnOnce() -> Result<T>) -> Result<(T, Counts)> {
    let summary = scratch.join("strace-summary");
    // With -c, strace writes only at its end, and says on stderr what it attaches to.
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-U", "name,calls", "-o"]).arg(&summary);
    for pid in &tree.pids {
        command.args(["-p", &pid.to_string()]);
    }
    let mut strace = Child::start("strace", command.stdin(Stdio::null()).stderr(Stdio::null()))?;
    wait_attached(tree, &mut strace)?;
    let done = work()?;
    strace.end_by(Signal::INT)?;
    let text = fs::read_to_string(&summary).context("strace has written no summary")?;
    Ok((done, parse(&text)?))
}

/// Until every thread has a tracer.
fn wait_attached(tree: &Tree, strace: &mut Child) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        strace.check_alive().context("is ptrace allowed here?")?;
        let attached = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        };
        if tree.pids.iter().all(attached) {
            // The threads of a process follow at once.
            std::thread::sleep(Duration::from_millis(50));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("strace does not attach to {:?}", tree.pids)
}

/// Reads lines of "name calls" between the rulers of strace's table.
fn parse(text: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if let (Some(name), Some(Ok(calls))) = (words.next(), words.next().map(str::parse))
            && name != "total"
        {
            counts.insert(name.to_string(), calls);
        }
    }
    if counts.is_empty() {
        bail!("strace has counted nothing:\n{text}");
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_without_its_head_and_total() {
        let text = "syscall              calls\n---------------- ---------\nsendto                   3\nepoll_wait              10\n---------------- ---------\ntotal                   13\n";
        let counts = parse(text).unwrap();
        assert_eq!(counts, Counts::from([("sendto".into(), 3), ("epoll_wait".into(), 10)]));
        assert!(parse("syscall calls\n").is_err());
    }
}
