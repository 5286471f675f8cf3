//! Points in time as syslog and HAProxy write them.

use super::line::LogLine;
use super::zone::Zone;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// `Nov  1 01:55:23`, the day padded with a space (RFC 3164 §4.1.2).
pub fn syslog(line: &mut LogLine, unix_ms: i64, zone: &Zone) {
    let civil = Civil::local(unix_ms, zone);
    line.push_bytes(civil.month_name());
    line.push(b' ');
    line.push_padded(civil.day, 2, b' ');
    line.push(b' ');
    push_clock(line, &civil);
}

/// `21/Nov/2026:01:55:23.123` (configuration §8.2.2, accept_date).
pub fn haproxy(line: &mut LogLine, unix_ms: i64, zone: &Zone) {
    let civil = Civil::local(unix_ms, zone);
    line.push_padded(civil.day, 2, b'0');
    line.push(b'/');
    line.push_bytes(civil.month_name());
    line.push(b'/');
    if civil.year < 0 {
        line.push(b'-');
    }
    line.push_u64(civil.year.unsigned_abs().into());
    line.push(b':');
    push_clock(line, &civil);
    line.push(b'.');
    line.push_padded(civil.millisecond, 3, b'0');
}

/// `21/Nov/2026:01:55:23 +0100`, the time of web servers' logs.
pub fn clf(line: &mut LogLine, unix_ms: i64, zone: &Zone) {
    let whole_s = unix_ms.div_euclid(1000);
    let mut text = LogLine::new();
    haproxy(&mut text, unix_ms, zone);
    // The same without its milliseconds.
    text.truncate(text.as_bytes().len().saturating_sub(4));
    line.push_bytes(text.as_bytes());
    let offset = zone.offset_at(whole_s);
    line.push_bytes(if offset < 0 { b" -" } else { b" +" });
    let minutes = offset.unsigned_abs() / 60;
    line.push_padded(minutes / 60, 2, b'0');
    line.push_padded(minutes % 60, 2, b'0');
}

/// `2026-11-21T01:55:23.123000+01:00` (RFC 5424 §6.2.3). The clock of the loop has no microseconds.
pub fn iso(line: &mut LogLine, unix_ms: i64, zone: &Zone) {
    let civil = Civil::local(unix_ms, zone);
    line.push_padded(civil.year.unsigned_abs(), 4, b'0');
    line.push(b'-');
    line.push_padded(civil.month, 2, b'0');
    line.push(b'-');
    line.push_padded(civil.day, 2, b'0');
    line.push(b'T');
    push_clock(line, &civil);
    line.push(b'.');
    line.push_padded(civil.millisecond, 3, b'0');
    line.push_bytes(b"000");
    let offset = zone.offset_at(unix_ms.div_euclid(1000));
    line.push(if offset < 0 { b'-' } else { b'+' });
    let minutes = offset.unsigned_abs() / 60;
    line.push_padded(minutes / 60, 2, b'0');
    line.push(b':');
    line.push_padded(minutes % 60, 2, b'0');
}

fn push_clock(line: &mut LogLine, civil: &Civil) {
    line.push_padded(civil.hour, 2, b'0');
    line.push(b':');
    line.push_padded(civil.minute, 2, b'0');
    line.push(b':');
    line.push_padded(civil.second, 2, b'0');
}

/// A moment on the wall clock, in the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// May be negative or have more than four digits.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59; unix time has no leap seconds.
    pub second: u32,
    /// 0 to 999.
    pub millisecond: u32,
}

impl Civil {
    /// The wall clock of `zone` at a unix time in milliseconds. Total: every `i64` has an answer.
    pub fn local(unix_ms: i64, zone: &Zone) -> Self {
        let unix_s = unix_ms.div_euclid(1000);
        // Cannot overflow: a thousandth of an i64 and an offset of some hours.
        let local_s = unix_s + i64::from(zone.offset_at(unix_s));
        let second_of_day = local_s.rem_euclid(86_400) as u32;
        let (year, month, day) = date_of_day(day_of(local_s));
        Self {
            year,
            month,
            day,
            hour: second_of_day / 3600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
            millisecond: unix_ms.rem_euclid(1000) as u32,
        }
    }

