//! One GiB through an HTTP answer, and through a tunnel each way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Done;
use super::dialogue::PATIENCE;

/// One read or write.
const CHUNK_BYTES: usize = 256 * 1024;

/// Which way the bytes of a tunnel go.
#[derive(Clone, Copy)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// Fetches `/bulk`, which must be `bytes` long, and throws it away.
pub fn fetch(address: SocketAddr, bytes: u64) -> Result<Done> {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /bulk HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut head = Vec::new();
    let body_at = loop {
        let len = stream.read(&mut chunk)?;
        head.extend_from_slice(&chunk[..len]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if len == 0 || head.len() > chunk.len() {
            bail!("not an answer: {:?}", String::from_utf8_lossy(&head));
        }
    };
    if !head.starts_with(b"HTTP/1.1 200 ") {
        bail!("not the file: {:?}", String::from_utf8_lossy(&head[..body_at]));
    }
    let mut got = (head.len() - body_at) as u64;
    loop {
        match stream.read(&mut chunk)? {
            0 => break,
            len => got += len as u64,
        }
    }
    if got != bytes {
        bail!("{got} bytes of {bytes} came through");
    }
    Ok(Done { units: bytes, seconds: started.elapsed().as_secs_f64(), latency: None })
}

/// Moves `bytes` through the tunnel at `address`, from or to [`serve`] behind it; whoever receives counts.
pub fn tunnel(address: SocketAddr, bytes: u64, direction: Direction) -> Result<Done> {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let order = match direction {
        Direction::ToServer => b"TAKE",
        Direction::ToClient => b"GIVE",
    };
    stream.write_all(order)?;
    stream.write_all(&bytes.to_be_bytes())?;
    let got = match direction {
        Direction::ToServer => {
            give(&mut stream, bytes)?;
            let mut count = [0; 8];
            stream.read_exact(&mut count).context("waiting for the count of what has come")?;
            u64::from_be_bytes(count)
        }
        Direction::ToClient => take(&mut stream, bytes)?,
    };
    if got != bytes {
        bail!("{got} bytes of {bytes} came through");
    }
    Ok(Done { units: got, seconds: started.elapsed().as_secs_f64(), latency: None })
}

/// The other end of [`tunnel`]: one thread a connection, until standard input ends. (iperf3 would stop reading as
/// soon as the sender is done, and leave what a gateway still holds.)
pub fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| address.to_string())?;
    crate::echo_server::end_with_standard_input();
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = obey(stream) {
                eprintln!("bulk server: {error:#}");
            }
        });
    }
    Ok(())
}

fn obey(mut stream: TcpStream) -> Result<()> {
    let (mut order, mut bytes) = ([0; 4], [0; 8]);
    stream.read_exact(&mut order)?;
    stream.read_exact(&mut bytes)?;
    let bytes = u64::from_be_bytes(bytes);
    match &order {
        b"TAKE" => {
            let got = take(&mut stream, bytes)?;
            stream.write_all(&got.to_be_bytes())?;
        }
        b"GIVE" => give(&mut stream, bytes)?,
        other => bail!("what is {other:?}?"),
    }
    // Whoever asked closes first.
    while stream.read(&mut order)? > 0 {}
    Ok(())
}

fn give(stream: &mut TcpStream, bytes: u64) -> Result<()> {
    let chunk = vec![b'x'; CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let len = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        stream.write_all(&chunk[..len]).context("sending")?;
        left -= len as u64;
    }
    Ok(())
}

/// Reads until `bytes` have come, or the end.
fn take(stream: &mut TcpStream, bytes: u64) -> Result<u64> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut got = 0;
    while got < bytes {
        match stream.read(&mut chunk).context("receiving")? {
            0 => break,
            len => got += len as u64,
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_counted_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                obey(stream.unwrap()).unwrap();
            }
        });
        for direction in [Direction::ToServer, Direction::ToClient] {
            assert_eq!(tunnel(address, 1_000_001, direction).unwrap().units, 1_000_001);
        }
    }
}
