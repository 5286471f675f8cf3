//! The web backend's HTTP/1.1: requests read off a kept-alive connection, answers written to it.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::listen::{close_gently, read_until};
use super::routes::{Answer, Body, Site};
use super::text::{http_date, unix_time_ms};

pub const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";

const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const BODY_BYTES_MAX: usize = 1024 * 1024;
const REQUESTS_MAX: u64 = 10_000;
/// How long a kept-alive connection may wait for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request may take from its first byte to the last of its body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Between the pieces of a streamed answer.
const PIECE_PAUSE: Duration = Duration::from_millis(120);

/// One request, read whole.
pub struct Request {
    /// As sent: methods are case-sensitive.
    pub method: String,
    /// The target up to the `?`.
    pub path: String,
    /// The target after the `?`.
    pub query: String,
    /// Names and values in the order received; bytes that are not UTF-8 become U+FFFD.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from chunks where it came so.
    pub body: Vec<u8>,
    /// 1 for the first request of its connection.
    pub number: u64,
    /// Who is connected: the gateway.
    pub peer: String,
    http_1_1: bool,
    framing: Framing,
}

impl Request {
    /// The value of the first field called `name`, in any case.
    pub fn header(&self, name: &'static str) -> Option<&str> {
        values(&self.headers, name).next()
    }

