//! The words of a rule.

use super::errors;
use super::http_actions::REQUEST;
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::{Fault, Span};
use crate::config::lexer::Word;
use crate::config::model::{SET_CONDITIONS, SetVar};
use crate::config::sample::Reader;
use crate::config::suggest;

/// The words of a rule, read from the left.
pub(super) struct Words<'w> {
    pub rest: &'w [Word],
    /// The last word that was read.
    pub at: Span,
    /// The action's own word.
    pub action: &'w [u8],
    /// Which kind of rule it is.
    pub side: u8,
    /// The largest answer in a file.
    pub answer_bytes_max: u64,
    /// What is to be warned of.
    pub warning: Option<(Span, &'static str)>,
}

impl<'w> Words<'w> {
    /// The words behind an action, or where there is none behind the keyword.
    #[inline(never)]
    pub fn new(b: &Builder<'_>, st: &Statement<'w>, rest: &'w [Word]) -> Self {
        let answer_bytes_max = errors::answer_bytes_max(b);
        Self { rest, at: st.name_span(), action: b"", side: REQUEST, answer_bytes_max, warning: None }
    }

    /// The next word.
    ///
    /// # Errors
    /// There is none; `what` was expected.
    pub fn next(&mut self, what: &str) -> Result<&'w Word, Fault> {
        let [word, rest @ ..] = self.rest else {
            return Err(Fault::at(self.at, format_args!("{what} was expected behind this word")));
        };
        (self.rest, self.at) = (rest, word.span);
        Ok(word)
    }

    /// Takes a word if it is this one.
    pub fn option(&mut self, name: &str) -> bool {
        let is = self.rest.first().is_some_and(|word| word.is(name));
        if is && let [word, rest @ ..] = self.rest {
            (self.rest, self.at) = (rest, word.span);
        }
        is
    }

    /// The variable in the action's own word, and the conditions behind it.
    pub fn variable(&self, reader: &mut Reader<'_>) -> Result<SetVar, Fault> {
        let text = String::from_utf8_lossy(self.action);
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        let name = inner.ok_or_else(|| Fault::at(self.at, "the bracket is never closed"))?;
        let mut parts = name.split(',').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let id = reader.variable(name).map_err(|why| Fault::at(self.at, why))?;
        let mut conditions = 0;
        for part in parts {
            let Some(bit) = SET_CONDITIONS.iter().position(|known| *known == part) else {
                let hint = suggest::hint_of(part, &SET_CONDITIONS);
                return Err(Fault::at(self.at, format_args!("`{part}` is no condition of `set-var`{hint}")));
            };
            conditions |= 1 << bit;
        }
        Ok(SetVar { id, conditions })
    }
}
