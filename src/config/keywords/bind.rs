//! `bind` lines and their parameters (configuration §5.1).

use super::{Entry, Sections, connection, groups, known, listed, parameters, unknown_parameter};
use crate::config::address;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{Bind, BindAddress, Place, TcpTuning};
use crate::config::privileges::Account;
use crate::config::suggest::Search;
use crate::config::values::number;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Addresses of one proxy, ranges expanded.
const BINDS_MAX: usize = 4_096;
/// Parses one parameter: its value, or the parameter's own word where it takes none.
pub(crate) type BindParse = fn(&mut Bind, &Word) -> Result<(), Fault>;

/// Parameters of a `bind` line.
pub(crate) const PARAMETERS: &[Entry<BindParse>] = &[
    parameter("name", "<text>", "1.3", "a name for this address", |bind, word| {
        bind.name = Some(word.text()?.to_owned());
        Ok(())
    }),
    parameter("backlog", "<number>", "1.5", "length of the kernel's accept queue", |bind, word| {
        bind.backlog = Some(number(word, 1, i32::MAX as u32)?);
        Ok(())
    }),
    parameter("maxconn", "<number>", "1.5", "concurrent connections from this address", |bind, word| {
        bind.maxconn = Some(number(word, 1, u32::MAX)?);
        Ok(())
    }),
    parameter("mode", "<octal>", "1.3", "permissions of a unix socket", |bind, word| {
        bind.unix_mode = Some(unix_mode(word)?);
        Ok(())
    }),
    parameter("user", "<name>", "1.3", "the owner of a unix socket, from /etc/passwd", |bind, word| {
        bind.unix_user = Some(Account::Name(word.text()?.to_owned()));
        Ok(())
    }),
    parameter("uid", "<number>", "1.3", "the owner of a unix socket", |bind, word| {
        bind.unix_user = Some(Account::Id(number(word, 0, u32::MAX - 1)?));
        Ok(())
    }),
    parameter("group", "<name>", "1.3", "the group of a unix socket, from /etc/group", |bind, word| {
        bind.unix_group = Some(Account::Name(word.text()?.to_owned()));
        Ok(())
    }),
    parameter("gid", "<number>", "1.3", "the group of a unix socket", |bind, word| {
        bind.unix_group = Some(Account::Id(number(word, 0, u32::MAX - 1)?));
        Ok(())
    }),
    parameter(
        "transparent",
        "",
        "1.3",
        "listens even where the machine does not have the address (yet)",
        |bind, _| {
            bind.transparent = true;
            Ok(())
        },
    ),
    parameter("accept-proxy", "", "1.5", "each connection begins with a PROXY protocol header", |bind, _| {
        bind.accept_proxy = true;
        Ok(())
    }),
    parameter(
        "interface",
        "<name>",
        "1.4",
        "only what comes through this network interface",
        |bind, word| {
            bind.interface = Some(connection::interface(word)?);
            Ok(())
        },
    ),
    parameter("mss", "<bytes>", "1.4", "the longest TCP segment; below 0 the kernel's own", |bind, word| {
        bind.tuning.mss = mss(word)?;
        Ok(())
    }),
    parameter("tcp-ut", "<time>", "1.7", "how long sent bytes may stay unacknowledged", |bind, word| {
        bind.tuning.user_timeout_ms = connection::user_timeout_ms(word)?;
        Ok(())
    }),
    parameter("tfo", "", "1.5", "TCP fast open: bytes may come with the first packet", |bind, _| {
        bind.tuning.fast_open = true;
        Ok(())
    }),
    parameter("v4v6", "", "1.5", "an IPv6 socket takes IPv4 connections as well", |bind, _| {
        bind.v6only = Some(false);
        Ok(())
    }),
    parameter("v6only", "", "1.5", "an IPv6 socket takes no IPv4 connections", |bind, _| {
        bind.v6only = Some(true);
        Ok(())
    }),
];

const fn parameter(
    name: &'static str,
    args: &'static str,
    since: &'static str,
    help: &'static str,
    parse: BindParse,
) -> Entry<BindParse> {
    Entry::new(name, Sections::FRONTEND.or(Sections::LISTEN), since, args, help, parse)
}

fn unix_mode(word: &Word) -> Result<u32, Fault> {
    match u32::from_str_radix(word.text()?, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(word.wrong(" is no octal mode such as 660")),
    }
}

