//! The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first byte. Bytes in, bytes
//! out; section numbers are those of its specification (`proxy-protocol.txt`).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest line of version 1, its line end included (§2.1).
const LINE_BYTES_MAX: usize = 107;
/// The longest header that is written: a line of version 1. Version 2 needs 59 bytes.
pub const WRITTEN_BYTES_MAX: usize = LINE_BYTES_MAX;

const LINE_START: &[u8] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a version 2 header before its addresses.
const FIXED_BYTES: usize = 16;
/// Version 2, and the command in the lower half of the byte: the addresses of the connection itself count, or those
/// that follow.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Family (upper half) and transport.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// The TLV that holds a checksum (§2.2.3).
const TLV_CRC32C: u8 = 0x03;

/// A header to be sent.
pub type Written = heapless::Vec<u8, WRITTEN_BYTES_MAX>;

/// Both ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Where the client is.
    pub source: SocketAddr,
    /// The address it came to.
    pub destination: SocketAddr,
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its length; what follows belongs to the client.
    pub len_bytes: usize,
    /// What it says of the client; `None` = nothing, the addresses of the connection itself count (LOCAL, UNKNOWN, and
    /// what came by another way than TCP).
    pub ends: Option<Ends>,
}

/// Why bytes are no header, and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// They begin with neither `PROXY ` nor the signature of version 2.
    NoHeader,
    /// They begin as one, but break its rules.
    Invalid,
    /// Version 1 with another protocol than TCP4, TCP6 and UNKNOWN.
    Protocol,
}

/// Reads the header at the beginning of `bytes`; `Ok(None)` = not all of it is there yet. An answer that is not "not
/// yet" stays, whatever follows.
///
/// # Errors
/// [`HeaderError`], as soon as it is certain.
pub fn parse_header(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    if begins(bytes, LINE_START) {
        parse_line(bytes)
    } else if begins(bytes, SIGNATURE) {
        parse_binary(bytes)
    } else {
        Err(HeaderError::NoHeader)
    }
}

/// Whether `bytes` begin with `start`, as far as they go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, wanted)| byte == wanted)
}

/// Version 1 (§2.1).
fn parse_line(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let within = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
    let Some(line_feed) = memchr::memchr(b'\n', within) else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(None) } else { Err(HeaderError::Invalid) };
    };
    let line = within.get(..line_feed).and_then(|line| line.strip_suffix(b"\r"));
    let text = line.and_then(|line| line.strip_prefix(LINE_START)).ok_or(HeaderError::Invalid)?;
    let ends = if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        None
    } else if let Some(words) = text.strip_prefix(b"TCP4 ") {
        Some(line_ends(words, |word| Ipv4Addr::from_str(word).ok().map(IpAddr::V4))?)
    } else if let Some(words) = text.strip_prefix(b"TCP6 ") {
        Some(line_ends(words, |word| Ipv6Addr::from_str(word).ok().map(IpAddr::V6))?)
    } else {
        return Err(HeaderError::Protocol);
    };
    Ok(Some(Header { len_bytes: line_feed + 1, ends }))
}

/// Two addresses and two ports, with one space between them.
fn line_ends(words: &[u8], address: fn(&str) -> Option<IpAddr>) -> Result<Ends, HeaderError> {
    let ends = || {
        let mut words = std::str::from_utf8(words).ok()?.split(' ');
        let (source, destination) = (address(words.next()?)?, address(words.next()?)?);
        let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
        let ends = Ends {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        };
        words.next().is_none().then_some(ends)
    };
    ends().ok_or(HeaderError::Invalid)
}

/// Digits alone, and no zero before others.
fn port(word: &str) -> Option<u16> {
    let plain = word == "0" || !word.starts_with(['0', '+']);
    plain.then(|| word.parse().ok()).flatten()
}

/// Version 2 (§2.2).
fn parse_binary(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let command = bytes.get(12).copied();
    match command {
        Some(LOCAL | PROXY) | None => {}
        // The version is part of what tells a header from other bytes.
        Some(byte) if byte & 0xf0 != 0x20 => return Err(HeaderError::NoHeader),
        Some(_) => return Err(HeaderError::Invalid),
    }
    let Some(&[.., family, high, low]) = bytes.first_chunk::<FIXED_BYTES>() else { return Ok(None) };
    let len_bytes = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    let Some(whole) = bytes.get(..len_bytes) else { return Ok(None) };
    let ends = match command {
        Some(PROXY) => binary_ends(whole, family).ok_or(HeaderError::Invalid)?,
        _ => None,
    };
    Ok(Some(Header { len_bytes, ends }))
}

