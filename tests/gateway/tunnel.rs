//! `mode tcp`: bytes both ways, unchanged, with both kinds of end.

use crate::rig::{tcp_config, tcp_gateway};
use crate::support::client::Client;
use crate::support::pattern::Pattern;
use crate::support::peers::{Backend, Peer};
use crate::support::process::{Gateway, Starter, folder};
use crate::support::socket::{End, Socket};
use crate::support::{eventually, ms};

const BULK: usize = 64 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

#[test]
fn the_clients_end_is_passed_on_and_the_answer_still_comes() {
    let backend = Backend::start(|peer| {
        assert_eq!(peer.read_to_end(), End::Closed);
        peer.pause(ms(300));
        peer.write("got it all");
    });
    let gateway = tcp_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("question");
    client.finish();
    assert_eq!(client.read_to_end(), (b"got it all".to_vec(), End::Closed));
    assert_eq!(backend.received(0), b"question");
}

#[test]
fn the_servers_end_is_passed_on_and_the_rest_still_reaches_it() {
    let backend = Backend::start(|peer| {
        peer.write("no more from me");
        peer.finish();
        peer.read_to_end();
    });
    let gateway = tcp_gateway(&backend, "");
    let mut client = gateway.client();
    assert_eq!(client.read_to_end(), (b"no more from me".to_vec(), End::Closed));
    client.send("but this ");
    std::thread::sleep(ms(200));
    client.send("from me");
    backend.wait_received(0, b"but this from me");
    client.finish();
    assert_eq!(backend.wait_end(0), End::Closed);
}

#[test]
fn an_end_behind_the_last_bytes_loses_none_of_them() {
    let backend = Backend::start(|peer| {
        peer.write(crate::support::pattern::payload(3, 300_000));
    });
    let gateway = tcp_gateway(&backend, "");
    for _ in 0..20 {
        let (bytes, end) = gateway.client().read_to_end();
        assert!(bytes == crate::support::pattern::payload(3, 300_000), "{} bytes", bytes.len());
        assert_eq!(end, End::Closed);
    }
}

#[test]
fn a_reset_by_the_server_is_a_reset_for_the_client() {
    if crate::support::program::only_oneport("HAProxy closes cleanly where the server reset") {
        return;
    }
    let backend = Backend::start(|peer| {
        peer.read_exact(2);
        peer.write("ok");
        peer.read_exact(2);
        peer.reset();
    });
    let gateway = tcp_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("go");
    assert_eq!(client.read_exact(2), b"ok");
    client.send("on");
    assert_eq!(client.read_to_end(), (Vec::new(), End::Reset));
}

#[test]
fn a_reset_by_the_client_is_a_reset_for_the_server() {
    if crate::support::program::only_oneport("HAProxy closes cleanly where the client reset") {
        return;
    }
    let backend = Backend::echo();
    let gateway = tcp_gateway(&backend, "");
    let mut client = gateway.client();
    client.send("go");
    assert_eq!(client.read_exact(2), b"go");
    client.reset();
    assert_eq!(backend.wait_end(0), End::Reset);
}

#[test]
fn bulk_to_the_server_is_unchanged() {
    let (done, result) = std::sync::mpsc::channel();
    let backend = Backend::start(move |peer| {
        let received = receive(|| peer.read_some().ok(), 1);
        peer.write("done");
        done.send(received).unwrap();
    });
    let gateway = tcp_gateway(&backend, "");
    let mut client = gateway.client();
    send(|bytes| client.send(bytes), 1);
    client.finish();
    assert_eq!(client.read_to_end(), (b"done".to_vec(), End::Closed));
    assert_eq!(result.recv().unwrap(), Ok(BULK));
}

#[test]
fn bulk_to_the_client_is_unchanged() {
    let backend = Backend::start(|peer| send(|bytes| peer.write(bytes), 2));
    let gateway = tcp_gateway(&backend, "");
    let mut socket = gateway.client().into_socket();
    assert_eq!(receive(|| read_chunk(&mut socket), 2), Ok(BULK));
}

#[test]
fn bulk_both_ways_at_once_is_unchanged() {
    let backend = Backend::echo();
    let gateway = tcp_gateway(&backend, "");
    let Socket::Tcp(stream) = gateway.client().into_socket() else { unreachable!() };
    let mut reading = Socket::tcp(stream.try_clone().unwrap());
    let writer = std::thread::spawn(move || {
        let mut writing = Socket::tcp(stream);
        send(|bytes| writing.write(bytes), 3);
        writing.finish();
    });
    assert_eq!(receive(|| read_chunk(&mut reading), 3), Ok(BULK));
    writer.join().unwrap();
}

