//! What the rules see of a gateway that does not run.

use std::cell::Cell;
use std::net::SocketAddr;

use super::trace::{Connection, is_usable, name};
use crate::config::{Backend, BackendId, Config, Figure, Format, Frontend, Mode, Named, RefId, Target, User};
use crate::rules::{self, View, World};

/// A gateway that has just started: no other connections, every enabled server up.
pub(super) struct Scene<'a> {
    pub config: &'a Config,
    pub frontend: &'a Frontend,
    pub connection: &'a Connection<'a>,
    /// Once it is chosen.
    pub backend: Cell<Option<&'a Backend>>,
}

impl World for Scene<'_> {
    fn source(&self) -> Option<SocketAddr> {
        Some(self.connection.from)
    }

    fn backend_called(&self, name: &Format, view: &View<'_>) -> Option<BackendId> {
        let mut text = Vec::new();
        rules::fill::fill(name, view, &mut text);
        let backends = &self.config.backends;
        let known = |backend: &Backend| {
            backend.name.as_bytes() == text
                && !(self.frontend.mode == Mode::Http && backend.mode == Mode::Tcp)
        };
        backends.iter().position(known).map(BackendId)
    }

    fn figure(&self, figure: Figure, of: Option<RefId>) -> Option<i64> {
        let target = of.and_then(|of| self.config.references.get(of.0));
        match (figure, target) {
            (Figure::FrontendId, _) => Some(self.frontend.id.into()),
            (Figure::ListenerId, _) => Some(1),
            (Figure::FrontendConnections, None) => Some(1),
            (Figure::FrontendConnections, Some(Target::Frontend(name))) => {
                Some((**name == *self.frontend.name).into())
            }
            (Figure::UsableServers, Some(Target::Backend(id))) => {
                let servers = &self.config.backends.get(id.0)?.servers;
                i64::try_from(servers.iter().filter(|server| is_usable(server)).count()).ok()
            }
            (Figure::ServerIsUp, Some(Target::Server(id, at))) => {
                Some(is_usable(self.config.backends.get(id.0)?.servers.get(*at)?).into())
            }
            (Figure::FreeSlots, Some(Target::Backend(id))) => {
                let servers =
                    self.config.backends.get(id.0)?.servers.iter().filter(|server| is_usable(server));
                let free = servers.map(|server| server.maxconn.map(i64::from)).sum::<Option<i64>>();
                Some(free.unwrap_or(-1))
            }
            (_, Some(_)) => Some(0),
            (_, None) => None,
        }
    }

    fn name(&self, whose: Named) -> Option<&str> {
        match whose {
            Named::Frontend => Some(&self.frontend.name),
            Named::DefaultBackend => Some(name(self.config, self.frontend.default_backend?)),
            Named::Backend => self.backend.get().map(|backend| backend.name.as_str()),
            Named::Server | Named::Listener => None,
        }
    }

    fn user(&self, list: RefId, name: &[u8], password: &[u8]) -> Option<&User> {
        let Target::Users(at) = self.config.references.get(list.0)? else { return None };
        self.config.userlists.get(*at)?.user(name, password)
    }

    fn wall_ms(&self) -> i64 {
        self.connection.wall_ms
    }
}
