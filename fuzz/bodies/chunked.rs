//! A chunked body is understood the same however it is cut.

use oneport::http::{ChunkError, Chunked};

/// How a body ended: bytes of the input that belong to it, its data, whether it is complete.
type Outcome = Result<(usize, Vec<u8>, bool), ChunkError>;

/// Checks one input: the first byte is the size of the pieces, the others the body and what follows it.
pub fn check(data: &[u8]) {
    let Some((&size, data)) = data.split_first() else { return };
    let whole = fed(data, data.len().max(1));
    assert_eq!(fed(data, 1), whole);
    assert_eq!(fed(data, usize::from(size).max(1)), whole);
    assert_eq!(spliced(data), whole);
}

/// In pieces of `size` bytes, with [`Chunked::feed`] and [`Chunked::dechunk`] beside each other.
fn fed(data: &[u8], size: usize) -> Outcome {
    let mut body = Chunked::new();
    let (mut taken, mut content) = (0, Vec::new());
    for piece in data.chunks(size) {
        let mut twin = body.clone();
        let mut buffer = piece.to_vec();
        let step = body.feed(piece);
        assert_eq!(twin.dechunk(&mut buffer), step);
        let step = step?;
        assert!(step.data <= step.taken && step.taken <= piece.len());
        assert!(step.done == body.is_done() && (step.done || step.taken == piece.len()));
        assert_eq!(buffer[step.taken..], piece[step.taken..]);
        taken += step.taken;
        content.extend_from_slice(&buffer[..step.data]);
    }
    Ok((taken, content, body.is_done()))
}

/// Framing byte by byte, data past the parser.
fn spliced(data: &[u8]) -> Outcome {
    let mut body = Chunked::new();
    let (mut taken, mut content) = (0, Vec::new());
    while taken < data.len() && !body.is_done() {
        let count = usize::try_from(body.data_left()).unwrap_or(usize::MAX).min(data.len() - taken);
        if count > 0 {
            content.extend_from_slice(&data[taken..taken + count]);
            body.passed(count as u64);
            taken += count;
        } else {
            let step = body.feed(&data[taken..=taken])?;
            assert_eq!((step.taken, step.data), (1, 0));
            taken += 1;
        }
    }
    Ok((taken, content, body.is_done()))
}