    #[allow(clippy::indexing_slicing, reason = "a remainder by the length")]
    fn month_name(&self) -> &'static [u8] {
        // `month` is 1 to 12 by construction.
        MONTHS[(self.month as usize).saturating_sub(1) % 12]
    }
}

/// Days since 1 January 1970 at this second; those of more than a million years are one. In 32 bits, because boards
/// divide 64 by a call.
pub(super) fn day_of(local_s: i64) -> i32 {
    const DAYS_MAX: i64 = 400_000_000;
    local_s.div_euclid(86_400).clamp(-DAYS_MAX, DAYS_MAX) as i32
}

/// Year, month and day of a number of days since 1 January 1970, one that [`day_of`] gives.
pub(super) fn date_of_day(days: i32) -> (i32, u32, u32) {
    // Years begin in March here, so that the leap day is the last of its year; 400 years always have 146,097
    // days, and 719,468 days lie between 1 March of the year 0 and 1970.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097) as u32;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    (era * 400 + year_of_era.cast_signed() + i32::from(month <= 2), month, day)
}

/// Days from 1 January 1970 to 1 January of `year`.
pub(super) fn day_of_year_start(year: i32) -> i32 {
    let past = year - 1;
    let leap_days = past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    // 719,162 days lie between 1 January of the year 1 and 1970.
    past * 365 + leap_days - 719_162
}

/// Whether a year has 29 February.
pub(super) fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(unix_ms: i64) -> (String, String) {
        let (mut short, mut long) = (LogLine::new(), LogLine::new());
        syslog(&mut short, unix_ms, &Zone::utc());
        haproxy(&mut long, unix_ms, &Zone::utc());
        let text = |line: LogLine| String::from_utf8(line.as_bytes().to_vec()).unwrap();
        (text(short), text(long))
    }

    #[test]
    fn known_moments() {
        for (unix_ms, short, long) in [
            (0, "Jan  1 00:00:00", "01/Jan/1970:00:00:00.000"),
            (-1, "Dec 31 23:59:59", "31/Dec/1969:23:59:59.999"),
            (951_782_400_000, "Feb 29 00:00:00", "29/Feb/2000:00:00:00.000"),
            (1_793_498_123_007, "Nov  1 01:55:23", "01/Nov/2026:01:55:23.007"),
            (2_147_483_647_999, "Jan 19 03:14:07", "19/Jan/2038:03:14:07.999"),
            (2_147_483_648_000, "Jan 19 03:14:08", "19/Jan/2038:03:14:08.000"),
            (4_294_967_296_000, "Feb  7 06:28:16", "07/Feb/2106:06:28:16.000"),
            (253_402_300_799_999, "Dec 31 23:59:59", "31/Dec/9999:23:59:59.999"),
            (4_107_542_399_999, "Feb 28 23:59:59", "28/Feb/2100:23:59:59.999"),
            (4_107_542_400_000, "Mar  1 00:00:00", "01/Mar/2100:00:00:00.000"),
            (253_402_300_800_000, "Jan  1 00:00:00", "01/Jan/10000:00:00:00.000"),
        ] {
            assert_eq!(stamps(unix_ms), (short.to_owned(), long.to_owned()));
        }
    }

    #[test]
    fn absurd_times_do_not_panic() {
        for unix_ms in [i64::MIN, i64::MAX, i64::MIN + 1, -62_135_596_800_001, -99_999_999_999_999] {
            let (short, long) = stamps(unix_ms);
            assert_eq!(short.len(), 15);
            assert!(long.len() >= 20, "{long}");
        }
    }

    #[test]
    fn days_there_and_back() {
        let mut day = 0;
        for year in 1970..2500 {
            assert_eq!(day_of_year_start(year), day);
            assert_eq!(date_of_day(day), (year, 1, 1));
            assert_eq!(date_of_day(day - 1), (year - 1, 12, 31));
            day += if is_leap(year) { 366 } else { 365 };
        }
        assert_eq!(date_of_day(day_of_year_start(-5)), (-5, 1, 1));
    }
}
