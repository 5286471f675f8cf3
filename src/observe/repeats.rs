//! Keeps a flood of messages of one kind from flooding the log: what is held back is counted, and told later.

use log::Level;

use super::line::LogLine;

/// So long a kind's messages are counted together, milliseconds.
pub const WINDOW_MS: u32 = 10_000;
/// Messages of one kind that are written within that time.
const LINES_MAX: u32 = 10;
/// Kinds that are counted at a time. What is more is written.
const KINDS_MAX: usize = 16;
/// The longest name of a kind.
const KIND_BYTES_MAX: usize = 120;

/// The messages of late, by kind.
#[derive(Default)]
pub struct Repeats {
    kinds: Vec<Kind>,
}

struct Kind {
    name: Box<[u8]>,
    level: Level,
    since_ms: i64,
    lines: u32,
    held: u32,
}

impl Kind {
    fn is_over(&self, now_ms: i64) -> bool {
        // The clock may have been set back: any great difference will do.
        self.since_ms.abs_diff(now_ms) >= u64::from(WINDOW_MS)
    }
}

impl Repeats {
    /// Whether a message is to be written; if not, it is counted. [`Repeats::due`] is to be asked before.
    pub fn takes(&mut self, level: Level, text: &[u8], now_ms: i64) -> bool {
        self.kinds.retain(|kind| kind.held > 0 || !kind.is_over(now_ms));
        let name = kind_of(text);
        let known = self.kinds.iter_mut().find(|kind| kind.level == level && *kind.name == *name);
        let Some(kind) = known else {
            if self.kinds.len() < KINDS_MAX {
                self.kinds.push(Kind { name: name.into(), level, since_ms: now_ms, lines: 1, held: 0 });
            }
            return true;
        };
        if kind.lines < LINES_MAX {
            kind.lines += 1;
            return true;
        }
        kind.held = kind.held.saturating_add(1);
        false
    }

    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        self.kinds.iter().any(|kind| kind.held > 0)
    }

    /// What is to be told of a kind whose time is over, of each with `all`.
    pub fn due(&mut self, now_ms: i64, all: bool) -> Option<(Level, LogLine)> {
        let at = self.kinds.iter().position(|kind| kind.held > 0 && (all || kind.is_over(now_ms)))?;
        let kind = self.kinds.swap_remove(at);
        let mut line = LogLine::new();
        line.push_bytes(&kind.name);
        line.push_bytes(b": ");
        line.push_u64(kind.held.into());
        line.push_bytes(b" more such messages in the last ");
        line.push_u64(kind.since_ms.abs_diff(now_ms).div_ceil(1_000).max(1));
        line.push_bytes(b" s");
        Some((kind.level, line))
    }
}

/// What messages of one kind begin with: all up to their details, which stand behind a comma, a colon or a bracket.
fn kind_of(text: &[u8]) -> &[u8] {
    let end = text.windows(2).position(|two| matches!(two, b", " | b": " | b" (" | b"; "));
    text.get(..end.unwrap_or(text.len()).min(KIND_BYTES_MAX)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(repeats: &mut Repeats, now_ms: i64, all: bool) -> Option<String> {
        repeats.due(now_ms, all).map(|(_, line)| String::from_utf8(line.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_flood_is_counted_by_kind() {
        let mut repeats = Repeats::default();
        let mut written = 0;
        for n in 0..100 {
            let text = format!("Server b/s1 is DOWN, reason: {n}");
            written += u32::from(repeats.takes(Level::Warn, text.as_bytes(), 1_000 + n));
        }
        assert_eq!(written, LINES_MAX);
        assert!(repeats.takes(Level::Warn, b"Server b/s2 is DOWN, reason: 1", 1_200), "another server");
        assert!(repeats.takes(Level::Error, b"Server b/s1 is DOWN, reason: 1", 1_200), "another level");
        assert!(repeats.holds());
        assert_eq!(told(&mut repeats, 1_300, false), None, "not yet");
        assert_eq!(
            told(&mut repeats, 11_000, false).as_deref(),
            Some("Server b/s1 is DOWN: 90 more such messages in the last 10 s")
        );
        assert!(!repeats.holds());
        assert!(repeats.takes(Level::Warn, b"Server b/s1 is DOWN, reason: 1", 11_001), "it begins anew");
    }

    #[test]
    fn few_messages_are_all_written_for_ever() {
        let mut repeats = Repeats::default();
        for n in 0..1_000 {
            assert!(repeats.takes(Level::Info, b"once in a while", n * 1_100));
        }
        assert_eq!(told(&mut repeats, 2_000_000, true), None);
    }

    #[test]
    fn the_rest_is_told_at_the_end_and_many_kinds_are_all_written() {
        let mut repeats = Repeats::default();
        for _ in 0..12 {
            repeats.takes(Level::Info, b"the same", 5);
        }
        for n in 0..1_000 {
            assert!(repeats.takes(Level::Info, format!("kind {n}").as_bytes(), 6));
        }
        assert!(repeats.kinds.len() <= KINDS_MAX);
        assert_eq!(
            told(&mut repeats, 7, true).as_deref(),
            Some("the same: 2 more such messages in the last 1 s")
        );
        assert_eq!(told(&mut repeats, 7, true), None);
    }
}
