//! Runs over the lines: opens sections, finds each statement's keyword, lets its parser work.

mod directives;
mod headings;
mod inert;
mod statement;
mod templates;

use super::blocks::{Blocks, Directive};
use super::diagnostics::{Fault, Severity, Sink, Span, Spot, quoted};
use super::draft::{AclTable, Proxy, ProxyKind, Settings};
use super::environment::Environment;
use super::keywords::bind::UnixBind;
use super::keywords::groups;
use super::keywords::{Found, Index, Sections, known, listed};
use super::lexer::{self, Env, Word};
use super::model::{Global, Place};
use super::sample::{Reader, Shared};
use super::source::Source;
use super::userlist::{self, UserList};
use super::{lint, suggest};
pub(crate) use statement::Statement;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Sections that are built.
const SECTION_NAMES: [&str; 7] =
    ["global", "defaults", "frontend", "backend", "listen", "userlist", "http-errors"];
/// Most proxies of a configuration.
const PROXIES_MAX: usize = 65_536;

/// Whole answers by status.
pub(crate) type WholeAnswers = Vec<(u16, Rc<[u8]>)>;

/// The section the current line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Before the first one.
    None,
    Global,
    Defaults,
    /// The last of `proxies`.
    Proxy(ProxyKind),
    /// The draft in `users`.
    Userlist,
    /// The last of `error_sections`.
    HttpErrors,
    /// One that could not be opened: its lines are not looked at.
    Skipped,
}

impl Section {
    fn mask(self) -> Sections {
        match self {
            Self::Global | Self::None | Self::Skipped => Sections::GLOBAL,
            Self::Defaults => Sections::DEFAULTS,
            Self::Userlist => Sections::USERLIST,
            Self::HttpErrors => Sections::HTTP_ERRORS,
            Self::Proxy(ProxyKind::Frontend) => Sections::FRONTEND,
            Self::Proxy(ProxyKind::Listen) => Sections::LISTEN,
            Self::Proxy(ProxyKind::Backend) => Sections::BACKEND,
        }
    }
}

/// What the texts have added up to so far.
pub(crate) struct Builder<'a> {
    /// Looks up environment variables, as the text has changed them.
    pub env: Env<'a>,
    /// The same, to be changed.
    pub environment: &'a Environment<'a>,
    /// The messages.
    pub sink: Sink,
    /// The `global` sections, merged.
    pub global: Global,
    /// The proxies in file order.
    pub proxies: Vec<Proxy>,
    /// The current or last `defaults` section.
    pub defaults: Settings,
    /// Index of each name in `finished_defaults`; the last of a name counts.
    named_defaults: BTreeMap<String, usize>,
    finished_defaults: Vec<Settings>,
    defaults_name: Option<String>,
    /// Rules of `defaults` sections, by the number in their settings.
    templates: Vec<templates::Template>,
    /// Where those of the current one are tried.
    draft: Option<Box<Proxy>>,
    drafting: bool,
    /// Lines of a `defaults` section are read again.
    replaying: bool,
    section: Section,
    section_name: String,
    /// First proxy of each name, by side.
    names: [BTreeMap<String, usize>; 2],
    /// The finished user lists.
    pub userlists: Vec<UserList>,
    users: userlist::Draft,
    /// `http-errors` sections: name, answers by status.
    pub error_sections: Vec<(String, WholeAnswers)>,
    blocks: Blocks,
    /// Keywords of which was said that they do nothing (yet).
    told: Vec<&'static str>,
    index: Index,
    /// Names in expressions, resolved at the end.
    pub shared: Shared,
    /// What is common to unix sockets.
    pub unix_bind: UnixBind,
}

impl<'a> Builder<'a> {
    /// An empty one; `env` asks `environment`.
    pub fn new(env: Env<'a>, environment: &'a Environment<'a>) -> Self {
        Self {
            env,
            environment,
            sink: Sink::default(),
            global: Global::default(),
            proxies: Vec::new(),
            defaults: Settings::default(),
            named_defaults: BTreeMap::new(),
            finished_defaults: Vec::new(),
            defaults_name: None,
            templates: Vec::new(),
            draft: None,
            drafting: false,
            replaying: false,
            section: Section::None,
            section_name: String::new(),
            names: [BTreeMap::new(), BTreeMap::new()],
            userlists: Vec::new(),
            users: userlist::Draft::default(),
            error_sections: Vec::new(),
            blocks: Blocks::default(),
            told: Vec::new(),
            index: Index::new(),
            shared: Shared::default(),
            unix_bind: UnixBind::default(),
        }
    }

