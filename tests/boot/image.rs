//! What a board boots: a small system around Debian's busybox, then our own packaging's overlay exactly as it is
//! flashed, then the test's configuration. The kernel unpacks one archive after the other.

use crate::archive::{Archive, pad};
use crate::support::pattern;
use std::path::{Path, PathBuf};

/// The seed of `/www/blob`, which the board's web server serves.
pub const BLOB_SEED: u64 = 0xB007;
/// Its length.
pub const BLOB_LEN: usize = 1024 * 1024;

/// The small system's own files: where they are on the board, their permissions, their content.
const FILES: [(&str, u32, &[u8]); 8] = [
    ("etc/inittab", 0o644, include_bytes!("root/etc/inittab")),
    ("etc/hosts", 0o644, include_bytes!("root/etc/hosts")),
    ("etc/resolv.conf", 0o644, include_bytes!("root/etc/resolv.conf")),
    ("etc/init.d/rcS", 0o755, include_bytes!("root/etc/init.d/rcS")),
    ("etc/init.d/rcK", 0o755, include_bytes!("root/etc/init.d/rcK")),
    ("etc/init.d/console", 0o755, include_bytes!("root/etc/init.d/console")),
    ("lib/relay/serve", 0o755, include_bytes!("root/lib/relay/serve")),
    ("www/index.html", 0o644, b"<h1>served on the board</h1>\n"),
];

const FOLDERS: [&str; 18] = [
    "bin",
    "dev",
    "etc",
    "etc/init.d",
    "lib",
    "lib/modules",
    "lib/relay",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "usr/sbin",
    "var",
    "var/log",
    "www",
];

/// The whole image of a board, `configuration` being its `/etc/oneport.cfg`.
pub fn build(board: &str, configuration: &str) -> Vec<u8> {
    let mut image = base(board);
    pad(&mut image);
    image.extend(overlay(board));
    pad(&mut image);
    let mut own = Archive::default();
    own.file("etc/oneport.cfg", 0o644, configuration.as_bytes());
    image.extend(own.finish());
    image
}

/// Where things of a board go that are made from this checkout.
pub fn made(board: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/boards").join(board)
}

fn base(board: &str) -> Vec<u8> {
    let cached = cache().join(board);
    let read = |name: &str| {
        let path = cached.join(name);
        std::fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; `make test-boot` (or tests/boot/setup) fetches it", path.display())
        })
    };
    let mut base = Archive::default();
    for folder in FOLDERS {
        base.folder(folder);
    }
    base.link("var/run", "../run");
    base.character_device("dev/console", 5, 1);
    base.file("bin/busybox", 0o755, &read("busybox"));
    base.link("bin/sh", "busybox");
    base.link("sbin/init", "../bin/busybox");
    let order = String::from_utf8(read("modules")).expect("names of modules");
    for module in order.lines() {
        base.file(&format!("lib/modules/{module}.ko"), 0o644, &read(&format!("{module}.ko")));
    }
    base.file("lib/modules/order", 0o644, order.as_bytes());
    for program in ["ld", "libc.so.6", "nc"] {
        base.file(&format!("lib/relay/{program}"), 0o755, &read(&format!("relay/{program}")));
    }
    for (path, permissions, content) in FILES {
        base.file(path, permissions, content);
    }
    base.file("www/blob", 0o644, &pattern::payload(BLOB_SEED, BLOB_LEN));
    base.finish()
}

/// Our packaging's work.
fn overlay(board: &str) -> Vec<u8> {
    let path = made(board).join("oneport-overlay.cpio.gz");
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; make BOARD={board} package makes it", path.display()))
}

/// Where `tests/boot/setup` puts what it fetches.
fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("ONEPORT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("oneport")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/oneport")))
        .expect("one of ONEPORT_CACHE, XDG_CACHE_HOME and HOME is set")
        .join("boot")
}

/// The kernel that a board boots, by the name of Debian's package.
pub fn kernel(board: &str) -> String {
    std::fs::read_to_string(cache().join(board).join("complete")).unwrap_or_default().trim().to_string()
}
