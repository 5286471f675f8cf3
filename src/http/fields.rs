//! What single fields mean for framing and persistence.

use super::head::{Framing, HeadError, Mend, Version};

/// Most options in all `Connection` fields of a head: each is looked for among all fields.
const CONNECTION_OPTIONS_MAX: usize = 64;

/// The fields this room treats in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Connection,
    ContentLength,
    Expect,
    Host,
    KeepAlive,
    ProxyConnection,
    Te,
    TransferEncoding,
    Upgrade,
    Other,
}

impl Known {
    /// Length and first letter rule nearly every other name out before its bytes are compared.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let Some(first) = name.first() else { return Self::Other };
        let (spelling, known): (&[u8], Self) = match (name.len(), first | 0x20) {
            (2, b't') => (b"te", Self::Te),
            (4, b'h') => (b"host", Self::Host),
            (6, b'e') => (b"expect", Self::Expect),
            (7, b'u') => (b"upgrade", Self::Upgrade),
            (10, b'c') => (b"connection", Self::Connection),
            (10, b'k') => (b"keep-alive", Self::KeepAlive),
            (14, b'c') => (b"content-length", Self::ContentLength),
            (16, b'p') => (b"proxy-connection", Self::ProxyConnection),
            (17, b't') => (b"transfer-encoding", Self::TransferEncoding),
            _ => return Self::Other,
        };
        if is_spelled(name, spelling) { known } else { Self::Other }
    }
}

/// Whether a token is `spelling`, which is of the same length and consists of lower-case letters and dashes. Eight
/// bytes at a time: this is asked of every field with a common length. The bit that tells letter cases apart is
/// set in a dash already, and no other byte of a token becomes one of these by it.
fn is_spelled(name: &[u8], spelling: &[u8]) -> bool {
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let ((words, rest), (same_words, same_rest)) = (name.as_chunks::<8>(), spelling.as_chunks::<8>());
    let words = words.iter().zip(same_words);
    let rest = rest.iter().zip(same_rest);
    words.fold(true, |same, (a, b)| same & (u64::from_ne_bytes(*a) | LOWER == u64::from_ne_bytes(*b)))
        && rest.fold(true, |same, (a, b)| same & (a | 0x20 == *b))
}

/// What the fields of one head say together, gathered field by field.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub length: Option<u64>,
    pub chunked: bool,
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade_option: bool,
    pub upgrade_field: bool,
    pub upgrade_h2c: bool,
    pub expect_continue: bool,
    pub mend: Mend,
    options: usize,
}

impl Facts {
    /// Takes one field in.
    pub fn note(&mut self, known: Known, value: &[u8]) -> Result<(), HeadError> {
        match known {
            Known::Connection => self.connection(value)?,
            Known::ProxyConnection => {
                for option in elements(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            Known::ContentLength => self.content_length(value)?,
            Known::TransferEncoding => self.transfer_encoding(value)?,
            Known::Upgrade => {
                self.upgrade_field = true;
                self.upgrade_h2c |= elements(value).any(|p| p.eq_ignore_ascii_case(b"h2c"));
            }
            Known::Expect => self.expect_continue |= value.eq_ignore_ascii_case(b"100-continue"),
            Known::Host | Known::KeepAlive | Known::Te | Known::Other => {}
        }
        Ok(())
    }

    /// `Connection` (RFC 9110 §7.6.1).
    fn connection(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for option in value.split(|&b| b == b',').map(trim) {
            self.options += 1;
            if self.options > CONNECTION_OPTIONS_MAX {
                return Err(HeadError::ConnectionOptions);
            }
            if option.is_empty() {
                continue;
            } else if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_option = true;
            } else {
                self.mend.connection_lists = true;
            }
        }
        Ok(())
    }

    /// `Content-Length` (RFC 9112 §6.3): digits, or a list of one and the same number.
    fn content_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for (at, element) in value.split(|&b| b == b',').enumerate() {
            let element = trim(element);
            let number = decimal(element).ok_or(HeadError::ContentLength)?;
            match self.length {
                Some(before) if before != number => return Err(HeadError::ContentLength),
                Some(_) => self.mend.fold_length = true,
                None => self.length = Some(number),
            }
            self.mend.fold_length |= at > 0 || (element.len() > 1 && element.first() == Some(&b'0'));
        }
        Ok(())
    }

    /// `Transfer-Encoding` (RFC 9112 §6.1): `chunked`, once, in one field, and nothing else.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if self.chunked {
            return Err(HeadError::TransferEncoding);
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        let mut last_is_chunked = false;
        for coding in value.split(|&b| b == b',').map(trim) {
            let compression = [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"];
            if last_is_chunked || coding.is_empty() {
                return Err(HeadError::TransferEncoding);
            } else if coding.eq_ignore_ascii_case(b"chunked") {
                last_is_chunked = true;
            } else if !compression.iter().any(|known| coding.eq_ignore_ascii_case(known)) {
                return Err(HeadError::TransferEncoding);
            }
        }
        Err(if last_is_chunked { HeadError::TransferCoding } else { HeadError::TransferEncoding })
    }

