//! Opening the addresses of a configuration, and keeping those that are open already.

use std::io;
use std::rc::Rc;

use super::accept::Port;
use super::{Names, Options, StartError};
use crate::config::{Bind, BindAddress};
use crate::net::{ListenOptions, Listener};
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

/// Opens every address of every frontend, or finds it among those that are `open`.
///
/// # Errors
/// All that fail; nothing that was opened here stays open then.
pub(super) fn open_all(
    reactor: Handle,
    frontends: &[Rc<Frontend>],
    names: &Names,
    options: &Options,
    open: &[Rc<Port>],
) -> Result<Vec<Planned>, Vec<StartError>> {
    let mut planned: Vec<Planned> = Vec::new();
    let mut errors = Vec::new();
    for frontend in frontends {
        for bind in &frontend.config.binds {
            let is_planned = |port: &Rc<Port>| planned.iter().any(|one| Rc::ptr_eq(&one.port, port));
            // A host name can stand for several sockets: all of them.
            let known: Vec<_> =
                open.iter().filter(|port| port.is_for(bind) && !is_planned(port)).cloned().collect();
            if !known.is_empty() {
                planned.extend(known.into_iter().map(|port| Planned {
                    port,
                    frontend: frontend.clone(),
                    is_new: false,
                }));
                continue;
            }
            // Ours on the same port, with another address or option, is no stranger.
            let take_over = options.take_over || open.iter().any(|port| port.is_in_the_way_of(bind));
            match open_one(reactor, frontend, bind, names, options.maxconn, take_over) {
                Ok(listeners) => planned.extend(listeners.into_iter().map(|listener| Planned {
                    port: Port::new(bind.clone(), listener, frontend.clone()),
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
    }
    if errors.is_empty() { Ok(planned) } else { Err(errors) }
}

fn open_one(
    reactor: Handle,
    frontend: &Frontend,
    bind: &Bind,
    names: &Names,
    maxconn: u32,
    take_over: bool,
) -> io::Result<Vec<Listener>> {
    let maxconn = bind.maxconn.or(frontend.config.maxconn).unwrap_or(maxconn);
    let backlog = bind.backlog.or(frontend.config.backlog).unwrap_or(maxconn);
    let listen_options = ListenOptions {
        backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
        keepalive: frontend.config.tcp_keepalive,
        v6only: bind.v6only,
        unix_mode: bind.unix_mode,
        take_over,
    };
    let listener = match &bind.address {
        BindAddress::Inet(address) => Listener::tcp(reactor, *address, &listen_options)?,
        BindAddress::Host(host, port) => {
            return names
                .addresses(host, *port)
                .map_err(io::Error::other)?
                .into_iter()
                .map(|address| Listener::tcp(reactor, address, &listen_options))
                .collect();
        }
        BindAddress::Unix(path) => Listener::unix(reactor, path, &listen_options)?,
        BindAddress::Abstract(name) => Listener::abstract_name(reactor, name, &listen_options)?,
        BindAddress::Fd(number) => Listener::inherited(reactor, inherited_descriptor(*number)?)?,
    };
    Ok(vec![listener])
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
