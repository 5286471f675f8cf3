//! `server` lines and their parameters (configuration §5.2).

use super::{Entry, Sections, groups, known, listed, parameters};
use crate::config::address;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{Check, SendProxy, Server, ServerCookie};
use crate::config::suggest;
use crate::config::values::{name, number, positive_time_ms};
use std::rc::Rc;

/// What parameters of a `server` line set.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    checked: bool,
    check: Check,
    weight: u32,
    maxconn: Option<u32>,
    minconn: u32,
    maxqueue: u32,
    backup: bool,
    disabled: bool,
    proxy: ProxyHeader,
    cookie: Option<ServerCookie>,
    redirect: Option<Rc<str>>,
    non_stick: bool,
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
        p.check.rise = number(word, 1, u32::MAX)?;
        Ok(())
    }),
    parameter("fall", "<number>", "1.3", "failures until it is down; default 3", |p, word| {
        p.check.fall = number(word, 1, u32::MAX)?;
        Ok(())
    }),
    parameter("port", "<port>", "1.3", "another port for checks", |p, word| {
        p.check.port = u16::try_from(number(word, 1, 65_535)?).ok();
        Ok(())
    }),
    parameter("weight", "<number>", "1.3", "its share of the traffic, 0 to 256; default 1", |p, word| {
        p.weight = number(word, 0, 256)?;
        Ok(())
    }),
    parameter("maxconn", "<number>", "1.3", "concurrent connections to it", |p, word| {
        p.maxconn = Some(number(word, 0, u32::MAX)?).filter(|&n| n > 0);
        Ok(())
    }),
    parameter("backup", "", "1.3", "used when no other server is up", |p, _| {
        p.backup = true;
        Ok(())
    }),
    parameter("no-backup", "", "1.8", "take `backup` back", |p, _| {
        p.backup = false;
        Ok(())
    }),
    parameter("disabled", "", "1.4", "start in maintenance", |p, _| {
        p.disabled = true;
        Ok(())
    }),
    parameter("enabled", "", "1.8", "take `disabled` back", |p, _| {
        p.disabled = false;
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
    parameter("no-check-send-proxy", "", "1.8", "take `check-send-proxy` back", |p, _| {
        p.proxy.in_checks = false;
        Ok(())
    }),
    // Keeping clients with it, or sending them elsewhere.
    parameter("cookie", "<value>", "1.3", "the value of the backend's `cookie` that means it", |p, word| {
        p.cookie = Some(ServerCookie::Value(filled(word)?.as_bytes().into()));
        Ok(())
    }),
    parameter("redir", "<prefix>", "1.4", "GET and HEAD get a 302 to this and their path", |p, word| {
        p.redirect = Some(filled(word)?.into());
        Ok(())
    }),
    // Stick tables.
    parameter("non-stick", "", "1.5", "no stick table learns who was given to it", |p, _| {
        p.non_stick = true;
        Ok(())
    }),
    parameter("stick", "", "1.8", "take `non-stick` back", |p, _| {
        p.non_stick = false;
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
            p.maxqueue = number(word, 0, i32::MAX as u32)?;
            Ok(())
        },
    ),
];

/// What may stand in a field of a head, and is not empty.
fn filled(word: &Word) -> Result<&str, Fault> {
    match word.text()? {
        text if text.is_empty() || text.bytes().any(|byte| byte < b' ' || byte == 0x7f) => {
            Err(Fault::at(word.span, format!("{} cannot stand in a head", word.quoted())))
        }
        text => Ok(text),
    }
}

const fn parameter(
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
        return Err(Fault::at(st.name_span(), "expected `server NAME ADDRESS[:PORT] [PARAMETERS]`"));
    };
    let name = name(name_word, "server")?.to_owned();
    let address = address::server(address_word, b.env)?;
    let inherited = b.settings()?.default_server.clone().unwrap_or_default();
    let p = set(b, st, inherited, words)?;
    let proxy = b.proxy()?;
    if let Some(line) = proxy.server_names.insert(name.clone(), st.place.line) {
        return Err(Fault::at(
            name_word.span,
            format!("`{}` has a server `{name}` already, in line {line}", proxy.name),
        ));
    }
    proxy.servers.push(Server {
        name,
        place: st.place.clone(),
        address,
        weight: p.weight,
        // Alone, or as the larger of both, `minconn` is the limit.
        maxconn: p.maxconn.max(Some(p.minconn).filter(|&n| n > 0)),
        minconn: if p.maxconn.is_some_and(|maxconn| p.minconn < maxconn) { p.minconn } else { 0 },
        maxqueue: p.maxqueue,
        check: p.checked.then_some(Check { send_proxy: p.proxy.of_checks(p.check.port), ..p.check }),
        backup: p.backup,
        disabled: p.disabled,
        send_proxy: p.proxy.of_traffic(),
        cookie: p.cookie,
        redirect: p.redirect,
        non_stick: p.non_stick,
    });
    Ok(())
}

/// Parses `default-server`: what later `server` lines begin with (configuration §4.2, "default-server").
pub(super) fn parse_default(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    if st.args().is_empty() {
        return Err(Fault::at(st.name_span(), "expected `default-server PARAMETERS`"));
    }
    let so_far = b.settings()?.default_server.clone().unwrap_or_default();
    let changed = set(b, st, so_far, st.args())?;
    b.settings()?.default_server = Some(changed);
    Ok(())
}

impl Default for Parameters {
    fn default() -> Self {
        let proxy = ProxyHeader::default();
        Self {
            checked: false,
            check: Check::default(),
            weight: 1,
            maxconn: None,
            minconn: 0,
            maxqueue: 0,
            backup: false,
            disabled: false,
            proxy,
            cookie: None,
            redirect: None,
            non_stick: false,
        }
    }
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

fn set(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    mut p: Parameters,
    words: &[Word],
) -> Result<Parameters, Fault> {
    let set_aside = parameters(PARAMETERS, groups::SERVERS, words, &mut p, unknown)?;
    b.tell_set_aside(st, &set_aside);
    Ok(p)
}

fn unknown(word: &Word, text: &str) -> Fault {
    if matches!(text, "ssl" | "check-ssl") {
        return Fault::at(
            word.span,
            format!("TLS (`{text}`) is not built: it would go in the clear where encryption was meant"),
        );
    }
    if listed(known::SERVER, text) {
        return Fault::at(
            word.span,
            format!("HAProxy has the server parameter `{text}`, oneport has not built it yet"),
        );
    }
    let hint = suggest::hint(text, PARAMETERS.iter().map(|e| e.name).chain(known::SERVER.split('|')));
    Fault::at(word.span, format!("unknown server parameter {}{hint}", word.quoted()))
}