/// A line without an address and parameters.
fn empty(place: &Place) -> Bind {
    Bind {
        address: BindAddress::Fd(-1),
        text: String::new(),
        place: place.clone(),
        backlog: None,
        maxconn: None,
        name: None,
        unix_mode: None,
        unix_user: None,
        unix_group: None,
        v6only: None,
        transparent: false,
        accept_proxy: false,
        interface: None,
        tuning: TcpTuning::default(),
    }
}

fn mss(word: &Word) -> Result<i32, Fault> {
    let text = word.text()?;
    match text.parse::<i32>() {
        // Less than usual by so much: there is no such option on Linux, and HAProxy asks for nothing there either.
        Ok(bytes) if (-65_535..0).contains(&bytes) => Ok(0),
        Ok(bytes) if (1..=65_535).contains(&bytes) => Ok(bytes),
        _ => Err(word.wrong(": expected 1 to 65535 bytes, or -1 to -65535")),
    }
}

/// `unix-bind`: what unix sockets have of which `bind` lines say nothing.
#[derive(Default)]
pub(crate) struct UnixBind {
    /// Stands before each path.
    prefix: Vec<u8>,
    /// A line with the parameters.
    line: Option<Bind>,
}

/// Parses `unix-bind`.
pub(super) fn parse_unix(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    const EXPECTED: &str = "expected prefix, mode, user, uid, group or gid";
    let mut unix = std::mem::take(&mut b.unix_bind);
    let line = unix.line.get_or_insert_with(|| empty(st.place));
    let mut words = st.args().iter();
    while let Some(word) = words.next() {
        let name = word.text()?;
        let owns = listed("mode|user|uid|group|gid", name);
        let entry = PARAMETERS.iter().find(|entry| owns && entry.name == name);
        let value = words.next().ok_or_else(|| Fault::at(word.span, format_args!("`{name}` needs a value")));
        match entry {
            Some(entry) => (entry.parse)(line, value?)?,
            None if name == "prefix" => unix.prefix = value?.bytes.clone(),
            None => return Err(Fault::at(word.span, format_args!("{}: {EXPECTED}", word.quoted()))),
        }
    }
    if st.args().is_empty() {
        return Err(st.wrong(EXPECTED));
    }
    b.unix_bind = unix;
    Ok(())
}

impl UnixBind {
    /// Fills in what a `bind` line has left open.
    fn complete(&self, bind: &mut Bind) -> Result<(), Fault> {
        let BindAddress::Unix(path) = &mut bind.address else { return Ok(()) };
        if !self.prefix.is_empty() {
            let whole = [&self.prefix, path.as_os_str().as_bytes()].concat();
            if whole.len() > address::UNIX_PATH_BYTES_MAX {
                return Err(Fault::line(format_args!(
                    "with the prefix of `unix-bind` the path has {} bytes; at most {} are possible",
                    whole.len(),
                    address::UNIX_PATH_BYTES_MAX
                )));
            }
            *path = OsString::from_vec(whole).into();
        }
        if let Some(line) = &self.line {
            bind.unix_mode = bind.unix_mode.or(line.unix_mode);
            bind.unix_user = bind.unix_user.take().or_else(|| line.unix_user.clone());
            bind.unix_group = bind.unix_group.take().or_else(|| line.unix_group.clone());
        }
        Ok(())
    }
}

/// Parses a `bind` line.
pub(super) fn parse(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [addresses, words @ ..] = st.args() else {
        return Err(st.wrong("an address is missing, for example `bind *:80`"));
    };
    let free = BINDS_MAX.saturating_sub(b.proxy()?.binds.len());
    let addresses = address::bind(addresses, b.env, free)?;
    let mut template = empty(st.place);
    let set_aside = parameters(&[PARAMETERS], groups::BIND, words, &mut template, unknown)?;
    b.tell_set_aside(st, &set_aside)?;
    let spot = b.spot(st, st.args().first().map(|word| word.span));
    let mut binds = Vec::with_capacity(addresses.len());
    for (address, text) in addresses {
        let mut bind = Bind { address, text, ..template.clone() };
        b.unix_bind.complete(&mut bind)?;
        binds.push(bind);
    }
    let proxy = b.proxy()?;
    proxy.bind_spots.push((proxy.binds.len(), spot));
    proxy.binds.append(&mut binds);
    Ok(())
}

fn unknown(word: &Word, text: &str) -> Fault {
    if text == "ssl" {
        return Fault::at(
            word.span,
            "TLS (`ssl`) is not built: the gateway would listen in the clear where encryption was meant",
        );
    }
    let mut search = Search::new(text);
    PARAMETERS.iter().for_each(|entry| search.add(entry.name));
    unknown_parameter(word, "bind", known::BIND, search)
}
