//! `mode tcp`, and what follows a 101: bytes both ways, unchanged, until both sides have finished.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::relay::{Flow, FlowError, Waiting};
use crate::net::{Buffer, Stream};
use crate::reactor::Deadline;

/// How long a tunnel may be silent, milliseconds; 0 = for ever.
#[derive(Debug, Clone, Copy)]
pub struct TunnelTimeouts {
    /// `timeout client`, or `timeout tunnel` where there is one.
    pub client_ms: u64,
    /// `timeout server`, or `timeout tunnel`.
    pub server_ms: u64,
    /// While the server has finished sending and the client has not: `timeout client-fin`.
    pub client_fin_ms: u64,
    /// While the client has finished and the server has not: `timeout server-fin`.
    pub server_fin_ms: u64,
}

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelEnd {
    /// From the client to the server.
    pub up_bytes: u64,
    /// From the server to the client.
    pub down_bytes: u64,
    /// First character of the termination state (configuration §8.5): `-`, `C`, `S`, `c`, `s`.
    pub who: u8,
}

/// Both directions of a connection.
pub struct Tunnel {
    up: Flow,
    down: Flow,
    timeouts: TunnelTimeouts,
    state: State,
}

impl Tunnel {
    /// One that begins with what was read already: `up` from the client, `down` from the server.
    pub fn new(up: Option<Buffer>, down: Option<Buffer>, timeouts: TunnelTimeouts) -> Self {
        let mut state =
            State { up_open: true, down_open: true, silence_ms: 0, silent: b'c', who: b'-', reset: false };
        state.limit_silence(&timeouts);
        Self { up: Flow::unframed(up), down: Flow::unframed(down), timeouts, state }
    }

    /// Carries the client's bytes on and withholds the server's, until `decided` of them: of all so far, and whether they
    /// are all that is waited for. They are carried on by [`Tunnel::run`].
    pub async fn withhold(
        &mut self,
        client: &Stream,
        server: &Stream,
        deadline: &Deadline,
        delay_ms: Option<u64>,
        decided: &mut dyn FnMut(&[u8], bool) -> bool,
    ) {
        let Self { up, timeouts, state, .. } = self;
        let mut held: Option<Buffer> = None;
        let mut is_final = delay_ms.is_none();
        deadline.set_after(delay_ms.unwrap_or(0));
        poll_fn(|context| {
            loop {
                if state.up_open
                    && let Poll::Ready(result) = up.poll_move(context, client, server, &mut false)
                {
                    state.up_open = false;
                    if state.after_end(result, server, b'C', b'S').is_err() {
                        state.down_open = false;
                        return Poll::Ready(());
                    }
                    server.shutdown_write();
                    state.limit_silence(timeouts);
                }
                if decided(held.as_ref().map(Buffer::bytes).unwrap_or_default(), is_final) {
                    return Poll::Ready(());
                }
                is_final = match server.poll_fill(context, &mut held) {
                    Poll::Ready(Ok(len)) if len > 0 => {
                        held.as_mut().is_some_and(|held| held.room().is_empty())
                    }
                    Poll::Ready(_) => true,
                    Poll::Pending => {
                        ready!(deadline.poll_expired(context));
                        true
                    }
                };
            }
        })
        .await;
        self.down = Flow::unframed(held);
    }

    /// Nothing more is read from the server; what it has sent is still delivered.
    pub fn end_server(&mut self) {
        self.down.end_here();
        self.state.up_open = false;
    }

    /// Bytes from the client that have been passed on, and bytes that have come from the server.
    pub fn so_far(&self) -> (u64, u64) {
        let down = self.down.passed_bytes() + self.down.ready_bytes().len() as u64;
        (self.up.passed_bytes(), down)
    }

    /// Carries bytes both ways; ready when both have ended. An end of one side is carried over to the other,
    /// which may go on; a reset of one side resets the other.
    pub fn run(
        &mut self,
        client: &Stream,
        server: &Stream,
        deadline: &Deadline,
    ) -> impl Future<Output = TunnelEnd> {
        deadline.set_after(self.state.silence_ms);
        poll_fn(move |context| {
            self.poll_both(context, client, server, deadline).map(|cut| self.ended(cut, client, server))
        })
    }

