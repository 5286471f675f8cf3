//! Signals: those that come in, and those sent to older processes.

use std::fmt::Write;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use async_io::Async;
use rustix::io::Errno;
use rustix::process::{Pid, Signal as Number, kill_process};

use super::sys;

/// What a signal asks for (management §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// SIGTERM, SIGINT: end at once.
    Stop,
    /// SIGUSR1: accept nobody any more, end when the last connection has.
    Finish,
    /// SIGHUP, SIGUSR2: read the configuration again.
    Reload,
}

/// The signals of the process: their numbers, as its handler writes them. SIGPIPE is ignored by Rust's runtime from the
/// start.
pub struct Signals(Async<UnixStream>);

impl Signals {
    /// Takes over the signals; SIGTTOU is ignored from now on. Starts the control plane's thread: forks,
    /// changes of user and the like must be over.
    ///
    /// # Errors
    /// Those of making a socket pair and of registering it.
    pub fn new() -> io::Result<Self> {
        sys::ignore_ttou();
        let (ours, handlers) = UnixStream::pair()?;
        // Of signals beyond what it holds nothing new would be learned.
        handlers.set_nonblocking(true)?;
        let ours = Async::new(ours)?;
        sys::hear_signals(
            &[Number::TERM, Number::INT, Number::USR1, Number::USR2, Number::HUP],
            handlers.into(),
        );
        Ok(Self(ours))
    }

    /// Waits for the next signal.
    ///
    /// # Errors
    /// The pair that carries signals broke, which does not happen in a sound process; no further signal will
    /// come, so the caller should end as for [`Event::Stop`].
    pub async fn next(&mut self) -> io::Result<Event> {
        let mut number = [0];
        if self.0.read_with(|mut stream| stream.read(&mut number)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let [number] = number.map(i32::from);
        Ok(match Number::from_named_raw(number) {
            Some(Number::USR1) => Event::Finish,
            Some(Number::USR2 | Number::HUP) => Event::Reload,
            _ => Event::Stop,
        })
    }
}

/// How older processes are asked to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// `-sf`: SIGUSR1.
    Finish,
    /// `-st`: SIGTERM.
    Stop,
}

/// Signals older processes (`-sf`, `-st`); returns how many there were. Those that are gone already and our
/// own number (in a container the old process may well have had it) are passed over.
///
/// # Errors
/// One message about all that could not be signalled, after every one was tried.
pub fn signal_others(pids: &[i32], farewell: Farewell) -> Result<usize, String> {
    let signal = match farewell {
        Farewell::Finish => Number::USR1,
        Farewell::Stop => Number::TERM,
    };
    let ourselves = rustix::process::getpid();
    let mut signalled = 0;
    let mut failures = String::new();
    for &number in pids {
        // Zero and negative numbers would mean whole groups.
        let Some(pid) = Some(number).filter(|&number| number > 0).and_then(Pid::from_raw) else {
            let _ = write!(failures, "{}{number} is not a process", separator(&failures));
            continue;
        };
        if pid == ourselves {
            continue;
        }
        match kill_process(pid, signal) {
            Ok(()) => signalled += 1,
            Err(Errno::SRCH) => {}
            Err(error) => {
                let _ = write!(failures, "{}cannot signal process {number}: {error}", separator(&failures));
            }
        }
    }
    if failures.is_empty() { Ok(signalled) } else { Err(failures) }
}

fn separator(before: &str) -> &'static str {
    if before.is_empty() { "" } else { "; " }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn others_are_signalled_and_the_gone_are_not_missed() {
        let start = || Command::new("sleep").arg("60").spawn().unwrap();
        let mut older = start();
        let pid = older.id() as i32;
        assert_eq!(signal_others(&[pid, std::process::id() as i32], Farewell::Finish), Ok(1));
        assert_eq!(older.wait().unwrap().signal(), Some(10));
        assert_eq!(signal_others(&[pid], Farewell::Stop), Ok(0));
        let mut older = start();
        assert_eq!(signal_others(&[older.id() as i32], Farewell::Stop), Ok(1));
        assert_eq!(older.wait().unwrap().signal(), Some(15));
        assert_eq!(signal_others(&[], Farewell::Stop), Ok(0));
        let error = signal_others(&[0, -1], Farewell::Stop).unwrap_err();
        assert_eq!(error, "0 is not a process; -1 is not a process");
    }
}
