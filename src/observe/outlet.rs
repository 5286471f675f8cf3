//! The open ends of log targets: UDP, unix datagrams, descriptors. Nothing here waits but [`write_patiently`].

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use rustix::stdio::{stderr, stdout};

use super::target::Resolver;
use crate::config::LogAddress;

/// An address without names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    Udp(SocketAddr),
    Unix(PathBuf),
    Fd(i32),
}

impl Destination {
    pub(super) fn of(address: &LogAddress, resolve: Resolver) -> Result<Self, String> {
        match address {
            LogAddress::Udp(host, port) => match host.parse::<IpAddr>() {
                Ok(ip) => Ok(Self::Udp(SocketAddr::new(ip, *port))),
                Err(_) => resolve(host, *port)
                    .map(Self::Udp)
                    .map_err(|error| format!("log target {host}:{port}: cannot resolve '{host}': {error}")),
            },
            LogAddress::Unix(path) => Ok(Self::Unix(path.clone())),
            LogAddress::Fd(fd) => Ok(Self::Fd(*fd)),
        }
    }

    /// Whether an error means that a unix socket's owner went away.
    pub(super) fn is_gone(&self, error: &io::Error) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotConnected};
        matches!(self, Self::Unix(_))
            && matches!(error.kind(), ConnectionRefused | ConnectionReset | NotConnected | BrokenPipe)
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
            Self::Fd(1) => f.write_str("stdout"),
            Self::Fd(2) => f.write_str("stderr"),
            Self::Fd(fd) => write!(f, "fd@{fd}"),
        }
    }
}

/// The open end.
pub(super) enum Outlet {
    /// Not connected: each line takes the route of its moment, whatever address the device has by then.
    Udp(OwnedFd, SocketAddr),
    /// Connected, so that it outlives a later `chroot`.
    Unix(UnixDatagram),
    Stdout,
    Stderr,
    File(File),
    Closed(io::Error),
}

impl Outlet {
    pub(super) fn open(to: &Destination) -> Self {
        let opened = match to {
            Destination::Udp(address) => open_udp(*address),
            Destination::Unix(path) => open_unix(path),
            Destination::Fd(1) => Ok(Self::Stdout),
            Destination::Fd(2) => Ok(Self::Stderr),
            Destination::Fd(fd) => open_fd(*fd).map(Self::File),
        };
        opened.unwrap_or_else(Self::Closed)
    }

    pub(super) fn send(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket, address) => {
                whole(rustix::net::sendto(socket, line, SendFlags::empty(), address)?, line)
            }
            Self::Unix(socket) => socket.send(line).and_then(|sent| whole(sent, line)),
            Self::Stdout => write_at_once(stdout(), line),
            Self::Stderr => write_at_once(stderr(), line),
            Self::File(file) => write_at_once(file.as_fd(), line),
            Self::Closed(error) => Err(error.kind().into()),
        }
    }
}

fn open_udp(address: SocketAddr) -> io::Result<Outlet> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    Ok(Outlet::Udp(socket, address))
}

fn open_unix(path: &Path) -> io::Result<Outlet> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(Outlet::Unix(socket))
}

/// An inherited descriptor, opened a second time through `/proc`: that needs no trust that nobody else owns
/// the number, and the second opening may be non-blocking without making the first so. Sockets cannot be
/// opened that way.
fn open_fd(fd: i32) -> io::Result<File> {
    let path = format!("/proc/self/fd/{fd}");
    if std::fs::metadata(&path)?.file_type().is_socket() {
        let why = "it is a socket; a pipe, file or terminal was expected";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Writes a line of at most `PIPE_BUF` bytes if that is possible without waiting. The descriptor itself stays
/// blocking: stdout and stderr are shared with the shell and with others.
pub(super) fn write_at_once(to: BorrowedFd<'_>, line: &[u8]) -> io::Result<()> {
    let mut poll = [PollFd::new(&to, PollFlags::OUT)];
    rustix::event::poll(&mut poll, Some(&Timespec::default()))?;
    if !poll[0].revents().contains(PollFlags::OUT) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let sent = rustix::io::write(to, line)?;
    whole(sent, line)
}

fn whole(sent: usize, line: &[u8]) -> io::Result<()> {
    if sent == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Writes and waits until it is written: for answers, and for messages before the process serves anybody. That nobody
/// reads it any more (`| head`) is no fault.
pub(super) fn write_patiently(to: BorrowedFd<'_>, mut text: &[u8]) {
    while !text.is_empty() {
        match rustix::io::write(to, text) {
            Ok(len @ 1..) => text = text.get(len..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_full_pipe_costs_lines_not_time() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let line = [b'x'; super::super::line::LINE_BYTES_MAX];
        let mut sent = 0;
        while write_at_once(writer.as_fd(), &line).is_ok() {
            sent += line.len();
        }
        assert!(sent >= line.len());
        drop(writer);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), sent, "whole lines only");
    }
}
