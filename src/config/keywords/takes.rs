//! Arguments that are checked and then not used.

use crate::config::diagnostics::{Fault, Span};
use crate::config::lexer::Word;
use crate::config::values::time_ms;

/// What is checked of arguments that are not used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing is.
    Any,
    Nothing,
    AtLeastOne,
    /// A number, with `k`, `m` or `g` behind it.
    Number,
    Time,
    /// `name:password`.
    Credentials,
}

impl Takes {
    /// Whether arguments look as they should.
    ///
    /// # Errors
    /// One of them does not, or is missing, or is too many.
    pub(crate) fn check(self, name: &str, name_span: Span, args: &[Word]) -> Result<(), Fault> {
        let (what, most) = match self {
            Self::Any => return Ok(()),
            Self::Nothing => ("no argument", 0),
            Self::AtLeastOne => ("an argument", usize::MAX),
            Self::Number => ("a number", 1),
            Self::Time => ("a time", 1),
            Self::Credentials => ("USER:PASSWORD", 1),
        };
        if let Some(word) = args.get(most) {
            return Err(Fault::at(
                word.span,
                format_args!("unexpected {}; `{name}` takes {what}", word.quoted()),
            ));
        }
        let Some(word) = args.first() else {
            return match self {
                Self::Nothing => Ok(()),
                _ => Err(Fault::at(name_span, format_args!("`{name}` needs {what}"))),
            };
        };
        let fits = match self {
            Self::Number => is_number(&word.bytes),
            Self::Time => return time_ms(word).map(drop),
            Self::Credentials => word.bytes.iter().position(|&byte| byte == b':').is_some_and(|at| at > 0),
            _ => true,
        };
        if fits { Ok(()) } else { Err(Fault::at(word.span, format_args!("{} is not {what}", word.quoted()))) }
    }
}

/// A whole number, perhaps with a unit of bytes.
fn is_number(text: &[u8]) -> bool {
    let text =
        text.strip_suffix(b"k").or(text.strip_suffix(b"m")).or(text.strip_suffix(b"g")).unwrap_or(text);
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
