//! What the process is to give up once it has its sockets (configuration §3.1): `chroot`, `user`, `group`, `uid`,
//! `gid`.

use std::path::PathBuf;

use super::diagnostics::{Diagnostic, Severity, Spot};
use super::model::Place;

/// What the process gives up after the start. `None` everywhere: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privileges {
    /// `chroot DIR`.
    pub chroot: Option<Written<PathBuf>>,
    /// `user NAME` or `uid N`.
    pub user: Option<Written<Account>>,
    /// `group NAME` or `gid N`.
    pub group: Option<Written<Account>>,
}

/// A user or a group, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// A name, to be looked up where the process starts.
    Name(String),
    /// A number.
    Id(u32),
}

/// A value with the word it was written as, for messages that can only come once the system was asked.
#[derive(Debug, Clone)]
pub struct Written<T> {
    /// The value.
    pub value: T,
    spot: Spot,
}

impl<T> Written<T> {
    pub(crate) fn new(value: T, spot: Spot) -> Self {
        Self { value, spot }
    }

    /// Where it was written.
    pub fn place(&self) -> &Place {
        &self.spot.place
    }

    pub(crate) fn spot(&self) -> Spot {
        self.spot.clone()
    }

    /// An error about it.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, message.into())
    }

    /// A warning about it.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Warning, message.into())
    }

    fn diagnostic(&self, severity: Severity, message: String) -> Diagnostic {
        let Spot { place, line_text, column, width } = self.spot.clone();
        Diagnostic { place, severity, message, line_text, column, width }
    }
}

/// The same value, wherever it was written.
impl<T: PartialEq> PartialEq for Written<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Written<T> {}
