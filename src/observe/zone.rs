//! The time zone of log lines, without the C library: static builds with musl on devices that have a POSIX
//! string in `/etc/TZ` and no zoneinfo get local time too.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::timestamp::{date_of_day, day_of, day_of_year_start, is_leap};

/// The largest zone file that is read, bytes; the largest of the zoneinfo database has some 4,000.
const FILE_BYTES_MAX: u64 = 65_536;

/// Offsets beyond this are not from this planet (RFC 8536 §3.2 allows -25 h to +26 h).
const OFFSET_S_MAX: i64 = 26 * 3600;

/// A time zone: which offset from UTC holds when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Unix time of each change, ascending, and the offset in seconds east of Greenwich from then on.
    changes: Box<[(i64, i32)]>,
    /// The offset before the first change.
    initial_s: i32,
    /// What holds from the last change on, or always where there is none; `None` = the last change's offset.
    rule: Option<PosixRule>,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self { changes: Box::new([]), initial_s: 0, rule: None }
    }

    /// The zone of this system: `$TZ`, else `/etc/TZ`, else `/etc/localtime`, else UTC. Reads files: for the
    /// start and for a reload, not for each line.
    pub fn of_system() -> Self {
        if let Ok(text) = std::env::var("TZ") {
            return Self::from_tz(&text).unwrap_or_else(Self::utc);
        }
        let from_etc = read_limited(Path::new("/etc/TZ"))
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(|text| text.lines().next().unwrap_or("").trim().to_owned())
            .filter(|text| !text.is_empty())
            .and_then(|text| Self::from_tz(&text));
        from_etc
            .or_else(|| Self::parse_tzif(&read_limited(Path::new("/etc/localtime"))?))
            .unwrap_or_else(Self::utc)
    }

    /// What a value of `$TZ` means (POSIX, XBD §8.3): nothing = UTC, a POSIX string, or the name of a zoneinfo
    /// file, with or without a colon before it. `None` = none of these.
    pub fn from_tz(text: &str) -> Option<Self> {
        let name = text.strip_prefix(':').unwrap_or(text);
        if name.is_empty() {
            return Some(Self::utc());
        }
        if !text.starts_with(':')
            && let Some(zone) = Self::parse_posix(text)
        {
            return Some(zone);
        }
        Self::parse_tzif(&read_limited(&zoneinfo_path(name)?)?)
    }

    /// A POSIX string such as `CET-1CEST,M3.5.0,M10.5.0/3`, with the extensions of RFC 8536 §3.3.1 (hours from
    /// -167 to 167). `None` = not one.
    pub fn parse_posix(text: &str) -> Option<Self> {
        let rule = PosixRule::parse(text.as_bytes())?;
        Some(Self { changes: Box::new([]), initial_s: rule.standard_s, rule: Some(rule) })
    }

    /// A zoneinfo file (RFC 8536): from version 2 on its 64-bit block and its POSIX footer, else the 32-bit
    /// block. `None` = not one, or a damaged one.
    #[allow(clippy::indexing_slicing, reason = "the end was found in the slice")]
    pub fn parse_tzif(bytes: &[u8]) -> Option<Self> {
        let mut reader = Bytes(bytes);
        let header = TzifHeader::read(&mut reader)?;
        if header.version == 0 {
            return header.read_block(&mut reader, 4);
        }
        reader.take(header.block_bytes(4)?)?;
        let header = TzifHeader::read(&mut reader)?;
        let mut zone = header.read_block(&mut reader, 8)?;
        let footer = reader.0.strip_prefix(b"\n")?;
        let footer = &footer[..footer.iter().position(|&byte| byte == b'\n')?];
        if !footer.is_empty() {
            zone.rule = Some(PosixRule::parse(footer)?);
        }
        Some(zone)
    }

    /// Seconds to add to `unix_s` to get local time.
    pub fn offset_at(&self, unix_s: i64) -> i32 {
        let past = self.changes.partition_point(|&(from, _)| from <= unix_s);
        match (past.checked_sub(1).and_then(|last| self.changes.get(last)), &self.rule) {
            (_, Some(rule)) if past == self.changes.len() => rule.offset_at(unix_s),
            (Some(&(_, offset_s)), _) => offset_s,
            (None, _) => self.initial_s,
        }
    }
}

/// The file of a zone name; `None` for names that would lead out of the database.
fn zoneinfo_path(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name));
    }
    if name.split('/').any(|part| part == "..") {
        return None;
    }
    Some(Path::new("/usr/share/zoneinfo").join(name))
}

fn read_limited(path: &Path) -> Option<Vec<u8>> {
    // A pipe or a device would block or never end.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Bytes that are taken from the front; `None` = too few.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }
}

