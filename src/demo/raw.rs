//! The raw socket echo: 8 zero bytes, then every byte comes back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::listen::{close_gently, read_until};

/// What a client sends first so that the gateway knows a raw socket from everything else.
pub const PREAMBLE: [u8; 8] = [0; 8];
/// How the greeting line ends when the preamble was right.
pub const GREETING_END: &str = "preamble ok, echo follows\n";
pub const BUSY: &[u8] = b"oneport raw socket backend: too many connections, try again later\n";

const PREAMBLE_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves one connection to its end. `address` is named in the greeting.
pub fn serve(mut stream: TcpStream, address: SocketAddr) {
    match read_preamble(&stream) {
        Ok(()) => {
            let greeting = format!("oneport raw socket backend {address}: {GREETING_END}");
            if stream.write_all(greeting.as_bytes()).and_then(|()| echo(&mut stream)).is_err() {
                return;
            }
        }
        Err(complaint) => {
            let line = format!("oneport raw socket backend {address}: {complaint}\n");
            let _ = stream.write_all(line.as_bytes());
        }
    }
    close_gently(&stream);
}

/// Reads exactly the preamble. The error is a sentence for the client.
fn read_preamble(stream: &TcpStream) -> Result<(), String> {
    let deadline = Instant::now() + PREAMBLE_TIMEOUT;
    let mut bytes = [0; PREAMBLE.len()];
    let mut got = 0;
    while let Some(free) = bytes.get_mut(got..).filter(|free| !free.is_empty()) {
        let count = match read_until(stream, free, deadline) {
            Ok(0) => return Err(format!("expected 8 zero bytes, the input ended after {got}")),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                return Err(format!("expected 8 zero bytes within 10 s, got {got}"));
            }
            Err(e) => return Err(format!("expected 8 zero bytes: {e}")),
        };
        let fresh = free.iter().take(count);
        if let Some((at, byte)) = fresh.enumerate().find(|(_, byte)| **byte != 0) {
            let at = got.saturating_add(at).saturating_add(1);
            return Err(format!("expected 8 zero bytes, byte {at} is 0x{byte:02x}"));
        }
        got = got.saturating_add(count);
    }
    Ok(())
}

/// Returns each byte until the client ends its side; an idle client is an error.
fn echo(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    let mut chunk = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => stream.write_all(chunk.get(..count).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
