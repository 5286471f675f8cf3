//! `option …` (configuration §4.2, "option …").

use super::{Keyword, Sections, Status};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::draft::Settings;
use crate::config::model::{ConnectionMode, ForwardFor, HeaderNames, LogFormat};
use crate::config::patterns::net;

const CLIENT: Sections = Sections::CLIENT_SIDE;
const SERVER: Sections = Sections::SERVER_SIDE;
const BOTH: Sections = Sections::PROXIES;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "option forwardfor",
        BOTH,
        "1.3",
        "[except <network>] [header <name>] [if-none]",
        "add the client's address to each request",
        |b, st| told_address(st, &mut b.settings()?.http.forward_for, "X-Forwarded-For", true),
    )
    .with_no(),
    Keyword::new(
        "option originalto",
        BOTH,
        "1.3",
        "[except <network>] [header <name>]",
        "add the address the client came to to each request",
        |b, st| told_address(st, &mut b.settings()?.http.original_to, "X-Original-To", false),
    )
    .with_no(),
    option("option http-server-close", BOTH, "1.4", "close the server's side after each answer", |b, st| {
        connection(b, st, ConnectionMode::ServerClose)
    }),
    option("option httpclose", BOTH, "1.3", "close both sides after each answer", |b, st| {
        connection(b, st, ConnectionMode::Close)
    }),
    option("option forceclose", BOTH, "1.3", "close both sides after each answer", |b, st| {
        connection(b, st, ConnectionMode::Close)
    })
    .instead("option httpclose"),
    option(
        "option http-keep-alive",
        BOTH,
        "1.5",
        "keep both sides open after an answer (the default)",
        |b, st| connection(b, st, ConnectionMode::KeepAlive),
    ),
    option(
        "option http-buffer-request",
        BOTH,
        "1.6",
        "wait for a request's body, or a full buffer, before rules see it",
        |b, st| flag(b, st, |s| &mut s.http.buffer_request),
    ),
    option(
        "option http-pretend-keepalive",
        SERVER,
        "1.3",
        "servers are not told that their connection will close after the answer",
        |b, st| flag(b, st, |s| &mut s.http.pretend_keep_alive),
    ),
    option(
        "option http-ignore-probes",
        CLIENT,
        "1.5",
        "neither answer nor log line for a connection that sent nothing",
        |b, st| flag(b, st, |s| &mut s.http.ignore_probes),
    ),
    option(
        "option http-use-proxy-header",
        CLIENT,
        "1.4",
        "requests to a proxy: `Proxy-Connection` instead of `Connection`, and its words for authentication",
        |b, st| flag(b, st, |s| &mut s.http.proxy_header),
    ),
    Keyword::new(
        "option http-restrict-req-hdr-names",
        BOTH,
        "2.4",
        "preserve|delete|reject",
        "header names with other characters than letters, digits and `-`",
        header_names,
    )
    .lenient(),
    option(
        "option tcplog",
        BOTH,
        "1.3",
        "session lines with timers, connection counts and termination state",
        |b, st| log_format(b, st, LogFormat::Tcp),
    )
    .lenient(),
    Keyword::new(
        "option httplog",
        CLIENT,
        "1.3",
        "[clf]",
        "session lines with the request as well",
        |b, st| {
            if let [word, rest @ ..] = st.args()
                && word.is("clf")
                && !st.negated
            {
                st.end(rest)?;
                return super::lines::clf(b, st, word);
            }
            log_format(b, st, LogFormat::Http)
        },
    )
    .with_no()
    .lenient(),
    option("option dontlognull", CLIENT, "1.3", "no line for a connection that sent nothing", |b, st| {
        flag(b, st, |s| &mut s.dont_log_null)
    }),
    option("option tcpka", BOTH, "1.3", "TCP keepalive on both sides (the default here)", |b, st| {
        keep_alive(b, st, true, true)
    }),
    option("option clitcpka", CLIENT, "1.3", "TCP keepalive towards clients (the default here)", |b, st| {
        keep_alive(b, st, true, false)
    }),
    option("option srvtcpka", SERVER, "1.3", "TCP keepalive towards servers (the default here)", |b, st| {
        keep_alive(b, st, false, true)
    }),
    option(
        "option log-health-checks",
        SERVER,
        "1.4",
        "a line for each health check that says something new",
        |b, st| flag(b, st, |s| &mut s.log_checks),
    ),
    option("option http-tunnel", BOTH, "1.5", "carry everything after the first request unseen", |_, _| {
        Ok(())
    })
    .status(Status::Refused("later requests of a connection would pass unchecked; HAProxy 2.1 took it out")),
];

