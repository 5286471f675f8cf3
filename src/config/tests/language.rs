//! Conditional blocks, variables, `default`, user lists, and keywords without effect.

use super::*;

/// What `.notice`, `.warning` and `.alert` of a text say, in order.
fn told(text: &str) -> Vec<String> {
    load_text(text).diagnostics.into_iter().map(|d| d.message).collect()
}

#[test]
fn conditional_blocks_choose_lines() {
    let text = format!(
        "global\n setenv A x\n.if streq(\"$A\",y)\n nonsense 'unclosed\n.if 1\n.alert no\n.elif nonsense(\n.else\n.endif\n\
         .elif defined(A) # as a comment\n.notice \"one $A\" # c\n.elif 1\n.alert no\n.else\n.alert no\n.endif\n\
         \t.if\n.alert no\n.else # c\n.notice two\n.endif\n{BASE}\
         listen l\n.if version_atleast(2.4) && !feature(OPENSSL)\n bind :1\n.else\n bind :2 ssl crt x\n.endif\n"
    );
    let (config, messages) = good(&text);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("t.cfg:11: note: one x\n"), "{}", messages[0]);
    assert!(messages[1].starts_with("t.cfg:20: note: two\n"), "{}", messages[1]);
    assert_eq!(config.frontends[0].binds[0].address, BindAddress::Inet("0.0.0.0:1".parse().unwrap()));
}

#[test]
fn what_is_wrong_with_conditional_blocks() {
    for (text, parts) in [
        (".if 1\n", &["no `.endif`"][..]),
        (".endif\n.else\n.elif 1\n", &["no `.if`"; 3]),
        (".if 0\n.else\n.else\n.elif 1\n.endif\n", &["last branch"; 2]),
        // A faulty condition makes its lines count in no branch.
        (".if nope\n x y\n.elif 1\n x\n.else\n x\n.endif\n", &["expected a number"]),
        (".if 'x\n x y\n.endif\n", &["never closed"]),
        (".else x\n", &["no `.if`"]),
        (".if 1\n.endif x\n", &["nothing can stand"]),
        (".nonsense\n", &["unknown directive"]),
        (".notise x\n", &["did you mean `.notice`"]),
        (".alert a b\n", &["put it in quotes"]),
        (".alert 'all wrong'\n", &["all wrong"]),
    ] {
        let all = told(&format!("{text}{}", in_backend("")));
        assert_eq!(all.len(), parts.len(), "{text}\n{all:?}");
        assert!(all.iter().zip(parts).all(|(one, part)| one.contains(part)), "{text}\n{all:?}");
    }
    let deep = format!("{}{}{}", ".if 1\n".repeat(70), ".endif\n".repeat(70), in_backend(""));
    assert_eq!(told(&deep), ["at most 64 `.if` can stand inside each other"]);
    // The caret stands under the word.
    let text = &errors(".if 1 && nope(x)\n.endif\n")[0];
    assert!(text.ends_with("\n    .if 1 && nope(x)\n             ^^^^^^^"), "{text}");
}

#[test]
fn blocks_end_with_their_file() {
    let sources = [Source::new("a.cfg", ".if 0\n"), Source::new("b.cfg", in_backend(""))];
    let loaded = load(&sources, &|_| None);
    let all: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(all, ["a.cfg:1: error: this `.if` has no `.endif` in its file\n    .if 0\n    ^^^"]);
}

#[test]
fn the_environment_changes_from_line_to_line() {
    let text = "global\n setenv PORT 81\n presetenv PORT 82\n presetenv FD 9\n localpeer here\n\
                listen a\n bind \":$PORT\"\n bind fd@${FD}\n.notice \"$HAPROXY_LOCALPEER\"\n\
                global\n unsetenv PORT\nlisten b\n bind \":${PORT-83}\"\n\
                global\n setenv X x\n resetenv PORT\nlisten c\n bind \":8${FD-4}${X-5}\"\n";
    let loaded = load_text(text);
    let config = loaded.config.unwrap();
    let written: Vec<&str> =
        config.frontends.iter().flat_map(|f| &f.binds).map(|bind| bind.text.as_str()).collect();
    assert_eq!(written, [":81", "fd@5", ":83", ":845"]);
    assert!(loaded.diagnostics.iter().any(|d| d.message == "here"));
    for (line, part) in [
        ("setenv A", "expected `setenv NAME VALUE`"),
        ("setenv 1A b", "no name of a variable"),
        ("unsetenv", "expected `unsetenv"),
        ("node a.b", "expected letters"),
        ("hard-stop-after 0", "cannot be 0"),
        ("default-path here", "expected current, config, parent or origin"),
        ("default-path origin", "expected current, config, parent or origin"),
    ] {
        let all = errors(&format!("global\n {line}\n{}", in_backend("")));
        assert!(all.len() == 1 && all[0].contains(part), "{line}: {all:?}");
    }
}

#[test]
fn zero_warning_makes_an_error_of_them() {
    let text = |line: &str| format!("global\n zero-warning\n{}", in_backend(line));
    assert!(load_text(&text("")).config.is_some());
    let all = errors(&text("contimeout 5s"));
    assert!(all.len() == 1 && all[0].contains("zero-warning"), "{all:?}");
}

