//! Follows a body in chunked transfer coding (RFC 9112 §7.1), in whatever pieces it arrives.
//!
//! The bytes are passed on as they are, so the framing is held to the letter: a server that reads it more
//! loosely than this must still see the same chunks. Hence CRLF only, plain hexadecimal sizes, nothing but
//! visible characters in extensions, and no field in the trailer that would change the message's framing.

use core::ops::Range;

use super::fields::{Known, is_token_byte};

/// Most bytes of one chunk's extensions.
const EXTENSIONS_LEN_MAX: u16 = 4_096;

/// Most bytes of the trailer section.
const TRAILERS_LEN_MAX: u16 = 8_192;

/// Most digits of a chunk's size.
const SIZE_DIGITS_MAX: u8 = 16;

/// Names are kept as far as the longest field that is refused in trailers, plus one byte to know it is longer.
const NAME_KEPT: usize = "transfer-encoding".len() + 1;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Clone)]
pub struct Chunked {
    state: State,
    /// Data of the current chunk still to come, or the size as far as it has been read.
    left: u64,
    /// Digits of the size, bytes of the extensions or of the trailers so far.
    count: u16,
    name: [u8; NAME_KEPT],
    name_len: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Extensions,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// What one [`Chunked::feed`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that belong to this body, from its start: all of them unless `done`.
    pub taken: usize,
    /// How many of these are data, not framing.
    pub data: usize,
    /// The body is complete, trailers included.
    pub done: bool,
}

/// What is no chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkError {
    /// A size that is not 1 to 16 hexadecimal digits, or 2^63 and more.
    Size,
    /// Extensions with control characters, or longer than 4 KiB.
    Extensions,
    /// A line, or a chunk's data, not followed by CRLF.
    LineEnd,
    /// A trailer that is no field line, or more than 8 KiB of them.
    Trailer,
    /// A trailer field that belongs into the head (RFC 9110 §6.5.1).
    TrailerField,
}

impl ChunkError {
    /// A few words for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Size => "bad chunk size",
            Self::Extensions => "bad chunk extensions",
            Self::LineEnd => "chunk without CRLF at its end",
            Self::Trailer => "bad trailer",
            Self::TrailerField => "framing field in trailer",
        }
    }
}

impl Default for Chunked {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunked {
    /// At the start of a body.
    pub fn new() -> Self {
        Self { state: State::Size, left: 0, count: 0, name: [0; NAME_KEPT], name_len: 0 }
    }

    /// Takes in the next bytes of the connection. After an error the body is beyond repair.
    pub fn feed(&mut self, input: &[u8]) -> Result<Step, ChunkError> {
        let (mut taken, mut data) = (0, 0);
        while taken < input.len() && !self.is_done() {
            let piece = self.piece(input.get(taken..).unwrap_or(&[]))?;
            data += piece.data.len();
            taken += piece.taken;
        }
        Ok(Step { taken, data, done: self.is_done() })
    }

    /// Takes in the next bytes of the connection and moves the data among them to the front of `buffer`,
    /// for a client of HTTP/1.0. `Step::data` bytes are left there; what followed the body, from
    /// `Step::taken` on, stays where it was.
    pub fn dechunk(&mut self, buffer: &mut [u8]) -> Result<Step, ChunkError> {
        let (mut taken, mut data) = (0, 0);
        while taken < buffer.len() && !self.is_done() {
            let piece = self.piece(buffer.get(taken..).unwrap_or(&[]))?;
            // Data only ever moves towards the front: `data <= taken + piece.data.start`, all within bounds.
            buffer.copy_within(taken + piece.data.start..taken + piece.data.end, data);
            data += piece.data.len();
            taken += piece.taken;
        }
        Ok(Step { taken, data, done: self.is_done() })
    }

    /// Data bytes of the current chunk still to come; they may be moved without being looked at, and reported
    /// with [`Chunked::passed`]. 0 where framing comes next.
    pub fn data_left(&self) -> u64 {
        if self.state == State::Data { self.left } else { 0 }
    }

    /// `count` bytes of data went past without [`Chunked::feed`]; at most [`Chunked::data_left`].
    pub fn passed(&mut self, count: u64) {
        debug_assert!(count <= self.data_left());
        if self.state == State::Data {
            self.left = self.left.saturating_sub(count);
            if self.left == 0 {
                self.state = State::DataCr;
            }
        }
    }

    /// The body is complete, trailers included.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Framing up to the next data, and that data: at most one range of it.
    fn piece(&mut self, input: &[u8]) -> Result<Piece, ChunkError> {
        let mut at = 0;
        while self.state != State::Data {
            match input.get(at) {
                Some(&byte) if !self.is_done() => self.framing(byte)?,
                _ => return Ok(Piece { taken: at, data: at..at }),
            }
            at += 1;
        }
        let rest = input.len() - at;
        let count = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
        self.passed(count as u64);
        Ok(Piece { taken: at + count, data: at..at + count })
    }

