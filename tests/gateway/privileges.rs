//! `chroot`, `user`, `group`, `uid`, `gid`: what is given up.
//!
//! Most of it needs root. Without it these tests fail and say so; `ONEPORT_WITHOUT_ROOT=1` leaves them out.

use crate::rig::{http_config, tcp_config};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::peers::Backend;
use crate::support::ports::{free_port, is_listening};
use crate::support::process::{Gateway, Signal, Starter, folder, is_alive, run_command, written};
use crate::support::program::{Program, installed, only_oneport};
use crate::support::syslog::Syslog;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// `nobody` and `nogroup` of Debian, and of most.
pub const NOBODY: &str = "65534";

/// Whether this test has to be left out, which only the environment can say.
pub fn left_out() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let allowed = std::env::var_os("ONEPORT_WITHOUT_ROOT").is_some();
    assert!(is_root || allowed, "this test needs root; ONEPORT_WITHOUT_ROOT=1 leaves it out");
    if !is_root {
        eprintln!("NOT TESTED: privileges, for want of root");
    }
    !is_root
}

/// The program under test, started by setpriv with these flags.
fn under_setpriv(flags: &[&str]) -> Command {
    let mut command = Command::new(installed("setpriv", "util-linux"));
    command.args(flags).arg(Program::subject().path());
    command
}

/// A gateway of its own folder, whose `global` section has these lines; `@JAIL@` is an empty folder.
pub fn started(port: u16, global: &str, rest: &str) -> Gateway {
    started_by(&["--groups", "4,24"], port, global, rest)
}

/// The same, under `setpriv` with these flags.
pub fn started_by(setpriv: &[&str], port: u16, global: &str, rest: &str) -> Gateway {
    started_with(under_setpriv(setpriv), port, global, rest)
}

/// The same, by a command to which the flags are added.
fn started_with(mut command: Command, port: u16, global: &str, rest: &str) -> Gateway {
    let dir = folder();
    let jail = dir.path().join("jail");
    std::fs::create_dir(&jail).unwrap();
    let file = dir.path().join("gateway.cfg");
    std::fs::write(&file, config(&jail, global, rest)).unwrap();
    command.args(["-db", "-f"]).arg(&file);
    let gateway = Starter::new().ready_port(port).spawn(command, dir);
    // The port listens before all that; signals are heard last.
    eventually("the start is over", || {
        let caught = u64::from_str_radix(&status(gateway.pid(), "SigCgt"), 16).unwrap_or(0);
        caught & (1 << (Signal::HUP.as_raw() - 1)) != 0
    });
    gateway
}

/// A text with these lines in its `global` section.
pub fn config(jail: &Path, global: &str, rest: &str) -> String {
    format!("global\n{global}\n{rest}").replace("@JAIL@", &jail.display().to_string())
}

/// Everything given up.
pub const ALL: &str = " chroot @JAIL@\n user nobody\n group nogroup";

impl Gateway {
    /// Its empty folder.
    pub fn jail(&self) -> PathBuf {
        self.dir.path().join("jail")
    }

    /// Reads another file whose privileges are [`ALL`].
    pub fn reload(&self, rest: &str) {
        self.rewrite_config(&config(&self.jail(), ALL, rest));
        self.signal(Signal::USR2);
    }
}

/// A line of /proc/PID/status, its words joined by one blank.
pub fn status(pid: i32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An id as /proc/PID/status shows it: real, effective, saved, of the file system.
pub fn four(id: &str) -> String {
    [id; 4].join(" ")
}

/// The keepers of a worker: one or none.
pub fn keepers_of(pid: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|word| word.parse().ok()).filter(|pid| is_alive(*pid)).collect()
}

/// The backend that answers on a port.
pub fn served_by(port: u16) -> String {
    let mut client = Client::to(port);
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.answer().header("x-backend").unwrap_or_default().to_string()
}

fn check_run(global: &str, port: u16, flags: &[&str]) -> Output {
    let dir = folder();
    let file = dir.path().join("p.cfg");
    std::fs::write(&file, config(dir.path(), global, &http_config(port, 1, ""))).unwrap();
    let mut command = Command::new(Program::subject().path());
    command.args(flags).arg("-f").arg(&file);
    run_command(command)
}

#[test]
fn folder_group_and_user_are_given_up_and_it_serves() {
    if left_out() {
        return;
    }
    let (web, port) = (Backend::web("a"), free_port());
    let gateway = started(port, ALL, &http_config(port, web.port, ""));
    assert_eq!(served_by(port), "a");
    let pid = gateway.pid();
    assert_eq!(status(pid, "Uid"), four(NOBODY));
    assert_eq!(status(pid, "Gid"), four(NOBODY));
    assert_eq!(status(pid, "Groups"), "");
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    assert_eq!(status(pid, "CapEff"), "0000000000000000");
    for link in ["root", "cwd"] {
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/{link}")).unwrap(), gateway.jail(), "{link}");
    }
    // Every thread: the changes are a thread's own.
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let text = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(text.contains(&format!("Uid:\t{}", four(NOBODY).replace(' ', "\t"))), "{text}");
        assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    }
}

