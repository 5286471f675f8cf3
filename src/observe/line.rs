//! A bounded line, and what is written into it piece by piece.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::record::Peer;

/// The longest line, header and line end included. Also `PIPE_BUF`: so much goes into a pipe in one piece or
/// not at all.
pub const LINE_BYTES_MAX: usize = 4096;

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

    /// One byte. Asked for from everywhere: a call is a fifth of what it does.
    #[inline(never)]
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
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::Inet(text.parse().unwrap())
    }

    fn text(write: impl FnOnce(&mut LogLine)) -> String {
        let mut line = LogLine::new();
        write(&mut line);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
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
        // No code is cut in half, but for what stands after them.
        let written = text(|line| line.push_encoded(&request));
        assert_eq!(written.len(), LINE_BYTES_MAX - LINE_BYTES_MAX % 3);
        assert!(written.ends_with("#23"));
        let full = text(|line| line.push_bytes(&[b'x'; LINE_BYTES_MAX + 5]));
        assert_eq!(full.len(), LINE_BYTES_MAX);
    }
}
