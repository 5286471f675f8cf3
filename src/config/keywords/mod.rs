//! THE keyword table: each keyword is one entry that carries its name, where it may stand, its arguments, its
//! help, its state and its parser. Parsing, "allowed only in …", "did you mean …" and `docs/keywords.md` all
//! come from it. To add a keyword, add an entry to the file of its topic (and take its name out of `known.rs`).

mod balance;
pub(crate) mod bind;
mod checks;
mod connection;
mod errors;
mod expect;
pub(crate) mod global;
pub(crate) mod groups;
mod http_actions;
mod http_rules;
pub(crate) mod known;
pub(crate) mod lines;
mod logs;
#[cfg(test)]
mod markdown;
mod old_rules;
mod options;
mod persistence;
mod privileges;
mod process;
mod proxy;
mod queues;
mod replies;
mod rules;
mod scripts;
pub(crate) mod server;
pub(crate) mod states;
pub(crate) mod stick;
mod takes;
mod tcp_lint;
mod timeouts;
mod users;
mod words;

pub(crate) use proxy::BIND;
pub(crate) use tcp_lint::looks_at_bytes;

use super::builder::{Builder, Statement};
use super::diagnostics::{Fault, Span};
use super::lexer::Word;
use super::suggest::Search;
use std::slice;

/// A set of section kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sections(u8);

impl Sections {
    pub const GLOBAL: Self = Self(1);
    pub const DEFAULTS: Self = Self(2);
    pub const FRONTEND: Self = Self(4);
    pub const LISTEN: Self = Self(8);
    pub const BACKEND: Self = Self(16);
    pub const USERLIST: Self = Self(64);
    pub const HTTP_ERRORS: Self = Self(128);
    /// Everything with a client side.
    pub const CLIENT_SIDE: Self = Self(2 | 4 | 8);
    /// Everything with a server side.
    pub const SERVER_SIDE: Self = Self(2 | 8 | 16);
    /// Every proxy section and `defaults`.
    pub const PROXIES: Self = Self(2 | 4 | 8 | 16);

