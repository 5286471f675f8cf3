//! The entries of a stick table: found by a hash of their key, kept in the order of their last use.
//!
//! Entries live in chunks that are made when they are needed and never move. The index grows by one bucket an entry
//! (linear hashing), so that no store ever pays for all others. Links are numbers of entries: half of a pointer.

/// No entry.
pub(super) const NONE: u32 = u32::MAX;
/// The most bytes of a chunk, where it has more than one entry.
const CHUNK_BYTES_MAX: usize = 16 * 1_024;
/// A chunk has 1 to 256 entries: a power of two.
const CHUNK_BITS_MAX: u32 = 8;

/// What is known of an entry beside its key.
#[derive(Clone, Copy)]
struct Meta {
    used_ms: u64,
    hash: u32,
    /// The next of its bucket; of one that is free, the next free one.
    next: u32,
    newer: u32,
    older: u32,
    server: u32,
    key_len: u32,
}

const UNUSED: Meta =
    Meta { used_ms: 0, hash: 0, next: NONE, newer: NONE, older: NONE, server: 0, key_len: 0 };

struct Chunk {
    metas: Box<[Meta]>,
    keys: Box<[u8]>,
}

/// See above.
pub(super) struct Entries {
    key_bytes_max: usize,
    seed: u32,
    /// Entries in a chunk, as a power of two.
    chunk_bits: u32,
    chunks: Vec<Chunk>,
    /// The first entry of each bucket.
    buckets: Vec<u32>,
    /// The first free entry.
    free: u32,
    count: u32,
    newest: u32,
    oldest: u32,
}