pub(super) const fn option(
    name: &'static str,
    sections: Sections,
    since: &'static str,
    help: &'static str,
    parse: super::Parse,
) -> Keyword {
    Keyword::new(name, sections, since, "", help, parse).with_no().lenient()
}

/// TCP keepalive: on, off, or as where nothing is written.
fn keep_alive(b: &mut Builder<'_>, st: &Statement<'_>, clients: bool, servers: bool) -> Result<(), Fault> {
    st.none()?;
    let on = (!st.to_default).then_some(!st.negated);
    let settings = b.settings()?;
    if clients {
        settings.client_keepalive = on;
    }
    if servers {
        settings.server_keepalive = on;
    }
    Ok(())
}

/// The last one written wins; `no` takes back only what is in force, as in HAProxy.
fn connection(b: &mut Builder<'_>, st: &Statement<'_>, mode: ConnectionMode) -> Result<(), Fault> {
    st.none()?;
    let connection = &mut b.settings()?.connection;
    if !st.negated {
        *connection = Some(mode);
    } else if *connection == Some(mode) {
        *connection = None;
    }
    Ok(())
}

fn log_format(b: &mut Builder<'_>, st: &Statement<'_>, format: LogFormat) -> Result<(), Fault> {
    st.none()?;
    let current = &mut b.settings()?.log_format;
    if !st.negated {
        *current = format;
    } else if *current == format {
        *current = LogFormat::Default;
    }
    Ok(())
}

/// `option forwardfor` and `option originalto`: `if_none` says whether there is that word.
fn told_address(
    st: &Statement<'_>,
    to: &mut Option<ForwardFor>,
    header: &str,
    if_none: bool,
) -> Result<(), Fault> {
    if st.negated {
        st.none()?;
        *to = None;
        return Ok(());
    }
    let mut told = ForwardFor { header: header.to_owned(), if_none: false, except: None };
    let mut args = st.args().iter();
    while let Some(word) = args.next() {
        let mut value = |what: &str| {
            args.next().ok_or_else(|| Fault::at(word.span, format_args!("{} needs {what}", word.quoted())))
        };
        match word.as_str() {
            "if-none" if if_none => told.if_none = true,
            "header" => {
                let name = value("the name of a header")?;
                let text = name.text()?;
                if text.is_empty() || !text.bytes().all(is_header_char) {
                    return Err(name.wrong(" is no header name"));
                }
                told.header = text.to_owned();
            }
            "except" => {
                let word = value("an address or a network")?;
                told.except = Some(net(word.text()?).map_err(|error| Fault::at(word.span, error))?);
            }
            _ => {
                let last = if if_none { ", `except NETWORK` or `if-none`" } else { " or `except NETWORK`" };
                return Err(Fault::at(
                    word.span,
                    format_args!("{}: expected `header NAME`{last}", word.quoted()),
                ));
            }
        }
    }
    *to = Some(told);
    Ok(())
}

fn header_names(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    const EXPECTED: &str = "preserve, delete or reject";
    let word = st.one(EXPECTED)?;
    b.settings()?.http.header_names = match word.as_str() {
        "preserve" => HeaderNames::Preserve,
        "delete" => HeaderNames::Delete,
        "reject" => HeaderNames::Reject,
        _ => {
            return Err(Fault::at(word.span, format_args!("{}: expected {EXPECTED}", word.quoted())));
        }
    };
    Ok(())
}

/// An option that is on or off.
pub(super) fn flag(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    of: fn(&mut Settings) -> &mut bool,
) -> Result<(), Fault> {
    st.none()?;
    *of(b.settings()?) = !st.negated;
    Ok(())
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_header_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
