//! Buffers from a pool: held only while bytes are in them.

use std::cell::RefCell;

/// Free buffers kept while connections are busy: as many as are in use, but at most so many.
const FREE_MAX: usize = 64;
/// Free buffers kept however few are in use: a gateway at rest gives its memory back.
const FREE_AT_REST: usize = 4;

struct Pool {
    free: Vec<Box<[u8]>>,
    size_bytes: usize,
    in_use: usize,
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { free: Vec::new(), size_bytes: 16_384, in_use: 0 }) };
}

/// Sets the size of buffers made from now on (`tune.bufsize`). Those in use keep theirs.
pub fn set_buffer_size(size_bytes: usize) {
    POOL.with_borrow_mut(|pool| {
        pool.size_bytes = size_bytes.max(1_024);
        pool.free.clear();
    });
}

/// Bytes that were read and are not yet passed on: `data[start..end]`. The default holds nothing, and has no room.
#[derive(Default)]
pub struct Buffer {
    data: Box<[u8]>,
    start: u32,
    end: u32,
}

impl Buffer {
    /// An empty buffer, from the pool where it has one.
    pub fn take() -> Self {
        let data = POOL.with_borrow_mut(|pool| {
            pool.in_use = pool.in_use.saturating_add(1);
            pool.free.pop().unwrap_or_else(|| vec![0; pool.size_bytes].into_boxed_slice())
        });
        Self { data, start: 0, end: 0 }
    }

    /// The bytes that are waiting.
    pub fn bytes(&self) -> &[u8] {
        self.data.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The same, to be rewritten in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.data.get_mut(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// How many bytes are waiting.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether none are.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Size of the whole buffer.
    pub fn capacity(&self) -> usize {
        self.data.len()
    }

    /// The free room behind the bytes.
    pub fn room(&mut self) -> &mut [u8] {
        self.data.get_mut(self.end as usize..).unwrap_or_default()
    }

    /// Says that `len` bytes were written into [`Buffer::room`].
    pub fn filled(&mut self, len: usize) {
        debug_assert!(len <= self.data.len() - self.end as usize);
        // Buffers are at most 64 KiB (`tune.bufsize`), so the sum fits.
        self.end = (self.end as usize + len).min(self.data.len()) as u32;
    }

    /// Drops `len` bytes from the front.
    pub fn consume(&mut self, len: usize) {
        self.start = (self.start as usize + len).min(self.end as usize) as u32;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Keeps only the first `len` waiting bytes.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min((self.start as usize + len) as u32);
    }

    /// Gives the memory back to the pool now; the buffer is empty from here on, and holds nothing.
    pub fn release(&mut self) {
        *self = Self::default();
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Moves the bytes to the front, so that all free room is behind them.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.data.copy_within(self.start as usize..self.end as usize, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Appends as much of `bytes` as fits; returns how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let len = bytes.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), bytes.get(..len)) {
            to.copy_from_slice(from);
        }
        self.filled(len);
        len
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        if data.is_empty() {
            return;
        }
        // The thread's pool may be gone when the process ends.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            pool.in_use = pool.in_use.saturating_sub(1);
            if data.len() == pool.size_bytes {
                pool.free.push(data);
            }
            let kept = pool.in_use.clamp(FREE_AT_REST, FREE_MAX);
            pool.free.truncate(kept);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_behind_and_come_out_in_front() {
        let mut buffer = Buffer::take();
        assert_eq!(buffer.append(b"hello world"), 11);
        buffer.consume(6);
        assert_eq!(buffer.bytes(), b"world");
        buffer.compact();
        assert_eq!(buffer.room().len(), buffer.capacity() - 5);
        assert_eq!(buffer.bytes(), b"world");
        buffer.truncate(2);
        assert_eq!(buffer.bytes(), b"wo");
        buffer.consume(100);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_full_buffer_takes_no_more() {
        let mut buffer = Buffer::take();
        let capacity = buffer.capacity();
        assert_eq!(buffer.append(&vec![1; capacity + 5]), capacity);
        assert_eq!(buffer.append(b"x"), 0);
    }

    #[test]
    fn a_busy_pool_keeps_no_more_spare_buffers_than_are_in_use() {
        let one = Buffer::take();
        let mut many: Vec<_> = (0..200).map(|_| Buffer::take()).collect();
        let free = || POOL.with_borrow(|pool| pool.free.len());
        many.truncate(100);
        assert_eq!(free(), FREE_MAX);
        many.truncate(20);
        assert_eq!(free(), 21);
        drop(many);
        assert_eq!(free(), FREE_AT_REST);
        drop(one);
    }

    #[test]
    fn the_pool_gives_memory_back_at_rest() {
        let many: Vec<_> = (0..20).map(|_| Buffer::take()).collect();
        drop(many);
        POOL.with_borrow(|pool| {
            assert_eq!(pool.in_use, 0);
            assert!(pool.free.len() <= FREE_AT_REST);
        });
    }
}
