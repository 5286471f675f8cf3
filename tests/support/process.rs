//! The gateway as a process: started with a configuration of the test's own, ended by its process id.

use super::client::Client;
use super::ports::{free_port, is_listening};
use super::program::Program;
use super::{SOON, eventually, ms, within};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;

/// A running gateway. It is killed when the test is over.
pub struct Gateway {
    /// The port it listens on (127.0.0.1).
    pub port: u16,
    /// A folder of its own, gone with it.
    pub dir: tempfile::TempDir,
    kept: Vec<tempfile::TempDir>,
    child: Child,
    stderr: Arc<Mutex<Vec<u8>>>,
}

/// What to start, when a configuration alone does not say it.
pub struct Starter {
    program: Program,
    arguments: Vec<String>,
    /// Ports that listen when the gateway is ready.
    ready_ports: Vec<u16>,
    /// Paths that exist when the gateway is ready.
    ready_paths: Vec<PathBuf>,
}

impl Gateway {
    /// Starts the program under test in the foreground. `config` makes the text for the port it is given,
    /// which must be listened on.
    #[track_caller]
    pub fn start(config: impl FnOnce(u16) -> String) -> Self {
        let port = free_port();
        Self::start_on(port, &config(port))
    }

    /// Starts the program under test with this text; `port` must be one it listens on.
    #[track_caller]
    pub fn start_on(port: u16, config: &str) -> Self {
        Starter::new().ready_port(port).start(config)
    }

    /// A client connection to its port.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::to(self.port)
    }

    /// Its configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("gateway.cfg")
    }

    /// Writes another text to its configuration file.
    pub fn rewrite_config(&self, config: &str) {
        std::fs::write(self.config_path(), config).unwrap();
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends it a signal; one that it is to react to only once it listens for that. Its port listens before.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        if [Signal::HUP, Signal::USR1, Signal::USR2, Signal::TERM, Signal::INT].contains(&signal) {
            eventually("it listens for the signal", || catches(self.pid(), signal));
        }
        send_signal(self.pid(), signal);
    }

    /// What it has written to stderr (and stdout) so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    /// Waits until stderr holds this text.
    #[track_caller]
    pub fn wait_stderr(&self, text: &str) {
        let started = Instant::now();
        while !self.stderr().contains(text) {
            assert!(started.elapsed() < SOON, "`{text}` expected on stderr, got:\n{}", self.stderr());
            std::thread::sleep(ms(10));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        within(limit, "the gateway ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }

    /// How many descriptors it holds open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map(Iterator::count).unwrap_or(0)
    }

    /// Waits until it holds no more descriptors than `before`.
    #[track_caller]
    pub fn wait_descriptors(&self, before: usize) {
        let started = Instant::now();
        while self.descriptors() > before {
            assert!(
                started.elapsed() < SOON,
                "descriptors left behind: {} before, {} now\n{}",
                before,
                self.descriptors(),
                self.list_descriptors()
            );
            std::thread::sleep(ms(10));
        }
    }

    /// Waits until the number of its descriptors has not changed for half a second, and says it.
    pub fn settled_descriptors(&self) -> usize {
        let started = Instant::now();
        let mut count = self.descriptors();
        let mut since = Instant::now();
        while since.elapsed() < ms(500) && started.elapsed() < SOON {
            std::thread::sleep(ms(20));
            let now = self.descriptors();
            if now != count {
                count = now;
                since = Instant::now();
            }
        }
        count
    }

    fn list_descriptors(&self) -> String {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", self.pid())) else { return String::new() };
        entries
            .flatten()
            .map(|entry| {
                let target = std::fs::read_link(entry.path()).unwrap_or_default();
                format!("  {} {}\n", entry.file_name().display(), target.display())
            })
            .collect()
    }

    /// Its resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        status_number(self.pid(), "VmRSS:")
    }

    /// Its resident memory without pages of files, in KiB.
    pub fn anonymous_kib(&self) -> u64 {
        status_number(self.pid(), "RssAnon:")
    }

    /// Keeps a further folder for as long as it runs.
    pub fn keep(&mut self, folder: tempfile::TempDir) {
        self.kept.push(folder);
    }

    /// CPU time it has used, in clock ticks (1/100 s).
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let words: Vec<&str> = after_name.split_whitespace().collect();
        words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let stderr = self.stderr();
            eprintln!("--- the gateway's stderr ---\n{stderr}--- end of stderr ---");
        }
    }
}

