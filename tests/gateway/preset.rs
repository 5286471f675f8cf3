//! The built-in single-port preset and its flags.

use crate::support::process::{folder, run, written};
use crate::support::program::only_oneport;

#[test]
fn print_config_prints_a_configuration_that_checks() {
    if only_oneport("the preset") {
        return;
    }
    let flags = [
        "--listen",
        "127.0.0.1:28080",
        "--web",
        "127.0.0.1:28100",
        "--ws",
        "[::1]:2200",
        "--socket",
        "unix@/run/raw",
    ];
    let output = run(&[&flags[..], &["--print-config"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for value in ["127.0.0.1:28080", "127.0.0.1:28100", "[::1]:2200", "/run/raw"] {
        assert!(text.contains(value), "{value} is missing in:\n{text}");
    }
    let dir = folder();
    let file = dir.path().join("printed.cfg");
    std::fs::write(&file, &text).unwrap();
    let output = run(&["-c", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    let mut haproxy = std::process::Command::new(crate::support::program::installed("haproxy", "haproxy"));
    haproxy.args(["-c", "-f"]).arg(&file);
    let output = crate::support::process::run_command(haproxy);
    assert_eq!(output.status.code(), Some(0), "HAProxy takes it as well: {}", written(&output));
}

#[test]
fn print_config_without_flags_names_the_defaults() {
    if only_oneport("the preset") {
        return;
    }
    let text = written(&run(&["--print-config"]));
    for value in ["*:80", "127.0.0.1:8100", "127.0.0.1:2200", "127.0.0.1:2100", "0000000000000000"] {
        assert!(text.contains(value), "{value} is missing in:\n{text}");
    }
}

#[test]
fn an_address_that_is_none_is_one_clear_line() {
    if only_oneport("the preset") {
        return;
    }
    let output = run(&["--listen", "127.0.0.1:http"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(written(&output).contains("http"), "{}", written(&output));
}
