//! One GiB through an HTTP answer, and through a tunnel by iperf3.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Done;
use super::dialogue::PATIENCE;

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
    let mut chunk = vec![0; 256 * 1024];
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

/// Sends `bytes` through the tunnel at `address` to the iperf3 server behind it.
pub fn tunnel(address: SocketAddr, bytes: u64, direction: Direction) -> Result<Done> {
    let mut command = Command::new("iperf3");
    command.args(["--client", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.args(["--bytes", &bytes.to_string(), "--json"]).stdin(Stdio::null());
    if matches!(direction, Direction::ToClient) {
        command.arg("--reverse");
    }
    let output = command.output().context("starting iperf3")?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("iperf3 says {}", String::from_utf8_lossy(&output.stdout)))?;
    if let Some(error) = report.get("error") {
        bail!("iperf3 fails: {error}");
    }
    let received = &report["end"]["sum_received"];
    let got = received["bytes"].as_u64().context("no count of bytes from iperf3")?;
    let seconds = received["seconds"].as_f64().context("no duration from iperf3")?;
    // iperf3 stops at whole blocks, and the receiver may miss what is on its way at the end.
    if got < bytes / 100 * 99 {
        bail!("{got} bytes of {bytes} came through");
    }
    Ok(Done { units: got, seconds, latency: None })
}
