//! `server` lines and their parameters (configuration §5.2).

use super::states::{self, StateParameters};
use super::{Entry, Sections, connection, groups, parameters, unknown_parameter};
use crate::config::address;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::{Fault, Spot};
use crate::config::lexer::Word;
use crate::config::model::{Check, SendProxy, Server, ServerAddress, ServerCookie, SourceAddress};
use crate::config::states::Track;
use crate::config::suggest::Search;
use crate::config::values::{name, number, positive_time_ms, time_ms};

/// What parameters of a `server` line set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters {
    /// What a word sets by itself. The rest stands below until the end of the line.
    pub(super) server: Server,
    checked: bool,
    pub(super) check: Check,
    maxconn: Option<u32>,
    minconn: u32,
    proxy: ProxyHeader,
    pub(super) state: StateParameters,
}

/// The words about the PROXY protocol, each by itself: which of them wins is known at the end of the line.
#[derive(Debug, Clone, Copy, Default)]
struct ProxyHeader {
    line: bool,
    binary: bool,
    with_crc32c: bool,
    in_checks: bool,
}

/// Parses one parameter: its value, or the parameter's own word where it takes none.
pub(crate) type ServerParse = fn(&mut Parameters, &Word) -> Result<(), Fault>;

/// Parameters of a `server` line.
pub(crate) const PARAMETERS: &[Entry<ServerParse>] = &[
    parameter("check", "", "1.3", "connect to it regularly; no traffic while that fails", |p, _| {
        p.checked = true;
        Ok(())
    }),
    parameter("no-check", "", "1.8", "take `check` back", |p, _| {
        p.checked = false;
        Ok(())
    }),
    parameter("inter", "<time>", "1.3", "between two checks; default 2s", |p, word| {
        p.check.inter_ms = positive_time_ms(word)?;
        Ok(())
    }),
    parameter("fastinter", "<time>", "1.3", "between two checks while the state is changing", |p, word| {
        p.check.fastinter_ms = Some(positive_time_ms(word)?);
        Ok(())
    }),
    parameter("downinter", "<time>", "1.3", "between two checks of a server that is down", |p, word| {
        p.check.downinter_ms = Some(positive_time_ms(word)?);
        Ok(())
    }),
    parameter("rise", "<number>", "1.3", "successes until it is up again; default 2", |p, word| {
        p.check.rise = number(word, 1, i32::MAX as u32)?;
        Ok(())
    }),
    parameter("fall", "<number>", "1.3", "failures until it is down; default 3", |p, word| {
        p.check.fall = number(word, 1, i32::MAX as u32)?;
        Ok(())
    }),
    parameter("port", "<port>", "1.3", "another port for checks", |p, word| {
        p.check.port = u16::try_from(number(word, 1, 65_535)?).ok();
        Ok(())
    }),
    parameter("weight", "<number>", "1.3", "its share of the traffic, 0 to 256; default 1", |p, word| {
        p.server.weight = number(word, 0, 256)?;
        Ok(())
    }),
    parameter("maxconn", "<number>", "1.3", "concurrent connections to it", |p, word| {
        p.maxconn = Some(number(word, 0, u32::MAX)?).filter(|&n| n > 0);
        Ok(())
    }),
    parameter("backup", "", "1.3", "used when no other server is up", |p, _| {
        p.server.backup = true;
        Ok(())
    }),
    parameter("no-backup", "", "1.8", "take `backup` back", |p, _| {
        p.server.backup = false;
        Ok(())
    }),
    parameter("disabled", "", "1.4", "start in maintenance", |p, _| {
        p.server.disabled = true;
        Ok(())
    }),
    parameter("enabled", "", "1.8", "take `disabled` back", |p, _| {
        p.server.disabled = false;
        Ok(())
    }),
    parameter("send-proxy", "", "1.5", "begin with a PROXY protocol header, version 1", |p, _| {
        p.proxy.line = true;
        Ok(())
    }),
    parameter("no-send-proxy", "", "1.8", "take `send-proxy` back", |p, _| {
        p.proxy.line = false;
        Ok(())
    }),
    parameter("send-proxy-v2", "", "1.5", "begin with a PROXY protocol header, version 2", |p, _| {
        p.proxy.binary = true;
        Ok(())
    }),
    parameter("no-send-proxy-v2", "", "1.8", "take `send-proxy-v2` back", |p, _| {
        p.proxy.binary = false;
        Ok(())
    }),
    parameter("proxy-v2-options", "crc32c", "1.9", "what `send-proxy-v2` adds", |p, word| {
        word.text()?.split(',').try_for_each(|option| p.proxy.add(word, option))
    }),
    parameter(
        "check-send-proxy",
        "",
        "1.6",
        "checks begin with the header, on another `port` too",
        |p, _| {
            p.proxy.in_checks = true;
            Ok(())
        },
    ),
    // What checks are made of.
    parameter("addr", "<ip>", "1.3", "another address for checks", |p, word| {
        p.check.address = Some(super::checks::address(word)?);
        Ok(())
    }),
    parameter("check-proto", "h1", "2.4", "what checks speak; nothing else is there", |_, word| {
        super::checks::mux(word)
    }),
    parameter("no-check-send-proxy", "", "1.8", "take `check-send-proxy` back", |p, _| {
        p.proxy.in_checks = false;
        Ok(())
    }),
    // Keeping clients with it, or sending them elsewhere.
    parameter("cookie", "<value>", "1.3", "the value of the backend's `cookie` that means it", |p, word| {
        p.server.cookie = Some(ServerCookie::Value(filled(word)?.as_bytes().into()));
        Ok(())
    }),
    parameter("redir", "<prefix>", "1.4", "GET and HEAD get a 302 to this and their path", |p, word| {
        p.server.redirect = Some(filled(word)?.into());
        Ok(())
    }),
    // Stick tables.
    parameter("non-stick", "", "1.5", "no stick table learns who was given to it", |p, _| {
        p.server.non_stick = true;
        Ok(())
    }),
    parameter("stick", "", "1.8", "take `non-stick` back", |p, _| {
        p.server.non_stick = false;
        Ok(())
    }),
    // Queues.
    parameter(
        "minconn",
        "<number>",
        "1.3",
        "where its `maxconn` begins while the backend is not full",
        |p, word| {
            p.minconn = number(word, 0, u32::MAX)?;
            Ok(())
        },
    ),
    parameter(
        "maxqueue",
        "<number>",
        "1.3",
        "how many may wait for it; default 0: however many",
        |p, word| {
            p.server.maxqueue = number(word, 0, i32::MAX as u32)?;
            Ok(())
        },
    ),
    // Its connections.
    parameter("id", "<number>", "1.4", "its number (`srv_id`); default: the next that is free", |p, word| {
        p.server.id = number(word, 1, i32::MAX as u32)?;
        Ok(())
    }),
    parameter("source", "<address>[:<port>[-<port>]]", "1.3", "where connections come from", |p, word| {
        p.server.source = Some(address::source(word, &|_| None)?);
        Ok(())
    }),
    parameter(
        "usesrc",
        "<address>|client|clientip|hdr_ip(<name>[,<n>])",
        "1.3",
        "behind `source`: the address that servers see instead of ours",
        |p, word| {
            source_of(p, word)?.foreign = Some(connection::foreign(word)?);
            Ok(())
        },
    ),
    parameter(
        "interface",
        "<name>",
        "1.3",
        "behind `source`: the network interface to go through",
        |p, word| {
            source_of(p, word)?.interface = Some(connection::interface(word)?);
            Ok(())
        },
    ),
    parameter(
        "pool-max-conn",
        "<number>",
        "1.9",
        "idle connections that are kept at most; -1: all",
        |p, word| {
            p.server.pool.max = connection::count(word)?;
            Ok(())
        },
    ),
    parameter(
        "pool-purge-delay",
        "<time>",
        "1.9",
        "how long one is kept; 0: not at all; default 5s",
        |p, word| {
            p.server.pool.keep_ms = time_ms(word)?;
            Ok(())
        },
    ),
    parameter(
        "max-reuse",
        "<number>",
        "1.9",
        "requests after the first one of a connection; -1: any",
        |p, word| {
            p.server.pool.reuse_max = connection::count(word)?;
            Ok(())
        },
    ),
    parameter("tcp-ut", "<time>", "2.1", "how long sent bytes may stay unacknowledged", |p, word| {
        p.server.user_timeout_ms = connection::user_timeout_ms(word)?;
        Ok(())
    }),
    parameter("tfo", "", "2.1", "TCP fast open: the first bytes go with the first packet", |p, _| {
        p.server.fast_open = true;
        Ok(())
    }),
    parameter("no-tfo", "", "2.1", "take `tfo` back", |p, _| {
        p.server.fast_open = false;
        Ok(())
    }),
    parameter("proto", "h1", "1.9", "the protocol spoken", |_, word| connection::only_h1(word, "h1")),
    parameter("ws", "auto|h1", "2.5", "the protocol for WebSocket", |_, word| {
        connection::only_h1(word, "auto or h1")
    }),
];

