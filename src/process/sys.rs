//! The system calls that neither std nor rustix offers as safe functions. The only unsafe code of the crate:
//! a fork copies the process, which no type can make safe, and rustix leaves out `fork` and `signal`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::Signal;

/// What std calls to name a thread. musl's own prints the name of a file in /proc for that, and all of its `printf`
/// comes along: 12 KB that nothing else on a board needs. The names are for debuggers.
// SAFETY: it takes the place of the function of the C library with the same signature, and does nothing.
#[cfg(target_env = "musl")]
#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_: libc::pthread_t, _: *const libc::c_char) -> libc::c_int {
    0
}

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

/// Copies the process for a job of its own: the copy holds no descriptor but the standard ones and those of `keep`,
/// ignores from its first moment what stops, reloads or suspends a gateway, runs `job`, and ends with it without
/// going back to what the process was doing. Nothing else that `job` holds may need a descriptor. Returns the new
/// process's id.
///
/// # Errors
/// Those of fork(2).
pub(super) fn fork_apart<const N: usize>(
    keep: [OwnedFd; N],
    job: impl FnOnce([OwnedFd; N]),
) -> io::Result<i32> {
    /// Ends the process at once, also where `job` panics: nothing of the old life may be unwound.
    struct Ending;
    impl Drop for Ending {
        fn drop(&mut self) {
            // SAFETY: it never returns, and needs nothing of the process.
            unsafe { libc::_exit(0) };
        }
    }
    let unblocked = block_signals();
    let forked = fork();
    if let Ok(Forked::Child) = forked {
        ignore_signals();
    }
    set_blocked(&unblocked);
    match forked? {
        Forked::Parent(pid) => Ok(pid),
        Forked::Child => {
            let _ending = Ending;
            close_all_but(&keep.each_ref().map(AsRawFd::as_raw_fd));
            job(keep);
            Ok(0)
        }
    }
}

/// Closes every descriptor but the standard ones and these.
fn close_all_but(kept: &[i32]) {
    let listed = std::fs::read_dir("/proc/self/fd").map(|folder| {
        let numbers = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.collect::<Vec<i32>>()
    });
    let numbers = listed.unwrap_or_else(|_| {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        (0..i32::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(i32::MAX).min(1 << 20)).collect()
    });
    for number in numbers.into_iter().filter(|number| *number > 2 && !kept.contains(number)) {
        // SAFETY: takes a number only. Who owns it in this copy of the process is never run again
        // ([`fork_apart`]), so nobody can use or close it afterwards.
        unsafe { libc::close(number) };
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

/// Where [`heard`] writes.
static HEARD: AtomicI32 = AtomicI32::new(-1);

/// Has the numbers of these signals written to `to` from now on, a byte each. To be called once.
pub(super) fn hear_signals(signals: &[Signal], to: OwnedFd) {
    // Never closed again: a handler can run at any time.
    HEARD.store(to.into_raw_fd(), Ordering::Relaxed);
    let handler = heard as extern "C" fn(libc::c_int) as libc::sighandler_t;
    for signal in signals {
        // SAFETY: what the handler does is allowed in one, and the call cannot fail for a signal that exists.
        unsafe { libc::signal(signal.as_raw(), handler) };
    }
}

extern "C" fn heard(signal: libc::c_int) {
    let number = u8::try_from(signal).unwrap_or(0);
    // SAFETY: write(2) may be called in a handler, with a byte of this very function; the place of errno is the
    // thread's own, and whoever was interrupted finds it as it was.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(HEARD.load(Ordering::Relaxed), (&raw const number).cast(), 1);
        *errno = before;
    }
}

/// Blocks every signal, and returns what was blocked before. One that comes meanwhile is not lost but late.
fn block_signals() -> libc::sigset_t {
    // SAFETY: a sigset_t is plain memory, which the calls fill in; they fail for wrong numbers only.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, &mut before);
        before
    }
}

fn set_blocked(signals: &libc::sigset_t) {
    // SAFETY: only reads the set, and needs no place for the old one.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, signals, std::ptr::null_mut()) };
}

/// Ignores, from now on, what stops, reloads or suspends the gateway.
fn ignore_signals() {
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGTTOU,
        libc::SIGPIPE,
    ] {
        // SAFETY: SIG_IGN runs no code, and the call cannot fail for a signal that exists.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
