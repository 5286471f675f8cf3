//! Bulk that checks itself, on the path through kernel pipes and on the path through our own buffers. Which of
//! them was taken shows in the gateway's descriptors: it keeps the pipes that it has made.

use crate::inside::Context;
use crate::rig::{http_gateway, tcp_gateway};
use crate::support::pattern::{Pattern, payload};
use crate::support::peers::Backend;
use crate::support::process::Gateway;
use crate::support::socket::Socket;
use std::time::{Duration, Instant};

const TCP_BYTES: usize = 32 * 1024 * 1024;
const HTTP_BYTES: usize = 16 * 1024 * 1024;
const SMALL_BYTES: usize = 4 * 1024 * 1024;
/// Well under what is ever spliced.
const CHUNK: usize = 4_000;
const BLOCK: usize = 64 * 1024;
/// Emulated, with another board beside it.
const PATIENCE: Duration = Duration::from_secs(120);

/// To an echoing server and back at the same time.
pub fn tcp_both_ways(_: &Context) {
    let backend = Backend::echo();
    let gateway = tcp_gateway(&backend, "");
    let before = pipes(&gateway);
    let Socket::Tcp(stream) = gateway.client().into_socket() else { panic!("it was connected over TCP") };
    let mut reading = Socket::tcp(stream.try_clone().unwrap());
    let writer = std::thread::spawn(move || {
        let mut writing = Socket::tcp(stream);
        let mut pattern = Pattern::new(1);
        let mut block = vec![0; BLOCK];
        for _ in 0..TCP_BYTES / BLOCK {
            pattern.fill(&mut block);
            assert!(writing.write(&block), "the gateway has gone");
        }
        writing.finish();
    });
    expect_stream(&mut reading, 1, TCP_BYTES);
    writer.join().unwrap();
    assert!(pipes(&gateway) > before, "this was to be spliced");
}

/// Uploaded and sent back, with Content-Length both times.
pub fn http_with_a_length(_: &Context) {
    let backend = Backend::start(|peer| {
        while let Some(request) = peer.read_request() {
            peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()));
            peer.write(request.body);
        }
    });
    let gateway = http_gateway(&backend, "");
    let before = pipes(&gateway);
    let mut client = gateway.client();
    let body = payload(2, HTTP_BYTES);
    client.send(format!("POST /bulk HTTP/1.1\r\nHost: h\r\nContent-Length: {HTTP_BYTES}\r\n\r\n"));
    assert!(client.send(&body));
    let answer = client.answer();
    assert!(answer.body == body, "{} bytes, or other ones, came back", answer.body.len());
    assert!(pipes(&gateway) > before, "this was to be spliced");
    // The connection is where it should be: right behind the body.
    client.send("POST /after HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().text(), "ok");
}

/// The same in chunks, whose sizes are read and written one by one.
pub fn http_in_small_chunks(_: &Context) {
    let backend = Backend::start(|peer| {
        while let Some(request) = peer.read_request() {
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer.write(in_chunks(&request.body));
        }
    });
    let gateway = http_gateway(&backend, "");
    let before = pipes(&gateway);
    let mut client = gateway.client();
    let body = payload(3, SMALL_BYTES);
    client.send("POST /bulk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(client.send(in_chunks(&body)));
    let answer = client.answer();
    assert!(answer.body == body, "{} bytes, or other ones, came back", answer.body.len());
    assert_eq!(pipes(&gateway), before, "this was to be copied");
    client.send("POST /after HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().text(), "ok");
}

/// Question and answer, thousands of times, of all sizes up to a buffer's.
pub fn tcp_in_small_messages(_: &Context) {
    let backend = Backend::echo();
    let gateway = tcp_gateway(&backend, "");
    let before = pipes(&gateway);
    let mut client = gateway.client();
    let started = Instant::now();
    for n in 0..2_000_usize {
        let message = payload(n as u64, 1 + n * 37 % 9_000);
        client.send(&message);
        assert!(client.read_exact(message.len()) == message, "message {n} of {} bytes", message.len());
        assert!(started.elapsed() < PATIENCE, "only {n} messages in {PATIENCE:?}");
    }
    assert_eq!(pipes(&gateway), before, "this was to be copied");
}

/// Reads a whole stream of this seed and length, and its end.
#[track_caller]
fn expect_stream(socket: &mut Socket, seed: u64, len: usize) {
    let (mut pattern, mut received) = (Pattern::new(seed), 0);
    let mut buffer = vec![0; BLOCK];
    socket.set_read_timeout(PATIENCE);
    loop {
        match socket.read(&mut buffer) {
            Ok(count) => {
                assert!(pattern.matches(&buffer[..count]), "wrong between {received} and {count} bytes on");
                received += count;
            }
            Err(end) => {
                assert_eq!(received, len, "then {end:?}");
                return;
            }
        }
    }
}

fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 100);
    for chunk in body.chunks(CHUNK) {
        out.extend(format!("{:x}\r\n", chunk.len()).bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// How many ends of pipes the gateway holds.
fn pipes(gateway: &Gateway) -> usize {
    let folder = format!("/proc/{}/fd", gateway.pid());
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("pipe:")).count()
}
