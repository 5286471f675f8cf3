//! A connected stream socket, TCP or unix.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, ipproto, socket_with, sockopt,
};

use super::dial::{Dial, Lease, is_taken, no_free_ports};
use super::{Buffer, Target};
use crate::reactor::{Direction, Handle, Source};

/// How a connection is made.
#[derive(Clone, Copy, Default)]
pub struct ConnectOptions<'a> {
    /// `SO_KEEPALIVE`.
    pub keepalive: bool,
    /// Bytes are written as soon as the connection may stand. The acknowledgement that ends the handshake is
    /// then held back to go with them, which saves a packet; [`Stream::first_sent`] ends that.
    pub sends_first: bool,
    /// No second write follows a first one: `TCP_NODELAY`, which is about that, is not set.
    pub sends_once: bool,
    /// TCP: what is not plain about it.
    pub dial: Option<&'a Dial>,
    /// The address that it comes from, where that is the client's and not the same for all.
    pub client: Option<SocketAddr>,
}

/// A connected (or connecting) socket. All calls are made on the loop's thread.
pub struct Stream {
    source: Source,
    /// The port it has of a range; free again once the socket is closed.
    _lease: Option<Box<Lease>>,
}

impl Stream {
    /// Wraps a non-blocking, connected socket.
    pub fn new(reactor: Handle, fd: OwnedFd) -> Self {
        Self { source: Source::new(reactor, fd), _lease: None }
    }

