//! Keywords by which the process gives up what it does not need (configuration §3.1).

use super::{Keyword, Sections, Status};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::privileges::{Account, Privileges, Written};
use crate::config::values::number;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const GLOBAL: Sections = Sections::GLOBAL;
const RUNS_NOTHING: &str = "oneport never runs another program, and `no_new_privs` is always set";

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new("chroot", GLOBAL, "1.3", "<folder>", "see only this folder once started", chroot),
    Keyword::new("user", GLOBAL, "1.3", "<name>", "become this user of /etc/passwd once started", |b, st| {
        let name = account_name(st, "the name of a user")?;
        set_user(b, st, name)
    }),
    Keyword::new(
        "uid",
        GLOBAL,
        "1.3",
        "<number>",
        "become this user once started; 0 = no change",
        |b, st| {
            let id = account_id(st, "user")?;
            set_user(b, st, id)
        },
    ),
    Keyword::new(
        "group",
        GLOBAL,
        "1.3",
        "<name>",
        "become this group of /etc/group once started",
        |b, st| {
            let name = account_name(st, "the name of a group")?;
            set_group(b, st, name)
        },
    ),
    Keyword::new(
        "gid",
        GLOBAL,
        "1.3",
        "<number>",
        "become this group once started; 0 = no change",
        |b, st| {
            let id = account_id(st, "group")?;
            set_group(b, st, id)
        },
    ),
    Keyword::new("set-dumpable", GLOBAL, "1.9", "", "core dumps in spite of a changed user", |b, st| {
        st.none()?;
        b.global.dumpable = !st.negated;
        Ok(())
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
    let written = Written::new(path, b.spot(st, Some(word.span)));
    keep_first(b, st, "`chroot`", |all| &mut all.chroot, written);
    Ok(())
}

/// The word and what it names.
type Named<'a> = (&'a Word, Account);

fn account_name<'a>(st: &Statement<'a>, what: &str) -> Result<Named<'a>, Fault> {
    let word = st.one(what)?;
    let name = word.text()?;
    if name.is_empty() {
        return Err(Fault::at(word.span, "the name is empty"));
    }
    Ok((word, Account::Name(name.to_owned())))
}

fn account_id<'a>(st: &Statement<'a>, instead: &str) -> Result<Named<'a>, Fault> {
    let word = st.one("a number")?;
    // The greatest number means "no change" to the kernel.
    match number(word, 0, u32::MAX - 1) {
        Ok(id) => Ok((word, Account::Id(id))),
        Err(_) => Err(Fault::at(
            word.span,
            format_args!("{}: expected a number; a name stands after `{instead}`", word.quoted()),
        )),
    }
}

fn set_user(b: &mut Builder<'_>, st: &Statement<'_>, (word, user): Named<'_>) -> Result<(), Fault> {
    let written = Written::new(user, b.spot(st, Some(word.span)));
    keep_first(b, st, "the user (`user`, `uid`)", |all| &mut all.user, written);
    Ok(())
}

fn set_group(b: &mut Builder<'_>, st: &Statement<'_>, (word, group): Named<'_>) -> Result<(), Fault> {
    let written = Written::new(group, b.spot(st, Some(word.span)));
    keep_first(b, st, "the group (`group`, `gid`)", |all| &mut all.group, written);
    Ok(())
}

/// The first one counts, as in HAProxy, where `uid 0` and `gid 0` do not count as set.
fn keep_first<T: Unset>(
    b: &mut Builder<'_>,
    st: &Statement<'_>,
    what: &str,
    slot: fn(&mut Privileges) -> &mut Option<Written<T>>,
    written: Written<T>,
) {
    match slot(&mut b.global.privileges) {
        Some(before) if !before.value.is_unset() => {
            b.warn(st, None, format!("{what} was set before; this one is ignored"));
        }
        free => *free = Some(written),
    }
}

/// Values that say nothing.
trait Unset {
    fn is_unset(&self) -> bool {
        false
    }
}

impl Unset for PathBuf {}

impl Unset for Account {
    fn is_unset(&self) -> bool {
        *self == Self::Id(0)
    }
}
