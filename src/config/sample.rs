//! Sample expressions: `fetch(arguments),converter,converter(arguments)` (configuration §7.3).

use std::rc::Rc;

use super::arguments;
use super::converter;
use super::diagnostics::{Fault, Span, Spot, quoted};
use super::fetches::fetch;
use super::lexer::Word;
use super::model::{
    Converter, Expr, MatchKind, Operand, Operation, Place, REQUEST_LINE, RefId, StickTable, VarId,
};
use super::patterns::Files;

/// Different variables in one configuration.
const VARIABLES_MAX: usize = 1_024;
/// Different proxies and servers that expressions name.
const REFERENCES_MAX: usize = 65_536;
/// Converters behind one fetch.
const CONVERTERS_MAX: usize = 32;

/// What all expressions of a configuration share: names that are resolved at its end, and files.
#[derive(Default)]
pub(crate) struct Shared {
    /// Proxies and servers that are named, before they are known.
    pub references: Vec<Reference>,
    /// The names of variables.
    pub variables: Vec<Rc<str>>,
    /// Statuses for which a section is to have a page, and where that was written.
    pub wanted_pages: Vec<(RefId, u16, Spot)>,
    /// The stick tables, and where they were written.
    pub tables: Vec<(StickTable, Place)>,
    /// Stick tables that are to take keys of a type, the expression as written, and where.
    pub wanted_keys: Vec<(RefId, KeyTypes, Rc<str>, Spot)>,
    /// How files are read.
    pub files: Files,
}

/// A proxy, server or user list that an expression names.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub kind: ReferenceKind,
    /// `name`, or `backend/server`.
    pub name: String,
    pub spot: Spot,
}

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReferenceKind {
    Frontend,
    Backend,
    Server,
    /// An `http-errors` section.
    Pages,
    Users,
    /// The stick table of a proxy.
    Table,
}

/// What the samples of an expression can become as keys of a stick table; text and bytes all can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyTypes {
    pub address: bool,
    pub integer: bool,
}

/// What the reading of one expression needs to know and to fill.
pub(crate) struct Reader<'a> {
    pub shared: &'a mut Shared,
    /// Where the word stands, for faults found later.
    pub spot: &'a Spot,
    /// Looks up environment variables, for `env(NAME)`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    /// Rules read the request's line, which is to be kept for them.
    pub fn keep_line(&mut self) {
        let variables = &mut self.shared.variables;
        if !variables.iter().any(|name| **name == *REQUEST_LINE) {
            variables.push(REQUEST_LINE.into());
        }
    }

    /// The id of a variable.
    ///
    /// # Errors
    /// Its name has no known scope.
    pub fn variable(&mut self, name: &str) -> Result<VarId, String> {
        let fine = name.split_once('.').is_some_and(|(scope, rest)| {
            matches!(scope, "proc" | "sess" | "txn" | "req" | "res")
                && !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
        });
        if !fine {
            return Err(format!(
                "{} is no variable; expected a scope (proc, sess, txn, req, res), a dot and a name, as `txn.user`",
                quoted(name.as_bytes())
            ));
        }
        if let Some(at) = self.shared.variables.iter().position(|known| **known == *name) {
            return Ok(VarId(at));
        }
        if self.shared.variables.len() == VARIABLES_MAX {
            return Err(format!("a configuration has at most {VARIABLES_MAX} variables"));
        }
        self.shared.variables.push(name.into());
        Ok(VarId(self.shared.variables.len() - 1))
    }

    /// The id of something that is named here.
    ///
    /// # Errors
    /// There are too many.
    pub fn reference(&mut self, kind: ReferenceKind, name: &str) -> Result<RefId, String> {
        let list = &mut self.shared.references;
        if let Some(at) = list.iter().position(|known| known.kind == kind && known.name == name) {
            return Ok(RefId(at));
        }
        if list.len() == REFERENCES_MAX {
            return Err("too many proxies are named".to_owned());
        }
        list.push(Reference { kind, name: name.to_owned(), spot: self.spot.clone() });
        Ok(RefId(list.len() - 1))
    }
}

/// Parses a whole word as an expression. With it comes the matching method of an ACL without `-m`.
///
/// # Errors
/// An unknown fetch or converter, bad arguments.
pub(crate) fn parse(reader: &mut Reader<'_>, word: &Word) -> Result<(Expr, Option<MatchKind>), Fault> {
    let text = word.text()?;
    let (parsed, rest) = parse_start(reader, text, word.span)?;
    match rest {
        "" => Ok(parsed),
        rest => Err(Fault::at(word.span, format_args!("{} after the expression", quoted(rest.as_bytes())))),
    }
}

/// Parses the expression at the start of a text, and gives back what follows it.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_start<'t>(
    reader: &mut Reader<'_>,
    text: &'t str,
    at: Span,
) -> Result<((Expr, Option<MatchKind>), &'t str), Fault> {
    let fault = |message: String| Fault::at(at, message);
    let (name, args, mut rest) = arguments::call(text).map_err(fault)?;
    let (fetch, mut kind) = fetch(reader, name, &args).map_err(fault)?;
    let mut converters = Vec::new();
    // What reads a number out of a text.
    if name.ends_with("_val") {
        converters.push(Converter::Arithmetic(Operation::Add, Operand::Int(0)));
    }
    // And an address: the whole of it.
    if name.ends_with("hdr_ip") {
        converters.push(Converter::IpMask(32, Some(128)));
    }
    while let Some(after) = rest.strip_prefix(',') {
        let (name, args, tail) = arguments::call(after).map_err(fault)?;
        if converters.len() == CONVERTERS_MAX {
            return Err(fault(format!("an expression has at most {CONVERTERS_MAX} converters")));
        }
        let (converter, output) = converter::make(reader, name, &args).map_err(fault)?;
        kind = output.or(kind);
        converters.push(converter);
        rest = tail;
    }
    let len = text.len() - rest.len();
    let text = text.get(..len).unwrap_or(text).into();
    Ok(((Expr { fetch, converters, text }, kind), rest))
}