/// The addresses of a whole header; the outer `None` = it breaks a rule.
fn binary_ends(whole: &[u8], family: u8) -> Option<Option<Ends>> {
    let addresses_bytes = match family >> 4 {
        // Whatever it holds is for nobody.
        0 => return (family & 15 <= 2).then_some(None),
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return None,
    };
    let (addresses, tlvs) = whole.get(FIXED_BYTES..)?.split_at_checked(addresses_bytes)?;
    check_tlvs(whole, tlvs)?;
    match family {
        TCP4 => Some(Some(addresses_of::<4>(addresses)?)),
        TCP6 => Some(Some(addresses_of::<16>(addresses)?)),
        // Unix sockets and datagrams: valid, and of no use for a TCP address.
        _ => (family & 15 <= 2).then_some(None),
    }
}

fn addresses_of<const LEN: usize>(bytes: &[u8]) -> Option<Ends>
where
    IpAddr: From<[u8; LEN]>,
{
    let (source, bytes) = bytes.split_first_chunk::<LEN>()?;
    let (destination, bytes) = bytes.split_first_chunk::<LEN>()?;
    let (source_port, destination_port) = bytes.split_first_chunk::<2>()?;
    let destination_port = destination_port.first_chunk::<2>()?;
    Some(Ends {
        source: SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(IpAddr::from(*destination), u16::from_be_bytes(*destination_port)),
    })
}

/// Passes over what follows the addresses; a checksum must be right (§2.2.3).
fn check_tlvs(whole: &[u8], mut tlvs: &[u8]) -> Option<()> {
    while !tlvs.is_empty() {
        let (&[kind, high, low], rest) = tlvs.split_first_chunk::<3>()?;
        let (value, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        if kind == TLV_CRC32C {
            let value_at = whole.len() - rest.len();
            let zeroed = value_at..value_at + 4;
            let bytes =
                whole.iter().enumerate().map(|(at, &byte)| if zeroed.contains(&at) { 0 } else { byte });
            if value != crc32c(&mut bytes.into_iter()).to_be_bytes() {
                return None;
            }
        }
        tlvs = after;
    }
    Some(())
}

/// The checksum of RFC 4960, appendix B; bit by bit, as it is seldom asked for.
fn crc32c(bytes: &mut dyn Iterator<Item = u8>) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0x82f6_3b78 };
        }
    }
    !crc
}

/// Writes a line of version 1; without addresses of one family it says UNKNOWN.
pub fn write_line(ends: Option<&Ends>) -> Written {
    let mut out = Written::new();
    let family = match ends {
        Some(Ends { source: SocketAddr::V4(_), destination: SocketAddr::V4(_) }) => "TCP4",
        Some(Ends { source: SocketAddr::V6(_), destination: SocketAddr::V6(_) }) => "TCP6",
        _ => "UNKNOWN",
    };
    // Cannot fail: the longest line fits.
    let _ = match ends {
        Some(Ends { source, destination }) if family != "UNKNOWN" => write!(
            out,
            "PROXY {family} {} {} {} {}\r\n",
            source.ip(),
            destination.ip(),
            source.port(),
            destination.port()
        ),
        _ => out.write_str("PROXY UNKNOWN\r\n"),
    };
    out
}

/// Writes a header of version 2, with a checksum where asked for; without addresses of one family it says LOCAL.
pub fn write_binary(ends: Option<&Ends>, with_crc32c: bool) -> Written {
    let mut addresses = heapless::Vec::<u8, 36>::new();
    let (command, family) = match ends {
        Some(Ends { source: SocketAddr::V4(source), destination: SocketAddr::V4(destination) }) => {
            push(&mut addresses, &[&source.ip().octets(), &destination.ip().octets()]);
            push(&mut addresses, &[&source.port().to_be_bytes(), &destination.port().to_be_bytes()]);
            (PROXY, TCP4)
        }
        Some(Ends { source: SocketAddr::V6(source), destination: SocketAddr::V6(destination) }) => {
            push(&mut addresses, &[&source.ip().octets(), &destination.ip().octets()]);
            push(&mut addresses, &[&source.port().to_be_bytes(), &destination.port().to_be_bytes()]);
            (PROXY, TCP6)
        }
        _ => (LOCAL, 0),
    };
    let tlv: &[u8] = if with_crc32c { &[TLV_CRC32C, 0, 4, 0, 0, 0, 0] } else { &[] };
    let mut out = Written::new();
    // Cannot exceed a byte: at most 36 and 7.
    let len = (addresses.len() + tlv.len()) as u8;
    push(&mut out, &[SIGNATURE, &[command, family, 0, len], &addresses, tlv]);
    if with_crc32c {
        let crc = crc32c(&mut out.iter().copied());
        out.truncate(out.len().saturating_sub(4));
        push(&mut out, &[&crc.to_be_bytes()]);
    }
    out
}

