//! What only some sessions have: variables, captured headers, an id, what a PROXY protocol header has told.

use std::cell::RefMut;
use std::cmp::Ordering;
use std::net::SocketAddr;

use super::capture::Captured;
use super::fill;
use super::reserve::Reserve;
use super::stick::Store;
use super::world::Scene;
use super::{Scope, Session};
use crate::config::{SetVar, VarId};
use crate::rules::{Sample, Seen, View};

/// Variables with their values.
pub(super) type Variables = Vec<(VarId, Sample<'static>)>;

/// Bytes that the variables of one session (or of the process) may take together.
const VARIABLES_BYTES_MAX: usize = 16 * 1_024;
/// What a variable takes beside its text.
const VARIABLE_BYTES: usize = 64;

/// What only some sessions have.
#[derive(Default)]
pub(super) struct Extra {
    variables: Variables,
    destination: Option<SocketAddr>,
    /// Loop clock at the end of the PROXY protocol header; 0 without one.
    header_ms: u64,
    /// Kept for the log line of the request at hand.
    pub captured: Captured,
    /// The line of the request at hand, where rules read it.
    pub request_line: Option<Box<[u8]>>,
    /// The number of the request at hand among all of the process, for its id.
    number: u32,
    /// The request's id, once it was asked for.
    unique_id: Option<Box<[u8]>>,
    /// Our address towards the server, and the server's.
    pub server_addresses: [Option<SocketAddr>; 2],
    /// What stick tables will learn of the request at hand.
    pub stores: Vec<Store>,
    /// Loop clock at the end of the request before; 0 = there was none.
    pub idle_since_ms: u64,
    /// `http-request set-log-level`.
    log_level: LogLevel,
    /// `set-priority-class` and `set-priority-offset`.
    priority: (i16, i32),
    /// `http-request disable-l7-retry`.
    sent_once: bool,
    /// `tcp-request connection expect-proxy`.
    expects_header: bool,
    /// Server connections of this client alone.
    pub reserve: Reserve,
}

/// What a rule says of the log line's severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LogLevel {
    /// Nothing.
    #[default]
    Usual,
    /// This one, 0 (emerg) to 7 (debug).
    Severity(u8),
    /// `silent`: no line.
    Silent,
}

