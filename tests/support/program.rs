//! Which program is under test.
//!
//! It is oneport. With `ONEPORT_SUBJECT=haproxy` the same suite runs against Debian's HAProxy, which shows
//! that the suite expects nothing that HAProxy does not do; tests of what only oneport does then say so and
//! stand aside. Differential tests always run both. With a path in it (`ONEPORT_SUBJECT=/…/oneport`) another
//! build of oneport is run: a board's, natively or by a script that starts it under qemu.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that understands the configuration language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Ours, as cargo has just built it, or the build that `ONEPORT_SUBJECT` names by its path.
    Oneport,
    /// Debian's, from the package `haproxy`.
    Haproxy,
}

impl Program {
    /// The program under test.
    pub fn subject() -> Self {
        match std::env::var("ONEPORT_SUBJECT").as_deref() {
            Ok("haproxy") => Self::Haproxy,
            Ok("oneport") | Err(_) => Self::Oneport,
            Ok(path) if path.starts_with('/') => Self::Oneport,
            Ok(other) => panic!("ONEPORT_SUBJECT is `oneport`, `haproxy` or a full path, not `{other}`"),
        }
    }

    /// The executable.
    pub fn path(self) -> PathBuf {
        match self {
            Self::Oneport => match std::env::var("ONEPORT_SUBJECT") {
                Ok(path) if path.starts_with('/') => PathBuf::from(path),
                _ => PathBuf::from(env!("CARGO_BIN_EXE_oneport")),
            },
            Self::Haproxy => installed("haproxy", "haproxy"),
        }
    }
}

/// Whether the test has to stand aside because it checks what HAProxy does not do. Always false for oneport.
pub fn only_oneport(reason: &str) -> bool {
    let aside = Program::subject() == Program::Haproxy;
    if aside {
        eprintln!("not run against haproxy: {reason}");
    }
    aside
}

/// The gateway with this file, and `listener` as its descriptor 7.
pub fn inheriting(listener: TcpListener, file: &Path) -> Command {
    let mut command = Command::new(installed("sh", "dash"));
    command
        .args(["-c", "exec \"$0\" \"$@\" 7<&0 </dev/null"])
        .arg(Program::subject().path())
        .args(["-db", "-f"])
        .arg(file)
        .stdin(Stdio::from(OwnedFd::from(listener)));
    command
}

/// The full path of an installed program. A missing peer fails the test and names its package.
pub fn installed(name: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: apt-get install {package} (or: make test)"))
}