/// All of them, by topic.
pub(super) const TABLES: &[&[Entry<ServerParse>]] = &[PARAMETERS, states::PARAMETERS];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry<ServerParse>> {
    TABLES.iter().copied().flatten()
}

/// What may stand in a field of a head, and is not empty.
fn filled(word: &Word) -> Result<&str, Fault> {
    match word.text()? {
        text if text.is_empty() || text.bytes().any(|byte| byte < b' ' || byte == 0x7f) => {
            Err(word.wrong(" cannot stand in a head"))
        }
        text => Ok(text),
    }
}

fn source_of<'a>(p: &'a mut Parameters, word: &Word) -> Result<&'a mut SourceAddress, Fault> {
    p.server.source.as_mut().ok_or_else(|| {
        Fault::at(word.span, "`usesrc` and `interface` stand behind `source` (`source * …` for any address)")
    })
}

pub(super) const fn parameter(
    name: &'static str,
    args: &'static str,
    since: &'static str,
    help: &'static str,
    parse: ServerParse,
) -> Entry<ServerParse> {
    Entry::new(name, Sections::LISTEN.or(Sections::BACKEND), since, args, help, parse)
}

/// Parses a `server` line.
pub(super) fn parse(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [name_word, address_word, words @ ..] = st.args() else {
        return Err(st.wrong("expected `server NAME ADDRESS[:PORT] [PARAMETERS]`"));
    };
    let name = name(name_word, "server")?.to_owned();
    let address = address::server(address_word, b.env)?;
    let mut p = begun(b, st, words)?;
    p.complete(name_word)?;
    (p.server.name, p.server.address) = (name, address);
    add(b, st, name_word, p.server, p.state.track.as_deref())
}

