//! Keywords of proxies that are neither rules, timeouts, options nor logs (configuration §4.2).

use super::options::flag;
use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::draft::NameRef;
use crate::config::model::{Mode, Reuse};
use crate::config::values::{name, number};

const CLIENT: Sections = Sections::CLIENT_SIDE;
const SERVER: Sections = Sections::SERVER_SIDE;
const BOTH: Sections = Sections::PROXIES;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new("mode", BOTH, "1.3", "tcp|http", "carry bytes, or understand HTTP; default tcp", mode),
    BIND,
    Keyword::new(
        "server",
        Sections::LISTEN.or(Sections::BACKEND),
        "1.3",
        "<name> <address>[:<port>] [<parameters>]",
        "a server to send to",
        super::server::parse,
    ),
    Keyword::new(
        "http-reuse",
        SERVER,
        "1.6",
        "never|safe|aggressive|always",
        "when idle server connections serve further requests; without it those that may be repeated always",
        http_reuse,
    )
    .lenient(),
    Keyword::new(
        "default_backend",
        CLIENT,
        "1.3",
        "<backend>",
        "the backend when no rule chooses one",
        |b, st| {
            let word = st.one("the name of a backend")?;
            let name = name(word, "backend")?.to_owned();
            let spot = b.spot(st, Some(word.span));
            b.settings()?.default_backend = Some(NameRef { name, spot });
            Ok(())
        },
    )
    .lenient(),
    Keyword::new(
        "maxconn",
        CLIENT,
        "1.3",
        "<number>",
        "concurrent client connections of the frontend",
        |b, st| {
            let value = number(st.one("a number")?, 0, u32::MAX)?;
            // 0 takes a limit back that `defaults` has set.
            b.settings()?.maxconn = Some(value).filter(|&n| n > 0);
            Ok(())
        },
    )
    .lenient(),
    Keyword::new(
        "rate-limit sessions",
        CLIENT,
        "1.4",
        "<number>",
        "connections that the frontend accepts a second; others wait in the kernel's queue",
        |b, st| {
            b.settings()?.accepts_a_second = number(st.one("a number")?, 0, i32::MAX as u32)?;
            Ok(())
        },
    )
    .lenient(),
    Keyword::new("backlog", CLIENT, "1.4", "<number>", "length of the kernel's accept queue", |b, st| {
        let value = number(st.one("a number")?, 0, i32::MAX as u32)?;
        b.settings()?.backlog = Some(value).filter(|&n| n > 0);
        Ok(())
    })
    .lenient(),
    Keyword::new("description", BOTH, "1.4", "<text>", "a text for people", |_, _| Ok(())),
    Keyword::new("disabled", BOTH, "1.3", "", "leave the proxy out", |b, st| {
        flag(b, st, |s| &mut s.disabled)
    }),
    Keyword::new("enabled", BOTH, "1.3", "", "take `disabled` of `defaults` back", |b, st| {
        st.none()?;
        b.settings()?.disabled = false;
        Ok(())
    }),
];

/// `bind`.
pub(crate) const BIND: Keyword = Keyword::new(
    "bind",
    Sections::FRONTEND.or(Sections::LISTEN),
    "1.3",
    "<address>[,<address>…] [<parameters>]",
    "listen here",
    super::bind::parse,
);

fn mode(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let word = st.one("tcp or http")?;
    let mode = match word.as_str() {
        "tcp" => Mode::Tcp,
        "http" => Mode::Http,
        "health" => {
            return Err(Fault::at(word.span, "`mode health` is gone; `http-request return` takes its place"));
        }
        _ => {
            return Err(word.wrong(" is no mode; expected tcp or http"));
        }
    };
    b.settings()?.mode = Some(mode);
    Ok(())
}

fn http_reuse(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    const EXPECTED: &str = "never, safe, aggressive or always";
    let word = st.one(EXPECTED)?;
    let reuse = match word.as_str() {
        "never" => Reuse::Never,
        "safe" => Reuse::Safe,
        "aggressive" => Reuse::Aggressive,
        "always" => Reuse::Always,
        _ => {
            return Err(Fault::at(
                word.span,
                format_args!("{} is no mode; expected {EXPECTED}", word.quoted()),
            ));
        }
    };
    b.settings()?.http.reuse = reuse;
    Ok(())
}
