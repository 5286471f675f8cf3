//! The system calls that neither std nor rustix offers as safe functions. The only unsafe code of the crate:
//! a fork copies the process, which no type can make safe, and rustix leaves out `fork` and `signal`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

/// What [`fork`] returns in each process.
pub(super) enum Forked {
    /// The old process, and the new one's id.
    Parent(i32),
    /// The new process.
    Child,
}

/// Copies the process.
///
/// # Errors
/// Those of fork(2): no memory, too many processes.
pub(super) fn fork() -> io::Result<Forked> {
    // SAFETY: fork itself touches no memory of ours. In a process of one thread, which the caller checks, the
    // child may go on doing whatever the parent could.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// Makes stdin, stdout and stderr copies of `file`.
///
/// # Errors
/// Those of dup2(2).
pub(super) fn replace_stdio(file: &impl AsRawFd) -> io::Result<()> {
    for number in 0..=2 {
        // SAFETY: takes numbers only. The three are nobody's property: std uses them by number too.
        if unsafe { libc::dup2(file.as_raw_fd(), number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Ignores SIGTTOU from now on. A handler would not do: a write to the terminal would be begun again after it,
/// for ever.
pub(super) fn ignore_ttou() {
    // SAFETY: SIG_IGN runs no code, and the call cannot fail for a signal that exists.
    unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
}
