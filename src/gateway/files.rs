//! The files that a configuration names (error files, maps, lists of patterns), read by the keeper for a gateway that no
//! longer can. Nobody asks for a file by its path: those go along that the keeper has read while it loaded the same texts.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::duties::{put, put_number, take, take_number, take_text};
use crate::config::{self, ReadFile};
use crate::process::keeper::ANSWER_BYTES_MAX;

/// The files that a configuration names, as the keeper has read them.
#[derive(Debug, Default)]
pub struct Files {
    list: Vec<NamedFile>,
    /// Length of them all.
    bytes: usize,
}

/// A file that was asked for.
#[derive(Debug)]
struct NamedFile {
    path: String,
    /// How much was to be read of it.
    bytes_max: u64,
    /// What is in it, or why it was not read.
    found: Result<Vec<u8>, String>,
}

impl Files {
    fn get(&self, path: &Path, bytes_max: u64) -> Option<Result<Vec<u8>, String>> {
        let same = |file: &&NamedFile| file.bytes_max == bytes_max && Path::new(&file.path) == path;
        self.list.iter().find(same).map(|file| file.found.clone())
    }

    /// Gives them to whoever loads the configuration.
    #[must_use]
    pub fn reader(self) -> ReadFile {
        Rc::new(move |path, bytes_max| {
            // Both have read the same texts with the same program, so this would be a fault of ours.
            let missing = || Err(format!("the keeper process has not read `{}`", path.display()));
            self.get(path, bytes_max).unwrap_or_else(missing)
        })
    }
}

/// Reads files and keeps what was read, each once.
pub(super) fn recording(files: Rc<RefCell<Files>>) -> ReadFile {
    Rc::new(move |path, bytes_max| {
        let mut files = files.borrow_mut();
        if let Some(found) = files.get(path, bytes_max) {
            return found;
        }
        let mut found = config::read_file(path, bytes_max);
        files.bytes = files.bytes.saturating_add(found.as_ref().map_or(0, Vec::len));
        if files.bytes > ANSWER_BYTES_MAX {
            let mib = ANSWER_BYTES_MAX >> 20;
            found = Err(format!("`{}`: the files of a reload are longer than {mib} MiB", path.display()));
        }
        let path = path.to_string_lossy().into_owned();
        files.list.push(NamedFile { path, bytes_max, found: found.clone() });
        found
    })
}

/// How many files; each path, how much was to be read, 1 and the bytes, or 0 and why there are none.
pub(super) fn put_files(to: &mut Vec<u8>, files: &Files) {
    put_number(to, files.list.len());
    for file in &files.list {
        put(to, file.path.as_bytes());
        to.extend_from_slice(&file.bytes_max.to_le_bytes());
        put_number(to, usize::from(file.found.is_ok()));
        match &file.found {
            Ok(bytes) => put(to, bytes),
            Err(why) => put(to, why.as_bytes()),
        }
    }
}

pub(super) fn take_files(from: &mut &[u8]) -> Option<Files> {
    let mut files = Files::default();
    for _ in 0..take_number(from)? {
        let path = take_text(from)?;
        let (bytes_max, rest) = from.split_first_chunk()?;
        *from = rest;
        let found = match take_number(from)? {
            1 => Ok(take(from)?.to_vec()),
            _ => Err(take_text(from)?),
        };
        files.list.push(NamedFile { path, bytes_max: u64::from_le_bytes(*bytes_max), found });
    }
    Some(files)
}
