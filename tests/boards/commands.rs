//! The command line: what is printed, and the exit statuses that init scripts go by.

use crate::board::ROOT;
use crate::inside::Context;
use crate::support::process::{folder, run, written};

/// Flags that only print, and `-c` with a good and with a bad file.
pub fn flags(_: &Context) {
    let version = format!("oneport version {}", env!("CARGO_PKG_VERSION"));
    let short = expect_status(&["-v"], 0);
    assert!(short.contains(&version), "{short}");
    let long = expect_status(&["-vv"], 0);
    assert!(long.contains(&version) && long.len() > short.len(), "{long}");
    expect_status(&["--help"], 0);
    expect_status(&["--no-such-flag"], 1);

    for example in ["single-port.cfg", "two-servers.cfg"] {
        let text = expect_status(&["-c", "-f", &format!("{ROOT}/docs/examples/{example}")], 0);
        assert!(text.contains("Configuration file is valid"), "{text}");
    }
    let example = format!("{ROOT}/docs/examples/two-servers.cfg");
    assert_eq!(expect_status(&["-c", "-q", "-f", &example], 0), "");
    // The way an OpenWrt service checks its file.
    expect_status(&["-c", "-q", "-V", "-f", &example], 0);

    let dir = folder();
    let bad = dir.path().join("bad.cfg");
    std::fs::write(&bad, "defaults\n    timeout client 5s\nfrontend f\n    bnid :80\n").unwrap();
    let text = expect_status(&["-c", "-f", bad.to_str().unwrap()], 1);
    assert!(text.contains("bad.cfg:4") && text.contains("bind"), "the line, and what was meant: {text}");
    let missing = dir.path().join("missing.cfg");
    let text = expect_status(&["-c", "-f", missing.to_str().unwrap()], 1);
    assert!(text.contains("missing.cfg"), "{text}");

    let printed = dir.path().join("printed.cfg");
    let text = expect_status(&["--listen", "127.0.0.1:28080", "--print-config"], 0);
    assert!(text.contains("127.0.0.1:28080"), "{text}");
    std::fs::write(&printed, text).unwrap();
    expect_status(&["-c", "-f", printed.to_str().unwrap()], 0);
}

/// Runs it to its end; returns what it has written.
#[track_caller]
fn expect_status(arguments: &[&str], status: i32) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", written(&output));
    written(&output)
}
