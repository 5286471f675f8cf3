//! The running whole: the listeners, the configuration in force, reload and stop.

mod accept;
mod build;
mod duties;
mod files;
pub mod limits;
mod listen;
mod stats;
mod wait;

pub use build::{Names, StartError};
pub use duties::{GatewayDuties, GatewayKeeper};
pub use listen::{Missing, Sockets};
pub use wait::Late;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;

use crate::backend::set_idle_max;
use crate::config::Config;
use crate::observe::{Logger, Row, ServerState, Sinks};
use crate::reactor::Handle;
use crate::session::{Frontend, Process};
use accept::{Port, Room};
use build::Runtime;
use listen::Opening;

/// What the start decides once, and a reload keeps.
#[derive(Clone)]
pub struct Options {
    /// Connections of the whole process, as the limits allow.
    pub maxconn: u32,
    /// What happens with addresses that are not there yet.
    pub late: Late,
    /// Another process of ours is about to let go of the addresses (`-sf`, `-st`).
    pub take_over: bool,
    /// The program name in log lines when the configuration sets none.
    pub log_tag: String,
    /// The log targets of the process, kept open over reloads.
    pub sinks: Rc<Sinks>,
}

/// A gateway at work.
pub struct Gateway {
    reactor: Handle,
    options: Options,
    process: Rc<Process>,
    room: Rc<Room>,
    ports: RefCell<Vec<Rc<Port>>>,
    runtime: RefCell<Runtime>,
    stopping: Cell<bool>,
    /// `hard-stop-after` has passed since [`Gateway::finish`]: nobody is waited for.
    hard_stop: Rc<Cell<bool>>,
}

impl Gateway {
    /// Builds what the configuration says and opens the listeners; no connection is accepted yet.
    ///
    /// # Errors
    /// Every address that cannot be listened on and every name that is not found, in one go.
    pub fn open(
        reactor: Handle,
        config: Config,
        names: &Names,
        options: Options,
    ) -> Result<Self, Vec<StartError>> {
        let room = Rc::new(Room::new(reactor, options.maxconn));
        set_idle_max(options.maxconn);
        let process = {
            let room = room.clone();
            Rc::new(Process::new(move || room.look_again()))
        };
        let runtime = Runtime::build(reactor, config, names, &process, &options)?;
        room.rate.set(runtime.accepts_a_second);
        let opening = Opening {
            reactor,
            names,
            options: &options,
            maxconn: options.maxconn,
            open: &[],
            at_start: true,
        };
        let ports = opening.all(&runtime.frontends, Sockets::Here)?;
        Ok(Self {
            reactor,
            options,
            process,
            room,
            ports: RefCell::new(ports.into_iter().map(|planned| planned.port).collect()),
            runtime: RefCell::new(runtime),
            stopping: Cell::new(false),
            hard_stop: Rc::default(),
        })
    }

    /// Starts health checks and accepting. From here on the control plane may have a thread of its own.
    pub fn start(&self) {
        self.runtime.borrow().start();
        for port in self.ports.borrow().iter() {
            port.start(self.reactor, &self.room);
        }
    }

    /// The addresses of another configuration that [`Gateway::reload`] with the same `maxconn` would have to open.
    pub fn missing(&self, config: &Config, maxconn: u32) -> Vec<Missing> {
        listen::missing(config, &self.options, maxconn, &self.ports.borrow())
    }

