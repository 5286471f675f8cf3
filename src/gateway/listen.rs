//! Opening the addresses of a configuration, and keeping those that are open already.

use std::io;
use std::rc::Rc;

use super::accept::{Port, Socket};
use super::wait::{self, Patience};
use super::{Names, Options, StartError};
use crate::cli::WaitBind;
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

/// What opening the addresses of a configuration needs to know.
pub(super) struct Opening<'a> {
    pub reactor: Handle,
    pub names: &'a Names,
    pub options: &'a Options,
    /// What is open already.
    pub open: &'a [Rc<Port>],
    /// The process starts; false = it reloads.
    pub at_start: bool,
}

impl Opening<'_> {
    /// Opens every address of every frontend, or finds it among those that are open. One that the machine does
    /// not have yet is opened later where it may be waited for.
    ///
    /// # Errors
    /// All that fail; nothing that was opened here stays open then.
    pub(super) fn all(&self, frontends: &[Rc<Frontend>]) -> Result<Vec<Planned>, Vec<StartError>> {
        let mut planned: Vec<Planned> = Vec::new();
        let mut errors = Vec::new();
        for frontend in frontends {
            for bind in &frontend.config.binds {
                let is_planned = |port: &Rc<Port>| planned.iter().any(|one| Rc::ptr_eq(&one.port, port));
                // A host name can stand for several sockets: all of them.
                let known: Vec<_> =
                    self.open.iter().filter(|port| port.is_for(bind) && !is_planned(port)).cloned().collect();
                let is_new = known.is_empty();
                let ports = if is_new { self.ports(frontend, bind) } else { Ok(known) };
                match ports {
                    Ok(ports) => planned.extend(ports.into_iter().map(|port| Planned {
                        port,
                        frontend: frontend.clone(),
                        is_new,
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

    /// New sockets for a `bind` line: one, or as many as its host name has addresses.
    fn ports(&self, frontend: &Rc<Frontend>, bind: &Bind) -> io::Result<Vec<Rc<Port>>> {
        let addresses = match &bind.address {
            BindAddress::Host(host, port) => {
                let found = self.names.addresses(host, *port).map_err(io::Error::other)?;
                found.into_iter().map(BindAddress::Inet).collect()
            }
            address => vec![address.clone()],
        };
        let options = self.listen_options(frontend, bind);
        addresses
            .into_iter()
            .map(|address| {
                let order = Order { address, options: options.clone() };
                let socket = match order.open(self.reactor) {
                    Ok(listener) => Socket::Open(listener),
                    Err(error) if wait::is_missing(&error) => {
                        let hint =
                            || io::Error::other(format!("{}: --wait-bind waits for it", explain(&error)));
                        Socket::Later(order, self.patience(bind).ok_or_else(hint)?)
                    }
                    Err(error) => return Err(error),
                };
                Ok(Port::new(bind.clone(), socket, frontend.clone()))
            })
            .collect()
    }

    fn listen_options(&self, frontend: &Frontend, bind: &Bind) -> ListenOptions {
        let maxconn = bind.maxconn.or(frontend.config.maxconn).unwrap_or(self.options.maxconn);
        let backlog = bind.backlog.or(frontend.config.backlog).unwrap_or(maxconn);
        ListenOptions {
            backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
            keepalive: frontend.config.tcp_keepalive,
            v6only: bind.v6only,
            unix_mode: bind.unix_mode,
            transparent: bind.transparent,
            // Ours on the same port, with another address or option, is no stranger.
            take_over: self.options.take_over || self.open.iter().any(|port| port.is_in_the_way_of(bind)),
        }
    }

    /// Whether an address that is not there is waited for, and how long.
    fn patience(&self, bind: &Bind) -> Option<Patience> {
        let wanted = self.options.wait_bind.or(bind.transparent.then_some(WaitBind::Forever))?;
        let limit_ms = match wanted {
            WaitBind::Forever => None,
            WaitBind::Seconds(seconds) => Some(u64::from(seconds) * 1_000),
        };
        Some(Patience { limit_ms, ends_process: self.at_start })
    }
}

/// One socket to be opened: now, or once its address is there.
pub(super) struct Order {
    /// Never a host name: those have been looked up.
    address: BindAddress,
    options: ListenOptions,
}

impl Order {
    /// Opens it. Every listening socket of the process is made here, at the start, at a reload and after a wait.
    /// The last two come after a change of user: a port below 1024 then needs CAP_NET_BIND_SERVICE.
    pub(super) fn open(&self, reactor: Handle) -> io::Result<Listener> {
        match &self.address {
            BindAddress::Inet(address) => Listener::tcp(reactor, *address, &self.options),
            BindAddress::Host(host, _) => Err(io::Error::other(format!("'{host}' was not looked up"))),
            BindAddress::Unix(path) => Listener::unix(reactor, path, &self.options),
            BindAddress::Abstract(name) => Listener::abstract_name(reactor, name, &self.options),
            BindAddress::Fd(number) => Listener::inherited(reactor, inherited_descriptor(*number)?),
        }
    }
}

/// The kernel's error in words that say what to do.
pub(super) fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the address is in use by another process".into(),
        io::ErrorKind::PermissionDenied => {
            format!("{error}: ports below 1024 need root or CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        _ => error.to_string(),
    }
}
