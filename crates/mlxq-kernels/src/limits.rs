//! What the machine can do at most: loops over registers alone, one for each instruction that products are made of.
//!
//! They are written in assembly, because a compiler hoists products of constants out of a loop, and puts
//! accumulators on the stack that do not fit its registers. Twelve accumulators hide the latency of every
//! instruction on the machines of today: 4 cycles, twice a cycle, need 8.

/// A loop over registers.
#[derive(Debug, Clone, Copy)]
pub struct RegisterLoop {
    /// The instruction and the width of its registers.
    pub name: &'static str,
    /// Multiplications with their additions in each step.
    pub macs: u64,
    /// Needs the instruction that it is named after.
    steps: unsafe fn(u64),
}

impl RegisterLoop {
    /// Runs `steps` steps.
    pub fn run(&self, steps: u64) {
        // SAFETY: `register_loops`, the only maker of loops, leaves out those that the machine cannot run.
        unsafe { (self.steps)(steps.max(1)) }
    }
}

/// The loops of the instructions that this machine has; on other architectures than x86-64 and AArch64 none.
pub fn register_loops() -> Vec<RegisterLoop> {
    #[cfg(target_arch = "x86_64")]
    return x86::loops();
    #[cfg(target_arch = "aarch64")]
    return aarch64::loops();
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return Vec::new();
}

/// The exclusive or of all `words`: a pass over memory that does little else than read it.
pub fn read(words: &[u64]) -> u64 {
    words.iter().fold(0, |all, word| all ^ word)
}

/// A function of `steps` steps of the instructions `$body`, once for each of the accumulators 0 to 11.
///
/// Register 12 is for intermediate values, 13 holds ones of 16 bits, 14 and 15 hold `$value` in
/// every 32 bits.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_loop {
    ($name:ident, $features:literal, $wide:literal, $value:expr, $($body:literal),+) => {
        #[target_feature(enable = $features)]
        fn $name(steps: u64) {
            // SAFETY: the instructions are those of the features, touch no memory, and change only the
            // flags and the registers that are named.
            unsafe {
                asm!(
                    "vmovd xmm14, {value:e}",
                    concat!("vpbroadcastd ", $wide, "14, xmm14"),
                    concat!("vpbroadcastd ", $wide, "15, xmm14"),
                    "vmovd xmm13, {ones:e}",
                    concat!("vpbroadcastd ", $wide, "13, xmm13"),
                    ".irp to, 0,1,2,3,4,5,6,7,8,9,10,11",
                    "vpxor xmm\\to, xmm\\to, xmm\\to",
                    ".endr",
                    "2:",
                    ".irp to, 0,1,2,3,4,5,6,7,8,9,10,11",
                    $($body,)+
                    ".endr",
                    "dec {steps}",
                    "jnz 2b",
                    steps = inout(reg) steps => _,
                    value = in(reg) $value,
                    ones = in(reg) 0x0001_0001u32,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                    options(nomem, nostack),
                );
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    use super::RegisterLoop;

    /// 1.0 as f32.
    const ONE: u32 = 0x3f80_0000;
    /// Four bytes of 1, or two words of 257.
    const BYTES: u32 = 0x0101_0101;

    x86_loop!(fma_zmm, "avx512f", "zmm", ONE, "vfmadd231ps zmm\\to, zmm14, zmm15");
    x86_loop!(fma_ymm, "avx2,fma", "ymm", ONE, "vfmadd231ps ymm\\to, ymm14, ymm15");
    x86_loop!(words_zmm, "avx512f,avx512vnni", "zmm", BYTES, "vpdpwssd zmm\\to, zmm14, zmm15");
    x86_loop!(bytes_zmm, "avx512f,avx512vnni", "zmm", BYTES, "vpdpbusd zmm\\to, zmm14, zmm15");
    x86_loop!(
        words_ymm,
        "avx2",
        "ymm",
        BYTES,
        "vpmaddwd ymm12, ymm14, ymm15",
        "vpaddd ymm\\to, ymm\\to, ymm12"
    );
    x86_loop!(
        bytes_ymm,
        "avx2",
        "ymm",
        BYTES,
        "vpmaddubsw ymm12, ymm14, ymm15",
        "vpmaddwd ymm12, ymm12, ymm13",
        "vpaddd ymm\\to, ymm\\to, ymm12"
    );

    pub(super) fn loops() -> Vec<RegisterLoop> {
        let avx2 = is_x86_feature_detected!("avx2");
        let avx512 = is_x86_feature_detected!("avx512f");
        let vnni = avx512 && is_x86_feature_detected!("avx512vnni");
        let fma = avx2 && is_x86_feature_detected!("fma");
        let one =
            |name, macs: u64, steps: unsafe fn(u64)| RegisterLoop { name, macs: 12 * macs, steps };
        let all = [
            (avx512, one("f32 vfmadd231ps zmm", 16, fma_zmm)),
            (fma, one("f32 vfmadd231ps ymm", 8, fma_ymm)),
            (vnni, one("i16 vpdpwssd zmm", 32, words_zmm)),
            (vnni, one("u8·i8 vpdpbusd zmm", 64, bytes_zmm)),
            (avx2, one("i16 vpmaddwd + vpaddd ymm", 16, words_ymm)),
            (avx2, one("u8·i8 vpmaddubsw + vpmaddwd + vpaddd ymm", 32, bytes_ymm)),
        ];
        all.into_iter().filter(|(has, _)| *has).map(|(_, one)| one).collect()
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::asm;

    use super::RegisterLoop;

    fn fma(steps: u64) {
        // SAFETY: Advanced SIMD is part of every AArch64 target of Rust with a standard library; the
        // instructions touch no memory and change only the flags and the registers that are named.
        unsafe {
            asm!(
                "fmov v30.4s, #1.0",
                "fmov v31.4s, #1.0",
                "2:",
                ".irp to, 16,17,18,19,20,21,22,23,24,25,26,27",
                "fmla v\\to\\().4s, v30.4s, v31.4s",
                ".endr",
                "subs {steps}, {steps}, #1",
                "b.ne 2b",
                steps = inout(reg) steps => _,
                out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
                out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                out("v30") _, out("v31") _,
                options(nomem, nostack),
            );
        }
    }

    pub(super) fn loops() -> Vec<RegisterLoop> {
        vec![RegisterLoop { name: "f32 fmla 4s", macs: 12 * 4, steps: fma }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loop_of_this_machine_ends() {
        let loops = register_loops();
        assert!(!loops.is_empty() || !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")));
        for one in loops {
            one.run(3);
            one.run(0);
        }
        assert_eq!(read(&[1, 2, 7]), 4);
    }
}
