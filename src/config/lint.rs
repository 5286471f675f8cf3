//! What is allowed and probably not meant: each is a warning, found once everything was read or as soon as it can be.

use super::builder::Builder;
use super::diagnostics::{Severity, Spot};
use super::draft::{AclTable, Proxy};
use super::model::{AclTest, BindAddress, Condition, Fetch, HttpRule, MatchKind, Term};
use std::collections::BTreeMap;

/// Earlier rules that a rule is compared with; a longer list is a generated one.
const COMPARED_MAX: usize = 1_000;

/// Keywords of a section that do something in `mode http` only.
const HTTP_ONLY: [&str; 30] = [
    "block",
    "capture cookie",
    "capture request header",
    "capture response header",
    "cookie",
    "errorfile",
    "errorfiles",
    "errorloc",
    "errorloc302",
    "errorloc303",
    "http-after-response",
    "http-error",
    "http-request",
    "http-response",
    "monitor fail",
    "monitor-uri",
    "option http-buffer-request",
    "option http-use-proxy-header",
    "option httplog",
    "redirect",
    "unique-id-header",
    "option forwardfor",
    "option originalto",
    "option http-pretend-keepalive",
    "option http-ignore-probes",
    "option http-restrict-req-hdr-names",
    "option http-server-close",
    "option httpclose",
    "option http-keep-alive",
    "http-reuse",
];

/// Whether a keyword does nothing where no HTTP is spoken: in a backend of `mode tcp`, and in a frontend of that mode
/// that sends to no other backend.
pub(crate) fn is_http_only(keyword: &str) -> bool {
    // The rules of HAProxy 1.x for lines of heads.
    HTTP_ONLY.contains(&keyword) || keyword.starts_with("req") || keyword.starts_with("rsp")
}

/// Why a rule cannot be reached behind `earlier` ones of its kind.
pub(crate) fn unreachable(
    acls: &AclTable,
    condition: Option<&Condition>,
    earlier: &mut dyn Iterator<Item = (Option<&Condition>, u32)>,
) -> Option<String> {
    for (before, line) in earlier.take(COMPARED_MAX) {
        let why = match before {
            None => "always applies",
            Some(before) if is_always(acls, before) => "always applies",
            Some(before) if Some(before) == condition && !has_chance(acls, before) => {
                "has the same condition"
            }
            Some(_) => continue,
        };
        return Some(format!("this rule is never reached: the one in line {line} {why}"));
    }
    None
}

/// Why a rule for HTTP cannot be reached: one before it ends the list whatever comes. That it has the same condition says
/// nothing, since rules between the two may change what it looks at.
pub(crate) fn unreachable_http(
    acls: &AclTable,
    earlier: &mut dyn Iterator<Item = &HttpRule>,
) -> Option<String> {
    let always = |rule: &&HttpRule| rule.condition.as_ref().is_none_or(|c| is_always(acls, c));
    let before = earlier.take(COMPARED_MAX).filter(|rule| rule.action.is_final()).find(always)?;
    Some(format!("this rule is never reached: the one in line {} always applies", before.place.line))
}

/// Whether a condition holds whatever comes: by `TRUE`, say.
fn is_always(acls: &AclTable, condition: &Condition) -> bool {
    // What a term is at any time, if it is the same at any time.
    let constant = |term: &Term| {
        let tests = acls.by_id(term.acl)?.tests.as_slice();
        let plain = |test: &AclTest| match test.expr.fetch {
            Fetch::Always(value)
                if test.expr.converters.is_empty() && test.matcher.kind == MatchKind::Bool =>
            {
                Some(value)
            }
            _ => None,
        };
        match tests {
            [test] => plain(test).map(|value| value != term.negated),
            _ => None,
        }
    };
    match condition.unless {
        false => condition.any_of.iter().any(|group| group.iter().all(|term| constant(term) == Some(true))),
        true => condition.any_of.iter().all(|group| group.iter().any(|term| constant(term) == Some(false))),
    }
}

/// The kinds of rules of a proxy in the order in which they are asked.
const STAGES: [&str; 6] =
    ["tcp-request content", "block", "http-request", "redirect", "use_backend", "use-server"];

/// Why a line stands where one would not look for it: what is asked after it has been written before.
pub(crate) fn misplaced(proxy: &Proxy, keyword: &str) -> Option<String> {
    let stage = STAGES.iter().position(|name| *name == keyword)?;
    let rules = &proxy.http_rules;
    let written = [
        !proxy.tcp_rules.request.is_empty(),
        !proxy.blocks.is_empty(),
        !rules.request.is_empty(),
        !rules.redirects.is_empty(),
        !proxy.use_backends.is_empty(),
        !proxy.use_servers.is_empty(),
    ];
    let mut later = STAGES.iter().zip(written).skip(stage + 1);
    let (name, _) = later.find(|(_, written)| *written)?;
    Some(format!("`{keyword}` is asked before the `{name}` lines that stand above it"))
}

/// Whether a condition can change from one look to the next.
fn has_chance(acls: &AclTable, condition: &Condition) -> bool {
    condition.any_of.iter().flatten().any(|term| {
        let tests = acls.by_id(term.acl).map(|acl| acl.tests.as_slice()).unwrap_or_default();
        tests.iter().any(|test| matches!(test.expr.fetch, Fetch::Random(_)))
    })
}

