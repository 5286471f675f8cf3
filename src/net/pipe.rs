//! Kernel pipes for `splice`: bulk goes from socket to socket without passing through our memory.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// Empty pipes kept for the next bulk transfer: two descriptors each.
const FREE_MAX: usize = 8;

/// Pipes at work at the same time; further bulk is copied. They take descriptors that connections need too.
pub const PIPES_MAX: u32 = 32;

/// What a pipe holds, and so the most that one call moves. The kernel's default of 64 KiB costs up to a fifth
/// more CPU time per byte; more than this gains little, and a slow client keeps a pipe full.
pub const PIPE_BYTES: usize = 262_144;

thread_local! {
    static FREE: RefCell<Vec<(OwnedFd, OwnedFd)>> = const { RefCell::new(Vec::new()) };
    static IN_USE: Cell<u32> = const { Cell::new(0) };
}

/// A pipe and how many bytes are in it.
pub struct Pipe {
    ends: Option<(OwnedFd, OwnedFd)>,
    len_bytes: usize,
}

impl Pipe {
    /// An empty pipe, from the pool where it has one.
    ///
    /// # Errors
    /// The kernel's, above all that there are no descriptors left, or [`PIPES_MAX`] are at work: the caller
    /// then copies instead.
    pub fn take() -> io::Result<Self> {
        if IN_USE.get() >= PIPES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let ends = match FREE.with_borrow_mut(Vec::pop) {
            Some(ends) => ends,
            None => new_pipe()?,
        };
        IN_USE.set(IN_USE.get() + 1);
        Ok(Self { ends: Some(ends), len_bytes: 0 })
    }

    /// How many bytes are in it.
    pub fn len(&self) -> usize {
        self.len_bytes
    }

    /// Whether none are.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// Moves up to `max` bytes from a socket into the pipe, which must be empty, so that `EAGAIN` can only
    /// mean the socket has none.
    pub fn fill(&mut self, from: BorrowedFd<'_>, max: usize) -> rustix::io::Result<usize> {
        debug_assert!(self.is_empty());
        let Some((_, write_end)) = &self.ends else { return Err(rustix::io::Errno::BADF) };
        let moved = splice(from, None, write_end.as_fd(), None, max.min(PIPE_BYTES), flags())?;
        self.len_bytes = moved;
        Ok(moved)
    }

    /// Moves what is in the pipe on to a socket.
    pub fn drain(&mut self, to: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        let Some((read_end, _)) = &self.ends else { return Err(rustix::io::Errno::BADF) };
        let moved = splice(read_end.as_fd(), None, to, None, self.len_bytes, flags())?;
        self.len_bytes = self.len_bytes.saturating_sub(moved);
        Ok(moved)
    }
}

fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // A user's pipes are limited together (/proc/sys/fs/pipe-user-pages-soft): then the default must do.
    let _ = fcntl_setpipe_size(&ends.0, PIPE_BYTES);
    Ok(ends)
}

fn flags() -> SpliceFlags {
    SpliceFlags::NONBLOCK | SpliceFlags::MOVE
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = IN_USE.try_with(|in_use| in_use.set(in_use.get().saturating_sub(1)));
        // One that still holds bytes of a dead connection must not serve another.
        if self.len_bytes == 0
            && let Some(ends) = self.ends.take()
        {
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < FREE_MAX {
                    free.push(ends);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn bytes_cross_a_pipe_unchanged() {
        let (mut client, inside) = UnixStream::pair().unwrap();
        let (outside, mut server) = UnixStream::pair().unwrap();
        inside.set_nonblocking(true).unwrap();
        client.write_all(b"through the pipe").unwrap();
        let mut pipe = Pipe::take().unwrap();
        assert_eq!(pipe.fill(inside.as_fd(), 1 << 20).unwrap(), 16);
        assert_eq!(pipe.drain(outside.as_fd()).unwrap(), 16);
        assert!(pipe.is_empty());
        assert_eq!(pipe.fill(inside.as_fd(), 10), Err(rustix::io::Errno::AGAIN));
        let mut got = [0; 16];
        server.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"through the pipe");
    }

    #[test]
    fn a_pipe_with_bytes_in_it_is_never_used_again() {
        let (mut client, inside) = UnixStream::pair().unwrap();
        client.write_all(b"secret").unwrap();
        let mut pipe = Pipe::take().unwrap();
        pipe.fill(inside.as_fd(), 6).unwrap();
        let before = FREE.with_borrow(Vec::len);
        drop(pipe);
        assert_eq!(FREE.with_borrow(Vec::len), before);
    }
}
