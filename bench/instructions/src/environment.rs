//! What the numbers depend on besides oneport's source.

use std::io;
use std::process::Command;

use crate::figures::Environment;

/// Compiler, target, C library, valgrind, and what the copying and searching functions choose by.
pub fn environment() -> io::Result<Environment> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = said(Command::new(rustc).arg("-vV"))?;
    let line = |prefix: &str| {
        let found = rustc.lines().find_map(|line| line.strip_prefix(prefix));
        found
            .map(|value| value.trim().to_owned())
            .ok_or_else(|| io::Error::other("rustc -vV says too little"))
    };
    Ok(vec![
        ("rustc".into(), line("release:")?),
        ("target".into(), line("host:")?),
        ("libc".into(), said(Command::new("getconf").arg("GNU_LIBC_VERSION"))?),
        ("valgrind".into(), said(Command::new("valgrind").arg("--version"))?),
        ("processor".into(), processor().into()),
    ])
}

#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    if std::is_x86_feature_detected!("avx2") { "x86_64 with AVX2" } else { "x86_64 without AVX2" }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> &'static str {
    std::env::consts::ARCH
}

/// What a program prints, without its last line end.
fn said(command: &mut Command) -> io::Result<String> {
    let output = command.output().map_err(|error| io::Error::other(format!("{command:?}: {error}")))?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{command:?}: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
