//! One board, in namespaces of its own: sets them up and runs the cases, some at a time.

use crate::board::{Board, How};
use crate::cases::{self, Case};
use crate::dns::Dns;
use crate::support::program::installed;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Instant;

/// Most cases wait for a timeout most of the time.
const AT_A_TIME: usize = 4;

/// `/etc/hosts` in here.
const HOSTS: &str = "127.0.0.1 localhost\n127.0.0.3 other from-hosts from-hosts.example\n";
/// `/etc/resolv.conf` in here. The C library reads it, so it is the same everywhere: one try a second.
const RESOLV_CONF: &str = "nameserver 127.0.0.1\nsearch boards.test\noptions timeout:1 attempts:4\n";

/// What the cases share.
pub struct Context {
    pub board: Board,
    pub how: How,
    pub dns: Dns,
}

/// The whole run of one board; `how` is [`How::word`].
pub fn run(name: &str, how: &str) -> ExitCode {
    let how = How::of_word(how).unwrap_or_else(|| panic!("neither qemu nor native: {how}"));
    let files = tempfile::tempdir().unwrap();
    set_up(files.path());
    let context = Context { board: Board::read(name), how, dns: Dns::start() };
    let queue: Mutex<VecDeque<&Case>> = Mutex::new(cases::of(&context).collect());
    let failed = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop_front() else { return };
                    if !passes(case, &context) {
                        *failed.lock().unwrap() += 1;
                    }
                }
            });
        }
    });
    if failed.into_inner().unwrap() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(case: &Case, context: &Context) -> bool {
    let started = Instant::now();
    // A thread of its own, named for the case: a failure then says which it was.
    let passed = std::thread::scope(|scope| {
        let run = || catch_unwind(AssertUnwindSafe(|| (case.run)(context))).is_ok();
        let thread = std::thread::Builder::new().name(case.name.into()).spawn_scoped(scope, run);
        thread.expect("a thread for a case").join().unwrap_or(false)
    });
    let word = if passed { "ok" } else { "FAILED" };
    println!("  {:<58} {word:>6} {:5.1} s", case.name, started.elapsed().as_secs_f32());
    passed
}

/// The loopback, and the files that host names are looked up in.
fn set_up(files: &Path) {
    command("busybox", "busybox-static", &["ip", "link", "set", "lo", "up"]);
    for (name, text) in [("hosts", HOSTS), ("resolv.conf", RESOLV_CONF)] {
        let ours = files.join(name);
        std::fs::write(&ours, text).unwrap();
        let place = format!("/etc/{name}");
        assert!(Path::new(&place).exists(), "there is no {place} to mount the test's own over");
        command("mount", "mount", &["--bind", ours.to_str().unwrap(), &place]);
    }
}

/// Runs a command that must succeed.
pub fn command(name: &str, package: &str, arguments: &[&str]) {
    let output = Command::new(installed(name, package)).args(arguments).output().expect("it starts");
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
