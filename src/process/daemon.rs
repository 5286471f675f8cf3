//! Going to the background, in two steps, so that errors of the start still reach the terminal and the caller
//! of the parent sees how the start ended.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::sys::{self, Forked};

/// Which process one is after [`fork_to_background`].
#[must_use]
pub enum Side {
    /// The old one. The new one is ready or has ended: exit with this status.
    Parent(i32),
    /// The new one: go on starting, then call [`Starting::ready`].
    Child(Starting),
}

/// A background process whose parent still waits and whose stderr still leads to the terminal.
#[must_use]
pub struct Starting {
    parent: PipeWriter,
    /// `/dev/null`, opened while it can be seen: not after a `chroot`.
    null: File,
}

/// Forks. The child is the leader of a session of its own; the working directory stays. The parent waits until
/// the child is ready or has ended, and returns the status to exit with: 0, the child's own, or 1 when a signal
/// ended it. Dropping [`Starting`] without [`ready`](Starting::ready) ends the parent only with the child.
///
/// To be called while there is one thread only: others would be missing in the child.
///
/// # Errors
/// Those of pipe(2), fork(2) and setsid(2), and of opening `/dev/null`; no process is left behind.
pub fn fork_to_background() -> io::Result<Side> {
    debug_assert!(threads().is_none_or(|count| count == 1), "a fork with {:?} threads", threads());
    // The ends are close-on-exec.
    let (reader, writer) = io::pipe()?;
    match sys::fork()? {
        Forked::Parent(child) => {
            drop(writer);
            wait_for_child(reader, child).map(Side::Parent)
        }
        Forked::Child => {
            drop(reader);
            rustix::process::setsid()?;
            let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            Ok(Side::Child(Starting { parent: writer, null }))
        }
    }
}

impl Starting {
    /// The start is over: stdin, stdout and stderr lead to `/dev/null` now, and the parent exits with 0.
    ///
    /// # Errors
    /// Those of dup2(2) (the message should go to stderr, which still stands then).
    pub fn ready(mut self) -> io::Result<()> {
        sys::replace_stdio(&self.null)?;
        // A parent that was killed meanwhile is none of our business.
        let _ = self.parent.write_all(b"!");
        Ok(())
    }
}

fn wait_for_child(mut reader: PipeReader, child: i32) -> io::Result<i32> {
    let mut byte = [0];
    loop {
        match reader.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let pid = Pid::from_raw(child);
    loop {
        match waitpid(pid, WaitOptions::empty()) {
            Ok(ended) => return Ok(ended.and_then(|(_, status)| status.exit_status()).unwrap_or(1)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Threads of this process; `None` where `/proc` does not tell.
pub(super) fn threads() -> Option<usize> {
    let mut status = String::new();
    File::open("/proc/self/status").ok()?.read_to_string(&mut status).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Forking a test harness full of threads proves nothing; `tests/process.rs` does it with one thread.
    #[test]
    fn threads_are_counted() {
        let count = std::thread::scope(|scope| scope.spawn(threads).join().unwrap());
        assert!(count.is_none_or(|count| count >= 2), "{count:?}");
    }
}
