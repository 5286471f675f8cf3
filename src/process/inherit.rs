//! Descriptors that another process opened: for us (`bind fd@N`), or by mistake.
//!
//! Unsafe lives here because taking ownership of a number cannot be checked by the compiler. What makes it
//! sound: only numbers that were open before this process opened anything are given out or closed, each once.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

thread_local! {
    static INHERITED: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
    static FOLDERS: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

/// Notes which listening sockets, and which folders, this process was started with. To be called before it opens any
/// of its own.
pub fn note_inherited() {
    // The standard streams (0 to 2) are never listening sockets of a configuration.
    let (mut folders, mut sockets) = (Vec::new(), Vec::new());
    // All of them before the first look: the one that was listed with is closed by then.
    for number in super::sys::open_descriptors().unwrap_or_default() {
        if is_folder(number) {
            folders.push(number);
        }
        if is_listening(number) {
            sockets.push(number);
        }
    }
    FOLDERS.set(folders);
    INHERITED.set(sockets);
}

/// Closes the folders that this process was started with: a way out of a `chroot`, and of no use to us.
pub(super) fn close_inherited_folders() {
    for number in FOLDERS.take() {
        // SAFETY: it was open before this process opened anything, nothing of ours closes numbers it does not own,
        // and taking it out of the list makes this its only owner.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
}

/// Takes over a listening socket by its number; from then on it is closed on exec.
///
/// # Errors
/// `InvalidInput` when the process was started without such a socket, or it was taken before.
pub fn inherited_descriptor(number: i32) -> io::Result<OwnedFd> {
    let position = INHERITED.with_borrow(|all| all.iter().position(|known| *known == number));
    let Some(position) = position else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {number} is not a listening socket that this process was started with"),
        ));
    };
    INHERITED.with_borrow_mut(|all| all.swap_remove(position));
    // SAFETY: it was open before this process opened anything, nothing of ours closes numbers it does not own,
    // and taking it out of the list makes this its only owner.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

fn is_folder(number: i32) -> bool {
    // Not by rustix's fstat: on 32-bit MIPS it asks musl's dlsym for statx first, and that crashes in a static program.
    fs::metadata(format!("/proc/self/fd/{number}")).is_ok_and(|metadata| metadata.is_dir())
}

fn is_listening(number: i32) -> bool {
    // SAFETY: the borrow lasts for this one call, which only asks; a closed number is answered with EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::net::sockopt::socket_acceptconn(fd).unwrap_or(false)
}
