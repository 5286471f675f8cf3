use super::spellings::{SPELLINGS, Takes};
use super::*;

fn parse(line: &str) -> Result<Cli, Exit> {
    Cli::parse(line.split(' ').filter(|arg| !arg.is_empty()).map(OsString::from))
}

fn error(line: &str) -> String {
    let exit = parse(line).unwrap_err();
    assert_eq!(exit.code, 1, "{line}");
    exit.text
}

#[test]
fn nothing_means_the_preset() {
    let cli = parse("").unwrap();
    assert!(cli.files.is_empty() && !cli.check && !cli.demo);
    assert_eq!(cli.preset, Preset::default());
    assert_eq!(cli.verbosity, Verbosity::Normal);
    let cli = parse("--listen 127.0.0.1:8080 --web=[::1]:80 --ws unix@/run/ws --socket abns@x").unwrap();
    assert_eq!(cli.preset.listen, "127.0.0.1:8080");
    assert_eq!(cli.preset.web, "[::1]:80");
    assert_eq!((cli.preset.ws.as_str(), cli.preset.socket.as_str()), ("unix@/run/ws", "abns@x"));
}

#[test]
fn as_scripts_call_it() {
    // OpenWrt's check and service.
    let cli = parse("-c -q -V -f /etc/haproxy.cfg").unwrap();
    assert!(cli.check && cli.verbosity == Verbosity::Verbose);
    assert_eq!(cli.files, [PathBuf::from("/etc/haproxy.cfg")]);
    let cli = parse("-q -W -db -f /etc/haproxy.cfg").unwrap();
    assert!(cli.verbosity == Verbosity::Quiet && !cli.goes_to_background(true));
    // The manual's init script (management §3).
    let cli = parse("-f a.cfg -D -p /run/x.pid -sf 12 13 -f b.cfg -- c.cfg -d.cfg").unwrap();
    assert_eq!(cli.finish, [12, 13]);
    assert_eq!(cli.files, ["a.cfg", "b.cfg", "c.cfg", "-d.cfg"].map(PathBuf::from));
    assert_eq!(cli.pidfile, Some("/run/x.pid".into()));
    assert!(cli.goes_to_background(false));
}

#[test]
fn pid_lists() {
    assert_eq!(parse("-sf").unwrap().finish, [0; 0]);
    assert_eq!(parse("-st 1 2 -c").unwrap().terminate, [1, 2]);
    assert_eq!(parse("-sf -st 3").unwrap().terminate, [3]);
    let quoted = ["-sf", "12 13\n", "-D"].into_iter().map(OsString::from);
    assert_eq!(Cli::parse(quoted).unwrap().finish, [12, 13]);
    let empty = ["-sf", "", "-D"].into_iter().map(OsString::from);
    assert_eq!(Cli::parse(empty).unwrap().finish, [0; 0]);
    for list in ["0", "12x", "99999999999"] {
        assert!(error(&format!("-sf {list}")).contains("a process id was expected"), "{list}");
    }
}

#[test]
fn who_goes_to_the_background() {
    for (line, configured, expected) in [
        ("", false, false),
        ("", true, true),
        ("-D", false, true),
        ("-D -db", true, false),
        ("-D -d", true, false),
        ("-c", true, false),
        // As HAProxy: its -W goes to the background where it is told to, its -Ws never does.
        ("-W", true, true),
        ("-W -D", false, true),
        ("-W -db", true, false),
        ("-Ws", true, false),
        ("-Ws -D", false, false),
    ] {
        assert_eq!(parse(line).unwrap().goes_to_background(configured), expected, "{line}");
    }
}

#[test]
fn waiting_for_addresses() {
    assert_eq!(parse("-c").unwrap().wait_bind, None);
    assert_eq!(parse("--wait-bind -c").unwrap().wait_bind, Some(WaitBind::Forever));
    assert_eq!(parse("--wait-bind=30").unwrap().wait_bind, Some(WaitBind::Seconds(30)));
}

