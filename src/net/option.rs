//! The socket options that neither std nor rustix offers as safe functions. Besides `process/sys.rs` and
//! `process/inherit.rs` the only unsafe code of the crate: one call, which reads bytes that a slice holds.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A port is chosen when the connection is made, not when the address is bound: the same port can then lead to different
/// servers, where else some 28,000 connections would be all there can be. Linux 4.2 and later.
pub(super) fn set_bind_address_no_port(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// Addresses of others may be bound, and connections to them accepted. Needs `CAP_NET_ADMIN` or `CAP_NET_RAW`.
pub(super) fn set_transparent(fd: BorrowedFd<'_>, is_ipv6: bool) -> io::Result<()> {
    /// Not in libc for every target; the same number on all of them (linux/in6.h).
    const IPV6_TRANSPARENT: c_int = 75;
    match is_ipv6 {
        true => set_number(fd, libc::IPPROTO_IPV6, IPV6_TRANSPARENT, 1),
        false => set_number(fd, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1),
    }
}

/// Everything goes and comes through this network interface.
pub(super) fn bind_to_device(fd: BorrowedFd<'_>, interface: &str) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, interface.as_bytes())
}

/// The longest segment.
pub(super) fn set_mss(fd: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_TCP, libc::TCP_MAXSEG, bytes)
}

/// A listening socket takes bytes with the first packet; so many connections may be half open in this way.
pub(super) fn set_fast_open(fd: BorrowedFd<'_>, waiting_max: i32) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, waiting_max)
}

/// The first bytes that are written go with the first packet. Linux 4.11 and later.
pub(super) fn set_fast_open_connect(fd: BorrowedFd<'_>) -> io::Result<()> {
    /// Not in libc for every target (linux/tcp.h).
    const TCP_FASTOPEN_CONNECT: c_int = 30;
    set_number(fd, libc::IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
}

fn set_number(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set(fd, level, name, &value.to_ne_bytes())
}

fn set(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    let len = libc::socklen_t::try_from(value.len()).unwrap_or_default();
    // SAFETY: the kernel reads `len` bytes from the slice, which has as many, and keeps no pointer. The descriptor is
    // open, since it is borrowed.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