    /// Whether the sender keeps the connection open afterwards (RFC 9112 §9.3). A head whose framing was in
    /// doubt ends the connection (RFC 9112 §6.1).
    pub fn persists(&self, version: Version) -> bool {
        let asked = match version {
            Version::Http10 => self.keep_alive,
            Version::Http11 => true,
        };
        asked && !self.close && !(self.chunked && self.length.is_some())
    }

    /// The framing the fields give, if they give one; `Transfer-Encoding` wins (RFC 9112 §6.3).
    pub fn framing(&mut self, version: Version) -> Result<Option<Framing>, HeadError> {
        if self.chunked {
            if version == Version::Http10 {
                return Err(HeadError::TransferEncoding);
            }
            self.mend.drop_length = self.length.is_some();
            return Ok(Some(Framing::Chunked));
        }
        Ok(self.length.map(Framing::Length))
    }
}

/// The elements of a comma-separated list, without the empty ones (RFC 9110 §5.6.1).
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|element| !element.is_empty())
}

/// Where a short text first stands in another one.
pub fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let at = |at: &usize| text.get(*at..).is_some_and(|rest| rest.starts_with(wanted));
    (0..=text.len()).find(at)
}

/// Without the spaces and tabs around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A number of digits only, below 2^63 so that a reader with signed numbers sees the same; `None` for all else.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        let number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        (number <= i64::MAX as u64).then_some(number)
    })
}

/// Whether this byte may stand in a token (RFC 9110 §5.6.2).
#[inline]
#[allow(clippy::indexing_slicing, reason = "a byte, in a table of 256")]
pub(super) fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// What may stand in a host and port: the bytes of RFC 3986 §3.2.2, without judging their order.
#[inline]
#[allow(clippy::indexing_slicing, reason = "a byte, in a table of 256")]
pub(super) fn is_host_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & HOST != 0
}

/// What may stand in a request target: visible ASCII, but no fragment.
#[inline]
#[allow(clippy::indexing_slicing, reason = "a byte, in a table of 256")]
pub(super) fn is_target_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TARGET != 0
}

const TOKEN: u8 = 1;
const HOST: u8 = 2;
const TARGET: u8 = 4;

/// What each byte may be a part of. A table, because every byte of a request line is asked for.
#[allow(clippy::indexing_slicing, reason = "at compile time")]
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let token = matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        let host = matches!(b, b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'[' | b']')
            || matches!(b, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        if token || b.is_ascii_alphanumeric() {
            classes[byte] |= TOKEN;
        }
        if host || b.is_ascii_alphanumeric() {
            classes[byte] |= HOST;
        }
        if b.is_ascii_graphic() && b != b'#' {
            classes[byte] |= TARGET;
        }
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_the_classes_of_the_grammar() {
        for byte in 0..=255u8 {
            let alphanumeric = byte.is_ascii_alphanumeric();
            assert_eq!(is_token_byte(byte), alphanumeric || b"!#$%&'*+-.^_`|~".contains(&byte), "{byte:#x}");
            assert_eq!(
                is_host_byte(byte),
                alphanumeric || b"-._~%:[]!$&'()*+,;=".contains(&byte),
                "{byte:#x}"
            );
            assert_eq!(is_target_byte(byte), (0x21..=0x7e).contains(&byte) && byte != b'#', "{byte:#x}");
        }
    }

    #[test]
    fn names_are_known_in_any_letter_case_and_no_other() {
        let names = [
            ("te", Known::Te),
            ("host", Known::Host),
            ("expect", Known::Expect),
            ("upgrade", Known::Upgrade),
            ("connection", Known::Connection),
            ("keep-alive", Known::KeepAlive),
            ("content-length", Known::ContentLength),
            ("proxy-connection", Known::ProxyConnection),
            ("transfer-encoding", Known::TransferEncoding),
        ];
        for (name, known) in names {
            assert_eq!(Known::of(name.as_bytes()), known);
            assert_eq!(Known::of(name.to_uppercase().as_bytes()), known);
            // Every other token of the same length that differs in one byte.
            for at in 0..name.len() {
                for byte in (0..=255).filter(|&byte| is_token_byte(byte)) {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    let same = other.eq_ignore_ascii_case(name.as_bytes());
                    assert_eq!(Known::of(&other) == known, same, "{:?}", String::from_utf8_lossy(&other));
                }
            }
        }
    }
}