/// 16 readers that do not read hold back 16 senders; the gateway does not store what they send.
#[test]
fn a_reader_that_does_not_read_grows_no_memory() {
    let backend = Backend::start(|peer: &mut Peer| send_until_blocked(peer));
    let gateway = tcp_gateway(&backend, "");
    let before = gateway.resident_kib();
    let clients: Vec<Client> = (0..16).map(|_| gateway.client()).collect();
    eventually("all connections reach the backend", || backend.accepts() == 16);
    std::thread::sleep(ms(1_500));
    let grown = gateway.resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB more for 16 stuck connections");
    drop(clients);
}

#[test]
fn a_slow_reader_gets_everything() {
    const LEN: usize = 4 * 1024 * 1024;
    let backend = Backend::start(|peer| {
        peer.write(crate::support::pattern::payload(9, LEN));
    });
    let gateway = tcp_gateway(&backend, "");
    let mut socket = gateway.client().into_socket();
    std::thread::sleep(ms(500));
    let (mut pattern, mut total) = (Pattern::new(9), 0);
    while let Some(bytes) = read_chunk(&mut socket) {
        assert!(pattern.matches(&bytes), "wrong bytes after {total}");
        total += bytes.len();
        std::thread::sleep(ms(2));
    }
    assert_eq!(total, LEN);
}

#[test]
fn a_connection_that_is_left_holds_no_descriptor() {
    let backend = Backend::echo();
    let gateway = tcp_gateway(&backend, "");
    let before = gateway.settled_descriptors();
    for round in 0..30 {
        let mut client = gateway.client();
        client.send("x");
        client.read_exact(1);
        if round % 3 == 0 {
            client.reset();
        }
    }
    gateway.wait_descriptors(before);
    eventually("the backend's connections end", || backend.open() == 0);
}

#[test]
fn servers_on_unix_sockets() {
    let dir = folder();
    let path = dir.path().join("echo.sock");
    let _first = Backend::on_path(&path, crate::support::peers::echo);
    let name = format!("oneport-test-{}", std::process::id());
    let _second = Backend::on_abstract_name(&name, crate::support::peers::echo);
    for server in [format!("unix@{}", path.display()), path.display().to_string(), format!("abns@{name}")] {
        // HAProxy pads an abstract name to the full length of the address, a peer of another make does not.
        if server.starts_with("abns") && crate::support::program::only_oneport("unpadded abstract names") {
            continue;
        }
        let gateway = Gateway::start(|port| tcp_config(port, &server, ""));
        let mut client = gateway.client();
        client.send("through a unix socket");
        client.finish();
        let (bytes, end) = client.read_to_end();
        assert_eq!((bytes.as_slice(), end), (&b"through a unix socket"[..], End::Closed), "{server}");
    }
}

#[test]
fn a_server_on_ipv6() {
    let listener = std::net::TcpListener::bind("[::1]:0").expect("the machine has ::1");
    let port6 = listener.local_addr().unwrap().port();
    let _backend = Backend::listen(listener, crate::support::peers::echo);
    for server in [format!("[::1]:{port6}"), format!("::1:{port6}"), format!("ipv6@::1:{port6}")] {
        let gateway = Gateway::start(|port| tcp_config(port, &server, ""));
        let mut client = gateway.client();
        client.send("six");
        assert_eq!(client.read_exact(3), b"six", "{server}");
    }
}

#[test]
fn a_server_without_a_port_gets_the_clients() {
    // 127.0.0.2 is the same machine, so the gateway and its server can have the same port.
    let port = crate::support::ports::free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.2", port)).unwrap();
    let _backend = Backend::listen(listener, crate::support::peers::echo);
    let gateway = Starter::new().start(&tcp_config(port, "127.0.0.2", ""));
    // The port counts as listened on before the gateway does, so this one has to knock.
    eventually("the gateway listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut client = Client::to(port);
    client.send("same port");
    assert_eq!(client.read_exact(9), b"same port");
    drop(gateway);
}

fn send(mut write: impl FnMut(&[u8]) -> bool, seed: u64) {
    let mut pattern = Pattern::new(seed);
    let mut chunk = vec![0; CHUNK];
    for _ in 0..BULK / CHUNK {
        pattern.fill(&mut chunk);
        if !write(&chunk) {
            return;
        }
    }
}

/// How many right bytes came, or after how many a wrong one did.
fn receive(mut read: impl FnMut() -> Option<Vec<u8>>, seed: u64) -> Result<usize, usize> {
    let (mut pattern, mut total) = (Pattern::new(seed), 0);
    while let Some(bytes) = read() {
        if !pattern.matches(&bytes) {
            return Err(total);
        }
        total += bytes.len();
    }
    Ok(total)
}

fn read_chunk(socket: &mut Socket) -> Option<Vec<u8>> {
    socket.set_read_timeout(crate::support::SOON);
    let mut buffer = vec![0; 256 * 1024];
    let count = socket.read(&mut buffer).ok()?;
    buffer.truncate(count);
    Some(buffer)
}

/// Writes up to 64 MiB; the write blocks long before and ends when the client goes.
fn send_until_blocked(peer: &mut Peer) {
    send(|bytes| peer.write(bytes), 5);
}
