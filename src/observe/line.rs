//! Session lines in HAProxy's formats, written into a bounded line.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::record::{Peer, Record, Refused};
use super::timestamp;
use super::zone::Zone;
use crate::config::Mode;

/// The longest line, header and line end included. Also `PIPE_BUF`: so much goes into a pipe in one piece or
/// not at all.
pub const LINE_BYTES_MAX: usize = 4096;

/// The line of `option tcplog` (configuration §8.2.2):
/// `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`.
pub fn tcplog(line: &mut LogLine, record: &Record, zone: &Zone) {
    push_origin(line, record, zone);
    push_timers(line, &[record.timers.wait, record.timers.connect]);
    push_so_far(line, b'/', record);
    line.push_i32(record.timers.total);
    push_so_far(line, b' ', record);
    line.push_u64(record.bytes_to_client);
    line.push(b' ');
    line.push_bytes(&record.termination[..2]);
    push_counts(line, record);
}

/// The line of `option httplog` (configuration §8.2.3):
/// `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`.
pub fn httplog(line: &mut LogLine, record: &Record, zone: &Zone) {
    let t = &record.timers;
    push_origin(line, record, zone);
    push_timers(line, &[t.request, t.wait, t.connect, t.response]);
    push_so_far(line, b'/', record);
    line.push_i32(t.total);
    line.push(b' ');
    line.push_i32(i32::from(record.status));
    push_so_far(line, b' ', record);
    line.push_u64(record.bytes_to_client);
    for cookie in record.cookies {
        line.push(b' ');
        line.push_encoded(cookie.unwrap_or(b"-"));
    }
    line.push(b' ');
    line.push_bytes(&record.termination);
    push_counts(line, record);
    for headers in record.headers.iter().filter(|headers| !headers.is_empty()) {
        line.push(b' ');
        push_captured(line, headers);
    }
    line.push_bytes(b" \"");
    line.push_encoded(record.request);
    line.push(b'"');
}

/// The line of a frontend with neither option (configuration §8.2.1):
/// `Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)`, for unix sockets `Connect to unix:1 (www/HTTP)`.
pub fn connect(line: &mut LogLine, record: &Record) {
    line.push_bytes(b"Connect ");
    if let Peer::Inet(_) = record.client {
        line.push_bytes(b"from ");
        line.push_peer(record.client);
        line.push(b' ');
    }
    line.push_bytes(b"to ");
    line.push_peer(record.local);
    line.push_bytes(b" (");
    line.push_bytes(record.frontend.as_bytes());
    line.push_bytes(match record.mode {
        Mode::Tcp => b"/TCP)",
        Mode::Http => b"/HTTP)",
    });
}

/// The line of a connection that never became a session (configuration §8.2.5):
/// `127.0.0.1:44900 [21/Nov/2026:14:24:43.755] www/1: Received an invalid PROXY protocol header`.
pub fn refused(line: &mut LogLine, refused: &Refused, zone: &Zone) {
    line.push_peer(refused.client);
    line.push_bytes(b" [");
    timestamp::haproxy(line, refused.accepted_ms, zone);
    line.push_bytes(b"] ");
    line.push_bytes(refused.frontend.as_bytes());
    line.push(b'/');
    match refused.listener {
        Some(name) => line.push_bytes(name.as_bytes()),
        None => line.push_u64(u64::from(refused.listener_number)),
    }
    line.push_bytes(b": ");
    line.push_bytes(refused.reason.as_bytes());
}

/// At the end of such a line: so many were not written since the last one.
pub fn skipped(line: &mut LogLine, count: u32) {
    if count > 0 {
        line.push_bytes(b" (");
        line.push_u64(u64::from(count));
        line.push_bytes(b" more such connections were not logged)");
    }
}

/// A separator, and the sign that what follows is not the last word.
fn push_so_far(line: &mut LogLine, separator: u8, record: &Record) {
    line.push(separator);
    if record.unfinished {
        line.push(b'+');
    }
}

/// Captured headers as `{one|two}`.
pub fn push_captured(line: &mut LogLine, headers: &[Option<Box<[u8]>>]) {
    line.push(b'{');
    for (nth, header) in headers.iter().enumerate() {
        if nth > 0 {
            line.push(b'|');
        }
        line.push_captured(header.as_deref().unwrap_or_default());
    }
    line.push(b'}');
}

/// Client, time, frontend, backend and server, which `tcplog` and `httplog` share, with a space at the end.
fn push_origin(line: &mut LogLine, record: &Record, zone: &Zone) {
    line.push_peer(record.client);
    line.push_bytes(b" [");
    timestamp::haproxy(line, record.accepted_ms, zone);
    line.push_bytes(b"] ");
    line.push_bytes(record.frontend.as_bytes());
    line.push(b' ');
    line.push_bytes(record.backend.as_bytes());
    line.push(b'/');
    line.push_bytes(record.server.as_bytes());
    line.push(b' ');
}

