//! A board as `boards/NAME/board.mk` describes it, and the two ways to run its binary here.

use crate::support::program::installed;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The project's folder.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One folder of `boards/`.
pub struct Board {
    pub name: String,
    values: BTreeMap<String, String>,
}

/// How a board's binary is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Under the program that `QEMU` names.
    Qemu,
    /// By this machine's own processor.
    Native,
}

impl How {
    /// As on the command line of a board's process, and in its report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Native => "native",
        }
    }

    /// The other way round.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Qemu, Self::Native].into_iter().find(|how| how.word() == word)
    }
}

impl Board {
    /// Reads `boards/NAME/board.mk`; what is missing there fails the test.
    pub fn read(name: &str) -> Self {
        let file = Path::new(ROOT).join("boards").join(name).join("board.mk");
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("there is no board `{name}`: {}: {error}", file.display()));
        let values = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_string(), value.trim().to_string()))
            .collect();
        Self { name: name.into(), values }
    }

    /// A variable of its `board.mk`.
    pub fn value(&self, key: &str) -> &str {
        match self.values.get(key) {
            Some(value) => value,
            None => panic!("boards/{}/board.mk has no {key}", self.name),
        }
    }

    /// The part of its target triple that names the processor.
    pub fn machine(&self) -> &str {
        self.value("TARGET").split('-').next().unwrap_or_default()
    }

    /// Whether this machine's own processor runs it.
    pub fn is_native(&self) -> bool {
        self.machine() == std::env::consts::ARCH
    }

    /// Where the build puts things of this board.
    pub fn output(&self) -> PathBuf {
        Path::new(ROOT).join("target/boards").join(&self.name)
    }

    /// The binary that goes onto the device.
    pub fn binary(&self) -> PathBuf {
        let binary = self.output().join("oneport");
        assert!(binary.is_file(), "{} is not built: make BOARD={}", binary.display(), self.name);
        binary
    }

    /// What starts the binary: itself, or a script that starts it under qemu. The script stays in the
    /// board's folder of `target/`: with its path in `ONEPORT_SUBJECT` the other test suites run it too.
    pub fn subject(&self, how: How) -> PathBuf {
        let binary = self.binary();
        if how == How::Native {
            return binary;
        }
        let qemu = installed(self.value("QEMU"), "qemu-user-static");
        let script = self.output().join("under-qemu");
        let text = format!("#!/bin/sh\nexec {} {} \"$@\"\n", qemu.display(), binary.display());
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    }
}
