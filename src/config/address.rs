//! Addresses as `bind`, `server` and `log` lines write them (configuration §4.2 "bind", §5.2, §4.2 "log").

use super::diagnostics::{Fault, Span, quoted};
use super::lexer::{self, Env, Word};
use super::model::{BindAddress, LogAddress, ServerAddress, ServerPort, SourceAddress};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The longest unix socket path or abstract name, in bytes (`sun_path` without its final zero).
pub(crate) const UNIX_PATH_BYTES_MAX: usize = 107;
/// Port of syslog.
const SYSLOG_PORT: u16 = 514;

/// The addresses of a `bind` line: a comma list, with port ranges expanded. At most `max`.
///
/// # Errors
/// An address that cannot be understood, or too many of them.
pub(crate) fn bind(word: &Word, env: Env<'_>, max: usize) -> Result<Vec<(BindAddress, String)>, Fault> {
    let text = expanded(word, env)?;
    let mut out = Vec::new();
    for one in text.split(|&b| b == b',') {
        bind_one(one, word.span, max, &mut out)?;
    }
    Ok(out)
}

/// The address of a `server` line.
///
/// # Errors
/// It cannot be understood.
pub(crate) fn server(word: &Word, env: Env<'_>) -> Result<ServerAddress, Fault> {
    let text = expanded(word, env)?;
    let at = word.span;
    match Form::of(&text, at)? {
        Form::Path(path) => Ok(ServerAddress::Unix(path)),
        Form::Abstract(name) => Ok(ServerAddress::Abstract(name)),
        Form::Fd(_) => Err(Fault::at(at, "a server cannot be a file descriptor")),
        Form::Inet { family, text } => {
            let (host, port) = split_port(text);
            let port = match port {
                None | Some("") => ServerPort::FromClient(0),
                Some(port) if port.starts_with(['+', '-']) => {
                    let offset = port.strip_prefix('+').unwrap_or(port).parse::<i32>().ok();
                    match offset.filter(|o| o.unsigned_abs() <= 65_535) {
                        Some(offset) => ServerPort::FromClient(offset),
                        None => return Err(bad_port(at, port)),
                    }
                }
                Some(port) => ServerPort::Fixed(parse_port(port, at)?),
            };
            match parse_host(host, family, at)? {
                Host::Any => Ok(ServerAddress::FromClient(port)),
                Host::Ip(ip) if ip.is_unspecified() => Ok(ServerAddress::FromClient(port)),
                Host::Ip(ip) => Ok(ServerAddress::Inet(ip.to_string(), port)),
                Host::Name(name) => Ok(ServerAddress::Inet(name, port)),
            }
        }
    }
}

/// An address of ours, and a port or a range of ports: what connections come from.
///
/// # Errors
/// It is no address, or the ports run backwards.
pub(crate) fn source(word: &Word, env: Env<'_>) -> Result<SourceAddress, Fault> {
    let text = expanded(word, env)?;
    let at = word.span;
    let Form::Inet { family, text } = Form::of(&text, at)? else {
        return Err(Fault::at(at, "connections come from an address and not from a unix socket"));
    };
    let (host, ports) = split_port(text);
    let address = match parse_host(host, family, at)? {
        Host::Ip(ip) if !ip.is_unspecified() => Some(ip),
        Host::Any | Host::Ip(_) => None,
        Host::Name(name) => {
            return Err(Fault::at(
                at,
                format_args!("`{name}` is a name; expected an address of this machine, or * for any"),
            ));
        }
    };
    let ports = match ports {
        None | Some("" | "0") => None,
        Some(ports) => {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            // HAProxy takes a range from 0, which is one from 1.
            let first = if first == "0" { 1 } else { parse_port(first, at)? };
            Some((first, parse_port(last, at)?))
        }
    };
    match ports {
        Some((first, last)) if first > last => {
            Err(Fault::at(at, format_args!("the port range {first}-{last} runs backwards")))
        }
        ports => Ok(SourceAddress { address, ports, ..SourceAddress::default() }),
    }
}

