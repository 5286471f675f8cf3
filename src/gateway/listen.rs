//! Opening the addresses of a configuration, and keeping those that are open already.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::accept::Port;
use super::{Names, Options, StartError};
use crate::config::{self, Bind, BindAddress, Config};
use crate::net::{ListenOptions, Listener, listen_abstract, listen_inherited, listen_tcp, listen_unix};
use crate::process::inherited_descriptor;
use crate::reactor::Handle;
use crate::session::Frontend;

/// An address that will be served once the whole configuration stands.
pub(super) struct Planned {
    pub port: Rc<Port>,
    pub frontend: Rc<Frontend>,
    /// False when the listening socket was open already.
    pub is_new: bool,
}

/// Which address of a configuration: the number of its frontend, and its number there.
pub(super) type Which = (usize, usize);

/// Where the listening sockets come from that are not open already.
#[derive(Debug, Default)]
pub enum Sockets {
    /// They are opened here.
    #[default]
    Here,
    /// They were opened by a process that may: those that [`missing`] has named.
    Brought(HashMap<Which, io::Result<Vec<OwnedFd>>>),
}

impl Sockets {
    fn take(
        &mut self,
        which: Which,
        open: impl FnOnce() -> io::Result<Vec<OwnedFd>>,
    ) -> io::Result<Vec<OwnedFd>> {
        match self {
            Self::Brought(all) => all.remove(&which).unwrap_or_else(open),
            Self::Here => open(),
        }
    }
}

/// An address that is not open yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub(super) which: Which,
    /// Connections that the process can take, for the length of the queue.
    pub(super) maxconn: u32,
    /// Whoever holds it is about to let go of it.
    pub(super) take_over: bool,
}

/// What `bind` lines ask for and only a process with rights can open.
pub(super) fn missing(config: &Config, options: &Options, open: &[Rc<Port>]) -> Vec<Missing> {
    let frontends = config.frontends.iter();
    let wanted = compare(frontends.map(|frontend| frontend.binds.as_slice()), options.take_over, open);
    wanted
        .into_iter()
        .filter(|one| one.known.is_empty() && !matches!(one.bind.address, BindAddress::Fd(_)))
        .map(|one| Missing { which: one.which, maxconn: options.maxconn, take_over: one.take_over })
        .collect()
}

/// A `bind` line beside what is open.
struct Wanted<'a> {
    which: Which,
    bind: &'a Bind,
    /// The sockets that it keeps.
    known: Vec<Rc<Port>>,
    take_over: bool,
}

fn compare<'a>(
    frontends: impl Iterator<Item = &'a [Bind]>,
    take_over: bool,
    open: &[Rc<Port>],
) -> Vec<Wanted<'a>> {
    let mut wanted: Vec<Wanted<'a>> = Vec::new();
    for (frontend, binds) in frontends.enumerate() {
        for (number, bind) in binds.iter().enumerate() {
            let is_taken = |port: &Rc<Port>| {
                wanted.iter().flat_map(|one| &one.known).any(|taken| Rc::ptr_eq(taken, port))
            };
            // A host name can stand for several sockets: all of them.
            let known = open.iter().filter(|port| port.is_for(bind) && !is_taken(port)).cloned().collect();
            // Ours on the same port, with another address or option, is no stranger.
            let take_over = take_over || open.iter().any(|port| port.is_in_the_way_of(bind));
            wanted.push(Wanted { which: (frontend, number), bind, known, take_over });
        }
    }
    wanted
}

/// Opens every address of every frontend, or finds it among those that are `open` or in `sockets`.
///
/// # Errors
/// All that fail; nothing that was opened here stays open then.
pub(super) fn open_all(
    reactor: Handle,
    frontends: &[Rc<Frontend>],
    names: &Names,
    options: &Options,
    open: &[Rc<Port>],
    mut sockets: Sockets,
) -> Result<Vec<Planned>, Vec<StartError>> {
    let mut planned: Vec<Planned> = Vec::new();
    let mut errors = Vec::new();
    let binds = frontends.iter().map(|frontend| frontend.config.binds.as_slice());
    for Wanted { which, bind, known, take_over } in compare(binds, options.take_over, open) {
        let Some(frontend) = frontends.get(which.0) else { continue };
        if !known.is_empty() {
            let keep = |port| Planned { port, frontend: frontend.clone(), is_new: false };
            planned.extend(known.into_iter().map(keep));
            continue;
        }
        let opened =
            sockets.take(which, || open_one(&frontend.config, bind, names, options.maxconn, take_over));
        match opened {
            Ok(sockets) => planned.extend(sockets.into_iter().map(|socket| Planned {
                port: Port::new(bind.clone(), Listener::new(reactor, socket), frontend.clone()),
                frontend: frontend.clone(),
                is_new: true,
            })),
            Err(error) => errors.push(StartError {
                place: bind.place.clone(),
                message: format!(
                    "frontend '{}' cannot listen on '{}': {}",
                    frontend.config.name,
                    bind.text,
                    explain(&error)
                ),
            }),
        }
    }
    if errors.is_empty() { Ok(planned) } else { Err(errors) }
}

/// Opens one address; several sockets where a host name has several addresses.
///
/// # Errors
/// The kernel's, and that of looking the name up.
pub(super) fn open_one(
    frontend: &config::Frontend,
    bind: &Bind,
    names: &Names,
    maxconn: u32,
    take_over: bool,
) -> io::Result<Vec<OwnedFd>> {
    let maxconn = bind.maxconn.or(frontend.maxconn).unwrap_or(maxconn);
    let backlog = bind.backlog.or(frontend.backlog).unwrap_or(maxconn);
    let options = ListenOptions {
        backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
        keepalive: frontend.tcp_keepalive,
        v6only: bind.v6only,
        unix_mode: bind.unix_mode,
        take_over,
    };
    let socket = match &bind.address {
        BindAddress::Inet(address) => listen_tcp(*address, &options)?,
        BindAddress::Host(host, port) => {
            return names
                .addresses(host, *port)
                .map_err(io::Error::other)?
                .into_iter()
                .map(|address| listen_tcp(address, &options))
                .collect();
        }
        BindAddress::Unix(path) => listen_unix(path, &options)?,
        BindAddress::Abstract(name) => listen_abstract(name, &options)?,
        BindAddress::Fd(number) => listen_inherited(inherited_descriptor(*number)?)?,
    };
    Ok(vec![socket])
}

/// The kernel's error in words that say what to do.
fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the address is in use by another process".into(),
        io::ErrorKind::PermissionDenied => {
            format!("{error}: ports below 1024 need root or CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address (yet)".into(),
        _ => error.to_string(),
    }
}
