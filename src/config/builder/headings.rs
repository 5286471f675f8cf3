//! The headings of sections.

use super::{Builder, PROXIES_MAX, Section, Statement};
use crate::config::diagnostics::{Fault, Span, Spot};
use crate::config::draft::{Proxy, ProxyKind, Settings};
use crate::config::keywords::BIND;
use crate::config::lexer::Word;
use crate::config::model::Place;
use crate::config::userlist;
use crate::config::{suggest, values};

impl Builder<'_> {
    /// Opens `global`, `defaults [NAME] [from NAME]`, `frontend|listen|backend NAME [from NAME]`.
    pub(super) fn open_section(
        &mut self,
        kind: &str,
        words: &[Word],
        place: &Place,
        line: &[u8],
    ) -> Result<(), Fault> {
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
                    format_args!(
                        "unexpected {}; a section's heading is `{kind} NAME [from DEFAULTS]`",
                        word.quoted()
                    ),
                ));
            }
        };
        if kind == "userlist" || kind == "http-errors" {
            return self.open_named_list(kind, heading, name, base);
        }
        let mut settings = self.inherited(kind, base)?;
        settings.probes.inherit();
        let name = match name {
            Some(word) => values::name(word, "section")?.to_owned(),
            None if kind == "defaults" => String::new(),
            None => return Err(Fault::at(heading, format_args!("the {kind} needs a name"))),
        };
        self.section_name = if name.is_empty() { kind.to_owned() } else { name.clone() };
        let spot = Spot::new(place, line, Some(heading));
        let kind = match kind {
            "defaults" => {
                self.open_template(&mut settings, base.map_or(heading, |word| word.span))?;
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

    /// `userlist NAME`, `http-errors NAME`.
    fn open_named_list(
        &mut self,
        kind: &str,
        heading: Span,
        name: Option<&Word>,
        base: Option<&Word>,
    ) -> Result<(), Fault> {
        let word = name.ok_or_else(|| Fault::at(heading, format_args!("the {kind} needs a name")))?;
        if let Some(base) = base {
            return Err(Fault::at(base.span, format_args!("a {kind} inherits nothing")));
        }
        let name = values::name(word, "section")?;
        let is_users = kind == "userlist";
        let twin = match is_users {
            true => self.userlists.iter().any(|list| list.name == name),
            false => self.error_sections.iter().any(|(known, _)| known == name),
        };
        if twin {
            return Err(Fault::at(word.span, format_args!("there is a {kind} `{name}` already")));
        }
        name.clone_into(&mut self.section_name);
        if !is_users {
            self.error_sections.push((name.to_owned(), Vec::new()));
            self.section = Section::HttpErrors;
            return Ok(());
        }
        self.users = userlist::Draft::default();
        name.clone_into(&mut self.users.list.name);
        self.section = Section::Userlist;
        Ok(())
    }

    #[allow(clippy::indexing_slicing, reason = "0 or 1, of two sides")]
    fn open_proxy(&mut self, proxy: Proxy, words: &[Word]) -> Result<(), Fault> {
        let span = words.get(1).map_or(Span::default(), |word| word.span);
        if self.proxies.len() == PROXIES_MAX {
            return Err(Fault::at(span, format_args!("a configuration has at most {PROXIES_MAX} proxies")));
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
            None => self.inherit_lines(span),
            Some(twin) => Err(Fault::at(
                span,
                format_args!(
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
        let finished = self.named_defaults.get(name).and_then(|at| self.finished_defaults.get(*at));
        if let Some(settings) = finished {
            return Ok(settings.clone());
        }
        let hint = suggest::hint(name, self.named_defaults.keys().map(String::as_str));
        Err(Fault::at(
            base.span,
            format_args!("no `defaults` section called {} stands above{hint}", base.quoted()),
        ))
    }
}
