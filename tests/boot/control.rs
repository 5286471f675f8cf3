//! The init script on the board, by its serial console: as `init` calls it and as an operator does.

use crate::story::Story;
use crate::support::ms;
use crate::traffic;
use std::time::Duration;

/// The init script.
pub const SCRIPT: &str = "/etc/init.d/S50oneport";
/// What it writes, and reads again.
pub const PIDFILE: &str = "/var/run/oneport.pid";
/// Resident memory at rest on a 32-bit board stays below this.
const RESIDENT_KIB_MAX: u64 = 1024;
/// How long a gateway that was started may take to its first answer.
pub const START: Duration = Duration::from_secs(20);

/// What the gateway occupies.
pub struct Memory {
    /// Everything that is mapped and present, the program's own code included.
    pub resident_kib: u64,
    /// What is its own: neither code nor untouched data.
    pub private_kib: u64,
}

/// All of it; the gateway runs before and after.
pub fn all(story: &mut Story) {
    starting_twice(story);
    reloading(story);
    restart(story);
    killed(story);
    stale_pidfile(story);
    stop_and_start(story);
}

/// The gateway's process id, by its pidfile; it is the only gateway there.
#[track_caller]
pub fn pid(story: &mut Story) -> i32 {
    let text = story.guest.expect(&format!("cat {PIDFILE}"));
    let pid = text.trim();
    let mut running = String::new();
    // One that was stopped is listed until init has buried it.
    let alone = within_reason(|| {
        running = story.guest.run("pidof oneport").text;
        running.trim() == pid
    });
    assert!(alone, "process {pid} by the pidfile, but these run: {running}");
    pid.parse().expect("a process id")
}

/// Whether something is so within three seconds.
fn within_reason(mut condition: impl FnMut() -> bool) -> bool {
    (0..30).any(|attempt| {
        if attempt > 0 {
            std::thread::sleep(ms(100));
        }
        condition()
    })
}

/// Reads what it occupies, which must be below the limit.
#[track_caller]
pub fn memory(story: &mut Story) -> Memory {
    let pid = pid(story);
    let rollup = story.guest.expect(&format!("cat /proc/{pid}/smaps_rollup"));
    let status = story.guest.expect(&format!("cat /proc/{pid}/status"));
    let number = |text: &str, name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {name} in:\n{text}"))
    };
    // The kernel's cheap counters lag by up to 64 pages a thread, so the larger figure counts.
    let counted = number(&status, "VmRSS:");
    let resident_kib = number(&rollup, "Rss:").max(counted);
    let private_kib = number(&rollup, "Anonymous:");
    story.proved(&format!(
        "{resident_kib} KiB resident ({private_kib} of its own; VmRSS {counted}: RssAnon {}, RssFile {}, RssShmem {}; \
         {} thread(s))",
        number(&status, "RssAnon:"),
        number(&status, "RssFile:"),
        number(&status, "RssShmem:"),
        number(&status, "Threads:"),
    ));
    assert!(resident_kib < RESIDENT_KIB_MAX, "{resident_kib} KiB resident, {RESIDENT_KIB_MAX} is the limit");
    Memory { resident_kib, private_kib }
}

fn starting_twice(story: &mut Story) {
    let before = pid(story);
    let status = story.guest.expect(&format!("{SCRIPT} status"));
    assert!(status.contains(&before.to_string()), "{status}");
    story.guest.expect(&format!("{SCRIPT} start"));
    assert_eq!(pid(story), before, "a second start starts nothing");
    story.proved("status; a second start starts nothing");
}

/// Has the file read again, which must be without errors.
#[track_caller]
pub fn reload(story: &mut Story) {
    story.guest.expect(&format!("{SCRIPT} reload"));
}

