//! Payloads that check themselves: a stream of bytes that a seed determines, so that the receiver can make
//! the same stream and name the first byte that is wrong, missing or too many.

/// A pseudo-random stream (xorshift) for one seed.
pub struct Pattern {
    state: u64,
    word: [u8; 8],
    used: usize,
}

impl Pattern {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, word: [0; 8], used: 8 }
    }

    /// The next bytes of the stream.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            if self.used == 8 {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                self.word = self.state.to_le_bytes();
                self.used = 0;
            }
            *byte = self.word[self.used];
            self.used += 1;
        }
    }

    /// Whether these are the next bytes of the stream.
    pub fn matches(&mut self, bytes: &[u8]) -> bool {
        let mut expected = vec![0; bytes.len()];
        self.fill(&mut expected);
        expected == bytes
    }
}

/// The first `len` bytes of the stream of `seed`.
pub fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Pattern::new(seed).fill(&mut bytes);
    bytes
}
