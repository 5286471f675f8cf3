//! Runs over the lines: opens sections, finds each statement's keyword, lets its parser work.

use super::blocks::{Blocks, Directive};
use super::diagnostics::{Fault, Severity, Sink, Span, Spot, printable, quoted};
use super::draft::{AclTable, Proxy, ProxyKind, Settings};
use super::environment::Environment;
use super::keywords::groups::{self, Group};
use super::keywords::{BIND, Found, Index, Keyword, Sections, Status, known, listed};
use super::lexer::{self, Env, Word};
use super::model::{Global, Place};
use super::sample::{Reader, Shared};
use super::source::Source;
use super::userlist::{self, UserList};
use super::{lint, predicate, suggest, values};
use std::collections::BTreeMap;

/// Sections that are built.
const SECTION_NAMES: [&str; 6] = ["global", "defaults", "frontend", "backend", "listen", "userlist"];
/// Most proxies of a configuration.
const PROXIES_MAX: usize = 65_536;

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
    /// The draft in `users`.
    Userlist,
    /// One that could not be opened: its lines are not looked at.
    Skipped,
}

impl Section {
    fn mask(self) -> Sections {
        match self {
            Self::Global | Self::None | Self::Skipped => Sections::GLOBAL,
            Self::Defaults => Sections::DEFAULTS,
            Self::Userlist => Sections::USERLIST,
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
    named_defaults: BTreeMap<String, Settings>,
    defaults_name: Option<String>,
    section: Section,
    section_name: String,
    /// First proxy of each name, by side.
    names: [BTreeMap<String, usize>; 2],
    /// The finished user lists.
    pub userlists: Vec<UserList>,
    users: userlist::Draft,
    blocks: Blocks,
    /// Keywords of which was said that they do nothing (yet).
    told: Vec<&'static str>,
    index: Index,
    /// Names in expressions, resolved at the end.
    pub shared: Shared,
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
            defaults_name: None,
            section: Section::None,
            section_name: String::new(),
            names: [BTreeMap::new(), BTreeMap::new()],
            userlists: Vec::new(),
            users: userlist::Draft::default(),
            blocks: Blocks::default(),
            told: Vec::new(),
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
                format!("HAProxy has the section `{text}`, oneport has not built it yet"),
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
                format!("{} stands before the first section{hint}", first.quoted()),
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

    /// `.if`, `.elif`, `.else`, `.endif`.
    fn block(&mut self, directive: Directive, span: Span, place: &Place, line: &[u8]) -> Result<(), Fault> {
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
            Fault { span: word, message }
        })
    }

    /// `.notice`, `.warning`, `.alert`, `.diag`.
    fn message(&mut self, name: &str, words: &[Word], place: &Place, line: &[u8]) -> Result<(), Fault> {
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
                return Err(Fault::at(first.span, format!("unknown directive {}{hint}", first.quoted())));
            }
        };
        if let [_, second, ..] = rest {
            return Err(Fault::at(second.span, "a message is one word: put it in quotes"));
        }
        let text = rest.first().map(|word| printable(&word.bytes)).unwrap_or_default();
        self.sink.push(severity, Spot::new(place, line, Some(first.span)), text);
        Ok(())
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
        let st = Statement { keyword, negated, to_default, place, line, name, args };
        self.run(&st)
    }

    /// Lets a statement's parser work, if its table entry allows that here.
    fn run(&mut self, st: &Statement<'_>) -> Result<(), Fault> {
        let keyword = st.keyword;
        if !keyword.sections.meets(self.section.mask()) {
            if keyword.lenient && !matches!(self.section, Section::Global | Section::Userlist) {
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
        (keyword.parse)(self, st)
    }

    /// A keyword of a group: its arguments are checked, and it is said what becomes of it.
    fn grouped(
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
            return Err(Fault::at(span, format!("`{prefix}` cannot stand before `{name}`")));
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
            Status::Refused(why) => return Err(Fault::at(span, format!("`{name}` is refused: {why}"))),
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
    pub fn tell_set_aside(&mut self, st: &Statement<'_>, set_aside: &[(&'static str, Span, Status)]) {
        for &(name, span, status) in set_aside {
            // None of them is refused: those are not in the groups.
            let _ = self.tell(name, status, st.place, st.line, span, false);
        }
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
        let (base, addresses) = match args {
            [] => (None, None),
            [from, base] if from.is("from") => (Some(base), None),
            [word, ..] if matches!(kind, "frontend" | "listen") && !word.is("from") => (None, Some(args)),
            [word, ..] => {
                return Err(Fault::at(
                    word.span,
                    format!(
                        "unexpected {}; a section's heading is `{kind} NAME [from DEFAULTS]`",
                        word.quoted()
                    ),
                ));
            }
        };
        if kind == "userlist" {
            return self.open_user_list(heading, name, base);
        }
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
        self.open_proxy(Proxy::new(kind, name, spot, settings), words)?;
        addresses.map_or(Ok(()), |args| self.bind_in_heading(args, place, line))
    }

    /// `listen NAME ADDRESS`, as HAProxy 1.x had it.
    fn bind_in_heading(&mut self, args: &[Word], place: &Place, line: &[u8]) -> Result<(), Fault> {
        let st = Statement {
            keyword: const { &BIND },
            negated: false,
            to_default: false,
            place,
            line,
            name: args.get(..1).unwrap_or_default(),
            args,
        };
        self.warn(&st, None, "addresses behind a section's name are the old spelling of `bind`");
        self.run(&st)
    }

    fn open_user_list(
        &mut self,
        heading: Span,
        name: Option<&Word>,
        base: Option<&Word>,
    ) -> Result<(), Fault> {
        let word = name.ok_or_else(|| Fault::at(heading, "the userlist needs a name"))?;
        if let Some(base) = base {
            return Err(Fault::at(base.span, "a userlist inherits nothing"));
        }
        let name = values::name(word, "section")?;
        if self.userlists.iter().any(|list| list.name == name) {
            return Err(Fault::at(word.span, format!("there is a userlist `{name}` already")));
        }
        name.clone_into(&mut self.section_name);
        self.users = userlist::Draft::default();
        name.clone_into(&mut self.users.list.name);
        self.section = Section::Userlist;
        Ok(())
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
        if self.section == Section::Userlist {
            let sink = &mut self.sink;
            let list = std::mem::take(&mut self.users)
                .finish(|spot, message| sink.push(Severity::Error, spot, message));
            self.userlists.push(list);
        }
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
