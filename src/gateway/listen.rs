//! Opening the addresses of a configuration, and keeping those that are open already.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::accept::{Port, Socket};
use super::wait::{self, Late, Patience};
use super::{Names, Options, StartError};
use crate::config::{self, Account, Bind, BindAddress, Config};
use crate::net::{
    ListenOptions, Listener, Tuning, listen_abstract, listen_inherited, listen_tcp, listen_unix,
};
use crate::process::{Kind, id_of, inherited_descriptor};
use crate::reactor::Handle;
use crate::session::Frontend;

/// An address that will be served once the whole configuration stands.
pub(super) struct Planned {
    pub port: Rc<Port>,
    pub frontend: Rc<Frontend>,
    /// Its number among the frontend's addresses.
    pub number: u16,
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
    Brought(Vec<(Which, io::Result<Vec<OwnedFd>>)>),
}

impl Sockets {
    fn take(&mut self, which: Which) -> Option<io::Result<Vec<OwnedFd>>> {
        match self {
            Self::Brought(all) => {
                let at = all.iter().position(|(known, _)| *known == which)?;
                Some(all.swap_remove(at).1)
            }
            Self::Here => None,
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
pub(super) fn missing(config: &Config, options: &Options, maxconn: u32, open: &[Rc<Port>]) -> Vec<Missing> {
    let frontends = config.frontends.iter();
    let wanted = compare(frontends.map(|frontend| frontend.binds.as_slice()), options.take_over, open);
    wanted
        .into_iter()
        .filter(|one| one.known.is_empty() && !matches!(one.bind.address, BindAddress::Fd(_)))
        .map(|one| Missing { which: one.which, maxconn, take_over: one.take_over })
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

impl Wanted<'_> {
    /// Its number among the frontend's addresses, of which there are at most 4,096.
    fn number(&self) -> u16 {
        u16::try_from(self.which.1).unwrap_or(u16::MAX)
    }
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

/// What opening the addresses of a configuration needs to know.
pub(super) struct Opening<'a> {
    pub reactor: Handle,
    pub names: &'a Names,
    pub options: &'a Options,
    /// Connections that the process can take.
    pub maxconn: u32,
    /// What is open already.
    pub open: &'a [Rc<Port>],
    /// The process starts; false = it reloads.
    pub at_start: bool,
}

impl Opening<'_> {
    /// Opens every address of every frontend, or finds it among those that are open or in `sockets`. One that
    /// the machine does not have yet is opened later where it may be waited for.
    ///
    /// # Errors
    /// All that fail; nothing that was opened here stays open then.
    pub(super) fn all(
        &self,
        frontends: &[Rc<Frontend>],
        mut sockets: Sockets,
    ) -> Result<Vec<Planned>, Vec<StartError>> {
        let mut planned: Vec<Planned> = Vec::new();
        let mut errors = Vec::new();
        let binds = frontends.iter().map(|frontend| frontend.config.binds.as_slice());
        for mut wanted in compare(binds, self.options.take_over, self.open) {
            let Some(frontend) = frontends.get(wanted.which.0) else { continue };
            let known = std::mem::take(&mut wanted.known);
            let is_new = known.is_empty();
            let ports = match sockets.take(wanted.which) {
                _ if !is_new => Ok(known),
                Some(brought) => brought.map(|sockets| {
                    let port = |socket| self.port(&wanted, frontend, Socket::Open(self.listener(socket)));
                    sockets.into_iter().map(port).collect()
                }),
                None => self.ports(&wanted, frontend),
            };
            match ports {
                Ok(ports) => planned.extend(ports.into_iter().map(|port| Planned {
                    port,
                    frontend: frontend.clone(),
                    number: wanted.number(),
                    is_new,
                })),
                Err(error) => errors.push(StartError {
                    place: wanted.bind.place.clone(),
                    message: format!(
                        "frontend '{}' cannot listen on '{}': {}",
                        frontend.config.name,
                        wanted.bind.text,
                        explain(&error)
                    ),
                }),
            }
        }
        if errors.is_empty() { Ok(planned) } else { Err(errors) }
    }

    /// New sockets for a `bind` line: one, or as many as its host name has addresses.
    fn ports(&self, wanted: &Wanted<'_>, frontend: &Rc<Frontend>) -> io::Result<Vec<Rc<Port>>> {
        let orders = orders(&frontend.config, wanted.bind, self.names, self.maxconn, wanted.take_over)?;
        let socket = |order: Order| match order.open() {
            Ok(socket) => Ok(Socket::Open(self.listener(socket))),
            Err(error) if wait::is_missing(&error) => self.later(wanted.bind, order, &error),
            Err(error) => Err(error),
        };
        orders.into_iter().map(|order| Ok(self.port(wanted, frontend, socket(order)?))).collect()
    }

    /// The address is not there.
    fn later(&self, bind: &Bind, order: Order, error: &io::Error) -> io::Result<Socket> {
        let limit_ms = match self.options.late {
            Late::AtOnce => {
                return order.open_before(&bind.text).map(|socket| Socket::Open(self.listener(socket)));
            }
            Late::Wait { limit_ms } => limit_ms,
            Late::Refuse if bind.transparent => None,
            Late::Refuse => {
                return Err(io::Error::other(format!("{}: --wait-bind waits for it", explain(error))));
            }
        };
        Ok(Socket::Later(order, Patience { limit_ms, ends_process: self.at_start }))
    }

    fn listener(&self, socket: OwnedFd) -> Listener {
        Listener::new(self.reactor, socket)
    }

    fn port(&self, wanted: &Wanted<'_>, frontend: &Rc<Frontend>, socket: Socket) -> Rc<Port> {
        Port::new(wanted.bind.clone(), socket, frontend.clone(), wanted.number())
    }
}

/// Opens the sockets of one `bind` line for a process that cannot: several where a host name has several
/// addresses. `listens_before`: also where this machine does not have an address yet.
///
/// # Errors
/// The kernel's, and that of looking the name up.
pub(super) fn open_one(
    frontend: &config::Frontend,
    bind: &Bind,
    names: &Names,
    missing: &Missing,
    listens_before: bool,
) -> io::Result<Vec<OwnedFd>> {
    let open = |order: Order| match order.open() {
        Err(error) if listens_before && wait::is_missing(&error) => order.open_before(&bind.text),
        opened => opened,
    };
    orders(frontend, bind, names, missing.maxconn, missing.take_over)?.into_iter().map(open).collect()
}

/// What a `bind` line asks for, socket by socket.
fn orders(
    frontend: &config::Frontend,
    bind: &Bind,
    names: &Names,
    maxconn: u32,
    take_over: bool,
) -> io::Result<Vec<Order>> {
    let addresses = match &bind.address {
        BindAddress::Host(host, port) => {
            let found = names.addresses(host, *port).map_err(io::Error::other)?;
            found.into_iter().map(BindAddress::Inet).collect()
        }
        address => vec![address.clone()],
    };
    let maxconn = bind.maxconn.or(frontend.maxconn).unwrap_or(maxconn);
    let backlog = bind.backlog.or(frontend.backlog).unwrap_or(maxconn);
    let options = ListenOptions {
        backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
        keepalive: frontend.tcp_keepalive,
        v6only: bind.v6only,
        unix_mode: bind.unix_mode,
        unix_owner: [owner(Kind::User, &bind.unix_user)?, owner(Kind::Group, &bind.unix_group)?],
        transparent: bind.transparent,
        interface: bind.interface.clone(),
        tuning: tuning(bind.tuning),
        take_over,
    };
    Ok(addresses.into_iter().map(|address| Order { address, options: options.clone() }).collect())
}

fn tuning(tuning: config::TcpTuning) -> Tuning {
    let config::TcpTuning { user_timeout_ms, probes, idle_s, interval_s, mss, fast_open, no_linger } = tuning;
    Tuning { user_timeout_ms, probes, idle_s, interval_s, mss, fast_open, no_linger }
}

/// The number of a unix socket's user or group.
fn owner(kind: Kind, account: &Option<Account>) -> io::Result<Option<u32>> {
    Ok(match account {
        None => None,
        Some(Account::Id(id)) => Some(*id),
        Some(Account::Name(name)) => Some(id_of(kind, name).map_err(io::Error::other)?),
    })
}

/// One socket to be opened: now, or once its address is there.
pub(super) struct Order {
    /// Never a host name: those have been looked up.
    address: BindAddress,
    options: ListenOptions,
}

impl Order {
    /// Opens it. Every listening socket is made here: at the start, at a reload (by the keeper where there is
    /// one), and after a wait.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        match &self.address {
            BindAddress::Inet(address) => listen_tcp(*address, &self.options),
            BindAddress::Host(host, _) => Err(io::Error::other(format!("'{host}' was not looked up"))),
            BindAddress::Unix(path) => listen_unix(path, &self.options),
            BindAddress::Abstract(name) => listen_abstract(name, &self.options),
            BindAddress::Fd(number) => listen_inherited(inherited_descriptor(*number)?),
        }
    }

    /// Opens it although this machine does not have the address yet.
    fn open_before(mut self, text: &str) -> io::Result<OwnedFd> {
        self.options.transparent = true;
        let socket = self.open()?;
        log::warn!("'{text}' is not an address of this machine yet: listening on it ahead");
        Ok(socket)
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
