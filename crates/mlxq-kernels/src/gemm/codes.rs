//! Panels of quantized weights: codes in the order in which the kernels read them, with the scale and
//! bias of each group and column.
//!
//! The codes of four inputs of a column, a *quad*, lie in one word of 32 bits: those of the first and
//! second input in the even bytes, those of the third and fourth in the odd ones. So a mask and a shift
//! widen them to pairs of 16 bits, and products of four bytes at once take them as they are. Codes of
//! at most 4 bits lie two quads to a word: those of a group's second half in the upper halves of the
//! bytes.

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

/// One panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel<'a> {
    /// `[input / QUAD]`, or half as many of narrow codes.
    pub(super) words: &'a [Words],
    /// `[input / group_size]`.
    pub(super) groups: &'a [Group],
    /// Whether a word holds two quads.
    pub(super) narrow: bool,
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
            turn_codes(affine.bits(), bytes, row_bytes, group_size / QUAD, words);
            turn_groups(stored, rows, groups);
        });
        Self { words, groups, input, group_size, narrow }
    }

    /// Inputs of a group.
    pub(super) fn group_size(&self) -> usize {
        self.group_size
    }

    /// The panel `panel`, as it is stored.
    pub(super) fn panel(&self, panel: usize) -> Panel<'_> {
        let groups_per_row = self.input / self.group_size;
        let words_per_row = self.words.len() / (self.groups.len() / groups_per_row);
        Panel {
            words: &self.words[panel * words_per_row..][..words_per_row],
            groups: &self.groups[panel * groups_per_row..][..groups_per_row],
            narrow: self.narrow,
        }
    }
}

impl<'a> Panel<'a> {
    /// Words of a group.
    #[inline(always)]
    pub(super) fn words_per_group(&self) -> usize {
        self.words.len() / self.groups.len()
    }

    /// The panel with a word for each quad; `buffer` holds those that are widened.
    pub(super) fn widened<'b>(self, buffer: &'b mut Vec<Words>) -> Panel<'b>
    where
        'a: 'b,
    {
        if !self.narrow {
            return self;
        }
        buffer.resize(2 * self.words.len(), [0; COLUMNS]);
        widen(self.words, self.words_per_group(), buffer);
        Panel { words: buffer, groups: self.groups, narrow: false }
    }

    /// Restores the columns from `first` on, `N` of them, of a panel that is not narrow for the inputs `inputs`, whole groups, to the
    /// bits that [`Packed::restore`](crate::quant::Packed::restore) has for them: `[inputs, N]`.
    pub(super) fn decode<const N: usize>(
        &self,
        first: usize,
        inputs: Range<usize>,
        out: &mut [[f32; N]],
    ) {
        debug_assert!(!self.narrow, "codes are widened");
        let quads = self.words_per_group();
        let groups = inputs.start / QUAD / quads..inputs.end / QUAD / quads;
        let places = inputs.start / QUAD..inputs.end / QUAD;
        decode(&self.words[places], &self.groups[groups], first, out.as_flattened_mut());
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
    /// Two quads from each word of narrow codes, group by group: its first half, then its second.
    fn widen(words: &[Words], words_per_group: usize, quads: &mut [Words]) {
        let groups = words.chunks_exact(words_per_group);
        for (words, quads) in groups.zip(quads.chunks_exact_mut(2 * words_per_group)) {
            let (first, second) = quads.split_at_mut(words_per_group);
            for (quads, shift) in [(first, 0), (second, 4)] {
                // Loops over all words at once: of short ones in a loop compilers make gathers.
                let quads = quads.as_flattened_mut().iter_mut();
                for (quad, word) in quads.zip(words.as_flattened()) {
                    *quad = (word >> shift) & 0x0f0f_0f0f;
                }
            }
        }
    }
}

multiversion! {
    /// The rows of `bytes`, each of `row_bytes`, at most [`COLUMNS`], as columns of a panel whose groups
    /// have so many `quads`; `words` are zeros.
    fn turn_codes(bits: u32, bytes: &[u8], row_bytes: usize, quads: usize, words: &mut [Words]) {
        match bits {
            2 => turn_strips::<2>(bytes, row_bytes, quads, words),
            3 => turn_strips::<3>(bytes, row_bytes, quads, words),
            4 => turn_strips::<4>(bytes, row_bytes, quads, words),
            5 => turn_strips::<5>(bytes, row_bytes, quads, words),
            6 => turn_strips::<6>(bytes, row_bytes, quads, words),
            _ => turn_strips::<8>(bytes, row_bytes, quads, words),
        }
    }
}

/// [`turn_codes`] with the number of bits known to the compiler, a strip of inputs at a time.
#[inline(always)]
fn turn_strips<const BITS: usize>(
    bytes: &[u8],
    row_bytes: usize,
    quads_per_group: usize,
    words: &mut [Words],
) {
    const EIGHTS: usize = STRIP / 8;
    let words_per_group = if BITS <= 4 { quads_per_group / 2 } else { quads_per_group };
    for place in 0..row_bytes / (BITS * EIGHTS) {
        let mut strip = [[0; 2 * EIGHTS]; COLUMNS];
        for (strip, row) in strip.iter_mut().zip(bytes.chunks_exact(row_bytes)) {
            let eights = &row.as_chunks::<BITS>().0.as_chunks::<EIGHTS>().0[place];
            for (i, eight) in eights.iter().enumerate() {
                [strip[2 * i], strip[2 * i + 1]] = quads(spread(eight));
            }
        }
        for i in 0..2 * EIGHTS {
            let quad = 2 * EIGHTS * place + i;
            let (group, quad) = (quad / quads_per_group, quad % quads_per_group);
            let word = group * words_per_group + quad % words_per_group;
            // The second half of a narrow group goes over the first.
            let shift = 4 * (quad / words_per_group) as u32;
            for (word, strip) in words[word].iter_mut().zip(&strip) {
                *word |= strip[i] << shift;
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