/// Appends; all that is written here fits.
fn push<const MAX: usize>(out: &mut heapless::Vec<u8, MAX>, parts: &[&[u8]]) {
    for part in parts {
        let fits = out.extend_from_slice(part);
        debug_assert!(fits.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(source: &str, destination: &str) -> Ends {
        Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family][..], &len, body].concat()
    }

    fn four() -> Vec<u8> {
        let (source, destination) = ([192, 0, 2, 1], [198, 51, 100, 2]);
        [&source[..], &destination, &1234_u16.to_be_bytes(), &80_u16.to_be_bytes()].concat()
    }

    fn with_tail(header: &[u8]) -> Vec<u8> {
        [header, b"GET / HTTP/1.1\r\n"].concat()
    }

    /// A whole header: not yet at each cut before its end, and the same with bytes behind it.
    #[track_caller]
    fn whole(header: &[u8], ends: Option<Ends>) {
        for len in 0..header.len() {
            assert_eq!(parse_header(&header[..len]), Ok(None), "{len} bytes");
        }
        let expected = Ok(Some(Header { len_bytes: header.len(), ends }));
        assert_eq!(parse_header(header), expected);
        assert_eq!(parse_header(&with_tail(header)), expected);
    }

    #[track_caller]
    fn refused(bytes: &[u8], error: HeaderError) {
        assert_eq!(parse_header(bytes), Err(error), "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn lines() {
        let v4 = ends("192.0.2.1:1234", "198.51.100.2:80");
        whole(b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\n", Some(v4));
        let v6 = ends("[2001:db8::1]:0", "[::2]:65535");
        whole(b"PROXY TCP6 2001:db8::1 ::2 0 65535\r\n", Some(v6));
        let mapped = ends("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
        whole(b"PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c000:0202 1 2\r\n", Some(mapped));
        whole(b"PROXY UNKNOWN\r\n", None);
        whole(b"PROXY UNKNOWN what ever \r is here\r\n", None);
    }

    #[test]
    fn the_longest_line_is_107_bytes() {
        let line = |len: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(len - 16)).into_bytes();
        whole(&line(107), None);
        assert_eq!(parse_header(&line(108)[..106]), Ok(None));
        refused(&line(108)[..107], HeaderError::Invalid);
        refused(&line(108), HeaderError::Invalid);
    }

    #[test]
    fn bad_lines() {
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\n",
            "PROXY TCP4  192.0.2.1 198.51.100.2 1234 80\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234 80 \r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234 80 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234 65536\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 01234 80\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 +1234 80\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 -1 80\r\n",
            "PROXY TCP4 192.0.02.1 198.51.100.2 1234 80\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.2 1234 80\r\n",
            "PROXY TCP4 2001:db8::1 ::2 1234 80\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.2 1234 80\r\n",
            "PROXY TCP6 fe80::1%lo ::2 1234 80\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\r\n",
            "PROXY TCP4 \u{661}92.0.2.1 198.51.100.2 1234 80\r\n",
            "PROXY UNKNOWN\n",
        ] {
            refused(line.as_bytes(), HeaderError::Invalid);
        }
        for line in ["PROXY TCP5 a b c d\r\n", "PROXY UNKNOWNS\r\n", "PROXY \r\n", "PROXY tcp4 a b c d\r\n"] {
            refused(line.as_bytes(), HeaderError::Protocol);
        }
        for line in ["GET / HTTP/1.1\r\n", "proxy TCP4", "PROXY\t", "PROXYTCP4", "\0", "\r\nGET"] {
            refused(line.as_bytes(), HeaderError::NoHeader);
        }
    }

    #[test]
    fn binary_headers() {
        let v4 = ends("192.0.2.1:1234", "198.51.100.2:80");
        whole(&binary(PROXY, TCP4, &four()), Some(v4));
        let six = [&[0x20; 16][..], &[0x30; 16], &[0, 1, 0, 2]].concat();
        let v6 = ends(
            "[2020:2020:2020:2020:2020:2020:2020:2020]:1",
            "[3030:3030:3030:3030:3030:3030:3030:3030]:2",
        );
        whole(&binary(PROXY, TCP6, &six), Some(v6));
        whole(&binary(LOCAL, 0, b""), None);
        // What comes with LOCAL is passed over, whatever it is.
        whole(&binary(LOCAL, 0x99, b"ignored"), None);
        whole(&binary(PROXY, 0, b"ignored"), None);
        whole(&binary(PROXY, 0x31, &[b'/'; 216]), None);
        whole(&binary(PROXY, 0x32, &[b'/'; 216]), None);
        whole(&binary(PROXY, 0x12, &four()), None);
        whole(&binary(PROXY, 0x10, &four()), None);
    }

    #[test]
    fn tlvs_are_passed_over() {
        let v4 = ends("192.0.2.1:1234", "198.51.100.2:80");
        whole(&binary(PROXY, TCP4, &[&four()[..], b"\x04\0\x03abc\x02\0\0"].concat()), Some(v4));
        let long = [&four()[..], b"\x04\x0b\xb8", &[b'x'; 3_000]].concat();
        whole(&binary(PROXY, TCP4, &long), Some(v4));
        for bad in [&b"\x04"[..], b"\x04\0\x04abc", b"\x04\0"] {
            refused(&binary(PROXY, TCP4, &[&four()[..], bad].concat()), HeaderError::Invalid);
        }
    }

    #[test]
    fn a_checksum_must_be_right() {
        // HAProxy 2.6 sent this one: 127.0.0.1:34266 to 127.0.0.1:54033.
        let header = b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x13\x7f\x00\x00\x01\x7f\x00\x00\x01\x85\xda\xd3\x11\
                       \x03\x00\x04_p\x9a}";
        let ends = ends("127.0.0.1:34266", "127.0.0.1:54033");
        whole(header, Some(ends));
        assert_eq!(write_binary(Some(&ends), true), header);
        for bit in 0..8 {
            let mut broken = header.to_vec();
            broken[18] ^= 1 << bit;
            refused(&broken, HeaderError::Invalid);
        }
        refused(&binary(PROXY, TCP4, &[&four()[..], b"\x03\0\x03abc"].concat()), HeaderError::Invalid);
        let local = write_binary(None, true);
        whole(&local, None);
    }

    #[test]
    fn bad_binary_headers() {
        refused(&binary(PROXY, TCP4, &four()[..11]), HeaderError::Invalid);
        refused(&binary(PROXY, TCP6, &four()), HeaderError::Invalid);
        refused(&binary(PROXY, 0x31, &four()), HeaderError::Invalid);
        for family in [0x41, 0xf1, 0x13, 0x03] {
            refused(&binary(PROXY, family, &[0; 216]), HeaderError::Invalid);
        }
        refused(&[&SIGNATURE[..], &[0x22]].concat(), HeaderError::Invalid);
        refused(&[&SIGNATURE[..], &[0x11]].concat(), HeaderError::NoHeader);
        refused(b"\r\n\r\n\0\r\nQUIX", HeaderError::NoHeader);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let pairs = [
            ends("192.0.2.1:1234", "198.51.100.2:80"),
            ends("[2001:db8::1]:1234", "[::2]:80"),
            ends(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff2]:65535",
            ),
        ];
        for ends in pairs {
            for header in
                [write_line(Some(&ends)), write_binary(Some(&ends), false), write_binary(Some(&ends), true)]
            {
                whole(&header, Some(ends));
            }
        }
        let mixed = ends("192.0.2.1:1234", "[::2]:80");
        assert_eq!(write_line(Some(&mixed)), b"PROXY UNKNOWN\r\n");
        assert_eq!(write_line(None), b"PROXY UNKNOWN\r\n");
        assert_eq!(write_binary(None, false), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
        assert_eq!(write_binary(Some(&mixed), false), write_binary(None, false));
    }
}
