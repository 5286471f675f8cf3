//! Following a chunked body.

use divan::{Bencher, black_box};
use oneport::http::Chunked;

use crate::WRONG;

/// A body of 64 KiB in chunks of this size, fed as it fills buffers of 16 KiB.
#[divan::bench(args = [16, 512, 8_192])]
fn feed_64_kib(bencher: Bencher, chunk_bytes: usize) {
    const DATA_BYTES: usize = 65_536;
    let mut body = Vec::new();
    for _ in 0..DATA_BYTES / chunk_bytes {
        body.extend_from_slice(format!("{chunk_bytes:x}\r\n").as_bytes());
        body.resize(body.len() + chunk_bytes, b'x');
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let feed = || {
        let mut chunked = Chunked::new();
        let data: usize = black_box(&body)
            .chunks(16_384)
            .map(|piece| chunked.feed(piece).map_or(0, |step| step.data))
            .sum();
        (data, chunked.is_done())
    };
    assert_eq!(feed(), (DATA_BYTES, true), "{WRONG}");
    bencher.bench_local(feed);
}
