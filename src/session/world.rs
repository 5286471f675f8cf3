//! The gateway as rules see it.

use std::net::SocketAddr;

use super::alias::{Facts, line_part};
use super::trace::record;
use super::{Frontend, Session};
use crate::backend::{Backend, Server};
use crate::config::{
    Alias, BackendId, Figure, Flags, Format, LinePart, Mode, Named, RefId, Side, Target, User, VarId,
};
use crate::observe::LogLine;
use crate::rules::fill::fill;
use crate::rules::{Sample, View, World};

/// A session, and the backend that its request was given, if any.
pub(super) struct Scene<'a> {
    pub session: &'a Session,
    pub backend: Option<&'a Backend>,
    /// The server's index there.
    pub server: Option<usize>,
}

impl<'a> Scene<'a> {
    /// Before a backend is chosen: only a `listen` has one then, its own.
    pub fn of(session: &'a Session) -> Self {
        let frontend = &session.frontend;
        let backend = frontend.config.own_backend.and_then(|id| frontend.backend(id));
        Self { session, backend: backend.map(|backend| &**backend), server: None }
    }

    fn frontend(&self) -> &'a Frontend {
        &self.session.frontend
    }

    fn target(&self, of: Option<RefId>) -> Option<&'a Target> {
        self.frontend().shared.references.get(of?.0)
    }

    fn backend_of(&self, id: BackendId) -> Option<&'a Backend> {
        self.frontend().backends.get(id.0).map(|backend| &**backend)
    }

    /// The backend that an expression means: the one it names, or the one at hand.
    fn backend_at(&self, of: Option<RefId>) -> Option<&'a Backend> {
        match self.target(of) {
            Some(Target::Backend(id) | Target::Server(id, _)) => self.backend_of(*id),
            _ => self.backend,
        }
    }

    fn server_at(&self, of: Option<RefId>) -> Option<&'a Server> {
        match self.target(of) {
            Some(Target::Server(id, index)) => self.backend_of(*id)?.servers.get(*index),
            _ => self.backend?.servers.get(self.server?),
        }
    }

    /// Connections of the frontend that an expression names, or of the one at hand.
    fn frontend_connections(&self, of: Option<RefId>) -> u32 {
        let Some(Target::Frontend(name)) = self.target(of) else {
            return self.frontend().connections.get();
        };
        let frontends = self.frontend().shared.frontends.borrow();
        let mut frontends = frontends.iter().filter_map(std::rc::Weak::upgrade);
        // A disabled one has none.
        frontends.find(|frontend| *frontend.config.name == **name).map_or(0, |f| f.connections.get())
    }
}

