//! What is asked of the choice of a server: by rules, and by what the client was given before.

use super::Session;
use super::world::Scene;
use crate::backend::{Backend, Server, Wish};
use crate::config::Chosen;
use crate::rules::fill::fill;
use crate::rules::{View, applies};

/// What `backend` asks for this request or connection. Costs nothing where it asks for nothing.
pub(super) fn wish(session: &Session, backend: &Backend, view: View<'_>) -> Wish {
    let server = match backend.config.server_rules.as_slice() {
        [] => None,
        _ => preferred_server(session, backend, view),
    };
    let (class, offset_ms) = session.priority();
    Wish { server, class, offset_ms, ..Wish::default() }
}

/// The first server that is up among those that the backend's `use-server` rules prefer for this request.
fn preferred_server(session: &Session, backend: &Backend, view: View<'_>) -> Option<usize> {
    let scene = Scene { session, backend: Some(backend), server: None };
    let view = view.within(&scene);
    for rule in &backend.config.server_rules {
        if !applies(Some(&rule.condition), &backend.config.acls, &view) {
            continue;
        }
        let index = match &rule.server {
            Chosen::Known(index) => *index,
            Chosen::Called(name) => {
                let mut text = Vec::new();
                fill(name, &view, &mut text);
                // A name that no server has ends the search.
                backend.servers.iter().position(|server| server.config.name.as_bytes() == text)?
            }
        };
        // One that is down leaves it to the next rule.
        if backend.servers.get(index).is_some_and(Server::is_up) {
            return Some(index);
        }
    }
    None
}
