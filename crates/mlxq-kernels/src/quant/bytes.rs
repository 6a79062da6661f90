//! Formats over little-endian bytes, as they stand in files: quantizing on one thread with the machine's
//! instruction set, and restoring.

use std::marker::PhantomData;

use super::{Format, Packed, Scales};
use crate::float::Float;
use crate::isa::Isa;
use crate::simd::{Bf16, F16, F32, LANES, Number, Simd, Work};

/// Bytes of packed weights; the buffers are used again by the next [`Format::encode`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The elements, as words of 32 bits.
    pub words: Vec<u8>,
    /// One number per group, or one byte in the floating-point modes.
    pub scales: Vec<u8>,
    /// One number per group; empty in the floating-point modes.
    pub biases: Vec<u8>,
}

/// Bytes of one group.
#[derive(Clone, Copy)]
struct Sizes {
    numbers: usize,
    words: usize,
    scales: usize,
    biases: usize,
}

/// Where the results of sixteen groups go.
pub(super) struct Block<'a> {
    pub(super) words: &'a mut [u8],
    pub(super) scales: &'a mut [u8],
    pub(super) biases: &'a mut [u8],
}

/// A mode's arithmetic.
pub(super) trait Kernel: Copy {
    /// Quantizes sixteen groups of `numbers`, rounded to `To` first; the largest magnitudes of the
    /// rounded numbers, in the order of [`Simd::largest`].
    fn block<S: Simd, From: Number, To: Number>(
        self,
        simd: S,
        numbers: &[u8],
        out: Block<'_>,
    ) -> S::Floats;
}

impl Format {
    /// Quantizes whole groups of numbers of the format `from`, each rounded to `to` first, on this
    /// thread: bit for bit what `mx.quantize` makes of an array of the dtype `to`. Scales and biases
    /// are numbers of `to`. What `out` held is replaced.
    ///
    /// Returns whether all numbers are finite after rounding to `to`. Where they are not, the result
    /// is still MLX's: infinities take their whole group along, and affine NaNs become code 0.
    ///
    /// # Panics
    /// When `bytes` are not whole groups.
    #[must_use]
    pub fn encode(&self, from: Float, to: Float, bytes: &[u8], out: &mut Encoded) -> bool {
        self.encode_on(Isa::current(), from, to, bytes, out)
    }

    pub(super) fn encode_on(
        &self,
        isa: Isa,
        from: Float,
        to: Float,
        bytes: &[u8],
        out: &mut Encoded,
    ) -> bool {
        let (scales, biases) = match self {
            Self::Affine(_) => (to.size(), to.size()),
            Self::Floating(_) => (1, 0),
        };
        let numbers = self.group_size() * from.size();
        let sizes = Sizes { numbers, words: 4 * self.words(self.group_size()), scales, biases };
        assert!(bytes.len().is_multiple_of(numbers), "{} bytes: no groups", bytes.len());
        let groups = bytes.len() / numbers;
        out.words.resize(groups * sizes.words, 0);
        out.scales.resize(groups * sizes.scales, 0);
        out.biases.resize(groups * sizes.biases, 0);
        match *self {
            Self::Affine(kernel) => encode(isa, kernel, sizes, [from, to], bytes, out),
            Self::Floating(kernel) => encode(isa, kernel, sizes, [from, to], bytes, out),
        }
    }

    /// Restores packed weights to numbers of the format `to`, as `mx.dequantize` does: affine in the
    /// arithmetic of `to`, which is then also the format of scales and biases; the floating-point
    /// modes into any format, MLX's own choice being [`Float::BF16`]. What `out` held is replaced.
    ///
    /// # Panics
    /// When the parts are not those of the same whole groups.
    pub fn decode(&self, to: Float, words: &[u8], scales: &[u8], biases: &[u8], out: &mut Vec<u8>) {
        let words: Vec<u32> =
            words.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let numbers = |bytes: &[u8]| {
            let mut numbers = vec![0.0; bytes.len() / to.size()];
            to.decode(bytes, &mut numbers);
            numbers
        };
        let scales = match self {
            Self::Affine(_) => Scales::Affine { scales: numbers(scales), biases: numbers(biases) },
            Self::Floating(_) => Scales::Floating(scales.to_vec()),
        };
        let elements = 32 * words.len() / self.bits() as usize;
        let packed = Packed { format: *self, words, scales };
        let mut values = vec![0.0; elements];
        packed.restore(to, 0, &mut values);
        out.clear();
        to.encode(&values, out);
    }
}

/// [`Format::encode`] with the mode and the float formats known to the compiler.
fn encode<K: Kernel>(
    isa: Isa,
    kernel: K,
    sizes: Sizes,
    floats: [Float; 2],
    bytes: &[u8],
    out: &mut Encoded,
) -> bool {
    macro_rules! run {
        ($from:ty, $to:ty) => {
            isa.run(Encode { kernel, sizes, bytes, out, formats: PhantomData::<($from, $to)> })
        };
    }
    match floats {
        [Float::F32, Float::F32] => run!(F32, F32),
        [Float::F32, Float::F16] => run!(F32, F16),
        [Float::F32, Float::BF16] => run!(F32, Bf16),
        [Float::F16, Float::F16] => run!(F16, F16),
        [Float::BF16, Float::BF16] => run!(Bf16, Bf16),
        [from, to] => {
            // Pairs that are rare: widened first, they need no code of their own.
            let mut widened = Vec::new();
            let _ = from.convert_on(isa, Float::F32, bytes, &mut widened);
            let sizes = Sizes { numbers: sizes.numbers / from.size() * 4, ..sizes };
            encode(isa, kernel, sizes, [Float::F32, to], &widened, out)
        }
    }
}

/// [`Format::encode`] with a mode between two float formats.
struct Encode<'a, K, From, To> {
    kernel: K,
    sizes: Sizes,
    bytes: &'a [u8],
    out: &'a mut Encoded,
    formats: PhantomData<(From, To)>,
}

impl<K: Kernel, From: Number, To: Number> Work for Encode<'_, K, From, To> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Self { kernel, sizes, bytes, out, .. } = self;
        let mut largest = simd.splat(0.0);
        let blocks = bytes.chunks_exact(LANES * sizes.numbers);
        let rest = blocks.remainder();
        let mut first = 0;
        for numbers in blocks {
            let block = Block {
                words: &mut out.words[first * sizes.words..][..LANES * sizes.words],
                scales: &mut out.scales[first * sizes.scales..][..LANES * sizes.scales],
                biases: &mut out.biases[first * sizes.biases..][..LANES * sizes.biases],
            };
            largest = simd.largest(kernel.block::<S, From, To>(simd, numbers, block), largest);
            first += LANES;
        }
        if !rest.is_empty() {
            // Filled up with groups of zeros, whose results are dropped.
            let mut numbers = rest.to_vec();
            numbers.resize(LANES * sizes.numbers, 0);
            let [mut words, mut scales, mut biases] =
                [sizes.words, sizes.scales, sizes.biases].map(|size| vec![0; LANES * size]);
            let block = Block { words: &mut words, scales: &mut scales, biases: &mut biases };
            largest = simd.largest(kernel.block::<S, From, To>(simd, &numbers, block), largest);
            let parts =
                [(&mut out.words, words), (&mut out.scales, scales), (&mut out.biases, biases)];
            for ((out, part), size) in
                parts.into_iter().zip([sizes.words, sizes.scales, sizes.biases])
            {
                let tail = &mut out[first * size..];
                tail.copy_from_slice(&part[..tail.len()]);
            }
        }
        simd.array(largest).iter().all(|magnitude| magnitude.is_finite())
    }
}
