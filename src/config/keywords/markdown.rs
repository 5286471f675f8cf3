//! `docs/keywords.md`, written from the tables by a test, which is all that needs it.

use super::{Entry, Status, TOPICS, bind, groups, known, listed, server};
use crate::config::{condition, converter, fetches, patterns};

/// The compatibility page: every keyword with where it stands, what it takes and what becomes of it.
fn markdown() -> String {
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
    out.push_str("\n## Actions of rules\n\n| action | in |\n|---|---|\n");
    for (name, rules) in super::http_actions::actions() {
        out.push_str(&format!("| `{name}` | {rules} |\n"));
    }
    parameters(&mut out, "Parameters of `bind`", &[bind::PARAMETERS]);
    parameters(&mut out, "Parameters of `server`", server::TABLES);
    grouped(&mut out);
    conditions(&mut out);
    missing(&mut out);
    out
}

fn parameters<F: Copy>(out: &mut String, title: &str, tables: &[&[Entry<F>]]) {
    out.push_str(&format!("\n## {title}\n\n| parameter | argument | since | state |\n|---|---|---|---|\n"));
    for entry in tables.iter().copied().flatten() {
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
    for (names, help, derived) in fetches::fetches() {
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
    list(out, "Sample fetches", known::FETCHES);
    list(out, "Converters", known::CONVERTERS);
    list(out, "Sections", known::SECTIONS);
}

fn list(out: &mut String, title: &str, names: &str) {
    let names: Vec<String> = names.split('|').map(|name| format!("`{name}`")).collect();
    out.push_str(&format!("\n**{title}:** {}\n", names.join(", ")));
}

/// The keywords of the groups, a row each.
fn grouped(out: &mut String) {
    out.push_str(
        "\n## Read, and without effect; or refused\n\n\
         What is **not active yet** or **ignored** says so once at the start; what is **silent** says so with -V\n\
         only. **Refused** is an error.\n\n| keyword | in | since | state |\n|---|---|---|---|\n",
    );
    let rows = groups::GROUPS.iter().flat_map(|group| group.names.split('|').map(move |name| (name, group)));
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|(name, _)| *name);
    for (name, group) in rows {
        let no = if group.takes_no(name) { " (`no`)" } else { "" };
        out.push_str(&format!(
            "| `{name}`{no} | {} | {} | {} |\n",
            group.sections.names(),
            since(name),
            becomes(group.status)
        ));
    }
    for (title, all) in [("bind", groups::BIND), ("server", groups::SERVERS)] {
        out.push_str(&format!(
            "\n### Parameters of `{title}` without effect\n\n| parameters | state |\n|---|---|\n"
        ));
        for group in all {
            let names: Vec<String> = group.names.split('|').map(|name| format!("`{name}`")).collect();
            out.push_str(&format!("| {} | {} |\n", names.join(", "), becomes(group.status)));
        }
    }
    out.push_str("\n### Sections without effect\n\n| section | state |\n|---|---|\n");
    for (status, name) in groups::SECTIONS {
        out.push_str(&format!("| `{name}` | {} |\n", becomes(*status)));
    }
}

/// Keywords of the groups that the manual of HAProxy 2.6 no longer has.
const GONE: &str = "nosepoll|tune.chksize|appsession|cliexp|srvexp|option http_proxy|option tcpsplice|option http-use-htx|reqadd|reqallow|reqdel|\
     reqdeny|reqiallow|reqidel|reqideny|reqipass|reqirep|reqisetbe|reqitarpit|reqpass|reqrep|reqsetbe|reqtarpit|rspadd|\
     rspdel|rspdeny|rspidel|rspideny|rspirep|rsprep";

/// Keywords of the groups that the manual of HAProxy 2.6 does not have yet.
const LATER: &str = "cpu-policy|dns-accept-family|expose-deprecated-directives|hash-preserve-affinity|\
     httpclient.resolvers.disabled|httpclient.retries|httpclient.timeout.connect|key-base|limited-quic|\
     mworker-prealias|noktls|ocsp-update.disable|option accept-unsafe-violations-in-http-request|\
     option accept-unsafe-violations-in-http-response|setcap|ssl-default-bind-client-sigalgs|\
     ssl-default-bind-sigalgs|ssl-default-server-client-sigalgs|ssl-default-server-curves|\
     ssl-default-server-sigalgs|ssl-security-level|thread-hard-limit|tune.applet.zero-copy-forwarding|\
     tune.disable-fast-forward|tune.disable-zero-copy-forwarding|tune.epoll.mask-events|\
     tune.events.max-events-at-once|tune.glitches.kill.cpu-usage|tune.h1.zero-copy-fwd-recv|\
     tune.h1.zero-copy-fwd-send|tune.h2.be.glitches-threshold|tune.h2.be.initial-window-size|\
     tune.h2.be.max-concurrent-streams|tune.h2.be.rxbuf|tune.h2.fe.glitches-threshold|\
     tune.h2.fe.initial-window-size|tune.h2.fe.max-concurrent-streams|tune.h2.fe.max-total-streams|\
     tune.h2.fe.rxbuf|tune.h2.zero-copy-fwd-send|tune.listener.default-shards|\
     tune.lua.bool-sample-conversion|tune.lua.burst-timeout|tune.lua.log.loggers|tune.lua.log.stderr|\
     tune.lua.openlibs|tune.max-checks-per-thread|tune.max-rules-at-once|tune.memory.hot-size|\
     tune.notsent-lowat.client|tune.notsent-lowat.server|tune.pt.zero-copy-forwarding|\
     tune.quic.cc-hystart|tune.quic.cc.cubic.min-losses|tune.quic.disable-tx-pacing|\
     tune.quic.disable-udp-gso|tune.quic.frontend.default-max-window-size|\
     tune.quic.frontend.max-data-size|tune.quic.frontend.max-tx-mem|tune.quic.frontend.stream-data-ratio|\
     tune.quic.max-frame-loss|tune.quic.reorder-ratio|tune.quic.socket-owner|\
     tune.quic.zero-copy-fwd-send|tune.rcvbuf.backend|tune.rcvbuf.frontend|tune.renice.runtime|\
     tune.renice.startup|tune.ring.queues|tune.sndbuf.backend|tune.sndbuf.frontend|\
     tune.ssl.certificate-compression|tune.ssl.ocsp-update.maxdelay|tune.ssl.ocsp-update.mindelay|\
     tune.stick-counters|tune.takeover-other-tg-connections|tune.vars.check-max-size|\
     warn-blocked-traffic-after";

/// As far as the manual of 2.6 tells.
fn since(name: &str) -> &'static str {
    if listed(GONE, name) {
        "gone before 2.6"
    } else if listed(LATER, name) {
        "after 2.6"
    } else {
        "2.6 or before"
    }
}

fn becomes(status: Status) -> String {
    let text = match status {
        Status::Works => String::new(),
        Status::AcceptedIgnored(why) => format!("**ignored**, with a warning: {why}"),
        Status::Silent(why) => format!("**silent**: {why}"),
        Status::Refused(why) => format!("**refused**: {why}"),
        Status::NotYet(what) => format!("**not active yet**, with a warning: {what}"),
    };
    text.replace('|', "\\|")
}

fn state<F: Copy>(entry: &Entry<F>) -> String {
    let mut text = match entry.status {
        Status::Works => entry.help.to_owned(),
        status => format!("{}; {}", entry.help, becomes(status)),
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
