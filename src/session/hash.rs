//! What `balance` hashes of a request or connection, byte for byte as HAProxy does.

use std::net::{IpAddr, SocketAddr};

use super::Session;
use crate::backend::{Backend, hash, mixed};
use crate::config::{Algorithm, HashFunction, HashType, Key};
use crate::http::{Method, RequestHead};
use crate::rules::{Sample, View, body, first_element, path_and_query, value};

/// The hash that leads to a server, of a view within the gateway; `None` where the algorithm hashes nothing or finds nothing.
pub(super) fn of(session: &Session, backend: &Backend, view: &View<'_>) -> Option<u32> {
    let balance = &backend.config.balance;
    let Algorithm::Hash(key) = &balance.algorithm else { return None };
    let kind = balance.hash;
    match key {
        Key::Source => Some(mixed(kind, of_address(session.peer.get()?))),
        Key::Uri { whole, path_only, len_max, depth_max } => {
            let target = target(view.head()?, view.bytes());
            let target = if *path_only { path_and_query(target).unwrap_or_default() } else { target };
            let part = part(target, *whole, *len_max, *depth_max);
            Some(hash(kind, part))
        }
        Key::UrlParam(name) => {
            let head = view.head()?;
            if let Some(value) = parameter(query(target(head, view.bytes())), name.as_bytes()) {
                return Some(hash(kind, value));
            }
            let body = body(view).filter(|_| head.method == Method::Post)?;
            parameter(&body, name.as_bytes()).map(|value| hash(kind, value))
        }
        Key::Header { name, domain_only } => {
            let first = view.head()?.values(view.bytes(), name).next()?;
            let first = first_element(first);
            if first.is_empty() {
                return None;
            }
            Some(hash(kind, if *domain_only { domain(first) } else { first }))
        }
        Key::Sample(expr) => {
            let mut found = None;
            value(expr, view, &mut |sample| found = Some(of_sample(kind, sample)));
            found
        }
    }
}

/// Whether the body is to be waited for, since what is hashed may be in there.
pub(super) fn wants_body(backend: &Backend, head: &RequestHead, bytes: &[u8]) -> bool {
    let Algorithm::Hash(Key::UrlParam(name)) = &backend.config.balance.algorithm else { return false };
    head.method == Method::Post && parameter(query(target(head, bytes)), name.as_bytes()).is_none()
}

/// Its words of 32 bits, one over the other.
fn of_address(address: SocketAddr) -> u32 {
    match address.ip() {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            (bits ^ bits >> 32 ^ bits >> 64 ^ bits >> 96) as u32
        }
    }
}

/// A sample as bytes: numbers have eight, the highest first.
fn of_sample(kind: HashType, sample: &Sample<'_>) -> u32 {
    match sample {
        Sample::Int(number) if kind.function == HashFunction::None => mixed(kind, *number as u32),
        Sample::Int(number) => hash(kind, &number.to_be_bytes()),
        Sample::Bool(value) => hash(kind, &u64::from(*value).to_be_bytes()),
        Sample::Ip(IpAddr::V4(address)) => hash(kind, &address.octets()),
        Sample::Ip(IpAddr::V6(address)) => hash(kind, &address.octets()),
        Sample::Bytes(bytes) => hash(kind, bytes),
    }
}

fn target<'a>(head: &RequestHead, bytes: &'a [u8]) -> &'a [u8] {
    head.target.of(bytes)
}

fn query(target: &[u8]) -> &[u8] {
    memchr::memchr(b'?', target).and_then(|at| target.get(at + 1..)).unwrap_or_default()
}

/// The part of a target that counts: up to the query, `len_max` bytes and `depth_max` levels.
fn part(target: &[u8], whole: bool, len_max: usize, depth_max: Option<usize>) -> &[u8] {
    let target = if len_max > 0 { target.get(..len_max).unwrap_or(target) } else { target };
    let mut slashes = 0;
    let ends = |&byte: &u8| {
        slashes += usize::from(byte == b'/');
        byte == b'/' && depth_max.is_some_and(|max| slashes > max) || byte == b'?' && !whole
    };
    let end = target.iter().position(ends).unwrap_or(target.len());
    target.get(..end).unwrap_or_default()
}

/// The value of a parameter in a query or a body of that form: up to the next `&`.
fn parameter<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    text.split(|&byte| byte == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// What stands between the last dot but one and the last; a dot at the very beginning is none.
fn domain(host: &[u8]) -> &[u8] {
    let last_dot = |text: &[u8]| text.iter().rposition(|&byte| byte == b'.');
    let Some(end) = last_dot(host).filter(|&end| end > 0) else { return host };
    let start = host.get(..end - 1).and_then(last_dot).map_or(0, |dot| dot + 1);
    host.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_what_stands_before_the_last_dot() {
        for (host, part) in [
            ("www.example.com", "example"),
            ("haproxy.1wt.eu", "1wt"),
            ("example.com", "example"),
            ("localhost", "localhost"),
            ("a.b.c.d:80", "c"),
            ("x.", "x"),
            (".com", ".com"),
            ("a..b", "a."),
            ("a.b.", "b"),
        ] {
            assert_eq!(domain(host.as_bytes()), part.as_bytes(), "{host}");
        }
    }

    #[test]
    fn targets_are_cut_where_they_should_be() {
        let of = |text: &'static str, whole, len, depth| {
            std::str::from_utf8(part(text.as_bytes(), whole, len, depth)).unwrap()
        };
        assert_eq!(of("/a/b/c?x=1", false, 0, None), "/a/b/c");
        assert_eq!(of("/a/b/c?x=1", true, 0, None), "/a/b/c?x=1");
        assert_eq!(of("/a/b/c?x=1", true, 0, Some(2)), "/a/b");
        assert_eq!(of("/a/b/c?x=1", false, 3, Some(2)), "/a/");
        assert_eq!(of("/a", false, 10, Some(1)), "/a");
    }

    #[test]
    fn parameters_end_at_an_ampersand() {
        let of = |text: &'static str| parameter(text.as_bytes(), b"id");
        assert_eq!(of("x=1&id=a;b=c&id=q"), Some(&b"a;b=c"[..]));
        assert_eq!(of("id="), Some(&b""[..]));
        assert_eq!(of("xid=1&id&idx=2"), None);
    }

    #[test]
    fn addresses_are_folded() {
        assert_eq!(of_address("127.0.0.1:80".parse().unwrap()), 0x7f00_0001);
        assert_eq!(of_address("[2001:db8::1]:80".parse().unwrap()), 0x2001_0db8 ^ 1);
    }
}
