//! One check of one server: what it needs of the configuration, and its connections.

use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::super::connect::header;
use super::super::{Backend, Server};
use super::script::{self, Failure};
use super::state::Op;
use super::verdict::Verdict;
use crate::config::{Check, CheckAct, CheckConnect, CheckPlan, CheckStep, SendProxy};
use crate::net::{Buffer, ConnectOptions, Dial, Ends, Stream, Target};
use crate::reactor::{Deadline, Direction, Handle};

/// Checks a server once; `None` when its backend is gone. A check that waits does not keep a dropped backend alive.
pub(super) async fn probe(backend: &Weak<Backend>, index: usize, check: &Check) -> Option<Verdict> {
    let order = Order::of(backend, index, check)?;
    let start = Instant::now();
    // In a box, so that nothing of it is held between two checks.
    let end = Box::pin(script::run(&order)).await;
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Some(Verdict::new(end.status, end.code, &end.info, took_ms))
}

/// What a check needs to know, taken out of the backend.
pub(super) struct Order {
    reactor: Handle,
    target: Target,
    /// What is said and expected; `None` = the connection is all.
    pub plan: Option<Rc<CheckPlan>>,
    /// Where its connections come from; `None` = the system knows best.
    dial: Option<Dial>,
    /// What the header of the server's connections is, and that of its checks.
    traffic_header: Option<SendProxy>,
    check_header: Option<SendProxy>,
    inter_ms: u64,
    connect_ms: u64,
    check_ms: Option<u64>,
    /// The server takes traffic.
    pub was_up: bool,
    /// For `http-check send-state`.
    pub state: String,
}

impl Order {
    fn of(backend: &Weak<Backend>, index: usize, check: &Check) -> Option<Self> {
        let backend = backend.upgrade()?;
        let server = backend.servers.get(index)?;
        let timeouts = backend.config.timeouts;
        let plan = backend.config.check_plan.clone();
        let tells = |step: &CheckStep| matches!(step.act, CheckAct::Send { state_at: Some(_), .. });
        let tells_state = plan.as_ref().is_some_and(|plan| plan.steps.iter().any(tells));
        Some(Self {
            reactor: backend.reactor,
            target: server.check_target()?,
            plan,
            dial: server.way.as_ref().map(|way| plain(&way.dial)),
            traffic_header: server.config.send_proxy,
            check_header: check.send_proxy,
            inter_ms: check.inter_ms,
            connect_ms: timeouts.connect_ms,
            check_ms: timeouts.check_ms.filter(|&ms| ms > 0),
            was_up: server.is_up(),
            state: if tells_state { state_of(&backend, server) } else { String::new() },
        })
    }

    /// Where a step connects to.
    fn target(&self, how: &CheckConnect) -> Target {
        match &self.target {
            Target::Inet(address) => {
                let ip = how.address.unwrap_or(address.ip());
                Target::Inet(SocketAddr::new(ip, how.port.unwrap_or(address.port())))
            }
            unix => unix.clone(),
        }
    }

    /// The PROXY protocol header that a step's connection begins with.
    fn header(&self, how: &CheckConnect) -> Option<SendProxy> {
        if how.send_proxy {
            return self.check_header.or(self.traffic_header).or(Some(SendProxy::Line));
        }
        self.check_header.filter(|_| how.as_server)
    }
}

/// The way of connections without data in their first packet: a connection that is to stand must be one.
fn plain(dial: &Dial) -> Dial {
    let mut dial = dial.clone();
    dial.tuning.fast_open = false;
    dial
}

/// How a server stands with us, for itself (`http-check send-state`).
fn state_of(backend: &Backend, server: &Server) -> String {
    let counter = server.state.check.get();
    let op = server.state.op.get();
    let word = match op {
        Op::Stopped => "DOWN",
        Op::Stopping => "NOLB",
        Op::Starting | Op::Running => "UP",
    };
    let is_settled = counter.health == if op == Op::Stopped { 0 } else { counter.top() };
    let (step, of) = counter.steps();
    let steps = if is_settled { String::new() } else { format!(" {step}/{of}") };
    let (address, port) = match server.address() {
        Some(address) => (address.ip().to_string(), address.port()),
        None => ("unix".to_owned(), 0),
    };
    let (name, own_name) = (&backend.config.name, &server.config.name);
    let node = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let node = node.trim();
    let weights = backend.servers.iter().filter(|server| server.is_usable()).map(Server::weight);
    let (weight, weights) = (server.weight(), weights.fold(0, u32::saturating_add));
    let all =
        backend.connections.get().saturating_sub(u32::try_from(backend.queue.len()).unwrap_or(u32::MAX));
    let (own, queued) = (server.connections.get(), server.queued());
    format!(
        "{word}{steps}; address={address}; port={port}; name={name}/{own_name}; node={node}; \
         weight={weight}/{weights}; scur={own}/{all}; qcur={queued}"
    )
}

