//! Users and groups by name, from `/etc/passwd` and `/etc/group`. The files themselves are read: a static binary
//! has no name service switch, so what only LDAP or the like knows has to be written as a number.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::config::hint;

/// More of a file is not read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The fields of both files: name, password, number.
const FIELD_ID: usize = 2;

/// Which file is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `/etc/passwd`.
    User,
    /// `/etc/group`.
    Group,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    fn path(self) -> &'static Path {
        Path::new(match self {
            Self::User => "/etc/passwd",
            Self::Group => "/etc/group",
        })
    }
}

/// The number of a user or group.
///
/// # Errors
/// A message: there is no such name, with a near one, or the file cannot be read.
pub fn id_of(kind: Kind, name: &str) -> Result<u32, String> {
    let path = kind.path();
    let (text, is_whole) = read(path)
        .map_err(|error| format!("cannot find the {} `{name}`: {}: {error}", kind.name(), path.display()))?;
    find(&text, name).ok_or_else(|| {
        let hint = hint(name, entries(&text).map(|(name, _)| name));
        let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let number = match (is_number, kind) {
            (false, _) => "",
            (true, Kind::User) => "; a number stands after `uid`",
            (true, Kind::Group) => "; a number stands after `gid`",
        };
        let part = if is_whole { "" } else { "the first MiB of " };
        format!("there is no {} `{name}` in {part}{}{hint}{number}", kind.name(), path.display())
    })
}

/// The text, and whether it is all of the file.
fn read(path: &Path) -> io::Result<(String, bool)> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let is_whole = bytes.len() as u64 <= FILE_BYTES_MAX;
    if !is_whole {
        // The last line may have lost its end, and its number some digits: it would be somebody else's.
        let lines_end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        bytes.truncate(lines_end);
    }
    // A name that is no UTF-8 cannot be asked for; those beside it can.
    Ok((String::from_utf8_lossy(&bytes).into_owned(), is_whole))
}

/// The first entry of that name counts, as for everybody who reads these files.
fn find(text: &str, name: &str) -> Option<u32> {
    entries(text).find(|(known, _)| *known == name).map(|(_, id)| id)
}

/// Names with their numbers. Lines that are none (comments, `+` and `-` of NIS, garbage) are passed over.
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let name =
            line.split(':').next().filter(|name| !name.is_empty() && !name.starts_with(['+', '-', '#']))?;
        let id = line.split(':').nth(FIELD_ID)?;
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        // The greatest number means "no change" to the kernel.
        let id = id.parse().ok().filter(|id| plain && *id != u32::MAX)?;
        Some((name, id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# comment:x:5:\n+nis:x:6:\n-nis:x:7:\n:x:8:\nshort:x\n\
        letters:x:abc:1\nplus:x:+5:1\nhuge:x:4294967295:1\nlong:x:99999999999:1\nwww:x:33:33::/:\n\
        www:x:34:34::/:\nlast:x:4294967294";

    #[test]
    fn entries_are_found_and_garbage_is_passed_over() {
        assert_eq!(find(PASSWD, "root"), Some(0));
        assert_eq!(find(PASSWD, "www"), Some(33), "the first one counts");
        assert_eq!(find(PASSWD, "last"), Some(u32::MAX - 1));
        for name in
            ["", "#", "# comment", "+nis", "-nis", "short", "letters", "plus", "huge", "long", "ww", "wwww"]
        {
            assert_eq!(find(PASSWD, name), None, "{name}");
        }
        assert_eq!(find("", "root"), None);
    }

    #[test]
    fn a_number_at_the_cut_of_a_huge_file_is_not_taken_for_a_shorter_one() {
        let path = std::env::temp_dir().join(format!("oneport-accounts-{}", std::process::id()));
        let entry = "www:x:65534:";
        let before = FILE_BYTES_MAX as usize - entry.len() + 4;
        let mut text = format!("first:x:7:\n{}\n{entry}:\n", "#".repeat(before - "first:x:7:\n\n".len()));
        text.push_str(&"last:x:8:\n".repeat(100));
        std::fs::write(&path, text).unwrap();
        let (text, is_whole) = read(&path).unwrap();
        assert_eq!((find(&text, "first"), find(&text, "www"), is_whole), (Some(7), None, false));
        std::fs::write(&path, "www:x:65534:").unwrap();
        let (text, is_whole) = read(&path).unwrap();
        assert_eq!((find(&text, "www"), is_whole), (Some(65_534), true));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn this_system_has_root_and_hints_at_it() {
        assert_eq!(id_of(Kind::User, "root"), Ok(0));
        assert_eq!(id_of(Kind::Group, "root"), Ok(0));
        let error = id_of(Kind::User, "rooot").unwrap_err();
        assert_eq!(error, "there is no user `rooot` in /etc/passwd; did you mean `root`?");
        let error = id_of(Kind::Group, "123456").unwrap_err();
        assert_eq!(error, "there is no group `123456` in /etc/group; a number stands after `gid`");
    }
}
