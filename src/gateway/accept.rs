//! Accepting: in batches, as long as there is room, from a listening socket whose frontend can change.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::listen::Order;
use super::wait::{self, Patience, Waits};
use crate::config::{Bind, BindAddress};
use crate::net::{Accepted, Listener, Rate};
use crate::reactor::{Deadline, Handle};
use crate::session::{Frontend, serve};

/// Connections accepted from one socket before other tasks get their turn.
const BATCH: u32 = 64;
/// How long accepting pauses when the process or the system is out of descriptors or memory, unless a
/// connection ends before, milliseconds.
const EXHAUSTED_PAUSE_MS: u64 = 1_000;

/// How long there must have been enough of everything before a shortage is called over, milliseconds.
const CALM_MS: u64 = 10_000;

/// How far a listening socket is.
pub(super) enum Socket {
    Open(Listener),
    /// Its address is not there yet.
    Later(Order, Patience),
}

/// A listening socket at work.
pub(super) struct Port {
    bind: Bind,
    /// Until [`Port::start`].
    socket: RefCell<Option<Socket>>,
    state: Cell<State>,
    frontend: RefCell<Rc<Frontend>>,
    /// Its number among the frontend's addresses.
    number: Cell<u16>,
    closing: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Listening,
    /// Nobody is accepted any more.
    Over,
}

impl Port {
    pub(super) fn new(bind: Bind, socket: Socket, frontend: Rc<Frontend>, number: u16) -> Rc<Self> {
        let state = match socket {
            Socket::Open(_) => State::Listening,
            Socket::Later(..) => State::Waiting,
        };
        Rc::new(Self {
            bind,
            socket: RefCell::new(Some(socket)),
            state: Cell::new(state),
            frontend: RefCell::new(frontend),
            number: Cell::new(number),
            closing: Cell::new(false),
            waker: RefCell::default(),
        })
    }

    /// Whether this socket is what a `bind` line of another configuration asks for.
    pub(super) fn is_for(&self, bind: &Bind) -> bool {
        self.state.get() != State::Over
            && self.bind.address == bind.address
            && self.bind.v6only == bind.v6only
            && self.bind.unix_mode == bind.unix_mode
            && self.bind.unix_user == bind.unix_user
            && self.bind.unix_group == bind.unix_group
            && self.bind.transparent == bind.transparent
            && self.bind.interface == bind.interface
            && self.bind.tuning == bind.tuning
    }

    /// The address as it was written.
    pub(super) fn text(&self) -> &str {
        &self.bind.text
    }

    /// Its address has come.
    pub(super) fn set_listening(&self) {
        self.state.set(State::Listening);
    }

    /// Whether its address is not there yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.state.get() == State::Waiting
    }

    /// Whether a `bind` line asks for the TCP port or the path that this socket has, whatever its address and
    /// options: it is then ours that is in the way.
    pub(super) fn is_in_the_way_of(&self, bind: &Bind) -> bool {
        let port_of = |address: &BindAddress| match address {
            BindAddress::Inet(address) => Some(address.port()),
            BindAddress::Host(_, port) => Some(*port),
            _ => None,
        };
        let port = port_of(&self.bind.address);
        if self.state.get() != State::Listening {
            return false;
        }
        let same_port = port.is_some() && port == port_of(&bind.address);
        let is_path = matches!(bind.address, BindAddress::Unix(_));
        same_port || (is_path && self.bind.address == bind.address)
    }

    /// Gives new connections to another frontend from now on, as those of its address with this number.
    pub(super) fn serve_for(&self, frontend: Rc<Frontend>, number: u16) {
        self.frontend.replace(frontend);
        self.number.set(number);
    }

    /// Starts accepting.
    pub(super) fn start(self: &Rc<Self>, reactor: Handle, room: &Rc<Room>) {
        reactor.spawn(run(self.clone(), room.clone())).detach();
    }

    /// Takes what the kernel has already accepted for us, then closes: a client that got through to the
    /// queue is served and not reset.
    pub(super) fn close(&self) {
        self.closing.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether it is to be closed; if not, `waker` is woken when that changes.
    pub(super) fn is_closing_else_wake(&self, waker: &Waker) -> bool {
        if !self.closing.get() {
            *self.waker.borrow_mut() = Some(waker.clone());
        }
        self.closing.get()
    }
}

async fn run(port: Rc<Port>, room: Rc<Room>) {
    let Some(socket) = port.socket.take() else { return };
    let _open = room.port_opened();
    let listener = match socket {
        Socket::Open(listener) => Some(listener),
        Socket::Later(order, patience) => wait::open(&port, &room, &order, patience).await,
    };
    if let Some(listener) = listener {
        accept(&port, &room, &listener).await;
    }
    port.state.set(State::Over);
}

async fn accept(port: &Port, room: &Room, listener: &Listener) {
    let reactor = room.reactor;
    let mut batch = 0;
    loop {
        room.wait_for(port).await;
        if room.early_ms(port) > 0 {
            room.pace(port).await;
            // There may be too many connections meanwhile.
            continue;
        }
        match poll_fn(|context| poll_accept(context, port, listener)).await {
            Some(Ok(accepted)) => {
                let frontend = port.frontend.borrow().clone();
                room.rate.take();
                frontend.rate.take();
                let session = reactor.spawn(serve(frontend.clone(), port.number.get(), accepted));
                match &frontend.tasks {
                    None => session.detach(),
                    Some(tasks) => tasks.add(session, frontend.connections.get()),
                }
                room.recovered();
                batch += 1;
            }
            // Closing, and the queue is empty.
            None => return,
            Some(Err(error)) if is_exhausted(&error) => room.exhausted(&error, port).await,
            Some(Err(error)) if is_broken(&error) => {
                log::error!("'{}' accepts no more connections: {error}", port.bind.text);
                return;
            }
            // The client was gone before we came to it, or the network has a fault of its own (accept(2)).
            Some(Err(_)) => batch = BATCH,
        }
        if batch >= BATCH {
            batch = 0;
            smol::future::yield_now().await;
        }
    }
}

