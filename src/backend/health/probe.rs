//! One check of one server: a connection, and what is said over it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Weak;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};

use super::super::Backend;
use super::super::connect::header;
use super::verdict::{Status, Verdict};
use crate::config::{Check, SendProxy};
use crate::net::{ConnectOptions, Ends, Stream, Target};

/// Checks a server once; `None` when its backend is gone. A check that waits does not keep a dropped backend alive.
pub(super) async fn probe(backend: &Weak<Backend>, index: usize, check: &Check) -> Option<Verdict> {
    let (target, timeout_ms) = what_to_check(backend, index)?;
    let start = Instant::now();
    let result = connect(&target, check.send_proxy, timeout_ms, backend).await;
    let (status, info) = match result {
        Ok(()) => (Status::L4Ok, None),
        Err(error) => of_failure(&error),
    };
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Some(Verdict { status, code: None, info, took_ms })
}

fn what_to_check(backend: &Weak<Backend>, index: usize) -> Option<(Target, u64)> {
    let backend = backend.upgrade()?;
    let server = backend.servers.get(index)?;
    Some((server.check_target()?, backend.config.timeouts.check_ms))
}

/// What a connection that did not come about says.
pub(super) fn of_failure(error: &io::Error) -> (Status, Option<Box<str>>) {
    let status = match error.kind() {
        io::ErrorKind::TimedOut => return (Status::L4Tout, None),
        _ if is_our_fault(error) => Status::SockErr,
        _ => Status::L4Con,
    };
    // Without the number that is appended to the system's words.
    let words = error.to_string();
    (status, Some(words.split(" (os error").next().unwrap_or_default().into()))
}

/// Whether a check failed for want of our own descriptors, memory or ports.
fn is_our_fault(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Connects, and says who it is where that is wanted.
async fn connect(
    target: &Target,
    send_proxy: Option<SendProxy>,
    timeout_ms: u64,
    backend: &Weak<Backend>,
) -> io::Result<()> {
    match target {
        Target::Inet(address) => {
            let connect = async {
                let stream = Async::<TcpStream>::connect(*address).await?;
                let ours = stream.get_ref().local_addr().ok();
                introduce(stream.as_fd(), send_proxy, ours.zip(Some(*address)))
            };
            let timeout = async {
                if timeout_ms == 0 {
                    return std::future::pending().await;
                }
                Timer::after(Duration::from_millis(timeout_ms)).await;
                Err(io::ErrorKind::TimedOut.into())
            };
            smol::future::or(connect, timeout).await
        }
        Target::Unix(_) => {
            // A unix socket answers at once, so nothing is waited for.
            let Some(backend) = backend.upgrade() else { return Ok(()) };
            let stream = Stream::connect(backend.reactor, target, ConnectOptions::default())?;
            introduce(stream.as_fd(), send_proxy, None)
        }
    }
}

/// Says with a PROXY protocol header, where one is wanted, that this connection is nobody's but our own: version 1 by
/// the connection's own addresses, since some servers refuse UNKNOWN, version 2 by LOCAL.
fn introduce(
    socket: BorrowedFd<'_>,
    send_proxy: Option<SendProxy>,
    ends: Option<(SocketAddr, SocketAddr)>,
) -> io::Result<()> {
    let Some(kind) = send_proxy else { return Ok(()) };
    let ends = ends.filter(|_| kind == SendProxy::Line);
    let ends = ends.map(|(source, destination)| Ends { source, destination });
    // A new connection has room for so little: no wait.
    rustix::net::send(socket, &header(kind, ends.as_ref()), rustix::net::SendFlags::NOSIGNAL)?;
    Ok(())
}