    /// Starts a connection and does not wait for it: the first write may be tried at once, and finds out.
    /// TCP sockets get `TCP_NODELAY`, but for [`ConnectOptions::sends_once`].
    ///
    /// # Errors
    /// What the kernel says at once: no descriptors, no route, a unix socket that is absent or full. With
    /// [`ConnectOptions::dial`] a [`super::SourceError`] inside, where it cannot come from where it should.
    pub fn connect(reactor: Handle, target: &Target, options: ConnectOptions<'_>) -> io::Result<Self> {
        match (target, options.dial) {
            (Target::Inet(address), None) => {
                let fd = tcp_socket(address, options)?;
                started(rustix::net::connect(&fd, address))?;
                Ok(Self::new(reactor, fd))
            }
            (Target::Inet(address), Some(dial)) => Self::dial(reactor, address, dial, options),
            (Target::Unix(address), _) => {
                let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, new_flags(), None)?;
                started(rustix::net::connect(&fd, address))?;
                Ok(Self::new(reactor, fd))
            }
        }
    }

    /// The same as `dial` says, with one port after the other where it has some.
    fn dial(
        reactor: Handle,
        address: &SocketAddr,
        dial: &Dial,
        options: ConnectOptions<'_>,
    ) -> io::Result<Self> {
        let mut tries = dial.tries();
        loop {
            tries -= 1;
            let fd = tcp_socket(address, options)?;
            let lease = dial.prepare(&fd, address, options.client)?;
            if options.sends_first {
                dial.open_fast(&fd);
            }
            match started(rustix::net::connect(&fd, address)) {
                Ok(()) => return Ok(Self { _lease: lease.map(Box::new), ..Self::new(reactor, fd) }),
                Err(error) if is_taken(error) && tries == 0 => return Err(no_free_ports(error)),
                Err(error) if is_taken(error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The first bytes are on their way: what comes is acknowledged as usual from here on. Held back any longer,
    /// an acknowledgement would stall a server that answers in two small writes (Nagle's algorithm).
    pub fn first_sent(&self) {
        // A unix socket has no such option, and nothing was held back.
        let _ = sockopt::set_tcp_quickack(&self.source, true);
    }

    /// The loop it belongs to.
    pub fn reactor(&self) -> Handle {
        self.source.reactor()
    }

    /// The readiness of the descriptor, for those who splice.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Waits until a connection that was started stands, or has failed.
    ///
    /// # Errors
    /// What the connection ended with (`ECONNREFUSED`, `EHOSTUNREACH`, …).
    pub async fn connected(&self) -> io::Result<()> {
        // Before the first event nothing is known; the kernel reports writability once it stands or failed.
        self.source.clear(Direction::Write);
        poll_fn(|context| self.source.poll_ready(context, Direction::Write)).await?;
        self.take_error()
    }

    /// The socket's pending error (`SO_ERROR`).
    ///
    /// # Errors
    /// That error.
    pub fn take_error(&self) -> io::Result<()> {
        sockopt::socket_error(&self.source)?.map_err(Into::into)
    }

    /// Ready when the peer has finished sending or the connection is broken, whatever is still to be read.
    pub fn poll_ended(&self, context: &mut Context<'_>) -> Poll<()> {
        self.source.poll_ended(context)
    }

    /// Whether bytes have come that nobody has read. Costs a system call.
    pub fn has_unread(&self) -> bool {
        let mut byte = [0; 1];
        let peeked = rustix::net::recv(&self.source, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(peeked, Ok((1.., _)))
    }

    /// Reads more into a buffer, taking one from the pool only when there may be something to put into it: an
    /// idle connection holds none. Returns 0 at the end of input; the buffer must not be full. A short read is
    /// taken as "drained": the next one waits for an edge.
    pub fn poll_fill(&self, context: &mut Context<'_>, slot: &mut Option<Buffer>) -> Poll<io::Result<usize>> {
        let result = self.source.poll_io(context, Direction::Read, |fd| {
            let buffer = slot.get_or_insert_with(Buffer::take);
            debug_assert!(!buffer.room().is_empty());
            let (len, _) = rustix::net::recv(fd, buffer.room(), RecvFlags::empty())?;
            Ok((len, len < buffer.room().len()))
        });
        match result {
            Poll::Ready(Ok((len, short))) if len > 0 => {
                if let Some(buffer) = slot {
                    buffer.filled(len);
                }
                if short {
                    self.source.drained();
                }
                Poll::Ready(Ok(len))
            }
            result => {
                if slot.as_ref().is_some_and(Buffer::is_empty) {
                    *slot = None;
                }
                result.map_ok(|(len, _)| len)
            }
        }
    }

    /// [`Stream::poll_fill`] as a future.
    ///
    /// # Errors
    /// The socket's.
    pub async fn fill(&self, slot: &mut Option<Buffer>) -> io::Result<usize> {
        poll_fn(|context| self.poll_fill(context, slot)).await
    }

    /// Writes some of `bytes`; `more` says that further bytes follow at once (`MSG_MORE`).
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8], more: bool) -> Poll<io::Result<usize>> {
        let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let send = |fd: BorrowedFd<'_>| {
            rustix::net::send(fd, bytes, flags).map_err(|error| match error {
                // TCP fast open, where the server has forgotten us: the handshake comes first.
                rustix::io::Errno::INPROGRESS => rustix::io::Errno::AGAIN,
                error => error,
            })
        };
        let result = ready!(self.source.poll_io(context, Direction::Write, send));
        let len = result?;
        if len < bytes.len() {
            // The socket is full; the kernel reports an edge when there is room again.
            self.source.clear(Direction::Write);
        }
        Poll::Ready(Ok(len))
    }

    /// Writes everything that waits in a buffer.
    pub fn poll_flush(&self, context: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<()>> {
        while !buffer.is_empty() {
            let len = ready!(self.poll_write(context, buffer.bytes(), false))?;
            buffer.consume(len);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The socket's.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let len = poll_fn(|context| self.poll_write(context, bytes, false)).await?;
            bytes = bytes.get(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends the end of our bytes (FIN); the peer may go on sending. An error means that the connection is
    /// gone already, which the next read tells.
    pub fn shutdown_write(&self) {
        let _ = rustix::net::shutdown(&self.source, Shutdown::Write);
    }

    /// Makes the close that follows a reset (RST) and not an orderly end.
    pub fn reset_on_close(&self) {
        let _ = sockopt::set_socket_linger(&self.source, Some(std::time::Duration::ZERO));
    }

    /// Makes the close that follows a reset that reaches nobody behind the next router.
    pub fn drop_silently(&self) {
        let _ = sockopt::set_ip_ttl(&self.source, 1);
        let _ = sockopt::set_ipv6_unicast_hops(&self.source, Some(1));
        self.reset_on_close();
    }

    /// Our address of the connection (the one the client came to); `None` for unix sockets.
    pub fn local_address(&self) -> Option<SocketAddr> {
        rustix::net::getsockname(&self.source).ok()?.try_into().ok()
    }

    /// The address that the client wanted to go to before a firewall sent it here (`SO_ORIGINAL_DST`), else our address
    /// of the connection; `None` for unix sockets.
    pub fn original_destination(&self) -> Option<SocketAddr> {
        let local = self.local_address()?;
        let original = match local {
            SocketAddr::V4(_) => sockopt::ip_original_dst(&self.source).map(SocketAddr::V4),
            SocketAddr::V6(_) => sockopt::ipv6_original_dst(&self.source).map(SocketAddr::V6),
        };
        Some(original.unwrap_or(local))
    }

    /// The other side's address; `None` for unix sockets.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        rustix::net::getpeername(&self.source).ok()??.try_into().ok()
    }

    /// Whether an idle, watched connection has neither sent anything nor ended. Costs no system call.
    pub fn is_quiet(&self) -> bool {
        self.source.is_quiet()
    }

    /// Gets a connection ready to lie idle: from now on the loop notes what comes. False when something
    /// has come already, so that it cannot be used again.
    pub fn settle(&self) -> bool {
        if self.source.watch().is_err() {
            return false;
        }
        self.source.detach();
        if self.source.may(Direction::Read) {
            // The last read filled its room exactly: only a look tells whether there is more.
            let mut byte = [0; 1];
            match rustix::net::recv(&self.source, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Err(rustix::io::Errno::AGAIN) => self.source.clear(Direction::Read),
                _ => return false,
            }
        }
        self.source.is_quiet()
    }
}

fn new_flags() -> SocketFlags {
    SocketFlags::NONBLOCK | SocketFlags::CLOEXEC
}

fn tcp_socket(address: &SocketAddr, options: ConnectOptions<'_>) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let fd = socket_with(family, SocketType::STREAM, new_flags(), Some(ipproto::TCP))?;
    if !options.sends_once {
        sockopt::set_tcp_nodelay(&fd, true)?;
    }
    if options.keepalive {
        sockopt::set_socket_keepalive(&fd, true)?;
    }
    if options.sends_first {
        sockopt::set_tcp_quickack(&fd, false)?;
    }
    Ok(fd)
}

/// A connection that is on its way counts as begun.
fn started(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    use rustix::io::Errno;
    match result {
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(()),
        result => result,
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}
