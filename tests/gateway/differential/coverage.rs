//! Which of what works is in no case? The tables of docs/keywords.md (which a test keeps as the program's) say
//! what there is; each name must stand in the configuration of a case, or below with the reason why it does not.

use super::load_all;
use std::collections::BTreeSet;
use std::path::Path;

/// What no case shows, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("daemon", "cases run in the foreground: tests/process.rs"),
    ("pidfile", "cases look at no files: tests/gateway/process.rs"),
    ("zero-warning", "what is warned of is each program's own: tests/gateway/config_errors.rs"),
    ("chroot", "needs root: tests/gateway/privileges.rs"),
    ("uid", "needs root: tests/gateway/privileges.rs"),
    ("gid", "needs root: tests/gateway/privileges.rs"),
    ("bind user", "needs root and a unix socket: tests/gateway/privileges.rs"),
    ("bind uid", "needs root and a unix socket: tests/gateway/privileges.rs"),
    ("bind group", "needs root and a unix socket: tests/gateway/privileges.rs"),
    ("bind gid", "needs root and a unix socket: tests/gateway/privileges.rs"),
    ("bind transparent", "HAProxy needs a firewall's rules for it (docs/differences.md)"),
    ("bind v4v6", "takes an address that is not the machine's own alone: tests/gateway/listening.rs"),
    ("option transparent", "needs a firewall's rules: tests/gateway/connections.rs"),
    ("server usesrc", "needs root: tests/gateway/connections.rs"),
    ("hash-preserve-affinity", "HAProxy 2.6 has none: src/backend/balance/tests.rs"),
    ("server init-state", "HAProxy 2.6 has none: src/backend/health/state.rs"),
    ("server check-send-proxy", "cases look at no checks: tests/gateway/proxy_protocol.rs"),
];

/// The ways to match, which docs/keywords.md names in a sentence.
const MATCHERS: [&str; 13] =
    ["found", "bool", "int", "ip", "str", "beg", "end", "sub", "dir", "dom", "len", "reg", "bin"];
/// What ACL spellings of fetches end in.
const SUFFIXES: [&str; 7] = ["_beg", "_dir", "_dom", "_end", "_len", "_reg", "_sub"];

#[test]
fn everything_that_works_is_in_a_case() {
    let mut written = Written::default();
    for case in load_all() {
        case.config.lines().for_each(|line| written.read(line));
    }
    // What checks say has cases of its own.
    crate::checks::compared_lines().iter().for_each(|line| written.read(line));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keywords.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut wanted = wanted(&text);
    assert!(wanted.len() > 150, "only {} names found in docs/keywords.md", wanted.len());
    wanted.extend(MATCHERS.iter().map(|name| Name { kind: Kind::Matcher, names: vec![name.to_string()] }));
    let excepted = |name: &Name| EXCEPTIONS.iter().any(|(known, _)| *known == name.label());
    let missing: Vec<String> = wanted
        .iter()
        .filter(|name| !written.has(name) && !excepted(name))
        .map(|name| format!("(\"{}\", \"\"),", name.label()))
        .collect();
    assert!(missing.is_empty(), "in no case of tests/differential:\n{}", missing.join("\n"));
    for (label, reason) in EXCEPTIONS {
        let name = wanted.iter().find(|name| name.label() == *label);
        let name = name.unwrap_or_else(|| panic!("`{label}` is an exception, and not in docs/keywords.md"));
        assert!(!written.has(name), "`{label}` is in a case and need not be an exception ({reason})");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Keyword,
    Action,
    Bind,
    Server,
    Fetch,
    Converter,
    Acl,
    Matcher,
}

/// A thing with all its names.
struct Name {
    kind: Kind,
    names: Vec<String>,
}

impl Name {
    /// How messages and exceptions call it.
    fn label(&self) -> String {
        let kind = match self.kind {
            Kind::Keyword => "",
            Kind::Action => "action ",
            Kind::Bind => "bind ",
            Kind::Server => "server ",
            Kind::Fetch => "fetch ",
            Kind::Converter => "converter ",
            Kind::Acl => "ACL ",
            Kind::Matcher => "-m ",
        };
        format!("{kind}{}", self.names[0])
    }
}

/// The rows of the tables that say something works.
fn wanted(text: &str) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    let mut kind = None;
    let mut section = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        if let Some(head) = line.strip_prefix("| ").filter(|line| !line.starts_with('`')) {
            kind = match head.split(' ').next() {
                Some("keyword") => Some(Kind::Keyword),
                Some("action") => Some(Kind::Action),
                Some("parameter") if section.contains("bind") => Some(Kind::Bind),
                Some("parameter") => Some(Kind::Server),
                Some("fetch") => Some(Kind::Fetch),
                Some("converter") => Some(Kind::Converter),
                Some("predefined") => Some(Kind::Acl),
                _ => None,
            };
        }
        let Some((kind, row)) = kind.zip(line.strip_prefix("| `")) else { continue };
        let nothing = ["**ignored**", "**refused**", "**old spelling**", "**not active yet**"];
        if section.starts_with("Read, and without effect") || nothing.iter().any(|word| row.contains(word)) {
            continue;
        }
        let cell = row.split(" |").next().unwrap_or_default();
        let names: Vec<String> = cell
            .split('`')
            .step_by(2)
            .filter(|name| !name.is_empty() && *name != "no")
            .map(Into::into)
            .collect();
        if !found.iter().any(|known| known.kind == kind && known.names == names) {
            found.push(Name { kind, names });
        }
    }
    found
}

