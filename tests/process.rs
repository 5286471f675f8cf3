//! Forks and signals, which need a process of one thread: no test harness (`harness = false`), and each case
//! runs in a process of its own, started by the first.

use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use oneport::process::daemon::{Side, fork_to_background};
use oneport::process::signals::{Event, Signals};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("case:ready") => daemon(|pid| println!("{pid}"), true),
        Some("case:fails") => daemon(|_| eprintln!("cannot bind"), false),
        Some("case:signals") => signals(),
        // What a test runner passes, such as a filter or `--list`, is of no interest.
        _ => {
            a_daemon_reports_when_it_is_ready();
            a_daemon_that_fails_tells_the_terminal_and_the_status();
            signals_become_events();
            println!("process: 3 passed");
            ExitCode::SUCCESS
        }
    }
}

fn case(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(format!("case:{name}")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn daemon(start: fn(u32), ready: bool) -> ExitCode {
    match fork_to_background().unwrap() {
        Side::Parent(status) => ExitCode::from(status as u8),
        Side::Child(starting) => {
            // The parent must wait for this.
            std::thread::sleep(Duration::from_millis(200));
            start(std::process::id());
            if !ready {
                return ExitCode::from(7);
            }
            starting.ready().unwrap();
            eprintln!("nobody hears this");
            std::thread::sleep(Duration::from_secs(20));
            ExitCode::SUCCESS
        }
    }
}

fn a_daemon_reports_when_it_is_ready() {
    // Returning from `output` shows that the daemon let go of stdout and stderr.
    let began = Instant::now();
    let output = case("ready").output().unwrap();
    assert!(output.status.success());
    assert!(began.elapsed() < Duration::from_secs(10));
    let pid: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // After the name: state, parent, process group, session.
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap();
    assert_eq!(session, pid.to_string());
    for fd in 0..3 {
        let leads_to = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        assert_eq!(leads_to.to_str(), Some("/dev/null"));
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

fn a_daemon_that_fails_tells_the_terminal_and_the_status() {
    let output = case("fails").output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "cannot bind\n");
}

/// Prints each event, until the one that stops it.
fn signals() -> ExitCode {
    let mut signals = Signals::new().unwrap();
    println!("ready");
    smol::block_on(async {
        loop {
            let event = signals.next().await.unwrap();
            println!("{event:?}");
            if event == Event::Stop {
                return ExitCode::SUCCESS;
            }
        }
    })
}

fn signals_become_events() {
    use rustix::process::{Pid, Signal, kill_process};
    let mut child = case("signals").spawn().unwrap();
    let pid = Pid::from_child(&child);
    let mut output = child.stdout.take().unwrap();
    let mut line = || {
        let mut text = Vec::new();
        let mut byte = [0];
        while output.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            text.extend(byte);
        }
        String::from_utf8(text).unwrap()
    };
    assert_eq!(line(), "ready");
    for (signal, event) in [
        (Signal::HUP, "Reload"),
        (Signal::TTOU, ""),
        (Signal::PIPE, ""),
        (Signal::USR2, "Reload"),
        (Signal::USR1, "Finish"),
        (Signal::INT, "Stop"),
    ] {
        kill_process(pid, signal).unwrap();
        if !event.is_empty() {
            assert_eq!(line(), event);
        }
    }
    assert!(child.wait().unwrap().success());
    std::io::stdout().flush().unwrap();
}
