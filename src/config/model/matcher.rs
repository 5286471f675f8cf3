//! How samples are compared (configuration §7.1).

use std::net::IpAddr;
use std::rc::Rc;

/// How a sample is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// The method (`-m`).
    pub kind: MatchKind,
    /// `-i`.
    pub ignore_case: bool,
    /// Any of these.
    pub patterns: Patterns,
}

/// What a sample is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patterns {
    /// Nothing: `Found` and `Bool`.
    None,
    /// Text or bytes; with `-i` in lower case.
    Bytes(Vec<Vec<u8>>),
    /// The same, many of them, sorted and each once: only for whole equality.
    Sorted(Vec<Vec<u8>>),
    /// Ranges of numbers, both ends included.
    Ints(Vec<(i64, i64)>),
    /// Networks.
    Nets(Vec<Net>),
    /// Regular expressions.
    Regexes(Vec<Regex>),
}

impl Patterns {
    /// Whether there is nothing to compare with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Bytes(list) | Self::Sorted(list) => list.is_empty(),
            Self::Ints(list) => list.is_empty(),
            Self::Nets(list) => list.is_empty(),
            Self::Regexes(list) => list.is_empty(),
        }
    }
}

/// `-m METHOD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
    /// The sample exists.
    Found,
    /// The sample is a true boolean.
    Bool,
    /// A number in a range.
    Int,
    /// An address in a network.
    Ip,
    /// The length of the sample is in a range.
    Len,
    /// Exactly equal.
    Str,
    /// Starts with.
    Beg,
    /// Ends with.
    End,
    /// Contains.
    Sub,
    /// Contains as a whole path component.
    Dir,
    /// Contains as a whole domain component.
    Dom,
    /// A regular expression finds something in it.
    Reg,
    /// Equal bytes, written in hexadecimal.
    Bin,
}

/// A network: an address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    /// The address, IPv4 or IPv6.
    pub address: IpAddr,
    /// Bits that count, up to 32 or 128.
    pub bits: u8,
}

impl Net {
    /// Whether an address lies in it. IPv4 and IPv4-mapped IPv6 addresses are the same.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                u32::from(net).checked_shr(shift) == u32::from(ip).checked_shr(shift)
            }
            (IpAddr::V6(net), ip) => {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                let shift = 128 - u32::from(self.bits.min(128));
                u128::from(net).checked_shr(shift) == u128::from(ip).checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }
}

/// A compiled regular expression. Its engine takes time linear in the text, whatever the pattern.
#[derive(Debug, Clone)]
pub struct Regex {
    /// As written.
    pub text: Rc<str>,
    /// Made from it.
    pub engine: regex_lite::Regex,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Regex {}