impl Starter {
    /// The program under test, in the foreground.
    pub fn new() -> Self {
        Self::of(Program::subject())
    }

    /// This program, in the foreground.
    pub fn of(program: Program) -> Self {
        Self { program, arguments: vec!["-db".into()], ready_ports: Vec::new(), ready_paths: Vec::new() }
    }

    /// One more argument.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// It is ready when somebody listens on this port; the first one is [`Gateway::port`].
    pub fn ready_port(mut self, port: u16) -> Self {
        self.ready_ports.push(port);
        self
    }

    /// It is ready when this path exists.
    pub fn ready_path(mut self, path: &Path) -> Self {
        self.ready_paths.push(path.to_owned());
        self
    }

    /// Starts it with `-f` and a file of this text.
    #[track_caller]
    pub fn start(self, config: &str) -> Gateway {
        let dir = folder();
        let file = dir.path().join("gateway.cfg");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(self.program.path());
        command.args(&self.arguments).arg("-f").arg(&file);
        self.spawn(command, dir)
    }

    /// Starts it without a configuration file.
    #[track_caller]
    pub fn start_without_file(self) -> Gateway {
        let mut command = Command::new(self.program.path());
        command.args(&self.arguments);
        self.spawn(command, folder())
    }

    /// Starts this command instead (which must run the program in the foreground).
    #[track_caller]
    pub fn spawn(self, mut command: Command, dir: tempfile::TempDir) -> Gateway {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stderr = Arc::new(Mutex::new(Vec::new()));
        collect(child.stderr.take().unwrap(), stderr.clone());
        collect(child.stdout.take().unwrap(), stderr.clone());
        let port = self.ready_ports.first().copied().unwrap_or(0);
        let mut gateway = Gateway { port, dir, kept: Vec::new(), child, stderr };
        let started = Instant::now();
        while !self.is_ready() {
            if !gateway.is_running() {
                std::thread::sleep(ms(100));
                panic!("{command:?} ended at once:\n{}", gateway.stderr());
            }
            assert!(started.elapsed() < SOON, "{command:?} is not ready:\n{}", gateway.stderr());
            std::thread::sleep(ms(5));
        }
        gateway
    }

    fn is_ready(&self) -> bool {
        self.ready_ports.iter().all(|port| is_listening(*port))
            && self.ready_paths.iter().all(|path| path.exists())
    }
}

/// A folder of its own for a gateway or a peer, open to a peer that runs as another user.
pub fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix("oneport-test-").tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Runs the program under test to its end, which must come soon.
#[track_caller]
pub fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(Program::subject().path());
    command.args(arguments);
    run_command(command)
}

/// Runs a command to its end, which must come soon.
#[track_caller]
pub fn run_command(mut command: Command) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown} does not start: {error}"));
    let stdout = Arc::new(Mutex::new(Vec::new()));
    let stderr = Arc::new(Mutex::new(Vec::new()));
    let readers = [
        collect(child.stdout.take().unwrap(), stdout.clone()),
        collect(child.stderr.take().unwrap(), stderr.clone()),
    ];
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > SOON {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{shown} does not end:\n{}", String::from_utf8_lossy(&stderr.lock().unwrap()));
        }
        std::thread::sleep(ms(5));
    };
    // A daemon that was started may keep the pipes open for ever; then what has come so far must do.
    let started = Instant::now();
    while started.elapsed() < ms(500) && !readers.iter().all(|reader| reader.is_finished()) {
        std::thread::sleep(ms(5));
    }
    let (stdout, stderr) = (stdout.lock().unwrap().clone(), stderr.lock().unwrap().clone());
    Output { status, stdout, stderr }
}

/// Everything a finished program wrote.
pub fn written(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{stdout}{stderr}")
}

/// Sends a signal to a process.
pub fn send_signal(pid: i32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process has a handler for a signal (proc(5), SigCgt); one that has ended counts as well.
fn catches(pid: i32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    !is_alive(pid) || caught.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Whether a process exists and has not ended.
pub fn is_alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // After the name in parentheses comes the state; Z is a process that has ended and not been waited for.
    !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z')
}

/// A process that is nobody's child here (a daemon): ended by its id when the test is over.
pub struct Daemon(pub i32);

impl Drop for Daemon {
    fn drop(&mut self) {
        if is_alive(self.0) {
            send_signal(self.0, Signal::KILL);
            let pid = self.0;
            eventually("the daemon ends", || !is_alive(pid));
        }
    }
}

/// A number of /proc/PID/status.
fn status_number(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 {
                return;
            }
            into.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    })
}
