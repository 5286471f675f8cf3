//! `timeout …` (configuration §4.2, "timeout …").

use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::draft::Timeouts;
use crate::config::values::time_ms;

const CLIENT: Sections = Sections::CLIENT_SIDE;
const SERVER: Sections = Sections::SERVER_SIDE;
const BOTH: Sections = Sections::PROXIES;

pub(super) const TABLE: &[Keyword] = &[
    time("timeout client", CLIENT, "1.3", "inactivity of the client; default 50s", |b, st| {
        set(b, st, |t| &mut t.client)
    }),
    time(
        "timeout client-fin",
        CLIENT,
        "1.5",
        "inactivity of the client once one side has closed",
        |b, st| set(b, st, |t| &mut t.client_fin),
    ),
    time("timeout server", SERVER, "1.3", "inactivity of the server; default 50s", |b, st| {
        set(b, st, |t| &mut t.server)
    }),
    time(
        "timeout server-fin",
        SERVER,
        "1.5",
        "inactivity of the server once one side has closed",
        |b, st| set(b, st, |t| &mut t.server_fin),
    ),
    time("timeout connect", SERVER, "1.3", "reaching a server; default 5s", |b, st| {
        set(b, st, |t| &mut t.connect)
    }),
    time("timeout tunnel", BOTH, "1.5", "inactivity of both sides of a tunnel", |b, st| {
        set(b, st, |t| &mut t.tunnel)
    }),
    time("timeout http-request", BOTH, "1.3", "waiting for a whole request head; default 10s", |b, st| {
        set(b, st, |t| &mut t.http_request)
    }),
    time("timeout http-keep-alive", BOTH, "1.4", "waiting for the next request; default 10s", |b, st| {
        set(b, st, |t| &mut t.http_keep_alive)
    }),
    time(
        "timeout queue",
        SERVER,
        "1.3",
        "waiting for a free slot of a server; default: connect's",
        |b, st| set(b, st, |t| &mut t.queue),
    ),
    time(
        "timeout tarpit",
        BOTH,
        "1.3",
        "before the answer of a `tarpit` rule; default: connect's",
        |b, st| set(b, st, |t| &mut t.tarpit),
    ),
    time(
        "timeout check",
        SERVER,
        "1.3",
        "a health check whose connection stands; without it `inter` is for the whole check",
        |b, st| set(b, st, |t| &mut t.check),
    ),
    time("contimeout", SERVER, "1.1", "reaching a server", |b, st| set(b, st, |t| &mut t.connect))
        .instead("timeout connect"),
    time("clitimeout", CLIENT, "1.1", "inactivity of the client", |b, st| set(b, st, |t| &mut t.client))
        .instead("timeout client"),
    time("srvtimeout", SERVER, "1.1", "inactivity of the server", |b, st| set(b, st, |t| &mut t.server))
        .instead("timeout server"),
];

const fn time(
    name: &'static str,
    sections: Sections,
    since: &'static str,
    help: &'static str,
    parse: super::Parse,
) -> Keyword {
    Keyword::new(name, sections, since, "<time>", help, parse).lenient()
}

fn set(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    field: fn(&mut Timeouts) -> &mut Option<u64>,
) -> Result<(), Fault> {
    let time_ms = time_ms(st.one("a time")?)?;
    *field(&mut b.settings().timeouts) = Some(time_ms);
    Ok(())
}
