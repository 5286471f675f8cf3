//! `busybox/S50oneport` and `busybox/inittab.example`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use super::{Place, copy_program, eventually, flags_are_accepted, run, shipped};

/// The script with everything in a folder of its own.
struct Script(Place);

impl Script {
    fn new() -> Self {
        Self(Place::new())
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new("busybox");
        command
            .arg("sh")
            .arg(shipped("busybox/S50oneport"))
            .arg(action)
            .env("DEFAULTS", self.0.path("default"))
            .env("DAEMON", self.0.path("oneport"))
            .env("CONFIG", self.0.path("oneport.cfg"))
            .env("PIDFILE", self.0.path("oneport.pid"));
        command
    }

    fn call(&self, action: &str) -> (i32, String) {
        run(&mut self.command(action))
    }

    fn pid(&self) -> String {
        fs::read_to_string(self.0.path("oneport.pid")).unwrap_or_default().trim().to_owned()
    }

    fn set_pid(&self, text: &str) {
        fs::write(self.0.path("oneport.pid"), text).unwrap();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.call("stop");
    }
}

#[test]
fn start_status_reload_restart_stop() {
    let script = Script::new();
    assert_eq!(script.call("status").0, 3);
    assert_eq!(script.call("start").0, 0);
    assert!(script.0.serves());
    let first = script.pid();
    assert!(script.call("status").1.contains(&first));
    assert_eq!(script.call("start").0, 0, "a second start is no error");
    assert_eq!(script.pid(), first, "and starts no second process");
    assert_eq!(script.call("reload").0, 0);
    assert_eq!(script.pid(), first);
    assert_eq!(script.call("restart").0, 0);
    assert_ne!(script.pid(), first);
    assert!(script.0.serves());
    assert_eq!(script.0.processes(), 1);
    assert_eq!(script.call("stop").0, 0);
    assert!(!script.0.serves());
    assert_eq!(script.call("status").0, 3);
    assert_eq!(script.call("stop").0, 0, "a second stop is no error");
    assert_eq!(script.call("reload").0, 1, "nobody to tell");
    assert_eq!(script.call("restart").0, 0, "a restart starts what did not run");
    assert_eq!(script.call("dance").0, 2);
    let left: Vec<_> = fs::read_dir(script.0.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "binary, configuration and pidfile, no lock: {left:?}");
}

#[test]
fn a_broken_file_leaves_the_running_process_alone() {
    let script = Script::new();
    assert_eq!(script.call("start").0, 0);
    let first = script.pid();
    fs::write(script.0.path("oneport.cfg"), "nonsense\n").unwrap();
    for action in ["reload", "restart"] {
        let (status, text) = script.call(action);
        assert_eq!(status, 1, "{action}");
        assert!(text.contains("oneport.cfg:1"), "{action}: {text}");
        assert_eq!(script.pid(), first, "{action}");
        assert!(script.0.serves(), "{action}");
    }
    assert_eq!(script.call("stop").0, 0, "stopping needs no good file");
    let (status, text) = script.call("start");
    assert_eq!(status, 1);
    assert!(text.contains("oneport.cfg:1"), "{text}");
    assert_eq!(script.call("status").0, 3);
}

#[test]
fn a_reload_takes_the_new_file() {
    let script = Script::new();
    assert_eq!(script.call("start").0, 0);
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    script.0.write_config(&format!(" bind 127.0.0.1:{other}\n"));
    assert_eq!(script.call("reload").0, 0);
    eventually("the new address is served", || std::net::TcpStream::connect(("127.0.0.1", other)).is_ok());
}

/// Somebody else, under our name.
fn stranger(script: &Script) -> Child {
    Command::new("sleep").arg0(script.0.path("oneport")).arg("60").spawn().unwrap()
}

