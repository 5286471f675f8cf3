//! Samples: what a fetch found, and what it is as another type (configuration §7.1, the casts).

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sample<'a> {
    /// A boolean.
    Bool(bool),
    /// A number.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text or bytes.
    Bytes(Cow<'a, [u8]>),
}

/// Room for a number or an address as text.
pub type Scratch = heapless::String<48>;

impl<'a> Sample<'a> {
    /// Bytes of the message.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }

    /// As text; numbers and addresses are written into `scratch`.
    pub fn bytes<'s>(&'s self, scratch: &'s mut Scratch) -> &'s [u8] {
        scratch.clear();
        // 48 bytes hold every number and every address.
        let _ = match self {
            Self::Bytes(bytes) => return bytes,
            Self::Bool(value) => write!(scratch, "{}", u8::from(*value)),
            Self::Int(number) => write!(scratch, "{number}"),
            Self::Ip(address) => write!(scratch, "{}", address.to_canonical()),
        };
        scratch.as_bytes()
    }

    /// As a number: that at the start of a text, 0 where there is none; an empty text is no number.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Int(number) => Some(*number),
            Self::Ip(IpAddr::V4(address)) => Some(i64::from(u32::from(*address))),
            Self::Ip(IpAddr::V6(_)) => None,
            Self::Bytes(bytes) => leading_int(bytes),
        }
    }

    /// As a boolean: a number other than 0.
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            other => other.int().is_some_and(|number| number != 0),
        }
    }

    /// As an address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).ok()?.trim();
                // Some proxies tell the port as well.
                text.parse().ok().or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()))
            }
            Self::Int(number) => u32::try_from(*number).ok().map(|n| IpAddr::V4(n.into())),
            Self::Bool(_) => None,
        }
    }

    /// The same without borrowing.
    #[must_use]
    pub fn into_owned(self) -> Sample<'static> {
        match self {
            Self::Bool(value) => Sample::Bool(value),
            Self::Int(number) => Sample::Int(number),
            Self::Ip(address) => Sample::Ip(address),
            Self::Bytes(bytes) => Sample::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// The number at the start of a text, a sign before it.
fn leading_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut number: i64 = 0;
    for digit in digits.iter().take_while(|b| b.is_ascii_digit()) {
        number = number.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    (!text.is_empty()).then_some(if negative { -number } else { number })
}
