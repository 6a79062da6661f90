//! Scaled dot-product attention over ragged rows.
//!
//! Sixteen queries of one head go together, one in each lane of the vectors. Their scores, `[keys, 16]`,
//! need no sum across lanes, the keys and values are read where they lie, and only queries and results are
//! turned. The queries' scores stay in the nearest cache up to 512 keys. Each number is summed in an order
//! that its row alone decides.

mod head;
mod machine;
mod output;
mod relative;
mod softmax;
#[cfg(test)]
mod tests;
mod tile;
mod turn;

use std::cell::RefCell;
use std::ops::Range;

use crate::isa::Isa;
use crate::pool::Pool;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use head::{Head, Scratch};
use machine::{LANES, Machine};
use output::Output;
use relative::Terms;

/// Most queries of one head and row that one job takes.
const QUERIES: usize = 256;
/// Jobs for each thread, so that all end at about the same time.
const JOBS: usize = 4;
/// Least multiplications of a job: what is worth waking a thread for.
const WORTH_SHARING: usize = 1 << 19;

/// Rows of a matrix, at a stride: row `r` begins at `data[r * stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The numbers, from the first row's first on.
    pub data: &'a [f32],
    /// From the beginning of a row to that of the next.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// What lies from row `row` and column `column` on.
    #[inline(always)]
    fn from(self, row: usize, column: usize) -> Self {
        Self { data: &self.data[row * self.stride + column..], stride: self.stride }
    }

    /// The first `width` numbers of row `row`.
    #[inline(always)]
    fn row(self, row: usize, width: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..width]
    }

    /// Whether there are `rows` rows of `width` numbers, at least one.
    fn holds(self, rows: usize, width: usize) -> bool {
        (rows - 1) * self.stride + width <= self.data.len()
    }
}

/// Which tokens of its row a token attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All.
    Full,
    /// Itself and those before it.
    Causal,
    /// Those at most so many places away.
    Window(usize),
}

impl Mask {
    /// The keys that any of the `queries` sees in a row of `length` tokens.
    fn reach(self, queries: &Range<usize>, length: usize) -> Range<usize> {
        match self {
            Self::Full => 0..length,
            Self::Causal => 0..queries.end,
            Self::Window(far) => {
                queries.start.saturating_sub(far)..(queries.end.saturating_add(far)).min(length)
            }
        }
    }

    /// Whether `query` sees `key`.
    fn sees(self, query: usize, key: usize) -> bool {
        match self {
            Self::Full => true,
            Self::Causal => key <= query,
            Self::Window(far) => query.abs_diff(key) <= far,
        }
    }
}

/// Terms of the scores by the distance of query and key, see [`attention`].
#[derive(Debug, Clone, Copy)]
pub struct Relative<'a> {
    /// The bucket of the distance `d` = place of the query - place of the key at `d + longest - 1`,
    /// `[2 * longest - 1]`.
    pub buckets: &'a [u32],
    /// `[buckets, heads]`.
    pub bias: Option<&'a [f32]>,
    /// `[buckets, heads * head_size]`.
    pub key: Option<&'a [f32]>,
    /// `[buckets, heads * head_size]`.
    pub query: Option<&'a [f32]>,
}

/// How tokens attend.
#[derive(Debug, Clone, Copy)]
pub struct Spec<'a> {
    /// Number of heads, which divides the width.
    pub heads: usize,
    /// Positive factor of the products.
    pub scale: f32,
    /// Who is seen.
    pub mask: Mask,
    /// Terms by distance.
    pub relative: Option<Relative<'a>>,
}

/// Multi-head attention (Vaswani et al. 2017, equation 1) of every token to the tokens of its row.
///
/// Queries, keys and values are `[tokens, heads * head_size]` at any stride, so that they may be columns
/// of one matrix; row `r` holds the tokens `offsets[r]..offsets[r + 1]`. The result, `softmax(scores)
/// value` for each row and head, goes to `out [tokens, heads * head_size]`, with
/// `scores = scale * (q . k + q . relative.key[b] + k . relative.query[b]) + relative.bias[b, head]`
/// where `b` is the bucket of the distance, and absent terms are 0.
///
/// # Panics
/// When the lengths differ, or `heads` or the offsets do not divide them, or the buckets do not reach as
/// far as the rows.
pub fn attention(pool: &Pool, inputs: [Rows; 3], offsets: &[usize], spec: &Spec, out: &mut [f32]) {
    attention_on(Isa::current(), pool, inputs, offsets, spec, out);
}

