//! Connections that are not made in the plain way: from an address or port of their own, through one interface, with
//! values of their own for the kernel.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{bind, sockopt};

use super::option;

/// So many ports of a range are tried for one connection: one may be taken by others, or not be free yet.
const PORTS_TRIED_MAX: u32 = 10;

/// What the kernel is told of a TCP socket; 0 or false = nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tuning {
    /// `TCP_USER_TIMEOUT`, milliseconds.
    pub user_timeout_ms: u32,
    /// `TCP_KEEPCNT`.
    pub probes: u32,
    /// `TCP_KEEPIDLE`, seconds.
    pub idle_s: u32,
    /// `TCP_KEEPINTVL`, seconds.
    pub interval_s: u32,
    /// `TCP_MAXSEG`.
    pub mss: i32,
    /// TCP fast open.
    pub fast_open: bool,
    /// A close resets.
    pub no_linger: bool,
}

impl Tuning {
    /// Tells a socket. What a listening one is told holds for all that it accepts.
    ///
    /// # Errors
    /// The kernel takes one of the values not.
    pub(super) fn apply(&self, fd: &OwnedFd) -> io::Result<()> {
        let Self { user_timeout_ms, probes, idle_s, interval_s, mss, .. } = *self;
        if user_timeout_ms > 0 {
            sockopt::set_tcp_user_timeout(fd, user_timeout_ms)?;
        }
        if probes > 0 {
            sockopt::set_tcp_keepcnt(fd, probes)?;
        }
        if idle_s > 0 {
            sockopt::set_tcp_keepidle(fd, Duration::from_secs(idle_s.into()))?;
        }
        if interval_s > 0 {
            sockopt::set_tcp_keepintvl(fd, Duration::from_secs(interval_s.into()))?;
        }
        if mss > 0 {
            option::set_mss(fd.as_fd(), mss)?;
        }
        if self.no_linger {
            sockopt::set_socket_linger(fd, Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

/// How the connections to one server are made, where that is not the plain way.
#[derive(Default, Clone)]
pub struct Dial {
    /// The address they come from; port 0 = any.
    pub source: Option<SocketAddr>,
    /// The ports they come from.
    pub ports: Option<Rc<Ports>>,
    /// The address is not ours.
    pub foreign: bool,
    /// The one interface they go through.
    pub interface: Option<Rc<str>>,
    /// What the kernel is told.
    pub tuning: Tuning,
}

impl Dial {
    /// Gets a socket ready for `target` that has not begun to connect. `client` = the address to come from where each
    /// client has its own. Returns the port that it has of [`Dial::ports`].
    ///
    /// # Errors
    /// A [`SourceError`] inside, where the source cannot be had.
    pub(super) fn prepare(
        &self,
        fd: &OwnedFd,
        target: &SocketAddr,
        client: Option<SocketAddr>,
    ) -> io::Result<Option<Lease>> {
        self.tuning.apply(fd)?;
        if let Some(interface) = &self.interface {
            option::bind_to_device(fd.as_fd(), interface)
                .map_err(|error| SourceError::wrap("Cannot bind to the interface", error))?;
        }
        let any = || match target {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let lease = match &self.ports {
            Some(ports) => Some(ports.lease().ok_or_else(all_in_use)?),
            None => None,
        };
        let wanted = client.or(self.source);
        let Some(mut source) =
            wanted.or_else(|| lease.as_ref().map(|lease| SocketAddr::new(any(), lease.port)))
        else {
            return Ok(None);
        };
        if let Some(lease) = &lease {
            source.set_port(lease.port);
        }
        if source.port() == 0 {
            // An old kernel takes a port now, and fewer connections are possible.
            let _ = option::set_bind_address_no_port(fd.as_fd());
        } else {
            sockopt::set_socket_reuseaddr(fd, true)?;
        }
        if self.foreign {
            option::set_transparent(fd.as_fd(), source.is_ipv6())
                .and_then(|()| Ok(bind(fd, &source)?))
                .map_err(|error| SourceError::wrap("Cannot bind to tproxy source address", error))?;
        } else {
            bind(fd, &source)
                .map_err(|error| SourceError::wrap("Cannot bind to source address", error.into()))?;
        }
        Ok(lease)
    }

    /// The first bytes go with the first packet; only for those who write at once.
    pub(super) fn open_fast(&self, fd: &OwnedFd) {
        if self.tuning.fast_open {
            // An old kernel does without.
            let _ = option::set_fast_open_connect(fd.as_fd());
        }
    }

    /// How many sockets may be tried for one connection.
    pub(super) fn tries(&self) -> u32 {
        self.ports.as_ref().map_or(1, |_| PORTS_TRIED_MAX)
    }
}

/// What the kernel says of a port that another connection to the same server has.
pub(super) fn is_taken(error: Errno) -> bool {
    matches!(error, Errno::ADDRNOTAVAIL | Errno::ADDRINUSE | Errno::AGAIN)
}

/// The connection cannot be made for want of a port.
pub(super) fn no_free_ports(error: Errno) -> io::Error {
    SourceError::wrap("no free ports", error.into())
}

/// Each port of the range has its connection.
fn all_in_use() -> io::Error {
    SourceError::wrap("Cannot bind to source address", io::Error::other("all ports of the range are in use"))
}

/// A connection cannot come from where it should, or has nowhere to go: no fault of the server.
#[derive(Debug)]
pub struct SourceError {
    what: &'static str,
    error: io::Error,
}

impl SourceError {
    fn wrap(what: &'static str, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Self { what, error })
    }

    /// There is no address or port to connect to for this client.
    pub fn nowhere() -> io::Error {
        Self::wrap("no destination", io::ErrorKind::AddrNotAvailable.into())
    }

    /// The error of a connection that failed in this way.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// For the log of operators, who search for HAProxy's words.
    pub fn message(&self, backend: &str) -> String {
        let Self { what, error } = self;
        if what.starts_with("no") {
            return format!("Connect() failed for backend {backend}: {what}.");
        }
        let hint = match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::PERM | Errno::ACCESS) => ": it needs CAP_NET_ADMIN or CAP_NET_RAW, as root has them",
            _ => "",
        };
        format!("{what} before connect() for backend {backend}. ({error}{hint})")
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl std::error::Error for SourceError {}

/// The ports of a range, for one connection each; the one that has been free for longest is taken first.
pub struct Ports {
    free: RefCell<VecDeque<u16>>,
}

impl Ports {
    /// The ports from `first` to `last`; the kernel takes no port 0.
    pub fn new(first: u16, last: u16) -> Rc<Self> {
        Rc::new(Self { free: RefCell::new((first.max(1)..=last).collect()) })
    }

    fn lease(self: &Rc<Self>) -> Option<Lease> {
        let port = self.free.borrow_mut().pop_front()?;
        Some(Lease { ports: self.clone(), port })
    }
}

/// A port of a range while a connection has it.
pub(super) struct Lease {
    ports: Rc<Ports>,
    port: u16,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ports.free.borrow_mut().push_back(self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{ConnectOptions, Stream, Target};
    use crate::reactor::Reactor;
    use std::net::TcpListener;

    fn connect(dial: &Dial, target: SocketAddr, client: Option<SocketAddr>) -> io::Result<Stream> {
        let options = ConnectOptions { dial: Some(dial), client, ..ConnectOptions::default() };
        Stream::connect(Reactor::new().unwrap(), &Target::Inet(target), options)
    }

    fn peer() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn from(text: &str) -> Dial {
        Dial { source: Some(text.parse().unwrap()), ..Dial::default() }
    }

    #[test]
    fn a_connection_comes_from_its_source() {
        let (listener, target) = peer();
        let stream = connect(&from("127.0.0.9:0"), target, None).unwrap();
        let (_, seen) = listener.accept().unwrap();
        assert_eq!(seen.ip(), IpAddr::from([127, 0, 0, 9]));
        assert_eq!(stream.local_address(), Some(seen));
    }

    /// With one port for all, and two servers: the kernel would not let the address be bound a second time with a port.
    #[test]
    fn ports_come_back_with_the_end_of_their_connection() {
        let (first, second) = (peer(), peer());
        let port = TcpListener::bind("127.0.0.8:0").unwrap().local_addr().unwrap().port();
        let dial = Dial { ports: Some(Ports::new(port, port)), ..from("127.0.0.8:0") };
        let stream = connect(&dial, first.1, None).unwrap();
        assert_eq!(stream.local_address().unwrap().port(), port);
        let error = connect(&dial, second.1, None).err().unwrap();
        let message = SourceError::of(&error).unwrap().message("web");
        let wanted = "Cannot bind to source address before connect() for backend web. \
                      (all ports of the range are in use)";
        assert_eq!(message, wanted);
        drop(stream);
        assert!(connect(&dial, second.1, None).is_ok());
    }

    #[test]
    fn the_port_free_for_longest_is_next() {
        let ports = Ports::new(0, 3);
        let one = ports.lease().unwrap();
        assert_eq!((one.port, ports.lease().unwrap().port), (1, 2));
        drop(one);
        let all: Vec<Lease> = std::iter::from_fn(|| ports.lease()).collect();
        assert_eq!(all.iter().map(|lease| lease.port).collect::<Vec<_>>(), [3, 2, 1]);
    }

    #[test]
    fn a_source_that_is_not_ours_says_so() {
        let (_listener, target) = peer();
        let error = connect(&from("192.0.2.1:0"), target, None).err().unwrap();
        let message = SourceError::of(&error).unwrap().message("web");
        assert!(message.starts_with("Cannot bind to source address before connect() for backend web."));
        let nowhere = Dial { interface: Some("no-such-if0".into()), ..Dial::default() };
        let error = connect(&nowhere, target, None).err().unwrap();
        assert!(SourceError::of(&error).unwrap().message("web").starts_with("Cannot bind to the interface"));
    }

    #[test]
    fn values_reach_the_socket() {
        let (_listener, target) = peer();
        let tuning =
            Tuning { user_timeout_ms: 4_000, probes: 4, idle_s: 11, interval_s: 7, ..Tuning::default() };
        let stream = connect(&Dial { tuning, ..Dial::default() }, target, None).unwrap();
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 4_000);
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 4);
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), Duration::from_secs(11));
        assert_eq!(sockopt::tcp_keepintvl(&stream).unwrap(), Duration::from_secs(7));
    }
}
