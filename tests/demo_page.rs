//! The demo as a stranger meets it: its page in a real browser, its printed commands in a real shell.

#![cfg(feature = "demo")]

mod browser;

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use browser::Browser;

/// Screenshots and what the demo printed stay here to be looked at.
const DIR: &str = env!("CARGO_TARGET_TMPDIR");
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn page_shows_all_three_protocols_working() {
    let demo = Demo::start("page");
    let mut browser = Browser::start(Path::new(DIR));
    browser.view(1280, 900, "light");
    browser.open(&demo.url());
    browser.wait_for("document.documentElement?.dataset.allok", "yes", PATIENCE);

    let mut addresses = Vec::new();
    for card in ["http", "ws", "raw"] {
        let state = browser.evaluate(&format!("document.getElementById('{card}').dataset.state"));
        assert_eq!(state, "ok", "{card}");
        addresses
            .push(browser.evaluate(&format!("document.querySelector('#{card} [data-is=by]').textContent")));
    }
    let printed = demo.printed();
    for address in &addresses {
        assert!(printed.contains(address.as_str()), "{address} is not in:\n{printed}");
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "three backends served: {addresses:?}");

    sends_what_is_typed(&mut browser);
    pauses(&mut browser);
    looks_right(&mut browser);
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);

    // Nothing on the page is there for show: without the gateway every card says so.
    drop(demo);
    for card in ["http", "ws", "raw"] {
        browser.wait_for(&format!("document.getElementById('{card}').dataset.state"), "fail", PATIENCE);
    }
    assert_eq!(browser.evaluate("document.documentElement.dataset.allok"), "no");
}

fn sends_what_is_typed(browser: &mut Browser) {
    for card in ["http", "ws", "raw"] {
        let text = format!("grüße <b>& \"{card}\" 100% +1");
        browser.evaluate(&format!("document.querySelector('#{card} input').value = '{text}'"));
        // Pressed until taken: a card that is in the middle of its round makes no second trip.
        let seen = format!(
            "(log => log.includes('{text}') || (document.querySelector('#{card} form').requestSubmit(), false))\
             (document.querySelector('#{card} .log').textContent)"
        );
        browser.wait_for(&seen, "true", PATIENCE);
    }
    browser.wait_for("document.documentElement?.dataset.allok", "yes", PATIENCE);
}

fn pauses(browser: &mut Browser) {
    const CARRIED: &str = "[...document.querySelectorAll('[data-is=carried]')].map(e => e.textContent)";
    let before = browser.evaluate(CARRIED);
    browser.wait_for(&format!("{CARRIED} != '{before}'"), "true", PATIENCE);
    browser.evaluate("document.getElementById('run').click()");
    // What was under way may still arrive; then a round's time passes without another.
    sleep(Duration::from_secs(2));
    let paused = browser.evaluate(CARRIED);
    sleep(Duration::from_secs(5));
    assert_eq!(browser.evaluate(CARRIED), paused);
    browser.evaluate("document.getElementById('run').click()");
    browser.wait_for(&format!("{CARRIED} != '{paused}'"), "true", PATIENCE);
}

fn looks_right(browser: &mut Browser) {
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (768, "light"), (360, "dark"), (360, "light")] {
        browser.view(width, 900, scheme);
        // Let the wires be laid anew and a pulse be under way.
        sleep(Duration::from_millis(900));
        let overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert!(overflow.starts_with('-') || overflow == "0", "{overflow} px too wide at {width}");
        browser.screenshot(&PathBuf::from(DIR).join(format!("demo-page-{width}-{scheme}.png")));
    }
}

#[test]
fn printed_commands_work_when_pasted() {
    let demo = Demo::start("commands");
    let printed = demo.printed();
    let command = |name: &str| {
        let line = printed.lines().find_map(|line| line.trim_start().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in:\n{printed}")).trim().to_string()
    };
    let http = paste(&command("HTTP"), "curl");
    assert!(http.contains("200 OK") && http.contains(r#""backend":"web""#), "{http}");
    let ws = paste(&command("WebSocket"), "curl");
    assert!(ws.contains("101 Switching Protocols") && ws.contains(r#""backend":"websocket echo""#), "{ws}");
    let raw = paste(&command("raw socket"), "netcat-openbsd");
    assert!(raw.ends_with("preamble ok, echo follows\nhello\n"), "{raw}");
    let raw = paste(command("(no nc?").trim_end_matches(')'), "bash");
    assert!(raw.ends_with("preamble ok, echo follows\nhello\n"), "{raw}");
}

/// Runs a line in a shell and returns what it printed; `package` is what the line needs.
fn paste(line: &str, package: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().unwrap();
    assert_ne!(output.status.code(), Some(127), "a tool is missing: apt-get install {package}\n{line}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A running `oneport --demo`, ended when dropped.
struct Demo {
    process: Child,
    port: u16,
    output: PathBuf,
}

impl Demo {
    /// Starts the demo on a free port and waits until it has printed its URL and accepts connections.
    fn start(name: &str) -> Demo {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let output = PathBuf::from(DIR).join(format!("demo-{name}.log"));
        let file = File::create(&output).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_oneport"))
            .args(["--demo", "--listen", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stderr(file.try_clone().unwrap())
            .stdout(file)
            .spawn()
            .unwrap();
        let mut demo = Demo { process, port, output };
        let deadline = Instant::now() + PATIENCE;
        while !demo.printed().contains(&demo.url()) || TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = demo.process.try_wait().unwrap();
            assert!(ended.is_none(), "the demo ended: {ended:?}\n{}", demo.printed());
            assert!(Instant::now() < deadline, "the demo is not ready:\n{}", demo.printed());
            sleep(Duration::from_millis(50));
        }
        demo
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn printed(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
