//! `option …` (configuration §4.2, "option …").

use super::{Keyword, Sections, Status};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::model::{ConnectionMode, ForwardFor, LogFormat};

const CLIENT: Sections = Sections::CLIENT_SIDE;
const SERVER: Sections = Sections::SERVER_SIDE;
const BOTH: Sections = Sections::PROXIES;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "option forwardfor",
        BOTH,
        "1.3",
        "[header <name>] [if-none]",
        "add the client's address to each request",
        forwardfor,
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
        |b, st| {
            st.none()?;
            b.settings()?.buffer_request = !st.negated;
            Ok(())
        },
    ),
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
        st.none()?;
        b.settings()?.dont_log_null = !st.negated;
        Ok(())
    }),
    option("option tcpka", BOTH, "1.3", "TCP keepalive on both sides (the default here)", |b, st| {
        st.none()?;
        let settings = b.settings()?;
        settings.client_keepalive = switch(st);
        settings.server_keepalive = switch(st);
        Ok(())
    }),
    option("option clitcpka", CLIENT, "1.3", "TCP keepalive towards clients (the default here)", |b, st| {
        st.none()?;
        b.settings()?.client_keepalive = switch(st);
        Ok(())
    }),
    option("option srvtcpka", SERVER, "1.3", "TCP keepalive towards servers (the default here)", |b, st| {
        st.none()?;
        b.settings()?.server_keepalive = switch(st);
        Ok(())
    }),
    option("option http-tunnel", BOTH, "1.5", "carry everything after the first request unseen", |_, _| {
        Ok(())
    })
    .status(Status::Refused("later requests of a connection would pass unchecked; HAProxy 2.1 took it out")),
    Keyword::new(
        "option redispatch",
        SERVER,
        "1.3",
        "[<interval>]",
        "try another server when one cannot be reached",
        redispatch,
    )
    .with_no()
    .lenient()
    .status(Status::NotYet(NO_REDISPATCH)),
    Keyword::new(
        "redispatch",
        SERVER,
        "1.3",
        "",
        "try another server when one cannot be reached",
        redispatch,
    )
    .lenient()
    .instead("option redispatch")
    .status(Status::NotYet(NO_REDISPATCH)),
];

const fn option(
    name: &'static str,
    sections: Sections,
    since: &'static str,
    help: &'static str,
    parse: super::Parse,
) -> Keyword {
    Keyword::new(name, sections, since, "", help, parse).with_no().lenient()
}

const NO_REDISPATCH: &str = "a retry goes to another server only once a check has found the first one down";

fn redispatch(_: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    if let [word, rest @ ..] = st.args() {
        if word.text()?.parse::<i32>().is_err() {
            return Err(Fault::at(word.span, format!("{} is no number", word.quoted())));
        }
        st.end(rest)?;
    }
    Ok(())
}

/// On, off, or as where nothing is written.
fn switch(st: &Statement<'_>) -> Option<bool> {
    (!st.to_default).then_some(!st.negated)
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

fn forwardfor(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    if st.negated {
        st.none()?;
        b.settings()?.forward_for = None;
        return Ok(());
    }
    let mut forward_for = ForwardFor { header: "X-Forwarded-For".to_owned(), if_none: false };
    let mut args = st.args().iter();
    while let Some(word) = args.next() {
        match word.bytes.as_slice() {
            b"if-none" => forward_for.if_none = true,
            b"header" => {
                let Some(name) = args.next() else {
                    return Err(Fault::at(word.span, "`header` needs the name of a header"));
                };
                let text = name.text()?;
                if text.is_empty() || !text.bytes().all(is_header_char) {
                    return Err(Fault::at(name.span, format!("{} is no header name", name.quoted())));
                }
                forward_for.header = text.to_owned();
            }
            b"except" => return Err(Fault::at(word.span, "`except` is not built yet")),
            _ => {
                return Err(Fault::at(
                    word.span,
                    format!("{}: expected `header NAME` or `if-none`", word.quoted()),
                ));
            }
        }
    }
    b.settings()?.forward_for = Some(forward_for);
    Ok(())
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_header_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
