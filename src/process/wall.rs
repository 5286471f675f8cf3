//! The wall clock, which may stand anywhere: a board without a battery starts in 1970 and jumps decades once it has
//! the time, and devices outlive the year 2038. It is for log lines only, never for timers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, DynamicClockId, Timespec, clock_gettime_dynamic};

/// Milliseconds since 1970; negative before. Never fails.
pub fn wall_ms() -> i64 {
    // By constants, so that only one of them is compiled in. (rustix looks for the kernel's fast call in memory that
    // valgrind hides, and falls over; so it is asked only where it must be.)
    if cfg!(target_pointer_width = "64") { std_ms() } else { checked_ms() }
}

/// For targets whose C library counts seconds in 64 bits.
fn std_ms() -> i64 {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => ms(since),
        Err(before) => ms(before.duration()).saturating_neg(),
    }
}

/// For those whose C library may not. The standard library and `rustix::time::clock_gettime` panic on 32-bit MIPS from
/// 2038 on, since musl answers that the time does not fit; this call passes that on, and the kernel is then asked
/// otherwise.
fn checked_ms() -> i64 {
    match clock_gettime_dynamic(DynamicClockId::Known(ClockId::Realtime)) {
        Ok(time) => to_ms(time),
        Err(_) => wide_ms(),
    }
}

/// A time that does not fit into 64 bits of milliseconds is the greatest or the least that does.
#[allow(clippy::unnecessary_cast, reason = "the type of nanoseconds differs between the targets")]
fn to_ms(time: Timespec) -> i64 {
    let subsec_ms = time.tv_nsec as i64 / 1_000_000;
    time.tv_sec.saturating_mul(1_000).saturating_add(subsec_ms)
}

/// Without a 64-bit call there is the moment of the boot, which the kernel writes as text, without its fraction: up to
/// a second late, and dearer than a call, but right.
fn wide_ms() -> i64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let since_boot = clock_gettime_dynamic(DynamicClockId::Boottime).map_or(0, to_ms);
    boot_s(&stat).map_or(0, |boot_s| boot_s.saturating_mul(1_000).saturating_add(since_boot))
}

/// `btime 2524608000`: seconds since 1970 (proc(5)). It follows every change of the clock.
fn boot_s(stat: &str) -> Option<i64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tv_sec: i64, tv_nsec: u32) -> i64 {
        to_ms(Timespec { tv_sec, tv_nsec: tv_nsec as _ })
    }

    #[test]
    fn every_time_has_milliseconds() {
        assert_eq!((at(0, 0), at(-1, 999_000_000), at(-1, 0)), (0, -1, -1_000));
        for seconds in [i64::from(i32::MAX), 1 << 31, 1 << 32, 253_402_300_800] {
            assert_eq!(at(seconds, 7_999_999), seconds * 1_000 + 7);
        }
        assert_eq!((at(i64::MAX, 999_999_999), at(i64::MIN, 0)), (i64::MAX, i64::MIN));
    }

    #[test]
    fn every_way_tells_the_time() {
        let known = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        for ms in [wall_ms(), std_ms(), checked_ms(), wide_ms()] {
            assert!(ms.abs_diff(known) < 10_000, "{ms}, {known}");
        }
    }

    #[test]
    fn the_moment_of_the_boot_is_read_whatever_it_is() {
        assert_eq!(boot_s("cpu  1 2\nintr 5\nbtime 2524608000\nprocesses 1\n"), Some(2_524_608_000));
        for none in ["", "btime", "btime \n", "btime x\n", "btime 18446744073709551615\n"] {
            assert_eq!(boot_s(none), None, "{none:?}");
        }
    }
}