    fn keeps_alive(&self) -> bool {
        let says = |word: &str| has_token(&self.headers, "connection", word);
        !says("close") && (self.http_1_1 || says("keep-alive"))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// Why no more requests are read from a connection.
enum Stop {
    /// The client is gone, silent, or too slow: nothing to answer.
    Quietly,
    /// The request cannot be served; the connection closes after this status.
    With(u16, &'static str),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Stop {
        Stop::Quietly
    }
}

/// Serves one connection to its end.
pub fn serve(stream: TcpStream, site: &Arc<Site>) {
    let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
    let mut connection = Connection { stream, unread: Vec::new() };
    for number in 1..=REQUESTS_MAX {
        let request = match connection.read_request(number, &peer) {
            Ok(request) => request,
            Err(Stop::Quietly) => return,
            Err(Stop::With(status, reason)) => {
                let answer = Answer::text(status, reason);
                let _ = connection.write(&answer, site, "GET", true, false);
                break;
            }
        };
        let keep = request.keeps_alive() && number < REQUESTS_MAX;
        let answer = site.answer(&request);
        if connection.write(&answer, site, &request.method, request.http_1_1, keep).is_err() {
            return;
        }
        // An HTTP/1.0 client learns the end of a stream only from the closing.
        if !keep || (matches!(answer.body, Body::Pieces(_)) && !request.http_1_1) {
            break;
        }
    }
    close_gently(&connection.stream);
}

struct Connection {
    stream: TcpStream,
    /// Received and not yet used: the start of the next request, or of a body.
    unread: Vec<u8>,
}

impl Connection {
    fn read_request(&mut self, number: u64, peer: &str) -> Result<Request, Stop> {
        if self.unread.is_empty() {
            self.read_more(Instant::now() + IDLE_TIMEOUT)?;
        }
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let mut request = loop {
            match parse_head(&self.unread)? {
                Some((request, used)) if used <= HEAD_BYTES_MAX => {
                    self.unread.drain(..used);
                    break request;
                }
                None if self.unread.len() <= HEAD_BYTES_MAX => self.read_more(deadline)?,
                _ => return Err(Stop::With(431, "Request Header Fields Too Large")),
            }
        };
        let has_body = request.framing != Framing::Length(0);
        if has_body && has_token(&request.headers, "expect", "100-continue") && request.http_1_1 {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.body = match request.framing {
            Framing::Length(length) => self.take(length, deadline)?,
            Framing::Chunked => self.read_chunks(deadline)?,
        };
        request.number = number;
        request.peer = peer.to_string();
        Ok(request)
    }

    fn read_more(&mut self, deadline: Instant) -> Result<(), Stop> {
        let mut chunk = [0; 8192];
        match read_until(&self.stream, &mut chunk, deadline)? {
            0 => Err(Stop::Quietly),
            count => {
                self.unread.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// The next `count` bytes.
    fn take(&mut self, count: usize, deadline: Instant) -> Result<Vec<u8>, Stop> {
        if count > BODY_BYTES_MAX {
            return Err(Stop::With(413, "Content Too Large"));
        }
        while self.unread.len() < count {
            self.read_more(deadline)?;
        }
        let rest = self.unread.split_off(count);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    /// A chunked body and its trailers (RFC 9112 §7.1); the trailers are dropped.
    fn read_chunks(&mut self, deadline: Instant) -> Result<Vec<u8>, Stop> {
        const BAD: Stop = Stop::With(400, "Bad Request");
        let mut body = Vec::new();
        loop {
            let (used, size) = match httparse::parse_chunk_size(&self.unread).map_err(|_| BAD)? {
                httparse::Status::Complete(found) => found,
                httparse::Status::Partial if self.unread.len() > HEAD_BYTES_MAX => return Err(BAD),
                httparse::Status::Partial => {
                    self.read_more(deadline)?;
                    continue;
                }
            };
            self.unread.drain(..used);
            if size == 0 {
                return self.skip_trailers(deadline).map(|()| body);
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > BODY_BYTES_MAX.saturating_sub(body.len()) {
                return Err(Stop::With(413, "Content Too Large"));
            }
            body.append(&mut self.take(size, deadline)?);
            if self.take(2, deadline)? != b"\r\n" {
                return Err(BAD);
            }
        }
    }

    fn skip_trailers(&mut self, deadline: Instant) -> Result<(), Stop> {
        for _ in 0..HEADERS_MAX {
            let end = loop {
                match self.unread.windows(2).position(|pair| pair == b"\r\n") {
                    Some(end) => break end,
                    None if self.unread.len() > HEAD_BYTES_MAX => return Err(Stop::With(400, "Bad Request")),
                    None => self.read_more(deadline)?,
                }
            };
            self.unread.drain(..end.saturating_add(2));
            if end == 0 {
                return Ok(());
            }
        }
        Err(Stop::With(431, "Request Header Fields Too Large"))
    }

    fn write(
        &mut self,
        answer: &Answer,
        site: &Site,
        method: &str,
        http_1_1: bool,
        keep: bool,
    ) -> io::Result<()> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nServer: oneport-demo\r\nDate: {}\r\nX-Served-By: web {}\r\n\
             Content-Type: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
            answer.status,
            answer.reason,
            http_date(unix_time_ms() / 1000),
            site.address,
            answer.content_type,
        );
        for (name, value) in &answer.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &answer.body {
            Body::Whole(body) => head.push_str(&format!("Content-Length: {}\r\n", body.len())),
            Body::Pieces(_) if http_1_1 => head.push_str("Transfer-Encoding: chunked\r\n"),
            Body::Pieces(_) => {}
        }
        let keep = keep && (http_1_1 || matches!(answer.body, Body::Whole(_)));
        match (keep, http_1_1) {
            (false, _) => head.push_str("Connection: close\r\n"),
            (true, false) => head.push_str("Connection: keep-alive\r\n"),
            (true, true) => {}
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        match &answer.body {
            _ if method == "HEAD" => self.stream.write_all(&bytes),
            Body::Whole(body) => {
                bytes.extend_from_slice(body);
                self.stream.write_all(&bytes)
            }
            Body::Pieces(pieces) => {
                self.stream.write_all(&bytes)?;
                self.write_pieces(pieces, http_1_1)
            }
        }
    }

    /// Non-empty pieces with a pause before each, as chunks where the client knows them.
    fn write_pieces(&mut self, pieces: &[String], chunked: bool) -> io::Result<()> {
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            thread::sleep(PIECE_PAUSE);
            match chunked {
                true => self.stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())?,
                false => self.stream.write_all(piece.as_bytes())?,
            }
        }
        if chunked { self.stream.write_all(b"0\r\n\r\n") } else { Ok(()) }
    }
}

/// The head at the start of `bytes` and its length; `None` while it is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize)>, Stop> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let used = match head.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Stop::With(431, "Request Header Fields Too Large"));
        }
        Err(httparse::Error::Version) => return Err(Stop::With(505, "HTTP Version Not Supported")),
        Err(_) => return Err(Stop::With(400, "Bad Request")),
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|field| (field.name.to_string(), String::from_utf8_lossy(field.value).into_owned()))
        .collect();
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let http_1_1 = head.version == Some(1);
    let request = Request {
        method: head.method.unwrap_or_default().to_string(),
        path: path.to_string(),
        query: query.to_string(),
        framing: framing(&headers, http_1_1).ok_or(Stop::With(400, "Bad Request"))?,
        headers,
        body: Vec::new(),
        number: 0,
        peer: String::new(),
        http_1_1,
    };
    Ok(Some((request, used)))
}

/// How long the body is (RFC 9112 §6.3); `None` where that could be read in two ways.
fn framing(headers: &[(String, String)], http_1_1: bool) -> Option<Framing> {
    let mut codings = values(headers, "transfer-encoding");
    let mut lengths = values(headers, "content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Some(Framing::Length(0)),
        (None, Some(length)) => {
            let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            let alone = lengths.all(|other| other == length);
            if plain && alone { length.parse().ok().map(Framing::Length) } else { None }
        }
        (Some(coding), None) => {
            let known = coding.eq_ignore_ascii_case("chunked") && codings.next().is_none();
            (known && http_1_1).then_some(Framing::Chunked)
        }
        (Some(_), Some(_)) => None,
    }
}

fn values<'a>(headers: &'a [(String, String)], name: &'static str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn has_token(headers: &[(String, String)], name: &'static str, word: &str) -> bool {
    values(headers, name).flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}
