//! The binary as a file, read with `readelf`.

use crate::board::Board;
use crate::inside::Context;
use crate::support::program::installed;
use std::process::Command;

/// The most that a binary may have.
const BYTES_MAX: u64 = 1024 * 1024;

/// Class, byte order, processor and float ABI are those of `board.mk`; nothing is left to load or strip.
pub fn as_board_mk_says(context: &Context) {
    let board = &context.board;
    let header = readelf(board, "--file-header");
    let (class, machine) = class_and_machine(board.machine());
    expect(&header, &format!("Class: {class}"));
    expect(&header, &format!("Machine: {machine}"));
    expect(&header, &format!("{} endian", board.value("ENDIAN")));
    expect(&header, "Type: EXEC");
    expect_float(board, &header);

    let segments = readelf(board, "--program-headers");
    let sections = readelf(board, "--section-headers");
    for (table, name) in [(&segments, "INTERP"), (&segments, "DYNAMIC"), (&sections, ".symtab")] {
        assert!(!table.contains(name), "{name} in:\n{table}");
    }
    let size = board.binary().metadata().unwrap().len();
    assert!(size < BYTES_MAX, "{size} bytes");
}

fn class_and_machine(machine: &str) -> (&'static str, &'static str) {
    match machine {
        "x86_64" => ("ELF64", "Advanced Micro Devices X86-64"),
        "aarch64" => ("ELF64", "AArch64"),
        "riscv64gc" => ("ELF64", "RISC-V"),
        "arm" | "armv5te" | "armv7" => ("ELF32", "ARM"),
        "mips" | "mipsel" => ("ELF32", "MIPS R3000"),
        other => panic!("what readelf says of {other} is not known here"),
    }
}

/// How floats are passed stands in the header's flags on ARM and RISC-V and in a section of MIPS; the 64-bit
/// others know one way only.
fn expect_float(board: &Board, header: &str) {
    let soft = match board.value("FLOAT") {
        "soft" => true,
        "hard" => false,
        other => panic!("FLOAT = {other}: neither soft nor hard"),
    };
    match board.machine() {
        "arm" | "armv5te" | "armv7" => {
            expect(header, if soft { "soft-float ABI" } else { "hard-float ABI" });
        }
        "riscv64gc" => expect(header, if soft { "soft-float ABI" } else { "double-float ABI" }),
        "mips" | "mipsel" => {
            let attributes = readelf(board, "--arch-specific");
            expect(&attributes, if soft { "FP ABI: Soft float" } else { "FP ABI: Hard float" });
            expect(&attributes, "ISA: MIPS32r2");
        }
        _ => assert!(!soft, "{} has no soft-float ABI", board.machine()),
    }
    // The oldest processor that runs all of it.
    let oldest = match board.machine() {
        "armv5te" => "Tag_CPU_arch: v5TE",
        "arm" => "Tag_CPU_arch: v6",
        "armv7" => "Tag_CPU_arch: v7",
        _ => return,
    };
    expect(&readelf(board, "--arch-specific"), oldest);
}

#[track_caller]
fn expect(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` expected in:\n{text}");
}

/// What it says, with one space wherever it has several.
fn readelf(board: &Board, what: &str) -> String {
    let output = Command::new(installed("readelf", "binutils"))
        .env("LC_ALL", "C")
        .args(["--wide", what])
        .arg(board.binary())
        .output()
        .expect("readelf starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}
