//! Fills in texts: values of headers, targets of redirects, lines of the log.

use super::{Sample, Scratch, Verdict, View, fetch, value};
use crate::config::{Alias, Flags, Format, Piece};

/// The longest text that is filled in.
const TEXT_BYTES_MAX: usize = 65_535;

/// Writes a text with its parts filled in; a part without a value is empty.
pub fn fill(format: &Format, view: &View<'_>, out: &mut Vec<u8>) {
    for piece in &format.pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Sample(expr, flags) => {
                // Hexadecimal are numbers and addresses of variables only.
                let flags = Flags { hex: false, ..*flags };
                let from = out.len();
                value(expr, view, &mut |sample| write(sample.bytes(&mut Scratch::new()), flags, out));
                encode(out, from, &|b| b.is_ascii_control() && b != b'\t');
            }
            Piece::Alias(alias, flags) => match (alias, view.response()) {
                (Alias::Status, Some((head, _))) => {
                    out.extend_from_slice(Sample::Int(head.status.into()).bytes(&mut Scratch::new()));
                }
                _ => view.world().alias(*alias, *flags, out),
            },
        }
        out.truncate(TEXT_BYTES_MAX);
    }
}

/// Gives the bytes behind `from` that cannot stand there as `%XX`.
pub fn encode(out: &mut Vec<u8>, from: usize, cannot: &dyn Fn(u8) -> bool) {
    let behind = out.get(from..).unwrap_or_default();
    let Some(at) = behind.iter().position(|&b| cannot(b)) else { return };
    let rest = out.split_off(from + at);
    for byte in rest {
        if cannot(byte) {
            out.push(b'%');
            write(&[byte], Flags { hex: true, ..Flags::default() }, out);
        } else {
            out.push(byte);
        }
    }
}

/// [`Verdict::NotYet`] where more bytes could change what is filled in, else yes.
pub(super) fn is_settled(format: &Format, view: &View<'_>) -> Verdict {
    let waits = |piece: &Piece| match piece {
        Piece::Sample(expr, _) => fetch::each(expr, view, false, &mut |_| true) == fetch::Fetched::NotYet,
        _ => false,
    };
    if !view.is_final() && format.pieces.iter().any(waits) { Verdict::NotYet } else { Verdict::Yes }
}

/// Writes one part as its flags want it.
pub fn write(bytes: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if flags.quote {
        out.push(b'"');
    }
    for &byte in bytes {
        match byte {
            byte if flags.hex => {
                for nibble in [byte >> 4, byte & 15] {
                    out.push(b"0123456789ABCDEF".get(usize::from(nibble)).copied().unwrap_or(b'0'));
                }
            }
            b'"' | b'\\' | b']' if flags.escape => out.extend_from_slice(&[b'\\', byte]),
            byte => out.push(byte),
        }
    }
    if flags.quote {
        out.push(b'"');
    }
}
