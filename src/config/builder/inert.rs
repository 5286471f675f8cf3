//! Keywords that are read and do nothing, or are refused: what is said of them.

use super::{Builder, Section, Statement, misplaced, name_words};
use crate::config::diagnostics::{Fault, Severity, Span, Spot};
use crate::config::keywords::groups::Group;
use crate::config::keywords::{Sections, Status};
use crate::config::lexer::Word;
use crate::config::model::Place;

impl Builder<'_> {
    /// A keyword of a group: its arguments are checked, and it is said what becomes of it.
    pub(super) fn grouped(
        &mut self,
        (name, group): (&'static str, &Group),
        words: &[Word],
        prefix: &str,
        place: &Place,
        line: &[u8],
    ) -> Result<(), Fault> {
        let (span, _, args) = name_words(words, name);
        let refused = matches!(group.status, Status::Refused(_));
        if !group.sections.meets(self.section.mask()) && !refused {
            let of_proxies = group.sections.meets(Sections::PROXIES);
            if !of_proxies || matches!(self.section, Section::Global | Section::Userlist) {
                return Err(Fault::at(span, misplaced(name, group.sections)));
            }
            let message = format!("no effect here: {}", misplaced(name, group.sections));
            self.sink.push(Severity::Warning, Spot::new(place, line, Some(span)), message);
            return Ok(());
        }
        if !prefix.is_empty() && !group.takes_no(name) {
            return Err(Fault::at(span, format_args!("`{prefix}` cannot stand before `{name}`")));
        }
        self.tell(name, group.status, place, line, span, !prefix.is_empty())?;
        if prefix.is_empty() { group.takes.check(name, span, args) } else { Ok(()) }
    }

    /// Says what becomes of a keyword that does not work. A second line of the same is a detail.
    ///
    /// # Errors
    /// It is refused.
    pub fn tell(
        &mut self,
        name: &'static str,
        status: Status,
        place: &Place,
        line: &[u8],
        span: Span,
        negated: bool,
    ) -> Result<(), Fault> {
        let (message, severity) = match status {
            Status::Works => return Ok(()),
            Status::Refused(why) => return Err(Fault::at(span, format_args!("`{name}` is refused: {why}"))),
            // What is taken back may well do nothing.
            Status::NotYet(_) if negated => return Ok(()),
            Status::NotYet(what) => (format!("`{name}` is not active yet: {what}"), Severity::Warning),
            Status::AcceptedIgnored(why) => (format!("`{name}` is ignored: {why}"), Severity::Warning),
            Status::Silent(why) => (format!("`{name}` changes nothing here: {why}"), Severity::Detail),
        };
        let again = self.told.contains(&name);
        if !again {
            self.told.push(name);
        }
        let severity = if again { Severity::Detail } else { severity };
        self.sink.push(severity, Spot::new(place, line, Some(span)), message);
        Ok(())
    }

    /// The same for parameters of a line.
    ///
    /// # Errors
    /// One of them is refused.
    pub fn tell_set_aside(
        &mut self,
        st: &Statement<'_>,
        set_aside: &[(&'static str, Span, Status)],
    ) -> Result<(), Fault> {
        set_aside
            .iter()
            .try_for_each(|&(name, span, status)| self.tell(name, status, st.place, st.line, span, false))
    }
}
