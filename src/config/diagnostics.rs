//! What the loader has to say about a text: every message with its place, its line and the word it is about.

use super::model::Place;
use std::fmt;

/// How many of each severity are kept; the rest is only counted.
pub const DIAGNOSTICS_MAX: usize = 100;

/// Characters of a line that a message shows.
const SHOWN_CHARS_MAX: usize = 120;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but something is not as it was written or probably not as it was meant.
    Warning,
    /// Something the text itself wants to be said (`.notice`), or background to other messages.
    Note,
    /// For those who want to know everything (`-V`): keywords that mean nothing here.
    Detail,
}

/// One message about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// File and line. Line 0: about the whole file or the whole configuration.
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, what was expected.
    pub message: String,
    /// The line, with control characters replaced; empty where the message is about no one line.
    pub line_text: String,
    /// First character of the word it is about, from 1; 0 = the whole line.
    pub column: u32,
    /// Length of that word in characters.
    pub width: u32,
}

/// `file:line: error: message`, then the line, then a caret under the word.
impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.file.is_empty() {
            out.write_str(&self.place.file)?;
            if self.place.line > 0 {
                write!(out, ":{}", self.place.line)?;
            }
            out.write_str(": ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note | Severity::Detail => "note",
        };
        write!(out, "{severity}: {}", self.message)?;
        if self.line_text.is_empty() {
            return Ok(());
        }
        // A long line is shown from a little before the word.
        let column = self.column as usize;
        let skipped = column.saturating_sub(SHOWN_CHARS_MAX / 2);
        out.write_str("\n    ")?;
        for shown in self.line_text.chars().skip(skipped).take(SHOWN_CHARS_MAX) {
            write!(out, "{shown}")?;
        }
        if column > 0 {
            out.write_str("\n    ")?;
            for _ in 1..column - skipped {
                out.write_str(" ")?;
            }
            let room = SHOWN_CHARS_MAX.saturating_sub(column - skipped) + 1;
            for _ in 0..(self.width as usize).clamp(1, room.max(1)) {
                out.write_str("^")?;
            }
        }
        Ok(())
    }
}

/// A piece of a line, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

/// What the text of a [`Fault`] is made from. `format_args!` is a little less code than `format!` wherever it stands.
pub(crate) trait Message {
    /// The text.
    fn text(self) -> String;
}

impl Message for &str {
    fn text(self) -> String {
        self.to_owned()
    }
}

impl Message for String {
    fn text(self) -> String {
        self
    }
}

impl Message for fmt::Arguments<'_> {
    fn text(self) -> String {
        fmt::format(self)
    }
}

/// Why a statement could not be taken: the message and the word it is about (`None` = the whole line).
///
/// In a box: most of what reads a configuration returns one or nothing, and hands it on many times. One word instead of
/// six is some 10 % of that code.
#[derive(Debug)]
pub(crate) struct Fault(Box<(Option<Span>, String)>);

impl Fault {
    /// About one word.
    #[cold]
    pub fn at(span: Span, message: impl Message) -> Self {
        Self::of(Some(span), message.text())
    }

    /// About the line as a whole.
    #[cold]
    pub fn line(message: impl Message) -> Self {
        Self::of(None, message.text())
    }

    /// About a word, or the line.
    #[cold]
    #[inline(never)]
    pub fn of(span: Option<Span>, message: String) -> Self {
        Self(Box::new((span, message)))
    }

    /// The word.
    pub fn span(&self) -> Option<Span> {
        self.0.0
    }

    /// What is wrong.
    pub fn into_message(self) -> String {
        self.0.1
    }
}

/// A place that a later check may point at: everything a [`Diagnostic`] needs but the message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spot {
    pub place: Place,
    pub line_text: String,
    pub column: u32,
    pub width: u32,
}

