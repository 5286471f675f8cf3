//! Servers: which one takes a connection, whether it is alive, how to get a connection to it.
//!
//! A [`Backend`] lives as long as a session uses it, so a reload leaves running connections on the old one.
//! A [`Slot`] is the right to use one server; it is counted while it lives (`maxconn`), and whoever waits in
//! the queue is woken when it is dropped.

mod balance;
mod connect;
mod cookie;
mod health;
mod idle;
mod queue;
mod resolve;
mod server;
mod stick;
mod tally;
mod way;
mod wish;

pub use balance::{hash, mixed};
pub use connect::{Asker, ClientEnds, ConnectError, ConnectFailure, Connected, Course, again, connect};
pub use health::{Admin, Answer, Facts, Judgement, Observed, Op, Spread, judge, link};
pub use idle::{Reserved, set_idle_max};
pub use queue::{NoServer, Reason};
pub use server::Server;
pub use stick::{Place, Table, TableEntry};
pub use wish::Wish;

use std::cell::{Cell, RefCell};
use std::num::NonZeroU32;
use std::rc::Rc;

use crate::config;
use crate::counters::Side;
use crate::reactor::{Deadline, Handle};
use balance::Balancer;
use queue::{Queue, Start};

/// A backend at work.
pub struct Backend {
    /// What the configuration says of it; its servers have gone into `servers`.
    pub config: config::Backend,
    /// Its servers, in the order of the configuration.
    pub servers: Vec<Server>,
    /// Sessions (in `mode http`: requests) that use it now.
    pub connections: Cell<u32>,
    /// What happened here.
    pub counters: Side,
    /// Times without a server.
    pub outages: tally::Outages,
    reactor: Handle,
    balancer: Balancer,
    /// Those who wait for any server.
    queue: Queue,
    /// All who wait, for this server or that.
    waiting: Cell<u32>,
    /// The number of the next one who waits.
    tickets: Cell<u32>,
    /// `fullconn` where some server's limit moves with the load, else 0.
    full: u32,
    idle: idle::IdleWatch,
    /// Health checks and the purge of idle connections; they end when the backend is dropped.
    tasks: RefCell<Vec<smol::Task<()>>>,
    /// Where messages about servers go; without one, to the program's own log.
    voice: RefCell<Option<Voice>>,
    /// Sessions may be ended when a server goes down or up.
    ends_sessions: bool,
    is_told_of_clients: bool,
    follows_clients: bool,
}

/// Takes a message and its level in syslog.
pub type Voice = Rc<dyn Fn(u8, &str)>;

impl Backend {
    /// Makes the servers; starts nothing. The addresses were resolved by [`Server::new`]'s caller.
    pub fn new(reactor: Handle, config: config::Backend, mut servers: Vec<Server>) -> Rc<Self> {
        for server in &mut servers {
            server.way = way::Way::of(&config, &server.config);
            server.state.begin(reactor.now_ms());
        }
        let moves = servers.iter().any(|server| server.config.minconn > 0);
        let ends =
            |server: &Server| server.config.state.ends_sessions || server.config.state.ends_backup_sessions;
        let ends_sessions = servers.iter().any(ends);
        Rc::new(Self {
            balancer: Balancer::new(&config.balance, &servers, reactor.wall_ms()),
            full: if moves { config.queues.fullconn.max(1) } else { 0 },
            is_told_of_clients: servers.iter().any(Server::is_told_of_clients),
            follows_clients: servers.iter().any(Server::follows_clients),
            config,
            servers,
            voice: RefCell::default(),
            ends_sessions,
            connections: Cell::new(0),
            counters: Side::default(),
            outages: tally::Outages::since(reactor.now_ms()),
            reactor,
            queue: Queue::default(),
            waiting: Cell::new(0),
            tickets: Cell::new(0),
            idle: idle::IdleWatch::default(),
            tasks: RefCell::default(),
        })
    }

    /// Takes over what is known of servers that were there before a reload (same name and address), so that
    /// one that is down does not get traffic until its next check.
    pub fn inherit(&self, old: &Self) {
        for server in &self.servers {
            if let Some(known) = old.servers.iter().find(|known| known.is_same(server)) {
                server.inherit(known);
            }
        }
    }

    /// Gives messages about servers somewhere to go: to this function, with their level in syslog.
    pub fn speak_through(&self, voice: Voice) {
        *self.voice.borrow_mut() = Some(voice);
    }

    /// Whether connections to some server depend on who the client is: see [`Server::is_told_of_clients`].
    pub fn is_told_of_clients(&self) -> bool {
        self.is_told_of_clients
    }

    /// Whether some server is wherever the client wanted to go.
    pub fn follows_clients(&self) -> bool {
        self.follows_clients
    }

    /// How many servers can take traffic: `nbsrv` in HAProxy.
    pub fn usable_servers(&self) -> usize {
        self.servers.iter().filter(|server| server.is_usable()).count()
    }

    /// Active servers (no backups) that can take traffic.
    fn active_servers(&self) -> usize {
        self.servers.iter().filter(|server| server.is_usable() && !server.config.backup).count()
    }

