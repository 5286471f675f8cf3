//! What only some sessions have: variables, captured headers, an id, what a PROXY protocol header has told.

use std::net::SocketAddr;

use super::Session;
use super::capture::Captured;
use super::fill;
use super::world::Scene;
use crate::config::VarId;
use crate::rules::{Sample, View};

/// Bytes that the variables of one session may take together.
const VARIABLES_BYTES_MAX: usize = 16 * 1_024;
/// What a variable takes beside its text.
const VARIABLE_BYTES: usize = 64;

/// What only some sessions have.
#[derive(Default)]
pub(super) struct Extra {
    variables: Vec<(VarId, Sample<'static>)>,
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
    /// Loop clock at the end of the request before; 0 = there was none.
    pub idle_since_ms: u64,
    /// `http-request set-log-level`.
    log_level: LogLevel,
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
    /// The address the client came to, as a PROXY protocol header told it.
    pub(super) fn told_destination(&self) -> Option<SocketAddr> {
        self.extra.borrow().as_ref().and_then(|extra| extra.destination)
    }

    /// Notes what the header told.
    pub(super) fn set_destination(&self, destination: SocketAddr) {
        self.extra.borrow_mut().get_or_insert_default().destination = Some(destination);
    }

    /// Notes that the header has been read.
    pub(super) fn note_header(&self) {
        self.extra.borrow_mut().get_or_insert_default().header_ms = self.reactor().now_ms();
    }

    /// Loop clock at the moment from which on a request may come: the accept, or the end of the header.
    pub(super) fn ready_ms(&self) -> u64 {
        let header_ms = self.extra.borrow().as_ref().map_or(0, |extra| extra.header_ms);
        self.accepted_ms.max(header_ms)
    }

    /// A variable's value.
    pub(super) fn variable(&self, id: VarId) -> Option<Sample<'static>> {
        let extra = self.extra.borrow();
        let found = extra.as_ref()?.variables.iter().find(|(known, _)| *known == id);
        found.map(|(_, value)| value.clone())
    }

    /// Sets a variable; false when there is no room for it.
    pub(super) fn set_variable(&self, id: VarId, value: Sample<'static>) -> bool {
        let mut extra = self.extra.borrow_mut();
        let variables = &mut extra.get_or_insert_default().variables;
        variables.retain(|(known, _)| *known != id);
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

    /// The id of the request at hand (`unique-id-format`), made when it is first asked for.
    pub(super) fn unique_id(&self, view: &View<'_>) -> Option<Box<[u8]>> {
        let format = self.frontend.config.lines.unique_id.as_ref()?;
        if let Some(known) = self.extra.borrow().as_ref().and_then(|extra| extra.unique_id.clone()) {
            return Some(known);
        }
        // A format that asks for the id itself finds it empty.
        self.extra.borrow_mut().get_or_insert_default().unique_id = Some(Box::default());
        let mut text = Vec::new();
        fill::fill(format, view, &mut text);
        let id: Box<[u8]> = text.into();
        self.extra.borrow_mut().get_or_insert_default().unique_id = Some(id.clone());
        Some(id)
    }

    /// Notes which request it is, where that will be asked for.
    pub(super) fn note_number(&self, number: u32) {
        if self.frontend.config.lines.unique_id.is_some() {
            self.extra.borrow_mut().get_or_insert_default().number = number;
        }
    }

    /// What was noted; the next of the process's numbers where nothing was.
    pub(super) fn number(&self) -> u32 {
        let noted = self.extra.borrow().as_ref().map(|extra| extra.number);
        noted.unwrap_or(self.frontend.process.numbers.get())
    }

    /// The same where no bytes are at hand.
    pub(super) fn known_id(&self) -> Option<Box<[u8]>> {
        self.unique_id(&View::new(&[], true).within(&Scene::of(self)))
    }

    /// Sets the severity of the request's log line (`http-request set-log-level`).
    pub(super) fn set_log_level(&self, level: LogLevel) {
        self.extra.borrow_mut().get_or_insert_default().log_level = level;
    }

    /// What rules have set.
    pub(super) fn log_level(&self) -> LogLevel {
        self.extra.borrow().as_ref().map_or(LogLevel::Usual, |extra| extra.log_level)
    }

    /// The line is written: what was kept for it is gone.
    pub(super) fn forget_request(&self) {
        if let Some(extra) = self.extra.borrow_mut().as_mut() {
            let lasting = &self.frontend.shared.lasting;
            extra.variables.retain(|(id, _)| lasting.get(id.0).copied().unwrap_or(false));
            extra.captured = Captured::default();
            extra.unique_id = None;
            extra.request_line = None;
            extra.server_addresses = [None; 2];
            extra.log_level = LogLevel::Usual;
            extra.idle_since_ms = self.reactor().now_ms();
        }
    }

    /// Notes the addresses of the server's connection, where the log line tells them.
    pub(super) fn note_server(&self, server: &crate::net::Stream) {
        if self.frontend.config.lines.tell_server_address() {
            let addresses = [server.local_address(), server.peer_address()];
            self.extra.borrow_mut().get_or_insert_default().server_addresses = addresses;
        }
    }

    /// Forgets a variable.
    pub(super) fn unset_variable(&self, id: VarId) {
        if let Some(extra) = self.extra.borrow_mut().as_mut() {
            extra.variables.retain(|(known, _)| *known != id);
        }
    }
}
