//! What is asked of the choice of a server: by rules, and by what the client was given before.

use super::world::Scene;
use super::{Session, hash, stick};
use crate::backend::{Backend, Server, Wish};
use crate::config::{Algorithm, Chosen, Mode, PersistWord};
use crate::rules::fill::fill;
use crate::rules::{Seen, View, applies, rdp_cookie};

/// What `backend` asks for this request or connection. Costs nothing where it asks for nothing. `word` is what
/// [`persist_word`] said.
pub(super) fn wish(session: &Session, backend: &Backend, seen: Seen<'_>, word: PersistWord) -> Wish {
    let even_down = goes_even_down(backend, word);
    let (class, offset_ms) = session.priority();
    let insists = word == PersistWord::Force;
    let plain = Wish { even_down, insists, class, offset_ms, ..Wish::default() };
    let rules = &backend.config.server_rules;
    if rules.is_empty() && !matches!(backend.config.balance.algorithm, Algorithm::Hash(_)) {
        return plain;
    }
    let scene = Scene { session, backend: Some(backend), server: None };
    let view = seen.within(&scene);
    let server = if rules.is_empty() { None } else { preferred_server(backend, &view, even_down) };
    Wish { server, hash: hash::of(session, backend, &view), ..plain }
}

/// The same by the cookie of a Remote Desktop connection and by the stick rules of `backend`, after all else that asks
/// for a server.
pub(super) fn stick_to(session: &Session, backend: &Backend, seen: Seen<'_>, wish: &mut Wish) {
    if let Some(name) = &backend.config.persistence.rdp_cookie
        && backend.config.mode == Mode::Tcp
        && wish.server.is_none()
    {
        wish.server = rdp_server(backend, name, seen.bytes(), wish.even_down);
    }
    if !backend.config.sticks.is_empty() {
        let scene = Scene { session, backend: Some(backend), server: None };
        stick::on_request(session, backend, &seen.within(&scene), wish);
    }
}

/// The server whose address such a cookie tells: the IPv4 address as a number whose lowest byte is its first, a dot, the
/// port the same way, a dot, and something else.
fn rdp_server(backend: &Backend, name: &str, bytes: &[u8], even_down: bool) -> Option<usize> {
    let mut parts = std::str::from_utf8(rdp_cookie(bytes, name.as_bytes())??).ok()?.split('.');
    let ip = parts.next()?.parse::<u32>().ok()?.to_le_bytes();
    let port = parts.next()?.parse::<u16>().ok()?.swap_bytes();
    parts.next()?;
    let takes = |server: &Server| (even_down || server.is_up()) && server.is_at((ip, port).into());
    backend.servers.iter().position(takes)
}

/// Whether requests go to the server they ask for even while it is down.
pub(super) fn goes_even_down(backend: &Backend, word: PersistWord) -> bool {
    backend.config.persistence.even_down || word == PersistWord::Force
}

/// What the backend's `force-persist` and `ignore-persist` rules say of this request; they come before its others.
pub(super) fn persist_word(session: &Session, backend: &Backend, seen: Seen<'_>) -> PersistWord {
    let rules = &backend.config.persistence.rules;
    if rules.is_empty() {
        return PersistWord::Usual;
    }
    let scene = Scene { session, backend: Some(backend), server: None };
    let view = seen.within(&scene);
    let rule = rules.iter().find(|rule| applies(Some(&rule.condition), &backend.config.acls, &view));
    rule.map(|rule| rule.word).unwrap_or_default()
}

/// The first server that is up among those that the backend's `use-server` rules prefer for this request.
fn preferred_server(backend: &Backend, view: &View<'_>, even_down: bool) -> Option<usize> {
    for rule in &backend.config.server_rules {
        if !applies(Some(&rule.condition), &backend.config.acls, view) {
            continue;
        }
        let index = match &rule.server {
            Chosen::Known(index) => *index,
            Chosen::Called(name) => {
                let mut text = Vec::new();
                fill(name, view, &mut text);
                // A name that no server has ends the search.
                backend.servers.iter().position(|server| server.config.name.as_bytes() == text)?
            }
        };
        // One that is down leaves it to the next rule.
        if even_down || backend.servers.get(index).is_some_and(Server::is_up) {
            return Some(index);
        }
    }
    None
}
