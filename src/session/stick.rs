//! Stick rules at work: from a request or an answer to the entries of stick tables.

use std::net::IpAddr;
use std::rc::Rc;

use super::Session;
use super::world::Scene;
use crate::backend::{Backend, Place, Server, Table, Wish};
use crate::config::{KeyKind, RefId, StickRule, Target};
use crate::rules::{Sample, Scratch, Seen, View, applies, value};

/// Entries that one request stores at most, of its own and of its answer (configuration §4.2, "stick store-request").
const STORES_MAX: usize = 8;

/// What is to be stored once a server has answered.
pub(super) struct Store {
    table: RefId,
    of_answer: bool,
    key: Key,
}

/// A key that is kept.
enum Key {
    /// That of an entry which is there.
    Known(Place),
    New(Box<[u8]>),
}

/// Asks the stick rules of a backend for a server, unless something else has chosen one, and notes what is to be stored.
pub(super) fn on_request(session: &Session, backend: &Backend, view: &View<'_>, wish: &mut Wish) {
    // Of a request that was never answered.
    let mut stores = taken(session);
    stores.clear();
    let now_ms = session.reactor().now_ms();
    for rule in &backend.config.sticks.request {
        let Some(table) = table(session, rule, backend, view, &stores, false) else { continue };
        with_key(rule, &table, view, &mut |key| {
            let mut place = None;
            if rule.matches
                && let Some((known, server)) = table.find(key, &backend.servers, now_ms)
            {
                place = Some(known);
                let fits =
                    |index: &usize| wish.even_down || backend.servers.get(*index).is_some_and(Server::is_up);
                wish.server = wish.server.or(server.filter(fits));
            }
            if rule.stores {
                note(&mut stores, rule.table, false, &table, place, key);
            }
        });
    }
    give_back(session, stores);
}

/// A server has answered (in `mode tcp`: been connected to): what was noted is stored, and what its answer says.
pub(super) fn on_answer(session: &Session, backend: &Backend, seen: Seen<'_>, server: Option<usize>) {
    let Some(index) = server else { return };
    let mut stores = taken(session);
    let scene = Scene { session, backend: Some(backend), server };
    let view = seen.within(&scene);
    for rule in &backend.config.sticks.response {
        let Some(table) = table(session, rule, backend, &view, &stores, true) else { continue };
        with_key(rule, &table, &view, &mut |key| note(&mut stores, rule.table, true, &table, None, key));
    }
    let now_ms = session.reactor().now_ms();
    let sticks = backend.servers.get(index).is_some_and(|server| !server.config.non_stick);
    for Store { table, key, .. } in stores.drain(..).filter(|_| sticks) {
        let Some(table) = of_id(session, table) else { continue };
        match key {
            Key::Known(place) => table.store_at(place, &backend.servers, index, now_ms),
            Key::New(key) => table.store(&key, &backend.servers, index, now_ms),
        }
    }
    give_back(session, stores);
}

/// What was noted, so that nothing is borrowed while rules are asked.
fn taken(session: &Session) -> Vec<Store> {
    session.extra.borrow_mut().as_mut().map(|extra| std::mem::take(&mut extra.stores)).unwrap_or_default()
}

/// Keeps what is noted, and its room for the next request.
fn give_back(session: &Session, stores: Vec<Store>) {
    if stores.capacity() > 0 {
        session.extra().stores = stores;
    }
}

fn of_id(session: &Session, id: RefId) -> Option<Rc<Table>> {
    let shared = &session.frontend.shared;
    let Some(Target::Table(at)) = shared.references.get(id.0) else { return None };
    shared.tables.borrow().get(*at).cloned()
}

/// The table of a rule that is to be followed. Of several rules that store in one table the first one that has a key
/// counts, and the others are not asked.
fn table(
    session: &Session,
    rule: &StickRule,
    backend: &Backend,
    view: &View<'_>,
    stores: &[Store],
    of_answer: bool,
) -> Option<Rc<Table>> {
    let stored = |store: &Store| store.table == rule.table && store.of_answer == of_answer;
    if rule.stores && stores.iter().any(stored) {
        return None;
    }
    if !applies(rule.condition.as_ref(), &backend.config.acls, view) {
        return None;
    }
    of_id(session, rule.table)
}

/// Shows the key that a rule makes of what it looks at, if there is one.
fn with_key(rule: &StickRule, table: &Table, view: &View<'_>, show: &mut dyn FnMut(&[u8])) {
    let (kind, len_max) = table.key_kind();
    value(&rule.expr, view, &mut |sample| {
        let mut scratch = Scratch::new();
        let mut number = [0; 16];
        if let Some(key) = key_of(sample, kind, &mut scratch, &mut number) {
            let key = key.get(..len_max).unwrap_or(key);
            show(match kind {
                // Zeros behind change nothing.
                KeyKind::Bytes => key.get(..trimmed_len(key)).unwrap_or(key),
                _ => key,
            });
        }
    });
}

/// Bytes up to the last one that is not zero.
fn trimmed_len(key: &[u8]) -> usize {
    key.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1)
}

/// A sample as a key of this kind, as HAProxy converts it.
fn key_of<'s>(
    sample: &'s Sample<'_>,
    kind: KeyKind,
    scratch: &'s mut Scratch,
    room: &'s mut [u8; 16],
) -> Option<&'s [u8]> {
    match kind {
        KeyKind::Ipv4 => match address(sample, false)? {
            IpAddr::V4(address) => put(room, &address.octets()),
            IpAddr::V6(address) => put(room, &address.to_ipv4_mapped()?.octets()),
        },
        KeyKind::Ipv6 => match address(sample, true)? {
            IpAddr::V4(address) => put(room, &address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => put(room, &address.octets()),
        },
        KeyKind::Integer => put(room, &(sample.int()? as u32).to_be_bytes()),
        KeyKind::Text => {
            let text = sample.bytes(scratch);
            // HAProxy's texts end at a zero.
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
            text.get(..end)
        }
        KeyKind::Bytes => match sample {
            Sample::Bytes(bytes) => Some(bytes),
            Sample::Ip(IpAddr::V4(address)) => put(room, &address.octets()),
            Sample::Ip(IpAddr::V6(address)) => put(room, &address.octets()),
            Sample::Int(number) => put(room, &number.to_be_bytes()),
            Sample::Bool(value) => put(room, &i64::from(*value).to_be_bytes()),
        },
    }
}

fn put<'r>(room: &'r mut [u8; 16], bytes: &[u8]) -> Option<&'r [u8]> {
    let room = room.get_mut(..bytes.len())?;
    room.copy_from_slice(bytes);
    Some(room)
}

/// A sample as an address; a text must be one of the table's own kind, and nothing but that.
fn address(sample: &Sample<'_>, version_6: bool) -> Option<IpAddr> {
    let Sample::Bytes(bytes) = sample else { return sample.ip() };
    let text = std::str::from_utf8(bytes).ok()?;
    match version_6 {
        true => text.parse().ok().map(IpAddr::V6),
        false => text.parse().ok().map(IpAddr::V4),
    }
}

fn note(
    stores: &mut Vec<Store>,
    table: RefId,
    of_answer: bool,
    of: &Table,
    known: Option<Place>,
    key: &[u8],
) {
    if stores.len() == STORES_MAX {
        return;
    }
    let key = match known.or_else(|| of.place(key)) {
        Some(place) => Key::Known(place),
        None => Key::New(key.into()),
    };
    stores.push(Store { table, of_answer, key });
}
