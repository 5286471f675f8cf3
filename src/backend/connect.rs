//! Getting a connection to a server: connect timeout, retries, and the first bytes sent along.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use super::{NoServer, Slot};
use crate::net::{ConnectOptions, Stream};
use crate::reactor::{Deadline, Expired};

/// The longest pause before the same server is tried again, milliseconds (configuration §4.2, "retries").
const TURN_AROUND_MS: u64 = 1_000;

/// A connection that stands.
pub struct Connected {
    /// The connection.
    pub stream: Stream,
    /// How many of the first bytes have been sent.
    pub sent: usize,
    /// The server it leads to.
    pub slot: Slot,
    /// Attempts that failed before.
    pub retries: u32,
}

/// No connection, after all retries.
pub struct ConnectError {
    /// Why the last attempt failed.
    pub failure: ConnectFailure,
    /// Attempts that were made after the first.
    pub retries: u32,
    /// The server that was tried last; `None` when none was left.
    pub slot: Option<Slot>,
}

/// Why a connection does not stand.
#[derive(Debug)]
pub enum ConnectFailure {
    /// No server is up any more, or none had room.
    NoServer(NoServer),
    /// `timeout connect`.
    TimedOut,
    /// Refused, unreachable, …
    Failed(io::Error),
}

/// Connects to the slot's server and sends the beginning of `first` at once: on a connection that stands
/// immediately this costs no wake-up. With nothing to send it waits until the connection stands.
///
/// After a failure the same server is tried again, `retries` times, each after a pause of a second (less
/// where `timeout connect` is shorter). A server that a check has found to be down in the meantime is
/// left for another one.
///
/// # Errors
/// [`ConnectError`] with the last failure.
pub async fn connect(
    slot: Slot,
    first: &[u8],
    local: Option<SocketAddr>,
    deadline: &Deadline,
) -> Result<Connected, ConnectError> {
    let backend = slot.backend().clone();
    let timeouts = backend.config.timeouts;
    let mut slot = slot;
    let mut retries = 0;
    loop {
        deadline.set_after(timeouts.connect_ms);
        let failure = match deadline.guard(attempt(&slot, first, local)).await {
            Ok(Ok((stream, sent))) => return Ok(Connected { stream, sent, slot, retries }),
            Ok(Err(error)) => ConnectFailure::Failed(error),
            Err(Expired) => ConnectFailure::TimedOut,
        };
        slot.server().rotate_target();
        if retries >= backend.config.retries {
            return Err(ConnectError { failure, retries, slot: Some(slot) });
        }
        retries += 1;
        if matches!(failure, ConnectFailure::Failed(_)) {
            let pause_ms = match timeouts.connect_ms {
                0 => TURN_AROUND_MS,
                ms => ms.min(TURN_AROUND_MS),
            };
            deadline.set_after(pause_ms);
            deadline.expired().await;
        }
        if !slot.server().is_up() {
            drop(slot);
            slot = match backend.slot(deadline).await {
                Ok(slot) => slot,
                Err(none) => {
                    return Err(ConnectError {
                        failure: ConnectFailure::NoServer(none),
                        retries,
                        slot: None,
                    });
                }
            };
        }
    }
}

async fn attempt(slot: &Slot, first: &[u8], local: Option<SocketAddr>) -> io::Result<(Stream, usize)> {
    let target = slot
        .server()
        .target(local)
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the server has no port"))?;
    let backend = slot.backend();
    let options = ConnectOptions { keepalive: backend.config.tcp_keepalive, sends_first: !first.is_empty() };
    let connect = || Stream::connect(backend.reactor, &target, options);
    let stream = match connect() {
        Err(error) if is_out_of_descriptors(&error) && backend.close_idle() => connect()?,
        result => result?,
    };
    let sent = if first.is_empty() {
        stream.connected().await?;
        0
    } else {
        let sent = poll_fn(|context| stream.poll_write(context, first, false)).await?;
        stream.first_sent();
        sent
    };
    Ok((stream, sent))
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