fn reloading(story: &mut Story) {
    let before = pid(story);
    let (first, second) = (story.web.port, story.other_web.port);
    story
        .guest
        .expect(&format!("sed -i 's/host.boot.test:{first}/host.boot.test:{second}/' /etc/oneport.cfg"));
    reload(story);
    let named = story.ports.named;
    crate::support::eventually("the reloaded file is in force", || {
        traffic::get(named, "/").text().starts_with("second")
    });
    assert_eq!(pid(story), before, "a reload keeps the process");

    story.guest.expect("cp /etc/oneport.cfg /tmp/good.cfg; echo nonsense >> /etc/oneport.cfg");
    let refused = story.guest.run(&format!("{SCRIPT} reload"));
    assert_ne!(refused.status, 0, "a broken file is not reloaded");
    assert!(refused.text.contains("nonsense"), "the message names the error: {}", refused.text);
    story.guest.expect("mv /tmp/good.cfg /etc/oneport.cfg");
    assert_eq!(pid(story), before);
    assert!(story.answers());
    story.proved("reload: another server, the same process; a broken file is refused");
}

/// Another process in place of the one that runs.
#[track_caller]
pub fn restart(story: &mut Story) {
    let before = pid(story);
    story.guest.expect(&format!("{SCRIPT} restart"));
    assert_ne!(pid(story), before, "a restart makes another process");
    story.wait_answer(START);
    story.proved("restart");
}

fn killed(story: &mut Story) {
    let before = pid(story);
    // From here on the pidfile is stale, as after a power cut with a file system that stays.
    story.guest.expect(&format!("kill -9 {before}; while [ -d /proc/{before} ]; do usleep 50000; done"));
    assert_eq!(story.guest.run(&format!("{SCRIPT} status")).status, 3, "not running, by LSB's numbers");
    assert!(!story.answers());
    story.guest.expect(&format!("{SCRIPT} start"));
    assert_ne!(pid(story), before);
    story.wait_answer(START);
    story.proved("kill -9: status says so, start starts it again");
}

fn stale_pidfile(story: &mut Story) {
    story.guest.expect(&format!("{SCRIPT} stop"));
    // A process that is alive but no gateway.
    story.guest.expect(&format!("pidof syslogd > {PIDFILE}"));
    assert_eq!(story.guest.run(&format!("{SCRIPT} status")).status, 3);
    story.guest.expect(&format!("{SCRIPT} stop"));
    story.guest.expect("pidof syslogd");
    story.guest.expect(&format!("{SCRIPT} start"));
    pid(story);
    story.wait_answer(START);
    story.proved("a stale pidfile that names another process is noticed");
}

fn stop_and_start(story: &mut Story) {
    story.guest.expect(&format!("{SCRIPT} stop"));
    // At once, not when init has got around to burying it.
    let refused = story.guest.run("nc 127.0.0.1 8080");
    assert!(refused.status != 0 && refused.text.contains("refused"), "after stop: {refused:?}");
    assert!(!story.answers());
    crate::support::eventually("no gateway is left", || story.guest.run("pidof oneport").text.is_empty());
    story.guest.expect(&format!("{SCRIPT} stop"));
    story.guest.expect(&format!("{SCRIPT} start"));
    story.wait_answer(START);
    story.proved("stop: the port refuses; start");
}

/// The device's own shutdown, which must not have to kill the gateway.
pub fn switch_off(mut story: Story) {
    pid(&mut story);
    story.guest.enter("poweroff");
    let status = story.guest.wait_off(Duration::from_secs(60));
    assert!(status.success(), "the emulator ended with {status}");
    for expected in ["rcK: /etc/init.d/S50oneport stopped", "reboot: Power down"] {
        let what = format!("`{expected}` is on the console");
        crate::support::eventually(&what, || story.guest.console().contains(expected));
    }
    let console = story.guest.console();
    for word in ["panicked", "Kernel panic", "Segmentation fault", "does not stop", "does not load", "Oops"] {
        assert!(!console.contains(word), "`{word}` is on the console");
    }
    story.proved("switched off cleanly");
}
