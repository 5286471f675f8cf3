//! One line, its keyword found.

use crate::config::diagnostics::{Fault, Message, Span};
use crate::config::keywords::Keyword;
use crate::config::lexer::Word;
use crate::config::model::Place;

/// One line: its keyword, its arguments, its place.
pub(crate) struct Statement<'a> {
    /// The keyword it was found to be.
    pub keyword: &'static Keyword,
    /// Whether `no` stood before it, or `default`: for most options both lead to the same.
    pub negated: bool,
    /// Whether it was `default`: back to the built-in value, whatever a `defaults` section says.
    pub to_default: bool,
    /// Where it stands.
    pub place: &'a Place,
    /// The line as written.
    pub line: &'a [u8],
    pub(super) name: &'a [Word],
    pub(super) args: &'a [Word],
}

impl<'a> Statement<'a> {
    /// The words after the keyword.
    pub fn args(&self) -> &'a [Word] {
        self.args
    }

    /// The keyword's own words in the line.
    pub fn name_span(&self) -> Span {
        let first = self.name.first().map_or(Span::default(), |word| word.span);
        let last = self.name.last().map_or(first, |word| word.span);
        Span { start: first.start, end: last.end }
    }

    /// A message about the keyword.
    #[cold]
    #[inline(never)]
    pub fn wrong(&self, message: impl Message) -> Fault {
        Fault::at(self.name_span(), message)
    }

    /// The one argument.
    ///
    /// # Errors
    /// There is none (`what` was expected), or more than one.
    pub fn one(&self, what: &str) -> Result<&'a Word, Fault> {
        let [word, rest @ ..] = self.args else {
            return Err(Fault::at(self.name_span(), format_args!("`{}` needs {what}", self.keyword.name)));
        };
        self.end(rest)?;
        Ok(word)
    }

    /// There are no arguments.
    ///
    /// # Errors
    /// There are some.
    pub fn none(&self) -> Result<(), Fault> {
        self.end(self.args)
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&self, rest: &[Word]) -> Result<(), Fault> {
        match rest.first() {
            None => Ok(()),
            Some(word) if self.keyword.args.is_empty() => Err(Fault::at(
                word.span,
                format_args!("`{}` takes no arguments, but {} stands here", self.keyword.name, word.quoted()),
            )),
            Some(word) => Err(Fault::at(
                word.span,
                format_args!(
                    "unexpected {}; `{}` takes {}",
                    word.quoted(),
                    self.keyword.name,
                    self.keyword.args
                ),
            )),
        }
    }
}
