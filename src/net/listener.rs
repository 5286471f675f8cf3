//! Listening sockets: making them, and accepting from them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, bind, ipproto,
    listen, socket_with, sockopt,
};
use rustix::process::umask;

use super::{Stream, Tuning, option};
use crate::reactor::{Direction, Handle, Source};

/// How a listening socket is made.
#[derive(Debug, Clone, Default)]
pub struct ListenOptions {
    /// Length of the kernel's accept queue.
    pub backlog: i32,
    /// `SO_KEEPALIVE` on the connections.
    pub keepalive: bool,
    /// IPv6 sockets: whether IPv4 connections are left out; `None` = the system's default.
    pub v6only: Option<bool>,
    /// TCP: the address need not be one of this machine, now or ever.
    pub transparent: bool,
    /// Permissions of a unix socket's file.
    pub unix_mode: Option<u32>,
    /// User and group of the same.
    pub unix_owner: [Option<u32>; 2],
    /// TCP: only what comes through this network interface.
    pub interface: Option<Rc<str>>,
    /// TCP: what the kernel is told of the connections, which inherit it.
    pub tuning: Tuning,
    /// Another process of ours holds the address and is about to let go of it (`-sf`, `-st`): do not
    /// report that as "in use".
    pub take_over: bool,
}

/// A connection that was accepted.
pub struct Accepted {
    /// The connection.
    pub stream: Stream,
    /// Where the client is; `None` on unix sockets.
    pub peer: Option<SocketAddr>,
}

/// A listening socket.
pub struct Listener {
    source: Source,
}

impl Listener {
    /// Wraps a listening socket that [`listen_tcp`] and its like have made.
    pub fn new(reactor: Handle, fd: OwnedFd) -> Self {
        Self { source: Source::new(reactor, fd) }
    }