/// The address of a `log` line.
///
/// # Errors
/// It cannot be understood, or goes over TCP or into a ring.
pub(crate) fn log(word: &Word, env: Env<'_>) -> Result<LogAddress, Fault> {
    let text = expanded(word, env)?;
    let at = word.span;
    match text.as_slice() {
        b"stdout" => return Ok(LogAddress::Fd(1)),
        b"stderr" => return Ok(LogAddress::Fd(2)),
        _ => {}
    }
    match Form::of(text.strip_prefix(b"udp@").unwrap_or(&text), at)? {
        Form::Path(path) => Ok(LogAddress::Unix(path)),
        Form::Fd(fd) => Ok(LogAddress::Fd(fd)),
        Form::Abstract(_) => Err(Fault::at(at, "logging to an abstract socket is not built yet")),
        Form::Inet { family, text } => {
            let (host, port) = split_port(text);
            let port = match port {
                None | Some("") => SYSLOG_PORT,
                Some(port) => parse_port(port, at)?,
            };
            match parse_host(host, family, at)? {
                Host::Any => Err(Fault::at(
                    at,
                    "expected where to log to: an address, /dev/log, stdout, stderr or fd@N",
                )),
                Host::Ip(ip) => Ok(LogAddress::Udp(ip.to_string(), port)),
                Host::Name(name) => Ok(LogAddress::Udp(name, port)),
            }
        }
    }
}

fn bind_one(one: &[u8], at: Span, max: usize, out: &mut Vec<(BindAddress, String)>) -> Result<(), Fault> {
    let shown = String::from_utf8_lossy(one).into_owned();
    let mut push = |address, text| {
        if out.len() == max {
            return Err(Fault::at(at, "too many addresses in this section (at most 4096)"));
        }
        out.push((address, text));
        Ok(())
    };
    let (family, text) = match Form::of(one, at)? {
        Form::Path(path) => return push(BindAddress::Unix(path), shown),
        Form::Abstract(name) => return push(BindAddress::Abstract(name), shown),
        Form::Fd(fd) => return push(BindAddress::Fd(fd), shown),
        Form::Inet { family, text } => (family, text),
    };
    let (host, Some(ports)) = split_port(text) else {
        return Err(Fault::at(
            at,
            format_args!("{} has no port; write for example `*:80` or `[::]:80`", quoted(one)),
        ));
    };
    let host = parse_host(host, family, at)?;
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (parse_port(first, at)?, parse_port(last, at)?),
        None => {
            let port = parse_port(ports, at)?;
            (port, port)
        }
    };
    if first > last {
        return Err(Fault::at(at, format_args!("the port range {first}-{last} runs backwards")));
    }
    for port in first..=last {
        let any =
            || if family == Family::V6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let address = match &host {
            Host::Any => BindAddress::Inet(SocketAddr::new(any(), port)),
            Host::Ip(ip) => BindAddress::Inet(SocketAddr::new(*ip, port)),
            Host::Name(name) => BindAddress::Host(name.clone(), port),
        };
        let text = if first == last { shown.clone() } else { format!("{}:{port}", host_part(&shown)) };
        push(address, text)?;
    }
    Ok(())
}

/// What stands before the port, for messages about one port of a range.
fn host_part(shown: &str) -> &str {
    shown.rsplit_once(':').map_or(shown, |(host, _)| host)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Any,
    V4,
    V6,
}

/// An address by its kind, before hosts and ports are looked at.
enum Form<'a> {
    Path(PathBuf),
    Abstract(Vec<u8>),
    Fd(i32),
    Inet { family: Family, text: &'a str },
}

impl<'a> Form<'a> {
    fn of(text: &'a [u8], at: Span) -> Result<Self, Fault> {
        if text.starts_with(b"/") {
            return Ok(Self::Path(unix_path(text, at)?));
        }
        let (prefix, rest) = match text.iter().position(|&b| b == b'@') {
            Some(i) => (text.get(..i).unwrap_or_default(), text.get(i + 1..).unwrap_or_default()),
            None => (&b""[..], text),
        };
        let family = match prefix {
            b"" => Family::Any,
            b"ipv4" => Family::V4,
            b"ipv6" => Family::V6,
            b"unix" => return Ok(Self::Path(unix_path(rest, at)?)),
            b"abns" if rest.is_empty() || rest.len() > UNIX_PATH_BYTES_MAX => {
                return Err(Fault::at(
                    at,
                    format_args!("an abstract name has 1 to {UNIX_PATH_BYTES_MAX} bytes"),
                ));
            }
            b"abns" => return Ok(Self::Abstract(rest.to_vec())),
            b"fd" => {
                let fd = std::str::from_utf8(rest).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
                return match fd.and_then(|t| t.parse::<i32>().ok()) {
                    Some(fd) => Ok(Self::Fd(fd)),
                    None => Err(Fault::at(
                        at,
                        format_args!(
                            "{} is no descriptor; write `fd@3`, or `fd@${{NAME}}` with NAME in the environment",
                            quoted(text)
                        ),
                    )),
                };
            }
            _ => {
                return Err(Fault::at(
                    at,
                    format_args!(
                        "addresses with {} are not built (ipv4@, ipv6@, unix@, abns@ and fd@ are)",
                        quoted(&[prefix, b"@"].concat())
                    ),
                ));
            }
        };
        match std::str::from_utf8(rest) {
            Ok(text) => Ok(Self::Inet { family, text }),
            Err(_) => Err(Fault::at(at, format_args!("{} is not valid UTF-8", quoted(rest)))),
        }
    }
}

