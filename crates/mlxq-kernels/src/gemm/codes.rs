//! Panels of quantized weights: codes in the order in which the kernels read them, with the scale and
//! bias of each group and column.
//!
//! The codes of four inputs of a column, a *quad*, lie in one word of 32 bits: those of the first and
//! second input in the even bytes, those of the third and fourth in the odd ones. So a mask and a shift
//! widen them to pairs of 16 bits, and products of four bytes at once take them as they are. Codes of
//! at most 4 bits lie two quads to a word, the second in the upper halves of the bytes.

use std::ops::Range;

use rayon::prelude::*;

use crate::isa::multiversion;
use crate::quant::{Affine, Stored, spread};

/// Output features of a panel.
pub(super) const COLUMNS: usize = 32;
/// Inputs of a quad.
pub(super) const QUAD: usize = 4;
/// Inputs whose codes are reordered at once; every group is a multiple.
const STRIP: usize = 32;

/// A word for each column of a panel.
pub(super) type Words = [u32; COLUMNS];

/// Scales and biases of one group of a panel's columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) scales: [f32; COLUMNS],
    pub(super) biases: [f32; COLUMNS],
}

/// Affine weights `[output, input]` as panels of [`COLUMNS`] outputs; the columns that fill up the last
/// one are zeros.
#[derive(Debug, Clone)]
pub(super) struct CodePanels {
    /// `[panels, input / QUAD]`, or half as many of narrow codes.
    words: Vec<Words>,
    /// `[panels, input / group_size]`.
    groups: Vec<Group>,
    input: usize,
    group_size: usize,
    /// Whether a word holds two quads.
    narrow: bool,
}

/// One panel, each word a quad.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel<'a> {
    /// `[input / QUAD]`.
    pub(super) quads: &'a [Words],
    /// `[input / group_size]`.
    pub(super) groups: &'a [Group],
}

impl CodePanels {
    /// Packs the rows of `stored`, which are of the format `affine`.
    pub(super) fn pack([output, input]: [usize; 2], affine: Affine, stored: &Stored) -> Self {
        let group_size = affine.group_size();
        let narrow = affine.bits() <= 4;
        let (panels, groups_per_row) = (output.div_ceil(COLUMNS), input / group_size);
        let row_bytes = input / 8 * affine.bits() as usize;
        let words_per_panel = input / QUAD / if narrow { 2 } else { 1 };
        let nothing = Group { scales: [0.0; COLUMNS], biases: [0.0; COLUMNS] };
        let mut words = vec![[0; COLUMNS]; panels * words_per_panel];
        let mut groups = vec![nothing; panels * groups_per_row];
        let all = words.par_chunks_mut(words_per_panel).zip(groups.par_chunks_mut(groups_per_row));
        all.enumerate().for_each(|(panel, (words, groups))| {
            let first = panel * COLUMNS;
            let rows = first..output.min(first + COLUMNS);
            let bytes = &stored.words[rows.start * row_bytes..rows.end * row_bytes];
            turn_codes(affine.bits(), bytes, row_bytes, words);
            turn_groups(stored, rows, groups);
        });
        Self { words, groups, input, group_size, narrow }
    }

    /// Inputs of a group.
    pub(super) fn group_size(&self) -> usize {
        self.group_size
    }

    /// The panel `panel`; `buffer` holds its quads if they must be widened.
    pub(super) fn panel<'a>(&'a self, panel: usize, buffer: &'a mut Vec<Words>) -> Panel<'a> {
        let words = self.words(panel);
        let groups_per_row = self.input / self.group_size;
        let groups = &self.groups[panel * groups_per_row..][..groups_per_row];
        if !self.narrow {
            return Panel { quads: words, groups };
        }
        buffer.resize(2 * words.len(), [0; COLUMNS]);
        widen(words, buffer);
        Panel { quads: buffer, groups }
    }

    fn words(&self, panel: usize) -> &[Words] {
        let count = self.words.len() / (self.groups.len() / (self.input / self.group_size));
        &self.words[panel * count..][..count]
    }
}

impl Panel<'_> {
    /// Restores the columns from `first` on, `N` of them, for the inputs `inputs`, whole groups, to the
    /// bits that [`Packed::restore`](crate::quant::Packed::restore) has for them: `[inputs, N]`.
    pub(super) fn decode<const N: usize>(
        &self,
        first: usize,
        inputs: Range<usize>,
        out: &mut [[f32; N]],
    ) {
        let quads = self.quads.len() / self.groups.len();
        let groups = inputs.start / QUAD / quads..inputs.end / QUAD / quads;
        let places = inputs.start / QUAD..inputs.end / QUAD;
        decode(&self.quads[places], &self.groups[groups], first, out.as_flattened_mut());
    }
}