    /// Takes in one byte outside of data.
    fn framing(&mut self, byte: u8) -> Result<(), ChunkError> {
        self.state = match (self.state, byte) {
            (State::Size, b'\r') if self.count > 0 => State::SizeLf,
            (State::Size, b';') if self.count > 0 => self.enter(State::Extensions),
            (State::Size, _) => {
                self.size_digit(byte)?;
                State::Size
            }
            (State::Extensions, b'\r') => State::SizeLf,
            (State::Extensions, _) if is_text(byte) && self.count < EXTENSIONS_LEN_MAX => {
                self.count += 1;
                State::Extensions
            }
            (State::Extensions, _) => return Err(ChunkError::Extensions),
            (State::SizeLf, b'\n') if self.left == 0 => self.enter(State::TrailerStart),
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => self.enter(State::Size),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName | State::TrailerValue, _) => self.trailer(byte)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            (State::Data | State::Done, _) => self.state,
            (State::SizeLf | State::DataCr | State::DataLf | State::TrailerLf | State::EndLf, _) => {
                return Err(ChunkError::LineEnd);
            }
        };
        Ok(())
    }

    fn enter(&mut self, state: State) -> State {
        self.count = 0;
        state
    }

    fn size_digit(&mut self, byte: u8) -> Result<(), ChunkError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(ChunkError::Size),
        };
        // Below 2^63, so that a reader with signed numbers sees the same size.
        if self.count >= u16::from(SIZE_DIGITS_MAX) || self.left >> 59 != 0 {
            return Err(ChunkError::Size);
        }
        self.left = self.left << 4 | u64::from(digit);
        self.count += 1;
        Ok(())
    }

    /// One byte of a trailer's field line.
    fn trailer(&mut self, byte: u8) -> Result<State, ChunkError> {
        self.count += 1;
        if self.count > TRAILERS_LEN_MAX {
            return Err(ChunkError::Trailer);
        }
        if self.state == State::TrailerStart {
            self.name_len = 0;
        }
        match (self.state, byte) {
            (State::TrailerName, b':') => {
                let name = self.name.get(..usize::from(self.name_len)).unwrap_or(&[]);
                if Known::of(name) == Known::Other {
                    Ok(State::TrailerValue)
                } else {
                    Err(ChunkError::TrailerField)
                }
            }
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => {
                if let Some(slot) = self.name.get_mut(usize::from(self.name_len)) {
                    *slot = byte;
                    self.name_len += 1;
                }
                Ok(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_text(byte) => Ok(State::TrailerValue),
            _ => Err(ChunkError::Trailer),
        }
    }
}

/// Framing, then data: the parts of what [`Chunked::piece`] looked at.
struct Piece {
    taken: usize,
    data: Range<usize>,
}

/// Anything but control characters; a tab is none of them here.
fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in two parts cut at `cut`, then byte by byte where `cut` is `None`.
    fn run(input: &[u8], cut: Option<usize>) -> Result<(usize, Vec<u8>, bool), ChunkError> {
        let mut body = Chunked::new();
        let (mut taken, mut data) = (0, Vec::new());
        let parts: Vec<&[u8]> = match cut {
            Some(cut) => vec![&input[..cut], &input[cut..]],
            None => input.chunks(1).collect(),
        };
        for part in parts {
            let mut twin = body.clone();
            let mut buffer = part.to_vec();
            let step = body.feed(part)?;
            assert_eq!(twin.dechunk(&mut buffer), Ok(step));
            assert!(step.done || step.taken == part.len());
            data.extend_from_slice(&buffer[..step.data]);
            taken += step.taken;
        }
        Ok((taken, data, body.is_done()))
    }

    /// The outcome, which must be the same in every segmentation.
    fn outcome(input: &[u8]) -> Result<(usize, Vec<u8>, bool), ChunkError> {
        let whole = run(input, Some(0));
        assert_eq!(run(input, None), whole, "{}", input.escape_ascii());
        for cut in 1..input.len() {
            assert_eq!(run(input, Some(cut)), whole, "{} cut at {cut}", input.escape_ascii());
        }
        whole
    }

    #[test]
    fn good_bodies() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"0\r\n\r\n", b""),
            (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
            (b"3\r\nabc\r\nA\r\n0123456789\r\n00\r\n\r\n", b"abc0123456789"),
            (b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc"),
            (b"3;a=b;c=\"d e\";\tf\r\n\r\n\n\r\n0;x\r\n\r\n", b"\r\n\n"),
            (b"1\r\nx\r\n0\r\nX-Sum: 1\r\nEmpty:\r\nContent-Length-2: 1\r\nTransfer-Encoding-And-On: a\r\n\r\n", b"x"),
        ];
        for (input, data) in cases {
            assert_eq!(outcome(input), Ok((input.len(), data.to_vec(), true)), "{}", input.escape_ascii());
            let mut more = input.to_vec();
            more.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
            assert_eq!(outcome(&more), Ok((input.len(), data.to_vec(), true)));
        }
    }

    #[test]
    fn incomplete_bodies_wait() {
        let whole = b"3;a\r\nabc\r\n0\r\nA: b\r\n\r\n";
        for end in 0..whole.len() {
            let (taken, _, done) = outcome(&whole[..end]).unwrap();
            assert_eq!((taken, done), (end, false));
        }
    }

    #[test]
    fn bad_bodies() {
        let cases: &[(&[u8], ChunkError)] = &[
            (b"\r\n", ChunkError::Size),
            (b"0x3\r\nabc", ChunkError::Size),
            (b"x", ChunkError::Size),
            (b" 5\r\n", ChunkError::Size),
            (b"5 \r\n", ChunkError::Size),
            (b"5\t;a\r\n", ChunkError::Size),
            (b"+5\r\n", ChunkError::Size),
            (b"-1\r\n", ChunkError::Size),
            (b"5\n", ChunkError::Size),
            (b"5,5\r\n", ChunkError::Size),
            (b";a\r\n", ChunkError::Size),
            (b"00000000000000003\r\n", ChunkError::Size),
            (b"8000000000000000\r\n", ChunkError::Size),
            (b"ffffffffffffffff\r\n", ChunkError::Size),
            (b"ffffffffffffffff0\r\n", ChunkError::Size),
            (b"5\rX", ChunkError::LineEnd),
            (b"5\r\r\n", ChunkError::LineEnd),
            (b"3;a\nabc\r\n", ChunkError::Extensions),
            (b"3;a\0\r\nabc\r\n", ChunkError::Extensions),
            (b"3;a\x7f\r\nabc\r\n", ChunkError::Extensions),
            (b"3;a\rb\r\nabc\r\n", ChunkError::LineEnd),
            (b"3\r\nabcd\r\n", ChunkError::LineEnd),
            (b"3\r\nabc0\r\n", ChunkError::LineEnd),
            (b"3\r\nabc\n0\r\n", ChunkError::LineEnd),
            (b"3\r\nabc\r0\r\n", ChunkError::LineEnd),
            (b"0\r\n\n", ChunkError::Trailer),
            (b"0\r\n\rX", ChunkError::LineEnd),
            (b"0\r\nA\r\n\r\n", ChunkError::Trailer),
            (b"0\r\n: a\r\n\r\n", ChunkError::Trailer),
            (b"0\r\nA : a\r\n\r\n", ChunkError::Trailer),
            (b"0\r\n A: a\r\n\r\n", ChunkError::Trailer),
            (b"0\r\nA: a\n\r\n", ChunkError::Trailer),
            (b"0\r\nA: a\rb\r\n", ChunkError::LineEnd),
            (b"0\r\nA: a\0\r\n", ChunkError::Trailer),
            (b"0\r\nA: a\r\n b\r\n\r\n", ChunkError::Trailer),
            (b"0\r\nContent-Length: 3\r\n\r\n", ChunkError::TrailerField),
            (b"0\r\nA: b\r\ntransfer-ENCODING: chunked\r\n\r\n", ChunkError::TrailerField),
            (b"0\r\nhost: a\r\n\r\n", ChunkError::TrailerField),
        ];
        for (input, error) in cases {
            assert_eq!(outcome(input), Err(*error), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn limits() {
        let line = |len: usize| [b"3;".as_slice(), &b"a".repeat(len), b"\r\n"].concat();
        assert!(Chunked::new().feed(&line(4_096)).is_ok());
        assert_eq!(Chunked::new().feed(&line(4_097)), Err(ChunkError::Extensions));
        let trailers = |count: usize| [b"0\r\n".as_slice(), &b"A: b\r\n".repeat(count), b"\r\n"].concat();
        assert!(Chunked::new().feed(&trailers(1_638)).unwrap().done);
        assert_eq!(Chunked::new().feed(&trailers(1_639)), Err(ChunkError::Trailer));
        assert_eq!(Chunked::new().feed(b"7fffffffffffffff\r\n").map(|step| step.taken), Ok(18));
    }

    #[test]
    fn bulk_may_bypass_it() {
        let mut body = Chunked::new();
        body.feed(b"10\r\nabc").unwrap();
        assert_eq!(body.data_left(), 13);
        body.passed(10);
        assert_eq!(body.data_left(), 3);
        body.passed(3);
        assert_eq!(body.data_left(), 0);
        assert!(body.feed(b"\r\n0\r\n\r\nGET").unwrap().done);
    }

    #[test]
    fn dechunk_leaves_what_follows() {
        let mut buffer = *b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\nGET";
        let step = Chunked::new().dechunk(&mut buffer).unwrap();
        assert_eq!((&buffer[..step.data], &buffer[step.taken..]), (&b"abcd"[..], &b"GET"[..]));
    }
}
