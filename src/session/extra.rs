//! What only some sessions have: variables.

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
}

impl Session {
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

    /// Forgets what belonged to a request.
    pub(super) fn forget_request(&self) {
        if let Some(extra) = self.extra.borrow_mut().as_mut() {
            let lasting = &self.frontend.shared.lasting;
            extra.variables.retain(|(id, _)| lasting.get(id.0).copied().unwrap_or(false));
        }
    }

    /// Forgets a variable.
    pub(super) fn unset_variable(&self, id: VarId) {
        if let Some(extra) = self.extra.borrow_mut().as_mut() {
            extra.variables.retain(|(known, _)| *known != id);
        }
    }
}