fn push_timers(line: &mut LogLine, timers: &[i32]) {
    for (nth, &timer) in timers.iter().enumerate() {
        if nth > 0 {
            line.push(b'/');
        }
        line.push_i32(timer);
    }
}

/// Connections, retries and queues, with a space before.
fn push_counts(line: &mut LogLine, record: &Record) {
    for (separator, count) in
        [(b' ', record.actconn), (b'/', record.feconn), (b'/', record.beconn), (b'/', record.srvconn)]
    {
        line.push(separator);
        line.push_u64(u64::from(count));
    }
    line.push_bytes(if record.redispatched { b"/+" } else { b"/" });
    line.push_u64(u64::from(record.retries));
    line.push(b' ');
    line.push_u64(u64::from(record.srv_queue));
    line.push(b'/');
    line.push_u64(u64::from(record.backend_queue));
}

/// A line of at most [`LINE_BYTES_MAX`] bytes. What does not fit is cut off, never an error: a log line has
/// nobody to report to.
#[derive(Default, Clone)]
pub struct LogLine {
    bytes: heapless::Vec<u8, LINE_BYTES_MAX>,
}

impl LogLine {
    /// An empty line.
    pub const fn new() -> Self {
        Self { bytes: heapless::Vec::new() }
    }

    /// What has been written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Cuts it to at most `len_bytes`.
    pub fn truncate(&mut self, len_bytes: usize) {
        self.bytes.truncate(len_bytes);
    }

    /// One byte.
    pub fn push(&mut self, byte: u8) {
        // A full line stays as it is.
        let _ = self.bytes.push(byte);
    }

    /// Bytes as they are: only for text that is known to be printable.
    #[allow(clippy::indexing_slicing, reason = "at most the length")]
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.bytes.capacity() - self.bytes.len());
        // Cannot fail: `fits` is within the free room.
        let _ = self.bytes.extend_from_slice(&bytes[..fits]);
    }

    /// Bytes from the network: all but 32 to 126 become `#XX`, and so do `#` and `"` (configuration §8.6).
    pub fn push_encoded(&mut self, bytes: &[u8]) {
        self.push_coded(bytes, b"");
    }

    /// The same for a captured header, which stands between braces: `{`, `|` and `}` are encoded too.
    pub fn push_captured(&mut self, bytes: &[u8]) {
        self.push_coded(bytes, b"{|}");
    }

    #[allow(clippy::indexing_slicing, reason = "a nibble, in a table of 16")]
    fn push_coded(&mut self, bytes: &[u8], too: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        for &byte in bytes {
            let coded = matches!(byte, b'#' | b'"' | 0..=31 | 127..) || too.contains(&byte);
            // All of a code or nothing: half of one would read as something else.
            let written = match coded {
                true => {
                    let code = [b'#', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                    self.bytes.extend_from_slice(&code).is_ok()
                }
                false => self.bytes.push(byte).is_ok(),
            };
            if !written {
                return;
            }
        }
    }

    /// Text of our own messages: UTF-8 stays, control bytes become `#XX`, so that one message is one line.
    pub fn push_text(&mut self, text: &[u8]) {
        for run in text.chunk_by(|a, b| a.is_ascii_control() == b.is_ascii_control()) {
            match run.first() {
                Some(first) if first.is_ascii_control() => self.push_encoded(run),
                _ => self.push_bytes(run),
            }
        }
    }

    /// A number in decimal.
    #[allow(clippy::indexing_slicing, reason = "20 digits hold every u64")]
    pub fn push_u64(&mut self, mut number: u64) {
        // 20 digits hold the greatest u64: at most ten are taken in the first loop, at most ten in the second.
        let mut digits = [0; 20];
        let mut start = digits.len();
        // 64-bit division is a library call on 32-bit boards: only what needs it goes that way.
        while number > u64::from(u32::MAX) {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        let mut small = number as u32;
        loop {
            start -= 1;
            digits[start] = b'0' + (small % 10) as u8;
            small /= 10;
            if small == 0 {
                break;
            }
        }
        self.push_bytes(&digits[start..]);
    }

    /// A signed number in decimal.
    pub fn push_i32(&mut self, number: i32) {
        if number < 0 {
            self.push(b'-');
        }
        self.push_u64(u64::from(number.unsigned_abs()));
    }

    /// The last `digits` decimal digits of a number, with leading `pad`.
    pub fn push_padded(&mut self, number: u32, digits: u32, pad: u8) {
        let mut scale = 10u32.saturating_pow(digits.saturating_sub(1));
        let mut leading = true;
        while scale > 0 {
            let digit = (number / scale % 10) as u8;
            leading &= digit == 0 && scale > 1;
            self.push(if leading { pad } else { b'0' + digit });
            scale /= 10;
        }
    }

    /// An address and port as HAProxy writes them, IPv6 without brackets.
    pub fn push_peer(&mut self, peer: Peer) {
        match peer {
            Peer::Inet(address) => self.push_address(address),
            Peer::Unix(listener) => {
                self.push_bytes(b"unix:");
                self.push_u64(u64::from(listener));
            }
        }
    }

    fn push_address(&mut self, address: SocketAddr) {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                for (nth, octet) in ip.octets().into_iter().enumerate() {
                    if nth > 0 {
                        self.push(b'.');
                    }
                    self.push_u64(u64::from(octet));
                }
            }
            IpAddr::V6(ip) => {
                // Cannot fail: writing to a line never does.
                let _ = fmt::Write::write_fmt(self, format_args!("{ip}"));
            }
        }
        self.push(b':');
        self.push_u64(u64::from(address.port()));
    }
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl fmt::Write for LogLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_bytes(text.as_bytes());
        Ok(())
    }
}