    /// Waits for the right to use a server: at once when one has room, else in the queue. `asker`'s deadline is set
    /// to `timeout queue` for that.
    ///
    /// # Errors
    /// [`NoServer`] when none is up, or the wait came to nothing.
    pub async fn slot(self: &Rc<Self>, asker: &Asker<'_>, wish: &Wish) -> Result<Slot, NoServer> {
        let named = self.named(wish);
        let slot = match self.begin(wish) {
            Start::Now(index) => Slot::new(self.clone(), index),
            Start::Wait(place) => Box::pin(queue::wait(self, asker, wish, place)).await?,
            Start::Never(none) => return Err(none),
        };
        if named.is_some_and(|index| index != slot.index()) {
            asker.course.redispatched.set(true);
        }
        Ok(self.joined(slot, asker.deadline))
    }

    /// Whether a client may come back to this server rather than be given another: not where too many wait for it
    /// (`max-keep-alive-queue`), unless the server knows the client by its connection (`is_tied`).
    pub fn takes_back(&self, index: usize, is_tied: bool) -> bool {
        let max = self.config.queues.keep_alive_max;
        let is_near = |server: &Server| max.is_none_or(|max| server.queued() < max as usize);
        self.servers
            .get(index)
            .is_some_and(|server| server.is_usable() && (is_tied || !server.is_full() || is_near(server)))
    }

    /// Lets a server end the session of this deadline, where one may.
    fn joined(&self, mut slot: Slot, deadline: &Deadline) -> Slot {
        if self.ends_sessions {
            slot.join(deadline);
        }
        slot
    }

    /// Chooses a server for now.
    fn pick(&self, wish: &Wish) -> Pick {
        self.note_choice(self.balancer.pick(&self.config.balance, &self.servers, wish))
    }

    /// A server's state or weight has changed: the choice between servers is worked out anew, and those in the queue
    /// get what room there is. Every change goes through here.
    fn servers_changed(self: &Rc<Self>) {
        self.balancer.changed();
        if self.waiting.get() > 0 {
            (0..self.servers.len()).for_each(|index| {
                self.requeue(index);
            });
        }
    }

    /// Closes all idle connections, for want of descriptors; false when there were none.
    fn close_idle(&self) -> bool {
        self.servers.iter().filter(|server| server.idle.clear()).count() > 0
    }
}

/// What choosing a server came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pick {
    /// This one. Where a function of the request has chosen it, it may be full.
    Server(usize),
    /// Some are up, but all of them are full.
    Full,
    /// None is up.
    Down,
}

/// The right to use one server.
pub struct Slot {
    backend: Rc<Backend>,
    index: u32,
    /// The session's deadline, where the server may end its sessions, and how often it had.
    deadline: Option<NonZeroU32>,
    ends: u32,
}

impl Slot {
    fn new(backend: Rc<Backend>, index: usize) -> Self {
        if let Some(server) = backend.servers.get(index) {
            let connections = server.connections.get().saturating_add(1);
            server.connections.set(connections);
            server.counters.sessions_max.see(connections);
            backend.balancer.taken(&backend.servers, index);
        }
        Self { backend, index: index as u32, deadline: None, ends: 0 }
    }

    /// Lets the server end the session whose deadline this is.
    fn join(&mut self, deadline: &Deadline) {
        self.deadline = NonZeroU32::new(deadline.key().wrapping_add(1));
        self.ends = self.server().join(deadline.key());
    }

    /// Why the server has ended the session, if it has: the first character of its termination state.
    pub fn ended_by(&self) -> Option<u8> {
        self.deadline?;
        self.server().ended_since(self.ends)
    }

    /// Tells what was seen of the server. Costs nothing where nobody looks.
    pub fn observe(&self, seen: Observed) {
        self.backend.observe(self.index(), seen);
    }

    /// The server.
    #[allow(clippy::indexing_slicing, reason = "from enumerating this list, which never changes")]
    pub fn server(&self) -> &Server {
        // `index` came from enumerating this very list, which never changes.
        &self.backend.servers[self.index as usize]
    }

    /// The server's index in its backend.
    pub fn index(&self) -> usize {
        self.index as usize
    }

    /// Its backend.
    pub fn backend(&self) -> &Rc<Backend> {
        &self.backend
    }

    /// Lays a connection aside for the next request to the same server, if it is fit for that and there is room.
    /// `requests` = so many it has carried.
    pub fn keep(&self, stream: crate::net::Stream, requests: u32) {
        let server = self.server();
        server.idle.put(stream, requests, server.config.pool);
        self.backend.idle.notify();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let server = self.server();
        server.connections.set(server.connections.get().saturating_sub(1));
        self.backend.balancer.released(&self.backend.servers, self.index());
        if let Some(deadline) = self.deadline {
            let key = deadline.get().wrapping_sub(1);
            server.part(key);
            // What the session does without this server is not to be ended.
            self.backend.reactor.relent(key);
        }
        if self.backend.waiting.get() > 0 {
            self.backend.serve(self.index());
        }
    }
}
