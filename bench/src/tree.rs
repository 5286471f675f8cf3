//! What a process and its descendants cost: CPU time, memory, wake-ups, all from /proc.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};

/// A process tree, looked up once: the programs under test start their workers before they serve.
#[derive(Clone)]
pub struct Tree {
    pub pids: Vec<u32>,
}

/// CPU time of each thread at one moment, in nanoseconds.
pub struct CpuTimes(BTreeMap<u32, u64>);

/// Resident memory of a tree, in KiB.
#[derive(Clone, Copy)]
pub struct Memory {
    pub private_dirty: u64,
    pub resident: u64,
}

impl Tree {
    /// `root` and everything that descends from it now.
    pub fn of(root: u32) -> Result<Self> {
        let parents = parents()?;
        let mut pids = vec![root];
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            pids.extend(parents.iter().filter(|&(_, &parent)| parent == pid).map(|(&child, _)| child));
            next += 1;
        }
        Ok(Self { pids })
    }

    /// The CPU time used so far.
    ///
    /// By thread, because `/proc/PID/schedstat` is the main thread's alone. A thread that ends inside a window
    /// takes its share along; oneport's helper threads do that only after start-up and reload.
    pub fn cpu(&self) -> Result<CpuTimes> {
        let mut times = BTreeMap::new();
        for thread in self.threads()? {
            // A thread may have ended since.
            if let Some(ns) = schedstat_ns(&thread.path).or_else(|| stat_ns(&thread.path)) {
                times.insert(thread.id, ns);
            }
        }
        if times.is_empty() {
            bail!("process {:?} is gone", self.pids);
        }
        Ok(CpuTimes(times))
    }

    pub fn memory(&self) -> Result<Memory> {
        let mut memory = Memory { private_dirty: 0, resident: 0 };
        for pid in &self.pids {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = fs::read_to_string(&path).with_context(|| path.clone())?;
            memory.private_dirty += field(&text, "Private_Dirty:").context(path.clone())?;
            memory.resident += field(&text, "Rss:").context(path)?;
        }
        Ok(memory)
    }

    /// How often the threads have gone to sleep on their own: each time is one wake-up.
    pub fn sleeps(&self) -> Result<u64> {
        let mut sleeps = 0;
        for thread in self.threads()? {
            let text = fs::read_to_string(format!("{}/status", thread.path)).unwrap_or_default();
            sleeps += field(&text, "voluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(sleeps)
    }

    fn threads(&self) -> Result<Vec<Thread>> {
        let mut threads = Vec::new();
        for pid in &self.pids {
            let folder = format!("/proc/{pid}/task");
            let entries = fs::read_dir(&folder).with_context(|| format!("process {pid} is gone"))?;
            for entry in entries.flatten() {
                if let Ok(id) = entry.file_name().to_string_lossy().parse() {
                    threads.push(Thread { id, path: format!("{folder}/{id}") });
                }
            }
        }
        Ok(threads)
    }
}

struct Thread {
    id: u32,
    path: String,
}

impl CpuTimes {
    /// Nanoseconds used between `earlier` and this moment.
    pub fn since(&self, earlier: &Self) -> u64 {
        let used = |(id, ns): (&u32, &u64)| ns.saturating_sub(earlier.0.get(id).copied().unwrap_or(0));
        self.0.iter().map(used).sum()
    }
}

/// Every process and its parent.
fn parents() -> Result<BTreeMap<u32, u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(parent) = after_name(&stat).nth(1).and_then(|parent| parent.parse().ok()) {
            parents.insert(pid, parent);
        }
    }
    Ok(parents)
}

/// The fields of `stat` after the program's name, which may hold blanks and parentheses.
fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace()
}

fn schedstat_ns(thread: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("{thread}/schedstat")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Where the kernel has no schedstat: clock ticks of 10 ms.
fn stat_ns(thread: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("{thread}/stat")).ok()?;
    let mut times = after_name(&text).skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some((user + system) * 10_000_000)
}

/// The number after `name` in a file of "name value" lines.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_stat_start_after_the_last_parenthesis() {
        let fields: Vec<_> = after_name("12 (a (b) c) S 7 12").collect();
        assert_eq!(fields, ["S", "7", "12"]);
    }

    #[test]
    fn own_cpu_time_grows_with_work() {
        let tree = Tree::of(std::process::id()).unwrap();
        let before = tree.cpu().unwrap();
        let mut sum = 0_u64;
        let started = std::time::Instant::now();
        while started.elapsed().as_millis() < 50 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        std::hint::black_box(sum);
        std::thread::sleep(std::time::Duration::from_millis(10));
        assert!(tree.cpu().unwrap().since(&before) > 10_000_000);
    }

    #[test]
    fn memory_is_read() {
        let memory = Tree::of(std::process::id()).unwrap().memory().unwrap();
        assert!(memory.private_dirty > 0 && memory.resident >= memory.private_dirty);
    }
}