impl Spot {
    /// The word at `span` of `line`, or the whole line.
    pub fn new(place: &Place, line: &[u8], span: Option<Span>) -> Self {
        let chars = |bytes: Option<&[u8]>| bytes.map_or(0, |b| String::from_utf8_lossy(b).chars().count());
        let (column, width) = match span {
            Some(span) => (chars(line.get(..span.start)) + 1, chars(line.get(span.start..span.end))),
            None => (0, 0),
        };
        Self {
            place: place.clone(),
            line_text: printable(line),
            column: u32::try_from(column).unwrap_or(0),
            width: u32::try_from(width).unwrap_or(1),
        }
    }
}

/// Collects messages, bounded.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    list: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    notes: usize,
    details: usize,
}

impl Sink {
    /// Notes one message.
    pub fn push(&mut self, severity: Severity, spot: Spot, message: impl Into<String>) {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
            Severity::Note => &mut self.notes,
            Severity::Detail => &mut self.details,
        };
        *count += 1;
        if *count > DIAGNOSTICS_MAX {
            return;
        }
        let Spot { place, line_text, column, width } = spot;
        self.list.push(Diagnostic { place, severity, message: message.into(), line_text, column, width });
    }

    /// Whether there was any error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there was any warning.
    pub fn has_warnings(&self) -> bool {
        self.warnings > 0
    }

    /// Whether further errors would not be shown.
    pub fn is_full(&self) -> bool {
        self.errors > DIAGNOSTICS_MAX
    }

    /// The messages in the order they were found, with a count of those left out.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        if self.errors.max(self.warnings).max(self.notes) > DIAGNOSTICS_MAX {
            let spot = Spot::default();
            let message = format!("only the first {DIAGNOSTICS_MAX} errors and warnings are shown");
            let Spot { place, line_text, column, width } = spot;
            self.list.push(Diagnostic { place, severity: Severity::Note, message, line_text, column, width });
        }
        self.list
    }
}

/// Text from a file, safe to print: control characters become a blank or `?`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

/// A word for use inside a message: printable, quoted, shortened.
pub(crate) fn quoted(bytes: &[u8]) -> Quoted<'_> {
    Quoted(bytes)
}

/// What [`quoted`] shows.
pub(crate) struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX: usize = 60;
        let text = printable(self.0);
        let end = text.char_indices().nth(MAX).map_or(text.len(), |(at, _)| at);
        let (short, rest) = text.split_at(end);
        write!(f, "`{short}{}`", if rest.is_empty() { "" } else { "…" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { file: "a.cfg".into(), line: 7 }
    }

    #[test]
    fn caret_stands_under_the_word() {
        let mut sink = Sink::default();
        let spot = Spot::new(&place(), b"\tmode  htp", Some(Span { start: 7, end: 10 }));
        sink.push(Severity::Error, spot, "no mode `htp`");
        assert!(sink.has_errors());
        let list = sink.finish();
        assert_eq!(list[0].to_string(), "a.cfg:7: error: no mode `htp`\n     mode  htp\n           ^^^");
    }

    #[test]
    fn long_lines_are_shown_around_the_word() {
        let mut line = vec![b'x'; 1_000];
        line[900] = b'y';
        let spot = Spot::new(&place(), &line, Some(Span { start: 900, end: 901 }));
        let mut sink = Sink::default();
        sink.push(Severity::Warning, spot, "here");
        let text = sink.finish()[0].to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].len() < 140);
        assert_eq!(lines[1].find('y'), lines[2].find('^'));
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable(b"a\x1b[31m\tb"), "a?[31m b");
        assert!(quoted(&[b'z'; 500]).to_string().len() < 70);
    }

    #[test]
    fn messages_are_bounded() {
        let mut sink = Sink::default();
        for _ in 0..DIAGNOSTICS_MAX + 5 {
            sink.push(Severity::Error, Spot::default(), "e");
        }
        let list = sink.finish();
        assert_eq!(list.len(), DIAGNOSTICS_MAX + 1);
        assert!(list[DIAGNOSTICS_MAX].message.starts_with("only the first"));
    }
}
