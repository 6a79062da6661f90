//! The instruction sets that kernels are compiled for, and the choice among them, made once per process.
//!
//! Wider registers change the speed and never a bit: no kernel outside `gemm` and `attention` uses a
//! fused multiply-add, an approximate division or flush-to-zero.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Work};

/// The environment variable that asks for an instruction set by name.
const VARIABLE: &str = "MLXQ_ISA";

/// An instruction set of this machine. Each variant holds the proof that the machine has it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Isa {
    /// What every machine of the target has.
    Portable(Portable),
    /// AVX2 with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 F, BW, DQ and VL on top of AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// Advanced SIMD.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

impl Isa {
    /// What this machine has, the plainest first, the widest last.
    pub(crate) fn available() -> Vec<Self> {
        let sets = [
            Some(Self::Portable(Portable)),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            Some(Self::Neon(Neon::new())),
        ];
        sets.into_iter().flatten().collect()
    }

    /// What kernels run on: the widest there is, or what `MLXQ_ISA` asks for.
    #[inline]
    pub(crate) fn current() -> Self {
        choice().isa
    }

    /// The set's name, as `MLXQ_ISA` takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
        }
    }

    /// Runs `work`, compiled for this set.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            Self::Portable(simd) => work.run(simd),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.run(work),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => work.run(simd),
        }
    }
}

/// The instruction set that kernels run on here, for records; where `MLXQ_ISA` asks for one that
/// this machine lacks, the words say so.
pub fn name() -> &'static str {
    &choice().words
}

struct Choice {
    isa: Isa,
    words: String,
}

fn choice() -> &'static Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let wanted = std::env::var_os(VARIABLE).filter(|wanted| !wanted.is_empty());
        choose(&Isa::available(), wanted.map(|wanted| wanted.to_string_lossy().into_owned()))
    })
}

/// The set of `available` that is `wanted`, else the last.
fn choose(available: &[Isa], wanted: Option<String>) -> Choice {
    let widest = available.last().copied().unwrap_or(Isa::Portable(Portable));
    let Some(wanted) = wanted else {
        return Choice { isa: widest, words: widest.name().to_owned() };
    };
    if let Some(isa) = available.iter().find(|isa| isa.name() == wanted) {
        return Choice { isa: *isa, words: wanted };
    }
    let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
    let words = format!(
        "{}; {VARIABLE}={wanted:?} is ignored: this machine has {}",
        widest.name(),
        names.join(", ")
    );
    Choice { isa: widest, words }
}

/// Defines a function whose body, plain Rust, is compiled for the baseline, for AVX2 and for
/// AVX-512.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) {
            #[inline(always)]
            fn body($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) {
                    body($($arg),*);
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
                fn avx512($($arg: $type),*) {
                    body($($arg),*);
                }
                match $crate::isa::Isa::current() {
                    // SAFETY: `avx512` needs only features that `Avx512` proves.
                    $crate::isa::Isa::Avx512(_) => return unsafe { avx512($($arg),*) },
                    // SAFETY: `avx2` needs AVX2 alone, which `Avx2` proves.
                    $crate::isa::Isa::Avx2(_) => return unsafe { avx2($($arg),*) },
                    $crate::isa::Isa::Portable(_) => {}
                }
            }
            body($($arg),*);
        }
    };
}

pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_set_is_taken_or_its_absence_explained() {
        let available = Isa::available();
        let widest = available[available.len() - 1].name();
        assert_eq!(choose(&available, None).words, widest);
        let portable = choose(&available, Some("portable".to_owned()));
        assert!(matches!(portable.isa, Isa::Portable(_)));
        assert_eq!(portable.words, "portable");
        let none = choose(&available, Some("altivec".to_owned()));
        assert_eq!(none.isa.name(), widest);
        assert!(none.words.contains("MLXQ_ISA=\"altivec\" is ignored"), "{}", none.words);
    }
}