/// The header of a block (RFC 8536 §3.1); counts of what follows.
struct TzifHeader {
    version: u8,
    utc_marks: usize,
    standard_marks: usize,
    leap_seconds: usize,
    changes: usize,
    types: usize,
    name_bytes: usize,
}

impl TzifHeader {
    fn read(reader: &mut Bytes) -> Option<Self> {
        if reader.take(4)? != b"TZif" {
            return None;
        }
        let version = *reader.take(16)?.first()?;
        let mut count = || usize::try_from(reader.u32()?).ok();
        Some(Self {
            version,
            utc_marks: count()?,
            standard_marks: count()?,
            leap_seconds: count()?,
            changes: count()?,
            types: count()?,
            name_bytes: count()?,
        })
    }

    /// Bytes of the block after this header, with times of `width` bytes.
    fn block_bytes(&self, width: usize) -> Option<usize> {
        [
            self.changes.checked_mul(width + 1)?,
            self.types.checked_mul(6)?,
            self.name_bytes,
            self.leap_seconds.checked_mul(width + 4)?,
            self.standard_marks,
            self.utc_marks,
        ]
        .into_iter()
        .try_fold(0, usize::checked_add)
    }

    /// The block (RFC 8536 §3.2) as a zone without a rule.
    fn read_block(&self, reader: &mut Bytes, width: usize) -> Option<Zone> {
        let mut block = Bytes(reader.take(self.block_bytes(width)?)?);
        let times = block.take(self.changes * width)?;
        let indexes = block.take(self.changes)?;
        let types = block.take(self.types * 6)?;
        let offset_of = |index: usize| -> Option<i32> {
            let start = index.checked_mul(6)?;
            let offset_s = i32::from_be_bytes(types.get(start..start.checked_add(4)?)?.try_into().ok()?);
            (i64::from(offset_s).abs() <= OFFSET_S_MAX).then_some(offset_s)
        };
        let mut changes = Vec::with_capacity(self.changes);
        for (time, &index) in times.chunks_exact(width).zip(indexes) {
            let from = match width {
                4 => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
                _ => i64::from_be_bytes(time.try_into().ok()?),
            };
            if changes.last().is_some_and(|&(last, _)| last >= from) {
                return None;
            }
            changes.push((from, offset_of(usize::from(index))?));
        }
        Some(Zone { changes: changes.into(), initial_s: offset_of(0)?, rule: None })
    }
}

/// A POSIX zone: a standard offset and perhaps a yearly rule for daylight saving time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PosixRule {
    /// Seconds east of Greenwich.
    standard_s: i32,
    daylight: Option<Daylight>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Daylight {
    /// Seconds east of Greenwich.
    offset_s: i32,
    /// When it begins, by the standard clock.
    start: YearDay,
    /// When it ends, by the daylight clock.
    end: YearDay,
}

impl PosixRule {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut reader = Bytes(text);
        take_name(&mut reader)?;
        // POSIX counts west of Greenwich.
        let standard_s = -take_time(&mut reader, 24)?;
        if reader.0.is_empty() {
            return Some(Self { standard_s, daylight: None });
        }
        take_name(&mut reader)?;
        let offset_s = match reader.0.first() {
            None | Some(b',') => standard_s.checked_add(3600)?,
            Some(_) => -take_time(&mut reader, 24)?,
        };
        let (start, end) = if reader.0.is_empty() {
            // No rule written: that of the United States since 2007, as the C libraries take it.
            (YearDay::nth_sunday(3, 2), YearDay::nth_sunday(11, 1))
        } else {
            (take_year_day(&mut reader)?, take_year_day(&mut reader)?)
        };
        reader.0.is_empty().then_some(Self { standard_s, daylight: Some(Daylight { offset_s, start, end }) })
    }

    fn offset_at(&self, unix_s: i64) -> i32 {
        let Some(daylight) = &self.daylight else {
            return self.standard_s;
        };
        let local_s = unix_s.saturating_add(i64::from(self.standard_s));
        let (year, _, _) = date_of_day(day_of(local_s));
        let start_s = daylight.start.unix_s(year, self.standard_s);
        let end_s = daylight.end.unix_s(year, daylight.offset_s);
        // South of the equator the year begins and ends in daylight saving time.
        let is_daylight = if start_s < end_s {
            (start_s..end_s).contains(&unix_s)
        } else {
            !(end_s..start_s).contains(&unix_s)
        };
        if is_daylight { daylight.offset_s } else { self.standard_s }
    }
}

