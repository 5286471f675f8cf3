//! Hash functions: the same key gives the same number as in HAProxy.

use crate::config::{HashFunction, HashType};

/// The number for a key.
#[must_use]
pub fn hash(kind: HashType, key: &[u8]) -> u32 {
    let value = match kind.function {
        HashFunction::Sdbm => key.iter().fold(0u32, |hash, &byte| {
            u32::from(byte).wrapping_add(hash << 6).wrapping_add(hash << 16).wrapping_sub(hash)
        }),
        HashFunction::Djb2 => {
            key.iter().fold(5_381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
        }
        HashFunction::Wt6 => wt6(key),
        HashFunction::Crc32 => crc32(key),
        HashFunction::None => number(key),
    };
    mixed(kind, value)
}

/// A value as it is, or mixed where that is asked for.
#[must_use]
pub fn mixed(kind: HashType, value: u32) -> u32 {
    if kind.avalanche { avalanche(value) } else { value }
}

/// Spreads values that differ little over all 32 bits: Bob Jenkins' integer hash with full avalanche, and a factor
/// near three quarters of the range.
pub(super) fn avalanche(value: u32) -> u32 {
    let mut a = value;
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// Two halves that turn each other by amounts that follow from their bits.
fn wt6(key: &[u8]) -> u32 {
    let (mut low, mut high) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut low_turn, mut high_turn) = (6, 18);
    for &byte in key {
        let a = !(low ^ u32::from(byte));
        let b = !high.wrapping_add(u32::from(byte));
        low = b.rotate_left(low_turn);
        high = a.rotate_left(high_turn);
        let bits = ((low >> 16) ^ high) & 0xffff;
        (low_turn, high_turn) = (bits & 31, bits >> 11);
    }
    low ^ high
}

/// The CRC of Ethernet and gzip, bit by bit: keys are short.
fn crc32(key: &[u8]) -> u32 {
    let shifted = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !key.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), shifted))
}

/// The number at the start of a text.
fn number(key: &[u8]) -> u32 {
    let digits = key.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0u32, |number, &digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_give_the_known_values() {
        let of = |function, avalanche, key: &str| {
            hash(HashType { consistent: false, function, avalanche }, key.as_bytes())
        };
        assert_eq!(of(HashFunction::Crc32, false, "123456789"), 0xcbf4_3926);
        assert_eq!(of(HashFunction::Djb2, false, "a"), 5_381 * 33 + 97);
        assert_eq!(of(HashFunction::Sdbm, false, "ab"), 97 * 65_599 + 98);
        assert_eq!(of(HashFunction::None, false, "4294967297x"), 1);
        assert_eq!(of(HashFunction::Sdbm, true, ""), avalanche(0));
        assert_eq!(of(HashFunction::Wt6, false, ""), 0xa53c_965a ^ 0x5ca6_953a);
    }
}