enum Host {
    /// Empty or `*`.
    Any,
    Ip(IpAddr),
    Name(String),
}

/// Before and after the last colon that is not inside brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn parse_host(host: &str, family: Family, at: Span) -> Result<Host, Fault> {
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if matches!(host, "" | "*") {
        return Ok(Host::Any);
    }
    let wrong = |what: &str| Err(Fault::at(at, format_args!("{} is not {what}", quoted(host.as_bytes()))));
    if bracketed.is_some() || host.contains(':') {
        return match bracketed.unwrap_or(host).parse::<Ipv6Addr>() {
            Ok(_) if family == Family::V4 => wrong("an IPv4 address"),
            Ok(ip) => Ok(Host::Ip(ip.into())),
            Err(_) => wrong("an IPv6 address"),
        };
    }
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return match host.parse::<Ipv4Addr>() {
            Ok(_) if family == Family::V6 => wrong("an IPv6 address"),
            Ok(ip) => Ok(Host::Ip(ip.into())),
            Err(_) => wrong("an IPv4 address"),
        };
    }
    if family != Family::Any {
        return Err(Fault::at(at, "after ipv4@ and ipv6@ only address literals are built yet"));
    }
    let name_like = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if host.len() > 253 || !host.bytes().all(name_like) {
        return wrong("an address or host name");
    }
    Ok(Host::Name(host.to_owned()))
}

fn parse_port(text: &str, at: Span) -> Result<u16, Fault> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if plain && port > 0 => Ok(port),
        _ => Err(bad_port(at, text)),
    }
}

fn bad_port(at: Span, text: &str) -> Fault {
    Fault::at(at, format_args!("{} is no port (1 to 65535)", quoted(text.as_bytes())))
}

fn unix_path(path: &[u8], at: Span) -> Result<PathBuf, Fault> {
    if path.is_empty() || path.len() > UNIX_PATH_BYTES_MAX {
        return Err(Fault::at(
            at,
            format_args!("the path of a unix socket has 1 to {UNIX_PATH_BYTES_MAX} bytes"),
        ));
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())))
}

