//! `oneport explain`: what a file does, told without opening a socket.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::process::{folder, run, written};
use crate::support::program::{Program, only_oneport};

const FILE: &str = "defaults\n mode http\n timeout connect 5s\n timeout client 50s\n timeout server 50s\n\
                    frontend one\n bind 127.0.0.1:29999 name first\n default_backend b\n\
                    frontend two\n bind 127.0.0.1:29998\n acl is_a hdr(host) a.example\n use_backend b if is_a\n\
                    backend b\n server s 127.0.0.1:29997\n";

/// Exit code and text with this file.
fn explain(config: &str, words: &[&str]) -> (Option<i32>, String) {
    let dir = folder();
    let file = dir.path().join("test.cfg");
    std::fs::write(&file, config).unwrap();
    let output = run(&[&["explain", "-f", file.to_str().unwrap()], words].concat());
    (output.status.code(), written(&output))
}

#[test]
fn the_table_of_a_file() {
    if only_oneport("HAProxy has no such subcommand") {
        return;
    }
    let (code, text) = explain(FILE, &[]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["frontend one", "listens on 127.0.0.1:29998", "goes to backend b if is_a", "127.0.0.1:29997"]
    {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
}

#[test]
fn a_request_of_the_command_line() {
    if only_oneport("HAProxy has no such subcommand") {
        return;
    }
    let get = ["--listen-on", "two", "--get", "/", "--header"];
    let (code, text) = explain(FILE, &[&get[..], &["Host: a.example"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("holds: backend b") && text.contains("=> server s"), "{text}");
    let (code, text) = explain(FILE, &[&get[..], &["Host: b.example"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the answer is 503"), "{text}");
}

#[test]
fn rules_for_http_and_their_answers() {
    if only_oneport("HAProxy has no such subcommand") {
        return;
    }
    let rules = "frontend two\n http-request set-header X-A b\n http-request deny deny_status 429 if { path /no }\n\
                 \x20redirect scheme https if { path /tls }\n http-response del-header Server\n";
    let file = FILE.replace("frontend two\n", rules);
    for (path, expected) in [
        ("/no", "=> the answer is 429"),
        ("/tls", "=> the answer is 302"),
        ("/", "the answer is shown to these rules:"),
    ] {
        let header = ["--header", "Host: a.example"];
        let (code, text) = explain(&file, &[&["--listen-on", "two", "--get", path][..], &header].concat());
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("holds: sets the header X-A") && text.contains(expected), "{text}");
    }
    let (_, text) = explain(&file, &[]);
    assert!(text.contains("the answer is 429 if { path /no }"), "{text}");
}

#[test]
fn bytes_of_standard_input_and_the_preset() {
    if only_oneport("HAProxy has no such subcommand") {
        return;
    }
    let mut child = Command::new(Program::subject().path())
        .arg("explain")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\0\0\0\0\0\0\0\0hello").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = written(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("decided with the first 8 bytes") && text.contains("=> server socket"), "{text}");
}

#[test]
fn mistakes_are_1() {
    if only_oneport("HAProxy has no such subcommand") {
        return;
    }
    for (config, words, part) in [
        (FILE.replace("default_backend", "defualt_backend"), &[][..], "test.cfg:8"),
        (FILE.to_owned(), &["--listen-on", "tow"], "did you mean `two`"),
        (FILE.to_owned(), &["--hex", "0"], "odd number"),
    ] {
        let (code, text) = explain(&config, words);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
}
