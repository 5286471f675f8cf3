//! The value of the cookie that means a server: written in the configuration, or worked out from its address.

use std::net::{IpAddr, SocketAddr};

use super::Server;
use crate::config::ServerCookie;

/// The bytes of a value that is worked out.
const DYNAMIC_BYTES: usize = 16;

/// A value that was worked out, and for which address.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    address: Option<SocketAddr>,
    value: [u8; DYNAMIC_BYTES],
}

impl Server {
    /// Whether requests with this value ask for it.
    pub fn has_cookie(&self, value: &[u8]) -> bool {
        match &self.config.cookie {
            Some(ServerCookie::Value(own)) => **own == *value,
            Some(ServerCookie::Dynamic(key)) => {
                value.len() == DYNAMIC_BYTES && self.dynamic_cookie(key).is_some_and(|own| own == *value)
            }
            None => false,
        }
    }

    /// Writes the value; false where it has none.
    pub fn push_cookie(&self, out: &mut Vec<u8>) -> bool {
        match &self.config.cookie {
            Some(ServerCookie::Value(own)) => out.extend_from_slice(own),
            Some(ServerCookie::Dynamic(key)) => match self.dynamic_cookie(key) {
                Some(own) => out.extend_from_slice(&own),
                None => return false,
            },
            None => return false,
        }
        true
    }

    /// Worked out once an address; a server on a unix socket has none.
    fn dynamic_cookie(&self, key: &[u8]) -> Option<[u8; DYNAMIC_BYTES]> {
        let address = self.address()?;
        let mut known = self.cookie.get();
        if known.address != Some(address) {
            known = Known { address: Some(address), value: worked_out(key, address) };
            self.cookie.set(known);
        }
        Some(known.value)
    }
}

/// The hash of the key, the address and the port, as HAProxy writes it.
fn worked_out(key: &[u8], address: SocketAddr) -> [u8; DYNAMIC_BYTES] {
    let mut text = key.to_vec();
    match address.ip() {
        IpAddr::V4(ip) => text.extend(ip.octets()),
        IpAddr::V6(ip) => text.extend(ip.octets()),
    }
    text.extend(u32::from(address.port()).to_be_bytes());
    let hash = xxh64(&text);
    let mut value = [0; DYNAMIC_BYTES];
    for (digit, shift) in value.iter_mut().zip((0..16).rev()) {
        *digit = b"0123456789abcdef".get((hash >> (shift * 4) & 15) as usize).copied().unwrap_or_default();
    }
    value
}

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// XXH64 with the seed 0 (its specification is public).
fn xxh64(bytes: &[u8]) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let round =
        |sum: u64, lane: u64| sum.wrapping_add(lane.wrapping_mul(p2)).rotate_left(31).wrapping_mul(p1);
    let stripes = bytes.chunks_exact(32);
    let rest = stripes.remainder();
    let mut hash = p5;
    if bytes.len() >= 32 {
        let mut sums = [p1.wrapping_add(p2), p2, 0, 0u64.wrapping_sub(p1)];
        for stripe in stripes {
            for (sum, lane) in sums.iter_mut().zip(stripe.chunks(8)) {
                *sum = round(*sum, number(lane));
            }
        }
        let turned = sums.iter().zip([1, 7, 12, 18]).map(|(sum, bits)| sum.rotate_left(bits));
        hash = turned.fold(0, u64::wrapping_add);
        for sum in sums {
            hash = (hash ^ round(0, sum)).wrapping_mul(p1).wrapping_add(p4);
        }
    }
    hash = hash.wrapping_add(bytes.len() as u64);
    let lanes = rest.chunks_exact(8);
    let words = lanes.remainder().chunks_exact(4);
    let last = words.remainder();
    for lane in lanes {
        hash = (hash ^ round(0, number(lane))).rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
    }
    for word in words {
        hash = (hash ^ number(word).wrapping_mul(p1)).rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
    }
    for byte in last {
        hash = (hash ^ u64::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(p2);
    hash = (hash ^ hash >> 29).wrapping_mul(p3);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_haproxys() {
        // Set by HAProxy 2.6 with the key `abc`.
        for (address, value) in
            [("127.0.0.1:45963", b"8d43f7698676aca3"), ("127.0.0.1:44725", b"e5081ce95bb1574c")]
        {
            assert_eq!(&worked_out(b"abc", address.parse().unwrap()), value);
        }
    }

    #[test]
    fn the_hash_is_xxh64() {
        let text: Vec<u8> = (0..101).collect();
        for (len, hash) in HASHES {
            assert_eq!(xxh64(&text[..len]), hash, "{len}");
        }
    }

    /// By the reference implementation, of the bytes 0, 1, 2, ….
    const HASHES: [(usize, u64); 6] = [
        (0, 0xef46_db37_51d8_e999),
        (3, 0xe5c7_bb45_33bc_65dd),
        (14, 0x5cda_8b69_bbfc_1d45),
        (32, 0xcbf5_9c51_16ff_32b4),
        (39, 0x00a3_96ef_1679_a859),
        (101, 0xe990_3849_5f85_381e),
    ];
}
