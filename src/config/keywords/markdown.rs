//! `docs/keywords.md`, written from the tables.

use super::{Entry, Status, TOPICS, bind, known, server};
use crate::config::{condition, converter, patterns, sample};

/// The compatibility page: every keyword with where it stands, what it takes and what becomes of it.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration keywords\n\n\
         oneport reads HAProxy's configuration language. This page is written from the keyword table of the\n\
         program (`ONEPORT_BLESS=1 cargo test keywords` writes it anew); what is listed as working works as\n\
         HAProxy's manual describes it, and what is not listed here at all is an error that names the line.\n\n\
         \"Since\" is the HAProxy branch that has the keyword; `1.3` means that one or an earlier one.\n\
         `no` marks keywords that may be taken back with `no` before them.\n",
    );
    for (topic, table) in TOPICS {
        out.push_str(&format!(
            "\n## {topic}\n\n| keyword | arguments | in | since | state |\n|---|---|---|---|---|\n"
        ));
        for entry in *table {
            let no = if entry.no { " (`no`)" } else { "" };
            out.push_str(&format!(
                "| `{}`{no} | {} | {} | {} | {} |\n",
                entry.name,
                code(entry.args),
                entry.sections.names(),
                entry.since,
                state(entry)
            ));
        }
    }
    parameters(&mut out, "Parameters of `bind`", bind::PARAMETERS);
    parameters(&mut out, "Parameters of `server`", server::PARAMETERS);
    conditions(&mut out);
    missing(&mut out);
    out
}

fn parameters<F: Copy>(out: &mut String, title: &str, table: &[Entry<F>]) {
    out.push_str(&format!("\n## {title}\n\n| parameter | argument | since | state |\n|---|---|---|---|\n"));
    for entry in table {
        out.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            entry.name,
            code(entry.args),
            entry.since,
            state(entry)
        ));
    }
}

fn conditions(out: &mut String) {
    out.push_str(
        "\n## Conditions\n\n\
         `if` and `unless` take ACL names, `!`, `or`, `||` and anonymous ACLs `{ … }`; terms beside each other\n\
         must all hold. A condition that more bytes could still decide waits for them, within the inspect delay.\n\n\
         | fetch | what it is |\n|---|---|\n",
    );
    for (names, help, derived) in sample::fetches() {
        let names = names.replace('|', "`, `");
        let more = if derived { "; also `_beg _dir _dom _end _len _reg _sub`" } else { "" };
        out.push_str(&format!("| `{names}` | {}{more} |\n", help.replace('|', "\\|")));
    }
    out.push_str("\n| converter | what it does |\n|---|---|\n");
    for (name, help) in converter::converters() {
        out.push_str(&format!("| `{name}` | {help} |\n"));
    }
    out.push_str("\n| predefined ACL | what it stands for |\n|---|---|\n");
    for (name, declared) in condition::predefined() {
        out.push_str(&format!("| `{name}` | `{declared}` |\n"));
    }
    let methods: Vec<String> = patterns::METHODS.iter().map(|(name, _)| format!("`{name}`")).collect();
    out.push_str(&format!(
        "\nFlags: `-i` (letter case aside), `-m METHOD` ({}), `-f FILE`, `-n`, `-u ID`, `--`. Numbers may have\n\
         `eq ge gt le lt` before them, and ranges `10:20`.\n",
        methods.join(", ")
    ));
}

fn missing(out: &mut String) {
    out.push_str(
        "\n## Known but not built\n\n\
         HAProxy has these; oneport says so and stops rather than start with half of what was asked for.\n",
    );
    for (sections, names) in known::KEYWORDS {
        list(out, &format!("In {}", sections.names()), names);
    }
    list(out, "Parameters of `bind`", known::BIND);
    list(out, "Parameters of `server`", known::SERVER);
    list(out, "Sample fetches", known::FETCHES);
    list(out, "Converters", known::CONVERTERS);
    list(out, "Predefined ACLs", known::ACLS);
    list(out, "Sections", known::SECTIONS);
}

fn list(out: &mut String, title: &str, names: &str) {
    let names: Vec<String> = names.split('|').map(|name| format!("`{name}`")).collect();
    out.push_str(&format!("\n**{title}:** {}\n", names.join(", ")));
}

fn state<F: Copy>(entry: &Entry<F>) -> String {
    let mut text = match entry.status {
        Status::Works => entry.help.to_owned(),
        Status::AcceptedIgnored(why) => {
            format!("{}; **accepted and ignored** with a warning: {why}", entry.help)
        }
        Status::Refused(why) => format!("{}; **refused**: {why}", entry.help),
        Status::NotYet(what) => format!("{}; **accepted** with a warning: {what}", entry.help),
    };
    if let Some(new) = entry.instead {
        text.push_str(&format!("; **old spelling** of `{new}`, with a warning"));
    }
    text.replace('|', "\\|")
}

fn code(args: &str) -> String {
    if args.is_empty() { String::new() } else { format!("`{}`", args.replace('|', "\\|")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ONEPORT_BLESS=1` writes the page anew.
    #[test]
    fn page_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/keywords.md");
        if std::env::var_os("ONEPORT_BLESS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown(), "docs/keywords.md is stale: run ONEPORT_BLESS=1 cargo test keywords");
    }
}
