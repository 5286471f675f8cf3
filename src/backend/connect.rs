//! Getting a connection to a server: connect timeout, retries, and the first bytes sent along.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll};

use super::health::EMERGENCY;
use super::{Backend, NoServer, Observed, Slot, Wish};
use crate::config::{Algorithm, SendProxy};
use crate::net::{
    Buffer, ConnectOptions, Ends, SourceError, Stream, Target, Written, write_binary, write_line,
};
use crate::reactor::Deadline;

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

/// Who asks for a server.
pub struct Asker<'a> {
    /// Its timer.
    pub deadline: &'a Deadline,
    /// Its client, where the wait is over when that one closes (`option abortonclose`).
    pub leaving: Option<&'a Stream>,
    /// Only where nothing of what it has sent is still to be read.
    pub is_silent: bool,
    /// What it meets on its way.
    pub course: &'a Course,
}

/// What a request or a connection has met on its way to a server, for its log line.
#[derive(Default)]
pub struct Course {
    /// Attempts after the first.
    pub retries: Cell<u32>,
    /// It came to another server than the one that was chosen first.
    pub redispatched: Cell<bool>,
    /// How many were served before it, itself included: in the queues of servers, and in the backend's.
    pub places: [Cell<u32>; 2],
    /// Loop clock when it was given the server of a redispatch; 0 without one.
    pub moved_ms: Cell<u64>,
}

impl Course {
    pub(super) fn note_place(&self, of_server: bool, position: u32) {
        let [server, backend] = &self.places;
        let place = if of_server { server } else { backend };
        place.set(place.get().saturating_add(position));
    }
}

/// What ends a wait before its time.
enum Cut {
    Expired,
    ClientGone,
}

impl Asker<'_> {
    /// Whether the client has closed, where that matters.
    pub(super) fn is_gone(&self, context: &mut Context<'_>) -> bool {
        self.leaving.is_some_and(|client| {
            client.poll_ended(context).is_ready() && !(self.is_silent && client.has_unread())
        })
    }

    /// Whether there are retries left.
    pub fn may_retry(&self, backend: &Backend) -> bool {
        self.course.retries.get() < backend.config.queues.retries
    }

    async fn guard<T>(&self, future: impl Future<Output = T>) -> Result<T, Cut> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.is_gone(context) => Poll::Ready(Err(Cut::ClientGone)),
            Poll::Pending => self.deadline.poll_expired(context).map(|_| Err(Cut::Expired)),
        })
        .await
    }
}

/// A connection that stands.
pub struct Connected {
    /// The connection.
    pub stream: Stream,
    /// How many of the first bytes have been sent.
    pub sent: usize,
    /// The server it leads to.
    pub slot: Slot,
}

/// No connection, after all retries.
pub struct ConnectError {
    /// Why the last attempt failed.
    pub failure: ConnectFailure,
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
    /// The client has closed its connection (`option abortonclose`).
    ClientGone,
}

/// Connects to the slot's server and sends the beginning of `first` at once: on a connection that stands
/// immediately this costs no wake-up. With nothing to send it waits until the connection stands.
///
/// After a failure there are `retries` more attempts, at the same server or, as `option redispatch` says, at another
/// one (see [`again`]).
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
    wish: &Wish,
    asker: &Asker<'_>,
) -> Result<Connected, ConnectError> {
    let mut slot = slot;
    loop {
        let config = &slot.backend().config;
        asker.deadline.set_after(config.timeouts.connect_ms);
        slot.note_attempt();
        let failure = match asker.guard(attempt(&slot, first, client)).await {
            Ok(Ok((stream, sent))) => {
                slot.observe(Observed::Connected);
                return Ok(Connected { stream, sent, slot });
            }
            Ok(Err(error)) => ConnectFailure::Failed(error),
            Err(Cut::Expired) => ConnectFailure::TimedOut,
            Err(Cut::ClientGone) => ConnectFailure::ClientGone,
        };
        slot.observe(Observed::NotConnected);
        slot.server().rotate_target();
        let is_over = matches!(failure, ConnectFailure::ClientGone) || !config.queues.retries_connections();
        if is_over || !asker.may_retry(slot.backend()) {
            return Err(ConnectError { failure, slot: Some(slot) });
        }
        // One that has taken its time needs no pause, and what is our own fault is known at once.
        let pauses = matches!(&failure, ConnectFailure::Failed(error) if SourceError::of(error).is_none());
        slot = Box::pin(again(slot, wish, asker, pauses)).await?;
        if slot.server().config.redirect.is_some()
            && (first.starts_with(b"GET ") || first.starts_with(b"HEAD "))
        {
            // Which is answered in its place.
            return Err(ConnectError { failure, slot: Some(slot) });
        }
    }
}

/// The server of the next attempt after one at this server has failed; counts a retry.
///
/// With `option redispatch` another one is chosen on the retries that it names, at once where nothing is hashed and
/// others are up, and always when it is down. Before the same server is tried again comes a pause of a second (less
/// where `timeout connect` is shorter), where `pauses` asks for it.
///
/// # Errors
/// No other server has room in time, or the client is gone.
pub async fn again(slot: Slot, wish: &Wish, asker: &Asker<'_>, pauses: bool) -> Result<Slot, ConnectError> {
    let backend = slot.backend().clone();
    let queues = &backend.config.queues;
    let course = asker.course;
    course.retries.set(course.retries.get().saturating_add(1));
    let others = backend.active_servers() > 1;
    let is_hashed = matches!(backend.config.balance.algorithm, Algorithm::Hash(_));
    let by_turn = wish.server.is_none() && !is_hashed && others;
    let moves = queues.redispatch.is_some()
        && !wish.insists
        && (by_turn || queues.moves(course.retries.get()) || !slot.server().is_up());
    let from = slot.index();
    slot.note_another_attempt(moves);
    // The place at a server that is left is free at once: it may be the only one that there is.
    let kept = (!moves).then_some(slot);
    if pauses && (kept.is_some() || !others) {
        let connect_ms = backend.config.timeouts.connect_ms;
        asker.deadline.set_after(if connect_ms == 0 {
            TURN_AROUND_MS
        } else {
            connect_ms.min(TURN_AROUND_MS)
        });
        if let Err(Cut::ClientGone) = asker.guard(pending::<()>()).await {
            return Err(ConnectError { failure: ConnectFailure::ClientGone, slot: kept });
        }
    }
    if let Some(slot) = kept {
        return Ok(slot);
    }
    let wish = Wish { server: None, avoid: Some(from), ..*wish };
    let result = backend.slot(asker, &wish).await;
    let is_there_again = result.as_ref().is_ok_and(|slot| slot.index() == from);
    course.redispatched.set(course.redispatched.get() || !is_there_again);
    let slot = result.map_err(|none| ConnectError { failure: ConnectFailure::NoServer(none), slot: None })?;
    course.moved_ms.set(backend.reactor.now_ms());
    Ok(slot)
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
                backend.tell(EMERGENCY, &fault.message(&backend.config.name));
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
