//! One check of one server: a connection, and what is said over it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Weak;
use std::time::Duration;

use async_io::{Async, Timer};

use super::super::Backend;
use super::super::connect::header;
use crate::config::SendProxy;
use crate::net::{ConnectOptions, Ends, Stream, Target};

/// Connects, and says who it is where that is wanted.
pub(super) async fn connect(
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
