//! Runs over the lines: opens sections, finds each statement's keyword, lets its parser work.

use super::diagnostics::{Fault, Severity, Sink, Span, Spot, quoted};
use super::draft::{AclTable, Proxy, ProxyKind, Settings};
use super::keywords::{Found, Index, Keyword, Sections, Status, known, listed};
use super::lexer::{self, Env, Word};
use super::model::{Global, Place};
use super::sample::{Reader, Shared};
use super::source::Source;
use super::{suggest, values};
use std::collections::BTreeMap;

/// Sections that are built.
const SECTION_NAMES: [&str; 5] = ["global", "defaults", "frontend", "backend", "listen"];
/// Most proxies of a configuration.
const PROXIES_MAX: usize = 65_536;

/// One line: its keyword, its arguments, its place.
pub(crate) struct Statement<'a> {
    /// The keyword it was found to be.
    pub keyword: &'static Keyword,
    /// Whether `no` stood before it.
    pub negated: bool,
    /// Where it stands.
    pub place: &'a Place,
    /// The line as written.
    pub line: &'a [u8],
    name: &'a [Word],
    args: &'a [Word],
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

    /// The one argument.
    ///
    /// # Errors
    /// There is none (`what` was expected), or more than one.
    pub fn one(&self, what: &str) -> Result<&'a Word, Fault> {
        let [word, rest @ ..] = self.args else {
            return Err(Fault::at(self.name_span(), format!("`{}` needs {what}", self.keyword.name)));
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
                format!("`{}` takes no arguments, but {} stands here", self.keyword.name, word.quoted()),
            )),
            Some(word) => Err(Fault::at(
                word.span,
                format!("unexpected {}; `{}` takes {}", word.quoted(), self.keyword.name, self.keyword.args),
            )),
        }
    }
}

/// The section the current line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Before the first one.
    None,
    Global,
    Defaults,
    /// The last of `proxies`.
    Proxy(ProxyKind),
    /// One that could not be opened: its lines are not looked at.
    Skipped,
}

impl Section {
    fn mask(self) -> Sections {
        match self {
            Self::Global | Self::None | Self::Skipped => Sections::GLOBAL,
            Self::Defaults => Sections::DEFAULTS,
            Self::Proxy(ProxyKind::Frontend) => Sections::FRONTEND,
            Self::Proxy(ProxyKind::Listen) => Sections::LISTEN,
            Self::Proxy(ProxyKind::Backend) => Sections::BACKEND,
        }
    }
}

/// What the texts have added up to so far.
pub(crate) struct Builder<'a> {
    /// Looks up environment variables.
    pub env: Env<'a>,
    /// The messages.
    pub sink: Sink,
    /// The `global` sections, merged.
    pub global: Global,
    /// The proxies in file order.
    pub proxies: Vec<Proxy>,
    /// The current or last `defaults` section.
    pub defaults: Settings,
    named_defaults: BTreeMap<String, Settings>,
    defaults_name: Option<String>,
    section: Section,
    section_name: String,
    /// First proxy of each name, by side.
    names: [BTreeMap<String, usize>; 2],
    index: Index,
    /// Names in expressions, resolved at the end.
    pub shared: Shared,
}

impl<'a> Builder<'a> {
    /// An empty one.
    pub fn new(env: Env<'a>) -> Self {
        Self {
            env,
            sink: Sink::default(),
            global: Global::default(),
            proxies: Vec::new(),
            defaults: Settings::default(),
            named_defaults: BTreeMap::new(),
            defaults_name: None,
            section: Section::None,
            section_name: String::new(),
            names: [BTreeMap::new(), BTreeMap::new()],
            index: Index::new(),
            shared: Shared::default(),
        }
    }

    /// Takes every line of a text. Sections end with their file.
    pub fn read(&mut self, source: &Source) {
        self.close_section();
        for (number, line) in lexer::lines(&source.text).enumerate() {
            // A file that is no configuration need not be read to its end.
            if self.sink.is_full() {
                break;
            }
            let line_number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let place = Place { file: source.name.clone(), line: line_number };
            if let Err(fault) = self.line(&place, line) {
                self.sink.push(Severity::Error, Spot::new(&place, line, fault.span), fault.message);
            }
        }
        self.close_section();
    }

    /// The backends' or frontends' names, for the final resolution.
    #[allow(clippy::indexing_slicing, reason = "a bool, of two sides")]
    pub fn proxy_named(&self, server_side: bool, name: &str) -> Option<usize> {
        self.names[usize::from(server_side)].get(name).copied()
    }

    /// Names of one side's proxies, for suggestions.
    #[allow(clippy::indexing_slicing, reason = "a bool, of two sides")]
    pub fn proxy_names(&self, server_side: bool) -> impl Iterator<Item = &str> {
        self.names[usize::from(server_side)].keys().map(String::as_str)
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
        match (self.section, self.proxies.last_mut()) {
            (Section::Proxy(_), Some(proxy)) => Ok(proxy),
            _ => Err(Fault::line("this keyword belongs into a frontend, listen or backend section")),
        }
    }

