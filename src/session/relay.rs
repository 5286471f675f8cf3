//! One direction of bytes: from one stream to another, until the message or the connection ends.
//!
//! A [`Flow`] is polled, not awaited, because two of them run side by side in one task. It holds a buffer
//! only while bytes are in it, and a pipe only while bulk is moving.

use std::io;
use std::task::{Context, Poll, ready};

use crate::http::Chunked;
use crate::net::{Buffer, Pipe, Stream};
use crate::reactor::Direction;

/// What one flow moves before other tasks get their turn: sixteen reads, or one splice that fills the pipe. Others
/// wait for the turns of all bulk before theirs; a read that brought little counts as one that filled its buffer.
const BYTES_PER_TURN: usize = 262_144;
const READ_BYTES: usize = 16_384;
/// Reads in a row that filled the buffer, after which bulk is spliced.
const FULL_READS_BEFORE_SPLICE: u8 = 2;
/// With less than this to come, or with less than this at a time, copying is cheaper than splicing.
const SPLICE_MIN_BYTES: u64 = 16_384;

/// Where a flow ends.
pub enum Bound {
    /// At the end of the connection.
    End,
    /// After so many further bytes.
    Length(u64),
    /// After the last chunk and the trailers.
    Chunked(Chunked),
    /// The same, but only the data is passed on: for a client that knows no chunks (HTTP/1.0).
    Dechunked(Chunked),
}

/// Why a flow stopped before its end.
#[derive(Debug)]
pub enum FlowError {
    /// Reading failed.
    Source(io::Error),
    /// Writing failed.
    Sink(io::Error),
    /// The connection ended before the message did.
    Truncated,
    /// The chunked framing is broken.
    Framing,
}

/// Which side a flow waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// For more bytes.
    Source,
    /// For room.
    Sink,
}

/// One direction of a connection, or the body of one message.
pub struct Flow {
    bound: Bound,
    buffer: Option<Buffer>,
    /// How many bytes at the front of `buffer` are to be passed on; the rest belongs to the next message.
    admitted: usize,
    pipe: Option<Pipe>,
    /// Nothing more is to be read.
    complete: bool,
    waiting: Waiting,
    full_reads: u8,
    splice_refused: bool,
    passed_bytes: u64,
}

impl Flow {
    /// A flow that begins with what was read already.
    ///
    /// # Errors
    /// [`FlowError::Framing`] when those bytes are no proper chunks.
    pub fn new(bound: Bound, buffer: Option<Buffer>) -> Result<Self, FlowError> {
        let mut flow = Self { bound, ..Self::unframed(buffer) };
        flow.admit()?;
        Ok(flow)
    }

    /// A flow that begins with what was read already, and ends with the connection.
    pub fn unframed(buffer: Option<Buffer>) -> Self {
        let buffer = buffer.filter(|buffer| !buffer.is_empty());
        Self {
            bound: Bound::End,
            admitted: buffer.as_ref().map_or(0, Buffer::len),
            buffer,
            pipe: None,
            complete: false,
            waiting: Waiting::Source,
            full_reads: 0,
            splice_refused: false,
            passed_bytes: 0,
        }
    }

    /// Bytes written to the other side.
    pub fn passed_bytes(&self) -> u64 {
        self.passed_bytes
    }

    /// What it was waiting for when it last had to stop.
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Bytes that are ready to be passed on at once.
    pub fn ready_bytes(&self) -> &[u8] {
        self.buffer.as_ref().and_then(|buffer| buffer.bytes().get(..self.admitted)).unwrap_or_default()
    }

    /// Says that the first `len` of [`Flow::ready_bytes`] were passed on by somebody else (together with
    /// the head, in one write).
    pub fn passed(&mut self, len: usize) {
        let len = len.min(self.admitted);
        if let Some(buffer) = &mut self.buffer {
            buffer.consume(len);
        }
        self.admitted -= len;
        self.passed_bytes = self.passed_bytes.saturating_add(len as u64);
        self.give_back();
    }

    /// Nothing more is read; what was read is still passed on.
    pub fn end_here(&mut self) {
        self.complete = true;
    }

    /// Whether everything has been read and passed on.
    pub fn is_done(&self) -> bool {
        self.complete && self.admitted == 0 && self.pipe.as_ref().is_none_or(Pipe::is_empty)
    }

    /// What was read beyond the end of the message: the beginning of the next one.
    pub fn into_rest(self) -> Option<Buffer> {
        debug_assert!(self.admitted == 0);
        self.buffer.filter(|buffer| !buffer.is_empty())
    }

    /// Moves what can be moved; ready when the flow has ended and all was passed on. `moved` is set when
    /// any byte went in or out, so that the caller can put off its timeout.
    pub fn poll_move(
        &mut self,
        context: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        moved: &mut bool,
    ) -> Poll<Result<(), FlowError>> {
        let mut taken_bytes = 0;
        while taken_bytes < BYTES_PER_TURN {
            ready!(self.poll_pass_on(context, to, moved))?;
            if self.complete {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_take_in(context, from))?;
            *moved = true;
            taken_bytes += self.pipe.as_ref().map_or(0, Pipe::len).max(READ_BYTES);
        }
        // Others first; there may be more to read, and no edge will tell.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is held.
    fn poll_pass_on(
        &mut self,
        context: &mut Context<'_>,
        to: &Stream,
        moved: &mut bool,
    ) -> Poll<Result<(), FlowError>> {
        self.waiting = Waiting::Sink;
        while let Some(pipe) = self.pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            let result = ready!(to.source().poll_io(context, Direction::Write, |fd| pipe.drain(fd)));
            self.passed_bytes += result.map_err(FlowError::Sink)? as u64;
            *moved = true;
        }
        while self.admitted > 0 {
            let Some(buffer) = &mut self.buffer else { break };
            let bytes = buffer.bytes().get(..self.admitted).unwrap_or_default();
            let len = ready!(to.poll_write(context, bytes, false)).map_err(FlowError::Sink)?;
            buffer.consume(len);
            self.admitted -= len;
            self.passed_bytes += len as u64;
            *moved = true;
        }
        self.give_back();
        Poll::Ready(Ok(()))
    }

