//! What only some sessions have: variables, a destination that a PROXY protocol header has told.

use std::net::SocketAddr;

use super::Session;
use crate::config::VarId;
use crate::rules::Sample;

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

    /// Forgets a variable.
    pub(super) fn unset_variable(&self, id: VarId) {
        if let Some(extra) = self.extra.borrow_mut().as_mut() {
            extra.variables.retain(|(known, _)| *known != id);
        }
    }
}
