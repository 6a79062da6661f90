//! Products of integer activations with weight codes.
//!
//! A weight is `scale * code + bias` with one scale and bias for each group of inputs and column, so a
//! group's part of a product is `scale * sum(a * code) + bias * sum(a)`. The first sum is an integer
//! below 2^31 that every instruction set computes exactly; what is done with it in f32 is defined by
//! [`portable`], operation by operation, and so all give the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod dotprod;
#[cfg(target_arch = "aarch64")]
mod i8mm;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod rows;
#[cfg(test)]
mod tests;
mod tiles;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub(super) use rows::{Buffers, IntegerRows};

use std::sync::OnceLock;

use super::codes::{COLUMNS, Panel, Words};
use crate::isa::Isa;

/// Sums of a row with a panel's columns.
pub(super) type Sums = [f32; COLUMNS];

/// An implementation for the instructions of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kernel {
    /// Plain Rust.
    Portable,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni(vnni::Vnni),
    /// NEON with dot products of bytes.
    #[cfg(target_arch = "aarch64")]
    Dotprod(dotprod::Dotprod),
    /// NEON with matrix products of bytes.
    #[cfg(target_arch = "aarch64")]
    I8mm(i8mm::I8mm),
}

impl Kernel {
    /// What runs on `isa`, the plainest first, the fastest last.
    fn available(isa: Isa) -> Vec<Self> {
        let kernels = [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            avx2::Avx2::of(isa).map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            vnni::Vnni::of(isa).map(Self::Vnni),
            #[cfg(target_arch = "aarch64")]
            dotprod::Dotprod::of(isa).map(Self::Dotprod),
            #[cfg(target_arch = "aarch64")]
            i8mm::I8mm::of(isa).map(Self::I8mm),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The fastest for the instruction set that kernels run on.
    pub(super) fn current() -> Self {
        static CURRENT: OnceLock<Kernel> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            Self::available(Isa::current()).last().copied().unwrap_or(Self::Portable)
        })
    }

    /// Its name, for records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(_) => "avx512vnni",
            #[cfg(target_arch = "aarch64")]
            Self::Dotprod(_) => "neon-dotprod",
            #[cfg(target_arch = "aarch64")]
            Self::I8mm(_) => "neon-i8mm",
        }
    }

    /// `panel` as this kernel reads it; `buffer` holds codes that are widened.
    pub(super) fn prepare<'b>(self, panel: Panel<'b>, buffer: &'b mut Vec<Words>) -> Panel<'b> {
        match self {
            // It widens narrow codes in registers.
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(_) => panel,
            _ => panel.widened(buffer),
        }
    }

    /// `out[r] =` the product of row `r` with the panel's columns, [prepared](Self::prepare).
    pub(super) fn multiply_i16(self, panel: Panel, rows: IntegerRows<i16>, out: &mut [Sums]) {
        match self {
            Self::Portable => portable::multiply_i16(panel, rows, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.multiply(panel, rows, out),
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(simd) => simd.multiply(panel, rows, out),
            #[cfg(target_arch = "aarch64")]
            Self::Dotprod(simd) => simd.multiply(panel, rows, out),
            #[cfg(target_arch = "aarch64")]
            Self::I8mm(simd) => simd.multiply(panel, rows, out),
        }
    }

    /// The same of 8-bit activations.
    pub(super) fn multiply_i8(self, panel: Panel, rows: IntegerRows<i8>, out: &mut [Sums]) {
        match self {
            Self::Portable => portable::multiply_i8(panel, rows, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.multiply(panel, rows, out),
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(simd) => simd.multiply(panel, rows, out),
            #[cfg(target_arch = "aarch64")]
            Self::Dotprod(simd) => simd.multiply(panel, rows, out),
            #[cfg(target_arch = "aarch64")]
            Self::I8mm(simd) => simd.multiply(panel, rows, out),
        }
    }
}
