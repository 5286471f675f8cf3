//! What is wrong with a configuration is said all at once, with file and line, before anything starts.

use crate::support::client::Client;
use crate::support::ports::free_port;
use crate::support::process::{Starter, folder, run, written};
use crate::support::program::only_oneport;

/// Exit code and text of `-c` with this file.
fn check(config: &str) -> (Option<i32>, String) {
    let dir = folder();
    let file = dir.path().join("test.cfg");
    std::fs::write(&file, config).unwrap();
    let output = run(&["-c", "-f", file.to_str().unwrap()]);
    (output.status.code(), written(&output))
}

const GOOD: &str = "defaults\n mode http\n timeout connect 5s\n timeout client 50s\n timeout server 50s\n\
                    listen l\n bind 127.0.0.1:29999\n server s 127.0.0.1:29998\n";

#[test]
fn a_good_file_is_0() {
    let (code, text) = check(GOOD);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn every_error_of_a_file_comes_in_one_go() {
    let bad = "defaults\n mode http\n timout connect 5s\nlisten l\n bind 127.0.0.1:99999\n \
               use_backend nowhere if TRUE\n bnid 127.0.0.1:1\n timeout client 5x\n server s 127.0.0.1:1 wieght 3\n";
    let (code, text) = check(bad);
    assert_eq!(code, Some(1), "{text}");
    for line in [3, 5, 7, 8, 9] {
        assert!(text.contains(&format!("test.cfg:{line}")), "line {line} is missing in:\n{text}");
    }
    for word in ["timout", "bnid", "wieght"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn the_nearest_keyword_is_named() {
    if only_oneport("how HAProxy words it is its own affair") {
        return;
    }
    let (_, text) = check(&GOOD.replace(" timeout connect", " timout connect").replace(" bind ", " bnid "));
    assert!(text.contains("timeout") && text.contains("bind"), "{text}");
}

#[test]
fn a_backend_that_does_not_exist() {
    let (code, text) = check(&format!("{GOOD}frontend f\n bind 127.0.0.1:29997\n default_backend nowhere\n"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("nowhere"), "{text}");
}

#[test]
fn nothing_is_started_with_a_bad_file() {
    let dir = folder();
    let (file, pidfile) = (dir.path().join("test.cfg"), dir.path().join("pid"));
    let port = free_port();
    std::fs::write(&file, format!("{}\n nonsense\n", GOOD.replace("29999", &port.to_string()))).unwrap();
    let (file, pidfile_text) = (file.to_str().unwrap(), pidfile.to_str().unwrap());
    let output = run(&["-D", "-p", pidfile_text, "-f", file]);
    assert_eq!(output.status.code(), Some(1), "{}", written(&output));
    assert!(!crate::support::ports::is_listening(port));
    assert!(!pidfile.exists());
}

#[test]
fn a_missing_file() {
    let output = run(&["-f", "/nonexistent/oneport.cfg"]);
    let text = written(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("/nonexistent/oneport.cfg"), "{text}");
    if !only_oneport("HAProxy writes more lines") {
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    }
}

#[test]
fn several_files_are_one_configuration() {
    let dir = folder();
    let (first, second) = (dir.path().join("1.cfg"), dir.path().join("2.cfg"));
    std::fs::write(&first, "defaults\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n")
        .unwrap();
    std::fs::write(&second, "listen l\n bind 127.0.0.1:29999\n server s 127.0.0.1:1\n nonsense\n").unwrap();
    let output = run(&["-c", "-f", first.to_str().unwrap(), "-f", second.to_str().unwrap()]);
    assert!(written(&output).contains("2.cfg:4"), "{}", written(&output));
}

#[test]
fn a_folder_means_its_cfg_files_in_order() {
    let dir = folder();
    let port = free_port();
    std::fs::write(
        dir.path().join("10-first.cfg"),
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("20-second.cfg"),
        format!("listen l\n bind 127.0.0.1:{port}\n default_backend b\n"),
    )
    .unwrap();
    std::fs::write(dir.path().join("30-third.cfg"), "backend b\n server s 127.0.0.1:1\n").unwrap();
    std::fs::write(dir.path().join("40-other.txt"), "this is no configuration\n").unwrap();
    std::fs::write(dir.path().join(".hidden.cfg"), "neither is this\n").unwrap();
    let _gateway = {
        let mut command = std::process::Command::new(crate::support::program::Program::subject().path());
        command.args(["-db", "-f"]).arg(dir.path());
        Starter::new().ready_port(port).spawn(command, folder())
    };
    drop(Client::to(port));
}

#[test]
fn what_the_lexer_tolerates() {
    let port = free_port();
    let text = format!(
        "# a comment\r\nglobal\n log-tag the\\ door\\#man\ndefaults # another\r\n\tmode\thttp\r\n timeout connect \"5s\"\n \
         timeout client '5s'\n timeout server 5\\x73\n\nlisten \"l\"\n bind \"127.0.0.1:${{TEST_PORT-{port}}}\"\n \
         server s 127.0.0.1:1 # a comment behind\n"
    );
    let (code, said) = check(&text);
    assert_eq!(code, Some(0), "{said}");
    let _gateway = Starter::new().ready_port(port).start(&text);
    if !only_oneport("HAProxy wants the last newline") {
        let (code, said) = check(text.trim_end());
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn an_environment_variable_names_the_port() {
    let port = free_port();
    let dir = folder();
    let file = dir.path().join("test.cfg");
    std::fs::write(&file, GOOD.replace("127.0.0.1:29999", "\"127.0.0.1:${TEST_PORT}\"")).unwrap();
    let mut command = std::process::Command::new(crate::support::program::Program::subject().path());
    command.args(["-db", "-f"]).arg(&file).env("TEST_PORT", port.to_string());
    let gateway = Starter::new().ready_port(port).spawn(command, dir);
    drop(gateway.client());
}

#[test]
fn an_unclosed_quote_is_an_error_of_its_line() {
    let (code, text) = check(&format!("{GOOD} server \"x 127.0.0.1:1\n"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("test.cfg:9"), "{text}");
}

#[test]
fn missing_timeouts_are_a_warning_that_names_them() {
    let (code, text) = check("listen l\n mode http\n bind 127.0.0.1:29999\n server s 127.0.0.1:1\n");
    assert_eq!(code, Some(0), "{text}");
    for word in ["connect", "client", "server"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn nbproc_is_a_warning() {
    if only_oneport("HAProxy 2.6 refuses nbproc") {
        return;
    }
    let (code, text) = check(&format!("global\n nbproc 1\n{GOOD}"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nbproc"), "{text}");
}

/// `-cc`: the exit status is the answer.
#[test]
fn a_condition_is_answered_by_the_exit_status() {
    for (condition, code) in [
        ("", 1),
        ("1", 0),
        ("version_atleast(2.4)", 0),
        ("version_atleast(3.0)", 1),
        ("!(feature(NO_SUCH_THING) || 0) && streq(a,a)", 0),
        ("defined(PATH)", 0),
        ("nonsense", 2),
        ("streq(a", 2),
    ] {
        let output = run(&["-cc", condition]);
        assert_eq!(output.status.code(), Some(code), "{condition}: {}", written(&output));
    }
}

#[test]
fn conditional_blocks_and_messages() {
    let text = format!(
        "global\n setenv WHO world\n.notice \"hello $WHO\"\n.diag details\n.if !defined(WHO)\n nonsense 'x\n.endif\n{GOOD}"
    );
    let (code, said) = check(&text);
    assert!(code == Some(0) && said.contains("hello world") && !said.contains("details"), "{said}");
    let (code, said) = check(&format!("{GOOD}.alert \"not on this machine\"\n"));
    assert!(code == Some(1) && said.contains("not on this machine"), "{said}");
}

#[test]
fn warnings_can_be_forbidden() {
    let dir = folder();
    let file = dir.path().join("test.cfg");
    let warned = GOOD.replace(" mode http\n", " mode http\n grace 5s\n");
    for (text, flags, code) in [
        (GOOD.to_owned(), &["-c", "-dW"][..], 0),
        (warned.clone(), &["-c"], 0),
        (warned.clone(), &["-c", "-dW"], 1),
        (format!("global\n zero-warning\n{warned}"), &["-c"], 1),
    ] {
        if code == 0 && !only_oneport("HAProxy 2.6 warns of other things") || code == 1 {
            std::fs::write(&file, &text).unwrap();
            let output = run(&[flags, &["-f", file.to_str().unwrap()]].concat());
            assert_eq!(output.status.code(), Some(code), "{text}\n{}", written(&output));
        }
    }
}

#[test]
fn what_means_nothing_is_told_only_to_those_who_ask() {
    if only_oneport("HAProxy's tuning keywords mean something to it") {
        return;
    }
    let dir = folder();
    let file = dir.path().join("test.cfg");
    std::fs::write(&file, format!("global\n nbthread 2\n tune.maxaccept 5\n{GOOD}")).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&["-c", "-f", file]);
    assert_eq!(written(&output).trim_end(), "Configuration file is valid");
    let output = run(&["-c", "-q", "-V", "-f", file]);
    let text = written(&output);
    assert!(text.contains("test.cfg:2: note: `nbthread`") && text.contains("test.cfg:3: note:"), "{text}");
    assert!(text.contains("Configuration file is valid"), "{text}");
}

/// `-c` of a file that names another one of this content; what is said, the folder left out.
fn check_naming(lines: &str, content: &[u8]) -> (Option<i32>, String) {
    let dir = folder();
    let (file, named) = (dir.path().join("test.cfg"), dir.path().join("named"));
    if content != b"(none)" {
        std::fs::write(&named, content).unwrap();
    }
    std::fs::write(&file, format!("{GOOD}{lines}\n").replace("@FILE@", named.to_str().unwrap())).unwrap();
    let output = run(&["-c", "-f", file.to_str().unwrap()]);
    (output.status.code(), written(&output).replace(dir.path().to_str().unwrap(), "DIR"))
}

/// Whatever is wrong with a page is told in the line that names it, whichever line that is.
#[test]
fn pages_that_are_none() {
    const PAGE: &[u8] = b"HTTP/1.1 503 Later\r\nContent-Type: text/plain\r\n\r\nlater\n";
    let long = [PAGE, &[b'a'; 16 * 1024]].concat();
    let faults: [(&[u8], &str); 12] = [
        (b"(none)", "cannot read the file `DIR/named`"),
        (&long, "larger than 15360 bytes"),
        (b"<h1>503</h1>\n", "is no HTTP answer"),
        (b"HTTP/1.1 503 Later\r\n", "no empty line ends its head"),
        (b"HTTP/1.1 503 Later\r\nno field\r\n\r\n", "is no HTTP answer"),
        (b"HTTP/2 503 Later\r\n\r\n", "is no HTTP answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "interim"),
        (b"\xef\xbb\xbfHTTP/1.1 503 Later\r\n\r\n", "byte-order mark"),
        (b"\xff\xfeH\0T\0T\0P\0", "byte-order mark"),
        (b"HTTP/1.1 503 Later\r\nContent-Length: 3\r\n\r\nlater", "Content-Length"),
        (b"HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked"),
        (&[0; 4_000], "is no HTTP answer"),
    ];
    let lines = [
        " errorfile 503 @FILE@",
        "http-errors e\n errorfile 503 @FILE@",
        " http-request return status 503 errorfile @FILE@",
        " http-error status 503 errorfile @FILE@",
    ];
    for line in lines {
        let number = GOOD.lines().count() + line.lines().count();
        for (content, what) in faults {
            let (code, text) = check_naming(line, content);
            assert_eq!(code, Some(1), "{line}, {what}:\n{text}");
            if !only_oneport("HAProxy words it differently") {
                let place = format!("test.cfg:{number}: error: ");
                assert!(text.contains(&place) && text.contains(what), "{line}, {what}:\n{text}");
            }
        }
        let (code, text) = check_naming(line, PAGE);
        assert_eq!(code, Some(0), "{line}:\n{text}");
    }
}

#[test]
fn error_sections_and_their_use() {
    for (lines, number, what) in [
        (" errorfiles nowhere", 9, "no section http-errors `nowhere`"),
        (" http-request deny errorfiles nowhere", 9, "no section http-errors `nowhere`"),
        (" http-error status 503 errorfiles eror\nhttp-errors error", 9, "did you mean `error`"),
        ("http-errors", 9, "needs a name"),
        ("http-errors e\nhttp-errors e", 10, "already"),
        ("http-errors e\n errorloc 503 /x", 10, "allowed only in"),
        ("http-errors e\n errorfile 418 /x", 10, "no error page has the status 418"),
        (" errorfiles e 418\nhttp-errors e", 9, "no error page has the status 418"),
        (" http-error string x", 9, "`http-error` takes status"),
        (" http-error status 503 strnig x", 9, "strnig"),
        (" monitor-net 10.0.0.0/33", 9, "no address or network"),
        (" monitor-net", 9, "needs a network"),
    ] {
        let (code, text) = check(&format!("{GOOD}{lines}\n"));
        assert_eq!(code, Some(1), "{lines}:\n{text}");
        if !only_oneport("HAProxy words it differently") {
            let place = format!("test.cfg:{number}: error: ");
            assert!(text.contains(&place) && text.contains(what), "{lines}:\n{text}");
        }
    }
    for (lines, what) in [
        (" errorfiles e 503\nhttp-errors e", "no page for the status 503"),
        (" http-request deny errorfiles e\nhttp-errors e", "no page for the status 403"),
        (" http-error status 503 default-errorfiles hdr X y", "no effect of `hdr`"),
    ] {
        let (code, text) = check(&format!("{GOOD}{lines}\n"));
        assert_eq!(code, Some(0), "{lines}:\n{text}");
        if !only_oneport("HAProxy words it differently") {
            assert!(text.contains("test.cfg:9: warning: ") && text.contains(what), "{lines}:\n{text}");
        }
    }
}
