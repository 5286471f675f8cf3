//! A board as a child process: booted, typed at through its serial console, ended by its process id.

use crate::support::{eventually, ms, within};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A board that runs. It is killed when the test is over.
pub struct Guest {
    child: Child,
    keyboard: ChildStdin,
    console: Arc<Mutex<Vec<u8>>>,
    commands: u32,
}

/// How a command on the board went.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status.
    pub status: i32,
    /// What it wrote to stdout and stderr.
    pub text: String,
}

/// How long a command on a board may take: emulation is slow, and a restart waits for the old process.
const COMMAND: Duration = Duration::from_secs(40);

impl Guest {
    /// Boots `board` with this image. `forwards` are pairs of a port of this machine's 127.0.0.1 and the board's port
    /// behind it; `clock` is what its clock shows, in UTC.
    pub fn boot(board: &str, image: &Path, forwards: &[(u16, u16)], clock: &str) -> Self {
        let forward: String = forwards
            .iter()
            .map(|(here, there)| format!(",hostfwd=tcp:127.0.0.1:{here}-10.0.2.15:{there}"))
            .collect();
        let mut child = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/qemu"))
            .arg(board)
            .arg(image)
            .args(["-rtc", &format!("base={clock}")])
            .env("FORWARD", forward)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tests/boot/qemu starts");
        let console = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().expect("a pipe"), console.clone());
        collect(child.stderr.take().expect("a pipe"), console.clone());
        let keyboard = child.stdin.take().expect("a pipe");
        Self { child, keyboard, console, commands: 0 }
    }

    /// Waits until its shell listens; what is typed before that is lost.
    #[track_caller]
    pub fn wait_shell(&mut self) {
        eventually("there is a shell on the board's console", || self.console().contains("console ready\n"));
    }

    /// Runs a command line of the shell there.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> Ran {
        self.commands += 1;
        let mark = format!("@{}@", self.commands);
        let line = format!("echo '{mark}<'; {{ {command}; }} </dev/null 2>&1; echo '{mark}>'$?\n");
        self.keyboard.write_all(line.as_bytes()).expect("the emulator reads its console");
        let started = Instant::now();
        loop {
            if let Some(ran) = outcome(&self.console(), &mark) {
                return ran;
            }
            let left = self.child.try_wait().expect("the emulator is a child");
            assert!(left.is_none(), "the board has gone ({left:?}) during `{command}`");
            assert!(started.elapsed() < COMMAND, "`{command}` does not end on the board");
            std::thread::sleep(ms(20));
        }
    }

    /// Runs a command that must succeed, and says what it wrote.
    #[track_caller]
    pub fn expect(&mut self, command: &str) -> String {
        let ran = self.run(command);
        assert_eq!(ran.status, 0, "`{command}` on the board: {}", ran.text);
        ran.text
    }

    /// Types a command without waiting for its end.
    pub fn enter(&mut self, command: &str) {
        self.keyboard.write_all(format!("{command}\n").as_bytes()).expect("the emulator reads its console");
    }

    /// Everything the board has written to its console so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.console.lock().expect("no reader panics")).replace('\r', "")
    }

    /// Whether the emulator still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the emulator is a child").is_none()
    }

    /// Waits until the board has switched itself off.
    #[track_caller]
    pub fn wait_off(&mut self, limit: Duration) -> ExitStatus {
        within(limit, "the board switches itself off", || !self.is_running());
        self.child.wait().expect("the emulator is a child")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the board's console ---\n{}\n--- end of the console ---", self.console());
        }
    }
}

/// What stands between the marks, once the second one and the status behind it are there.
fn outcome(console: &str, mark: &str) -> Option<Ran> {
    let (_, after) = console.split_once(&format!("{mark}<\n"))?;
    let (text, end) = after.split_once(&format!("{mark}>"))?;
    let (status, _) = end.split_once('\n')?;
    Some(Ran { status: status.parse().ok()?, text: text.to_string() })
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.lock().expect("no reader panics").extend_from_slice(&buffer[..count]);
        }
    });
}
