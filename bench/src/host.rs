//! The machine: its cores, its limits, what it is.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which cores the program under test and the load run on.
pub struct Cores {
    program: CpuSet,
    load: CpuSet,
    /// Only one core here: program and load share it, and all figures suffer.
    pub shared: bool,
}

impl Cores {
    /// The first core this process may use for the program under test, the others for the load.
    pub fn split() -> Result<Self> {
        let usable = sched_getaffinity(None).context("asking for the cores of this process")?;
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| usable.is_set(core)).collect();
        let (&first, others) = cores.split_first().context("no core to run on")?;
        let shared = others.is_empty();
        let mut program = CpuSet::new();
        program.set(first);
        let mut load = CpuSet::new();
        for &core in if shared { &cores[..] } else { others } {
            load.set(core);
        }
        Ok(Self { program, load, shared })
    }

    /// From here on this thread, and what it starts, runs on the cores of the load.
    pub fn go_to_load(&self) -> Result<()> {
        sched_setaffinity(None, &self.load).context("pinning the load")
    }

    /// Runs `start` on the core of the program under test: a child keeps the cores it was started on.
    pub fn on_program_core<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        sched_setaffinity(None, &self.program).context("pinning the program under test")?;
        let started = start();
        self.go_to_load()?;
        Ok(started)
    }
}

/// Raises the number of open files to what is allowed (as root: to `wanted`); fails when that is not enough.
pub fn raise_open_files(wanted: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let reach = |maximum| Rlimit { current: Some(wanted), maximum };
    if setrlimit(Resource::Nofile, reach(limit.maximum)).is_ok()
        || setrlimit(Resource::Nofile, reach(Some(wanted))).is_ok()
    {
        return Ok(());
    }
    bail!("needs {wanted} open files, may have {:?}: raise the limit (ulimit -Hn)", limit.maximum)
}

/// A free TCP port of the loopback below those that the kernel gives to clients.
pub fn free_port() -> Result<SocketAddr> {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    let start = u16::try_from(std::process::id() * 16 % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port from {FIRST} on")
}

/// What a reader of the results must know of the machine: label and value.
pub fn describe(cores: &Cores) -> Vec<(String, String)> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name") || line.starts_with("system type"));
    let model = model.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name.trim());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().next().and_then(|line| line.split_once(':')).map_or("unknown", |(_, kb)| kb.trim());
    let pinned = if cores.shared {
        "ONE CORE ONLY: program and load share it"
    } else {
        "program on one, load on the others"
    };
    let usable = cores.program.count() + if cores.shared { 0 } else { cores.load.count() };
    vec![
        ("Machine".into(), format!("{model}, cores: {usable} ({pinned}), {memory} of memory")),
        ("Kernel".into(), first_line("uname", &["-srm"])),
        ("Date".into(), first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
    ]
}

/// The commit that this tree holds, and whether it has been changed; nothing outside of git.
pub fn commit() -> Option<String> {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// The first line that a command prints, on either output; "unknown" when it cannot be run.
pub fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return "unknown".into();
    };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").trim().to_string()
}

/// Where a program is, also outside of an ordinary user's PATH.
pub fn find_program(names: &[&str]) -> Result<std::path::PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/sbin", "/usr/local/sbin"]);
    let mut folders: Vec<_> = folders.filter(|folder| !folder.is_empty()).collect();
    folders.dedup();
    for name in names {
        if let Some(found) =
            folders.iter().map(|folder| std::path::Path::new(folder).join(name)).find(|p| p.is_file())
        {
            return Ok(found);
        }
    }
    bail!("{} is not installed; bench/setup installs it", names.join(" or "))
}