    /// Puts another configuration into force, with `maxconn` connections for the process. Addresses that stay
    /// keep their listening socket, so no connection is refused; running sessions end under the configuration
    /// they began with.
    ///
    /// # Errors
    /// What [`Gateway::open`] reports; the old configuration then stays in force, untouched.
    pub fn reload(
        &self,
        config: Config,
        names: &Names,
        sockets: Sockets,
        maxconn: u32,
    ) -> Result<(), Vec<StartError>> {
        let runtime = Runtime::build(self.reactor, config, names, &self.process, &self.options)?;
        let open = self.ports.borrow().clone();
        let planned = Opening {
            reactor: self.reactor,
            names,
            options: &self.options,
            maxconn,
            open: &open,
            at_start: false,
        }
        .all(&runtime.frontends, sockets)?;
        self.room.rate.set(runtime.accepts_a_second);
        runtime.inherit(&self.runtime.borrow());
        runtime.start();
        let old = self.runtime.replace(runtime);
        let new_ports: Vec<Rc<Port>> = planned.iter().map(|planned| planned.port.clone()).collect();
        let old_ports = self.ports.replace(new_ports);
        for planned in planned {
            planned.port.serve_for(planned.frontend, planned.number);
            if planned.is_new {
                planned.port.start(self.reactor, &self.room);
            }
        }
        for port in old_ports {
            if !self.ports.borrow().iter().any(|kept| Rc::ptr_eq(kept, &port)) {
                port.close();
            }
        }
        leave(&old.frontends);
        self.cut_later(&old, false);
        self.room.set_maxconn(maxconn);
        set_idle_max(maxconn);
        // A limit may have been raised: those who pause look again.
        self.room.look_again();
        Ok(())
    }

    /// Stops accepting; connections that are there may finish.
    pub fn finish(&self) {
        self.stopping.set(true);
        for port in self.ports.take() {
            port.close();
        }
        leave(&self.runtime.borrow().frontends);
        self.cut_later(&self.runtime.borrow(), true);
        // A port that waits for room takes what is in its queue and closes.
        self.room.look_again();
    }

    /// Cuts the sessions of a configuration that has gone out of force, after its `hard-stop-after`.
    fn cut_later(&self, runtime: &Runtime, at_end: bool) {
        let Some(time_ms) = runtime.hard_stop_after_ms else { return };
        let frontends = runtime.frontends.clone();
        let (room, hard_stop) = (self.room.clone(), self.hard_stop.clone());
        let cut = async move {
            Timer::after(Duration::from_millis(time_ms)).await;
            let left =
                frontends.iter().fold(0, |sum: u32, frontend| sum.saturating_add(frontend.connections.get()));
            if left > 0 {
                log::warn!("hard-stop-after has passed: {left} connections are cut");
            }
            for tasks in frontends.iter().filter_map(|frontend| frontend.tasks.as_ref()) {
                tasks.cut();
            }
            if at_end {
                // Sessions of a configuration without the keyword are not waited for either.
                hard_stop.set(true);
                room.look_again();
            }
        };
        self.reactor.spawn_control(cut).detach();
    }

    /// Where the program's own messages go under the configuration in force.
    pub fn messages(&self) -> Rc<Logger> {
        self.runtime.borrow().messages.clone()
    }

    /// Whether [`Gateway::finish`] was called.
    pub fn is_finishing(&self) -> bool {
        self.stopping.get()
    }

    /// Returns once the last connection has ended, or `hard-stop-after` has passed; only after [`Gateway::finish`].
    pub async fn finished(&self) {
        let is_over = || {
            self.hard_stop.get()
                || self.stopping.get() && self.room.open_ports() == 0 && self.process.connections.get() == 0
        };
        self.room.until(is_over).await;
    }

    /// The addresses, as written, that are waited for because the machine does not have them yet.
    pub fn waiting_for(&self) -> Vec<String> {
        let ports = self.ports.borrow();
        ports.iter().filter(|port| port.is_waiting()).map(|port| port.text().to_owned()).collect()
    }

    /// Returns when an address that was waited for came or was given up; false when the process is to end
    /// because of that. The log has been told.
    pub async fn waited(&self) -> bool {
        self.room.waits.next().await
    }

    /// What happened since the configuration in force began, proxy after proxy: plain values.
    pub fn stats(&self) -> Vec<Row> {
        stats::all(&self.runtime.borrow(), self.reactor.now_ms())
    }

    /// How all servers are: plain values.
    pub fn server_states(&self) -> Vec<ServerState> {
        stats::states(&self.runtime.borrow(), self.reactor.now_ms())
    }

    /// Client connections now.
    pub fn connections(&self) -> u32 {
        self.process.connections.get()
    }
}

/// Connections of these frontends take no further request.
fn leave(frontends: &[Rc<Frontend>]) {
    for frontend in frontends {
        frontend.leaving.set(true);
    }
}