/// A connection, an error, or `None` when the port is closing and nobody is left in the kernel's queue.
fn poll_accept(
    context: &mut Context<'_>,
    port: &Port,
    listener: &Listener,
) -> Poll<Option<io::Result<Accepted>>> {
    match listener.poll_accept(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if port.closing.get() => {
            // Closing can come while the last edge is still unread: ask the kernel once more.
            match listener.try_accept() {
                Ok(accepted) => Poll::Ready(Some(Ok(accepted))),
                Err(_) => Poll::Ready(None),
            }
        }
        Poll::Pending => {
            *port.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Whether the listening socket itself is beyond use: shut down by somebody who shares it, say.
fn is_broken(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::INVAL, Errno::BADF, Errno::NOTSOCK, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Room for connections: the limits of the process, and who waits for them.
pub(super) struct Room {
    pub(super) reactor: Handle,
    /// What became of addresses that were waited for.
    pub(super) waits: Waits,
    /// Connections of the process a second.
    pub(super) rate: Rate,
    maxconn: Cell<u32>,
    waiting: RefCell<Vec<Waker>>,
    /// Ports that accept, or still take what is in their queue.
    open_ports: Cell<u32>,
    /// Said already that descriptors are short; said again only after it got better.
    told: Cell<bool>,
    last_exhausted_ms: Cell<u64>,
}

impl Room {
    pub(super) fn new(reactor: Handle, maxconn: u32) -> Self {
        Self {
            reactor,
            waits: Waits::default(),
            rate: Rate::default(),
            maxconn: Cell::new(maxconn),
            waiting: RefCell::default(),
            open_ports: Cell::new(0),
            told: Cell::new(false),
            last_exhausted_ms: Cell::new(0),
        }
    }

    /// Changes the limit of the process; those above it stay.
    pub(super) fn set_maxconn(&self, maxconn: u32) {
        self.maxconn.set(maxconn);
    }

    /// Counts a port until the guard is dropped.
    fn port_opened(self: &Rc<Self>) -> PortOpen {
        self.open_ports.set(self.open_ports.get() + 1);
        PortOpen(self.clone())
    }

    /// Ports that have not ended yet.
    pub(super) fn open_ports(&self) -> u32 {
        self.open_ports.get()
    }

    /// Something has ended or changed: those who pause look again.
    pub(super) fn look_again(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Returns once `ready` is true; it is asked again each time a connection ends.
    pub(super) async fn until(&self, ready: impl Fn() -> bool) {
        poll_fn(|context| self.poll_until(context, &ready)).await;
    }

    fn poll_until(&self, context: &mut Context<'_>, ready: impl Fn() -> bool) -> Poll<()> {
        if ready() {
            return Poll::Ready(());
        }
        self.waiting.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }

    /// Waits until neither the process nor the port's frontend is at its `maxconn`. Beyond that, clients wait
    /// in the kernel's queue. A port that closes takes what is there regardless.
    async fn wait_for(&self, port: &Port) {
        self.until(|| {
            let frontend = port.frontend.borrow();
            let full = frontend.process.connections.get() >= self.maxconn.get()
                || frontend.config.maxconn.is_some_and(|maxconn| frontend.connections.get() >= maxconn);
            !full || port.closing.get()
        })
        .await;
    }

    /// How long it is until the rates of process and frontend allow another connection, milliseconds. A port that closes
    /// takes what is there regardless.
    fn early_ms(&self, port: &Port) -> u64 {
        if port.closing.get() {
            return 0;
        }
        let now_ms = self.reactor.now_ms();
        self.rate.wait_ms(now_ms).max(port.frontend.borrow().rate.wait_ms(now_ms))
    }

    /// Pauses until then; clients wait in the kernel's queue.
    async fn pace(&self, port: &Port) {
        let pause = Deadline::new(self.reactor);
        pause.set_after(self.early_ms(port));
        let _ = pause.guard(self.until(|| port.closing.get())).await;
    }

    /// Pauses until a connection ends or a second has passed.
    async fn exhausted(&self, error: &io::Error, port: &Port) {
        self.last_exhausted_ms.set(self.reactor.now_ms());
        if !self.told.replace(true) {
            let connections = port.frontend.borrow().process.connections.get();
            log::error!(
                "out of file descriptors or memory with {connections} connections ({error}): \
                 accepting pauses, and goes on when there is room"
            );
        }
        let pause = Deadline::new(self.reactor);
        pause.set_after(EXHAUSTED_PAUSE_MS);
        let first = Cell::new(true);
        let _ = pause.guard(self.until(|| !first.replace(false))).await;
    }

    /// A connection was accepted. That all is well is said only after a while: near the limit it goes to and fro.
    fn recovered(&self) {
        if self.told.get() && self.reactor.now_ms().saturating_sub(self.last_exhausted_ms.get()) > CALM_MS {
            self.told.set(false);
            log::warn!("accepting goes on");
        }
    }
}

/// A port that has not ended.
struct PortOpen(Rc<Room>);

impl Drop for PortOpen {
    fn drop(&mut self) {
        self.0.open_ports.set(self.0.open_ports.get().saturating_sub(1));
        self.0.look_again();
    }
}