/// The connection of a check, one after the other. It is the data plane's, whose readiness and timers cost no second
/// thread: a thousand checks are not to be noticed.
pub(super) struct Link<'o> {
    order: &'o Order,
    stream: Option<Stream>,
    deadline: Deadline,
    linger: bool,
    /// Nothing has been sent: whether it stands is not known.
    is_opening: bool,
    /// The server has ended it.
    ended: bool,
}

impl<'o> Link<'o> {
    pub fn new(order: &'o Order) -> Self {
        let deadline = Deadline::new(order.reactor);
        deadline.set_after(order.inter_ms);
        Self { order, stream: None, deadline, linger: false, is_opening: false, ended: false }
    }

    /// Connects, and says who it is where that is wanted. `next`: the steps that follow.
    ///
    /// Without `timeout check` the whole check has the time between two checks. With it that, or `timeout connect`, is
    /// for the connection, and `timeout check` for what follows.
    pub async fn open(&mut self, how: &CheckConnect, next: &[CheckStep]) -> Result<(), Failure> {
        self.close();
        (self.linger, self.is_opening, self.ended) = (how.linger, true, false);
        if self.order.check_ms.is_some() {
            let shorter = Some(self.order.connect_ms).filter(|&ms| ms > 0);
            self.deadline.set_after(shorter.map_or(self.order.inter_ms, |ms| ms.min(self.order.inter_ms)));
        }
        let target = self.order.target(how);
        let header = self.order.header(how);
        let acts = || next.iter().map(|step| &step.act);
        let sends = acts().take_while(|act| !matches!(act, CheckAct::Connect(_)));
        let sends = sends.filter(|act| matches!(act, CheckAct::Send { .. })).count();
        let options = ConnectOptions {
            // Where the server speaks first it waits for the acknowledgement; a reset need not even have one before it.
            sends_first: header.is_some() || !matches!(acts().next(), Some(CheckAct::Expect(_))),
            sends_once: header.is_none() && sends <= 1,
            dial: self.order.dial.as_ref(),
            ..ConnectOptions::default()
        };
        let stream = Stream::connect(self.order.reactor, &target, options).map_err(Failure::Broken)?;
        // Nothing can have come: epoll tells when it has, and a read that finds nothing is saved.
        stream.source().clear(Direction::Read);
        self.stream = Some(stream);
        let sends_next = matches!(acts().next(), Some(CheckAct::Send { .. }));
        let hello = match header {
            Some(kind) => self.introduction(kind, &target),
            // That finds out whether the connection stands.
            None if sends_next => return Ok(()),
            // And so does sending nothing, which waits for it.
            None => Vec::new(),
        };
        self.write(&hello, sends_next).await
    }

    /// Whether nobody knows yet if the connection stands.
    pub fn is_opening(&self) -> bool {
        self.is_opening
    }

    /// Says with a PROXY protocol header that this connection is nobody's but our own: version 1 by the connection's
    /// own addresses, since some servers refuse UNKNOWN, version 2 by LOCAL.
    fn introduction(&self, kind: SendProxy, target: &Target) -> Vec<u8> {
        let ours = self.stream.as_ref().and_then(Stream::local_address);
        let ends = match target {
            Target::Inet(theirs) if kind == SendProxy::Line => {
                ours.map(|source| Ends { source, destination: *theirs })
            }
            _ => None,
        };
        header(kind, ends.as_ref()).to_vec()
    }

    /// Sends all of it; `more` follows at once.
    pub async fn write(&mut self, mut bytes: &[u8], more: bool) -> Result<(), Failure> {
        let Some(stream) = &self.stream else { return Ok(()) };
        loop {
            let sent = self.deadline.within(|context| stream.poll_write(context, bytes, more)).await;
            let len = sent.map_err(|_| Failure::Late)?.map_err(Failure::Broken)?;
            if std::mem::take(&mut self.is_opening)
                && let Some(ms) = self.order.check_ms
            {
                self.deadline.set_after(ms);
            }
            bytes = bytes.get(len..).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads more, as long as there is more and room for it. A connection that breaks behind an answer has ended.
    pub async fn read(&mut self, buffer: &mut Option<Buffer>) -> Result<(), Failure> {
        let Some(stream) = &self.stream else { return Ok(()) };
        if self.ended || buffer.as_mut().is_some_and(|buffer| buffer.room().is_empty()) {
            return Ok(());
        }
        let read = self.deadline.within(|context| stream.poll_fill(context, buffer)).await;
        match read.map_err(|_| Failure::Late)? {
            Ok(len) => self.ended = len == 0,
            Err(_) if buffer.is_some() => self.ended = true,
            Err(error) => return Err(Failure::Broken(error)),
        }
        Ok(())
    }

    /// Whether nothing can come any more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Ends the connection: by a reset, which leaves nothing behind at either end, unless that is not wanted or the
    /// server was first.
    fn close(&mut self) {
        if let Some(stream) = self.stream.take()
            && !self.linger
            && !self.ended
        {
            stream.reset_on_close();
        }
    }
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        self.close();
    }
}