    /// Accepts one connection; non-blocking and closed on exec.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let accepted =
            ready!(self.source.poll_io(context, Direction::Read, |fd| acceptfrom_with(fd, accept_flags())));
        Poll::Ready(accepted.map(|accepted| self.accepted(accepted)))
    }

    /// Asks the kernel for one more connection, whatever was known of readiness.
    ///
    /// # Errors
    /// `WouldBlock` when nobody waits.
    pub fn try_accept(&self) -> io::Result<Accepted> {
        Ok(self.accepted(acceptfrom_with(&self.source, accept_flags())?))
    }

    fn accepted(&self, (fd, peer): (OwnedFd, Option<SocketAddrAny>)) -> Accepted {
        Accepted {
            stream: Stream::new(self.source.reactor(), fd),
            peer: peer.and_then(|peer| peer.try_into().ok()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

/// Listens on a TCP address. Accepted connections inherit `TCP_NODELAY` and `SO_KEEPALIVE` from the listening
/// socket, which saves two system calls each.
///
/// The socket allows others of the same user on the same port (`SO_REUSEPORT`), so that a new process can take
/// over without a gap. So that two gateways started by mistake do not share a port in silence, a first socket
/// without that option asks whether the address is free, unless taking over.
///
/// # Errors
/// The kernel's: address in use, no permission, no such address.
pub fn listen_tcp(address: SocketAddr, options: &ListenOptions) -> io::Result<OwnedFd> {
    if !options.take_over {
        let probe = tcp_socket(address, options)?;
        bind(&probe, &address)?;
    }
    let fd = tcp_socket(address, options)?;
    sockopt::set_socket_reuseport(&fd, true)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    if options.keepalive {
        sockopt::set_socket_keepalive(&fd, true)?;
    }
    options.tuning.apply(&fd)?;
    bind(&fd, &address)?;
    listen(&fd, options.backlog)?;
    if options.tuning.fast_open {
        // A kernel without it listens in the usual way.
        let _ = option::set_fast_open(fd.as_fd(), options.backlog);
    }
    Ok(fd)
}

/// Listens on a unix socket's path. A socket that nobody listens on any more is replaced; a new one comes into
/// place by rename, so that at no time the path is missing.
///
/// # Errors
/// `AddrInUse` when somebody answers there or the path is not a socket; the file system's errors.
pub fn listen_unix(path: &Path, options: &ListenOptions) -> io::Result<OwnedFd> {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        let taken = !metadata.file_type().is_socket();
        if taken || (!options.take_over && is_answered(path)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
    }
    let temporary = temporary_path(path);
    let _ = fs::remove_file(&temporary);
    let fd = unix_socket()?;
    bind_unix(&fd, &temporary, options.unix_mode)?;
    let placed = (|| {
        give_away(&temporary, options.unix_owner)?;
        listen(&fd, options.backlog)?;
        fs::rename(&temporary, path)
    })();
    if let Err(error) = placed {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(fd)
}

/// Gives a unix socket's file, not yet in its place, to its user and group. A link in its place is not followed.
fn give_away(path: &Path, [user, group]: [Option<u32>; 2]) -> io::Result<()> {
    if user.is_none() && group.is_none() {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, user, group).map_err(|error| {
        let id = |id: Option<u32>| id.map_or("unchanged".to_owned(), |id| id.to_string());
        io::Error::new(
            error.kind(),
            format!("the socket cannot be given to user {}, group {}: {error}", id(user), id(group)),
        )
    })
}

/// Makes a unix socket's file, with these permissions from its first moment. (A change by its path would follow a link
/// that whoever may write to the folder puts in its place: root, as the keeper is, would open up any file.)
fn bind_unix(fd: &OwnedFd, path: &Path, mode: Option<u32>) -> io::Result<()> {
    let address = SocketAddrUnix::new(path)?;
    let Some(mode) = mode else { return Ok(bind(fd, &address)?) };
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))?;
    let umask_before = umask(Mode::empty());
    let bound = bind(fd, &address);
    umask(umask_before);
    Ok(bound?)
}

/// Listens on a name in the abstract namespace.
///
/// # Errors
/// The kernel's.
pub fn listen_abstract(name: &[u8], options: &ListenOptions) -> io::Result<OwnedFd> {
    let fd = unix_socket()?;
    bind(&fd, &SocketAddrUnix::new_abstract_name(name)?)?;
    listen(&fd, options.backlog)?;
    Ok(fd)
}

/// Takes a listening socket that was opened by another process and inherited.
///
/// # Errors
/// `InvalidInput` when the descriptor is not a listening socket.
pub fn listen_inherited(fd: OwnedFd) -> io::Result<OwnedFd> {
    if !sockopt::socket_acceptconn(&fd).unwrap_or(false) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a listening socket"));
    }
    rustix::io::ioctl_fionbio(&fd, true)?;
    // Fails on unix sockets, which have no such option.
    let _ = sockopt::set_tcp_nodelay(&fd, true);
    Ok(fd)
}

fn accept_flags() -> SocketFlags {
    SocketFlags::NONBLOCK | SocketFlags::CLOEXEC
}

fn tcp_socket(address: SocketAddr, options: &ListenOptions) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if let (true, Some(v6only)) = (address.is_ipv6(), options.v6only) {
        sockopt::set_ipv6_v6only(&fd, v6only)?;
    }
    if options.transparent {
        // For IPv6 too: the kernel has one flag for both, and knows this option for longer (before 4.15).
        sockopt::set_ip_freebind(&fd, true)?;
        // Connections to others, which a firewall redirects here, need more; without the right to it they do not come.
        let _ = option::set_transparent(fd.as_fd(), address.is_ipv6());
    }
    if let Some(interface) = &options.interface {
        option::bind_to_device(fd.as_fd(), interface).map_err(|error| {
            let what = format!("the interface '{interface}' cannot be used: {error}");
            io::Error::new(error.kind(), what)
        })?;
    }
    Ok(fd)
}

fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Whether somebody listens on a unix socket; one whose queue is full does. Does not wait.
fn is_answered(path: &Path) -> bool {
    let Ok(address) = SocketAddrUnix::new(path) else { return false };
    let connected = unix_socket().map(|fd| rustix::net::connect(fd, &address));
    matches!(connected, Ok(Ok(()) | Err(Errno::WOULDBLOCK)))
}

