//! Rules in `defaults` sections: they are read once where they stand, for what is wrong with them, and again in each
//! proxy that inherits them, before its own (configuration §4).

use super::{Builder, Section, Statement};
use crate::config::diagnostics::{Fault, Span, Spot};
use crate::config::draft::{Proxy, ProxyKind, Settings};
use crate::config::keywords::Keyword;
use crate::config::lexer::Word;
use crate::config::model::Place;

/// What a `defaults` section hands on line by line, and whether it is a rule.
const KEYWORDS: [(&str, bool); 10] = [
    ("acl", false),
    ("tcp-request inspect-delay", false),
    ("tcp-response inspect-delay", false),
    ("tcp-request connection", true),
    ("tcp-request session", true),
    ("tcp-request content", true),
    ("tcp-response content", true),
    ("http-request", true),
    ("http-response", true),
    ("http-after-response", true),
];

/// The lines that one `defaults` section hands on.
#[derive(Default)]
pub(super) struct Template {
    lines: Vec<Line>,
    has_rules: bool,
    /// Whether a frontend, and whether a backend has inherited them.
    used: [bool; 2],
}

#[derive(Clone)]
struct Line {
    keyword: &'static Keyword,
    place: Place,
    text: Vec<u8>,
    name: Vec<Word>,
    args: Vec<Word>,
}

/// Whether the lines of a keyword are handed on one by one.
pub(super) fn hands_on(keyword: &Keyword) -> bool {
    KEYWORDS.iter().any(|(name, _)| *name == keyword.name)
}

impl Builder<'_> {
    /// What a new `defaults` section inherits of another one: the delays, which are no rules.
    pub(super) fn open_template(&mut self, settings: &mut Settings, base: Span) -> Result<(), Fault> {
        let Some(template) = settings.template.take().and_then(|at| self.templates.get(at)) else {
            return Ok(());
        };
        if template.has_rules {
            return Err(Fault::at(
                base,
                "a `defaults` section with rules cannot be inherited by another one",
            ));
        }
        let delays = template.lines.iter().filter(|line| line.keyword.name != "acl").cloned().collect();
        settings.template = Some(self.templates.len());
        self.templates.push(Template { lines: delays, ..Template::default() });
        Ok(())
    }

    /// Takes a line of the current `defaults` section.
    pub(super) fn template_line(&mut self, st: &Statement<'_>) -> Result<(), Fault> {
        let name = st.keyword.name;
        if self.defaults_name.is_none() {
            let message = format!("`{name}` can stand only in a `defaults` section that has a name");
            return Err(Fault::at(st.name_span(), message));
        }
        if self.draft.is_none() {
            let spot = Spot::new(st.place, st.line, None);
            let proxy = Proxy::new(ProxyKind::Frontend, String::new(), spot, Settings::default());
            self.draft = Some(Box::new(proxy));
        }
        self.drafting = true;
        let read = (st.keyword.parse)(self, st);
        self.drafting = false;
        read?;
        let at = *self.defaults.template.get_or_insert(self.templates.len());
        if at == self.templates.len() {
            self.templates.push(Template::default());
        }
        if let Some(template) = self.templates.get_mut(at) {
            template.has_rules |= KEYWORDS.contains(&(name, true));
            template.lines.push(Line {
                keyword: st.keyword,
                place: st.place.clone(),
                text: st.line.to_vec(),
                name: st.name.to_vec(),
                args: st.args.to_vec(),
            });
        }
        Ok(())
    }

    /// Reads the inherited lines of the proxy that was just opened.
    pub(super) fn inherit_lines(&mut self, heading: Span) -> Result<(), Fault> {
        let (Section::Proxy(kind), Some(proxy)) = (self.section, self.proxies.last_mut()) else {
            return Ok(());
        };
        let Some(template) = proxy.settings.template.take().and_then(|at| self.templates.get_mut(at)) else {
            return Ok(());
        };
        template.check(kind).map_err(|why| Fault::at(heading, why))?;
        let lines = template.lines.clone();
        self.replaying = true;
        let mask = self.section.mask();
        let read = lines.iter().filter(|line| line.keyword.sections.meets(mask)).try_for_each(
            |Line { keyword, place, text, name, args }| {
                let st =
                    Statement { keyword, negated: false, to_default: false, place, line: text, name, args };
                // Said of the section itself.
                (keyword.parse)(self, &st).map_err(|fault| Fault::at(heading, fault.into_message()))
            },
        );
        self.replaying = false;
        if let Ok(proxy) = self.proxy() {
            proxy.acls.hide();
        }
        read
    }
}

impl Template {
    /// Whether a proxy of this kind can inherit it; it then has.
    fn check(&mut self, kind: ProxyKind) -> Result<(), String> {
        if !self.has_rules {
            return Ok(());
        }
        let [frontends, backends] = &mut self.used;
        match kind {
            ProxyKind::Listen => {
                return Err("a `listen` section cannot inherit rules of a `defaults` section".to_owned());
            }
            ProxyKind::Frontend => *frontends = true,
            ProxyKind::Backend => *backends = true,
        }
        if *frontends && *backends {
            return Err(
                "frontends and backends cannot inherit rules of the same `defaults` section".to_owned()
            );
        }
        let early =
            |line: &&Line| matches!(line.keyword.name, "tcp-request connection" | "tcp-request session");
        match self.lines.iter().find(early).filter(|_| kind == ProxyKind::Backend) {
            Some(line) => Err(format!("a backend cannot inherit `{}` rules", line.keyword.name)),
            None => Ok(()),
        }
    }
}
