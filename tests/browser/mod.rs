//! A headless Chromium steered over its DevTools protocol, as far as the page tests need it.
//!
//! Not `--dump-dom`: that takes the page at its load event, before a WebSocket has said anything.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tungstenite::{Message, WebSocket};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// One browser with one page; ended when dropped.
pub struct Browser {
    process: Child,
    profile: PathBuf,
    page: Option<WebSocket<TcpStream>>,
    last_id: u64,
    /// Exceptions and error messages of the page, as the browser reported them.
    pub complaints: Vec<String>,
}

impl Browser {
    /// Starts Chromium with a fresh profile below `dir`. Panics where there is no Chromium.
    pub fn start(dir: &Path) -> Browser {
        let profile = dir.join(format!("chromium-{}", std::process::id()));
        let _ = fs::remove_dir_all(&profile);
        let process = spawn(&profile);
        let mut browser = Browser { process, profile, page: None, last_id: 0, complaints: Vec::new() };
        let port = browser.debugging_port();
        browser.page = Some(open_page(port));
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.command(domain, "{}");
        }
        browser
    }

    /// Goes to `url`, without waiting for it.
    pub fn open(&mut self, url: &str) {
        let answer = self.command("Page.navigate", &format!(r#"{{"url":"{url}"}}"#));
        assert!(!answer.contains("errorText"), "cannot open {url}: {answer}");
    }

    /// The value of a JavaScript expression, as a string.
    pub fn evaluate(&mut self, expression: &str) -> String {
        let expression = expression.replace('\\', r"\\").replace('"', "\\\"").replace('\n', " ");
        let answer = self.command(
            "Runtime.evaluate",
            &format!(r#"{{"expression":"String({expression})","returnByValue":true}}"#),
        );
        let value = answer.split_once(r#""type":"string","value":""#);
        unescape(value.unwrap_or_else(|| panic!("{expression}: {answer}")).1)
    }

    /// Waits until the expression is `expected`; after `patience` the page's words are in the panic.
    pub fn wait_for(&mut self, expression: &str, expected: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let value = self.evaluate(expression);
            if value == expected {
                return;
            }
            if Instant::now() > deadline {
                let page = self.evaluate("document.body ? document.body.innerText : '(no page)'");
                panic!(
                    "{expression} is {value:?}, not {expected:?}\ncomplaints: {:?}\npage:\n{page}",
                    self.complaints
                );
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Sets the size of the window (CSS pixels) and the colour scheme.
    pub fn view(&mut self, width: u32, height: u32, scheme: &str) {
        let metrics =
            format!(r#"{{"width":{width},"height":{height},"deviceScaleFactor":1,"mobile":false}}"#);
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
        let media = format!(r#"{{"features":[{{"name":"prefers-color-scheme","value":"{scheme}"}}]}}"#);
        self.command("Emulation.setEmulatedMedia", &media);
    }

    /// Writes the whole page as a PNG.
    pub fn screenshot(&mut self, file: &Path) {
        let [width, height] =
            ["innerWidth", "document.documentElement.scrollHeight"].map(|of| self.evaluate(of));
        let clip = format!(r#"{{"x":0,"y":0,"width":{width},"height":{height},"scale":1}}"#);
        let answer = self
            .command("Page.captureScreenshot", &format!(r#"{{"captureBeyondViewport":true,"clip":{clip}}}"#));
        let data = answer.split_once(r#""data":""#).and_then(|(_, rest)| rest.split_once('"'));
        fs::write(file, base64(data.expect("a screenshot").0)).unwrap();
    }

    /// Sends one command and returns its whole answer; what the page complains of meanwhile is kept.
    fn command(&mut self, method: &str, params: &str) -> String {
        self.last_id += 1;
        let id = self.last_id;
        let page = self.page.as_mut().expect("the page is open");
        page.send(Message::text(format!(r#"{{"id":{id},"method":"{method}","params":{params}}}"#))).unwrap();
        loop {
            let answer = match page.read().unwrap_or_else(|e| panic!("{method}: {e}")) {
                Message::Text(text) => text.as_str().to_string(),
                _ => continue,
            };
            let is_error =
                answer.contains(r#""level":"error""#) || answer.contains("Runtime.exceptionThrown");
            if answer.starts_with(&format!(r#"{{"id":{id},"#)) {
                assert!(!answer.contains(r#""error":{"code""#), "{method} {params}: {answer}");
                return answer;
            } else if is_error {
                self.complaints.push(answer);
            }
        }
    }

    /// Chromium picks a free port itself and writes it into its profile.
    fn debugging_port(&mut self) -> u16 {
        let file = self.profile.join("DevToolsActivePort");
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, _)) = text.split_once('\n') {
                return port.parse().expect("a port in DevToolsActivePort");
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "chromium ended at once: {ended:?}");
            assert!(Instant::now() < deadline, "chromium did not start within {START_TIMEOUT:?}");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked first, so that its helper processes and locks go with it.
        if let Some(page) = self.page.as_mut() {
            let _ = page.send(Message::text(r#"{"id":0,"method":"Browser.close"}"#));
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

fn spawn(profile: &Path) -> Child {
    for name in ["chromium", "chromium-browser", "google-chrome"] {
        let spawned = Command::new(name)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args([
                "--disable-sync",
                "--disable-extensions",
                "--no-proxy-server",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Ok(process) = spawned {
            return process;
        }
    }
    panic!("the page is tested in Chromium, which is not here: apt-get install chromium");
}

fn open_page(port: u16) -> WebSocket<TcpStream> {
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(COMMAND_TIMEOUT)).unwrap();
        stream
    };
    let mut stream = connect();
    let request =
        format!("PUT /json/new?about:blank HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // Chromium keeps the connection open, so the answer is over when its last line is there.
    let (mut answer, mut chunk) = (String::new(), [0; 4096]);
    while !answer.contains("webSocketDebuggerUrl") {
        match stream.read(&mut chunk) {
            Ok(count @ 1..) => answer.push_str(&String::from_utf8_lossy(&chunk[..count])),
            end => panic!("no page from chromium: {end:?} after {answer}"),
        }
    }
    let id = answer.split_once(r#""id": ""#).and_then(|(_, rest)| rest.split_once('"'));
    let id = id.unwrap_or_else(|| panic!("no page from chromium: {answer}")).0;
    tungstenite::client(format!("ws://127.0.0.1:{port}/devtools/page/{id}"), connect()).unwrap().0
}

/// A JSON string from after its opening quote to the closing one.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => match rest.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('u') => {
                    let code: String = rest.by_ref().take(4).collect();
                    out.push(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap_or('?'));
                }
                Some(c) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}