/// Beside the final path, so that the rename stays within one file system.
fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::net::{Buffer, ConnectOptions};
    use crate::reactor::Reactor;

    fn options() -> ListenOptions {
        ListenOptions { backlog: 16, ..ListenOptions::default() }
    }

    fn on_any_port() -> OwnedFd {
        listen_tcp("127.0.0.1:0".parse().unwrap(), &options()).unwrap()
    }

    fn port(listener: impl AsFd) -> SocketAddr {
        rustix::net::getsockname(listener).unwrap().try_into().unwrap()
    }

    /// No step in which the file is there with other permissions, and none that looks it up by its path again.
    #[test]
    fn a_unix_sockets_file_is_made_with_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("oneport-listener-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for mode in [0o666, 0o600, 0o777, 0o060] {
            let path = folder.join(format!("{mode:o}"));
            bind_unix(&unix_socket().unwrap(), &path, Some(mode)).unwrap();
            assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_connection_is_accepted_and_carries_bytes_both_ways() {
        let reactor = Reactor::new().unwrap();
        let listener = Listener::new(reactor, on_any_port());
        let address = port(&listener);
        let client = std::thread::spawn(move || {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"ping").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            (client.local_addr().unwrap(), answer)
        });
        let peer = reactor
            .run(async {
                let accepted = poll_fn(|context| listener.poll_accept(context)).await.unwrap();
                let mut slot: Option<Buffer> = None;
                while accepted.stream.fill(&mut slot).await.unwrap() == 0 {}
                assert_eq!(slot.unwrap().bytes(), b"ping");
                accepted.stream.write_all(b"pong").await.unwrap();
                accepted.stream.shutdown_write();
                accepted.peer
            })
            .unwrap();
        assert_eq!(client.join().unwrap(), (peer.unwrap(), "pong".to_string()));
    }

    #[test]
    fn connections_inherit_what_the_kernel_was_told() {
        let tuning = Tuning {
            user_timeout_ms: 4_000,
            probes: 4,
            idle_s: 11,
            interval_s: 7,
            mss: 1_000,
            ..Tuning::default()
        };
        let options = ListenOptions { tuning, interface: Some("lo".into()), keepalive: true, ..options() };
        let listening = listen_tcp("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let _client = TcpStream::connect(port(&listening)).unwrap();
        let listener = Listener::new(Reactor::new().unwrap(), listening);
        let stream = loop {
            match listener.try_accept() {
                Ok(accepted) => break accepted.stream,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 4_000);
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 4);
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        let options = ListenOptions { interface: Some("no-such-if0".into()), ..options };
        let error = listen_tcp("127.0.0.1:0".parse().unwrap(), &options).unwrap_err();
        assert!(error.to_string().contains("the interface 'no-such-if0' cannot be used"));
    }

    #[test]
    fn an_address_that_another_gateway_holds_is_in_use() {
        let first = on_any_port();
        let error = listen_tcp(port(&first), &options()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let take_over = ListenOptions { take_over: true, ..options() };
        assert!(listen_tcp(port(&first), &take_over).is_ok());
    }

    /// 192.0.2.0/24 and 2001:db8::/32 are for documentation (RFC 5737, RFC 3849): nobody has them.
    #[test]
    fn an_address_of_another_machine_is_taken_only_when_transparent() {
        let reactor = Reactor::new().unwrap();
        for address in ["192.0.2.1:0", "[2001:db8::1]:0"] {
            let address = address.parse().unwrap();
            let error = listen_tcp(address, &options()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable, "{address}");
            let transparent = ListenOptions { transparent: true, ..options() };
            let listener = Listener::new(reactor, listen_tcp(address, &transparent).unwrap());
            assert_eq!(port(&listener).ip(), address.ip());
        }
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let folder = std::env::temp_dir().join(format!("oneport-listener-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let first = listen_unix(&path, &options()).unwrap();
        let error = listen_unix(&path, &options()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(listen_unix(&path, &options()).is_ok());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_connection_that_fails_says_so() {
        let reactor = Reactor::new().unwrap();
        let closed = port(on_any_port());
        let error = reactor
            .run(async {
                let stream =
                    Stream::connect(reactor, &crate::net::Target::Inet(closed), ConnectOptions::default())?;
                stream.connected().await
            })
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
