//! What a client says on one connection, and what it must hear.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::websocket::{check_upgraded, push_client_frame, push_server_frame, upgrade_request};

/// What the web server's small answers hold.
pub const BODY: &str = "Sixty-four bytes: as much as a status or the reading of a sensor";

/// The length of an echoed message.
pub const MESSAGE_BYTES: usize = 64;

/// By these a gateway knows the raw protocol.
pub const PREAMBLE: [u8; 8] = [0; 8];

/// How long one answer may take before the run is a failure.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// No answer of a dialogue is longer.
const ANSWER_BYTES_MAX: usize = 4096;

const REQUEST: &[u8] = b"GET /status HTTP/1.1\r\nHost: bench\r\n\r\n";

/// The three protocols of the port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dialogue {
    Http,
    WebSocket,
    Raw,
}

impl Dialogue {
    pub const ALL: [Self; 3] = [Self::Http, Self::WebSocket, Self::Raw];

    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "kept-alive HTTP connection",
            Self::WebSocket => "WebSocket",
            Self::Raw => "raw tunnel",
        }
    }

    /// Connects and does what comes before the first unit of work.
    pub fn open(self, address: SocketAddr) -> Result<TcpStream> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        match self {
            Self::Http => {}
            Self::WebSocket => {
                stream.set_read_timeout(Some(PATIENCE))?;
                (&stream).write_all(upgrade_request().as_bytes())?;
                check_upgraded(&read_head(&stream)?)?;
            }
            Self::Raw => {
                stream.set_read_timeout(Some(PATIENCE))?;
                (&stream).write_all(&PREAMBLE)?;
                let mut echoed = [1; PREAMBLE.len()];
                (&stream).read_exact(&mut echoed).context("waiting for the echo of the zeros")?;
                if echoed != PREAMBLE {
                    bail!("the zeros came back as {echoed:?}");
                }
            }
        }
        Ok(stream)
    }

    /// What to send as unit `number`, and what must come back (for HTTP: with what it must end).
    pub fn unit(self, number: u64, send: &mut Vec<u8>, expect: &mut Vec<u8>) {
        send.clear();
        expect.clear();
        match self {
            Self::Http => {
                send.extend_from_slice(REQUEST);
                expect.extend_from_slice(BODY.as_bytes());
            }
            Self::WebSocket => {
                push_client_frame(&message(number), send);
                push_server_frame(0x82, &message(number), expect);
            }
            Self::Raw => {
                send.extend_from_slice(&message(number));
                expect.extend_from_slice(&message(number));
            }
        }
    }

    /// Whether `got` is the whole answer; an error when it cannot become the right one.
    pub fn is_answered(self, got: &[u8], expect: &[u8]) -> Result<bool> {
        match self {
            Self::Http => {
                const GOOD: &[u8] = b"HTTP/1.1 200 ";
                let start = got.len().min(GOOD.len());
                if got[..start] != GOOD[..start] || got.len() > ANSWER_BYTES_MAX {
                    bail!("not the answer: {:?}", String::from_utf8_lossy(got));
                }
                Ok(got.ends_with(expect))
            }
            Self::WebSocket | Self::Raw => {
                if !expect.starts_with(got) {
                    bail!("sent {expect:02x?}, got {got:02x?}");
                }
                Ok(got.len() == expect.len())
            }
        }
    }
}

/// A message that no other unit of the run has: an answer of somebody else is noticed.
pub fn message(number: u64) -> [u8; MESSAGE_BYTES] {
    let mut message = [b'.'; MESSAGE_BYTES];
    message[..8].copy_from_slice(&number.wrapping_add(1).to_be_bytes());
    message
}

/// Reads byte by byte up to the empty line, so that nothing behind it is taken.
fn read_head(mut stream: &TcpStream) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).context("waiting for the answer to the upgrade")?;
        head.push(byte[0]);
        if head.len() > ANSWER_BYTES_MAX {
            bail!("an answer without an end: {:?}", String::from_utf8_lossy(&head));
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_echo_is_an_error_and_a_short_one_waits() {
        let (mut send, mut expect) = (Vec::new(), Vec::new());
        Dialogue::Raw.unit(5, &mut send, &mut expect);
        assert!(!Dialogue::Raw.is_answered(&send[..63], &expect).unwrap());
        assert!(Dialogue::Raw.is_answered(&send, &expect).unwrap());
        assert!(Dialogue::Raw.is_answered(&message(6), &expect).is_err());
    }

    #[test]
    fn the_body_is_as_long_as_it_says() {
        assert_eq!(BODY.len(), MESSAGE_BYTES);
    }

    #[test]
    fn only_a_whole_answer_of_status_200_counts() {
        let good = format!("HTTP/1.1 200 OK\r\n\r\n{BODY}");
        let answered = |text: &str| Dialogue::Http.is_answered(text.as_bytes(), BODY.as_bytes());
        assert!(answered(&good).unwrap());
        assert!(!answered(&good[..good.len() - 1]).unwrap());
        assert!(answered("HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
    }
}