    fn ended(&mut self, cut: Result<(), Cut>, client: &Stream, server: &Stream) -> TunnelEnd {
        let Self { up, down, state, .. } = self;
        if let Err(Cut::Silence) = cut {
            // Whoever takes no more bytes is the one who is silent.
            state.who = match (up.waiting(), down.waiting()) {
                (_, Waiting::Sink) => b'c',
                (Waiting::Sink, _) => b's',
                _ => state.silent,
            };
        }
        if state.reset {
            client.reset_on_close();
            server.reset_on_close();
        }
        TunnelEnd { up_bytes: up.passed_bytes(), down_bytes: down.passed_bytes(), who: state.who }
    }

    fn poll_both(
        &mut self,
        context: &mut Context<'_>,
        client: &Stream,
        server: &Stream,
        deadline: &Deadline,
    ) -> Poll<Result<(), Cut>> {
        let Self { up, down, timeouts, state } = self;
        let mut moved = false;
        if state.up_open
            && let Poll::Ready(result) = up.poll_move(context, client, server, &mut moved)
        {
            state.up_open = false;
            state.after_end(result, server, b'C', b'S')?;
            if state.down_open {
                server.shutdown_write();
            }
            state.limit_silence(timeouts);
            moved = true;
        }
        if state.down_open
            && let Poll::Ready(result) = down.poll_move(context, server, client, &mut moved)
        {
            state.down_open = false;
            state.after_end(result, client, b'S', b'C')?;
            if state.up_open {
                client.shutdown_write();
            }
            state.limit_silence(timeouts);
            moved = true;
        }
        if !state.up_open && !state.down_open {
            return Poll::Ready(Ok(()));
        }
        if moved {
            deadline.set_after(state.silence_ms);
        }
        deadline.poll_expired(context).map(|_| Err(Cut::Silence))
    }
}

/// Why the tunnel is over before both sides have finished.
enum Cut {
    Silence,
    Reset,
}

struct State {
    up_open: bool,
    down_open: bool,
    /// The longest silence now, and whose timeout that is.
    silence_ms: u64,
    silent: u8,
    who: u8,
    /// A write has met a reset: both sides end with one.
    reset: bool,
}

impl State {
    /// What the end of one direction means for the whole.
    fn after_end(
        &mut self,
        result: Result<(), FlowError>,
        to: &Stream,
        source: u8,
        sink: u8,
    ) -> Result<(), Cut> {
        match result {
            Ok(()) => Ok(()),
            // The one who reads is gone, but what it has sent before is still to be delivered; the other
            // direction finds the end or the reset by itself.
            Err(FlowError::Sink(error)) => {
                // The failed write has taken the socket's error: its read will only see an end.
                self.reset |= is_reset(&error);
                if self.who == b'-' {
                    self.who = sink;
                }
                Ok(())
            }
            Err(FlowError::Source(error)) => {
                if self.who == b'-' {
                    self.who = source;
                }
                if is_reset(&error) {
                    to.reset_on_close();
                }
                Err(Cut::Reset)
            }
            // A tunnel has no framing and no length.
            Err(FlowError::Truncated | FlowError::Framing) => Err(Cut::Reset),
        }
    }

    /// The longest silence for the directions that are still open.
    fn limit_silence(&mut self, timeouts: &TunnelTimeouts) {
        let pair = match (self.up_open, self.down_open) {
            (true, true) => (timeouts.client_ms, timeouts.server_ms),
            // The client has ended, so the server's side is half-closed; and the other way round.
            (false, _) => (timeouts.client_ms, timeouts.server_fin_ms),
            (true, false) => (timeouts.client_fin_ms, timeouts.server_ms),
        };
        // 0 means for ever, so the other one counts.
        (self.silence_ms, self.silent) = match pair {
            (0, ms) => (ms, b's'),
            (ms, 0) => (ms, b'c'),
            (client_ms, server_ms) if client_ms <= server_ms => (client_ms, b'c'),
            (_, server_ms) => (server_ms, b's'),
        };
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted)
}
