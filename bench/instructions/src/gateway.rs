//! oneport under valgrind: start, lock step, stop, the count.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Numbers of `epoll_wait`, `epoll_pwait` and `epoll_pwait2` on this machine, as far as it has them.
#[cfg(target_arch = "x86_64")]
const EPOLL: &[u64] = &[232, 281, 441];
#[cfg(target_arch = "arm")]
const EPOLL: &[u64] = &[252, 346, 441];
#[cfg(not(any(target_arch = "x86_64", target_arch = "arm")))]
const EPOLL: &[u64] = &[22, 441];

/// How long anything may take before it is taken as broken; valgrind is slow, machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where the backends are that the gateway shall use.
pub struct Ports {
    pub web: u16,
    pub ws: u16,
    pub socket: u16,
}

/// What to run.
pub struct Subject {
    /// The binary.
    pub oneport: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Where valgrind may leave its file.
    pub work: PathBuf,
}

/// oneport at work under callgrind.
pub struct Gateway {
    child: Child,
    out: PathBuf,
    /// Where it listens.
    pub port: u16,
    /// How often its thread had gone to sleep when it was last seen asleep.
    sleeps: u64,
}

impl Gateway {
    /// Starts it and waits until it serves. `name` names the file that valgrind writes.
    pub fn start(subject: &Subject, name: &str, ports: &Ports) -> io::Result<Self> {
        let port = free_port()?;
        let out = subject.work.join(format!("callgrind.{name}"));
        match fs::remove_file(&out) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let child = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(&subject.oneport)
            .args(["-q", "-f"])
            .arg(&subject.config)
            // The environment is copied to the stack and searched: always the same one.
            .env_clear()
            .env("PATH", path)
            .env("LISTEN", port.to_string())
            .env("WEB", ports.web.to_string())
            .env("WS", ports.ws.to_string())
            .env("SOCKET", ports.socket.to_string())
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("cannot start valgrind: {error}")))?;
        let mut gateway = Self { child, out, port, sleeps: 0 };
        gateway.settle()?;
        // The control plane's thread starts about now, and may wake the loop once more.
        sleep(Duration::from_millis(200));
        gateway.sleeps = gateway.sleeps_now()?;
        Ok(gateway)
    }

    /// Waits until it has done everything that it can do for now: until its thread sleeps in epoll, and this is
    /// not the sleep that was seen last. To be called after each thing that wakes it; whatever comes next then
    /// meets it in the same state in every run, however busy the machine is.
    pub fn settle(&mut self) -> io::Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.is_in_epoll()? {
                let sleeps = self.sleeps_now()?;
                if sleeps > self.sleeps {
                    self.sleeps = sleeps;
                    return Ok(());
                }
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("oneport ended early, {status}")));
            }
            sleep(Duration::from_micros(50));
        }
        Err(io::Error::other("oneport does not react: it should have woken up and gone to sleep again"))
    }

    /// Stops it and returns how many instructions it took in its whole life.
    pub fn stop(mut self) -> io::Result<u64> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or_else(|| io::Error::other("no process id"))?, Signal::TERM)?;
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => {
                    return Err(io::Error::other("oneport does not stop on SIGTERM"));
                }
                None => sleep(Duration::from_millis(1)),
            }
        };
        if !status.success() {
            return Err(io::Error::other(format!("oneport ended with {status}")));
        }
        total(&self.out)
    }

    fn is_in_epoll(&self) -> io::Result<bool> {
        let text = self.proc_file("syscall")?;
        let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
        Ok(number.is_some_and(|number: u64| EPOLL.contains(&number)))
    }

    fn sleeps_now(&self) -> io::Result<u64> {
        let text = self.proc_file("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|number| number.trim().parse().ok())
            .ok_or_else(|| io::Error::other("no voluntary_ctxt_switches in /proc/PID/status"))
    }

    /// Of the main thread, which carries all traffic; valgrind runs the program in its own process.
    fn proc_file(&self, name: &str) -> io::Result<String> {
        let pid = self.child.id();
        let path = format!("/proc/{pid}/task/{pid}/{name}");
        fs::read_to_string(&path).map_err(|error| io::Error::other(format!("cannot read {path}: {error}")))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Only where something went wrong before: a process that was waited for is left alone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole program's instructions, from the file callgrind has written.
fn total(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)
        .map_err(|error| io::Error::other(format!("cannot read {}: {error}", path.display())))?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("no total in {}", path.display())))
}

/// A port on which nothing listens, below those that the kernel gives to outgoing connections; five digits
/// like all of them, since their number is counted as well.
fn free_port() -> io::Result<u16> {
    let first = 20_100 + u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    (first..first + 1_000)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .ok_or_else(|| io::Error::other("no free port"))
}
