//! "Did you mean …": the nearest known name, by a bounded edit distance.

/// Longer names are not compared.
const NAME_BYTES_MAX: usize = 64;

/// The search for the name nearest to a word, if one is near enough to be a slip: one edit in four characters, at most
/// three.
pub(crate) struct Search<'w, 'a> {
    word: &'w str,
    /// Only what is nearer than this counts.
    limit: usize,
    found: Option<&'a str>,
}

impl<'w, 'a> Search<'w, 'a> {
    /// Nothing is found yet.
    pub fn new(word: &'w str) -> Self {
        let limit = match word.len() {
            0..=1 => 0,
            2..=4 => 2,
            5..=8 => 3,
            _ => 4,
        };
        Self { word, limit, found: None }
    }

    /// Takes one more name; of those that are equally near the first one counts.
    #[inline(never)]
    pub fn add(&mut self, name: &'a str) {
        let Some(most) = self.limit.checked_sub(1) else { return };
        if let Some(edits) = distance(self.word, name, most) {
            (self.limit, self.found) = (edits, Some(name));
        }
    }

    /// `; did you mean …?`, or nothing.
    #[inline(never)]
    pub fn hint(&self) -> String {
        self.found.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
    }
}

/// The name nearest to `word`.
pub(crate) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut search = Search::new(word);
    for name in names {
        search.add(name);
    }
    search.found
}

/// `; did you mean …?`, or nothing.
pub(crate) fn hint<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut search = Search::new(word);
    for name in names {
        search.add(name);
    }
    search.hint()
}

/// The same for names in lists, separated by `|`: the way that costs the least code.
pub(crate) fn hint_of(word: &str, lists: &[&str]) -> String {
    let mut search = Search::new(word);
    for name in lists.iter().flat_map(|list| list.split('|')) {
        search.add(name);
    }
    search.hint()
}

/// Insertions, deletions, substitutions and swaps of neighbours between two names, letter case aside; `None`
/// beyond `limit`.
#[allow(clippy::indexing_slicing, reason = "rows are one longer than the word")]
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit || a.len() > NAME_BYTES_MAX || b.len() > NAME_BYTES_MAX {
        return None;
    }
    // Three rows of the usual table; indexes stay below b.len() + 1 <= NAME_BYTES_MAX + 1.
    let mut before = [0usize; NAME_BYTES_MAX + 1];
    let mut above = [0usize; NAME_BYTES_MAX + 1];
    let mut row = [0usize; NAME_BYTES_MAX + 1];
    for (i, cell) in above.iter_mut().enumerate() {
        *cell = i;
    }
    let mut last_a = 0;
    for (i, byte_a) in a.bytes().map(|b| b.to_ascii_lowercase()).enumerate() {
        row[0] = i + 1;
        let mut best = row[0];
        let mut last_b = 0;
        for (j, byte_b) in b.bytes().map(|b| b.to_ascii_lowercase()).enumerate() {
            let same = usize::from(byte_a != byte_b);
            let mut cell = (above[j] + same).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && byte_a == last_b && byte_b == last_a {
                cell = cell.min(before[j - 1] + 1);
            }
            row[j + 1] = cell;
            best = best.min(cell);
            last_b = byte_b;
        }
        if best > limit {
            return None;
        }
        last_a = byte_a;
        before = above;
        above = row;
    }
    Some(above[b.len()]).filter(|&d| d <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let names = ["use_backend", "default_backend", "backlog", "bind", "mode", "timeout client"];
        for (word, want) in [
            ("usebackend", Some("use_backend")),
            ("use-backend", Some("use_backend")),
            ("dind", Some("bind")),
            ("bnid", Some("bind")),
            ("MODE", Some("mode")),
            ("timeout cleint", Some("timeout client")),
            ("xyzzy", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names.into_iter()), want, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(1_000), names.into_iter()), None);
    }
}
