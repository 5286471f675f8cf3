//! `observe`: what a server's traffic says of it (configuration §5.2, "observe", "error-limit", "on-error").

use std::rc::Rc;

use super::super::Backend;
use super::verdict::{Status, Verdict};
use crate::config::{Observe, OnError};

/// What a session has seen of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// A connection that stands.
    Connected,
    /// None.
    NotConnected,
    /// An answer that is no error.
    Answered,
    /// An answer that is one (5xx but 501 and 505).
    ErrorAnswer,
    /// No HTTP.
    InvalidAnswer,
    /// No answer in time.
    Silent,
    /// The connection ended before an answer.
    Closed,
}

/// HAProxy's words for the errors, in the order of [`Observed`]; empty = none.
const WORDS: [&str; 7] = [
    "",
    "L4 unsuccessful connection",
    "",
    "Wrong http response",
    "Invalid http response (headers)",
    "Read timeout (http)",
    "Close from server (http)",
];

impl Observed {
    /// An answer of this status. 501 and 505 are the client's doing.
    pub fn answer(status: u16) -> Self {
        match status {
            100..=499 | 501 | 505 => Self::Answered,
            _ => Self::ErrorAnswer,
        }
    }

    /// Whether it is an error to this observer; `None` = it does not look at such things.
    fn is_error(self, observe: Observe) -> Option<bool> {
        match self {
            Self::NotConnected => Some(true),
            Self::Connected => (!observe.answers).then_some(false),
            Self::Answered => observe.answers.then_some(false),
            Self::ErrorAnswer | Self::InvalidAnswer | Self::Silent | Self::Closed => {
                observe.answers.then_some(true)
            }
        }
    }
}

impl Backend {
    /// Tells what a session has seen of a server. Costs nothing where nobody looks.
    pub fn observe(self: &Rc<Self>, index: usize, seen: Observed) {
        if let Some(server) = self.servers.get(index)
            && let Some(observe) = server.config.state.observe
            && let Some(is_error) = seen.is_error(observe)
        {
            self.count(index, observe, seen, is_error);
        }
    }

    fn count(self: &Rc<Self>, index: usize, observe: Observe, seen: Observed, is_error: bool) {
        let Some(server) = self.servers.get(index) else { return };
        let (Some(check), state) = (&server.config.check, &server.state) else { return };
        if !is_error {
            state.errors.set(0);
            return;
        }
        let errors = state.errors.get().saturating_add(1);
        state.errors.set(errors);
        if errors < observe.errors_max {
            return;
        }
        let mut counter = state.check.get();
        match observe.on_error {
            OnError::SuddenDeath => counter.health = counter.health.min(counter.rise.saturating_add(1)),
            OnError::MarkDown => counter.health = counter.health.min(counter.rise),
            OnError::FastInter | OnError::FailCheck => {}
        }
        state.check.set(counter);
        if observe.on_error != OnError::FastInter {
            let words = WORDS.get(seen as usize).copied().unwrap_or_default();
            let info = format!("Detected {errors} consecutive errors, last one was: {words}");
            self.judge(
                index,
                Verdict { status: Status::Hana, code: None, info: Some(info.into()), took_ms: 0 },
            );
        }
        state.errors.set(0);
        state.failed_observed.set(state.failed_observed.get().saturating_add(1));
        if let Some(fastinter_ms) = check.fastinter_ms {
            state.hurry.by(self.reactor.now_ms().saturating_add(fastinter_ms));
        }
    }
}
