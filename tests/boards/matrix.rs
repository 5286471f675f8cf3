//! The boards that were asked for, two at a time, each in a process in namespaces of its own.

use crate::board::{Board, How};
use crate::results;
use crate::support::program::installed;
use std::collections::VecDeque;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Boards at the same time: one of them mostly waits for a timeout while the other works.
const AT_A_TIME: usize = 2;
/// A board that has not ended then never will.
const LIMIT: Duration = Duration::from_secs(300);

/// How one run of one board went.
struct Report {
    board: String,
    how: How,
    passed: bool,
    took: Duration,
    text: String,
}

/// Runs the boards that `ONEPORT_BOARDS` names.
pub fn run() -> ExitCode {
    let names = std::env::var("ONEPORT_BOARDS").unwrap_or_default();
    let boards: Vec<Board> = names.split_whitespace().map(Board::read).collect();
    if boards.is_empty() {
        eprintln!("no boards in ONEPORT_BOARDS; run: make test-boards BOARDS=\"rpi-armv7 ath79-mips\"");
        return ExitCode::FAILURE;
    }
    let mut jobs = VecDeque::new();
    for board in &boards {
        // What is missing is said before the first run.
        board.subject(How::Qemu);
        jobs.push_back((board, How::Qemu));
        if board.is_native() {
            jobs.push_back((board, How::Native));
        }
    }
    let (jobs, reports) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some((board, how)) = jobs.lock().unwrap().pop_front() else { return };
                    let report = try_board(board, how);
                    println!("{}", report.text.trim_end());
                    reports.lock().unwrap().push(report);
                }
            });
        }
    });
    let reports = reports.into_inner().unwrap();
    for board in &boards {
        let of_board: Vec<&Report> = reports.iter().filter(|report| report.board == board.name).collect();
        if of_board.iter().all(|report| report.passed) {
            results::note(board, &summary(&of_board));
        }
    }
    let failed: Vec<String> = reports
        .iter()
        .filter(|report| !report.passed)
        .map(|report| format!("{} ({})", report.board, report.how.word()))
        .collect();
    if failed.is_empty() {
        println!("boards: {} passed", reports.len());
        return ExitCode::SUCCESS;
    }
    println!("boards: FAILED: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// The line of `boards/results.tsv`, beyond the date.
fn summary(reports: &[&Report]) -> String {
    let mut text = String::from("three protocols, timeouts, bulk, names, checks, signals");
    if reports.iter().any(|report| report.how == How::Native) {
        text += ", busybox init; without qemu too";
    }
    let seconds: u64 = reports.iter().map(|report| report.took.as_secs()).sum();
    format!("{text}; {seconds} s")
}

fn try_board(board: &Board, how: How) -> Report {
    let started = Instant::now();
    let mut command = Command::new(installed("unshare", "util-linux"));
    if !rustix::process::getuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    // --kill-child and a process namespace: with this process everything it has started ends.
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().unwrap()).args(["inside", &board.name, how.word()]);
    let log = tempfile::tempfile().unwrap();
    let mut child = command
        .env("ONEPORT_SUBJECT", board.subject(how))
        .env_remove("TZ")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log.try_clone().unwrap())
        .spawn()
        .expect("unshare starts");
    let mut outcome = "passed".to_string();
    let passed = loop {
        if let Some(status) = child.try_wait().unwrap() {
            if !status.success() {
                outcome = format!("FAILED ({status})");
            }
            break status.success();
        }
        if started.elapsed() > LIMIT {
            outcome = format!("FAILED: has not ended within {LIMIT:?}");
            child.kill().unwrap();
            child.wait().unwrap();
            break false;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let took = started.elapsed();
    let mut text =
        format!("== {} ({}) {outcome} after {:.1} s\n", board.name, how.word(), took.as_secs_f32());
    text += &read_back(log);
    if !passed && text.contains("unshare: ") {
        text += "\nThis needs namespaces: either root, or user namespaces for everybody (sysctl \
                 kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0).\n";
    }
    Report { board: board.name.clone(), how, passed, took, text }
}

fn read_back(mut log: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut bytes = Vec::new();
    log.rewind().unwrap();
    log.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
