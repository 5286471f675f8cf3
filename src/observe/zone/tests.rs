//! Zones against facts, against the system's `date`, and against garbage.

use std::process::Command;

use super::*;

/// A small deterministic generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn berlin_changes_when_it_does() {
    let zone = Zone::parse_posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    for (unix_s, offset_s) in [
        (1_774_745_999, 3600), // 29 March 2026 00:59:59 UTC
        (1_774_746_000, 7200),
        (1_792_889_999, 7200), // 25 October 2026 00:59:59 UTC
        (1_792_890_000, 3600),
        (0, 3600),
        (i64::MAX, 3600),
        (i64::MIN, 3600),
    ] {
        let offset = zone.offset_at(unix_s);
        if unix_s.unsigned_abs() < u64::MAX / 4 {
            assert_eq!(offset, offset_s, "{unix_s}");
        }
    }
}

#[test]
fn strings_that_are_zones_and_strings_that_are_not() {
    for (text, offset_s) in [
        ("UTC0", 0),
        ("GMT+0", 0),
        ("MSK-3", 10_800),
        ("<+0530>-5:30", 19_800),
        ("<-03>3", -10_800),
        ("NST3:30NDT,M3.2.0,M11.1.0", -12_600),
        ("EST5EDT", -18_000),
        ("EST5EDT4,J60/2,300/-1:00:00", -18_000),
        ("ABC-24", 86_400),
    ] {
        assert_eq!(Zone::parse_posix(text).unwrap().offset_at(0), offset_s, "{text}");
    }
    for text in [
        "",
        "U0",
        "UTC",
        "UTC+",
        "UTC0x",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0,",
        "CET-25",
        "<+1",
        "CET-1CEST,J0,J1",
        "CET-1CEST,366,1",
        "CET-1:60",
        "Europe/Berlin",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,.3.5.0,M10.5.0",
    ] {
        assert_eq!(Zone::parse_posix(text), None, "{text}");
    }
}

#[test]
fn names_do_not_lead_out_of_the_database() {
    assert_eq!(zoneinfo_path("../../../etc/passwd"), None);
    assert_eq!(zoneinfo_path("Europe/../../x"), None);
    assert_eq!(Zone::from_tz(""), Some(Zone::utc()));
    assert_eq!(Zone::from_tz(":"), Some(Zone::utc()));
    assert_eq!(Zone::from_tz("/dev/zero"), None);
    assert_eq!(Zone::from_tz("No/Such/Zone"), None);
}

/// Every zone, at random moments and around each of its changes, as the C library has it. Skipped where the
/// system has no zoneinfo or no GNU `date`.
#[test]
fn agrees_with_the_systems_date() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for tz in [
        "Europe/Berlin",
        "Europe/Dublin",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Pacific/Apia",
        "Asia/Gaza",
        "America/Nuuk",
        "Etc/UTC",
        "America/Argentina/San_Luis",
        "Antarctica/Troll",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "AAA5BBB,M3.2.0,M11.1.0",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "AAA3BBB,J60/0,J300/24",
        "AAA-5BBB,59/12,299/-3",
        "IST-2IDT,M3.4.4/26,M10.5.0",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    ] {
        let Some(zone) = Zone::from_tz(tz) else {
            eprintln!("no zone {tz} here: skipped");
            continue;
        };
        let mut moments: Vec<i64> = (0..150).map(|_| (random.next() % 6_000_000_000) as i64).collect();
        moments.extend((0..50).map(|_| -((random.next() % 3_000_000_000) as i64)));
        for &(from, _) in &zone.changes {
            moments.extend([from - 1, from, from + 1]);
        }
        moments.extend(yearly_changes(&zone));
        // The database's dawn of time is of no interest, and the C library applies a rule from 1970 on only.
        let first = if zone.changes.is_empty() { 86_400 * 366 } else { -5_000_000_000 };
        moments.retain(|&unix_s| unix_s > first);
        let Some(expected) = offsets_by_date(tz, &moments) else {
            eprintln!("no usable `date` here: skipped");
            return;
        };
        assert_eq!(expected.len(), moments.len());
        for (unix_s, expected_s) in moments.into_iter().zip(expected) {
            assert_eq!(zone.offset_at(unix_s), expected_s, "{tz} at {unix_s}");
        }
    }
}

#[test]
fn rules_hold_for_ever_and_no_time_panics() {
    let berlin = Zone::parse_posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    // Noon of 1 January and of 1 July: 2038, 2106 (past 2^32 seconds), 9999.
    for (january_s, july_s) in
        [(2_145_960_000, 2_161_598_400), (4_291_790_400, 4_307_428_800), (253_370_808_000, 253_386_446_400)]
    {
        assert_eq!((berlin.offset_at(january_s), berlin.offset_at(july_s)), (3_600, 7_200), "{january_s}");
    }
    let southern = Zone::parse_posix("<-99:00>24<+99:00>-24,J1/-167,J365/167").unwrap_or(berlin.clone());
    for zone in [berlin, southern, Zone::utc()] {
        for unix_s in [i64::MIN, -1, 0, i64::from(i32::MAX), 1 << 31, 1 << 32, 253_402_300_800, i64::MAX] {
            assert!(zone.offset_at(unix_s).abs() <= 26 * 3600);
        }
    }
}

