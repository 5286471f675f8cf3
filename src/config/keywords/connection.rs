//! Connections beyond where they go to: where they come from, what the kernel is told of them, and servers that no
//! `server` line names (configuration §4.2).

use super::options::{flag, option};
use super::server::{parse_default, parse_template};
use super::{Keyword, Sections};
use crate::config::address;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{Foreign, NO_SERVER, Server, ServerAddress, ServerPort, SourceAddress, TcpTuning};
use crate::config::values::{number, time_ms, time_s};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

const CLIENT: Sections = Sections::CLIENT_SIDE;
const SERVER: Sections = Sections::SERVER_SIDE;
/// With a server side and no `defaults`.
const BACKENDS: Sections = Sections::LISTEN.or(Sections::BACKEND);

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "default-server",
        SERVER,
        "1.4",
        "<parameters>",
        "what the `server` lines that follow begin with",
        parse_default,
    )
    .lenient(),
    Keyword::new(
        "server-template",
        BACKENDS,
        "1.8",
        "<prefix> <number>|<from>-<to> <address>[:<port>] [<parameters>]",
        "as many servers as the number says, each for another address of the name",
        parse_template,
    ),
    Keyword::new(
        "source",
        SERVER,
        "1.3",
        "<address>[:<port>] [usesrc <address>|client|clientip|hdr_ip(<name>[,<n>])] [interface <name>]",
        "where connections to servers come from",
        source,
    )
    .lenient(),
    Keyword::new(
        "dispatch",
        BACKENDS,
        "1.3",
        "<address>:<port>",
        "send everything to this address",
        dispatch,
    )
    .lenient(),
    option(
        "option transparent",
        SERVER,
        "1.3",
        "send to the address the client came to, as a firewall has redirected it",
        transparent,
    ),
    Keyword::new(
        "transparent",
        SERVER,
        "1.3",
        "",
        "send to the address the client came to, as a firewall has redirected it",
        transparent,
    )
    .lenient()
    .instead("option transparent"),
    // On a client's side a reset would overtake the end of an answer.
    option(
        "option nolinger",
        Sections::PROXIES,
        "1.3",
        "connections to servers end with a reset, and leave nothing behind",
        |b, st| {
            flag(b, st, |s| {
                let [_, servers] = &mut s.tunings;
                &mut servers.no_linger
            })
        },
    ),
    Keyword::new(
        "http-send-name-header",
        SERVER,
        "1.4",
        "<header>",
        "tell each server its name in this field of requests",
        |b, st| {
            let name = super::http_actions::header_name(st.one("the name of a header")?)?;
            b.settings()?.send_name = Some(name);
            Ok(())
        },
    )
    .lenient(),
    probes("clitcpka-cnt", CLIENT, |b, st| count_of(b, st, |[clients, _]| &mut clients.probes)),
    seconds("clitcpka-idle", CLIENT, SILENCE, |b, st| seconds_of(b, st, |[clients, _]| &mut clients.idle_s)),
    seconds("clitcpka-intvl", CLIENT, BETWEEN, |b, st| {
        seconds_of(b, st, |[clients, _]| &mut clients.interval_s)
    }),
    probes("srvtcpka-cnt", SERVER, |b, st| count_of(b, st, |[_, servers]| &mut servers.probes)),
    seconds("srvtcpka-idle", SERVER, SILENCE, |b, st| seconds_of(b, st, |[_, servers]| &mut servers.idle_s)),
    seconds("srvtcpka-intvl", SERVER, BETWEEN, |b, st| {
        seconds_of(b, st, |[_, servers]| &mut servers.interval_s)
    }),
];

const SILENCE: &str = "TCP keepalive: silence before the first probe";
const BETWEEN: &str = "TCP keepalive: between two probes";

const fn probes(name: &'static str, sections: Sections, parse: super::Parse) -> Keyword {
    let help = "TCP keepalive: probes without an answer before the connection is given up";
    Keyword::new(name, sections, "2.3", "<number>", help, parse).lenient()
}

const fn seconds(name: &'static str, sections: Sections, help: &'static str, parse: super::Parse) -> Keyword {
    Keyword::new(name, sections, "2.3", "<time>", help, parse).lenient()
}

/// A number of the clients' side or the servers'.
type Tuned = fn(&mut [TcpTuning; 2]) -> &mut u32;

/// The kernel takes at most 127 (`MAX_TCP_KEEPCNT`); 0 leaves it its own value.
fn count_of(b: &mut Builder<'_>, st: &Statement<'_>, of: Tuned) -> Result<(), Fault> {
    *of(&mut b.settings()?.tunings) = number(st.one("a number")?, 0, 127)?;
    Ok(())
}

/// The kernel takes at most 32,767 seconds (`MAX_TCP_KEEPIDLE`); 0 leaves it its own value.
fn seconds_of(b: &mut Builder<'_>, st: &Statement<'_>, of: Tuned) -> Result<(), Fault> {
    let word = st.one("a time")?;
    let time_s = time_s(word)?;
    if time_s > 32_767 {
        return Err(Fault::at(word.span, "the kernel takes at most 32767 seconds"));
    }
    *of(&mut b.settings()?.tunings) = time_s;
    Ok(())
}