impl io::Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push_bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Timers;
    use super::*;

    /// 21 Nov 2026 03:41:11.084 UTC, the moment of the first captured line.
    const T0_MS: i64 = 1_795_232_471_084;

    fn peer(text: &str) -> Peer {
        Peer::Inet(text.parse().unwrap())
    }

    fn text(write: impl FnOnce(&mut LogLine)) -> String {
        let mut line = LogLine::new();
        write(&mut line);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    fn tcp(record: &Record) -> String {
        text(|line| tcplog(line, record, &Zone::utc()))
    }

    fn http(record: &Record) -> String {
        text(|line| httplog(line, record, &Zone::utc()))
    }

    /// What HAProxy 2.6.12 wrote for a session like this, without the syslog header.
    #[test]
    fn tcplog_is_haproxys() {
        let record = Record {
            client: peer("127.0.0.1:42336"),
            accepted_ms: T0_MS,
            frontend: "tcpf",
            backend: "b1",
            server: "s1",
            timers: Timers { wait: 1, connect: 0, total: 1, ..Timers::default() },
            bytes_to_client: 59,
            actconn: 1,
            feconn: 1,
            ..Record::default()
        };
        assert_eq!(
            tcp(&record),
            "127.0.0.1:42336 [21/Nov/2026:03:41:11.084] tcpf b1/s1 1/0/1 59 -- 1/1/0/0/0 0/0"
        );
        let record = Record { client: Peer::Unix(2), accepted_ms: T0_MS + 603, ..record };
        assert_eq!(
            tcp(&Record { timers: Timers { total: 0, ..record.timers }, ..record }),
            "unix:2 [21/Nov/2026:03:41:11.687] tcpf b1/s1 1/0/0 59 -- 1/1/0/0/0 0/0"
        );
    }

    /// What HAProxy 2.6.12 wrote: a good request, IPv6, a refused one, a partial one, a dead server after a
    /// redispatch.
    #[test]
    fn httplog_is_haproxys() {
        let good = Record {
            client: peer("[::1]:45630"),
            accepted_ms: T0_MS + 2_409,
            frontend: "httpf",
            backend: "b2",
            server: "s1",
            timers: Timers { request: 0, wait: 0, connect: 0, response: 0, total: 0 },
            bytes_to_client: 51,
            status: 200,
            actconn: 1,
            feconn: 1,
            request: b"GET /v6 HTTP/1.1",
            ..Record::default()
        };
        assert_eq!(
            http(&good),
            "::1:45630 [21/Nov/2026:03:41:13.493] httpf b2/s1 0/0/0/0/0 200 51 - - ---- 1/1/0/0/0 0/0 \
             \"GET /v6 HTTP/1.1\""
        );
        let partial = Record {
            client: peer("127.0.0.1:53096"),
            accepted_ms: T0_MS + 5_417,
            frontend: "httpf",
            backend: "httpf",
            timers: Timers { total: 1001, ..Timers::default() },
            status: 408,
            termination: *b"cR--",
            actconn: 1,
            feconn: 1,
            ..Record::default()
        };
        assert_eq!(
            http(&partial),
            "127.0.0.1:53096 [21/Nov/2026:03:41:16.501] httpf httpf/<NOSRV> -1/-1/-1/-1/1001 408 0 - - cR-- \
             1/1/0/0/0 0/0 \"<BADREQ>\""
        );
        let dead = Record {
            client: peer("127.0.0.1:38926"),
            accepted_ms: T0_MS + 79_250,
            frontend: "deadf",
            backend: "dead",
            server: "s2",
            timers: Timers { request: 0, wait: 0, total: 0, ..Timers::default() },
            status: 503,
            bytes_to_client: 217,
            termination: *b"SC--",
            actconn: 1,
            feconn: 1,
            retries: 3,
            redispatched: true,
            request: b"GET /dead HTTP/1.1",
            ..Record::default()
        };
        assert_eq!(
            http(&dead),
            "127.0.0.1:38926 [21/Nov/2026:03:42:30.334] deadf dead/s2 0/0/-1/-1/0 503 217 - - SC-- 1/1/0/0/+3 \
             0/0 \"GET /dead HTTP/1.1\""
        );
    }

    #[test]
    fn default_line_is_haproxys() {
        let record = Record {
            client: peer("127.0.0.1:51810"),
            local: peer("127.0.0.1:37629"),
            frontend: "deff",
            mode: Mode::Http,
            ..Record::default()
        };
        let written = text(|line| connect(line, &record));
        assert_eq!(written, "Connect from 127.0.0.1:51810 to 127.0.0.1:37629 (deff/HTTP)");
        let record = Record { client: Peer::Unix(2), local: Peer::Unix(2), mode: Mode::Tcp, ..record };
        assert_eq!(text(|line| connect(line, &record)), "Connect to unix:2 (deff/TCP)");
    }

    /// The pairs were sent to HAProxy 2.6.12 (with `accept-invalid-http-request`) and read from its log.
    #[test]
    fn requests_are_encoded_as_haproxy_does() {
        for (sent, logged) in [
            (&b"/{a}"[..], "/{a}"),
            (b"/a|b", "/a|b"),
            (b"/a\"b", "/a#22b"),
            (b"/a\\b", "/a\\b"),
            (b"/q?a#frag", "/q?a#23frag"),
            (b"/\xc3\xa9", "/#C3#A9"),
            (b"/[~^`<>;&'", "/[~^`<>;&'"),
            (b"\0\x1f\x7f\r\n", "#00#1F#7F#0D#0A"),
        ] {
            assert_eq!(text(|line| line.push_encoded(sent)), logged);
        }
        assert_eq!(text(|line| line.push_text("a \"é\"#\n\tb".as_bytes())), "a \"é\"##0A#09b");
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!(text(|line| line.push_peer(peer("[::ffff:192.0.2.1]:80"))), "192.0.2.1:80");
        assert_eq!(text(|line| line.push_peer(peer("[2001:db8::1]:443"))), "2001:db8::1:443");
        assert_eq!(text(|line| line.push_peer(peer("255.255.255.255:65535"))), "255.255.255.255:65535");
    }

    #[test]
    fn numbers_are_those_of_format() {
        let mut number = 1u64;
        for step in 0..200u64 {
            for n in [number, number.wrapping_sub(1), u64::MAX - number, step] {
                assert_eq!(text(|line| line.push_u64(n)), n.to_string());
                assert_eq!(text(|line| line.push_i32(n as i32)), (n as i32).to_string());
                let small = n as u32 % 1000;
                assert_eq!(text(|line| line.push_padded(small, 3, b'0')), format!("{small:03}"));
                assert_eq!(text(|line| line.push_padded(small % 100, 2, b' ')), format!("{:2}", small % 100));
            }
            number = number.wrapping_mul(3).wrapping_add(step);
        }
        for n in [i32::MIN, i32::MAX, 0, -1] {
            assert_eq!(text(|line| line.push_i32(n)), n.to_string());
        }
        for n in [u64::MAX, u64::from(u32::MAX), u64::from(u32::MAX) + 1] {
            assert_eq!(text(|line| line.push_u64(n)), n.to_string());
        }
    }

    #[test]
    fn a_line_ends_at_its_limit() {
        let request = [b'#'; LINE_BYTES_MAX];
        let mut line = LogLine::new();
        httplog(&mut line, &Record { request: &request, ..Record::default() }, &Zone::utc());
        assert!(line.as_bytes().len() <= LINE_BYTES_MAX);
        // No code is cut in half, but for what stands after them.
        let written = text(|line| line.push_encoded(&request));
        assert_eq!(written.len(), LINE_BYTES_MAX - LINE_BYTES_MAX % 3);
        assert!(written.ends_with("#23"));
        let full = text(|line| line.push_bytes(&[b'x'; LINE_BYTES_MAX + 5]));
        assert_eq!(full.len(), LINE_BYTES_MAX);
    }
}
