//! cpio archives as the kernel unpacks them into its first file system (the "newc" format, kernel documentation
//! `driver-api/early-userspace/buffer-format`). Everything belongs to root and is of 1970, so the same content gives
//! the same bytes, and nobody has to be root to write a device node.

/// An archive in the making. A folder comes before what is in it.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

impl Archive {
    /// A folder that everybody may look into.
    pub fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER | 0o755, (0, 0), b"");
    }

    /// A file with these permissions.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, FILE | permissions, (0, 0), content);
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, to: &str) {
        self.entry(path, LINK | 0o777, (0, 0), to.as_bytes());
    }

    /// A character device of root's.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE | 0o600, (major, minor), b"");
    }

    /// The archive's bytes. Another archive, packed or not, may follow them.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).expect("a file of an image is far below 4 GiB");
        let name_size = path.len() as u32 + 1;
        let (owner, group, links, time, check) = (0, 0, 1, 0, 0);
        self.bytes.extend_from_slice(b"070701");
        for field in
            [self.entries, mode, owner, group, links, time, size, 0, 0, device.0, device.1, name_size, check]
        {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        pad(&mut self.bytes);
        self.bytes.extend_from_slice(content);
        pad(&mut self.bytes);
    }
}

/// Zeros up to the next multiple of four, where an archive's next part must begin.
pub fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