/// `user` says nothing about the group, as in HAProxy; the supplementary groups go (in HAProxy with `group` only).
#[test]
fn each_keyword_alone() {
    if left_out() {
        return;
    }
    for (lines, uid, gid) in [
        (" user nobody", NOBODY, "0"),
        (" uid 12345", "12345", "0"),
        (" group nogroup", "0", NOBODY),
        (" gid 12345", "0", "12345"),
        (" uid 0\n uid 7\n uid 8", "7", "0"),
    ] {
        let (web, port) = (Backend::web("a"), free_port());
        let gateway = started(port, lines, &http_config(port, web.port, ""));
        assert_eq!(served_by(port), "a");
        assert_eq!(status(gateway.pid(), "Uid"), four(uid), "{lines}");
        assert_eq!(status(gateway.pid(), "Gid"), four(gid), "{lines}");
        let keeps_groups = Program::subject() == Program::Haproxy && gid == "0";
        let groups = if keeps_groups { "4 24" } else { "" };
        assert_eq!(status(gateway.pid(), "Groups"), groups, "{lines}");
    }
}

#[test]
fn without_any_of_them_nothing_changes_but_no_new_privs() {
    let (web, port) = (Backend::web("a"), free_port());
    let gateway = Gateway::start_on(port, &http_config(port, web.port, ""));
    let ourselves = std::process::id() as i32;
    for name in ["Uid", "Gid", "Groups"] {
        assert_eq!(status(gateway.pid(), name), status(ourselves, name));
    }
    assert_eq!(status(gateway.pid(), "NoNewPrivs"), "1");
    assert_eq!(keepers_of(gateway.pid()), [], "nothing to keep");
}

/// The check of a file finds them too, and HAProxy judges alike.
#[test]
fn unknown_names_are_errors_of_their_line() {
    for (lines, line) in [(" user nobdy", 2), (" maxconn 10\n group no-such-group", 3), (" user", 2)] {
        for flags in [&["-c"][..], &["-db"]] {
            let port = free_port();
            let output = check_run(lines, port, flags);
            let text = written(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains(&format!("p.cfg:{line}")), "{text}");
        }
    }
    if only_oneport("its hints are its own affair") {
        return;
    }
    let text = written(&check_run(" user nobdy", free_port(), &["-c"]));
    assert!(text.contains("no user `nobdy` in /etc/passwd; did you mean `nobody`?"), "{text}");
    let text = written(&check_run(" uid nobody", free_port(), &["-c"]));
    assert!(text.contains("a name stands after `user`"), "{text}");
}

/// A folder that whoever starts it has left open would be a way out of the chroot.
#[test]
fn no_inherited_folder_stays_open_behind_the_chroot() {
    if left_out() || only_oneport("HAProxy keeps what it inherits") {
        return;
    }
    let (web, port) = (Backend::web("a"), free_port());
    let mut command = Command::new("sh");
    command.args(["-c", "exec 9</ 8<. 7</dev/null; exec \"$0\" \"$@\""]).arg(Program::subject().path());
    let gateway = started_with(command, port, ALL, &http_config(port, web.port, ""));
    let folder = format!("/proc/{}/fd", gateway.pid());
    let open: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|link| link.unwrap().path()).collect();
    assert!(open.iter().any(|link| link.ends_with("7")), "the rest is left alone: {open:?}");
    let folders: Vec<_> = open.iter().filter(|link| link.is_dir()).collect();
    assert!(folders.is_empty(), "{folders:?}");
    assert_eq!(served_by(port), "a");
}

/// Both programs side by side, over the whole family of lines.
#[test]
fn haproxy_judges_these_lines_alike() {
    let dir = folder();
    let file = dir.path().join("p.cfg");
    for (lines, status) in [
        (" user nobody\n group nogroup", 0),
        (" uid 7\n gid 7", 0),
        (" uid 0\n user nobody", 0),
        (" user nobody\n uid 7", 0),
        (" chroot /tmp\n chroot /var", 0),
        (" chroot /nonexistent", 0),
        (" set-dumpable\n insecure-fork-wanted", 0),
        (" user nobdy", 1),
        (" group nogrop", 1),
        (" user", 1),
        (" chroot", 1),
        (" uid", 1),
        (" user nobody daemon", 1),
        (" chroot /tmp /var", 1),
    ] {
        std::fs::write(&file, config(dir.path(), lines, &http_config(29_000, 1, ""))).unwrap();
        for program in [Program::Oneport, Program::Haproxy] {
            let mut command = Command::new(program.path());
            command.args(["-c", "-f"]).arg(&file);
            let output = run_command(command);
            assert_eq!(output.status.code(), Some(status), "{program:?} {lines}: {}", written(&output));
        }
    }
}

