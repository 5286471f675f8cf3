//! Lines that begin with a dot: conditional blocks and messages (configuration §2.4).

use super::Builder;
use crate::config::blocks::Directive;
use crate::config::diagnostics::{Fault, Severity, Span, Spot, printable};
use crate::config::lexer::{self, Word};
use crate::config::model::Place;
use crate::config::{predicate, suggest};

impl Builder<'_> {
    /// `.if`, `.elif`, `.else`, `.endif`.
    pub(super) fn block(
        &mut self,
        directive: Directive,
        span: Span,
        place: &Place,
        line: &[u8],
    ) -> Result<(), Fault> {
        let condition = match directive {
            Directive::If | Directive::Elif if self.blocks.ask(directive) => {
                self.condition(place, line).map(Some)
            }
            Directive::If | Directive::Elif => Ok(None),
            Directive::Else | Directive::Endif => {
                let (after, word) = lexer::first_word_from(line, span.end);
                if word.is_empty() { Ok(None) } else { Err(Fault::at(after, "nothing can stand after this")) }
            }
        };
        let spot = Spot::new(place, line, Some(span));
        let taken = self.blocks.take(directive, condition.as_ref().ok().copied().flatten(), spot);
        taken.map_err(|message| Fault::at(span, message)).and(condition.map(drop))
    }

    fn condition(&self, place: &Place, line: &[u8]) -> Result<bool, Fault> {
        let words = self.words(place, line)?;
        let args = words.get(1..).unwrap_or_default();
        let mut text = String::new();
        let mut starts = Vec::new();
        for word in args {
            if !text.is_empty() {
                text.push(' ');
            }
            starts.push((text.len(), word.span));
            text.push_str(word.text()?);
        }
        predicate::holds(&text, self.env).map_err(|(at, message)| {
            let word = starts.iter().rev().find(|(start, _)| *start <= at).map(|(_, span)| *span);
            Fault::of(word, message)
        })
    }

    /// `.notice`, `.warning`, `.alert`, `.diag`.
    pub(super) fn message(
        &mut self,
        name: &str,
        words: &[Word],
        place: &Place,
        line: &[u8],
    ) -> Result<(), Fault> {
        const NAMES: [&str; 8] =
            [".if", ".elif", ".else", ".endif", ".notice", ".warning", ".alert", ".diag"];
        let [first, rest @ ..] = words else { return Ok(()) };
        let severity = match name {
            ".notice" => Severity::Note,
            ".warning" => Severity::Warning,
            ".alert" => Severity::Error,
            ".diag" => Severity::Detail,
            _ => {
                let hint = suggest::hint(name, NAMES.into_iter());
                return Err(Fault::at(
                    first.span,
                    format_args!("unknown directive {}{hint}", first.quoted()),
                ));
            }
        };
        if let [_, second, ..] = rest {
            return Err(Fault::at(second.span, "a message is one word: put it in quotes"));
        }
        let text = rest.first().map(|word| printable(&word.bytes)).unwrap_or_default();
        self.sink.push(severity, Spot::new(place, line, Some(first.span)), text);
        Ok(())
    }
}
