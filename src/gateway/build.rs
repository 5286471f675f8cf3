//! From a [`Config`] to frontends and backends at work.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use super::Options;
use crate::backend::{Backend, Server, Spread, Table, link};
use crate::config::{self, Config, LogAddress, LogTarget, Place};
use crate::counters::Front;
use crate::net::{Rate, resolve};
use crate::observe::{Logger, facade::tell};
use crate::reactor::Handle;
use crate::session::{Frontend, HeaderRefusals, Process, Shared, Tasks};

/// Why a configuration that reads well cannot be put to work here and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    /// The line that asks for it.
    pub place: Place,
    /// What is wrong, naming the address, file or host.
    pub message: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place.file, self.place.line, self.message)
    }
}

/// Host names of a configuration with their addresses. Looking them up blocks, so it is done before the loop
/// runs, or on a helper thread, and never while building.
#[derive(Debug, Default)]
pub struct Names {
    /// Sorted by name.
    pub(super) found: Vec<(String, Result<Vec<SocketAddr>, String>)>,
}

impl Names {
    /// All hosts that a configuration names, literals left out.
    pub fn wanted(config: &Config) -> Vec<String> {
        let mut hosts = Vec::new();
        for backend in &config.backends {
            for server in &backend.servers {
                if let config::ServerAddress::Inet(host, _) = &server.address {
                    hosts.push(host.clone());
                }
            }
            add_log_hosts(&mut hosts, &backend.logs);
        }
        for frontend in &config.frontends {
            for bind in &frontend.binds {
                if let config::BindAddress::Host(host, _) = &bind.address {
                    hosts.push(host.clone());
                }
            }
            add_log_hosts(&mut hosts, &frontend.logs);
        }
        add_log_hosts(&mut hosts, &config.global.logs);
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// Looks them all up; blocks.
    pub fn look_up(mut hosts: Vec<String>) -> Self {
        hosts.sort();
        let look_up = |host: String| {
            let found = resolve(&host, 0).map_err(|error| error.to_string());
            (host, found)
        };
        Self { found: hosts.into_iter().map(look_up).collect() }
    }

    /// The first address of a host.
    fn first(&self, host: &str, port: u16) -> io::Result<SocketAddr> {
        let addresses = self.addresses(host, port).map_err(io::Error::other)?;
        addresses.first().copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The addresses of a host with this port, or why there are none.
    pub(super) fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let at = self.found.binary_search_by(|(known, _)| known.as_str().cmp(host));
        match at.ok().and_then(|at| self.found.get(at)) {
            Some((_, Ok(addresses))) => {
                Ok(addresses.iter().map(|address| SocketAddr::new(address.ip(), port)).collect())
            }
            Some((_, Err(reason))) => Err(reason.clone()),
            None => Err("it was not looked up".into()),
        }
    }
}

fn add_log_hosts(hosts: &mut Vec<String>, targets: &[LogTarget]) {
    for target in targets {
        if let LogAddress::Udp(host, _) = &target.address {
            hosts.push(host.clone());
        }
    }
}

/// `fullconn` where it is not set: a tenth of what the frontends that name this backend can take together.
fn fullconn(frontends: &[config::Frontend], id: config::BackendId, process_max: u32) -> u32 {
    let leads_here = |frontend: &&config::Frontend| {
        let by_rule =
            |rule: &config::UseBackend| matches!(rule.backend, config::Chosen::Known(to) if to == id);
        frontend.default_backend == Some(id) || frontend.use_backends.iter().any(by_rule)
    };
    let maxconn = |frontend: &config::Frontend| u64::from(frontend.maxconn.unwrap_or(process_max));
    let sum: u64 = frontends.iter().filter(leads_here).map(maxconn).sum();
    u32::try_from(sum.div_ceil(10)).unwrap_or(u32::MAX).max(1)
}

/// The frontends and backends of one configuration.
pub(super) struct Runtime {
    pub frontends: Vec<Rc<Frontend>>,
    pub backends: Rc<[Rc<Backend>]>,
    shared: Rc<Shared>,
    /// Where the program's own messages go: the `log` lines of the global section.
    pub messages: Rc<Logger>,
    /// `hard-stop-after`.
    pub hard_stop_after_ms: Option<u64>,
    /// Connections of the process a second; 0 = no bound.
    pub accepts_a_second: u32,
    /// `max-spread-checks`.
    max_spread_checks_ms: Option<u64>,
}

impl Runtime {
    /// Makes everything; starts nothing.
    pub(super) fn build(
        reactor: Handle,
        config: Config,
        names: &Names,
        process: &Rc<Process>,
        options: &Options,
    ) -> Result<Self, Vec<StartError>> {
        let mut errors = Vec::new();
        let mut backends = Vec::with_capacity(config.backends.len());
        let full = config.backends.iter().enumerate().map(|(at, backend)| match backend.queues.fullconn {
            0 => fullconn(&config.frontends, config::BackendId(at), options.maxconn),
            set => set,
        });
        let full: Vec<u32> = full.collect();
        for (mut backend, full) in config.backends.into_iter().zip(full) {
            backend.queues.fullconn = full;
            let mut servers = Vec::with_capacity(backend.servers.len());
            for server in std::mem::take(&mut backend.servers) {
                match Server::targets(&server, |host, port| names.addresses(host, port)) {
                    Ok(targets) => servers.push(Server::new(server, targets)),
                    Err(message) => errors.push(StartError { place: server.place, message }),
                }
            }
            backends.push(Backend::new(reactor, backend, servers));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let backends: Rc<[Rc<Backend>]> = backends.into();
        link(&backends);
        let global = config.global;
        if let Some(name) = &global.log_host {
            options.sinks.tell_host(name);
        }
        let tag = global.log_tag.as_ref().unwrap_or(&options.log_tag);
        let mut logger = |targets: &[LogTarget], own: Option<&String>, place: &Place| {
            Logger::new(targets, own.unwrap_or(tag), &options.sinks, &mut |host, port| {
                names.first(host, port)
            })
            .map_err(|message| errors.push(StartError { place: place.clone(), message }))
            .ok()
        };
        let messages = logger(&global.logs, None, &Place::default());
        for backend in backends.iter().filter(|backend| !backend.config.logs.is_empty()) {
            let config = &backend.config;
            if let Some(logger) = logger(&config.logs, config.log_tag.as_ref(), &config.place) {
                backend.speak_through(Rc::new(move |severity, text| tell(&logger, severity, text)));
            }
        }
        let mut frontends = Vec::with_capacity(config.frontends.len());
        let shared =
            Rc::new(Shared::new(config.references, config.by_name, &config.variables, config.userlists));
        *shared.tables.borrow_mut() = config.tables.into_iter().map(Table::new).collect();
        for frontend in config.frontends {
            let Some(logger) = logger(&frontend.logs, frontend.log_tag.as_ref(), &frontend.place) else {
                continue;
            };
            let rate = frontend.accepts_a_second;
            frontends.push(Rc::new(Frontend {
                config: frontend,
                backends: backends.clone(),
                shared: shared.clone(),
                logger,
                process: process.clone(),
                connections: Cell::new(0),
                counters: Front::default(),
                rate: Rate::new(rate),
                head_bytes_max: global.bufsize_bytes.saturating_sub(global.maxrewrite_bytes),
                leaving: Cell::new(false),
                tasks: global.hard_stop_after_ms.map(|_| Tasks::default()),
                header_refusals: HeaderRefusals::default(),
            }));
        }
        *shared.frontends.borrow_mut() = frontends.iter().map(Rc::downgrade).collect();
        match messages {
            Some(messages) if errors.is_empty() => {
                let hard_stop_after_ms = global.hard_stop_after_ms;
                let accepts_a_second = global.accepts_a_second;
                let messages = Rc::new(messages);
                let max_spread_checks_ms = global.max_spread_checks_ms;
                Ok(Self {
                    frontends,
                    backends,
                    shared,
                    messages,
                    hard_stop_after_ms,
                    accepts_a_second,
                    max_spread_checks_ms,
                })
            }
            _ => Err(errors),
        }
    }

    /// Starts checks and housekeeping of the backends.
    pub(super) fn start(&self) {
        let mut spread = Spread::over(&self.backends, self.max_spread_checks_ms);
        for backend in self.backends.iter() {
            backend.start(&mut spread);
        }
    }

    /// Takes over what the old configuration's checks know of servers that are in both, and its stick tables.
    pub(super) fn inherit(&self, old: &Self) {
        let known = old.shared.tables.borrow();
        for table in self.shared.tables.borrow_mut().iter_mut() {
            if let Some(known) = known.iter().find(|known| known.goes_on_as(table)) {
                table.clone_from(known);
            }
        }
        for backend in self.backends.iter() {
            let same = |known: &&Rc<Backend>| known.config.name == backend.config.name;
            if let Some(known) = old.backends.iter().find(same) {
                backend.inherit(known);
            }
        }
    }
}