#[test]
fn a_folder_that_is_not_there_ends_the_start() {
    if left_out() {
        return;
    }
    for mode in ["-db", "-D"] {
        if mode == "-D" && only_oneport("HAProxy says 0 and ends in the background") {
            return;
        }
        let port = free_port();
        let output = check_run(" chroot @JAIL@/missing\n user nobody\n pidfile @JAIL@/p.pid", port, &[mode]);
        let text = written(&output);
        assert_eq!(output.status.code(), Some(1), "{mode}: {text}");
        assert!(text.contains("/missing"), "{text}");
        eventually("the port is free", || !is_listening(port));
    }
}

/// Who is not root may be told to become whom it is, and nobody else.
#[test]
fn without_root() {
    if left_out() {
        return;
    }
    const WITHOUT: [&str; 5] = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    let (web, port) = (Backend::web("a"), free_port());
    let gateway =
        started_by(&WITHOUT, port, " user nobody\n group nogroup", &http_config(port, web.port, ""));
    assert_eq!(served_by(port), "a");
    assert_eq!(keepers_of(gateway.pid()), [], "nothing to keep");
    for lines in [" user daemon", " gid 1", " chroot @JAIL@"] {
        let dir = folder();
        let file = dir.path().join("p.cfg");
        std::fs::write(&file, config(dir.path(), lines, &http_config(free_port(), 1, ""))).unwrap();
        let mut command = under_setpriv(&WITHOUT);
        command.args(["-db", "-f"]).arg(&file);
        let output = run_command(command);
        assert_eq!(output.status.code(), Some(1), "{lines}: {}", written(&output));
        if Program::subject() == Program::Oneport {
            assert!(written(&output).contains("only root can"), "{}", written(&output));
        }
    }
}

/// `-sf`: a new process, root at its start, takes over from an old one that is nobody, and from one that is root.
#[test]
fn a_new_process_takes_over() {
    if left_out() {
        return;
    }
    for before in [ALL, " maxconn 100"] {
        let (old_web, new_web, port) = (Backend::web("old"), Backend::web("new"), free_port());
        let mut old = started(port, before, &http_config(port, old_web.port, ""));
        let dir = folder();
        let jail = dir.path().join("jail");
        std::fs::create_dir(&jail).unwrap();
        let file = dir.path().join("gateway.cfg");
        std::fs::write(&file, config(&jail, ALL, &http_config(port, new_web.port, ""))).unwrap();
        let mut command = Command::new(Program::subject().path());
        command.args(["-db", "-f"]).arg(&file).args(["-sf", &old.pid().to_string()]);
        let new = Starter::new().ready_port(port).spawn(command, dir);
        old.wait_exit(Duration::from_secs(10));
        assert_eq!(served_by(port), "new");
        eventually("it is nobody", || status(new.pid(), "Uid") == four(NOBODY));
    }
}

/// The log socket was connected before the change of root; a daemon started anew is found behind it.
#[test]
fn log_lines_find_their_way_out_of_the_jail() {
    if left_out() || only_oneport("HAProxy looks for the path in the jail only") {
        return;
    }
    let (backend, port, logs) = (Backend::echo(), free_port(), folder());
    let path = logs.path().join("log");
    let outside = Syslog::unix(&path);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let rest = tcp_config(port, &format!("127.0.0.1:{}", backend.port), "option tcplog\nlog global");
    let gateway = started(port, &format!("{ALL}\n log {} daemon", path.display()), &rest);
    let connect = || {
        let mut client = gateway.client();
        client.send("x");
        client.read_exact(1);
        client.finish();
        client.read_to_end();
    };
    connect();
    outside.wait_for(" raw raw/s1 ");
    drop(outside);
    std::fs::remove_file(&path).unwrap();
    let inside = gateway.jail().join(path.strip_prefix("/").unwrap());
    std::fs::create_dir_all(inside.parent().unwrap()).unwrap();
    let again = Syslog::unix(&inside);
    std::fs::set_permissions(&inside, PermissionsExt::from_mode(0o666)).unwrap();
    eventually("the socket in the jail is found", || {
        connect();
        !again.lines().is_empty()
    });
}

/// It passed, and the restart that had asked for the check then ended in an outage.
#[test]
fn a_check_warns_of_a_chroot_that_is_not_there() {
    if only_oneport("a warning of ours") {
        return;
    }
    let dir = folder();
    let file = dir.path().join("c.cfg");
    std::fs::write(&file, config(dir.path(), " chroot /nonexistent", &http_config(29_000, 1, ""))).unwrap();
    let output = Command::new(Program::Oneport.path()).args(["-c", "-f"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("c.cfg:2: "), "{said}");
    assert!(said.contains("there is no such folder on this machine: a start here would fail"), "{said}");
}