impl Entries {
    /// None so far; the `seed` decides which keys share a bucket.
    pub fn new(key_bytes_max: usize, seed: u32) -> Self {
        let entry_bytes = key_bytes_max + size_of::<Meta>();
        let fits = |bits: &u32| entry_bytes << bits <= CHUNK_BYTES_MAX;
        let chunk_bits = (0..=CHUNK_BITS_MAX).rev().find(fits).unwrap_or(0);
        Self {
            key_bytes_max,
            seed,
            chunk_bits,
            chunks: Vec::new(),
            buckets: Vec::new(),
            free: NONE,
            count: 0,
            newest: NONE,
            oldest: NONE,
        }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// The one that was not used for the longest time.
    pub fn oldest(&self) -> u32 {
        self.oldest
    }

    /// The next one that was used later.
    pub fn newer(&self, at: u32) -> u32 {
        self.meta(at).newer
    }

    pub fn used_ms(&self, at: u32) -> u64 {
        self.meta(at).used_ms
    }

    pub fn server(&self, at: u32) -> u32 {
        self.meta(at).server
    }

    pub fn set_server(&mut self, at: u32, server: u32) {
        self.meta_mut(at).server = server;
    }

    /// The key's hash, by which an entry is known again: an entry that has taken its place has another one.
    pub fn hash_of(&self, at: u32) -> Option<u32> {
        let (chunk, within) = self.place(at);
        let meta = self.chunks.get(chunk)?.metas.get(within)?;
        // A free one is in no order.
        let is_used = meta.newer != NONE || meta.older != NONE || self.newest == at;
        is_used.then_some(meta.hash)
    }

    /// The key of an entry.
    pub fn key(&self, at: u32) -> &[u8] {
        let (chunk, within) = self.place(at);
        let start = within * self.key_bytes_max;
        let end = start + self.meta(at).key_len as usize;
        self.chunks.get(chunk).and_then(|chunk| chunk.keys.get(start..end)).unwrap_or_default()
    }

    /// The entry with this key, [`NONE`] where there is none.
    pub fn find(&self, key: &[u8]) -> u32 {
        let hash = self.hash(key);
        let mut at = self.buckets.get(self.bucket(hash)).copied().unwrap_or(NONE);
        while at != NONE {
            let meta = self.meta(at);
            if meta.hash == hash && self.key(at) == key {
                break;
            }
            at = meta.next;
        }
        at
    }

    /// Notes that an entry is used now.
    pub fn touch(&mut self, at: u32, now_ms: u64) {
        if self.newest == at {
            self.meta_mut(at).used_ms = now_ms;
            return;
        }
        self.unlink(at);
        self.link(at, now_ms);
    }

    /// Adds an entry for a key that has none.
    pub fn add(&mut self, key: &[u8], server: u32, now_ms: u64) {
        if self.free == NONE {
            self.add_chunk();
        }
        let at = self.free;
        let hash = self.hash(key);
        self.free = self.meta(at).next;
        *self.meta_mut(at) = Meta { hash, server, key_len: key.len() as u32, ..UNUSED };
        let (chunk, within) = self.place(at);
        let start = within * self.key_bytes_max;
        let room = self.chunks.get_mut(chunk);
        if let Some(room) = room.and_then(|chunk| chunk.keys.get_mut(start..start + key.len())) {
            room.copy_from_slice(key);
        }
        self.count += 1;
        if self.count as usize > self.buckets.len() {
            self.add_bucket();
        }
        self.put_into_bucket(at, hash);
        self.link(at, now_ms);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, at: u32) {
        self.unlink(at);
        let Meta { hash, next, .. } = *self.meta(at);
        let bucket = self.bucket(hash);
        let mut before = self.buckets.get(bucket).copied().unwrap_or(NONE);
        if before == at {
            self.set_bucket(bucket, next);
        } else {
            while before != NONE && self.meta(before).next != at {
                before = self.meta(before).next;
            }
            self.meta_mut(before).next = next;
        }
        *self.meta_mut(at) = Meta { next: self.free, ..UNUSED };
        self.free = at;
        self.count -= 1;
        if self.count == 0 {
            // What a busy day took is given back.
            *self = Self::new(self.key_bytes_max, self.seed);
        }
    }

    /// The chunk of an entry, and its number there.
    fn place(&self, at: u32) -> (usize, usize) {
        ((at >> self.chunk_bits) as usize, (at & ((1 << self.chunk_bits) - 1)) as usize)
    }

    #[allow(clippy::indexing_slicing, reason = "entries are only linked once their chunk is there")]
    fn meta(&self, at: u32) -> &Meta {
        let (chunk, within) = self.place(at);
        &self.chunks[chunk].metas[within]
    }

    #[allow(clippy::indexing_slicing, reason = "entries are only linked once their chunk is there")]
    fn meta_mut(&mut self, at: u32) -> &mut Meta {
        let (chunk, within) = self.place(at);
        &mut self.chunks[chunk].metas[within]
    }

    fn add_chunk(&mut self) {
        let len = 1 << self.chunk_bits;
        let first = (self.chunks.len() << self.chunk_bits) as u32;
        let mut metas = vec![UNUSED; len].into_boxed_slice();
        // The last one is followed by none.
        for (next, meta) in (first + 1..first + len as u32).zip(&mut metas) {
            meta.next = next;
        }
        let keys = vec![0; len * self.key_bytes_max].into_boxed_slice();
        self.chunks.push(Chunk { metas, keys });
        self.free = first;
    }

    /// Not for secrets, but not to be guessed either: the seed is nobody's business.
    fn hash(&self, key: &[u8]) -> u32 {
        const FACTORS: [u32; 2] = [0x85eb_ca6b, 0xc2b2_ae35];
        let mut hash = self.seed ^ key.len() as u32;
        for word in key.chunks(4) {
            let mut four = [0; 4];
            for (to, from) in four.iter_mut().zip(word) {
                *to = *from;
            }
            hash = (hash ^ u32::from_le_bytes(four).wrapping_mul(FACTORS[0])).rotate_left(13);
            hash = hash.wrapping_mul(5).wrapping_add(self.seed.rotate_left(7));
        }
        hash = (hash ^ hash >> 16).wrapping_mul(FACTORS[0]);
        hash = (hash ^ hash >> 13).wrapping_mul(FACTORS[1]);
        hash ^ hash >> 16
    }

    /// Where a hash belongs: those that the index has not come to yet are still with the bucket they will leave.
    fn bucket(&self, hash: u32) -> usize {
        let len = self.buckets.len();
        let round = len.next_power_of_two();
        let at = hash as usize & (round - 1);
        if at < len { at } else { at & (round / 2).wrapping_sub(1) }
    }

    fn set_bucket(&mut self, bucket: usize, at: u32) {
        if let Some(first) = self.buckets.get_mut(bucket) {
            *first = at;
        }
    }

    fn put_into_bucket(&mut self, at: u32, hash: u32) {
        let bucket = self.bucket(hash);
        let next = self.buckets.get(bucket).copied().unwrap_or(NONE);
        self.meta_mut(at).next = next;
        self.set_bucket(bucket, at);
    }

    /// One bucket more: what belongs there leaves the one that it shared until now.
    fn add_bucket(&mut self) {
        let new = self.buckets.len();
        self.buckets.push(NONE);
        if new == 0 {
            return;
        }
        let shared = new & ((new + 1).next_power_of_two() / 2 - 1);
        let mut at = self.buckets.get(shared).copied().unwrap_or(NONE);
        self.set_bucket(shared, NONE);
        while at != NONE {
            let Meta { next, hash, .. } = *self.meta(at);
            self.put_into_bucket(at, hash);
            at = next;
        }
    }

    fn link(&mut self, at: u32, now_ms: u64) {
        let newest = self.newest;
        let meta = self.meta_mut(at);
        (meta.used_ms, meta.older, meta.newer) = (now_ms, newest, NONE);
        match newest {
            NONE => self.oldest = at,
            newest => self.meta_mut(newest).newer = at,
        }
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let Meta { newer, older, .. } = *self.meta(at);
        match newer {
            NONE => self.newest = older,
            newer => self.meta_mut(newer).older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.meta_mut(older).newer = newer,
        }
    }
}
