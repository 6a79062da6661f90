//! Tests: every instruction set of this machine gives the bits of the portable one, for all formats, all
//! pairs of floats and hostile numbers.

use super::{Affine, Encoded, Floating, Format};
use crate::float::Float;
use crate::isa::Isa;

const FLOATS: [Float; 3] = [Float::F32, Float::F16, Float::BF16];
/// Two whole blocks, and groups that fill none.
const GROUPS: usize = 37;

/// xorshift, by Marsaglia (2003).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// Between -1 and 1.
    fn number(&mut self) -> f32 {
        self.bits() as i32 as f32 / 2_147_483_648.0
    }
}

/// Bits of one number of `float` at place `i`.
type Kind = fn(&mut Random, Float, usize) -> u32;

/// Kinds of numbers, as bits of the format.
const KINDS: [(&str, Kind); 9] = [
    ("weights", |random, float, _| of(float, 0.03 * (random.number() + random.number()))),
    ("all bit patterns", |random, _, _| random.bits()),
    ("zeros", |random, float, _| random.bits() & sign(float)),
    ("constants", |_, float, i| of(float, 0.1 * (i / 64) as f32 - 0.7)),
    ("steps", |random, float, _| of(float, (random.bits() % 512) as f32 / 4.0 - 40.0)),
    ("subnormals", |random, float, _| random.bits() & (sign(float) | 0x7f)),
    ("huge", |random, float, _| of(float, random.number() * float.max())),
    ("spread", |random, float, _| of(float, random.number().powi(15))),
    ("some not finite", |random, float, i| match random.bits() % 200 {
        0 => of(float, f32::NAN) | random.bits() & sign(float),
        1 if i % 512 > 200 => of(float, f32::INFINITY) | random.bits() & sign(float),
        _ => of(float, (random.number() * 8.0).round() / 4.0),
    }),
];

fn sign(float: Float) -> u32 {
    if float == Float::F32 { 1 << 31 } else { 1 << 15 }
}

fn of(float: Float, x: f32) -> u32 {
    let (mut bytes, mut bits) = (Vec::new(), [0; 4]);
    float.encode(&[x], &mut bytes);
    bits[..bytes.len()].copy_from_slice(&bytes);
    u32::from_le_bytes(bits)
}

/// `count` numbers of a kind, little-endian.
fn numbers(kind: Kind, float: Float, count: usize) -> Vec<u8> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let bits = (0..count).map(|i| kind(&mut random, float, i).to_le_bytes());
    bits.flat_map(|bytes| bytes.into_iter().take(float.size())).collect()
}

fn formats() -> Vec<Format> {
    let sizes = |bits| Affine::GROUP_SIZES.map(|size| Affine::new(bits, size).expect("known"));
    let affine = Affine::BITS.into_iter().flat_map(sizes).map(Format::Affine);
    affine.chain(Floating::ALL.map(Format::Floating)).collect()
}

/// The numbers' bits, where all NaNs are one.
fn bits(float: Float, bytes: &[u8]) -> Vec<u32> {
    let mut numbers = vec![0.0f32; bytes.len() / float.size()];
    float.decode(bytes, &mut numbers);
    numbers.into_iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
}

#[test]
fn quantizing_gives_the_same_bits_on_every_instruction_set() {
    let sets = Isa::available();
    let (mut expected, mut found) = (Encoded::default(), Encoded::default());
    for format in formats() {
        for (kind, generate) in KINDS {
            for from in FLOATS {
                let bytes = numbers(generate, from, GROUPS * format.group_size());
                for to in FLOATS {
                    let finite = format.encode_on(sets[0], from, to, &bytes, &mut expected);
                    for isa in &sets[1..] {
                        let also = format.encode_on(*isa, from, to, &bytes, &mut found);
                        let what =
                            format!("{format:?}, {kind}, {from:?} to {to:?}, {}", isa.name());
                        assert_eq!(also, finite, "{what}");
                        assert_eq!(found.words, expected.words, "words of {what}");
                        let float = if let Format::Affine(_) = format { Some(to) } else { None };
                        let same = |a: &[u8], b: &[u8]| match float {
                            Some(float) => bits(float, a) == bits(float, b),
                            None => a == b,
                        };
                        assert!(same(&found.scales, &expected.scales), "scales of {what}");
                        assert!(same(&found.biases, &expected.biases), "biases of {what}");
                    }
                }
            }
        }
    }
}

#[test]
fn casts_give_the_same_bits_on_every_instruction_set() {
    let sets = Isa::available();
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for (kind, generate) in KINDS {
        for from in FLOATS {
            let bytes = numbers(generate, from, 4099);
            for to in FLOATS {
                let finite = from.convert_on(sets[0], to, &bytes, &mut expected);
                for isa in &sets[1..] {
                    let also = from.convert_on(*isa, to, &bytes, &mut found);
                    let what = format!("{kind}, {from:?} to {to:?}, {}", isa.name());
                    assert_eq!((also, &found), (finite, &expected), "{what}");
                }
            }
        }
    }
}

/// The finite flag against the plain definition.
#[test]
fn finite_means_that_every_rounded_number_is() {
    let (mut encoded, mut out) = (Encoded::default(), Vec::new());
    for (kind, generate) in KINDS {
        for from in FLOATS {
            let bytes = numbers(generate, from, 640);
            let mut values = [0.0f32; 640];
            from.decode(&bytes, &mut values);
            for to in FLOATS {
                let expected = values.iter().all(|x| to.round(*x).is_finite());
                for format in formats() {
                    let finite = format.encode(from, to, &bytes, &mut encoded);
                    assert_eq!(finite, expected, "{format:?}, {kind}, {from:?} to {to:?}");
                }
                assert_eq!(
                    from.convert(to, &bytes, &mut out),
                    expected,
                    "{kind}, {from:?} to {to:?}"
                );
            }
        }
    }
}
