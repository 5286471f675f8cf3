//! Names of servers, looked up again when a check fails: an address may have moved.
//!
//! The system's resolver blocks, so each look-up has a thread beside the loop for its time, and few are made at once. A
//! name that is not found, or a resolver that is out of reach (as in a `chroot` without its files), leaves the last
//! address in force.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};

use super::health::Admin;
use super::{Backend, Server};
use crate::config::ServerAddress;
use crate::net::resolve;
use crate::reactor::off_loop;

/// Look-ups at a time, of the whole process: more servers than that wait for their next failed check.
const AT_ONCE_MAX: u32 = 4;

/// Between two look-ups for one server, milliseconds.
const PAUSE_MS: u64 = 1_000;

thread_local! {
    static UNDER_WAY: Cell<u32> = const { Cell::new(0) };
}

/// Counts a look-up while it lives.
struct UnderWay;

impl UnderWay {
    fn one_more() -> Option<Self> {
        let so_far = UNDER_WAY.get();
        (so_far < AT_ONCE_MAX).then(|| {
            UNDER_WAY.set(so_far + 1);
            Self
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = UNDER_WAY.try_with(|count| count.set(count.get().saturating_sub(1)));
    }
}

impl Server {
    /// The name that it is found by; `None` for addresses that are written as such.
    fn host(&self) -> Option<&str> {
        match &self.config.address {
            ServerAddress::Inet(host, _) if host.parse::<IpAddr>().is_err() => Some(host),
            _ => None,
        }
    }
}

impl Backend {
    /// Looks for the addresses of a server's name again, in a while, where it has one.
    pub(super) fn look_up_again(self: &Rc<Self>, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        let Some(host) = server.host() else { return };
        let now_ms = self.reactor.now_ms();
        if now_ms < server.looked_up_ms.get().saturating_add(PAUSE_MS) {
            return;
        }
        let Some(under_way) = UnderWay::one_more() else { return };
        // None before this one is over.
        server.looked_up_ms.set(u64::MAX - PAUSE_MS);
        let (backend, host) = (Rc::downgrade(self), host.to_owned());
        let task = self.reactor.spawn_control(look_up(backend, index, host, under_way));
        let mut tasks = self.tasks.borrow_mut();
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Takes what was found.
    fn found(self: &Rc<Self>, index: usize, host: &str, found: Result<Vec<SocketAddr>, String>) {
        let Some(server) = self.servers.get(index) else { return };
        server.looked_up_ms.set(self.reactor.now_ms());
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(reason) => {
                if server.address().is_some() && !server.is_lost.replace(true) {
                    let (name, server) = (&self.config.name, &server.config.name);
                    log::warn!(
                        "Server {name}/{server}: {host} is not found any more: {reason}; its last address stays"
                    );
                }
                return;
            }
        };
        server.is_lost.set(false);
        let before = server.address();
        server.move_to(addresses);
        let Some(now) = server.address() else { return };
        match before {
            None => self.mark(index, Admin::default(), Admin::NO_ADDRESS, host),
            Some(before) if before.ip() != now.ip() => {
                let (name, server_name) = (&self.config.name, &server.config.name);
                let (from, to) = (before.ip(), now.ip());
                self.tell_notice(&format!(
                    "{name}/{server_name} changed its IP from {from} to {to} by libc."
                ));
                server.idle.clear();
            }
            Some(_) => {}
        }
    }
}

async fn look_up(backend: Weak<Backend>, index: usize, host: String, under_way: UnderWay) {
    let wanted = host.clone();
    let found = off_loop(move || resolve(&wanted, 0).map_err(|error| error.to_string())).await;
    drop(under_way);
    if let Some(backend) = backend.upgrade() {
        let found = found.unwrap_or_else(|| Err("nobody could be asked".to_owned()));
        backend.found(index, &host, found);
    }
}
