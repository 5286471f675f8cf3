//! Connections that are opened, say one message of the raw protocol, hear its echo, and are closed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

use super::dialogue::{MESSAGE_BYTES, PATIENCE, PREAMBLE, message};
use super::{Done, Times};

/// One connection that is open now.
struct Visit {
    stream: TcpStream,
    expect: [u8; PREAMBLE.len() + MESSAGE_BYTES],
    got: usize,
    begun: Instant,
}

/// Keeps `slots` connections going for `duration`; units are whole lives of connections.
pub fn run(address: SocketAddr, slots: usize, duration: Duration) -> Result<Done> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut times = Times::new()?;
    let started = Instant::now();
    let mut units = 0;
    let mut visits = Vec::with_capacity(slots);
    for slot in 0..slots {
        visits.push(Some(Visit::begin(address, units, slot, &epoll)?));
        units += 1;
    }
    let mut waiting = slots;
    let mut events: Vec<epoll::Event> = Vec::with_capacity(slots);
    while waiting > 0 {
        events.clear();
        let patience = Timespec { tv_sec: i64::try_from(PATIENCE.as_secs())?, tv_nsec: 0 };
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&patience)) {
            Ok(0) => bail!("no echo for {PATIENCE:?} on {waiting} connections"),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let slot = usize::try_from(event.data.u64())?;
            let Some(visit) = visits[slot].as_mut() else { continue };
            if !visit.hear()? {
                continue;
            }
            times.record(visit.begun.elapsed());
            visits[slot] = None;
            if started.elapsed() < duration {
                visits[slot] = Some(Visit::begin(address, units, slot, &epoll)?);
                units += 1;
            } else {
                waiting -= 1;
            }
        }
    }
    Ok(Done { units, seconds: started.elapsed().as_secs_f64(), latency: Some(times.latency()) })
}

impl Visit {
    fn begin(address: SocketAddr, number: u64, slot: usize, epoll: &OwnedFd) -> Result<Self> {
        let begun = Instant::now();
        let stream = connect(address, number).with_context(|| format!("connection {}", number + 1))?;
        let mut expect = [0; PREAMBLE.len() + MESSAGE_BYTES];
        expect[..PREAMBLE.len()].copy_from_slice(&PREAMBLE);
        expect[PREAMBLE.len()..].copy_from_slice(&message(number));
        (&stream).write_all(&expect)?;
        stream.set_nonblocking(true)?;
        epoll::add(epoll, &stream, EventData::new_u64(slot as u64), EventFlags::IN)?;
        Ok(Self { stream, expect, got: 0, begun })
    }

    /// True when the whole echo is there.
    fn hear(&mut self) -> Result<bool> {
        let mut chunk = [0; 256];
        match self.stream.read(&mut chunk) {
            Ok(0) => bail!("closed after {} bytes of the echo", self.got),
            Ok(len) if self.expect[self.got..].starts_with(&chunk[..len]) => self.got += len,
            Ok(len) => bail!("a wrong echo: {:02x?}", &chunk[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.got == self.expect.len())
    }
}

/// Connects from one of many loopback addresses: the ports of one would be used up by those that linger in
/// TIME_WAIT.
fn connect(address: SocketAddr, number: u64) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    let host = u8::try_from(number % 200)? + 1;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 77, 0, host), 0)).into())?;
    socket.connect(&address.into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