/// Parses `server-template`: so many servers, each for another address of one name (configuration §4.2).
pub(super) fn parse_template(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    /// Servers of one line.
    const MAX: u32 = 4_096;
    let [prefix, range, address_word, words @ ..] = st.args() else {
        let expected = "expected `server-template PREFIX NUMBER|FROM-TO ADDRESS[:PORT] [PARAMETERS]`";
        return Err(st.wrong(expected));
    };
    let name = name(prefix, "server")?;
    let text = range.text()?;
    let numbers = match text.split_once('-') {
        Some((first, last)) => first.parse::<u32>().ok().zip(last.parse::<u32>().ok()),
        None => text.parse::<u32>().ok().map(|last| (1, last)),
    };
    let fits = |&(first, last): &(u32, u32)| (1..=last).contains(&first) && last - first < MAX;
    let Some((first, last)) = numbers.filter(fits) else {
        return Err(Fault::at(
            range.span,
            format_args!("{}: expected a number or a range of at most {MAX}, as 5 or 1-5", range.quoted()),
        ));
    };
    let address = address::server(address_word, b.env)?;
    let mut p = begun(b, st, words)?;
    p.complete(prefix)?;
    // A literal is one address for all of them.
    let is_name =
        matches!(&address, ServerAddress::Inet(host, _) if host.parse::<std::net::IpAddr>().is_err());
    p.server.address = address;
    for (at, number) in (first..=last).enumerate() {
        p.server.name = format!("{name}{number}");
        p.server.nth_address = u32::try_from(at).ok().filter(|_| is_name);
        add(b, st, prefix, p.server.clone(), p.state.track.as_deref())?;
        // The number is that of the first.
        p.server.id = 0;
    }
    Ok(())
}

/// What `default-server` says, with the words of this line.
fn begun(b: &mut Builder<'_>, st: &Statement<'_>, words: &[Word]) -> Result<Parameters, Fault> {
    let mut p = b.settings().default_server.clone().unwrap_or_default();
    p.server.place = st.place.clone();
    let set_aside = parameters(TABLES, groups::SERVERS, words, &mut p, unknown)?;
    b.tell_set_aside(st, &set_aside)?;
    Ok(p)
}

