//! Which room may call which: docs/architecture.md has the table, and arrows run downwards only.

use std::path::{Path, PathBuf};

/// Each room with those it may name; its own is always allowed.
const ROOMS: [(&str, &[&str]); 15] = [
    ("admin", &["backend", "observe"]),
    ("backend", &["config", "counters", "http", "net", "reactor"]),
    ("cli", &["config", "observe", "process"]),
    ("config", &["http"]),
    ("counters", &[]),
    ("demo", &["process"]),
    ("explain", &["cli", "config", "http", "rules"]),
    ("gateway", &["backend", "config", "counters", "net", "observe", "process", "reactor", "session"]),
    ("http", &[]),
    ("net", &["reactor"]),
    ("observe", &["config", "process"]),
    ("process", &["config"]),
    ("reactor", &["process"]),
    ("rules", &["config", "http"]),
    ("session", &["backend", "config", "counters", "http", "net", "observe", "reactor", "rules"]),
];

/// The Rust files of a room: `src/room.rs` and all under `src/room`.
fn files(room: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found: Vec<PathBuf> =
        [src.join(room).with_extension("rs")].into_iter().filter(|f| f.is_file()).collect();
    let mut folders: Vec<PathBuf> = [src.join(room)].into_iter().filter(|folder| folder.is_dir()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(end) if end == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// The rooms that a text names, with the line.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for rest in line.split("crate::").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push((at + 1, rest[..end].to_owned()));
        }
    }
    found
}

#[test]
fn rooms_name_only_those_below_them() {
    let mut names = 0;
    for (room, may) in ROOMS {
        let files = files(room);
        assert!(!files.is_empty(), "there is no room {room}");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a readable file");
            for (line, other) in named(&text) {
                names += 1;
                assert!(
                    other == room || may.contains(&other.as_str()),
                    "{}:{line}: {room} may not use {other}",
                    file.display()
                );
            }
        }
    }
    assert!(names > 100, "only {names} uses were found");
}

#[test]
fn every_room_is_listed_and_no_two_use_each_other() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for room in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        assert!(ROOMS.iter().any(|(known, _)| *known == room), "{room} is not listed");
    }
    let may = |room: &str| ROOMS.iter().find(|(known, _)| *known == room).expect("a listed room").1;
    for (room, _) in ROOMS {
        let mut below = may(room).to_vec();
        let mut at = 0;
        while at < below.len() {
            assert_ne!(below[at], room, "{room} is below itself");
            let new: Vec<&str> = may(below[at]).iter().copied().filter(|r| !below.contains(r)).collect();
            below.extend(new);
            at += 1;
        }
    }
}
