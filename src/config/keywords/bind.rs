//! `bind` lines and their parameters (configuration §5.1).

use super::{Entry, Sections, groups, known, listed, parameters};
use crate::config::address;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::model::{Bind, BindAddress};
use crate::config::suggest;
use crate::config::values::number;

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
        match u32::from_str_radix(word.text()?, 8) {
            Ok(mode) if mode <= 0o7777 => bind.unix_mode = Some(mode),
            _ => return Err(Fault::at(word.span, format!("{} is no octal mode such as 660", word.quoted()))),
        }
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

/// Parses a `bind` line.
pub(super) fn parse(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [addresses, words @ ..] = st.args() else {
        return Err(Fault::at(st.name_span(), "an address is missing, for example `bind *:80`"));
    };
    let free = BINDS_MAX.saturating_sub(b.proxy()?.binds.len());
    let addresses = address::bind(addresses, b.env, free)?;
    let mut template = Bind {
        address: BindAddress::Fd(-1),
        text: String::new(),
        place: st.place.clone(),
        backlog: None,
        maxconn: None,
        name: None,
        unix_mode: None,
        v6only: None,
        transparent: false,
        accept_proxy: false,
    };
    let set_aside = parameters(PARAMETERS, groups::BIND, words, &mut template, unknown)?;
    b.tell_set_aside(st, &set_aside);
    let spot = b.spot(st, st.args().first().map(|word| word.span));
    let proxy = b.proxy()?;
    proxy.bind_spots.push((proxy.binds.len(), spot));
    proxy.binds.extend(addresses.into_iter().map(|(address, text)| Bind {
        address,
        text,
        ..template.clone()
    }));
    Ok(())
}

fn unknown(word: &Word, text: &str) -> Fault {
    if text == "ssl" {
        return Fault::at(
            word.span,
            "TLS (`ssl`) is not built: the gateway would listen in the clear where encryption was meant",
        );
    }
    if listed(known::BIND, text) {
        return Fault::at(
            word.span,
            format!("HAProxy has the bind parameter `{text}`, oneport has not built it yet"),
        );
    }
    let hint = suggest::hint(text, PARAMETERS.iter().map(|e| e.name).chain(known::BIND.split('|')));
    Fault::at(word.span, format!("unknown bind parameter {}{hint}", word.quoted()))
}
