//! Backends that do exactly what a test tells them, and remember every byte they got.

use super::client::parse_fields;
use super::ports::{is_listening, is_listening_on};
use super::socket::{End, Socket};
use super::{SOON, eventually};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A backend with a script for each of its connections.
pub struct Backend {
    /// Its port on 127.0.0.1 (0 for a unix socket).
    pub port: u16,
    shared: Arc<Shared>,
    waker: Waker,
}

/// How to wake the accepting thread so that it can end.
enum Waker {
    Tcp(std::net::SocketAddr),
    Unix(SocketAddr),
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Arc<Record>>>,
    open: AtomicUsize,
    open_most: AtomicUsize,
    stopping: AtomicBool,
}

/// What happened on one connection.
#[derive(Default)]
struct Record {
    bytes: Mutex<Vec<u8>>,
    end: Mutex<Option<End>>,
}

/// The backend's end of one connection, in the hands of its script. It is closed when the script returns.
pub struct Peer {
    socket: Socket,
    pending: Vec<u8>,
    record: Arc<Record>,
}

/// A request as a backend got it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// As sent.
    pub target: String,
    /// The head as it came.
    pub head: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// After a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Request {
    /// All values of a header (lower case).
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Whether a header names this token.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .iter()
            .any(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case(token)))
    }
}

impl Backend {
    /// A backend on a port of its own; `script` runs on a thread for each connection.
    pub fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// A backend on this port of 127.0.0.1.
    pub fn on_port(port: u16, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind(("127.0.0.1", port)).unwrap(), script)
    }

    /// A backend on any listening socket.
    pub fn listen(listener: TcpListener, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        // The standard library's backlog of 128 would be the bottleneck of the load tests.
        rustix::net::listen(&listener, 4_096).unwrap();
        let accept = move || listener.accept().map(|(stream, _)| Socket::tcp(stream));
        Self::run(address.port(), Waker::Tcp(address), accept, script)
    }

    /// A backend on a unix socket at `path`.
    pub fn on_path(path: &Path, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::on_unix(SocketAddr::from_pathname(path).unwrap(), script)
    }

    /// A backend in the abstract namespace.
    pub fn on_abstract_name(name: &str, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::on_unix(SocketAddr::from_abstract_name(name).unwrap(), script)
    }

    fn on_unix(address: SocketAddr, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind_addr(&address).unwrap();
        let accept = move || listener.accept().map(|(stream, _)| Socket::Unix(stream));
        Self::run(0, Waker::Unix(address), accept, script)
    }

    fn run(
        port: u16,
        waker: Waker,
        accept: impl Fn() -> std::io::Result<Socket> + Send + 'static,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            while let Ok(socket) = accept() {
                if for_thread.stopping.load(Ordering::SeqCst) {
                    return;
                }
                for_thread.serve(socket, script.clone());
            }
        });
        Self { port, shared, waker }
    }

    /// Echoes every byte, half-closes after the client has.
    pub fn echo() -> Self {
        Self::start(echo)
    }

    /// A kept-alive HTTP/1.1 server that answers every request with `NAME METHOD TARGET` and an
    /// `X-Backend: NAME` header.
    pub fn web(name: &'static str) -> Self {
        Self::start(web(name))
    }

    /// Reads requests and answers each with the bytes that `answer` makes; the connection stays open.
    pub fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |peer| {
            while let Some(request) = peer.read_request() {
                peer.write(answer(&request));
            }
        })
    }

    /// Reads everything, answers nothing, never closes by itself.
    pub fn silent() -> Self {
        Self::start(|peer| {
            peer.read_to_end();
        })
    }

    /// Stops accepting; its port is then free (or refuses). Open connections go on.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let listens: Box<dyn Fn() -> bool> = match &self.waker {
            Waker::Unix(address) => {
                drop(std::os::unix::net::UnixStream::connect_addr(address));
                return;
            }
            Waker::Tcp(address) => {
                drop(TcpStream::connect(address));
                match *address {
                    std::net::SocketAddr::V4(address) => Box::new(move || is_listening_on(address)),
                    std::net::SocketAddr::V6(address) => Box::new(move || is_listening(address.port())),
                }
            }
        };
        eventually("a stopped backend no longer listens", || !listens());
    }

    /// How many connections came, those of health checks included.
    pub fn accepts(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many connections were open at the same time, at most.
    pub fn open_most(&self) -> usize {
        self.shared.open_most.load(Ordering::SeqCst)
    }

    /// Every byte of connection `index` so far; empty when there is no such connection.
    pub fn received(&self, index: usize) -> Vec<u8> {
        let connections = self.shared.connections.lock().unwrap();
        connections.get(index).map(|record| record.bytes.lock().unwrap().clone()).unwrap_or_default()
    }

    /// Every byte of all connections, in the order of the connections.
    pub fn received_all(&self) -> Vec<u8> {
        (0..self.accepts()).flat_map(|index| self.received(index)).collect()
    }

    /// How connection `index` ended, if it has.
    pub fn end(&self, index: usize) -> Option<End> {
        let connections = self.shared.connections.lock().unwrap();
        connections.get(index).and_then(|record| *record.end.lock().unwrap())
    }

    /// Waits for the end of connection `index`.
    #[track_caller]
    pub fn wait_end(&self, index: usize) -> End {
        eventually("the backend's connection ends", || self.end(index).is_some());
        self.end(index).unwrap()
    }

    /// Waits until connection `index` has got exactly these bytes.
    #[track_caller]
    pub fn wait_received(&self, index: usize, bytes: &[u8]) {
        let started = std::time::Instant::now();
        loop {
            let got = self.received(index);
            if got == bytes {
                return;
            }
            assert!(
                started.elapsed() < SOON,
                "the backend got {} and not {}",
                super::show(&got),
                super::show(bytes)
            );
            std::thread::sleep(super::ms(5));
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if !self.shared.stopping.load(Ordering::SeqCst) {
            self.stop();
        }
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, socket: Socket, script: Arc<impl Fn(&mut Peer) + Send + Sync + 'static>) {
        let record = Arc::new(Record::default());
        self.connections.lock().unwrap().push(record.clone());
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.open_most.fetch_max(open, Ordering::SeqCst);
        let shared = self.clone();
        std::thread::Builder::new()
            .stack_size(512 * 1024)
            .spawn(move || {
                let mut peer = Peer { socket, pending: Vec::new(), record };
                script(&mut peer);
                drop(peer);
                shared.open.fetch_sub(1, Ordering::SeqCst);
            })
            .expect("a thread for a backend's connection");
    }
}

impl Peer {
    /// Sends bytes; false when the gateway has gone.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket.write(bytes.as_ref())
    }

    /// Half-closes.
    pub fn finish(&self) {
        self.socket.finish();
    }

    /// Makes the coming close (the script's return) a reset.
    pub fn reset(&self) {
        self.socket.reset_on_close();
    }

    /// Does nothing for a while.
    pub fn pause(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    /// Some bytes, or how the connection ended. Waits five minutes, then gives the connection up.
    pub fn read_some(&mut self) -> Result<Vec<u8>, End> {
        if self.pending.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.pending))
    }

    /// Exactly `count` bytes, or `None` when the connection ended before.
    pub fn read_exact(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.pending.len() < count {
            self.fill().ok()?;
        }
        Some(self.pending.drain(..count).collect())
    }

    /// Everything up to the end.
    pub fn read_to_end(&mut self) -> End {
        loop {
            self.pending.clear();
            if let Err(end) = self.fill() {
                return end;
            }
        }
    }

    /// A head up to and with its empty line.
    pub fn read_head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.pending.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.pending.drain(..at + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            self.fill().ok()?;
        }
    }

    /// A whole request, its body included.
    pub fn read_request(&mut self) -> Option<Request> {
        let head = self.read_head()?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().to_string();
        let target = words.next().unwrap_or_default().to_string();
        let headers = parse_fields(lines);
        let mut request = Request { method, target, head, headers, body: Vec::new(), trailers: Vec::new() };
        if request.has_token("transfer-encoding", "chunked") {
            self.read_chunks(&mut request)?;
        } else if let Some(length) = request.values("content-length").first() {
            let length = length.parse().ok()?;
            request.body = self.read_exact(length)?;
        }
        Some(request)
    }

    fn read_chunks(&mut self, request: &mut Request) -> Option<()> {
        loop {
            let line = self.read_line()?;
            let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            request.body.extend(self.read_exact(size)?);
            self.read_exact(2)?;
        }
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Some(());
            }
            request.trailers.extend(parse_fields([line.as_str()].into_iter()));
        }
    }

    /// A line without its end.
    pub fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.pending.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..at + 2).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.fill().ok()?;
        }
    }

    fn fill(&mut self) -> Result<(), End> {
        self.socket.set_read_timeout(Duration::from_secs(300));
        let mut buffer = [0; 65_536];
        match self.socket.read(&mut buffer) {
            Ok(count) => {
                // Load tests send a lot; what nobody will look at is not kept.
                let mut kept = self.record.bytes.lock().unwrap();
                if kept.len() < 1024 * 1024 {
                    kept.extend_from_slice(&buffer[..count]);
                }
                self.pending.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(end) => {
                *self.record.end.lock().unwrap() = Some(end);
                Err(end)
            }
        }
    }
}

