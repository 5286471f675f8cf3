//! Stick tables: which server a client is kept on (configuration §4.2, "stick-table").
//!
//! A table belongs to the process and not to a configuration: after a reload the same table goes on, as long as the
//! type and the length of its keys stay. Servers are therefore known by their names (or addresses), with their
//! numbers beside, for tables that backends with other names share.

mod entries;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::rc::Rc;

use super::Server;
use crate::config::{KeyKind, StickTable};
use entries::{Entries, NONE};

/// Different servers that a table may know, over all reloads, before it begins anew.
const SERVERS_MAX: usize = 65_536;
/// Expired entries that one store removes at most, beside what it needs.
const EXPIRED_A_STORE: u32 = 8;

/// A stick table at work.
pub struct Table {
    /// What the configuration says of it.
    config: RefCell<StickTable>,
    entries: RefCell<Entries>,
    /// Servers that entries name; never taken out, so that a number stays what it is.
    servers: RefCell<Vec<Known>>,
}

/// A server as entries know it.
struct Known {
    /// Its name, or its address.
    key: Box<str>,
    /// Its number in its backend (`id`).
    number: u32,
    /// Where it was found last.
    index: Cell<usize>,
}

/// An entry that was found, for a store later on.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    at: u32,
    hash: u32,
}

/// An entry in plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// The key: 4 or 16 bytes of an address, 4 of a number (big-endian), else text or bytes.
    pub key: Box<[u8]>,
    /// The number of the server in its backend (`server_id`).
    pub server_id: u32,
    /// The server's name, or its address (`server_key`).
    pub server_key: Box<str>,
    /// Until it ends; `None` = it does not.
    pub expires_in_ms: Option<u64>,
}

impl Table {
    /// An empty one.
    pub fn new(config: StickTable) -> Rc<Self> {
        let entries = RefCell::new(Entries::new(config.key_bytes_max as usize, seed()));
        Rc::new(Self { config: RefCell::new(config), entries, servers: RefCell::default() })
    }

    /// What the configuration says of it now.
    pub fn config(&self) -> StickTable {
        self.config.borrow().clone()
    }

    /// What its keys are, and how long they may be.
    pub fn key_kind(&self) -> (KeyKind, usize) {
        let config = self.config.borrow();
        (config.kind, config.key_bytes_max as usize)
    }

    /// Goes on as what a new configuration says, if that is a table of the same name and the same keys.
    pub fn goes_on_as(&self, new: &Self) -> bool {
        let (mut config, new) = (self.config.borrow_mut(), &new.config.borrow());
        let same = |table: &StickTable| (table.name.clone(), table.kind, table.key_bytes_max);
        if same(&config) != same(new) {
            return false;
        }
        let other_servers = config.by_address != new.by_address;
        config.clone_from(new);
        let mut entries = self.entries.borrow_mut();
        while other_servers && entries.count() > 0 || entries.count() > config.size {
            let oldest = entries.oldest();
            entries.remove(oldest);
        }
        true
    }

    /// The entry with this key, which counts as used now, and the one of `all` servers that it names, if any.
    pub fn find(&self, key: &[u8], all: &[Server], now_ms: u64) -> Option<(Place, Option<usize>)> {
        let config = self.config.borrow();
        let mut entries = self.entries.borrow_mut();
        let at = entries.find(key);
        if at == NONE {
            return None;
        }
        if is_expired(&entries, at, config.expire_ms, now_ms) {
            entries.remove(at);
            return None;
        }
        entries.touch(at, now_ms);
        let servers = self.servers.borrow();
        let server = servers.get(entries.server(at) as usize);
        let index = server.and_then(|known| known.find(all, config.by_address));
        Some((Place { at, hash: entries.hash_of(at)? }, index))
    }

    /// The entry with this key, for a store later on.
    pub fn place(&self, key: &[u8]) -> Option<Place> {
        let entries = self.entries.borrow();
        let at = entries.find(key);
        Some(Place { at, hash: entries.hash_of(at)? })
    }

    /// Stores a server in an entry that was found before. Where that has gone meanwhile nothing is stored.
    pub fn store_at(&self, place: Place, all: &[Server], server: usize, now_ms: u64) {
        if self.entries.borrow().hash_of(place.at) == Some(place.hash) {
            self.set(place.at, all, server, now_ms);
        }
    }