/// [`attention`] on that instruction set.
fn attention_on(
    isa: Isa,
    pool: &Pool,
    inputs: [Rows; 3],
    offsets: &[usize],
    spec: &Spec,
    out: &mut [f32],
) {
    let tokens = offsets.last().copied().unwrap_or(0);
    if tokens == 0 || out.is_empty() {
        return;
    }
    let (width, length) = (out.len() / tokens, out.len());
    assert!(width.is_multiple_of(spec.heads), "{width} is no multiple of {} heads", spec.heads);
    assert!(width * tokens == length, "{length} numbers for {tokens} tokens");
    assert!(inputs.iter().all(|rows| rows.holds(tokens, width)), "lengths differ");
    let size = width / spec.heads;
    let call = Call { inputs, offsets, spec, size, out: Output::new(out, width) };
    let pairs = call.pairs();
    let worth = 2 * pairs * size / WORTH_SHARING;
    let jobs = if pool.threads() == 1 { 1 } else { worth.clamp(1, JOBS * pool.threads()) };
    pool.run(jobs, |job| {
        let pairs = pairs * job / jobs..pairs * (job + 1) / jobs;
        SCRATCH.with_borrow_mut(|scratch| call.run(isa, pairs, scratch));
    });
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The numbers of `memory`, at least `length` of them. It never shrinks.
#[inline(always)]
fn room<T: Copy + Default>(memory: &mut Vec<T>, length: usize) -> &mut [T] {
    if memory.len() < length {
        memory.resize(length, T::default());
    }
    &mut memory[..length]
}

/// One call of [`attention`].
struct Call<'a> {
    inputs: [Rows<'a>; 3],
    offsets: &'a [usize],
    spec: &'a Spec<'a>,
    /// Columns of a head.
    size: usize,
    out: Output<'a>,
}

/// Queries of a row, by their places there, which one head answers in one go.
struct Piece {
    row: Range<usize>,
    queries: Range<usize>,
    /// Pairs of query and key.
    pairs: usize,
}

impl Call<'_> {
    /// The rows cut into parts of at most [`QUERIES`] queries.
    #[inline(always)]
    fn pieces(&self) -> impl Iterator<Item = Piece> {
        let mask = self.spec.mask;
        self.offsets.windows(2).flat_map(move |row| {
            let (row, length) = (row[0]..row[1], row[1] - row[0]);
            let parts = length.div_ceil(QUERIES).max(1);
            let part = length.div_ceil(parts).next_multiple_of(LANES).max(1);
            (0..length).step_by(part).map(move |start| {
                let queries = start..length.min(start + part);
                let pairs = queries.len() * mask.reach(&queries, length).len();
                Piece { row: row.clone(), queries, pairs }
            })
        })
    }

    /// Pairs of query and key of all pieces and heads, which measure the work.
    fn pairs(&self) -> usize {
        self.pieces().map(|piece| piece.pairs).sum::<usize>() * self.spec.heads
    }

    /// Answers the pieces and heads that begin with one of the pairs `pairs`, compiled for `isa`.
    fn run(&self, isa: Isa, pairs: Range<usize>, scratch: &mut Scratch) {
        match isa {
            Isa::Portable(machine) => self.run_as(machine, pairs, scratch),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(machine) => {
                #[target_feature(enable = "avx2,fma")]
                fn avx2(call: &Call, machine: Avx2, pairs: Range<usize>, scratch: &mut Scratch) {
                    call.run_as(machine, pairs, scratch);
                }
                // SAFETY: an `Avx2` proves more features than these.
                unsafe { avx2(self, machine, pairs, scratch) }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(machine) => {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512(
                    call: &Call,
                    machine: Avx512,
                    pairs: Range<usize>,
                    scratch: &mut Scratch,
                ) {
                    call.run_as(machine, pairs, scratch);
                }
                // SAFETY: an `Avx512` proves these features.
                unsafe { avx512(self, machine, pairs, scratch) }
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(machine) => self.run_as(machine, pairs, scratch),
        }
    }

    #[inline(always)]
    fn run_as<M: Machine>(&self, machine: M, pairs: Range<usize>, scratch: &mut Scratch) {
        let mut begin = 0;
        for piece in self.pieces() {
            for head in 0..self.spec.heads {
                if pairs.contains(&begin) {
                    self.answer(machine, &piece, head, scratch);
                }
                begin += piece.pairs;
            }
        }
    }

    #[inline(always)]
    fn answer<M: Machine>(&self, machine: M, piece: &Piece, index: usize, scratch: &mut Scratch) {
        let Spec { heads, scale, mask, relative } = *self.spec;
        let (row, size) = (&piece.row, self.size);
        // The softmax is one of powers of 2.
        let factor = scale * std::f32::consts::LOG2_E;
        let head = Head {
            inputs: self.inputs.map(|rows| rows.from(row.start, index * size)),
            length: row.len(),
            size,
            factor,
            mask,
            terms: relative.map(|relative| {
                Terms::new(&relative, [index, heads, size], [factor, std::f32::consts::LOG2_E])
            }),
        };
        // SAFETY: every piece and head begins with pairs of its own, which only one job has; the parts of
        // two pieces differ in their rows, those of two heads in their columns. What `attend` writes are
        // the piece's queries.
        let out = unsafe { self.out.part([row.start, row.len()], [index * size, size]) };
        head.attend(machine, piece.queries.clone(), scratch, &out);
    }
}