    /// Takes every line of a text. Sections end with their file.
    pub fn read(&mut self, source: &Source) {
        self.shared.files.source = source.name.clone();
        self.close_section();
        for (number, line) in lexer::lines(&source.text).enumerate() {
            // A file that is no configuration need not be read to its end.
            if self.sink.is_full() {
                break;
            }
            let line_number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let place = Place { file: source.name.clone(), line: line_number };
            if let Err(fault) = self.line(&place, line) {
                self.sink.push(Severity::Error, Spot::new(&place, line, fault.span()), fault.into_message());
            }
        }
        for opened in self.blocks.end() {
            self.sink.push(Severity::Error, opened, "this `.if` has no `.endif` in its file");
        }
        self.close_section();
    }

    /// The backends' or frontends' names, for the final resolution.
    #[allow(clippy::indexing_slicing, reason = "a bool, of two sides")]
    pub fn proxy_named(&self, server_side: bool, name: &str) -> Option<usize> {
        self.names[usize::from(server_side)].get(name).copied()
    }

    /// `; did you mean …?` with the name of a proxy of that side, or nothing.
    #[allow(clippy::indexing_slicing, reason = "a bool, of two sides")]
    pub fn hint_of_proxies(&self, server_side: bool, name: &str) -> String {
        suggest::hint(name, self.names[usize::from(server_side)].keys().map(String::as_str))
    }

    /// Backends in the order of their names, as indexes into `proxies`.
    pub fn named_backends(&self) -> impl Iterator<Item = usize> {
        let [_, backends] = &self.names;
        backends.values().copied()
    }

    /// What the current section can inherit or have inherited.
    ///
    /// # Errors
    /// There is no such section; the keyword table keeps parsers from getting here.
    pub fn settings(&mut self) -> Result<&mut Settings, Fault> {
        if self.section == Section::Defaults {
            return Ok(&mut self.defaults);
        }
        self.proxy().map(|proxy| &mut proxy.settings)
    }

    /// The current proxy.
    ///
    /// # Errors
    /// There is none; the keyword table keeps parsers from getting here.
    pub fn proxy(&mut self) -> Result<&mut Proxy, Fault> {
        match (self.section, self.proxies.last_mut(), self.draft.as_deref_mut()) {
            (Section::Proxy(_), Some(proxy), _) => Ok(proxy),
            (Section::Defaults, _, Some(proxy)) if self.drafting => Ok(proxy),
            _ => Err(Fault::line("this keyword belongs into a frontend, listen or backend section")),
        }
    }