/// The seconds around the changes that the rule makes in some later years.
fn yearly_changes(zone: &Zone) -> Vec<i64> {
    let Some(PosixRule { standard_s, daylight: Some(daylight) }) = &zone.rule else {
        return Vec::new();
    };
    let moments = |year| {
        let (start, end) =
            (daylight.start.unix_s(year, *standard_s), daylight.end.unix_s(year, daylight.offset_s));
        [start - 1, start, end - 1, end]
    };
    (2024..2060).flat_map(moments).collect()
}

/// What `date` says of the offset at each moment, seconds.
fn offsets_by_date(tz: &str, moments: &[i64]) -> Option<Vec<i32>> {
    let mut input = std::env::temp_dir();
    input.push(format!("oneport-zone-test-{}-{}", std::process::id(), tz.replace(['/', ',', '<', '>'], "_")));
    let lines: Vec<String> = moments.iter().map(|unix_s| format!("@{unix_s}\n")).collect();
    std::fs::write(&input, lines.concat()).ok()?;
    let output = Command::new("date").env("TZ", tz).arg("-f").arg(&input).arg("+%::z").output();
    let _ = std::fs::remove_file(&input);
    let output = output.ok().filter(|output| output.status.success())?;
    let offset = |line: &str| {
        let mut parts = line[1..].split(':').map(|part| part.parse::<i32>().unwrap());
        let seconds = parts.next().unwrap() * 3600 + parts.next().unwrap() * 60 + parts.next().unwrap_or(0);
        if line.starts_with('-') { -seconds } else { seconds }
    };
    Some(String::from_utf8(output.stdout).ok()?.lines().map(offset).collect())
}

/// A zone file of version 1 or 2 with one change, made here so that the test needs no database.
fn tzif(version: u8, footer: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for width in if version == 0 { vec![4] } else { vec![4, 8] } {
        bytes.extend(b"TZif");
        bytes.push(version);
        bytes.extend([0; 15]);
        for count in [0u32, 0, 0, 1, 2, 4] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend(&1_000_000i64.to_be_bytes()[8 - width..]);
        bytes.push(1);
        for offset_s in [600i32, 1200] {
            bytes.extend(offset_s.to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(b"AAA\0");
    }
    if version > 0 {
        bytes.extend(format!("\n{footer}\n").bytes());
    }
    bytes
}

#[test]
fn zone_files_of_both_versions() {
    for bytes in [tzif(0, ""), tzif(b'2', "")] {
        let zone = Zone::parse_tzif(&bytes).unwrap();
        assert_eq!((zone.offset_at(999_999), zone.offset_at(1_000_000)), (600, 1200));
        assert_eq!(zone.offset_at(i64::MAX), 1200);
    }
    let zone = Zone::parse_tzif(&tzif(b'2', "AAA-1")).unwrap();
    assert_eq!((zone.offset_at(999_999), zone.offset_at(1_000_000)), (600, 3600));
    assert_eq!(Zone::parse_tzif(&tzif(b'2', "nonsense")), None);
}

#[test]
fn damaged_files_are_refused_or_read_but_never_panic() {
    let whole = tzif(b'2', "CET-1CEST,M3.5.0,M10.5.0/3");
    for length in 0..whole.len() {
        assert_eq!(Zone::parse_tzif(&whole[..length]), None, "{length} bytes");
    }
    let mut random = Random(7);
    for _ in 0..200_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.next() % 8 {
            let at = random.next() as usize % bytes.len();
            bytes[at] = random.next() as u8;
        }
        if let Some(zone) = Zone::parse_tzif(&bytes) {
            exercise(&zone, &mut random);
        }
    }
    // Counts that would overflow or eat all memory.
    let mut huge = whole;
    huge[32..44].fill(0xFF);
    assert_eq!(Zone::parse_tzif(&huge), None);
}

#[test]
fn arbitrary_strings_never_panic() {
    const ALPHABET: &[u8] = b"ABCd<>+-0123456789:,./JM\0\xff";
    let mut random = Random(11);
    for _ in 0..300_000 {
        let mut text = b"CET-1CEST,M3.5.0,M10.5.0/3".to_vec();
        for _ in 0..random.next() % 6 {
            let at = random.next() as usize % text.len();
            text[at] = ALPHABET[random.next() as usize % ALPHABET.len()];
        }
        text.truncate(1 + random.next() as usize % 40);
        if let Some(rule) = PosixRule::parse(&text) {
            let zone = Zone { changes: Box::new([]), initial_s: 0, rule: Some(rule) };
            exercise(&zone, &mut random);
        }
    }
}

fn exercise(zone: &Zone, random: &mut Random) {
    for unix_s in [i64::MIN, i64::MAX, 0, -1, random.next() as i64, (random.next() >> 30) as i64] {
        assert!(i64::from(zone.offset_at(unix_s)).abs() <= OFFSET_S_MAX);
    }
}
