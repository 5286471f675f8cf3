//! The clients and servers around the gateway: one thread plays all of them, one step after the other, and lets
//! the gateway come to rest in between. So every read finds the same bytes in every run.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::gateway::{Gateway, PATIENCE, Ports};
use crate::upgrade::UPGRADE;

/// As curl sends it.
const REQUEST: &[u8] = b"GET /api/status?verbose=1 HTTP/1.1\r\n\
    Host: device.local:8080\r\n\
    User-Agent: curl/7.88.1\r\n\
    Accept: */*\r\n\r\n";
/// The same from a client that wants no second one.
const LAST_REQUEST: &[u8] = b"GET /api/status?verbose=1 HTTP/1.1\r\n\
    Host: device.local:8080\r\n\
    User-Agent: curl/7.88.1\r\n\
    Accept: */*\r\n\
    Connection: close\r\n\r\n";
/// As nginx sends it.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx\r\n\
    Date: Sat, 21 Nov 2026 06:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 18\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-store\r\n\r\n\
    {\"status\":\"ready\"}";

const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\n\r\n";

/// How a client of the raw socket begins.
const PREAMBLE: &[u8] = &[0; 8];
/// Messages of both tunnels: as long as a WebSocket frame with 64 bytes from a client.
const MESSAGE: &[u8] = &[0x5a; 70];

/// The listening sides of the three backends, and the web server's connection that the gateway keeps.
pub struct Backends {
    web: TcpListener,
    ws: TcpListener,
    socket: TcpListener,
    web_kept: Option<TcpStream>,
}

impl Backends {
    /// Listens on three free ports.
    pub fn new() -> io::Result<Self> {
        let listen = || TcpListener::bind(("127.0.0.1", 0));
        Ok(Self { web: listen()?, ws: listen()?, socket: listen()?, web_kept: None })
    }

    /// Where they listen.
    pub fn ports(&self) -> io::Result<Ports> {
        let port = |listener: &TcpListener| Ok::<_, io::Error>(listener.local_addr()?.port());
        Ok(Ports { web: port(&self.web)?, ws: port(&self.ws)?, socket: port(&self.socket)? })
    }

    /// One connection with this many requests; the client closes it.
    pub fn requests(&mut self, gateway: &mut Gateway, count: u32) -> io::Result<()> {
        let mut client = connect(gateway)?;
        for _ in 0..count {
            self.request(gateway, &mut client, REQUEST)?;
        }
        drop(client);
        gateway.settle()
    }

    /// One connection with one request, which asks for its end.
    pub fn lone_request(&mut self, gateway: &mut Gateway) -> io::Result<()> {
        let mut client = connect(gateway)?;
        self.request(gateway, &mut client, LAST_REQUEST)?;
        // The gateway has closed it already.
        ended(&mut client)
    }

    /// One WebSocket session with this many messages there and back; the client ends it.
    pub fn websocket(&mut self, gateway: &mut Gateway, messages: u32) -> io::Result<()> {
        tunnel(gateway, &self.ws, UPGRADE, SWITCHED, messages)
    }

    /// One session of the raw socket with this many messages there and back; the client ends it.
    pub fn raw(&mut self, gateway: &mut Gateway, messages: u32) -> io::Result<()> {
        tunnel(gateway, &self.socket, PREAMBLE, MESSAGE, messages)
    }

    fn request(&mut self, gateway: &mut Gateway, client: &mut TcpStream, request: &[u8]) -> io::Result<()> {
        client.write_all(request)?;
        let mut server = self.web_connection()?;
        read_head(&mut server)?;
        gateway.settle()?;
        server.write_all(ANSWER)?;
        read_answer(client)?;
        gateway.settle()?;
        self.web_kept = Some(server);
        Ok(())
    }

    /// The connection on which the gateway sends the next request: the one it has kept, or a new one.
    fn web_connection(&mut self) -> io::Result<TcpStream> {
        if let Some(kept) = self.web_kept.take() {
            wait_readable(&[&kept, &self.web])?;
            // Readable without a byte is a connection that has ended.
            if is_readable(&kept)? && kept.peek(&mut [0])? > 0 {
                return Ok(kept);
            }
        }
        accept(&self.web)
    }
}

/// A session of a tunnel: `hello` and its `welcome`, messages that come back as they are, the end.
fn tunnel(
    gateway: &mut Gateway,
    listener: &TcpListener,
    hello: &[u8],
    welcome: &[u8],
    messages: u32,
) -> io::Result<()> {
    let mut client = connect(gateway)?;
    client.write_all(hello)?;
    let mut server = accept(listener)?;
    expect(&mut server, hello)?;
    gateway.settle()?;
    server.write_all(welcome)?;
    expect(&mut client, welcome)?;
    gateway.settle()?;
    for _ in 0..messages {
        client.write_all(MESSAGE)?;
        expect(&mut server, MESSAGE)?;
        gateway.settle()?;
        server.write_all(MESSAGE)?;
        expect(&mut client, MESSAGE)?;
        gateway.settle()?;
    }
    drop(client);
    ended(&mut server)?;
    gateway.settle()?;
    drop(server);
    gateway.settle()
}

fn connect(gateway: &mut Gateway) -> io::Result<TcpStream> {
    let client = prepared(TcpStream::connect(("127.0.0.1", gateway.port))?)?;
    gateway.settle()?;
    Ok(client)
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    wait_readable(&[listener])?;
    prepared(listener.accept()?.0)
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads a head to its end.
fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::with_capacity(1_024);
    let mut piece = [0; 1_024];
    while !head.ends_with(b"\r\n\r\n") {
        let len = stream.read(&mut piece)?;
        if len == 0 {
            return Err(io::Error::other(
                "the gateway closed a connection to the web server before the head's end",
            ));
        }
        head.extend_from_slice(&piece[..len]);
    }
    Ok(())
}

/// Reads the answer: a head that the gateway may have changed, and the body as it was sent.
fn read_answer(stream: &mut TcpStream) -> io::Result<()> {
    let body_at = ANSWER.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    let mut answer = Vec::with_capacity(1_024);
    let mut piece = [0; 1_024];
    while !answer.ends_with(&ANSWER[body_at..]) {
        let len = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..len]);
        if len == 0 || !ANSWER.starts_with(&answer[..answer.len().min(15)]) {
            return Err(io::Error::other(format!("not the answer: {}", answer.escape_ascii())));
        }
    }
    Ok(())
}

/// Reads exactly these bytes.
fn expect(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got)?;
    if got == bytes {
        Ok(())
    } else {
        Err(io::Error::other(format!("not what was sent: {}", got.escape_ascii())))
    }
}

/// Reads the end.
fn ended(stream: &mut TcpStream) -> io::Result<()> {
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::other("more bytes where the end should be")),
    }
}

/// Waits until one of them has something to read (or to accept).
fn wait_readable<'a>(sockets: &'a [&'a dyn std::os::fd::AsFd]) -> io::Result<()> {
    let mut fds: Vec<PollFd> =
        sockets.iter().map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)).collect();
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as _, tv_nsec: 0 };
    match poll(&mut fds, Some(&patience))? {
        0 => Err(io::Error::other("the gateway sends nothing to the server")),
        _ => Ok(()),
    }
}

fn is_readable(stream: &TcpStream) -> io::Result<bool> {
    let mut fds = [PollFd::new(stream, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}