    /// The ACLs of the current proxy, and what reading an expression needs; `spot` is where the word stands.
    ///
    /// # Errors
    /// As [`Builder::proxy`].
    pub fn terms<'b>(&'b mut self, spot: &'b Spot) -> Result<(&'b mut AclTable, Reader<'b>), Fault> {
        let proxy = match (self.section, self.proxies.last_mut(), self.draft.as_deref_mut()) {
            (Section::Proxy(_), Some(proxy), _) => proxy,
            (Section::Defaults, _, Some(proxy)) if self.drafting => proxy,
            _ => return Err(Fault::line("this keyword belongs into a frontend, listen or backend section")),
        };
        Ok((&mut proxy.acls, Reader { shared: &mut self.shared, spot, env: self.env }))
    }

    /// The current user list.
    ///
    /// # Errors
    /// There is none; the keyword table keeps parsers from getting here.
    pub fn user_list(&mut self) -> Result<&mut userlist::Draft, Fault> {
        match self.section {
            Section::Userlist => Ok(&mut self.users),
            _ => Err(Fault::line("this keyword belongs into a userlist section")),
        }
    }

    /// The answers of the current `http-errors` section, where this is one.
    pub fn error_section(&mut self) -> Option<&mut WholeAnswers> {
        match self.section {
            Section::HttpErrors => self.error_sections.last_mut().map(|(_, pages)| pages),
            _ => None,
        }
    }

    /// What reading an expression needs where no ACLs are; `spot` is where the word stands.
    pub fn reader<'b>(&'b mut self, spot: &'b Spot) -> Reader<'b> {
        Reader { shared: &mut self.shared, spot, env: self.env }
    }

    /// A place in a statement, for later messages.
    pub fn spot(&self, st: &Statement<'_>, span: Option<Span>) -> Spot {
        Spot::new(st.place, st.line, span)
    }

    /// Notes a warning about a statement.
    pub fn warn(&mut self, st: &Statement<'_>, span: Option<Span>, message: impl Into<String>) {
        if self.replaying {
            return;
        }
        let spot = Spot::new(st.place, st.line, Some(span.unwrap_or(st.name_span())));
        self.sink.push(Severity::Warning, spot, message);
    }

    fn line(&mut self, place: &Place, line: &[u8]) -> Result<(), Fault> {
        let (span, first) = lexer::first_word(line);
        if let Some(directive) = Directive::of(first) {
            return self.block(directive, span, place, line);
        }
        if self.blocks.are_skipping() {
            return Ok(());
        }
        let words = match self.words(place, line) {
            Ok(words) => words,
            // What does not concern us is not complained about twice.
            Err(_) if self.section == Section::Skipped => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let Some(first) = words.first() else { return Ok(()) };
        let text = String::from_utf8_lossy(&first.bytes).into_owned();
        if SECTION_NAMES.contains(&text.as_str()) {
            self.close_section();
            // Until it is opened, so that a faulty heading does not give its lines to the section before.
            self.section = Section::Skipped;
            return self.open_section(&text, &words, place, line);
        }
        if words.len() <= 3 && listed(known::SECTIONS, &text) && !self.is_keyword(&words) {
            self.close_section();
            self.section = Section::Skipped;
            return Err(Fault::at(
                first.span,
                format_args!("HAProxy has the section `{text}`, oneport has not built it yet"),
            ));
        }
        if text.starts_with('.') {
            return self.message(&text, &words, place, line);
        }
        let passed_over = groups::SECTIONS.iter().find(|(_, name)| *name == text);
        if let Some((status, name)) = passed_over.filter(|_| !self.is_keyword(&words)) {
            self.close_section();
            self.section = Section::Skipped;
            return self.tell(name, *status, place, line, first.span, false);
        }
        if self.section == Section::Skipped {
            return Ok(());
        }
        if self.section == Section::None {
            let hint = suggest::hint(&text, SECTION_NAMES.into_iter());
            return Err(Fault::at(
                first.span,
                format_args!("{} stands before the first section{hint}", first.quoted()),
            ));
        }
        self.statement(&words, place, line)
    }

    /// The words of a line, variables expanded.
    fn words(&self, place: &Place, line: &[u8]) -> Result<Vec<Word>, Fault> {
        let section = self.section_name.as_str();
        let outer = self.env;
        let env = move |name: &str| match name {
            ".FILE" => Some(place.file.to_string()),
            ".LINE" => Some(place.line.to_string()),
            ".SECTION" => Some(section.to_owned()),
            _ => outer(name),
        };
        lexer::split(line, &env)
    }

    /// Whether these words begin with a keyword of the current section (`program`, `ring`, … could be both).
    fn is_keyword(&self, words: &[Word]) -> bool {
        matches!(self.section, Section::Proxy(_) | Section::Defaults | Section::Global)
            && !matches!(self.index.find(words, self.section.mask()), Found::Unknown)
    }

    fn statement(&mut self, words: &[Word], place: &Place, line: &[u8]) -> Result<(), Fault> {
        let [first, rest @ ..] = words else { return Ok(()) };
        let to_default = first.is("default") && !rest.is_empty();
        let negated = to_default || first.is("no") && !rest.is_empty();
        let words = if negated { rest } else { words };
        let section = self.section.mask();
        let keyword = match self.index.find(words, section) {
            Found::Ours(keyword) => keyword,
            Found::Grouped(name, group) => {
                let prefix = match (to_default, negated) {
                    (true, _) => "default",
                    (_, true) => "no",
                    _ => "",
                };
                return self.grouped((name, group), words, prefix, place, line);
            }
            Found::Known(name, sections) if sections.meets(section) => {
                let span = name_words(words, name).0;
                return Err(Fault::at(
                    span,
                    format_args!("HAProxy has the keyword `{name}`, oneport has not built it yet"),
                ));
            }
            Found::Known(name, sections) => {
                let span = name_words(words, name).0;
                return Err(Fault::at(span, misplaced(name, sections)));
            }
            Found::Unknown => return Err(self.unknown(words)),
        };
        let (_, name, args) = name_words(words, keyword.name);
        let st = Statement { keyword, negated, to_default, place, line, name, args };
        self.run(&st)
    }

    /// Lets a statement's parser work, if its table entry allows that here.
    fn run(&mut self, st: &Statement<'_>) -> Result<(), Fault> {
        let keyword = st.keyword;
        if !keyword.sections.meets(self.section.mask()) {
            if keyword.lenient
                && !matches!(self.section, Section::Global | Section::Userlist | Section::HttpErrors)
            {
                self.warn(st, None, format!("no effect here: {}", misplaced(keyword.name, keyword.sections)));
                return Ok(());
            }
            return Err(Fault::at(st.name_span(), misplaced(keyword.name, keyword.sections)));
        }
        if st.negated && !keyword.no {
            let prefix = if st.to_default { "default" } else { "no" };
            let message = format!("`{prefix}` cannot stand before `{}`", keyword.name);
            return Err(Fault::at(st.name_span(), message));
        }
        self.tell(keyword.name, keyword.status, st.place, st.line, st.name_span(), st.negated)?;
        if let Some(new) = keyword.instead {
            self.warn(st, None, format!("`{}` is the old spelling of `{new}`", keyword.name));
        }
        if !st.negated && lint::is_http_only(keyword.name) {
            let spot = self.spot(st, Some(st.name_span()));
            // A `defaults` section is for proxies of both modes.
            if let Ok(proxy) = self.proxy() {
                proxy.http_only.push((spot, keyword.name));
            }
        }
        if self.section == Section::Defaults && templates::hands_on(keyword) {
            return self.template_line(st);
        }
        (keyword.parse)(self, st)
    }

    fn unknown(&self, words: &[Word]) -> Fault {
        let first = words.first().map_or(Span::default(), |word| word.span);
        let first_word = words.first().map(|word| word.bytes.as_slice()).unwrap_or_default();
        let family = matches!(
            first_word,
            b"option" | b"stats" | b"stick" | b"tcp-request" | b"tcp-response" | b"timeout"
        );
        let both;
        let (span, shown) = match words.get(1) {
            Some(second) if family => {
                both = [first_word, b" ", &second.bytes].concat();
                let span = Span { start: first.start, end: second.span.end };
                (span, quoted(&both))
            }
            _ => (first, quoted(first_word)),
        };
        let mut hint = self.index.hint(words, self.section.mask());
        if hint.is_empty() {
            let text = String::from_utf8_lossy(first_word);
            hint = suggest::hint(&text, SECTION_NAMES.into_iter());
        }
        Fault::at(
            span,
            format_args!("unknown keyword {shown} in section {}{hint}", self.section.mask().names()),
        )
    }

    fn close_section(&mut self) {
        if self.section == Section::Userlist {
            let sink = &mut self.sink;
            let list = std::mem::take(&mut self.users)
                .finish(|spot, message| sink.push(Severity::Error, spot, message));
            self.userlists.push(list);
        }
        if self.section == Section::Defaults
            && let Some(name) = self.defaults_name.take()
        {
            self.named_defaults.insert(name, self.finished_defaults.len());
            self.finished_defaults.push(self.defaults.clone());
        }
        self.draft = None;
        self.section = Section::None;
        self.section_name.clear();
    }
}

/// Span, words and arguments of a keyword whose name has as many words as this one.
fn name_words<'w>(words: &'w [Word], name: &str) -> (Span, &'w [Word], &'w [Word]) {
    let len = name.split(' ').count().min(words.len());
    let (name, args) = words.split_at(len);
    let start = name.first().map_or(0, |word| word.span.start);
    let end = name.last().map_or(start, |word| word.span.end);
    (Span { start, end }, name, args)
}

fn misplaced(name: &str, sections: Sections) -> String {
    format!("`{name}` is allowed only in {}", sections.names())
}
