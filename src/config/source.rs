//! The files of a configuration, read whole.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::OFlags;

/// The longest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One text to load.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in messages: the path as it was given, or `<preset>`.
    pub name: Rc<str>,
    /// Its bytes.
    pub text: Vec<u8>,
}

impl Source {
    /// A text with a name.
    pub fn new(name: &str, text: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Length of all texts together.
    pub fn bytes(sources: &[Self]) -> usize {
        sources.iter().map(|source| source.text.len()).sum()
    }
}

/// Whether files may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The start: a pipe (`-f <(…)`, `/dev/stdin`) is read until its end, whenever that comes.
    First,
    /// A reload, while connections are served: nothing is waited for, and a pipe, whose bytes are gone, is an error.
    Again,
}

/// A file or folder that could not be read.
#[derive(Debug)]
pub struct SourceError {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub cause: SourceCause,
}

/// Why a file or folder could not be read.
#[derive(Debug)]
pub enum SourceCause {
    /// The system said no.
    Io(io::Error),
    /// Longer than [`FILE_BYTES_MAX`].
    TooLong,
    /// To be read again, which a pipe cannot.
    Pipe,
    /// A folder without any `*.cfg`.
    EmptyFolder,
}

impl fmt::Display for SourceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.path.display())?;
        match &self.cause {
            SourceCause::Io(error) => write!(out, "cannot read the configuration: {error}"),
            SourceCause::TooLong => {
                write!(out, "a configuration file may have at most {} MiB", FILE_BYTES_MAX >> 20)
            }
            SourceCause::Pipe => out.write_str("a pipe cannot be read a second time: a reload needs a file"),
            SourceCause::EmptyFolder => out.write_str("no *.cfg file in this folder"),
        }
    }
}

impl std::error::Error for SourceError {}

/// Reads the named files in order. A folder stands for its `*.cfg` files in the order of their names' bytes,
/// without those that begin with a dot (management §3, "-f").
///
/// # Errors
/// The first file that is missing, unreadable or too long; a folder without configuration files.
pub fn read_sources(paths: &[PathBuf], reading: Reading) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    for path in paths {
        let files = match path.is_dir() {
            true => files_of(path)
                .map_err(|error| SourceError { path: path.clone(), cause: SourceCause::Io(error) })?,
            false => vec![path.clone()],
        };
        if files.is_empty() {
            return Err(SourceError { path: path.clone(), cause: SourceCause::EmptyFolder });
        }
        for path in files {
            match read(&path, reading) {
                Ok(source) => sources.push(source),
                Err(cause) => return Err(SourceError { path, cause }),
            }
        }
    }
    Ok(sources)
}

fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_vec();
        if name.ends_with(b".cfg") && !name.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let path = folder.join(OsString::from_vec(name));
        if !path.is_dir() {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(path: &Path, reading: Reading) -> Result<Source, SourceCause> {
    let mut text = Vec::new();
    let mut options = fs::OpenOptions::new();
    options.read(true);
    if reading == Reading::Again {
        // Opening a pipe would wait until somebody writes into it.
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
    }
    let file = options.open(path).map_err(SourceCause::Io)?;
    if reading == Reading::Again && file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        return Err(SourceCause::Pipe);
    }
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(SourceCause::Io)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(SourceCause::TooLong);
    }
    Ok(Source { name: path.to_string_lossy().into(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("oneport-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_folder_is_its_cfg_files_in_byte_order() {
        let dir = folder("source-order");
        for name in ["b.cfg", "a.cfg", "Z.cfg", ".hidden.cfg", "c.txt", "10.cfg", "9.cfg"] {
            fs::write(dir.join(name), name).unwrap();
        }
        fs::create_dir(dir.join("d.cfg")).unwrap();
        let sources = read_sources(std::slice::from_ref(&dir), Reading::First).unwrap();
        let texts: Vec<_> = sources.iter().map(|s| String::from_utf8(s.text.clone()).unwrap()).collect();
        assert_eq!(texts, ["10.cfg", "9.cfg", "Z.cfg", "a.cfg", "b.cfg"]);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = folder("source-errors");
        let missing = dir.join("missing.cfg");
        let error = read_sources(std::slice::from_ref(&missing), Reading::First).unwrap_err();
        assert!(error.to_string().contains("missing.cfg: cannot read"), "{error}");
        assert!(
            read_sources(std::slice::from_ref(&dir), Reading::First)
                .unwrap_err()
                .to_string()
                .contains("no *.cfg")
        );
        let long = dir.join("long.cfg");
        fs::write(&long, vec![b'\n'; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(read_sources(&[long], Reading::Again).unwrap_err().to_string().contains("4 MiB"));
        fs::remove_dir_all(&dir).unwrap();
    }
    /// A reload with a configuration that had become a pipe once stopped a gateway for good.
    #[test]
    fn a_pipe_is_not_waited_for_when_read_again() {
        let dir = folder("source-pipe");
        let pipe = dir.join("pipe.cfg");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        let error = read_sources(&[pipe], Reading::Again).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("pipe.cfg: a pipe cannot be read a second time: a reload needs a file")
        );
        let zeros = [PathBuf::from("/dev/zero")];
        assert!(read_sources(&zeros, Reading::Again).unwrap_err().to_string().contains("4 MiB"));
        fs::remove_dir_all(&dir).unwrap();
    }
}