#[test]
fn a_stale_pidfile_is_noticed() {
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    for what in ["this test", "a stranger of our name", "gone", "garbage", "empty"] {
        let script = Script::new();
        let mut stranger = stranger(&script);
        script.set_pid(&match what {
            "this test" => format!("{}\n", std::process::id()),
            "a stranger of our name" => format!("{}\n", stranger.id()),
            "gone" => format!("{}\n", gone.id()),
            "garbage" => "-1 && rm\n".into(),
            _ => String::new(),
        });
        assert_eq!(script.call("status").0, 3, "{what}");
        assert_eq!(script.call("stop").0, 0, "{what}");
        assert!(stranger.try_wait().unwrap().is_none(), "{what}: nobody else is stopped");
        assert_eq!(script.call("start").0, 0, "{what}");
        assert_eq!(script.call("status").0, 0, "{what}");
        assert!(script.0.serves(), "{what}");
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

#[test]
fn starts_at_the_same_moment_start_one_process() {
    let script = Script::new();
    for stale_lock in [false, true, true, true] {
        if stale_lock {
            // Of a script that was killed: its number is nobody's, or a stranger's (ours).
            std::os::unix::fs::symlink(std::process::id().to_string(), script.0.path("oneport.pid.lock"))
                .unwrap();
        }
        let starts: Vec<Child> = (0..6).map(|_| script.command("start").spawn().unwrap()).collect();
        for mut start in starts {
            assert!(start.wait().unwrap().success());
        }
        assert_eq!(script.0.processes(), 1);
        assert_eq!(script.call("status").0, 0);
        assert_eq!(script.call("stop").0, 0);
        assert_eq!(script.0.processes(), 0);
    }
}

/// A power cut in the middle of a start, a lock on a disk, and a boot that gives the script the same number again.
#[test]
fn a_lock_with_the_scripts_own_number_is_stale() {
    let script = Script::new();
    let began = std::time::Instant::now();
    let lock = script.0.path("oneport.pid.lock");
    let same_number = format!("ln -s $$ '{}' && exec busybox sh \"$@\"", lock.display());
    let start = script.command("start");
    let mut command = Command::new("sh");
    command.args(["-c", &same_number, "sh"]).args(start.get_args().skip(1));
    command.envs(start.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(run(&mut command), (0, String::new()));
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert!(script.0.serves());
    assert!(fs::symlink_metadata(&lock).is_err());
}

/// The number of a lock's dead owner had gone to a process in a folder of our name: `start` waited half a minute for
/// it, and gave up.
#[test]
fn a_lock_whose_number_went_to_a_stranger_with_our_name_in_a_path_is_stale() {
    let script = Script::new();
    let folder = script.0.path("oneport.d");
    fs::create_dir(&folder).unwrap();
    copy_program(Path::new("/bin/sleep"), &folder.join("sleep"));
    let mut stranger = Command::new(folder.join("sleep")).arg("60").spawn().unwrap();
    std::os::unix::fs::symlink(stranger.id().to_string(), script.0.path("oneport.pid.lock")).unwrap();
    let began = std::time::Instant::now();
    let started = script.call("start");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!(started, (0, String::new()));
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert!(script.0.serves());
}

/// Two names of the script (rc0.d/K01oneport, a link) took each other's lock away: a process without a pidfile was left,
/// which no stop could find.
#[test]
fn two_names_of_the_script_share_its_lock() {
    let script = Script::new();
    let names = ["S50oneport", "K01oneport"].map(|name| script.0.path(name));
    fs::copy(shipped("busybox/S50oneport"), &names[0]).unwrap();
    std::os::unix::fs::symlink(&names[0], &names[1]).unwrap();
    let restart = |name: &std::path::PathBuf| {
        let ours = script.command("restart");
        let mut command = Command::new("busybox");
        command.arg("sh").arg(name).arg("restart");
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.spawn().unwrap()
    };
    let restarts: Vec<Child> = names.iter().cycle().take(8).map(restart).collect();
    for mut restart in restarts {
        assert!(restart.wait().unwrap().success());
    }
    assert_eq!((script.call("status").0, script.0.processes()), (0, 1));
    assert_eq!((script.call("stop").0, script.0.processes()), (0, 0));
}

/// A device's pidfile can hold anything after a power cut, and a path be anything: megabytes of garbage went to the
/// console, and a pipe was waited for.
#[test]
fn a_pidfile_of_garbage_is_not_repeated_and_a_pipe_not_waited_for() {
    let script = Script::new();
    fs::write(script.0.path("oneport.pid"), [0x1b; 100_000]).unwrap();
    let (status, text) = script.call("start");
    assert!(status == 0 && text.len() < 200 && text.contains("is left over"), "{text}");
    assert_eq!(script.call("stop").0, 0);
    assert!(
        Command::new("busybox").arg("mkfifo").arg(script.0.path("oneport.pid")).status().unwrap().success()
    );
    assert_eq!(script.call("status").0, 3);
    let (status, text) = script.call("start");
    assert!(status == 1 && text.contains("cannot write the pidfile"), "{text}");
    assert_eq!(script.0.processes(), 0);
}

#[test]
fn an_update_of_the_binary_is_no_stranger() {
    let script = Script::new();
    assert_eq!(script.call("start").0, 0);
    let first = script.pid();
    script.0.install();
    assert!(script.call("status").1.contains(&first));
    assert_eq!(script.call("restart").0, 0);
    assert_ne!(script.pid(), first);
    assert_eq!(script.0.processes(), 1);
}

#[test]
fn a_link_to_the_binary_will_do() {
    let script = Script::new();
    std::os::unix::fs::symlink(script.0.path("oneport"), script.0.path("link")).unwrap();
    fs::write(script.0.path("default"), format!("DAEMON={}\n", script.0.path("link").display())).unwrap();
    assert_eq!(script.call("start").0, 0);
    assert_eq!(script.call("status").0, 0);
    assert_eq!(script.call("stop").0, 0);
    assert_eq!(script.0.processes(), 0);
}

#[test]
fn the_defaults_file_counts() {
    let script = Script::new();
    fs::rename(script.0.path("oneport.cfg"), script.0.path("other.cfg")).unwrap();
    let defaults = format!("CONFIG={}\nARGS='-n 10 --wait-bind=5'\n", script.0.path("other.cfg").display());
    fs::write(script.0.path("default"), defaults).unwrap();
    assert_eq!(script.call("start").0, 0);
    let line = fs::read(format!("/proc/{}/cmdline", script.pid())).unwrap();
    let line = String::from_utf8(line).unwrap().replace('\0', " ");
    assert!(line.contains(" -n 10 --wait-bind=5 -f ") && line.trim_end().ends_with("other.cfg"), "{line}");
    fs::write(script.0.path("default"), "ARGS=--no-such-flag\n").unwrap();
    assert_eq!(script.call("restart").0, 1, "flags are checked as well");
}

#[test]
fn where_no_lock_can_be_made_it_says_so_at_once() {
    let script = Script::new();
    let pidfile = script.0.path("missing/oneport.pid");
    let (status, text) = run(script.command("start").env("PIDFILE", &pidfile));
    assert_eq!(status, 1, "{text}");
    let lock = format!("{}.lock: No such file or directory", pidfile.display());
    assert!(text.contains("cannot lock") && text.contains(&lock), "{text}");
    assert_eq!(script.0.processes(), 0);
}

#[test]
fn the_line_for_inittab() {
    let text = fs::read_to_string(shipped("busybox/inittab.example")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
    assert!(line.starts_with("::respawn:/usr/sbin/oneport -q -db "), "{line}");
    flags_are_accepted(line, &Place::new());
}