#[test]
fn mistakes_say_what_to_do() {
    for (line, says) in [
        ("--lisen *:80", "unknown flag '--lisen': did you mean '--listen'?"),
        ("--print-confg", "did you mean '--print-config'?"),
        ("--frobnicate", "unknown flag '--frobnicate': --help lists all"),
        ("-dKall", "-dKall: this debugging flag of HAProxy has no counterpart here"),
        ("-dL", "has no counterpart"),
        ("--wait-bind=0", "a whole number from 1 on was expected"),
        ("--wait-bind=", "a whole number from 1 on was expected"),
        ("--wait-bind 5", "unexpected '5'"),
        ("-x /run/sock", "SIGUSR2 keeps the listening sockets"),
        ("a.cfg", "unexpected 'a.cfg': a configuration file follows -f or --"),
        ("-f", "-f: a value must follow"),
        ("-n 0", "a whole number from 1 on was expected"),
        ("-n many", "many"),
        ("--check=yes", "--check takes no value"),
        ("-p a -p b", "pidfile"),
        ("-f a.cfg --web x:1", "--web belongs to the built-in preset"),
    ] {
        let text = error(line);
        assert!(text.contains(says), "{line}: {text}");
        assert!(text.starts_with("oneport: ") && text.ends_with('\n') && text.lines().count() == 1, "{text}");
    }
    for address in ["", "a b", "a\nbind", "a#", "\"x", "$HOME"] {
        let args = ["--listen", address].into_iter().map(OsString::from);
        assert!(Cli::parse(args).unwrap_err().text.contains("an address was expected"), "{address:?}");
    }
}

#[test]
fn arguments_that_are_not_text() {
    use std::os::unix::ffi::OsStringExt;
    let exit = Cli::parse([OsString::from_vec(vec![b'-', 0xFF])].into_iter()).unwrap_err();
    assert!(exit.text.contains("is not UTF-8"));
}

#[test]
fn the_demo_is_there_or_says_that_it_is_not() {
    match parse("--demo --listen 127.0.0.1:8080") {
        Ok(cli) => assert!(cfg!(feature = "demo") && cli.demo),
        Err(exit) => assert!(!cfg!(feature = "demo") && exit.text.contains("has no demo")),
    }
}

/// Every spelling is understood by argh and stands in the help, and the help names nothing else.
#[test]
fn help_is_true() {
    let help = parse("--help").unwrap_err();
    assert_eq!((help.code, &help), (0, &parse("-h").unwrap_err()));
    for (short, long, takes) in SPELLINGS {
        let value = match (*long, takes) {
            (_, Takes::Nothing | Takes::OneOr(_)) => "",
            ("--listen" | "--web" | "--ws" | "--socket", _) => "*:80",
            _ => "1",
        };
        let names = if short.is_empty() { format!("  {long} ") } else { format!("  {short}, {long}") };
        if *long != "--help" {
            assert!(help.text.lines().any(|line| line.starts_with(&names)), "{names} in\n{}", help.text);
        }
        for name in [short, long].into_iter().filter(|name| !name.is_empty()) {
            if let Err(exit) = parse(&format!("{name} {value}")) {
                assert!(exit.code == 0 || *long == "--demo", "{name}: {}", exit.text);
            }
        }
    }
    let shown = help.text.lines().filter(|line| line.starts_with("  -")).count();
    assert_eq!(shown, SPELLINGS.len(), "{}", help.text);
    assert!(help.text.lines().all(|line| line.len() <= 90), "{}", help.text);
    let defaults = [DEFAULT_LISTEN, DEFAULT_WEB, DEFAULT_WS, DEFAULT_SOCKET];
    assert!(defaults.iter().all(|address| help.text.contains(&format!("default {address}"))));
}

#[test]
fn versions() {
    let short = parse("-v").unwrap_err();
    assert_eq!(short, Exit { code: 0, text: format!("oneport version {}\n", env!("CARGO_PKG_VERSION")) });
    let long = parse("-vv -f x").unwrap_err();
    assert!(long.code == 0 && long.text.starts_with(&short.text));
    for part in ["Target: ", "Features: ", "Buffers: 16384 bytes", "File descriptors: "] {
        assert!(long.text.contains(part), "{}", long.text);
    }
}
