//! Codes of 2 to 8 bits as one stream, least significant bit first, in little-endian 32-bit words.
//!
//! Code `i` fills the bits `[i * bits, (i + 1) * bits)`; codes of 3, 5 and 6 bits cross word borders.

/// Packs `codes` into `words`; the codes fill a whole number of words.
pub(super) fn pack(bits: u32, codes: &[u8], words: &mut [u32]) {
    let (mut pending, mut held, mut at) = (0u64, 0, 0);
    for &code in codes {
        pending |= u64::from(code) << held;
        held += bits;
        if held >= 32 {
            words[at] = pending as u32;
            at += 1;
            pending >>= 32;
            held -= 32;
        }
    }
    debug_assert_eq!(held, 0, "codes must fill whole words");
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
        let mut words = [0; 5];
        pack(5, &codes, &mut words);
        for (i, &code) in codes.iter().enumerate() {
            for bit in 0..5 {
                let at = 5 * i + bit;
                assert_eq!(words[at / 32] >> (at % 32) & 1, u32::from(code) >> bit & 1, "bit {at}");
            }
        }
    }

    #[test]
    fn unpack_undoes_pack() {
        for bits in [2u32, 3, 4, 5, 6, 8] {
            let codes: Vec<u8> =
                (0..64u32).map(|i| (i.wrapping_mul(2_654_435_761) >> (32 - bits)) as u8).collect();
            let mut words = vec![0; 64 * bits as usize / 32];
            pack(bits, &codes, &mut words);
            let mut back = vec![0; 64];
            unpack(bits, &words, &mut back);
            assert_eq!(back, codes, "{bits} bits");
        }
    }
}