    /// The ACLs of the current proxy, and what reading an expression needs; `spot` is where the word stands.
    ///
    /// # Errors
    /// As [`Builder::proxy`].
    pub fn terms<'b>(&'b mut self, spot: &'b Spot) -> Result<(&'b mut AclTable, Reader<'b>), Fault> {
        let (Section::Proxy(_), Some(proxy)) = (self.section, self.proxies.last_mut()) else {
            return Err(Fault::line("this keyword belongs into a frontend, listen or backend section"));
        };
        Ok((&mut proxy.acls, Reader { shared: &mut self.shared, spot, env: self.env }))
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
        let spot = Spot::new(st.place, st.line, Some(span.unwrap_or(st.name_span())));
        self.sink.push(Severity::Warning, spot, message);
    }

    fn line(&mut self, place: &Place, line: &[u8]) -> Result<(), Fault> {
        // Most lines of a big file are blank or comments.
        let words = {
            let section = self.section_name.as_str();
            let outer = self.env;
            let env = move |name: &str| match name {
                ".FILE" => Some(place.file.to_string()),
                ".LINE" => Some(place.line.to_string()),
                ".SECTION" => Some(section.to_owned()),
                _ => outer(name),
            };
            match lexer::split(line, &env) {
                Ok(words) => words,
                // What does not concern us is not complained about twice.
                Err(_) if self.section == Section::Skipped => return Ok(()),
                Err(fault) => return Err(fault),
            }
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
                format!("HAProxy has the section `{text}`, oneport has not built it yet"),
            ));
        }
        if self.section == Section::Skipped {
            return Ok(());
        }
        if text.starts_with('.') {
            return Err(Fault::at(first.span, "conditional blocks (`.if`, …) are not built yet"));
        }
        if self.section == Section::None {
            let hint = suggest::hint(&text, SECTION_NAMES.into_iter());
            return Err(Fault::at(
                first.span,
                format!("{} stands before the first section{hint}", first.quoted()),
            ));
        }
        self.statement(&words, place, line)
    }

    /// Whether these words begin with a keyword of the current section (`program`, `ring`, … could be both).
    fn is_keyword(&self, words: &[Word]) -> bool {
        matches!(self.section, Section::Proxy(_) | Section::Defaults | Section::Global)
            && !matches!(self.index.find(words, self.section.mask()), Found::Unknown)
    }

    fn statement(&mut self, words: &[Word], place: &Place, line: &[u8]) -> Result<(), Fault> {
        let [first, rest @ ..] = words else { return Ok(()) };
        let negated = first.is("no") && !rest.is_empty();
        if first.is("default") {
            return Err(Fault::at(first.span, "`default` before a keyword is not built yet"));
        }
        let words = if negated { rest } else { words };
        let section = self.section.mask();
        let keyword = match self.index.find(words, section) {
            Found::Ours(keyword) => keyword,
            Found::Known(name, sections) if sections.meets(section) => {
                let span = name_words(words, name).0;
                return Err(Fault::at(
                    span,
                    format!("HAProxy has the keyword `{name}`, oneport has not built it yet"),
                ));
            }
            Found::Known(name, sections) => {
                let span = name_words(words, name).0;
                return Err(Fault::at(span, misplaced(name, sections)));
            }
            Found::Unknown => return Err(self.unknown(words)),
        };
        let (_, name, args) = name_words(words, keyword.name);
        let st = Statement { keyword, negated, place, line, name, args };
        self.run(&st)
    }

    /// Lets a statement's parser work, if its table entry allows that here.
    fn run(&mut self, st: &Statement<'_>) -> Result<(), Fault> {
        let keyword = st.keyword;
        if !keyword.sections.meets(self.section.mask()) {
            if keyword.lenient && self.section != Section::Global {
                self.warn(st, None, format!("no effect here: {}", misplaced(keyword.name, keyword.sections)));
                return Ok(());
            }
            return Err(Fault::at(st.name_span(), misplaced(keyword.name, keyword.sections)));
        }
        if st.negated && !keyword.no {
            return Err(Fault::at(st.name_span(), format!("`no` cannot stand before `{}`", keyword.name)));
        }
        match keyword.status {
            Status::Refused(why) => {
                return Err(Fault::at(st.name_span(), format!("`{}` is refused: {why}", keyword.name)));
            }
            Status::AcceptedIgnored(why) => {
                self.warn(st, None, format!("`{}` is ignored: {why}", keyword.name));
            }
            Status::NotYet(what) if !st.negated => {
                self.warn(st, None, format!("`{}` is not active yet: {what}", keyword.name));
            }
            Status::NotYet(_) | Status::Works => {}
        }
        if let Some(new) = keyword.instead {
            self.warn(st, None, format!("`{}` is the old spelling of `{new}`", keyword.name));
        }
        (keyword.parse)(self, st)
    }

    fn unknown(&self, words: &[Word]) -> Fault {
        let first = words.first().map_or(Span::default(), |word| word.span);
        let first_word = words.first().map(|word| word.bytes.as_slice()).unwrap_or_default();
        let family =
            matches!(first_word, b"option" | b"timeout" | b"stats" | b"tcp-request" | b"http-request");
        let (span, shown) = match words.get(1) {
            Some(second) if family => {
                let span = Span { start: first.start, end: second.span.end };
                (span, quoted(&[first_word, b" ", &second.bytes].concat()))
            }
            _ => (first, quoted(first_word)),
        };
        let mut hint = self.index.hint(words, self.section.mask());
        if hint.is_empty() {
            let text = String::from_utf8_lossy(first_word);
            hint = suggest::hint(&text, SECTION_NAMES.into_iter());
        }
        Fault::at(span, format!("unknown keyword {shown} in section {}{hint}", self.section.mask().names()))
    }

    /// Opens `global`, `defaults [NAME] [from NAME]`, `frontend|listen|backend NAME [from NAME]`.
    fn open_section(&mut self, kind: &str, words: &[Word], place: &Place, line: &[u8]) -> Result<(), Fault> {
        let heading = words.first().map_or(Span::default(), |word| word.span);
        let args = words.get(1..).unwrap_or_default();
        if kind == "global" {
            self.section_name = kind.to_owned();
            self.section = Section::Global;
            return match args.first() {
                None => Ok(()),
                Some(word) => Err(Fault::at(word.span, "`global` takes no name")),
            };
        }
        let (name, args) = match args {
            [word, rest @ ..] if !(kind == "defaults" && word.is("from")) => (Some(word), rest),
            args => (None, args),
        };
        let base = match args {
            [] => None,
            [from, base] if from.is("from") => Some(base),
            [word, ..] => {
                return Err(Fault::at(
                    word.span,
                    format!(
                        "unexpected {}; a section's heading is `{kind} NAME [from DEFAULTS]`, addresses stand on `bind` lines",
                        word.quoted()
                    ),
                ));
            }
        };
        let settings = self.inherited(kind, base)?;
        let name = match name {
            Some(word) => values::name(word, "section")?.to_owned(),
            None if kind == "defaults" => String::new(),
            None => return Err(Fault::at(heading, format!("the {kind} needs a name"))),
        };
        self.section_name = if name.is_empty() { kind.to_owned() } else { name.clone() };
        let spot = Spot::new(place, line, Some(heading));
        let kind = match kind {
            "defaults" => {
                self.defaults = settings;
                self.defaults_name = Some(name).filter(|name| !name.is_empty());
                self.section = Section::Defaults;
                return Ok(());
            }
            "frontend" => ProxyKind::Frontend,
            "listen" => ProxyKind::Listen,
            _ => ProxyKind::Backend,
        };
        self.open_proxy(Proxy::new(kind, name, spot, settings), words)
    }

    #[allow(clippy::indexing_slicing, reason = "0 or 1, of two sides")]
    fn open_proxy(&mut self, proxy: Proxy, words: &[Word]) -> Result<(), Fault> {
        let span = words.get(1).map_or(Span::default(), |word| word.span);
        if self.proxies.len() == PROXIES_MAX {
            return Err(Fault::at(span, format!("a configuration has at most {PROXIES_MAX} proxies")));
        }
        let at = self.proxies.len();
        let kind = proxy.kind;
        let mut twin = None;
        for (side, has) in [(0, kind.has_client_side()), (1, kind.has_server_side())] {
            if has {
                twin = twin.or_else(|| self.names[side].get(&proxy.name).copied());
                self.names[side].entry(proxy.name.clone()).or_insert(at);
            }
        }
        let name = proxy.name.clone();
        self.proxies.push(proxy);
        self.section = Section::Proxy(kind);
        match twin.and_then(|twin| self.proxies.get(twin)) {
            None => Ok(()),
            Some(twin) => Err(Fault::at(
                span,
                format!(
                    "there is a {} `{name}` already, at {}:{}",
                    twin.kind.name(),
                    twin.spot.place.file,
                    twin.spot.place.line
                ),
            )),
        }
    }

    /// What a new section starts with: a proxy inherits the last `defaults`, or those it names; `defaults`
    /// inherit only those they name (configuration §4).
    fn inherited(&self, kind: &str, base: Option<&Word>) -> Result<Settings, Fault> {
        let Some(base) = base else {
            return Ok(if kind == "defaults" { Settings::default() } else { self.defaults.clone() });
        };
        let name = base.text()?;
        if let Some(settings) = self.named_defaults.get(name) {
            return Ok(settings.clone());
        }
        let hint = suggest::hint(name, self.named_defaults.keys().map(String::as_str));
        Err(Fault::at(
            base.span,
            format!("no `defaults` section called {} stands above{hint}", base.quoted()),
        ))
    }

    fn close_section(&mut self) {
        if self.section == Section::Defaults
            && let Some(name) = self.defaults_name.take()
        {
            self.named_defaults.insert(name, self.defaults.clone());
        }
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