    /// Stores a server under a key; in a table that is full the oldest entry goes, or with `nopurge` nothing is stored.
    pub fn store(&self, key: &[u8], all: &[Server], server: usize, now_ms: u64) {
        let known = self.entries.borrow().find(key);
        if known != NONE {
            return self.set(known, all, server, now_ms);
        }
        let Some(number) = self.number_of(None, all, server) else { return };
        let config = self.config.borrow();
        let mut entries = self.entries.borrow_mut();
        for _ in 0..EXPIRED_A_STORE {
            let oldest = entries.oldest();
            if oldest == NONE || !is_expired(&entries, oldest, config.expire_ms, now_ms) {
                break;
            }
            entries.remove(oldest);
        }
        while entries.count() >= config.size {
            if config.nopurge {
                return;
            }
            let oldest = entries.oldest();
            entries.remove(oldest);
        }
        entries.add(key, number, now_ms);
    }

    /// All entries, the oldest first.
    pub fn entries(&self, now_ms: u64) -> Vec<TableEntry> {
        let expire_ms = self.config.borrow().expire_ms;
        let (entries, servers) = (self.entries.borrow(), self.servers.borrow());
        let mut found = Vec::new();
        let mut at = entries.oldest();
        while at != NONE {
            let age_ms = now_ms.saturating_sub(entries.used_ms(at));
            let server = servers.get(entries.server(at) as usize);
            if let Some(server) = server.filter(|_| expire_ms == 0 || age_ms < expire_ms) {
                found.push(TableEntry {
                    key: entries.key(at).into(),
                    server_id: server.number,
                    server_key: server.key.clone(),
                    expires_in_ms: (expire_ms > 0).then(|| expire_ms - age_ms),
                });
            }
            at = entries.newer(at);
        }
        found
    }

    fn set(&self, at: u32, all: &[Server], server: usize, now_ms: u64) {
        let before = self.entries.borrow().server(at);
        let number = self.number_of(Some(before), all, server);
        let mut entries = self.entries.borrow_mut();
        // A table that has begun anew does not have it any more.
        if let Some(number) = number.filter(|_| entries.hash_of(at).is_some()) {
            entries.set_server(at, number);
            entries.touch(at, now_ms);
        }
    }

    /// The number by which entries know a server; `guess` is one that it may well be.
    fn number_of(&self, guess: Option<u32>, all: &[Server], server: usize) -> Option<u32> {
        let by_address = self.config.borrow().by_address;
        let mut scratch = AddressText::new();
        let index = server;
        let server = all.get(index)?;
        let (key, number) = (key_of(server, by_address, &mut scratch), server.config.id);
        let same = |known: &Known| known.number == number && *known.key == *key;
        let mut servers = self.servers.borrow_mut();
        if let Some(guess) = guess.filter(|&guess| servers.get(guess as usize).is_some_and(same)) {
            return Some(guess);
        }
        if let Some(at) = servers.iter().position(same) {
            return u32::try_from(at).ok();
        }
        if servers.len() == SERVERS_MAX {
            servers.clear();
            let mut entries = self.entries.borrow_mut();
            while entries.count() > 0 {
                let oldest = entries.oldest();
                entries.remove(oldest);
            }
        }
        servers.push(Known { key: key.into(), number, index: Cell::new(index) });
        u32::try_from(servers.len() - 1).ok()
    }
}

impl Known {
    /// The one of these servers that it is: the one of the same name (or address), else that of the same number.
    fn find(&self, all: &[Server], by_address: bool) -> Option<usize> {
        let is_it = |server: &Server| *key_of(server, by_address, &mut AddressText::new()) == *self.key;
        let before = self.index.get();
        if all.get(before).is_some_and(is_it) {
            return Some(before);
        }
        if let Some(index) = all.iter().position(is_it) {
            self.index.set(index);
            return Some(index);
        }
        all.iter().position(|server| server.config.id == self.number)
    }
}

/// Room for an address with its port, 58 bytes at most.
type AddressText = heapless::String<64>;

/// What a server is known by. One without an address is known by its name.
fn key_of<'a>(server: &'a Server, by_address: bool, scratch: &'a mut AddressText) -> &'a str {
    use std::fmt::Write;
    match server.own_target().filter(|_| by_address) {
        Some(crate::net::Target::Inet(address)) if write!(scratch, "{address}").is_ok() => scratch.as_str(),
        _ => &server.config.name,
    }
}

fn is_expired(entries: &Entries, at: u32, expire_ms: u64, now_ms: u64) -> bool {
    expire_ms > 0 && now_ms.saturating_sub(entries.used_ms(at)) >= expire_ms
}

/// Something that clients cannot guess, so that none can choose keys that all share a bucket.
fn seed() -> u32 {
    let mut bytes = [0; 4];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    // In a `chroot` there may be no such file.
    if read.is_ok() { u32::from_ne_bytes(bytes) } else { now.subsec_nanos() ^ now.as_secs() as u32 }
}