/// The word with its variables expanded, which addresses allow outside of quotes as well.
fn expanded(word: &Word, env: Env<'_>) -> Result<Vec<u8>, Fault> {
    lexer::expand(&word.bytes, word.span, env)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        Word { bytes: text.as_bytes().to_vec(), span: Span::default() }
    }

    fn env(name: &str) -> Option<String> {
        (name == "FD").then(|| "5".to_owned())
    }

    fn binds(text: &str) -> Vec<BindAddress> {
        bind(&word(text), &env, 4_096).unwrap().into_iter().map(|(a, _)| a).collect()
    }

    fn inet(text: &str) -> BindAddress {
        BindAddress::Inet(text.parse().unwrap())
    }

    #[test]
    fn bind_addresses() {
        for (text, want) in [
            ("*:80", inet("0.0.0.0:80")),
            (":80", inet("0.0.0.0:80")),
            ("0.0.0.0:80", inet("0.0.0.0:80")),
            ("[::]:80", inet("[::]:80")),
            (":::80", inet("[::]:80")),
            ("::1:80", inet("[::1]:80")),
            ("ipv4@:80", inet("0.0.0.0:80")),
            ("ipv4@127.0.0.1:80", inet("127.0.0.1:80")),
            ("ipv6@:80", inet("[::]:80")),
            ("ipv6@*:80", inet("[::]:80")),
            ("ipv6@[::1]:80", inet("[::1]:80")),
            ("localhost:8080", BindAddress::Host("localhost".into(), 8080)),
            ("unix@/run/a.sock", BindAddress::Unix("/run/a.sock".into())),
            ("/run/a.sock", BindAddress::Unix("/run/a.sock".into())),
            ("abns@name", BindAddress::Abstract(b"name".to_vec())),
            ("fd@7", BindAddress::Fd(7)),
            ("fd@${FD}", BindAddress::Fd(5)),
            ("fd@$FD", BindAddress::Fd(5)),
        ] {
            assert_eq!(binds(text), [want], "{text}");
        }
        assert_eq!(binds(":80,[::]:81,/s").len(), 3);
        let range = bind(&word("127.0.0.1:8000-8005"), &env, 4_096).unwrap();
        assert_eq!(range.len(), 6);
        assert_eq!(range[5], (inet("127.0.0.1:8005"), "127.0.0.1:8005".to_owned()));
    }

    #[test]
    fn bind_addresses_that_are_wrong() {
        for text in [
            "",
            "80",
            "*",
            ":0",
            ":65536",
            ":8005-8000",
            ":80-",
            "1.2.3:80",
            "256.1.1.1:80",
            "[::1:80",
            "a b:80",
            "fd@",
            "fd@x",
            "fd@$NONE",
            "abns@",
            "unix@",
            "tcp@1.1.1.1:80",
            "ipv4@[::1]:80",
            "ipv6@1.1.1.1:80",
            ":80,",
            "*:+80",
            ":1-65535",
        ] {
            assert!(bind(&word(text), &env, 4_096).is_err(), "{text}");
        }
        assert!(bind(&word(&format!("/{}", "x".repeat(107))), &env, 1).is_err());
    }

    #[test]
    fn server_addresses() {
        let server = |text: &str| server(&word(text), &env);
        let inet = |host: &str, port| ServerAddress::Inet(host.to_owned(), port);
        for (text, want) in [
            ("localhost:8100", inet("localhost", ServerPort::Fixed(8100))),
            ("127.0.0.1", inet("127.0.0.1", ServerPort::FromClient(0))),
            ("127.0.0.1:+1000", inet("127.0.0.1", ServerPort::FromClient(1_000))),
            ("127.0.0.1:-1", inet("127.0.0.1", ServerPort::FromClient(-1))),
            ("[::1]:80", inet("::1", ServerPort::Fixed(80))),
            ("[::1]", inet("::1", ServerPort::FromClient(0))),
            ("::1:80", inet("::1", ServerPort::Fixed(80))),
            ("unix@/s", ServerAddress::Unix("/s".into())),
            ("/s", ServerAddress::Unix("/s".into())),
            ("abns@n", ServerAddress::Abstract(b"n".to_vec())),
            (":80", ServerAddress::FromClient(ServerPort::Fixed(80))),
            ("*:80", ServerAddress::FromClient(ServerPort::Fixed(80))),
            ("0.0.0.0:+1", ServerAddress::FromClient(ServerPort::FromClient(1))),
            ("[::]:80", ServerAddress::FromClient(ServerPort::Fixed(80))),
            ("*", ServerAddress::FromClient(ServerPort::FromClient(0))),
        ] {
            assert_eq!(server(text).unwrap(), want, "{text}");
        }
        for text in ["a:0", "a:+99999", "a:+", "fd@3", "a/b:80"] {
            assert!(server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sources() {
        let source = |text: &str| source(&word(text), &env);
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for (text, want) in [
            ("127.0.0.2", (ip("127.0.0.2"), None)),
            ("127.0.0.2:", (ip("127.0.0.2"), None)),
            ("127.0.0.2:0", (ip("127.0.0.2"), None)),
            ("[::1]:70-80", (ip("::1"), Some((70, 80)))),
            ("*", (None, None)),
            ("0.0.0.0:0-10", (None, Some((1, 10)))),
            (":80", (None, Some((80, 80)))),
        ] {
            let found = source(text).unwrap();
            assert_eq!((found.address, found.ports), want, "{text}");
        }
        for text in ["localhost", "/s", "abns@x", "127.0.0.1:20-10", "127.0.0.1:x", "127.0.0.1:1-", "1.2.3"] {
            assert!(source(text).is_err(), "{text}");
        }
    }

    #[test]
    fn log_addresses() {
        let log = |text: &str| log(&word(text), &env);
        for (text, want) in [
            ("127.0.0.1", LogAddress::Udp("127.0.0.1".into(), 514)),
            ("udp@loghost:10514", LogAddress::Udp("loghost".into(), 10_514)),
            ("/dev/log", LogAddress::Unix("/dev/log".into())),
            ("stdout", LogAddress::Fd(1)),
            ("stderr", LogAddress::Fd(2)),
            ("fd@5", LogAddress::Fd(5)),
        ] {
            assert_eq!(log(text).unwrap(), want, "{text}");
        }
        for text in ["", "*", "ring@a", "tcp@1.1.1.1:5"] {
            assert!(log(text).is_err(), "{text}");
        }
    }
}