impl World for Scene<'_> {
    fn source(&self) -> Option<SocketAddr> {
        self.session.peer.get()
    }

    fn destination(&self) -> Option<SocketAddr> {
        self.session.destination()
    }

    fn figure(&self, figure: Figure, of: Option<RefId>) -> Option<i64> {
        let number = |n: usize| i64::try_from(n).ok();
        match figure {
            Figure::FrontendId => Some(i64::from(self.frontend().config.id)),
            Figure::ListenerId => Some(i64::from(self.session.listener_number())),
            Figure::BackendId => Some(i64::from(self.backend?.config.id)),
            Figure::ServerId => Some(self.server_at(None)?.config.id.into()),
            Figure::FrontendConnections => Some(self.frontend_connections(of).into()),
            Figure::BackendConnections => Some(self.backend_at(of)?.connections.get().into()),
            Figure::ServerConnections => Some(self.server_at(of)?.connections.get().into()),
            Figure::ServerIsUp => Some(self.server_at(of)?.is_usable().into()),
            Figure::UsableServers => number(self.backend_at(of)?.usable_servers()),
            Figure::Queue => number(self.backend_at(of)?.queued()),
            Figure::ServerQueue => number(self.server_at(of)?.queued()),
            Figure::PriorityClass => Some(self.session.priority().0.into()),
            Figure::PriorityOffset => Some(self.session.priority().1.into()),
            Figure::AverageQueue => {
                let backend = self.backend_at(of)?;
                number(match backend.usable_servers() {
                    // As in HAProxy.
                    0 => backend.queued().saturating_mul(2),
                    servers => backend.queued().div_ceil(servers),
                })
            }
            Figure::FreeSlots => Some(free_slots(self.backend_at(of)?)),
        }
    }

    fn name(&self, whose: Named) -> Option<&str> {
        match whose {
            Named::Frontend => Some(&self.frontend().config.name),
            Named::Backend => self.backend.map(|backend| backend.config.name.as_str()),
            Named::Server => Some(&self.server_at(None)?.config.name),
            Named::DefaultBackend => {
                let id = self.frontend().config.default_backend?;
                self.backend_of(id).map(|backend| backend.config.name.as_str())
            }
            Named::Listener => self.session.bind()?.name.as_deref(),
        }
    }

    fn backend_called(&self, name: &Format, view: &View<'_>) -> Option<BackendId> {
        let mut text = Vec::new();
        fill(name, view, &mut text);
        let frontend = self.frontend();
        let named = |id: &BackendId| self.backend_of(*id).map(|backend| backend.config.name.as_bytes());
        let by_name = &frontend.shared.by_name;
        let at = by_name.binary_search_by(|id| named(id).cmp(&Some(text.as_slice()))).ok()?;
        let id = *by_name.get(at)?;
        // Rules that load refuses for a name that is written are not for one that is worked out either.
        let fits = frontend.config.mode == Mode::Tcp || self.backend_of(id)?.config.mode == Mode::Http;
        fits.then_some(id)
    }

    fn wall_ms(&self) -> i64 {
        i64::try_from(self.session.reactor().wall_ms()).unwrap_or(i64::MAX)
    }

    fn random(&self) -> u32 {
        self.frontend().process.random(self.session.reactor().wall_ms())
    }

    fn capture(&self, side: Side, index: usize) -> Option<Vec<u8>> {
        let extra = self.session.extra.borrow();
        let captured = &extra.as_ref()?.captured;
        let slots = match side {
            Side::Request => &captured.request,
            Side::Response => &captured.response,
        };
        slots.get(index)?.as_ref().map(|text| text.to_vec())
    }

    fn captured_line(&self, part: LinePart) -> Option<Vec<u8>> {
        let extra = self.session.extra.borrow();
        line_part(extra.as_ref()?.request_line.as_ref()?, part).map(<[u8]>::to_vec)
    }

    fn unique_id(&self) -> Option<Vec<u8>> {
        self.session.known_id().map(Vec::from)
    }

    fn uses_proxy_header(&self) -> bool {
        self.frontend().config.http.proxy_header
    }

    fn alias(&self, alias: Alias, flags: Flags, out: &mut Vec<u8>) {
        let server = self.backend.zip(self.server).and_then(|(backend, at)| backend.servers.get(at));
        let mut record = record(self.session, None, self.backend, server);
        // Borrowed for those alone: others may make what is kept there.
        let of_headers = matches!(alias, Alias::Hr | Alias::Hrl | Alias::Hs | Alias::Hsl);
        let extra = of_headers.then(|| self.session.extra.borrow());
        if let Some(extra) = extra.as_ref().and_then(|extra| extra.as_ref()) {
            record.headers = [&extra.captured.request, &extra.captured.response];
        }
        let mut line = LogLine::new();
        Facts { session: self.session, trace: None, record: &record }.write(alias, flags, &mut line);
        out.extend_from_slice(line.as_bytes());
    }

    fn user(&self, list: RefId, name: &[u8], password: &[u8]) -> Option<&User> {
        let Target::Users(at) = self.target(Some(list))? else { return None };
        self.frontend().shared.userlists.get(*at)?.user(name, password)
    }

    fn variable(&self, id: VarId) -> Option<Sample<'static>> {
        self.session.variable(id)
    }
}

/// Free places of the usable servers and of their queues; -1 where one of them has no limit for one of both.
fn free_slots(backend: &Backend) -> i64 {
    let mut free: i64 = 0;
    for server in backend.servers.iter().filter(|server| server.is_usable()) {
        let (Some(maxconn), 1..) = (server.config.maxconn, server.config.maxqueue) else { return -1 };
        let waiting = u32::try_from(server.queued()).unwrap_or(u32::MAX);
        let places = maxconn.saturating_sub(server.in_use());
        free = free
            .saturating_add(places.into())
            .saturating_add(i64::from(server.config.maxqueue) - i64::from(waiting));
    }
    free
}
