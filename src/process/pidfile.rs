//! The pidfile, by which scripts find the process to signal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A pidfile that names this process.
///
/// HAProxy leaves its pidfile behind; here [`remove`](Self::remove) takes it away at the end if it still names
/// us, so that `-sf $(cat PIDFILE)` never signals a stranger who got the number later.
#[derive(Debug, Clone)]
pub struct PidFile {
    path: PathBuf,
    pid: u32,
}

impl PidFile {
    /// Writes `pid` and a line end (management §3, `-p`): to a new file that then takes the old one's name, so
    /// that no reader sees half a number; directly where the path is a link or a device or where its directory
    /// takes no new files. To be called after the fork.
    ///
    /// # Errors
    /// A message that names the path and what is wrong.
    pub fn create(path: &Path, pid: u32) -> Result<Self, String> {
        let content = format!("{pid}\n");
        // As a link to a log directory, or /dev/null: renaming would replace the link or the device itself.
        let is_plain = fs::symlink_metadata(path).map_or(true, |old| old.is_file());
        let written = match is_plain {
            true => replace(path, pid, &content).or_else(|_| overwrite(path, &content)),
            false => overwrite(path, &content),
        };
        match written {
            Ok(()) => Ok(Self { path: path.to_owned(), pid }),
            Err(error) => Err(format!("cannot write the pidfile {}: {error}", path.display())),
        }
    }

    /// Removes the file if it still holds our number: a newer process may have written its own. Failing is no
    /// error, since the directory may be closed to us by now.
    pub fn remove(&self) {
        if read_pid(&self.path) == Some(self.pid) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn replace(path: &Path, pid: u32, content: &str) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{pid}"));
    let fresh = path.with_file_name(name);
    // Never through a link that somebody laid there.
    let mut file = OpenOptions::new().write(true).create_new(true).open(&fresh)?;
    let written = file.write_all(content.as_bytes()).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn overwrite(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // A pipe that nobody reads is an error, and not waited for.
    options.custom_flags(OFlags::NONBLOCK.bits() as i32);
    options.open(path)?.write_all(content.as_bytes())
}

fn read_pid(path: &Path) -> Option<u32> {
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;

    #[test]
    fn written_replaced_and_removed_only_when_ours() {
        let folder = std::env::temp_dir().join(format!("oneport-pidfile-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("oneport.pid");
        let old = PidFile::create(&path, 123_456).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"123456\n");
        let new = PidFile::create(&path, 99).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"99\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        old.remove();
        assert!(path.exists(), "the newer process's");
        new.remove();
        assert!(!path.exists());

        let target = folder.join("real");
        fs::write(&target, "old content\n").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        PidFile::create(&path, 7).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"7\n");
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn errors_name_the_path_and_devices_survive() {
        let error = PidFile::create(Path::new("/nonexistent/oneport.pid"), 1).unwrap_err();
        assert!(
            error.starts_with("cannot write the pidfile /nonexistent/oneport.pid: No such file"),
            "{error}"
        );
        PidFile::create(Path::new("/dev/null"), 1).unwrap().remove();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(PidFile::create(Path::new("/"), 1).is_err());
    }
}