fn add(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    name_word: &Word,
    server: Server,
    track: Option<&str>,
) -> Result<(), Fault> {
    let proxy = b.proxy()?;
    if let Some(other) = proxy.servers.iter().find(|other| other.id > 0 && other.id == server.id) {
        return Err(Fault::at(
            name_word.span,
            format_args!("the server `{}` has the `id` {} already", other.name, other.id),
        ));
    }
    let before = proxy.server_names.get(&server.name).and_then(|&at| proxy.servers.get(at));
    if let Some(before) = before {
        return Err(Fault::at(
            name_word.span,
            format_args!(
                "`{}` has a server `{}` already, in line {}",
                proxy.name, before.name, before.place.line
            ),
        ));
    }
    let at = proxy.servers.len();
    proxy.server_names.insert(server.name.clone(), at);
    proxy.servers.push(server);
    if let Some(name) = track {
        let spot = Spot::new(st.place, st.line, None);
        proxy.tracks.push(Track { server: at, name: name.to_owned(), spot });
    }
    Ok(())
}

impl Parameters {
    /// Fills in what more than one word says.
    ///
    /// # Errors
    /// Words that exclude each other.
    fn complete(&mut self, name_word: &Word) -> Result<(), Fault> {
        self.complete_state(name_word)?;
        if self.checked && self.state.track.is_some() {
            let message = "`check` and `track` exclude each other: its own checks or those of another server";
            return Err(Fault::at(name_word.span, message));
        }
        let server = &mut self.server;
        // Alone, or as the larger of both, `minconn` is the limit.
        server.maxconn = self.maxconn.max(Some(self.minconn).filter(|&n| n > 0));
        let is_less = self.maxconn.is_some_and(|maxconn| self.minconn < maxconn);
        server.minconn = if is_less { self.minconn } else { 0 };
        server.send_proxy = self.proxy.of_traffic();
        if self.checked {
            let send_proxy = self.proxy.of_checks(self.check.port);
            server.check = Some(Check { send_proxy, ..self.check });
        }
        Ok(())
    }
}

/// Parses `default-server`: what later `server` lines begin with (configuration §4.2, "default-server").
pub(super) fn parse_default(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    if st.args().is_empty() {
        return Err(st.wrong("expected `default-server PARAMETERS`"));
    }
    let changed = begun(b, st, st.args())?;
    b.settings().default_server = Some(changed);
    Ok(())
}

impl ProxyHeader {
    /// One of `proxy-v2-options`. The others tell of TLS, of which there is none, or of an id that nothing makes.
    fn add(&mut self, word: &Word, option: &str) -> Result<(), Fault> {
        const OF_TLS: &[&str] = &["ssl", "cert-cn", "ssl-cipher", "cert-sig", "cert-key", "authority"];
        let message = match option {
            "crc32c" => {
                self.with_crc32c = true;
                return Ok(());
            }
            "unique-id" => "`unique-id` is not built: connections have no id that could be sent".into(),
            of_tls if OF_TLS.contains(&of_tls) => {
                format!("`{of_tls}` tells of the client's TLS, which is not built: there is nothing to send")
            }
            other => format!("unknown option `{other}`, expected `crc32c`"),
        };
        Err(Fault::at(word.span, message))
    }

    /// What connections begin with; the later version wins, wherever it stands.
    fn of_traffic(self) -> Option<SendProxy> {
        match self {
            Self { binary: true, with_crc32c, .. } => Some(SendProxy::Binary { with_crc32c }),
            Self { line: true, .. } => Some(SendProxy::Line),
            _ => None,
        }
    }

    /// The same for checks; one on a port of its own may be for somebody who does not know the protocol.
    fn of_checks(self, port: Option<u16>) -> Option<SendProxy> {
        let line = Some(SendProxy::Line).filter(|_| self.in_checks);
        if self.in_checks || port.is_none() { self.of_traffic().or(line) } else { None }
    }
}

fn unknown(word: &Word, text: &str) -> Fault {
    let mut search = Search::new(text);
    all().for_each(|entry| search.add(entry.name));
    unknown_parameter(word, "server", "", search)
}
