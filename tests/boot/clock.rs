//! A device without a battery: it starts in 1970, learns the time while it runs, and some live past 2038.

use crate::story::Story;
use crate::support::within;
use crate::traffic;
use std::time::Duration;

/// The last second that 32 bits hold is 2038-01-19 03:14:07; some seconds before it.
const NEARLY_2038: u64 = i32::MAX as u64 - 4;

/// The jumps, the same process all the time.
pub fn all(story: &mut Story) {
    let pid = crate::control::pid(story);
    works_in(story, "1970");
    story.proved("works in 1970");

    story.guest.expect("date -s '2026-11-21 12:00:00'");
    works_in(story, "2026");
    story.proved("works after a jump to 2026");

    // busybox's own date knows 32 bits only, so the clock has to walk over the edge.
    story.guest.expect(&format!("date -s @{NEARLY_2038}"));
    within(Duration::from_secs(30), "the board's clock passes 2038-01-19 03:14:07", || {
        wall_clock(story) > i32::MAX as u64 + 2
    });
    works_in(story, "2038");
    assert_eq!(crate::control::pid(story), pid, "nothing restarted");
    story.proved("works after 2038-01-19 03:14:07, still the same process");
    crate::control::restart(story);
    works_in(story, "2038");
    story.proved("and one that starts after that");
}

/// Requests are answered, log lines have this year, timeouts fire.
pub fn works_in(story: &mut Story, year: &str) {
    let target = format!("/in-{year}-{}", crate::control::pid(story));
    traffic::get(story.ports.all, &target);
    let line = story.syslog.wait_for(&target);
    assert!(line.contains(&format!("/{year}:")), "not the year {year}: {line}");
    traffic::idle_timeout(story);
}

/// The kernel's clock in seconds since 1970, which no 32-bit program there can be asked for.
fn wall_clock(story: &mut Story) -> u64 {
    let text = story.guest.expect("grep btime /proc/stat; cat /proc/uptime");
    let number = |word: Option<&str>| word.and_then(|word| word.split('.').next()?.parse::<u64>().ok());
    let mut lines = text.lines();
    let booted = number(lines.next().and_then(|line| line.split(' ').nth(1)));
    let up = number(lines.next().and_then(|line| line.split(' ').next()));
    booted.zip(up).map(|(booted, up)| booted + up).unwrap_or_else(|| panic!("no times in {text}"))
}