/// What stands in the configurations of all cases.
#[derive(Default)]
struct Written {
    /// Whole lines, blanks side by side as one.
    lines: Vec<String>,
    /// Names that stand where a fetch or an ACL may.
    names: BTreeSet<String>,
    /// Names behind a comma.
    converters: BTreeSet<String>,
}

impl Written {
    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word == "no").collect();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        // Behind a brace, behind an ACL's name, as the value of a rule; as a word of a condition.
        let mut in_condition = false;
        for (at, word) in words.iter().enumerate() {
            let before = |back: usize| at.checked_sub(back).map_or("", |at| words[at]);
            let is_value = before(1) == "capture" || before(1).starts_with("set-var(");
            in_condition |= ["if", "unless"].contains(&before(1));
            if is_value || in_condition || before(2) == "acl" {
                let name = word.trim_start_matches('!').split(|c| !is_name(c)).next();
                // What stands within braces behind the first word is no name but a pattern.
                let is_pattern = in_condition
                    && words[..at]
                        .iter()
                        .rev()
                        .take_while(|word| **word != "}")
                        .position(|word| *word == "{")
                        > Some(0);
                if !is_pattern {
                    self.names.insert(name.unwrap_or_default().into());
                }
            }
        }
        for part in line.split("%[").skip(1) {
            self.names.insert(part.trim_start().split(|c| !is_name(c)).next().unwrap_or_default().into());
        }
        for part in line.split(',').skip(1) {
            self.converters.insert(part.split(|c| !is_name(c)).next().unwrap_or_default().into());
        }
        self.lines.push(format!("{} ", words.join(" ")));
    }

    fn has(&self, name: &Name) -> bool {
        let on_line = |start: &str, word: &str| {
            self.lines.iter().any(|line| line.starts_with(start) && line.contains(&format!(" {word} ")))
        };
        name.names.iter().any(|one| match name.kind {
            Kind::Keyword => self.lines.iter().any(|line| line.starts_with(&format!("{one} "))),
            Kind::Action => {
                on_line("http-", one)
                    || on_line("tcp-", one)
                    || self.lines.iter().any(|line| line.contains(&format!(" {one}(")))
            }
            Kind::Bind => on_line("bind ", one),
            Kind::Server => on_line("server ", one) || on_line("default-server ", one),
            Kind::Fetch => {
                let derived = SUFFIXES.iter().any(|end| self.names.contains(&format!("{one}{end}")));
                derived || self.names.contains(one)
            }
            Kind::Converter => {
                self.converters.contains(one)
                    || one == "map" && self.converters.iter().any(|name| name.starts_with("map_"))
            }
            Kind::Acl => self.names.contains(one),
            Kind::Matcher => self.lines.iter().any(|line| line.contains(&format!(" -m {one} "))),
        })
    }
}