impl Session {
    /// What only some sessions have, made now if it was not.
    pub(super) fn extra(&self) -> RefMut<'_, Extra> {
        RefMut::map(self.extra.borrow_mut(), |extra| &mut **extra.get_or_insert_default())
    }

    /// The address the client came to, as a PROXY protocol header told it.
    pub(super) fn told_destination(&self) -> Option<SocketAddr> {
        self.extra.borrow().as_ref().and_then(|extra| extra.destination)
    }

    /// Notes what the header told.
    pub(super) fn set_destination(&self, destination: SocketAddr) {
        self.extra().destination = Some(destination);
    }

    /// A PROXY protocol header comes first, says a rule.
    pub(super) fn expect_header(&self) {
        self.extra().expects_header = true;
    }

    /// Whether a rule has said so.
    pub(super) fn is_header_expected(&self) -> bool {
        self.extra.borrow().as_ref().is_some_and(|extra| extra.expects_header)
    }

    /// Notes that the header has been read.
    pub(super) fn note_header(&self) {
        self.extra().header_ms = self.reactor().now_ms();
    }

    /// Loop clock at the moment from which on a request may come: the accept, or the end of the header.
    pub(super) fn ready_ms(&self) -> u64 {
        let header_ms = self.extra.borrow().as_ref().map_or(0, |extra| extra.header_ms);
        self.accepted_ms.max(header_ms)
    }

    /// A variable's value.
    pub(super) fn variable(&self, id: VarId) -> Option<Sample<'static>> {
        let find = |variables: &Variables| {
            let found = variables.iter().find(|(known, _)| *known == id);
            found.map(|(_, value)| value.clone())
        };
        if self.scope(id) == Scope::Process {
            return find(&self.frontend.shared.variables.borrow());
        }
        self.extra.borrow().as_ref().and_then(|extra| find(&extra.variables))
    }

    /// Sets a variable, or forgets it; false when there is no room for it.
    pub(super) fn set_variable(&self, id: VarId, value: Option<Sample<'static>>) -> bool {
        if self.scope(id) == Scope::Process {
            return put(&mut self.frontend.shared.variables.borrow_mut(), id, value);
        }
        put(&mut self.extra().variables, id, value)
    }

    /// Sets a variable where its conditions hold.
    pub(super) fn set_variable_if(&self, to: SetVar, new: Sample<'static>) {
        let is_met = to.conditions == 0 || {
            let old = self.variable(to.id);
            // Those of the process exist from the beginning.
            let exists = old.is_some() || self.scope(to.id) == Scope::Process;
            let is_empty = matches!(&new, Sample::Bytes(bytes) if bytes.is_empty());
            let order = match (&old, &new) {
                (Some(Sample::Int(old)), Sample::Int(new)) => Some(old.cmp(new)),
                _ => None,
            };
            // In the order of `SET_CONDITIONS`.
            let hold = [
                exists,
                !exists,
                is_empty,
                !is_empty,
                old.is_some(),
                old.is_none(),
                order.is_none_or(Ordering::is_gt),
                order.is_none_or(Ordering::is_lt),
            ];
            (0..8).zip(hold).all(|(bit, holds)| holds || to.conditions >> bit & 1 == 0)
        };
        if is_met {
            self.set_variable(to.id, Some(new));
        }
    }

    fn scope(&self, id: VarId) -> Scope {
        self.frontend.shared.scopes.get(id.0).copied().unwrap_or(Scope::Request)
    }

    /// The id of the request at hand (`unique-id-format`), made when it is first asked for.
    pub(super) fn unique_id(&self, view: &View<'_>) -> Option<Box<[u8]>> {
        let format = self.frontend.config.lines.unique_id.as_ref()?;
        if let Some(known) = self.extra.borrow().as_ref().and_then(|extra| extra.unique_id.clone()) {
            return Some(known);
        }
        // A format that asks for the id itself finds it empty.
        self.extra().unique_id = Some(Box::default());
        let mut text = Vec::new();
        fill::fill(format, view, &mut text);
        let id: Box<[u8]> = text.into();
        self.extra().unique_id = Some(id.clone());
        Some(id)
    }

    /// Notes which request it is, where that will be asked for.
    pub(super) fn note_number(&self, number: u32) {
        if self.frontend.config.lines.unique_id.is_some() {
            self.extra().number = number;
        }
    }

    /// What was noted; the next of the process's numbers where nothing was.
    pub(super) fn number(&self) -> u32 {
        let noted = self.extra.borrow().as_ref().map(|extra| extra.number);
        noted.unwrap_or(self.frontend.process.numbers.get())
    }

    /// The same where no bytes are at hand.
    pub(super) fn known_id(&self) -> Option<Box<[u8]>> {
        self.unique_id(&Seen::new(&[], true).within(&Scene::of(self)))
    }

    /// Sets the severity of the request's log line (`http-request set-log-level`).
    pub(super) fn set_log_level(&self, level: LogLevel) {
        self.extra().log_level = level;
    }

    /// What rules have set.
    pub(super) fn log_level(&self) -> LogLevel {
        self.extra.borrow().as_ref().map_or(LogLevel::Usual, |extra| extra.log_level)
    }

    /// Class and offset (milliseconds) in queues, as rules have set them.
    pub(super) fn priority(&self) -> (i16, i32) {
        self.extra.borrow().as_ref().map_or((0, 0), |extra| extra.priority)
    }

    /// Sets one of both, cut to what HAProxy takes.
    pub(super) fn set_priority(&self, of_offset: bool, value: i64) {
        const CLASS_MAX: i64 = 2_047;
        const OFFSET_MAX_MS: i64 = 524_287;
        let mut extra = self.extra();
        let (class, offset_ms) = &mut extra.priority;
        if of_offset {
            *offset_ms = value.clamp(-OFFSET_MAX_MS, OFFSET_MAX_MS) as i32;
        } else {
            *class = value.clamp(-CLASS_MAX, CLASS_MAX) as i16;
        }
    }

    /// The request at hand is not sent again once it was sent (`http-request disable-l7-retry`).
    pub(super) fn send_once(&self) {
        self.extra().sent_once = true;
    }

    /// Whether a rule has said so.
    pub(super) fn is_sent_once(&self) -> bool {
        self.extra.borrow().as_ref().is_some_and(|extra| extra.sent_once)
    }

    /// The line is written: what was kept for it is gone.
    pub(super) fn forget_request(&self) {
        if let Some(extra) = self.extra.borrow_mut().as_mut() {
            extra.variables.retain(|(id, _)| self.scope(*id) == Scope::Session);
            extra.captured = Captured::default();
            extra.unique_id = None;
            extra.request_line = None;
            extra.server_addresses = [None; 2];
            extra.log_level = LogLevel::Usual;
            extra.priority = (0, 0);
            extra.sent_once = false;
            extra.idle_since_ms = self.reactor().now_ms();
        }
    }

    /// Notes the addresses of the server's connection, where the log line tells them.
    pub(super) fn note_server(&self, server: &crate::net::Stream) {
        if self.frontend.config.lines.tell_server_address() {
            let addresses = [server.local_address(), server.peer_address()];
            self.extra().server_addresses = addresses;
        }
    }
}

fn put(variables: &mut Variables, id: VarId, value: Option<Sample<'static>>) -> bool {
    if let Some(at) = variables.iter().position(|(known, _)| *known == id) {
        variables.swap_remove(at);
    }
    let Some(value) = value else { return true };
    let size = |value: &Sample<'_>| match value {
        Sample::Bytes(bytes) => VARIABLE_BYTES + bytes.len(),
        _ => VARIABLE_BYTES,
    };
    let used: usize = variables.iter().map(|(_, value)| size(value)).sum();
    let fits = used + size(&value) <= VARIABLES_BYTES_MAX;
    if fits {
        variables.push((id, value));
    }
    fits
}
