//! Clients that hold their connections: each sends a unit, waits for the whole answer, and sends the next.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::dialogue::{Dialogue, PATIENCE};
use super::{Done, Times};

/// Connections of one kind to one address, on one thread. Dropping them closes them.
pub struct Clients {
    dialogue: Dialogue,
    epoll: OwnedFd,
    clients: Vec<Client>,
    units: u64,
}

struct Client {
    stream: TcpStream,
    send: Vec<u8>,
    expect: Vec<u8>,
    got: Vec<u8>,
    answered: bool,
    sent_at: Instant,
}

impl Clients {
    /// Opens `count` connections one after the other, each up to its first unit of work.
    pub fn open(dialogue: Dialogue, address: SocketAddr, count: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            let stream =
                dialogue.open(address).with_context(|| format!("connection {} of {count}", index + 1))?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            clients.push(Client::new(stream));
        }
        Ok(Self { dialogue, epoll, clients, units: 0 })
    }

    /// One unit on every connection, one after the other: no more than one is ever busy.
    pub fn once(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(1);
        for index in 0..self.clients.len() {
            self.send(index)?;
            let mut answered = false;
            while !answered {
                self.wait(&mut events, 1)?;
                for event in &events {
                    let speaker = usize::try_from(event.data.u64())?;
                    answered |= self.hear(speaker)? && speaker == index;
                }
            }
        }
        Ok(())
    }

    /// Units on all connections for this long, until the last one is answered.
    pub fn run(&mut self, duration: Duration) -> Result<Done> {
        let mut times = Times::new()?;
        let started = Instant::now();
        let first = self.units;
        for index in 0..self.clients.len() {
            self.send(index)?;
        }
        let mut waiting = self.clients.len();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        while waiting > 0 {
            self.wait(&mut events, waiting)?;
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                if self.hear(index)? {
                    let now = Instant::now();
                    times.record(now - self.clients[index].sent_at);
                    if now - started < duration {
                        self.send(index)?;
                    } else {
                        waiting -= 1;
                    }
                }
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(Done { units: self.units - first, seconds, latency: Some(times.latency()) })
    }

    fn send(&mut self, index: usize) -> Result<()> {
        let client = &mut self.clients[index];
        self.dialogue.unit(self.units, &mut client.send, &mut client.expect);
        self.units += 1;
        client.got.clear();
        client.answered = false;
        client.sent_at = Instant::now();
        // A unit is smaller than any send buffer, and the last one has been answered: this never waits.
        client.stream.write_all(&client.send).with_context(|| format!("sending on connection {}", index + 1))
    }

    /// True when the connection's unit is answered now.
    fn hear(&mut self, index: usize) -> Result<bool> {
        self.clients[index].hear(self.dialogue).with_context(|| format!("connection {}", index + 1))
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, waiting: usize) -> Result<()> {
        events.clear();
        let patience = Timespec { tv_sec: i64::try_from(PATIENCE.as_secs())?, tv_nsec: 0 };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&patience)) {
            Ok(0) => bail!("no answer for {PATIENCE:?} on {waiting} of {} connections", self.clients.len()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self { stream, send: vec![], expect: vec![], got: vec![], answered: true, sent_at: Instant::now() }
    }

    /// Takes what has come; true when the unit is answered.
    fn hear(&mut self, dialogue: Dialogue) -> Result<bool> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => bail!("closed by the other side after {} bytes of the answer", self.got.len()),
            Ok(len) => self.got.extend_from_slice(&chunk[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        if self.answered {
            bail!("bytes that nobody asked for: {:02x?}", self.got);
        }
        self.answered = dialogue.is_answered(&self.got, &self.expect)?;
        Ok(self.answered)
    }
}
