//! Codes of 2 to 8 bits as one stream, least significant bit first, in little-endian 32-bit words.
//!
//! Code `i` fills the bits `[i * bits, (i + 1) * bits)`; codes of 3, 5 and 6 bits cross word borders.

/// Packs `codes`, a multiple of eight, into `bytes`, `bits` of them for eight codes.
#[inline(always)]
pub(super) fn pack(bits: u32, codes: &[u8], bytes: &mut [u8]) {
    match bits {
        2 => pack_eights::<2>(codes, bytes),
        3 => pack_eights::<3>(codes, bytes),
        4 => pack_eights::<4>(codes, bytes),
        5 => pack_eights::<5>(codes, bytes),
        6 => pack_eights::<6>(codes, bytes),
        _ => bytes.copy_from_slice(codes),
    }
}

#[inline(always)]
fn pack_eights<const BITS: usize>(codes: &[u8], bytes: &mut [u8]) {
    let eights = codes.as_chunks::<8>().0.iter().zip(bytes.as_chunks_mut::<BITS>().0);
    for (codes, bytes) in eights {
        // Neighbours move together: codes, pairs, fours.
        let ones = u64::from_le_bytes(*codes);
        let twos = ones & 0x00ff_00ff_00ff_00ff | (ones & 0xff00_ff00_ff00_ff00) >> (8 - BITS);
        let fours = twos & 0xffff_0000_ffff | (twos & 0xffff_0000_ffff_0000) >> (16 - 2 * BITS);
        let eight = fours & 0xffff_ffff | fours >> 32 << (4 * BITS);
        bytes.copy_from_slice(&eight.to_le_bytes()[..BITS]);
    }
}

/// Eight codes of `BITS` bits as the bytes of a number.
#[inline(always)]
pub(crate) fn spread<const BITS: usize>(bytes: &[u8; BITS]) -> u64 {
    let mut eight = [0; 8];
    eight[..BITS].copy_from_slice(bytes);
    let eight = u64::from_le_bytes(eight);
    // What moved together in `pack_eights` parts again: fours, pairs, codes.
    let four = (1 << (4 * BITS)) - 1;
    let fours = eight & four | (eight >> (4 * BITS) & four) << 32;
    let two = ((1 << (2 * BITS)) - 1) * 0x1_0000_0001;
    let twos = fours & two | (fours >> (2 * BITS) & two) << 16;
    let one = ((1 << BITS) - 1) * 0x1_0001_0001_0001;
    twos & one | (twos >> BITS & one) << 8
}

/// Unpacks `codes.len()` codes from `words`.
pub(super) fn unpack(bits: u32, words: &[u32], codes: &mut [u8]) {
    let mask = (1u64 << bits) - 1;
    let (mut pending, mut held, mut at) = (0u64, 0, 0);
    for code in codes {
        if held < bits {
            pending |= u64::from(words[at]) << held;
            at += 1;
            held += 32;
        }
        *code = (pending & mask) as u8;
        pending >>= bits;
        held -= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: code `i` of five bits is `i`, so bit `5 * i` of the stream starts it.
    #[test]
    fn five_bit_codes_cross_words() {
        let codes: Vec<u8> = (0..32).collect();
        let mut bytes = [0; 20];
        pack(5, &codes, &mut bytes);
        for (i, &code) in codes.iter().enumerate() {
            for bit in 0..5 {
                let at = 5 * i + bit;
                assert_eq!(bytes[at / 8] >> (at % 8) & 1, code >> bit & 1, "bit {at}");
            }
        }
    }

    #[test]
    fn unpack_undoes_pack() {
        for bits in [2u32, 3, 4, 5, 6, 8] {
            let codes: Vec<u8> =
                (0..64u32).map(|i| (i.wrapping_mul(2_654_435_761) >> (32 - bits)) as u8).collect();
            let mut bytes = vec![0; 8 * bits as usize];
            pack(bits, &codes, &mut bytes);
            let words: Vec<u32> =
                bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            let mut back = vec![0; 64];
            unpack(bits, &words, &mut back);
            assert_eq!(back, codes, "{bits} bits");
            assert_eq!(spread_all(bits, &bytes), codes, "{bits} bits by eights");
        }
    }

    fn spread_all(bits: u32, bytes: &[u8]) -> Vec<u8> {
        fn all<const BITS: usize>(bytes: &[u8]) -> Vec<u8> {
            bytes
                .as_chunks::<BITS>()
                .0
                .iter()
                .flat_map(|eight| spread(eight).to_le_bytes())
                .collect()
        }
        match bits {
            2 => all::<2>(bytes),
            3 => all::<3>(bytes),
            4 => all::<4>(bytes),
            5 => all::<5>(bytes),
            6 => all::<6>(bytes),
            _ => all::<8>(bytes),
        }
    }
}