#[test]
fn default_takes_back_what_defaults_say() {
    let (config, _) = good(&in_frontend(
        "frontend g\n bind :2\n default_backend b\n no option clitcpka\n default option clitcpka\n \
         option dontlognull\n default option dontlognull",
    ));
    let g = &config.frontends[1];
    assert!(g.tcp_keepalive && !g.dont_log_null);
    assert!(errors(&in_frontend("default timeout client 5s"))[0].contains("`default` cannot stand"));
}

#[test]
fn what_means_nothing_here_is_a_detail() {
    let text = format!(
        "global\n nbthread 4\n tune.maxaccept -1\n no busy-polling\n ca-base /etc/ssl\n stats timeout 2m\n noepoll\n\
         ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets\n{}",
        in_frontend("bind :2 crt x defer-accept\n bind-process 1")
    );
    let loaded = load_text(&text);
    assert!(loaded.config.is_some(), "{:?}", loaded.diagnostics);
    let all: Vec<_> = loaded.diagnostics.iter().map(|d| (d.severity, d.place.line)).collect();
    let lines = [2, 3, 4, 5, 6, 7, 8, 17, 17, 18];
    assert_eq!(all, lines.map(|line| (Severity::Detail, line)), "{:?}", loaded.diagnostics);
    assert_eq!(
        loaded.diagnostics[0].message,
        "`nbthread` changes nothing here: oneport serves on one thread"
    );
}

#[test]
fn user_lists_know_names_passwords_and_groups() {
    let text = format!(
        "userlist L1\n group G1 users a,b\n group G2\n user a insecure-password 'x y'\n\
         user b insecure-password z groups G2,G1,G2\n user c\nuserlist L2\n{}",
        in_backend("")
    );
    let (config, _) = good(&text);
    let names: Vec<&str> = config.userlists.iter().map(|list| list.name.as_str()).collect();
    assert_eq!(names, ["L1", "L2"]);
    let [a, b, c] = config.userlists[0].users.as_slice() else { panic!() };
    assert_eq!((&a.password, a.groups.join(",")), (&Password::Plain(b"x y".to_vec()), "G1".to_owned()));
    assert_eq!((b.groups.join(","), &c.password), ("G2,G1".to_owned(), &Password::None));
    for (line, part) in [
        ("user a password $6$x", "no password hash"),
        ("user a groups x", "no group `x`"),
        ("group g users nobody", "no user `nobody`"),
        ("user a\n user a", "has a user `a` already"),
        ("group a\n group a", "has a group `a` already"),
        ("user a insecure-password", "needs a value"),
        ("user", "expected `user NAME"),
        ("group g users a,", "is empty"),
        ("bind :1", "`bind` is allowed only in"),
        ("cookie x", "`cookie` is allowed only in"),
        ("userlist", "needs a name"),
        ("userlist L", "a userlist `L` already"),
    ] {
        let all = errors(&format!("userlist L\n {line}\n{}", in_backend("")));
        assert!(all.len() == 1 && all[0].contains(part), "{line}: {all:?}");
    }
}

/// Each reason is told once, however many lines have it.
#[test]
fn ten_thousand_lines_of_all_kinds_load() {
    let mut text = format!("global\n tune.maxaccept 5\n setenv LAST 9999\n{BASE}");
    for i in 0..1_000 {
        let _ = write!(
            text,
            ".if streq(\"${{LAST}}\",9999) && !feature(OPENSSL)\nlisten l{i}\n bind 127.0.0.1:{}\n mode http\n\
             option httpchk GET /\n cookie S\n email-alert to x\n server s 127.0.0.1:1 cookie s check\n.else\n\
             nonsense\n.endif\n",
            20_000 + i
        );
    }
    let (config, warnings) = good(&text);
    assert_eq!((config.frontends.len(), warnings.len()), (1_000, 1), "{warnings:?}");
}

#[test]
fn rules_of_a_defaults_section_come_first_and_keep_their_acls_to_themselves() {
    let config = good(
        "defaults d\n timeout client 1s\n tcp-request inspect-delay 2s\n acl here src 127.0.0.1\n \
         tcp-request connection reject if here\n tcp-request content set-var(txn.a) int(1)\n \
         http-request deny if { path /x }\nfrontend f from d\n bind :1\n acl here src 127.0.0.2\n \
         tcp-request connection accept if here\n tcp-request content accept\n default_backend b\n\
         defaults e\n timeout server 1s\n timeout connect 1s\n tcp-request content accept\n\
         tcp-response content accept\nbackend b from e\n mode http\n",
    )
    .0;
    let frontend = &config.frontends[0];
    let lines = |rules: &[HttpRule]| rules.iter().map(|rule| rule.place.line).collect::<Vec<_>>();
    assert_eq!(lines(&frontend.tcp.connection), [5, 11]);
    assert_eq!(lines(&frontend.tcp.request), [6, 12]);
    assert_eq!(lines(&frontend.http_rules.request), [7]);
    assert_eq!(frontend.tcp.request_delay_ms, Some(2_000));
    let names = |rule: &HttpRule| rule.condition.as_ref().unwrap().any_of[0][0].acl;
    assert_ne!(names(&frontend.tcp.connection[0]), names(&frontend.tcp.connection[1]));
    assert_eq!(lines(&config.backends[0].tcp.request), [17]);
    assert_eq!(lines(&config.backends[0].tcp.response), [18]);
}