/// A port that neither accepts nor refuses: its accept queue is full.
pub struct BlackHole {
    /// The port of 127.0.0.1.
    pub port: u16,
    _listener: TcpListener,
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    /// Listens, and fills the queue.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut fillers = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, super::ms(300)) {
            fillers.push(stream);
            assert!(fillers.len() < 20, "the accept queue does not fill");
        }
        Self { port: address.port(), _listener: listener, _fillers: fillers }
    }
}

/// The script of [`Backend::echo`].
pub fn echo(peer: &mut Peer) {
    while let Ok(bytes) = peer.read_some() {
        if !peer.write(bytes) {
            return;
        }
    }
    peer.finish();
}

/// The script of [`Backend::web`].
pub fn web(name: &'static str) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    move |peer| {
        while let Some(request) = peer.read_request() {
            let body = format!("{name} {} {}\n", request.method, request.target);
            let head =
                format!("HTTP/1.1 200 OK\r\nX-Backend: {name}\r\nContent-Length: {}\r\n\r\n", body.len());
            let shown = if request.method == "HEAD" { "" } else { body.as_str() };
            if !peer.write(format!("{head}{shown}")) || request.has_token("connection", "close") {
                return;
            }
        }
    }
}

/// Reads a request and answers with the beginning of a head that is `len` bytes long, as long as somebody takes it.
pub fn endless_head(peer: &mut Peer, len: usize) {
    if peer.read_request().is_none() {
        return;
    }
    let field = format!("X-Filler: {}\r\n", "f".repeat(1_000));
    let block = field.repeat(64);
    let mut left = len;
    let mut goes_on = peer.write("HTTP/1.1 200 OK\r\nX-Origin: a\r\n");
    while goes_on && left > 0 {
        let part = left.min(block.len());
        goes_on = peer.write(&block.as_bytes()[..part]);
        left -= part;
    }
    peer.read_to_end();
}

/// `200 OK` with this body.
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
