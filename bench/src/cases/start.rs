//! Case 8: from exec to the first answered request, and the size of what has to be installed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::Bench;
use crate::child::Child;
use crate::load::dialogue::{BODY, Dialogue};
use crate::peers::{Peer, Settings, prepare};
use crate::results::Measure;

/// Starts of each program.
const STARTS: usize = 15;

pub fn start(bench: &mut Bench) -> Result<()> {
    let mut values: Vec<(String, Vec<f64>)> =
        Peer::ALL.map(|peer| (peer.name().to_string(), Vec::new())).into();
    for _ in 0..STARTS {
        for (peer, (_, times)) in Peer::ALL.iter().zip(&mut values) {
            times.push(time_start(bench, *peer).with_context(|| format!("starting {}", peer.name()))?);
        }
    }
    let started = Measure {
        values,
        goal: Some(0.3),
        notes: vec![format!("median of {STARTS} starts")],
        ..Measure::new("8", "exec to first answered request", "ms")
    };
    let sizes = Peer::ALL.iter().map(|peer| {
        let bytes = installed_bytes(bench.binaries().of(*peer)).with_context(|| peer.name())?;
        Ok((peer.name().to_string(), vec![bytes as f64 / 1024.0]))
    });
    let size = Measure {
        values: sizes.collect::<Result<_>>()?,
        goal: Some(0.25),
        notes: vec!["the stripped binary and every shared library that ldd finds for it".into()],
        ..Measure::new("8", "size with libraries", "KiB")
    };
    for measure in [started, size] {
        bench.say(&measure);
        bench.results.measures.push(measure);
    }
    Ok(())
}

/// Milliseconds.
fn time_start(bench: &Bench, peer: Peer) -> Result<f64> {
    let mut ready = prepare(&bench.stage, peer, &Settings::default())?;
    let (child, started) = bench.stage.cores.on_program_core(|| {
        let started = Instant::now();
        (Child::start(peer.name(), &mut ready.command), started)
    })?;
    let mut child = child?;
    while !answers(ready.front)? {
        child.check_alive()?;
        if started.elapsed() > Duration::from_secs(10) {
            bail!("no answer");
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// False while nobody listens.
fn answers(address: SocketAddr) -> Result<bool> {
    let Ok(mut stream) = TcpStream::connect(address) else { return Ok(false) };
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut send, mut expect) = (Vec::new(), Vec::new());
    Dialogue::Http.unit(0, &mut send, &mut expect);
    stream.write_all(&send)?;
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    while !Dialogue::Http.is_answered(&got, &expect)? {
        match stream.read(&mut chunk)? {
            0 => bail!("closed without the answer {BODY:?}"),
            len => got.extend_from_slice(&chunk[..len]),
        }
    }
    Ok(true)
}

/// Bytes of a program and of the libraries it loads, each counted once.
fn installed_bytes(program: &Path) -> Result<u64> {
    let mut files = BTreeSet::from([program.canonicalize()?]);
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // A static program is no error here, but "not a dynamic executable" or "statically linked".
    for path in text.lines().filter_map(library) {
        files.insert(path.canonicalize().with_context(|| path.display().to_string())?);
    }
    if text.contains("not found") {
        bail!("libraries are missing:\n{text}");
    }
    let mut bytes = 0;
    for file in files {
        bytes += fs::metadata(&file).with_context(|| file.display().to_string())?.len();
    }
    Ok(bytes)
}

/// The file of a line "libc.so.6 => /lib/libc.so.6 (0x…)" or "/lib64/ld-linux.so.2 (0x…)".
fn library(line: &str) -> Option<PathBuf> {
    let path = line.split_once("=>").map_or(line, |(_, path)| path).split_ascii_whitespace().next()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_both_kinds_of_lines() {
        assert_eq!(library("\tlibc.so.6 => /lib/libc.so.6 (0x7f)"), Some("/lib/libc.so.6".into()));
        assert_eq!(
            library("\t/lib64/ld-linux-x86-64.so.2 (0x7f)"),
            Some("/lib64/ld-linux-x86-64.so.2".into())
        );
        assert_eq!(library("\tlinux-vdso.so.1 (0x7f)"), None);
        assert_eq!(library("\tstatically linked"), None);
    }
}
