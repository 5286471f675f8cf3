//! Keywords by which the process gives up what it does not need (configuration §3.1).

use super::global::switch;
use super::{Keyword, Sections, Status};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::privileges::{Account, Written};
use crate::config::values::number;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const GLOBAL: Sections = Sections::GLOBAL;
const RUNS_NOTHING: &str = "oneport never runs another program, and `no_new_privs` is always set";

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new("chroot", GLOBAL, "1.3", "<folder>", "see only this folder once started", chroot),
    Keyword::new("user", GLOBAL, "1.3", "<name>", "become this user of /etc/passwd once started", |b, st| {
        account(b, st, true)
    }),
    Keyword::new(
        "uid",
        GLOBAL,
        "1.3",
        "<number>",
        "become this user once started; 0 = no change",
        |b, st| account(b, st, true),
    ),
    Keyword::new(
        "group",
        GLOBAL,
        "1.3",
        "<name>",
        "become this group of /etc/group once started",
        |b, st| account(b, st, false),
    ),
    Keyword::new(
        "gid",
        GLOBAL,
        "1.3",
        "<number>",
        "become this group once started; 0 = no change",
        |b, st| account(b, st, false),
    ),
    Keyword::new("set-dumpable", GLOBAL, "1.9", "", "core dumps in spite of a changed user", |b, st| {
        switch(b, st, |g| &mut g.dumpable)
    })
    .with_no(),
    Keyword::new("insecure-setuid-wanted", GLOBAL, "2.2", "", "programs it runs may be setuid", |_, st| {
        st.none()
    })
    .with_no()
    .status(Status::AcceptedIgnored(RUNS_NOTHING)),
    Keyword::new("insecure-fork-wanted", GLOBAL, "2.2", "", "it may run programs", |_, st| st.none())
        .with_no()
        .status(Status::AcceptedIgnored(RUNS_NOTHING)),
];

fn chroot(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let word = st.one("a folder")?;
    if word.bytes.is_empty() {
        return Err(Fault::at(word.span, "the folder's path is empty"));
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(word.bytes.clone()));
    if b.global.privileges.chroot.is_some() {
        return again(b, st, "`chroot`");
    }
    b.global.privileges.chroot = Some(Written::new(path, b.spot(st, Some(word.span))));
    Ok(())
}

/// `user` and `uid`, or `group` and `gid`. The first one counts, as in HAProxy, where `uid 0` and `gid 0` do not count
/// as set.
fn account(b: &mut Builder<'_>, st: &Statement<'_>, is_user: bool) -> Result<(), Fault> {
    let (by_name, what) = match st.keyword.name {
        "user" => (true, "the name of a user"),
        "group" => (true, "the name of a group"),
        _ => (false, "a number"),
    };
    let word = st.one(what)?;
    let account = match by_name {
        true if word.text()?.is_empty() => return Err(Fault::at(word.span, "the name is empty")),
        true => Account::Name(word.text()?.to_owned()),
        // The greatest number means "no change" to the kernel.
        false => number(word, 0, u32::MAX - 1).map(Account::Id).map_err(|_| {
            let why = if is_user { "`user`" } else { "`group`" };
            Fault::at(
                word.span,
                format_args!("{}: expected a number; a name stands after {why}", word.quoted()),
            )
        })?,
    };
    let spot = b.spot(st, Some(word.span));
    let all = &mut b.global.privileges;
    let slot = if is_user { &mut all.user } else { &mut all.group };
    if slot.as_ref().is_some_and(|before| before.value != Account::Id(0)) {
        let what = if is_user { "the user (`user`, `uid`)" } else { "the group (`group`, `gid`)" };
        return again(b, st, what);
    }
    *slot = Some(Written::new(account, spot));
    Ok(())
}

fn again(b: &mut Builder<'_>, st: &Statement<'_>, what: &str) -> Result<(), Fault> {
    b.warn(st, None, format!("{what} was set before; this one is ignored"));
    Ok(())
}
