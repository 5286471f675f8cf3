//! What the configuration says of a server's state, beside its checks.

use std::net::IpAddr;
use std::rc::Rc;

use super::BackendId;

/// How a server's state changes, but for `check` (configuration §5.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateRules {
    /// `track`: it goes up and down with this server.
    pub track: Option<(BackendId, usize)>,
    /// `slowstart`; 0 = its whole share at once.
    pub slowstart_ms: u64,
    /// `on-marked-down shutdown-sessions`.
    pub ends_sessions: bool,
    /// `on-marked-up shutdown-backup-sessions`.
    pub ends_backup_sessions: bool,
    /// `observe`: its traffic is looked at for errors.
    pub observe: Option<Observe>,
    /// `agent-check`.
    pub agent: Option<Agent>,
    /// `init-state`.
    pub first_state: FirstState,
    /// `init-addr`: where its first address comes from, in this order; empty = it must be found.
    pub first_address: Vec<FirstAddress>,
}

impl StateRules {
    /// Whether something else than its own checks takes it up and down.
    pub fn is_followed(&self) -> bool {
        self.track.is_some() || self.agent.is_some()
    }
}

/// `init-state`: what a checked server begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstState {
    /// Up; one failed check takes it down.
    #[default]
    Up,
    /// Up; `fall` of them do.
    FullyUp,
    /// Down; one check that is passed takes it up.
    Down,
    /// Down; `rise` of them do.
    FullyDown,
}

/// `observe LAYER error-limit N on-error WHAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observe {
    /// Answers count (`layer7`), not connections alone.
    pub answers: bool,
    /// Errors in a row; default 10.
    pub errors_max: u32,
    /// What so many of them lead to.
    pub on_error: OnError,
}

/// `on-error`. Each makes the next check come after `fastinter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// No more than that.
    FastInter,
    /// As if a check had failed.
    #[default]
    FailCheck,
    /// The next failed check takes the server down.
    SuddenDeath,
    /// The server is down.
    MarkDown,
}

/// `agent-check`: somebody beside the server says how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `agent-port`.
    pub port: u16,
    /// `agent-addr`; default the server's.
    pub address: Option<IpAddr>,
    /// `agent-inter`; default that of `check`.
    pub inter_ms: u64,
    /// `agent-send`: said first.
    pub send: Rc<[u8]>,
}

/// A word of `init-addr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstAddress {
    /// The one before: of a reload, where the name had one.
    Last,
    /// What the system finds.
    System,
    /// None: the server is in maintenance until its name has an address.
    None,
    /// This one.
    Fixed(IpAddr),
}
