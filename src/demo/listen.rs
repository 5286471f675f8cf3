//! Accepting connections for one backend: a thread each, bounded in number.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Connections served at a time by one backend; further ones get its `busy` answer and are closed.
const CONNECTIONS_MAX: usize = 64;
const STACK_BYTES: usize = 256 * 1024;
/// How long a write may find no room before the connection is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a closing side still reads what the peer sends, so that the answer is not lost to a reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Starts the accepting thread of one backend. `handler` runs on a thread of its own per connection.
pub fn serve<H>(name: &str, listener: TcpListener, busy: &'static [u8], handler: H) -> io::Result<()>
where
    H: Fn(TcpStream) + Send + Sync + 'static,
{
    let handler: Arc<dyn Fn(TcpStream) + Send + Sync> = Arc::new(handler);
    let name = name.to_string();
    thread::Builder::new()
        .name(name.clone())
        .stack_size(STACK_BYTES)
        .spawn(move || accept_for_ever(&name, &listener, busy, &handler))?;
    Ok(())
}

fn accept_for_ever(
    name: &str,
    listener: &TcpListener,
    busy: &[u8],
    handler: &Arc<dyn Fn(TcpStream) + Send + Sync>,
) {
    let running = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, or the peer was gone again: neither is helped by spinning.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let Some(place) = Place::take(&running) else {
            turn_away(stream, busy);
            continue;
        };
        let handler = handler.clone();
        // A thread that cannot be started drops the closure, and with it stream and place.
        let _ = thread::Builder::new().name(name.to_string()).stack_size(STACK_BYTES).spawn(move || {
            let _place = place;
            handler(stream);
        });
    }
}

/// One of the `CONNECTIONS_MAX` places, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(running: &Arc<AtomicUsize>) -> Option<Place> {
        let place = Place(running.clone());
        (running.fetch_add(1, Ordering::Relaxed) < CONNECTIONS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers without ever waiting: this runs on the accepting thread.
fn turn_away(mut stream: TcpStream, busy: &[u8]) {
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.write(busy);
        let _ = stream.shutdown(Shutdown::Write);
        // What has arrived already is read, since closing over unread bytes would reset the answer away.
        let _ = stream.read(&mut [0; 4096]);
    }
}

/// Ends our side, then reads for a short while what the peer still sends.
pub fn close_gently(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let deadline = Instant::now() + LINGER_TIMEOUT;
    let mut chunk = [0; 4096];
    let mut seen_bytes = 0;
    while seen_bytes < LINGER_BYTES_MAX {
        match read_until(stream, &mut chunk, deadline) {
            Ok(1..) => seen_bytes += chunk.len(),
            _ => return,
        }
    }
}

/// One read that gives up at `deadline` with `TimedOut`. Returns the number of bytes; 0 at end of input.
pub fn read_until(mut stream: &TcpStream, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(into) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // Linux says "would block" where a read timeout expired.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            other => return other,
        }
    }
}