multiversion! {
    /// [`Panel::decode`], with as many columns as `out` has room for.
    fn decode(quads: &[Words], groups: &[Group], first: usize, out: &mut [f32]) {
        let columns = out.len() / (quads.len() * QUAD);
        let quads_per_group = quads.len() / groups.len();
        let restored = quads.chunks_exact(quads_per_group).zip(groups);
        let outs = out.chunks_exact_mut(quads_per_group * QUAD * columns);
        for ((quads, Group { scales, biases }), out) in restored.zip(outs) {
            let (scales, biases) = (&scales[first..][..columns], &biases[first..][..columns]);
            for (words, out) in quads.iter().zip(out.chunks_exact_mut(QUAD * columns)) {
                let words = &words[first..][..columns];
                for (out, shift) in out.chunks_exact_mut(columns).zip([0, 16, 8, 24]) {
                    for (((out, word), scale), bias) in
                        out.iter_mut().zip(words).zip(scales).zip(biases)
                    {
                        // Two roundings, as MLX has them.
                        *out = ((word >> shift) & 0xff) as i32 as f32 * scale + bias;
                    }
                }
            }
        }
    }
}

multiversion! {
    /// Two quads from each word of narrow codes.
    fn widen(words: &[Words], quads: &mut [Words]) {
        for (words, quads) in words.iter().zip(quads.as_chunks_mut::<2>().0) {
            for column in 0..COLUMNS {
                quads[0][column] = words[column] & 0x0f0f_0f0f;
                quads[1][column] = (words[column] >> 4) & 0x0f0f_0f0f;
            }
        }
    }
}

multiversion! {
    /// The rows of `bytes`, each of `row_bytes`, at most [`COLUMNS`], as columns of a panel.
    fn turn_codes(bits: u32, bytes: &[u8], row_bytes: usize, words: &mut [Words]) {
        match bits {
            2 => turn_strips::<2>(bytes, row_bytes, words),
            3 => turn_strips::<3>(bytes, row_bytes, words),
            4 => turn_strips::<4>(bytes, row_bytes, words),
            5 => turn_strips::<5>(bytes, row_bytes, words),
            6 => turn_strips::<6>(bytes, row_bytes, words),
            _ => turn_strips::<8>(bytes, row_bytes, words),
        }
    }
}

/// [`turn_codes`] with the number of bits known to the compiler, a strip of inputs at a time.
#[inline(always)]
fn turn_strips<const BITS: usize>(bytes: &[u8], row_bytes: usize, words: &mut [Words]) {
    const EIGHTS: usize = STRIP / 8;
    let words_per_strip = if BITS <= 4 { EIGHTS } else { 2 * EIGHTS };
    for (place, words) in words.chunks_exact_mut(words_per_strip).enumerate() {
        let mut strip = [[0; 2 * EIGHTS]; COLUMNS];
        for (strip, row) in strip.iter_mut().zip(bytes.chunks_exact(row_bytes)) {
            let eights = &row.as_chunks::<BITS>().0.as_chunks::<EIGHTS>().0[place];
            for (i, eight) in eights.iter().enumerate() {
                let [first, second] = quads(spread(eight));
                if BITS <= 4 {
                    strip[i] = first | second << 4;
                } else {
                    [strip[2 * i], strip[2 * i + 1]] = [first, second];
                }
            }
        }
        for (i, words) in words.iter_mut().enumerate() {
            for (word, strip) in words.iter_mut().zip(&strip) {
                *word = strip[i];
            }
        }
    }
}

/// Eight codes, the first in the lowest byte, as two quads.
#[inline(always)]
fn quads(codes: u64) -> [u32; 2] {
    const SECOND: u64 = 0x0000_ff00_0000_ff00;
    const OUTER: u64 = 0xff00_00ff_ff00_00ff;
    let swapped = codes & OUTER | (codes & SECOND) << 8 | (codes >> 8) & SECOND;
    [swapped as u32, (swapped >> 32) as u32]
}

/// Scales and biases of the rows `rows` as columns of a panel's groups.
fn turn_groups(stored: &Stored, rows: Range<usize>, groups: &mut [Group]) {
    let float = stored.float;
    let row_bytes = groups.len() * float.size();
    let mut numbers = vec![0.0; groups.len()];
    for (column, row) in rows.enumerate() {
        let bytes = row * row_bytes..(row + 1) * row_bytes;
        float.decode(&stored.scales[bytes.clone()], &mut numbers);
        groups.iter_mut().zip(&numbers).for_each(|(group, x)| group.scales[column] = *x);
        float.decode(&stored.biases[bytes], &mut numbers);
        groups.iter_mut().zip(&numbers).for_each(|(group, x)| group.biases[column] = *x);
    }
}