/// Looks at everything that was read. `speaks_http` tells which of the proxies have to do with HTTP.
pub(crate) fn lint(b: &mut Builder<'_>, speaks_http: &[bool]) {
    let mut found: Vec<(Spot, String)> = Vec::new();
    let mut bound: BTreeMap<String, usize> = BTreeMap::new();
    for ((index, proxy), speaks_http) in b.proxies.iter_mut().enumerate().zip(speaks_http) {
        for (spot, name) in proxy.acls.take_unused() {
            found.push((spot, format!("no rule uses the ACL `{name}`")));
        }
        if proxy.settings.disabled {
            continue;
        }
        if proxy.kind.has_server_side() {
            found.extend(proxy.settings.probes.idle_lines());
        }
        if !speaks_http {
            for (spot, keyword) in std::mem::take(&mut proxy.http_only) {
                found.push((spot, format!("`{keyword}` has no effect in `mode tcp`")));
            }
        }
        let mut spots = proxy.bind_spots.iter().peekable();
        let mut spot = None;
        for (at, bind) in proxy.binds.iter().enumerate() {
            while let Some((_, next)) = spots.next_if(|(first, _)| *first <= at) {
                spot = Some(next);
            }
            let key = match &bind.address {
                BindAddress::Inet(address) if address.port() == 0 => continue,
                BindAddress::Inet(address) => address.to_string(),
                _ => bind.text.clone(),
            };
            if bound.insert(key, index).is_some()
                && let Some(spot) = spot
            {
                found.push((
                    spot.clone(),
                    format!("`{}` is listened on already, by an earlier line", bind.text),
                ));
            }
        }
    }
    for (spot, message) in found {
        b.sink.push(Severity::Warning, spot, message);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    fn warnings(lines: &str, backend: &str) -> Vec<String> {
        let text = format!(
            "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind :1\n \
             tcp-request inspect-delay 1s\n default_backend b\n{lines}\nbackend b\n{backend}\n"
        );
        load(&[Source::new("t", text)], &|_| None).diagnostics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_probably_not_meant_is_said_with_its_place() {
        for (lines, backend, want) in [
            (" acl a src ::1", "", "t:9: warning: no rule uses the ACL `a`\n     acl a src ::1\n         ^"),
            (
                " use_backend b\n use_backend b if HTTP",
                "",
                "t:10: warning: this rule is never reached: the one in line 9 always",
            ),
            (
                " use_backend b if HTTP\n use_backend b if HTTP",
                "",
                "t:10: warning: this rule is never reached: the one in line 9 has the same",
            ),
            (
                " tcp-request content accept\n tcp-request content reject if HTTP",
                "",
                "t:10: warning: this rule is never",
            ),
            (
                " bind *:1",
                "",
                "t:9: warning: `*:1` is listened on already, by an earlier line\n     bind *:1\n          ^^^",
            ),
            ("", " option forwardfor", "t:11: warning: `option forwardfor` has no effect in `mode tcp`"),
            ("", " http-request deny", "t:11: warning: `http-request` has no effect in `mode tcp`"),
            (
                " http-request deny if HTTP",
                "",
                "t:9: warning: `http-request` has no effect in `mode tcp`\n     http-request deny if HTTP\n     ^^^^^^^^^^^^",
            ),
            (" monitor-uri /alive", "", "t:9: warning: `monitor-uri` has no effect in `mode tcp`"),
        ] {
            let all = warnings(lines, backend);
            assert!(all.len() == 1 && all[0].starts_with(want), "{lines}{backend}: {all:#?}");
        }
    }

    #[test]
    fn rules_for_http_that_are_never_reached_are_named() {
        let never = "this rule is never reached: the one in line 10 always";
        for (lines, want) in [
            ("http-request deny\n http-request allow", never),
            ("http-request return if TRUE\n http-request set-header A b", never),
            ("http-request redirect location / unless FALSE\n http-request deny", never),
            ("redirect location / if HTTP or !FALSE\n redirect location /b", never),
            ("http-response deny\n http-response allow if TRUE", never),
            (
                "use_backend b\n redirect location /",
                "`redirect` is asked before the `use_backend` lines that",
            ),
            (
                "redirect location / if HTTP\n http-request deny",
                "`http-request` is asked before the `redirect`",
            ),
            ("http-request allow\n block if HTTP", "`block` is the old spelling"),
            ("http-request deny if HTTP\n http-request set-header A b if HTTP", ""),
            ("http-request set-header A b\n http-request deny", ""),
            ("http-request allow\n redirect location /", ""),
            ("http-request deny if FALSE\n http-request deny", ""),
            ("http-request deny if TRUE HTTP\n http-request deny", ""),
            ("http-request deny unless TRUE\n redirect location / if HTTP\n use_backend b if HTTP", ""),
        ] {
            let all = warnings(&format!(" mode http\n {lines}"), " mode http");
            let said = all.iter().any(|warning| warning.contains(want));
            assert!(if want.is_empty() { all.is_empty() } else { said }, "{lines}: {all:#?}");
        }
    }

    #[test]
    fn what_is_meant_is_not() {
        for (lines, backend) in [
            (" acl a src ::1\n acl a src ::2\n use_backend b if a\n acl a src ::3", ""),
            (" use_backend b if { rand(9) lt 3 }\n use_backend b if { rand(9) lt 3 }", ""),
            (" use_backend b if HTTP\n use_backend b unless HTTP", " mode http\n option forwardfor"),
            (
                " option forwardfor\n acl a hdr_reg(host) ^www.example.org$\n use_backend b if !a",
                " mode http",
            ),
            (" http-request deny if HTTP\n redirect location / if HTTP", " mode http"),
            // The name that is worked out can be that of a backend for HTTP.
            (" http-request deny if HTTP\n use_backend %[path] if HTTP", ""),
            (" bind :2-9\n bind 127.0.0.1:1", " no option forwardfor"),
        ] {
            assert!(warnings(lines, backend).is_empty(), "{lines}: {:?}", warnings(lines, backend));
        }
    }
}
