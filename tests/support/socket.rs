//! TCP and unix sockets behind one name, with the two ends a peer can make: a clean one and a reset.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How a connection ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The other side sent its end of stream.
    Closed,
    /// The other side reset the connection.
    Reset,
    /// Nothing came within the time allowed; the connection is still open.
    Open,
}

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Over IPv4 or IPv6.
    Tcp(TcpStream),
    /// Over a path or an abstract name.
    Unix(UnixStream),
}

impl Socket {
    /// Sends what is written at once; a write into a stuck peer fails the test after a while instead of
    /// hanging it.
    pub fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
        Self::Tcp(stream)
    }

    /// How long [`Socket::read`] waits.
    pub fn set_read_timeout(&self, limit: Duration) {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
        }
        .unwrap();
    }

    /// Half-closes: this side has nothing more to say.
    pub fn finish(&self) {
        // An error means that the other side has already gone, which the next read will tell.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Makes the coming close a reset.
    pub fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
        }
    }

    /// Reads into `buffer`; `Ok(n)` with n > 0, or how it ended.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, End> {
        loop {
            let read = match self {
                Self::Tcp(stream) => stream.read(buffer),
                Self::Unix(stream) => stream.read(buffer),
            };
            return match read {
                Ok(0) => Err(End::Closed),
                Ok(count) => Ok(count),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(End::Open),
                    _ => Err(End::Reset),
                },
            };
        }
    }

    /// Writes everything; false when the other side has gone.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        let written = match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        };
        match written {
            Ok(()) => true,
            Err(error) => {
                let stuck = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                assert!(!stuck, "the other side took no bytes for 30 s");
                false
            }
        }
    }
}
