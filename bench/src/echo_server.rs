//! The echo servers behind the gateways: one thread, epoll, a process of their own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{SocketFlags, accept_with, listen};

use crate::websocket::{Protocol, answer_frames, upgrade_answer};

/// Enough for thousands of connections at once.
const BACKLOG: i32 = 4096;
/// One read.
const CHUNK_BYTES: usize = 64 * 1024;
/// A client that sends on without reading is not read further than this.
const PENDING_BYTES_MAX: usize = 1024 * 1024;

/// Serves until standard input ends, which it does when whoever started this is gone.
pub fn serve(protocol: Protocol, address: SocketAddr, unix: &Path) -> Result<()> {
    let tcp = TcpListener::bind(address).with_context(|| address.to_string())?;
    let unix = UnixListener::bind(unix).with_context(|| unix.display().to_string())?;
    // The standard library listens with a short queue; asking again makes it longer.
    listen(&tcp, BACKLOG)?;
    listen(&unix, BACKLOG)?;
    tcp.set_nonblocking(true)?;
    unix.set_nonblocking(true)?;
    end_with_standard_input();
    Server::new(protocol, vec![tcp.into(), unix.into()])?.run()
}

/// Ends this process when whoever started it is gone, however that came.
pub fn end_with_standard_input() {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}

struct Server {
    protocol: Protocol,
    epoll: OwnedFd,
    listeners: Vec<OwnedFd>,
    /// By epoll key; the keys of the listeners are the first ones.
    connections: HashMap<u64, Connection>,
    next_key: u64,
    chunk: Vec<u8>,
}

/// One client. Its bytes wait in `out` while it does not read.
struct Connection {
    socket: File,
    /// Raw: never. WebSocket: once the handshake is done.
    upgraded: bool,
    input: Vec<u8>,
    out: Vec<u8>,
    closing: bool,
}

impl Server {
    fn new(protocol: Protocol, listeners: Vec<OwnedFd>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (key, listener) in (0..).zip(&listeners) {
            epoll::add(&epoll, listener, EventData::new_u64(key), EventFlags::IN)?;
        }
        let next_key = listeners.len() as u64;
        Ok(Self {
            protocol,
            epoll,
            listeners,
            connections: HashMap::new(),
            next_key,
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    fn run(mut self) -> Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let key = event.data.u64();
                match usize::try_from(key).ok().filter(|&index| index < self.listeners.len()) {
                    Some(index) => self.accept(index)?,
                    None => self.turn(key),
                }
            }
        }
    }

    fn accept(&mut self, index: usize) -> Result<()> {
        while let Ok(socket) =
            accept_with(&self.listeners[index], SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
        {
            // A unix socket has no such option.
            let _ = rustix::net::sockopt::set_tcp_nodelay(&socket, true);
            let key = self.next_key;
            self.next_key += 1;
            epoll::add(&self.epoll, &socket, EventData::new_u64(key), EventFlags::IN)?;
            let socket = File::from(socket);
            let fresh = Connection { socket, upgraded: false, input: vec![], out: vec![], closing: false };
            self.connections.insert(key, fresh);
        }
        Ok(())
    }

    /// Does what can be done for one client; whatever goes wrong ends the connection, which the load notices.
    fn turn(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let waited = !connection.out.is_empty();
        match connection.turn(self.protocol, &mut self.chunk) {
            Ok(true) => {
                let waits = !connection.out.is_empty();
                if waits != waited {
                    let flags = if waits { EventFlags::OUT } else { EventFlags::IN };
                    let _ =
                        epoll::modify(&self.epoll, connection.socket.as_fd(), EventData::new_u64(key), flags);
                }
            }
            Ok(false) => drop(self.connections.remove(&key)),
            Err(error) => {
                if error.downcast_ref::<io::Error>().is_none() {
                    eprintln!("echo server: {error:#}");
                }
                self.connections.remove(&key);
            }
        }
    }
}

impl Connection {
    /// False once the connection is over.
    fn turn(&mut self, protocol: Protocol, chunk: &mut [u8]) -> Result<bool> {
        if self.out.len() < PENDING_BYTES_MAX && !self.closing {
            match self.socket.read(chunk) {
                Ok(0) => self.closing = true,
                Ok(len) => self.take(protocol, &chunk[..len])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(len) => drop(self.out.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(!(self.closing && self.out.is_empty()))
    }

    fn take(&mut self, protocol: Protocol, bytes: &[u8]) -> Result<()> {
        if protocol == Protocol::Raw {
            self.out.extend_from_slice(bytes);
            return Ok(());
        }
        self.input.extend_from_slice(bytes);
        if !self.upgraded {
            let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(()) };
            let head: Vec<u8> = self.input.drain(..end + 4).collect();
            self.out.extend_from_slice(upgrade_answer(&head)?.as_bytes());
            self.upgraded = true;
        }
        if !answer_frames(&mut self.input, &mut self.out)? {
            self.closing = true;
        }
        Ok(())
    }
}