    /// Both sets.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a section in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// `frontend, listen and backend`.
    pub fn names(self) -> String {
        let all = [
            (Self::GLOBAL, "global"),
            (Self::DEFAULTS, "defaults"),
            (Self::FRONTEND, "frontend"),
            (Self::LISTEN, "listen"),
            (Self::BACKEND, "backend"),
            (Self::USERLIST, "userlist"),
            (Self::HTTP_ERRORS, "http-errors"),
        ];
        let mut text = String::new();
        let mut left = self.0;
        for (section, name) in all {
            if left & section.0 != 0 {
                left &= !section.0;
                let between = if left == 0 { " and " } else { ", " };
                text.push_str(if text.is_empty() { "" } else { between });
                text.push_str(name);
            }
        }
        text
    }
}

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It works.
    Works,
    /// It is checked and then ignored, with a warning: why that does no harm.
    AcceptedIgnored(&'static str),
    /// It is ignored, which is said only to those who want to know everything (`-V`): why.
    Silent(&'static str),
    /// It is an error: why.
    Refused(&'static str),
    /// It is accepted with a warning: what is not active.
    NotYet(&'static str),
}

/// One entry of a table; `F` is the type of its parser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<F> {
    /// The keyword, its words separated by one blank.
    pub name: &'static str,
    /// Where it may stand. Not used for parameters of `bind` and `server` lines.
    pub sections: Sections,
    /// In other proxy sections it only has no effect, which is a warning and no error.
    pub lenient: bool,
    /// Whether `no` may stand before it.
    pub no: bool,
    /// Its arguments.
    pub args: &'static str,
    /// What it does, in one line. Only the page of keywords shows it, and a test writes that: no binary carries it.
    #[cfg(test)]
    pub help: &'static str,
    /// The HAProxy branch that has it; `1.3` = that or an earlier one. As with the help.
    #[cfg(test)]
    pub since: &'static str,
    /// What becomes of it.
    pub status: Status,
    /// An old spelling: what to write instead.
    pub instead: Option<&'static str>,
    /// Its parser.
    pub parse: F,
}

/// Parses a statement into the builder.
pub(crate) type Parse = fn(&mut Builder<'_>, &Statement<'_>) -> Result<(), Fault>;
/// Parses one parameter of a line into what is being made of it.
type ParameterParse<T> = fn(&mut T, &Word) -> Result<(), Fault>;

/// A parameter that was read and does nothing: its name, where it stands, why.
type SetAside = (&'static str, Span, Status);

/// Reads the parameters of a `bind` or `server` line into `target`, and returns those of `groups`; `unknown` says what
/// is wrong with a word that neither has.
fn parameters<T>(
    tables: &[&[Entry<ParameterParse<T>>]],
    groups: &'static [groups::Parameters],
    words: &[Word],
    target: &mut T,
    unknown: fn(&Word, &str) -> Fault,
) -> Result<Vec<SetAside>, Fault> {
    let mut set_aside = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text()?;
        match tables.iter().copied().flatten().find(|entry| entry.name == text) {
            Some(entry) => (entry.parse)(target, argument(entry.args, word, &mut words)?)?,
            None => {
                set_aside.push(idle(groups, word, &mut words).unwrap_or_else(|| Err(unknown(word, text)))?)
            }
        }
    }
    Ok(set_aside)
}

/// The value of a parameter, or its own word where it takes none.
fn argument<'w>(args: &str, word: &'w Word, words: &mut slice::Iter<'w, Word>) -> Result<&'w Word, Fault> {
    if args.is_empty() {
        return Ok(word);
    }
    words.next().ok_or_else(|| Fault::at(word.span, format_args!("{} needs a value: {args}", word.quoted())))
}

/// A parameter that does nothing, if it is one.
fn idle(
    groups: &'static [groups::Parameters],
    word: &Word,
    words: &mut slice::Iter<'_, Word>,
) -> Option<Result<SetAside, Fault>> {
    let (name, group) = groups::parameter(groups, word.as_str())?;
    if group.value && words.next().is_none() {
        return Some(Err(word.wrong(" needs a value")));
    }
    Some(Ok((name, word.span, group.status)))
}

/// What is wrong with a parameter of a `kind` line that nobody knows, or that HAProxy alone has, as `known` says;
/// `ours` is the nearest of those that are built.
fn unknown_parameter(word: &Word, kind: &str, known: &'static str, mut ours: Search<'_, 'static>) -> Fault {
    let text = word.quoted();
    if listed(known, word.as_str()) {
        let message = format_args!("HAProxy has the {kind} parameter {text}, oneport has not built it yet");
        return Fault::at(word.span, message);
    }
    known.split('|').for_each(|name| ours.add(name));
    Fault::at(word.span, format_args!("unknown {kind} parameter {text}{}", ours.hint()))
}

/// A keyword of a section.
pub(crate) type Keyword = Entry<Parse>;

impl<F: Copy> Entry<F> {
    /// An entry that works.
    pub const fn new(
        name: &'static str,
        sections: Sections,
        since: &'static str,
        args: &'static str,
        help: &'static str,
        parse: F,
    ) -> Self {
        #[cfg(not(test))]
        let _ = (since, help);
        Self {
            name,
            sections,
            lenient: false,
            no: false,
            args,
            #[cfg(test)]
            help,
            #[cfg(test)]
            since,
            status: Status::Works,
            instead: None,
            parse,
        }
    }

    /// `no` may stand before it.
    pub const fn with_no(mut self) -> Self {
        self.no = true;
        self
    }

    /// In other proxy sections it has no effect.
    pub const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Another state than [`Status::Works`].
    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// It is the old spelling of another.
    pub const fn instead(mut self, name: &'static str) -> Self {
        self.instead = Some(name);
        self
    }
}

/// The tables of section keywords, by topic.
const TOPICS: &[(&str, &[Keyword])] = &[
    ("Process (`global`)", global::TABLE),
    ("Process, its start and its end (`global`)", process::TABLE),
    ("Privileges (`global`)", privileges::TABLE),
    ("Proxies", proxy::TABLE),
    ("Balance", balance::TABLE),
    ("Connections", connection::TABLE),
    ("Rules", rules::TABLE),
    ("Rules for HTTP", http_rules::TABLE),
    ("Rules for lines of heads", old_rules::TABLE),
    ("Stick tables", stick::TABLE),
    ("Errors and monitoring", errors::TABLE),
    ("Timeouts", timeouts::TABLE),
    ("Queues and retries", queues::TABLE),
    ("Options", options::TABLE),
    ("Health checks", checks::TABLE),
    ("Logs", logs::TABLE),
    ("Users (`userlist`)", users::TABLE),
    ("Session lines", lines::TABLE),
    ("Persistence", persistence::TABLE),
];

/// Most words of a keyword.
const NAME_WORDS_MAX: usize = 3;

/// What the words at the start of a line name.
pub(crate) enum Found {
    /// One of ours.
    Ours(&'static Keyword),
    /// One of many for which the same holds.
    Grouped(&'static str, &'static groups::Group),
    /// One that HAProxy knows and oneport does not: where HAProxy allows it.
    Known(&'static str, Sections),
    /// Nothing known.
    Unknown,
}

/// Every section keyword, sorted by name; made once a load.
pub(crate) struct Index(Vec<&'static Keyword>);

impl Index {
    /// Sorts the tables.
    pub fn new() -> Self {
        let mut all: Vec<&'static Keyword> = TOPICS.iter().flat_map(|(_, table)| table.iter()).collect();
        all.sort_by_key(|keyword| keyword.name);
        Self(all)
    }

    /// The keyword with the most words that these words begin with, preferring one allowed in `section`: a
    /// name may stand for different things in `global` and in proxies.
    pub fn find(&self, words: &[Word], section: Sections) -> Found {
        let mut misplaced = None;
        let names = names(words);
        for name in &names {
            let from = self.0.partition_point(|keyword| keyword.name < name.as_str());
            let same = || self.0.iter().skip(from).take_while(|keyword| keyword.name == name.as_str());
            if let Some(keyword) = same().find(|k| k.sections.meets(section)) {
                return Found::Ours(keyword);
            }
            // Of those that may not stand here, one that would only have no effect.
            let elsewhere = || same().find(|k| k.lenient).or_else(|| same().next());
            misplaced = misplaced.or_else(elsewhere);
        }
        // Only now, since these lists are not sorted. What HAProxy allows here comes before what we have elsewhere.
        let grouped = names.iter().find_map(|name| groups::find(name, section));
        if let Some((name, group)) = grouped
            && (group.sections.meets(section) || misplaced.is_none())
        {
            return Found::Grouped(name, group);
        }
        let known = names.iter().find_map(|name| known_keyword(name, section));
        match (known, misplaced) {
            (Some((name, sections)), _) if sections.meets(section) => Found::Known(name, sections),
            (_, Some(keyword)) => Found::Ours(keyword),
            (Some((name, sections)), None) => Found::Known(name, sections),
            (None, None) => Found::Unknown,
        }
    }

    /// "; did you mean …?" for words that name nothing: first among what may stand in `section`.
    pub fn hint(&self, words: &[Word], section: Sections) -> String {
        // A name of one word is compared with the first word, one of two words with the first two, …
        for (shorter, name) in names(words).iter().enumerate() {
            let len = words.len().min(NAME_WORDS_MAX) - shorter;
            let mut search = Search::new(name);
            let mut add = |sections: Sections, names: &'static str| {
                if sections.meets(section) {
                    let same_len = |n: &&str| n.split(' ').count() == len;
                    names.split('|').filter(same_len).for_each(|name| search.add(name));
                }
            };
            for keyword in &self.0 {
                add(keyword.sections, keyword.name);
            }
            for (sections, names) in known::KEYWORDS {
                add(*sections, names);
            }
            for group in groups::GROUPS {
                add(group.sections, group.names);
            }
            let hint = search.hint();
            if !hint.is_empty() {
                return hint;
            }
        }
        String::new()
    }
}

/// Whether a list of names separated by `|` has this one.
pub(crate) fn listed(list: &'static str, name: &str) -> bool {
    entry_of(list, name).is_some()
}

/// This name, as such a list has it.
#[inline(never)]
fn entry_of(list: &'static str, name: &str) -> Option<&'static str> {
    list.split('|').find(|one| *one == name)
}

fn known_keyword(name: &str, section: Sections) -> Option<(&'static str, Sections)> {
    let mut found = None;
    for (sections, names) in known::KEYWORDS {
        let Some(one) = entry_of(names, name) else { continue };
        if sections.meets(section) {
            return Some((one, *sections));
        }
        found = found.or(Some((one, *sections)));
    }
    found
}

/// What the words at the start of a line may be the name of: as many as a name can have, then fewer.
fn names(words: &[Word]) -> Vec<String> {
    let mut names = Vec::with_capacity(NAME_WORDS_MAX);
    let mut name = String::new();
    for word in words.iter().take(NAME_WORDS_MAX) {
        name.push_str(&String::from_utf8_lossy(&word.bytes));
        names.insert(0, name.clone());
        name.push(' ');
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_is_entered_twice() {
        let index = Index::new();
        for pair in index.0.windows(2) {
            let same = pair[0].name == pair[1].name && pair[0].sections.meets(pair[1].sections);
            assert!(!same, "{}", pair[0].name);
        }
        for keyword in &index.0 {
            assert!(keyword.name.split(' ').count() <= NAME_WORDS_MAX, "{}", keyword.name);
            assert!(!keyword.help.is_empty() && !keyword.since.is_empty(), "{}", keyword.name);
            let grouped = groups::find(keyword.name, keyword.sections);
            let both = grouped.is_some_and(|(_, group)| group.sections.meets(keyword.sections));
            assert!(!both, "{} is built: take it out of groups.rs", keyword.name);
            let known = known_keyword(keyword.name, keyword.sections);
            let both = known.is_some_and(|(_, sections)| sections.meets(keyword.sections));
            assert!(!both, "{} is built: take it out of known.rs", keyword.name);
        }
    }

    #[test]
    fn each_name_stands_in_one_list() {
        for group in groups::GROUPS {
            for name in group.names.split('|') {
                assert!(name.split(' ').count() <= NAME_WORDS_MAX && !name.is_empty(), "{name}");
                let others = groups::GROUPS
                    .iter()
                    .filter(|other| other.sections.meets(group.sections) && listed(other.names, name));
                assert_eq!(others.count(), 1, "{name}");
                let known = known_keyword(name, group.sections);
                assert!(!known.is_some_and(|(_, sections)| sections.meets(group.sections)), "{name}");
            }
        }
        for (groups, known, table) in [
            (groups::BIND, known::BIND, bind::PARAMETERS.iter().map(|e| e.name).collect::<Vec<_>>()),
            (groups::SERVERS, "", server::all().map(|e| e.name).collect()),
        ] {
            let all: Vec<&str> = groups
                .iter()
                .flat_map(|group| group.names.split('|'))
                .chain(known.split('|'))
                .chain(table)
                .collect();
            for name in &all {
                assert_eq!(all.iter().filter(|other| *other == name).count(), 1, "{name}");
            }
        }
    }

    #[test]
    fn sections_are_named() {
        assert_eq!(Sections::GLOBAL.names(), "global");
        assert_eq!(Sections::SERVER_SIDE.names(), "defaults, listen and backend");
    }
}