/// `tcp-ut`.
pub(super) fn user_timeout_ms(word: &Word) -> Result<u32, Fault> {
    // At most 24.8 days.
    Ok(u32::try_from(time_ms(word)?).unwrap_or(u32::MAX))
}

/// The name of a network interface; at most 15 bytes (`IFNAMSIZ`).
pub(super) fn interface(word: &Word) -> Result<Rc<str>, Fault> {
    let text = word.text()?;
    let fits = !text.is_empty() && text.len() <= 15 && !text.bytes().any(|b| b == b'/' || b <= b' ');
    match fits {
        true => Ok(text.into()),
        false => Err(word.wrong(" is no name of an interface")),
    }
}

/// A number, or -1 for as many as there may be.
pub(super) fn count(word: &Word) -> Result<u32, Fault> {
    if word.is("-1") {
        return Ok(u32::MAX);
    }
    number(word, 0, i32::MAX as u32).map_err(|_| word.wrong(": expected a number, or -1 for any"))
}

/// HTTP/1 is all that is spoken.
pub(super) fn only_h1(word: &Word, expected: &str) -> Result<(), Fault> {
    match word.as_str() {
        "h1" => Ok(()),
        "auto" if expected.contains("auto") => Ok(()),
        _ => Err(Fault::at(
            word.span,
            format_args!("{}: expected {expected}, since only HTTP/1 is spoken", word.quoted()),
        )),
    }
}

/// The word behind `usesrc`.
pub(super) fn foreign(word: &Word) -> Result<Foreign, Fault> {
    let wrong = |why: &str| {
        Err(Fault::at(
            word.span,
            format_args!("{}: {why}expected an address, client, clientip or hdr_ip(name[,n])", word.quoted()),
        ))
    };
    let text = word.text()?;
    if let Some(rest) = text.strip_prefix("hdr_ip(") {
        let Some(inner) = rest.strip_suffix(')') else { return wrong("the `)` is missing; ") };
        let (name, occurrence) = match inner.split_once(',') {
            Some((name, number)) => (name.trim(), number.trim().parse::<i32>().ok()),
            None => (inner.trim(), Some(-1)),
        };
        let bare = Word { bytes: name.as_bytes().to_vec(), span: word.span };
        let name = super::http_actions::header_name(&bare)?;
        return match occurrence {
            Some(0) | None => wrong("the occurrence is a number other than 0; "),
            Some(number) if number < -10 => wrong("-10 is the farthest from the end; "),
            Some(number) => Ok(Foreign::Header(name, number)),
        };
    }
    match text {
        "client" => Ok(Foreign::Client),
        "clientip" => Ok(Foreign::ClientIp),
        _ => match address::source(word, &|_| None) {
            Ok(SourceAddress { address, ports, .. }) if ports.is_none_or(|(first, last)| first == last) => {
                let ip = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                Ok(Foreign::Address(SocketAddr::new(ip, ports.map_or(0, |(port, _)| port))))
            }
            _ => wrong(""),
        },
    }
}

/// `source …` of a backend.
fn source(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [word, rest @ ..] = st.args() else {
        let expected = "expected `source ADDRESS[:PORT] [usesrc …] [interface NAME]`, ADDRESS * for any";
        return Err(st.wrong(expected));
    };
    let mut source = address::source(word, b.env)?;
    if source.ports.is_some_and(|(first, last)| first != last) {
        let message = "a range of ports stands in `server … source`: each server needs its own";
        return Err(Fault::at(word.span, message));
    }
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| word.wrong(" needs a value"));
        match word.as_str() {
            "usesrc" => source.foreign = Some(foreign(value?)?),
            "interface" => source.interface = Some(interface(value?)?),
            _ => {
                return Err(word.wrong(": expected `usesrc` or `interface`"));
            }
        }
    }
    b.settings()?.source = Some(source);
    Ok(())
}

/// `dispatch`: everything goes to one address, whatever servers there are.
fn dispatch(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let word = st.one("an address with a port")?;
    let address = address::server(word, b.env)?;
    if let ServerAddress::Inet(_, ServerPort::FromClient(_)) | ServerAddress::FromClient(_) = &address {
        return Err(word.wrong(": expected an address with a port"));
    }
    b.proxy()?.direct = Some(unnamed(address, st));
    Ok(())
}

/// `option transparent`: as [`dispatch`], to the address that the client came to.
fn transparent(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    st.none()?;
    let on = (!st.negated).then(|| unnamed(ServerAddress::FromClient(ServerPort::FromClient(0)), st));
    b.settings()?.transparent = on;
    Ok(())
}

fn unnamed(address: ServerAddress, st: &Statement<'_>) -> Server {
    Server { name: NO_SERVER.into(), place: st.place.clone(), address, ..Server::default() }
}
