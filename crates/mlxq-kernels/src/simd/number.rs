//! The float formats as types, so that loops are compiled for each pair of them.

use super::Simd;
use crate::float::Float;

/// A float format of [`Float`].
pub(crate) trait Number: Copy {
    /// The format.
    const FLOAT: Float;

    /// Bytes of sixteen numbers.
    const BYTES: usize;

    /// Reads sixteen numbers, exactly.
    fn load<S: Simd>(simd: S, bytes: &[u8]) -> S::Floats;

    /// Writes the nearest sixteen numbers.
    fn store<S: Simd>(simd: S, numbers: S::Floats, bytes: &mut [u8]);

    /// The nearest numbers of this format.
    fn round<S: Simd>(simd: S, numbers: S::Floats) -> S::Floats;
}

/// [`Float::F32`].
#[derive(Clone, Copy)]
pub(crate) struct F32;
/// [`Float::F16`].
#[derive(Clone, Copy)]
pub(crate) struct F16;
/// [`Float::BF16`].
#[derive(Clone, Copy)]
pub(crate) struct Bf16;

macro_rules! number {
    ($name:ident, $float:ident, $bytes:literal, $load:ident, $store:ident, |$simd:ident, $x:ident| $round:expr) => {
        impl Number for $name {
            const FLOAT: Float = Float::$float;
            const BYTES: usize = $bytes;

            #[inline(always)]
            fn load<S: Simd>(simd: S, bytes: &[u8]) -> S::Floats {
                simd.$load(bytes.first_chunk().expect("sixteen numbers"))
            }

            #[inline(always)]
            fn store<S: Simd>(simd: S, numbers: S::Floats, bytes: &mut [u8]) {
                simd.$store(numbers, bytes.first_chunk_mut().expect("sixteen numbers"));
            }

            #[inline(always)]
            fn round<S: Simd>($simd: S, $x: S::Floats) -> S::Floats {
                $round
            }
        }
    };
}

number!(F32, F32, 64, load, store, |_simd, x| x);
number!(F16, F16, 32, load_f16, store_f16, |simd, x| simd.round_f16(x));
number!(Bf16, BF16, 32, load_bf16, store_bf16, |simd, x| simd.round_bf16(x));

/// Reads sixteen numbers of `From`, rounded to `To`.
#[inline(always)]
pub(crate) fn load_as<S: Simd, From: Number, To: Number>(simd: S, bytes: &[u8]) -> S::Floats {
    let numbers = From::load(simd, bytes);
    if From::FLOAT == To::FLOAT { numbers } else { To::round(simd, numbers) }
}

/// Evaluates an expression with the types of two [`Float`]s.
macro_rules! with_numbers {
    ($from:expr, $to:expr, $From:ident, $To:ident => $body:expr) => {
        $crate::simd::with_numbers!(@one $from, $From => $crate::simd::with_numbers!(@one $to, $To => $body))
    };
    (@one $float:expr, $Number:ident => $body:expr) => {
        match $float {
            $crate::float::Float::F32 => { type $Number = $crate::simd::F32; $body }
            $crate::float::Float::F16 => { type $Number = $crate::simd::F16; $body }
            $crate::float::Float::BF16 => { type $Number = $crate::simd::Bf16; $body }
        }
    };
}

pub(crate) use with_numbers;
