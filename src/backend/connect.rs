//! Getting a connection to a server: connect timeout, retries, and the first bytes sent along.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::{NoServer, Slot, Wish};
use crate::config::SendProxy;
use crate::net::{
    Buffer, ConnectOptions, Ends, SourceError, Stream, Target, Written, write_binary, write_line,
};
use crate::reactor::{Deadline, Expired};

/// The longest pause before the same server is tried again, milliseconds (configuration §4.2, "retries").
const TURN_AROUND_MS: u64 = 1_000;

/// Both ends of a client's connection, as far as they are known and needed.
#[derive(Clone, Copy, Default)]
pub struct ClientEnds {
    /// Where the client is; `None` on unix sockets.
    pub source: Option<SocketAddr>,
    /// The address it came to.
    pub destination: Option<SocketAddr>,
    /// Where we listen; `None` where nothing leads back to us.
    pub gateway: Option<SocketAddr>,
    /// The address that its request tells (`usesrc hdr_ip`).
    pub told: Option<IpAddr>,
}

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
/// Where the server is to be told of the client (`send-proxy`), a PROXY protocol header goes before `first`; it does not
/// count in [`Connected::sent`].
///
/// # Errors
/// [`ConnectError`] with the last failure.
pub async fn connect(
    slot: Slot,
    first: &[u8],
    client: &ClientEnds,
    deadline: &Deadline,
) -> Result<Connected, ConnectError> {
    let backend = slot.backend().clone();
    let timeouts = backend.config.timeouts;
    let mut slot = slot;
    let mut retries = 0;
    loop {
        deadline.set_after(timeouts.connect_ms);
        let failure = match deadline.guard(attempt(&slot, first, client)).await {
            Ok(Ok((stream, sent))) => return Ok(Connected { stream, sent, slot, retries }),
            Ok(Err(error)) => ConnectFailure::Failed(error),
            Err(Expired) => ConnectFailure::TimedOut,
        };
        slot.server().rotate_target();
        if retries >= backend.config.retries {
            return Err(ConnectError { failure, retries, slot: Some(slot) });
        }
        retries += 1;
        // What is our own fault is known at once.
        if matches!(&failure, ConnectFailure::Failed(error) if SourceError::of(error).is_none()) {
            let pause_ms = match timeouts.connect_ms {
                0 => TURN_AROUND_MS,
                ms => ms.min(TURN_AROUND_MS),
            };
            deadline.set_after(pause_ms);
            deadline.expired().await;
        }
        if !slot.server().is_up() {
            drop(slot);
            slot = match backend.slot(deadline, &Wish::default()).await {
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

async fn attempt(slot: &Slot, first: &[u8], client: &ClientEnds) -> io::Result<(Stream, usize)> {
    let (server, backend) = (slot.server(), slot.backend());
    let target = server.target(client).ok_or_else(|| leads_nowhere(slot, client))?;
    let send_proxy = server.config.send_proxy;
    let sends_first = !first.is_empty() || send_proxy.is_some();
    let mut options =
        ConnectOptions { keepalive: backend.config.tcp_keepalive, sends_first, ..ConnectOptions::default() };
    if let Some(way) = &server.way {
        options.dial = Some(&way.dial);
        options.client = way.client(client, matches!(target, Target::Inet(SocketAddr::V6(_))));
    }
    let connect = || Stream::connect(backend.reactor, &target, options);
    let stream = match connect() {
        Err(error) if is_out_of_descriptors(&error) && backend.close_idle() => connect()?,
        Err(error) => {
            if let Some(fault) = SourceError::of(&error) {
                log::error!("{}", fault.message(&backend.config.name));
            }
            return Err(error);
        }
        Ok(stream) => stream,
    };
    let sent = if let Some(kind) = send_proxy {
        Box::pin(introduce(&stream, kind, client, first)).await?
    } else if first.is_empty() {
        stream.connected().await?;
        0
    } else {
        let sent = poll_fn(|context| stream.poll_write(context, first, false)).await?;
        stream.first_sent();
        sent
    };
    Ok((stream, sent))
}

/// A server whose address or port is the client's, and the client has none that leads on.
fn leads_nowhere(slot: &Slot, client: &ClientEnds) -> io::Error {
    if slot.server().follows_clients() && client.gateway.is_some() {
        log::error!(
            "backend {} sends to the address that clients came to, and one came to the gateway itself: \
             let the firewall redirect connections, or write 'bind ... transparent'",
            slot.backend().config.name
        );
    }
    SourceError::nowhere()
}

/// Sends the PROXY protocol header, and as much of `first` as goes with it in one write; returns how much that was.
async fn introduce(stream: &Stream, kind: SendProxy, client: &ClientEnds, first: &[u8]) -> io::Result<usize> {
    let mut buffer = Buffer::take();
    let ends = client.source.zip(client.destination);
    let ends = ends.map(|(source, destination)| Ends { source, destination });
    let header_len = buffer.append(&header(kind, ends.as_ref()));
    let room = buffer.append(first);
    let mut sent = 0;
    while sent < header_len {
        sent += poll_fn(|context| {
            let left = buffer.bytes().get(sent..header_len + room).unwrap_or_default();
            stream.poll_write(context, left, false)
        })
        .await?;
    }
    stream.first_sent();
    Ok(sent - header_len)
}

/// The header of a connection between these ends; without them it speaks for nobody but itself.
pub(super) fn header(kind: SendProxy, ends: Option<&Ends>) -> Written {
    match kind {
        SendProxy::Line => write_line(ends),
        SendProxy::Binary { with_crc32c } => write_binary(ends, with_crc32c),
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
