//! A raw client: sends exactly these bytes in exactly these pieces, reads what comes.

use super::socket::{End, Socket};
use super::{SOON, show};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// One client connection.
pub struct Client {
    socket: Socket,
    /// Read and not yet asked for.
    pending: Vec<u8>,
}

/// A whole HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The three digits.
    pub status: u16,
    /// Status line and header lines as they came, the empty line included.
    pub head: String,
    /// Names in lower case, values trimmed, in order.
    pub headers: Vec<(String, String)>,
    /// The body with its framing removed.
    pub body: Vec<u8>,
    /// Trailer fields after a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Answer {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    #[track_caller]
    pub fn to(port: u16) -> Self {
        Self::to_address(("127.0.0.1", port))
    }

    /// Connects to any TCP address.
    #[track_caller]
    pub fn to_address(address: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway accepts the connection");
        Self::over(Socket::tcp(stream))
    }

    /// Connects to a port of 127.0.0.1 from another address of this machine, such as 127.0.0.8.
    #[track_caller]
    pub fn from_source(source: &str, port: u16) -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&descriptor, &SocketAddrV4::new(source.parse().unwrap(), 0)).unwrap();
        connect(&descriptor, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).unwrap();
        Self::over(Socket::tcp(descriptor.into()))
    }

    /// Connects to a unix socket's path.
    #[track_caller]
    pub fn to_path(path: &Path) -> Self {
        Self::over(Socket::Unix(UnixStream::connect(path).expect("the gateway accepts on its unix socket")))
    }

    /// Uses a connection that exists.
    pub fn over(socket: Socket) -> Self {
        Self { socket, pending: Vec::new() }
    }

    /// Its own port (0 on a unix socket).
    pub fn local_port(&self) -> u16 {
        match &self.socket {
            Socket::Tcp(stream) => stream.local_addr().map_or(0, |address| address.port()),
            Socket::Unix(_) => 0,
        }
    }

    /// Sends bytes; false when the gateway has already gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket.write(bytes.as_ref())
    }

    /// Sends pieces with a pause between them; stops quietly when the gateway closes in between.
    pub fn send_pieces<P: AsRef<[u8]>>(&mut self, pieces: impl IntoIterator<Item = P>, pause: Duration) {
        for (index, piece) in pieces.into_iter().enumerate() {
            if index > 0 {
                std::thread::sleep(pause);
            }
            if !self.socket.write(piece.as_ref()) {
                return;
            }
        }
    }

    /// Sends one byte at a time with a pause between them.
    pub fn send_bytewise(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) {
        self.send_pieces(bytes.as_ref().chunks(1), pause);
    }

    /// Half-closes.
    pub fn finish(&self) {
        self.socket.finish();
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.socket.reset_on_close();
    }

    /// The socket, for what the methods here do not do. Nothing may have been read ahead.
    pub fn into_socket(self) -> Socket {
        assert!(self.pending.is_empty(), "bytes read ahead would be lost: {}", show(&self.pending));
        self.socket
    }

    /// Reads exactly `count` bytes.
    #[track_caller]
    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        while self.pending.len() < count {
            if let Err(end) = self.fill(SOON) {
                panic!("{count} bytes expected, then {end:?} after {}", show(&self.pending));
            }
        }
        self.pending.drain(..count).collect()
    }

    /// Reads until the connection ends or nothing comes for `quiet`.
    pub fn read_until_quiet(&mut self, quiet: Duration) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.fill(quiet) {
                return (std::mem::take(&mut self.pending), end);
            }
        }
    }

    /// Reads to the end of the connection, which must come soon.
    #[track_caller]
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let (bytes, end) = self.read_until_quiet(SOON);
        assert_ne!(end, End::Open, "the connection is still open after {}", show(&bytes));
        (bytes, end)
    }

    /// Fails when anything comes, or the connection ends, within `quiet`.
    #[track_caller]
    pub fn expect_silence(&mut self, quiet: Duration) {
        assert!(self.pending.is_empty(), "silence expected, got {}", show(&self.pending));
        match self.fill(quiet) {
            Err(End::Open) => {}
            Err(end) => panic!("silence expected, but the connection ended: {end:?}"),
            Ok(()) => panic!("silence expected, got {}", show(&self.pending)),
        }
    }

    /// Reads one answer to a request that was not HEAD. Interim answers (1xx) are answers of their own.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// Reads one answer to a request with this method.
    #[track_caller]
    pub fn answer_to(&mut self, method: &str) -> Answer {
        match self.try_answer_to(method) {
            Ok(answer) => answer,
            Err(problem) => panic!("{problem}"),
        }
    }

    /// Reads one answer, or says what came instead.
    pub fn try_answer_to(&mut self, method: &str) -> Result<Answer, String> {
        let head = self.read_head()?;
        let (status, headers) = parse_answer_head(&head)?;
        let mut answer = Answer { status, head, headers, body: Vec::new(), trailers: Vec::new() };
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(answer);
        }
        let coding = answer.header("transfer-encoding").unwrap_or_default().to_ascii_lowercase();
        if coding.ends_with("chunked") {
            self.read_chunks(&mut answer)?;
        } else if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().map_err(|_| format!("Content-Length: {length}"))?;
            answer.body = self.try_exact(length)?;
        } else {
            let (body, end) = self.read_until_quiet(SOON);
            if end == End::Open {
                return Err(format!("a body without an end: {}", show(&body)));
            }
            answer.body = body;
        }
        Ok(answer)
    }

    /// Reads up to and including an empty line.
    pub fn read_head(&mut self) -> Result<String, String> {
        loop {
            if let Some(at) = self.pending.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.pending.drain(..at + 4).collect();
                return String::from_utf8(head).map_err(|_| "a head that is not UTF-8".to_string());
            }
            if let Err(end) = self.fill(SOON) {
                return Err(format!("an HTTP head expected, then {end:?} after {}", show(&self.pending)));
            }
        }
    }

    /// Time until the connection ends; whatever comes before is dropped.
    #[track_caller]
    pub fn time_to_end(&mut self) -> (Duration, End) {
        let started = Instant::now();
        let (_, end) = self.read_to_end();
        (started.elapsed(), end)
    }

    fn read_chunks(&mut self, answer: &mut Answer) -> Result<(), String> {
        loop {
            let line = self.read_line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).map_err(|_| format!("a chunk size `{line}`"))?;
            if size == 0 {
                break;
            }
            answer.body.extend(self.try_exact(size)?);
            let end = self.try_exact(2)?;
            if end != b"\r\n" {
                return Err(format!("a chunk that ends with {}", show(&end)));
            }
        }
        loop {
            let line = self.read_line()?;
            match line.split_once(':') {
                _ if line.is_empty() => return Ok(()),
                Some((name, value)) => {
                    answer.trailers.push((name.to_ascii_lowercase(), value.trim().to_string()));
                }
                None => return Err(format!("a trailer line `{line}`")),
            }
        }
    }

    fn read_line(&mut self) -> Result<String, String> {
        loop {
            if let Some(at) = self.pending.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if let Err(end) = self.fill(SOON) {
                return Err(format!("a line expected, then {end:?} after {}", show(&self.pending)));
            }
        }
    }

    fn try_exact(&mut self, count: usize) -> Result<Vec<u8>, String> {
        while self.pending.len() < count {
            if let Err(end) = self.fill(SOON) {
                return Err(format!("{end:?} after {} of {count} bytes", self.pending.len()));
            }
        }
        Ok(self.pending.drain(..count).collect())
    }

    fn fill(&mut self, limit: Duration) -> Result<(), End> {
        self.socket.set_read_timeout(limit);
        let mut buffer = [0; 65_536];
        let count = self.socket.read(&mut buffer)?;
        self.pending.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

/// Status and headers of an answer's head.
pub fn parse_answer_head(head: &str) -> Result<(u16, Vec<(String, String)>), String> {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("a status line expected, got `{status_line}`"))?;
    Ok((status, parse_fields(lines)))
}

/// Header lines as pairs, names in lower case.
pub fn parse_fields<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_string()))
        .collect()
}