    /// Reads more, by splice where that pays.
    fn poll_take_in(&mut self, context: &mut Context<'_>, from: &Stream) -> Poll<Result<(), FlowError>> {
        self.waiting = Waiting::Source;
        if self.should_splice(from) {
            match ready!(self.poll_splice_in(context, from)) {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(error) => return Poll::Ready(Err(FlowError::Source(error))),
            }
        }
        let Poll::Ready(result) = from.poll_fill(context, &mut self.buffer) else {
            self.full_reads = 0;
            self.pipe = None;
            return Poll::Pending;
        };
        let len = result.map_err(FlowError::Source)?;
        if len == 0 {
            return Poll::Ready(self.end_of_input());
        }
        let full = self.buffer.as_mut().is_some_and(|buffer| buffer.room().is_empty());
        self.full_reads = if full { self.full_reads.saturating_add(1) } else { 0 };
        Poll::Ready(self.admit())
    }

    fn end_of_input(&mut self) -> Result<(), FlowError> {
        self.complete = true;
        self.buffer = None;
        match self.bound {
            Bound::End | Bound::Length(0) => Ok(()),
            Bound::Length(_) | Bound::Chunked(_) | Bound::Dechunked(_) => Err(FlowError::Truncated),
        }
    }

    /// Decides how much of a freshly filled buffer belongs to this message.
    fn admit(&mut self) -> Result<(), FlowError> {
        let bytes = self.buffer.as_mut().map(Buffer::bytes_mut).unwrap_or_default();
        match &mut self.bound {
            Bound::End => self.admitted = bytes.len(),
            Bound::Length(left) => {
                self.admitted = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= self.admitted as u64;
                self.complete = *left == 0;
            }
            Bound::Chunked(chunked) => {
                let step = chunked.feed(bytes).map_err(|_| FlowError::Framing)?;
                self.admitted = step.taken;
                self.complete = step.done;
            }
            Bound::Dechunked(chunked) => {
                let step = chunked.dechunk(bytes).map_err(|_| FlowError::Framing)?;
                self.admitted = step.data;
                self.complete = step.done;
                // Responses end here: nothing that follows the message is kept.
                if let Some(buffer) = &mut self.buffer {
                    buffer.truncate(step.data);
                }
            }
        }
        Ok(())
    }

    /// Bytes to come that are passed on as they are, whatever they are.
    fn opaque_bytes(&self) -> u64 {
        match &self.bound {
            Bound::End => u64::MAX,
            Bound::Length(left) => *left,
            Bound::Chunked(chunked) => chunked.data_left(),
            Bound::Dechunked(_) => 0,
        }
    }

    fn should_splice(&self, from: &Stream) -> bool {
        self.full_reads >= FULL_READS_BEFORE_SPLICE
            && !self.splice_refused
            // It never gets past the mark of urgent data, and says EAGAIN there with all the rest still to come.
            && !from.source().is_urgent()
            && self.opaque_bytes() >= SPLICE_MIN_BYTES
    }

    /// `false` when this pair of sockets (or the kernel) has no splice, or no descriptors are left for it.
    fn poll_splice_in(&mut self, context: &mut Context<'_>, from: &Stream) -> Poll<io::Result<bool>> {
        let max = usize::try_from(self.opaque_bytes()).unwrap_or(usize::MAX);
        let pipe = match &mut self.pipe {
            Some(pipe) => pipe,
            slot => match Pipe::take() {
                Ok(pipe) => slot.insert(pipe),
                Err(_) => {
                    self.full_reads = 0;
                    return Poll::Ready(Ok(false));
                }
            },
        };
        let Poll::Ready(result) = from.source().poll_io(context, Direction::Read, |fd| pipe.fill(fd, max))
        else {
            // Bulk has paused: give the pipe back, and copy until it is bulk again.
            self.pipe = None;
            self.full_reads = 0;
            return Poll::Pending;
        };
        match result {
            // The end, or the mark of urgent data with more behind it: only a read can tell.
            Ok(0) => {
                self.pipe = None;
                Poll::Ready(Ok(false))
            }
            Ok(len) => {
                self.spliced(len as u64);
                Poll::Ready(Ok(true))
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                self.splice_refused = true;
                self.pipe = None;
                Poll::Ready(Ok(false))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn spliced(&mut self, len: u64) {
        match &mut self.bound {
            Bound::End | Bound::Dechunked(_) => {}
            Bound::Length(left) => {
                *left = left.saturating_sub(len);
                self.complete = *left == 0;
            }
            Bound::Chunked(chunked) => chunked.passed(len),
        }
        if len < SPLICE_MIN_BYTES / 2 {
            self.full_reads = 0;
        }
    }

    /// An empty buffer goes back to the pool.
    fn give_back(&mut self) {
        if self.buffer.as_ref().is_some_and(Buffer::is_empty) {
            self.buffer = None;
        }
        if self.complete {
            self.pipe = None;
        }
    }
}
