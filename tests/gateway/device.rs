//! What devices ask for: a root file system that nobody writes to unless the configuration or a flag says so, and a
//! clock that stands in 1970 at first, jumps, and one day passes 2038.

use crate::rig::http_config;
use crate::support::client::Client;
use crate::support::peers::Backend;
use crate::support::ports::free_port;
use crate::support::process::{Daemon, Signal, Starter, folder, is_alive, send_signal};
use crate::support::program::{Program, installed, only_oneport};
use crate::support::{eventually, ms};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Calls that change a file system whatever their arguments.
const CHANGES: &[&str] = &[
    "creat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "unlink",
    "unlinkat",
    "rmdir",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "truncate",
    "ftruncate",
    "utimensat",
    "setxattr",
    "lsetxattr",
];

/// Whether a line of strace's output shows a call that wants to change a file system, whether it was let or not.
fn changes_files(line: &str) -> bool {
    let Some((before, arguments)) = line.split_once('(') else { return false };
    // "1234  openat(AT_FDCWD, …"
    let call = before.split_whitespace().last().unwrap_or_default();
    let opens = matches!(call, "open" | "openat" | "openat2");
    let to_write = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| arguments.contains(flag));
    let binds_path = call == "bind" && arguments.contains("sun_path=\"");
    CHANGES.contains(&call) || (opens && to_write) || binds_path
}

/// Every call that changes files, of a gateway that is started, serves, reads its configuration again and stops.
fn changes_of_a_life(arguments: &[&str]) -> Vec<String> {
    let backend = Backend::web("hello");
    let (port, dir) = (free_port(), folder());
    let (file, trace) = (dir.path().join("gateway.cfg"), dir.path().join("trace"));
    std::fs::write(&file, http_config(port, backend.port, "")).unwrap();
    let mut command = Command::new(installed("strace", "strace"));
    command.args(["-f", "-qq", "-s", "200", "-e", "trace=%file,bind,ftruncate", "-o"]).arg(&trace);
    command.arg(Program::subject().path()).args(["-db", "-f"]).arg(&file).args(arguments);
    let mut strace = Starter::new().ready_port(port).spawn(command, dir);
    let gateway = Daemon(only_child(strace.pid()));
    let mut client = Client::to(port);
    client.send("GET / HTTP/1.1\r\nHost: device\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    send_signal(gateway.0, Signal::USR2);
    strace.wait_stderr("is in force");
    send_signal(gateway.0, Signal::TERM);
    eventually("the gateway ends", || !is_alive(gateway.0));
    strace.wait_exit(crate::support::SOON);
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains("gateway.cfg"), "strace saw nothing:\n{trace}");
    trace.lines().filter(|line| changes_files(line)).map(str::to_owned).collect()
}

/// The process that another one has started.
#[track_caller]
fn only_child(pid: i32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap_or_else(|_| panic!("one child of {pid} expected, found '{children}'"))
}

#[test]
fn nothing_is_written_unless_asked() {
    if only_oneport("what the program itself does with files") {
        return;
    }
    assert_eq!(changes_of_a_life(&[]), [""; 0]);
    // And the check finds what was asked for.
    let dir = folder();
    let pidfile = dir.path().join("pid").display().to_string();
    let changes = changes_of_a_life(&["-p", &pidfile]);
    assert!(!changes.is_empty() && changes.iter().all(|line| line.contains(&pidfile)), "{changes:#?}");
}

/// A clock that is set by a file: libfaketime, which stands before the C library.
struct FakeClock {
    library: PathBuf,
    dir: tempfile::TempDir,
}

impl FakeClock {
    #[track_caller]
    fn new() -> Self {
        installed("faketime", "faketime");
        let library = std::fs::read_dir("/usr/lib")
            .unwrap()
            .map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"))
            .find(|path| path.is_file())
            .expect("libfaketime: apt-get install faketime");
        Self { library, dir: folder() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("time")
    }

    /// Sets it, all at once; local time.
    fn set(&self, time: &str) {
        let new = self.dir.path().join("new");
        std::fs::write(&new, format!("@{time}\n")).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    /// The program under test, by this clock and in this zone.
    fn command(&self, config: &Path, zone: &str) -> Command {
        let mut command = Command::new(Program::subject().path());
        command.args(["-db", "-f"]).arg(config);
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", self.file()).env("TZ", zone);
        for setting in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "DONT_FAKE_MONOTONIC"] {
            command.env(setting, "1");
        }
        command
    }
}

#[test]
fn the_clock_may_stand_anywhere_and_jump() {
    if only_oneport("how its timers and its log lines take the clock") {
        return;
    }
    let clock = FakeClock::new();
    let backend = Backend::web("hello");
    let (port, dir) = (free_port(), folder());
    let file = dir.path().join("gateway.cfg");
    let extra = "log stderr format rfc3164 local0\noption httplog\ntimeout http-keep-alive 1s";
    std::fs::write(&file, http_config(port, backend.port, extra)).unwrap();
    clock.set("1970-01-02 00:00:30");
    // A rule, so that the years beyond the zone files count too.
    let command = clock.command(&file, "CET-1CEST,M3.5.0,M10.5.0/3");
    let mut gateway = Starter::new().ready_port(port).spawn(command, dir);
    for (time, syslog, date) in [
        ("1970-01-02 00:00:30", "Jan  2 00:00:", "02/Jan/1970:00:00:"),
        ("2026-11-21 10:00:30", "Nov 21 10:00:", "21/Nov/2026:10:00:"),
        ("2038-01-19 04:14:30", "Jan 19 04:14:", "19/Jan/2038:04:14:"),
        ("2040-02-29 12:00:30", "Feb 29 12:00:", "29/Feb/2040:12:00:"),
        ("2106-07-01 08:00:30", "Jul  1 08:00:", "01/Jul/2106:08:00:"),
        ("1970-01-02 00:01:30", "Jan  2 00:01:", "02/Jan/1970:00:01:"),
    ] {
        clock.set(time);
        let begun = Instant::now();
        let mut client = Client::to(port);
        client.send("GET / HTTP/1.1\r\nHost: device\r\n\r\n");
        assert_eq!(client.answer().status, 200);
        // The idle timeout fires when it should, although decades have passed, or were taken back.
        client.read_to_end();
        // The answer may come late on a busy machine, but no timeout begins before its connection.
        let lived = begun.elapsed();
        assert!(lived > ms(900) && lived < ms(10_000), "closed after {lived:?} at {time}");
        gateway.wait_stderr(&format!("[{date}"));
        gateway.wait_stderr(&format!(">{syslog}"));
    }
    assert!(gateway.is_running());
}
