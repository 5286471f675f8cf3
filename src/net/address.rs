//! Where connections go to, and turning host names into addresses.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use rustix::net::SocketAddrUnix;

/// An address that a socket can connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// TCP.
    Inet(SocketAddr),
    /// A unix stream socket, by path or abstract name.
    Unix(SocketAddrUnix),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(address) => match (address.path_bytes(), address.abstract_name()) {
                (Some(path), _) => write!(f, "unix@{}", String::from_utf8_lossy(path)),
                (None, Some(name)) => write!(f, "abns@{}", String::from_utf8_lossy(name)),
                (None, None) => f.write_str("unix@"),
            },
        }
    }
}

/// Looks a host name up, or reads an address literal. This blocks on the system's resolver: it is called
/// before the loop starts, or on a helper thread. IPv4 comes first, because a name such as `localhost`
/// often has an IPv6 address that no server of a device listens on; all are kept as alternatives.
///
/// # Errors
/// The resolver's error, or `NotFound` when the name has no address.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_need_no_resolver() {
        assert_eq!(resolve("127.0.0.1", 80).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolve("::1", 80).unwrap(), ["[::1]:80".parse().unwrap()]);
    }

    #[test]
    fn localhost_gives_ipv4_first() {
        assert_eq!(resolve("localhost", 80).unwrap()[0], "127.0.0.1:80".parse().unwrap());
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        assert!(resolve("no-such-name.invalid", 80).is_err());
    }
}
