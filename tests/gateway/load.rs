//! A thousand connections at once, and twenty reloads under load: every byte is checked.

use crate::rig::SinglePort;
use crate::support::client::Client;
use crate::support::ms;
use crate::support::pattern::payload;
use crate::support::process::Signal;
use crate::support::program::only_oneport;
use crate::support::web::{BLOB_LEN, BLOB_SEED};
use crate::support::websocket::{connect, expect_echo};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use tungstenite::Message;

/// Threads with small stacks: a thousand of them must be no burden.
fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new().name(name).stack_size(512 * 1024).spawn(work).expect("a thread for a client")
}

/// A GET of nginx's 256 KiB file, checked.
fn get_blob(client: &mut Client, last: bool) {
    let connection = if last { "close" } else { "keep-alive" };
    client.send(format!("GET /blob HTTP/1.1\r\nHost: device\r\nConnection: {connection}\r\n\r\n"));
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.len()), (200, BLOB_LEN));
    assert!(answer.body == payload(BLOB_SEED, BLOB_LEN), "wrong bytes");
}

/// The preamble and some bytes to the raw echo, checked.
fn raw_echo(client: &mut Client, seed: u64, len: usize) {
    let mut bytes = vec![0; 8];
    bytes.extend(payload(seed, len));
    client.send(&bytes);
    assert!(client.read_exact(bytes.len()) == bytes, "wrong bytes");
}

#[test]
fn a_thousand_mixed_connections_at_once() {
    const CLIENTS: u64 = 1_000;
    let rig = SinglePort::start(8);
    let port = rig.gateway.port;
    let all_open = Arc::new(Barrier::new(CLIENTS as usize));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let all_open = all_open.clone();
            spawn(format!("client {number}"), move || match number % 3 {
                0 => {
                    let mut client = Client::to(port);
                    client.send("GET / HTTP/1.1\r\nHost: device\r\n\r\n");
                    assert_eq!(client.answer().status, 200);
                    all_open.wait();
                    get_blob(&mut client, false);
                    get_blob(&mut client, true);
                }
                1 => {
                    let mut socket = connect(port, "/echo");
                    expect_echo(&mut socket, Message::text(format!("hello from {number}")));
                    all_open.wait();
                    for round in 0..3 {
                        expect_echo(&mut socket, Message::binary(payload(number * 10 + round, 16_000)));
                    }
                    socket.close(None).unwrap();
                }
                _ => {
                    let mut client = Client::to(port);
                    raw_echo(&mut client, number, 1_000);
                    all_open.wait();
                    let bytes = payload(number + 1, 60_000);
                    client.send(&bytes);
                    assert!(client.read_exact(bytes.len()) == bytes, "wrong bytes");
                }
            })
        })
        .collect();
    let mut failed = 0;
    for client in clients {
        failed += usize::from(client.join().is_err());
    }
    assert_eq!(failed, 0, "of {CLIENTS} connections");
}

/// One client that opens, uses and leaves connections of one kind until it is told to stop.
fn keep_going(number: u64, port: u16, stop: &AtomicBool, done: &AtomicUsize) {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        match number % 4 {
            0 => {
                let mut client = Client::to(port);
                for request in 0..4 {
                    client.send("GET / HTTP/1.1\r\nHost: device\r\n\r\n");
                    // A reload may end a kept-alive connection between two requests (RFC 9112 §9.5), but
                    // never before an answer to its first request, and never within an answer.
                    match client.try_answer_to("GET") {
                        Ok(answer) => assert_eq!(answer.status, 200),
                        Err(problem) if request > 0 && problem.ends_with("after \"\"") => break,
                        Err(problem) => panic!("{problem}"),
                    }
                }
            }
            1 => get_blob(&mut Client::to(port), true),
            2 => {
                let mut socket = connect(port, "/echo");
                for message in 0..3 {
                    expect_echo(&mut socket, Message::binary(payload(number + round + message, 5_000)));
                    std::thread::sleep(ms(20));
                }
                socket.close(None).unwrap();
            }
            _ => {
                let mut client = Client::to(port);
                raw_echo(&mut client, number + round, 20_000);
                std::thread::sleep(ms(60));
                client.send("end");
                assert_eq!(client.read_exact(3), b"end");
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn twenty_reloads_under_load_fail_no_connection() {
    if only_oneport("HAProxy reloads in a new process") {
        return;
    }
    let rig = SinglePort::start(8);
    let port = rig.gateway.port;
    let mut long_lived = connect(port, "/echo");
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..32)
        .map(|number| {
            let (stop, done) = (stop.clone(), done.clone());
            spawn(format!("client {number}"), move || keep_going(number, port, &stop, &done))
        })
        .collect();
    let started = Instant::now();
    for reload in 0..20 {
        // Each reload happens under load, on a machine of any speed.
        let before = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < before + 20 && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(ms(5));
        }
        rig.gateway.signal(Signal::USR2);
        expect_echo(&mut long_lived, Message::text(format!("reload {reload}")));
    }
    std::thread::sleep(ms(300));
    stop.store(true, Ordering::Relaxed);
    let failed = clients.into_iter().map(|client| usize::from(client.join().is_err())).sum::<usize>();
    assert_eq!(
        failed,
        0,
        "clients saw a failed connection, after {} good ones",
        done.load(Ordering::Relaxed)
    );
    expect_echo(&mut long_lived, "through twenty reloads".into());
    assert!(done.load(Ordering::Relaxed) > 100, "only {} connections", done.load(Ordering::Relaxed));
}
