//! Keywords of the `global` section (configuration §3).

use super::{Keyword, Sections, Status};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::model::Global;
use crate::config::values::{number, positive_time_ms};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const GLOBAL: Sections = Sections::GLOBAL;
/// The greatest buffer, so that offsets inside one fit 16 bits.
const BUFSIZE_BYTES_MAX: u32 = 65_535;
/// A smaller buffer holds no usable request head.
const BUFSIZE_BYTES_MIN: u32 = 1_024;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "maxconn",
        GLOBAL,
        "1.3",
        "<number>",
        "concurrent client connections of the process",
        maxconn,
    ),
    Keyword::new(
        "maxconnrate",
        GLOBAL,
        "1.4",
        "<number>",
        "connections the process accepts a second; the smaller of this and `maxsessrate` counts",
        accept_rate,
    ),
    Keyword::new(
        "maxsessrate",
        GLOBAL,
        "1.5",
        "<number>",
        "the same: each connection is a session",
        accept_rate,
    ),
    Keyword::new(
        "spread-checks",
        GLOBAL,
        "1.3",
        "<0..50>",
        "the time between two checks goes up or down by as many percent",
        |b, st| {
            b.global.spread_checks = st.number("a number of percent", 0, 50)?;
            Ok(())
        },
    ),
    Keyword::new(
        "max-spread-checks",
        GLOBAL,
        "1.5",
        "<time>",
        "the first checks come within this time",
        |b, st| {
            b.global.max_spread_checks_ms = Some(positive_time_ms(st.one("a time")?)?);
            Ok(())
        },
    ),
    Keyword::new(
        "unix-bind",
        GLOBAL,
        "1.4",
        "[prefix <path>] [mode <octal>] [user <name>] [uid <number>] [group <name>] [gid <number>]",
        "what the unix sockets of the `bind` lines below have that say nothing else",
        super::bind::parse_unix,
    ),
    Keyword::new("daemon", GLOBAL, "1.3", "", "go to the background", |b, st| {
        switch(b, st, |g| &mut g.daemon)
    }),
    Keyword::new("pidfile", GLOBAL, "1.3", "<path>", "write the process id to this file", pidfile),
    Keyword::new("ulimit-n", GLOBAL, "1.3", "<number>", "ask for this many file descriptors", ulimit_n),
    Keyword::new(
        "log-send-hostname",
        GLOBAL,
        "1.4",
        "[<name>]",
        "log lines of RFC 3164 tell the machine's name, or this one",
        |b, st| {
            let name = match st.args() {
                [] => "",
                _ => st.one("a name")?.text()?,
            };
            b.global.log_host = Some(name.to_owned());
            Ok(())
        },
    ),
    Keyword::new("log-tag", GLOBAL, "1.4", "<text>", "the program's name in log lines", |b, st| {
        b.global.log_tag = Some(st.one("the name")?.text()?.to_owned());
        Ok(())
    }),
    Keyword::new("description", GLOBAL, "1.4", "<text>", "a text for people", |_, _| Ok(())),
    Keyword::new("nbproc", GLOBAL, "1.3", "<number>", "number of processes", count)
        .status(Status::AcceptedIgnored("oneport is one process")),
    Keyword::new("tune.bufsize", GLOBAL, "1.4", "<bytes>", "size of one buffer", |b, st| {
        let word = st.one("a size in bytes")?;
        b.global.bufsize_bytes = number(word, BUFSIZE_BYTES_MIN, BUFSIZE_BYTES_MAX)? as usize;
        Ok(())
    }),
    Keyword::new(
        "tune.maxrewrite",
        GLOBAL,
        "1.4",
        "<bytes>",
        "room kept in a buffer for added headers",
        |b, st| {
            b.global.maxrewrite_bytes = st.number("a size in bytes", 0, BUFSIZE_BYTES_MAX)? as usize;
            Ok(())
        },
    ),
];

fn maxconn(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let value = st.number("a number", 1, u32::MAX)?;
    if b.global.maxconn.is_some() {
        return again(b, st);
    }
    b.global.maxconn = Some(value);
    Ok(())
}

fn accept_rate(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let new = st.number("a number", 0, i32::MAX as u32)?;
    let rate = &mut b.global.accepts_a_second;
    *rate = if *rate == 0 || new > 0 && new < *rate { new } else { *rate };
    Ok(())
}

fn ulimit_n(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let value = st.number("a number", 1, u32::MAX)?;
    if b.global.ulimit_n.is_some() {
        return again(b, st);
    }
    b.global.ulimit_n = Some(value);
    Ok(())
}

fn pidfile(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let word = st.one("a path")?;
    if word.bytes.is_empty() {
        return Err(Fault::at(word.span, "the path is empty"));
    }
    if b.global.pidfile.is_some() {
        return again(b, st);
    }
    b.global.pidfile = Some(PathBuf::from(std::ffi::OsString::from_vec(word.bytes.clone())));
    Ok(())
}

/// What is on or off in the process.
pub(super) fn switch(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    of: fn(&mut Global) -> &mut bool,
) -> Result<(), Fault> {
    st.none()?;
    *of(&mut b.global) = !st.negated;
    Ok(())
}

/// The first one counts, as in HAProxy.
fn again(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    b.warn(st, None, format!("`{}` was set before; this one is ignored", st.keyword.name));
    Ok(())
}

/// A number that is checked and then ignored.
fn count(_: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    number(st.one("a number")?, 1, u32::MAX).map(drop)
}