/// A moment that comes once a year.
#[derive(Debug, Clone, PartialEq, Eq)]
struct YearDay {
    date: Date,
    /// Seconds after midnight; may be negative or more than a day.
    time_s: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Date {
    /// `n`: day of the year from 0, 29 February counted.
    Day(u16),
    /// `Jn`: day of the year from 1, 29 February not counted.
    JulianDay(u16),
    /// `Mm.w.d`: the `week`-th (5 = last) `weekday` (0 = Sunday) of a month.
    Weekday { month: u32, week: u8, weekday: u8 },
}

impl YearDay {
    fn nth_sunday(month: u32, week: u8) -> Self {
        Self { date: Date::Weekday { month, week, weekday: 0 }, time_s: 2 * 3600 }
    }

    /// Unix time of this moment in `year`, by a clock `offset_s` east of Greenwich.
    fn unix_s(&self, year: i32, offset_s: i32) -> i64 {
        let first = day_of_year_start(year);
        let day_of_year = match self.date {
            Date::Day(day) => i32::from(day),
            Date::JulianDay(day) => i32::from(day) - i32::from(!(is_leap(year) && day >= 60)),
            Date::Weekday { month, week, weekday } => {
                let start = month_start(year, month);
                // 1 January 1970 was a Thursday.
                let weekday_of_first = (first + start + 4).rem_euclid(7);
                let to_first = (i32::from(weekday) - weekday_of_first).rem_euclid(7);
                let nth = to_first + (i32::from(week) - 1) * 7;
                let month_days = month_start(year, month + 1) - start;
                start + if nth < month_days { nth } else { nth - 7 }
            }
        };
        i64::from(first + day_of_year) * 86_400 + i64::from(self.time_s) - i64::from(offset_s)
    }
}

/// Days from 1 January to the first of `month`, 1 to 13.
#[allow(clippy::indexing_slicing, reason = "clamped to 0 to 12")]
fn month_start(year: i32, month: u32) -> i32 {
    const STARTS: [i32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let index = (month as usize).clamp(1, 13) - 1;
    STARTS[index] + i32::from(index >= 2 && is_leap(year))
}

/// `CET` or `<+0130>`: three characters or more.
fn take_name(reader: &mut Bytes) -> Option<()> {
    let quoted = reader.0.first() == Some(&b'<');
    if quoted {
        reader.take(1)?;
    }
    let belongs =
        |byte: &u8| byte.is_ascii_alphabetic() || quoted && (byte.is_ascii_digit() || b"+-".contains(byte));
    let length = reader.0.iter().position(|byte| !belongs(byte)).unwrap_or(reader.0.len());
    reader.take(length)?;
    if quoted && reader.take(1)? != b">" {
        return None;
    }
    (length >= 3).then_some(())
}

/// `[+-]hh[:mm[:ss]]` in seconds, hours up to `hours_max`.
fn take_time(reader: &mut Bytes, hours_max: u16) -> Option<i32> {
    let negative = match reader.0.first()? {
        b'-' => reader.take(1).is_some(),
        b'+' => reader.take(1).is_none(),
        _ => false,
    };
    let mut seconds = i32::from(take_number(reader, hours_max)?) * 3600;
    for unit in [60, 1] {
        if reader.0.first() != Some(&b':') {
            break;
        }
        reader.take(1)?;
        seconds += i32::from(take_number(reader, 59)?) * unit;
    }
    Some(if negative { -seconds } else { seconds })
}

/// `,date[/time]`.
fn take_year_day(reader: &mut Bytes) -> Option<YearDay> {
    if reader.take(1)? != b"," {
        return None;
    }
    let date = match reader.0.first()? {
        b'J' => {
            reader.take(1)?;
            Date::JulianDay(take_number(reader, 365).filter(|&day| day >= 1)?)
        }
        b'M' => {
            let mut part = |mark: &[u8], least: u16, most: u16| {
                reader.take(1).filter(|taken| *taken == mark)?;
                take_number(reader, most).filter(|&number| number >= least)
            };
            let (month, week, weekday) = (part(b"M", 1, 12)?, part(b".", 1, 5)?, part(b".", 0, 6)?);
            Date::Weekday { month: u32::from(month), week: week as u8, weekday: weekday as u8 }
        }
        _ => Date::Day(take_number(reader, 365)?),
    };
    let mut time_s = 2 * 3600;
    if reader.0.first() == Some(&b'/') {
        reader.take(1)?;
        time_s = take_time(reader, 167)?;
    }
    Some(YearDay { date, time_s })
}

/// A decimal number of at least one and at most three digits.
fn take_number(reader: &mut Bytes, most: u16) -> Option<u16> {
    let length = reader.0.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let digits = reader.take(length).filter(|digits| !digits.is_empty())?;
    let number = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    (number <= most).then_some(number)
}

#[cfg(test)]
mod tests;
