//! A small system of busybox and one board's own overlay, booted for real: its init is process 1 of a process
//! namespace. The network is the test's, so clients and servers of the test reach it.

use crate::board::{Board, ROOT};
use crate::inside::command;
use crate::support::process::{Signal, run_command, send_signal, written};
use crate::support::program::installed;
use crate::support::{SOON, eventually, within};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What every inittab here begins with.
const INITTAB: &str =
    "::sysinit:/bin/mount -t proc proc /proc\n::sysinit:/bin/syslogd -O /var/log/messages\n";

/// The root folder of a system that does not run yet.
pub struct Root {
    dir: tempfile::TempDir,
}

/// A system at work. Dropped, it is switched off at once.
pub struct System {
    /// `unshare`, which ends when init does.
    parent: Child,
    init: i32,
    root: Root,
}

impl Root {
    /// Static busybox, all its applets, the overlay, and `lines` in `/etc/inittab`.
    pub fn new(board: &Board, lines: &str) -> Self {
        let root = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["bin", "sbin", "usr/sbin", "etc/init.d", "proc", "dev", "tmp", "var/run", "var/log"] {
            fs::create_dir_all(root.path(folder)).unwrap();
        }
        root.install_busybox();
        root.unpack(&board.output().join("oneport-overlay.cpio.gz"));
        root.write("etc/inittab", &format!("{INITTAB}{lines}"));
        fs::write(root.path("dev/null"), "").unwrap();
        command("mount", "mount", &["--bind", "/dev/null", root.path("dev/null").to_str().unwrap()]);
        root
    }

    /// A file or folder of it, as this side sees it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a shell script.
    pub fn script(&self, name: &str, text: &str) {
        self.write(name, &format!("#!/bin/sh\n{text}"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A file's text; nothing where there is no file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn install_busybox(&self) {
        let busybox = installed("busybox", "busybox-static");
        let mut readelf = Command::new(installed("readelf", "binutils"));
        let segments = written(&run_command({
            readelf.args(["--wide", "--program-headers"]).arg(&busybox);
            readelf
        }));
        assert!(
            !segments.contains("INTERP"),
            "{} is not static, so it cannot run in a root folder of its own: apt-get install busybox-static",
            busybox.display()
        );
        fs::copy(&busybox, self.path("bin/busybox")).unwrap();
        let mut list = Command::new(&busybox);
        list.arg("--list");
        for applet in written(&run_command(list)).lines().filter(|applet| *applet != "busybox") {
            symlink("/bin/busybox", self.path("bin").join(applet)).unwrap();
        }
        symlink("/bin/busybox", self.path("sbin/init")).unwrap();
    }

    fn unpack(&self, overlay: &Path) {
        assert!(overlay.is_file(), "{} is missing: make BOARD=name package makes it", overlay.display());
        let script = "cd \"$1\" && busybox gunzip -c \"$2\" | busybox cpio -idm 2>&1";
        let (to, overlay) = (self.dir.path().to_str().unwrap(), overlay.to_str().unwrap());
        command("sh", "dash", &["-c", script, "unpack", to, overlay]);
    }

    /// Switches it on.
    pub fn boot(self) -> System {
        let log = fs::File::create(self.path("console")).unwrap();
        let mut command = Command::new(installed("unshare", "util-linux"));
        command
            .args(["--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc"])
            .arg(installed("chroot", "coreutils"))
            .arg(self.dir.path())
            .arg("/sbin/init")
            .env_clear()
            .env("PATH", "/sbin:/bin:/usr/sbin")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let parent = command.spawn().expect("unshare starts");
        let mut system = System { init: 0, parent, root: self };
        eventually("init runs", || {
            system.init = child_of(system.parent.id() as i32).unwrap_or(0);
            system.init != 0 && comm(system.init) == "init"
        });
        system
    }
}

impl System {
    /// Its files.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Runs a command line in there; its exit status, and what it wrote.
    pub fn run(&self, line: &str) -> (i32, String) {
        let mut command = Command::new(installed("nsenter", "util-linux"));
        command.args([
            "--target",
            &self.init.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--root",
            "--wd",
        ]);
        command.env_clear().env("PATH", "/sbin:/bin:/usr/sbin").args(["/bin/sh", "-c", line]);
        let output = run_command(command);
        (output.status.code().unwrap_or(-1), written(&output))
    }

    /// Runs a command line that must succeed; what it wrote.
    #[track_caller]
    pub fn succeed(&self, line: &str) -> String {
        let (status, text) = self.run(line);
        assert_eq!(status, 0, "`{line}`: {text}");
        text
    }

    /// The processes in there that run oneport, by their numbers out here.
    pub fn gateways(&self) -> Vec<i32> {
        let Some(ours) = process_namespace(self.init) else { return Vec::new() };
        let inside = |pid: &i32| process_namespace(*pid).is_some_and(|namespace| namespace == ours);
        pids().filter(|pid| comm(*pid) == "oneport").filter(inside).collect()
    }

    /// The one process that runs oneport, once there is exactly one.
    #[track_caller]
    pub fn gateway(&self) -> i32 {
        eventually("exactly one oneport runs", || self.gateways().len() == 1);
        self.gateways()[0]
    }

    /// Sends a signal to the one process that runs oneport.
    pub fn signal(&self, signal: Signal) {
        send_signal(self.gateway(), signal);
    }

    /// `poweroff`, and the wait for its end; the files stay.
    #[track_caller]
    pub fn power_off(&mut self) {
        // init may end the command before the command has ended.
        const ENDED_BY_A_SIGNAL: i32 = -1;
        let (status, text) = self.run("poweroff");
        assert!([0, ENDED_BY_A_SIGNAL].contains(&status), "poweroff: {status}: {text}");
        within(SOON, "the system switches itself off", || self.parent.try_wait().unwrap().is_some());
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Both fail only when it has switched itself off.
        let _ = self.parent.kill();
        let _ = self.parent.wait();
        if std::thread::panicking() {
            let console = self.root.read("console");
            eprintln!(
                "--- its console ---\n{console}--- its log ---\n{}---",
                self.root.read("var/log/messages")
            );
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Else the folder cannot be removed. Nobody can be told here if that fails.
        let _ = Command::new("umount").arg(self.path("dev/null")).status();
    }
}

/// The line of `boards/init/busybox/inittab.example`.
pub fn respawn_line() -> String {
    let file = Path::new(ROOT).join("boards/init/busybox/inittab.example");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines: Vec<&str> =
        text.lines().filter(|line| line.contains(":respawn:") && !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 1, "one line in {}", file.display());
    format!("{}\n", lines[0])
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn child_of(parent: i32) -> Option<i32> {
    pids().find(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name in parentheses: state, parent.
        let after = stat.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    })
}

fn comm(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_string()
}

fn process_namespace(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}
