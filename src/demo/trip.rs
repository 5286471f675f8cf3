//! A raw-socket round trip through the gateway, made for the page: a browser cannot speak raw TCP.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::listen::read_until;
use super::raw::{GREETING_END, PREAMBLE};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What came back, and how long it took.
pub struct Trip {
    /// The first line of the answer without its line end: who served, and whether the preamble was right.
    pub greeting: String,
    /// Everything after the first line.
    pub echo: String,
    /// True when the preamble was accepted and `echo` is what was sent.
    pub ok: bool,
    /// From the first SYN to the connection, µs.
    pub connect_us: u64,
    /// From the connection to the last byte of the echo, µs.
    pub round_trip_us: u64,
    /// Bytes sent, preamble included.
    pub sent_bytes: usize,
}

/// Connects to the gateway's public port, sends the preamble and `text`, reads until the answer ends.
///
/// # Errors
/// When the gateway cannot be reached, resets, or does not end its answer within 4 s and 64 KiB.
pub fn through((host, port): &(String, u16), text: &str) -> io::Result<Trip> {
    let begun = Instant::now();
    let mut addresses = (host.as_str(), *port).to_socket_addrs()?;
    let address = addresses.next().ok_or_else(|| io::Error::other("the host name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    let connected = Instant::now();
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;

    let message = [PREAMBLE.as_slice(), text.as_bytes()].concat();
    stream.write_all(&message)?;
    stream.shutdown(Shutdown::Write)?;
    let answer = read_to_end(&stream)?;
    let round_trip = connected.elapsed();

    let answer = String::from_utf8_lossy(&answer);
    let (greeting, echo) = answer.split_once('\n').unwrap_or((&answer, ""));
    Ok(Trip {
        greeting: greeting.to_string(),
        echo: echo.to_string(),
        ok: greeting.ends_with(GREETING_END.trim_end()) && echo == text,
        connect_us: micros(connected - begun),
        round_trip_us: micros(round_trip),
        sent_bytes: message.len(),
    })
}

fn read_to_end(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match read_until(stream, &mut chunk, deadline)? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(chunk.get(..count).unwrap_or_default()),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer does not end"));
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
