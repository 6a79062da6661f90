//! Activations and the memory they lie in, which is used again and again.
//!
//! An operation takes a [`Block`] of an [`Arena`], fills it, and gives it away as a [`Tensor`]. Tensors are
//! views: clones and parts share the numbers. With the last of them the memory goes back to its arena, so
//! that after the first batches of a size no operation asks the system for memory.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memory for the activations of one thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Arena {
    free: Arc<Mutex<Vec<Arc<[f32]>>>>,
}

impl Arena {
    /// Memory for `len` numbers, whatever they were before.
    pub(super) fn block(&self, len: usize) -> Block {
        let fitting = |free: &mut Vec<Arc<[f32]>>| {
            // Of those of a size the last that came back, which the caches still hold.
            let fits = free.iter().enumerate().rev().filter(|(_, numbers)| numbers.len() >= len);
            let place = fits.min_by_key(|(_, numbers)| numbers.len()).map(|(place, _)| place);
            // Where none is large enough, a larger one takes the place of the largest.
            let largest = || (0..free.len()).max_by_key(|place| free[*place].len());
            place.or_else(largest).map(|place| free.swap_remove(place))
        };
        let found = fitting(&mut self.free()).filter(|numbers| numbers.len() >= len);
        let numbers = found.unwrap_or_else(|| std::iter::repeat_n(0.0, len).collect());
        Block { buffer: Buffer { numbers, home: Some(self.clone()) }, len }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Arc<[f32]>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle to numbers that go back to their arena with the last handle.
#[derive(Debug, Clone)]
struct Buffer {
    numbers: Arc<[f32]>,
    /// `None` for numbers from elsewhere, which are freed.
    home: Option<Arena>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut numbers = take(&mut self.numbers);
        // Only the last handle can change them. An empty one in their place takes no memory.
        if let (Some(home), Some(_)) = (&self.home, Arc::get_mut(&mut numbers)) {
            home.free().push(numbers);
        }
    }
}

/// Numbers that nobody else sees.
#[derive(Debug)]
pub(super) struct Block {
    buffer: Buffer,
    len: usize,
}

impl Block {
    /// The numbers, to be changed.
    pub(super) fn numbers(&mut self) -> &mut [f32] {
        // There is no other handle, so that nothing is copied.
        &mut Arc::make_mut(&mut self.buffer.numbers)[..self.len]
    }

    /// The numbers as vectors of `width`.
    pub(super) fn tensor(self, width: usize) -> Tensor {
        let rows = self.len / width;
        Tensor { rows, width, stride: width, start: 0, buffer: self.buffer }
    }
}

/// Activations `[rows, width]`: a view of numbers that other tensors may see too.
#[derive(Debug, Clone)]
pub struct Tensor {
    rows: usize,
    width: usize,
    /// Numbers from the begin of a row to that of the next.
    stride: usize,
    start: usize,
    buffer: Buffer,
}

impl Tensor {
    /// The vectors of `width` numbers in `numbers`.
    pub fn new(width: usize, numbers: Vec<f32>) -> Self {
        let rows = numbers.len() / width;
        let buffer = Buffer { numbers: numbers.into(), home: None };
        Self { rows, width, stride: width, start: 0, buffer }
    }

    /// Number of vectors.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Numbers from the begin of a vector to that of the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The vector `row`.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.buffer.numbers[self.start + row * self.stride..][..self.width]
    }

    /// All numbers, copied.
    pub fn to_vec(&self) -> Vec<f32> {
        (0..self.rows).flat_map(|row| self.row(row)).copied().collect()
    }

    /// From the first number of the first vector to the last of the last, with those between that
    /// belong to other views.
    pub(super) fn span(&self) -> &[f32] {
        let len =
            self.rows.saturating_sub(1) * self.stride + self.width.min(self.rows * self.width);
        &self.buffer.numbers[self.start..][..len]
    }

    /// Whether the vectors lie end to end, so that [`Self::span`] is all of them and nothing else.
    pub(super) fn is_dense(&self) -> bool {
        self.stride == self.width || self.rows < 2
    }

    /// The part of every vector from `first` on, `width` numbers.
    pub(super) fn part(&self, first: usize, width: usize) -> Self {
        Self { width, start: self.start + first, ..self.clone() }
    }

    /// The numbers to be changed, if no other tensor sees them.
    ///
    /// # Errors
    /// The tensor itself otherwise.
    pub(super) fn alone(mut self) -> Result<Block, Self> {
        let whole = self.start == 0 && self.is_dense();
        if whole && Arc::get_mut(&mut self.buffer.numbers).is_some() {
            return Ok(Block { len: self.rows * self.width, buffer: self.buffer });
        }
        Err(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_the_last_view_is_gone() {
        let arena = Arena::default();
        let mut block = arena.block(6);
        block.numbers().copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let whole = block.tensor(3);
        let part = whole.part(1, 2);
        assert_eq!((part.row(1), part.span()), (&[5.0, 6.0][..], &[2.0, 3.0, 4.0, 5.0, 6.0][..]));
        assert_eq!(part.to_vec(), [2.0, 3.0, 5.0, 6.0]);
        assert!(part.clone().alone().is_err() && whole.clone().alone().is_err());
        drop(whole);
        assert!(arena.free().is_empty());
        drop(part);
        assert_eq!(arena.free().len(), 1);
        let again = arena.block(4).tensor(2);
        assert_eq!(again.to_vec(), [1.0, 2.0, 3.0, 4.0]);
        assert!(again.alone().is_ok() && arena.free().len() == 1);
    }

    /// Of 4, 8 and 6 numbers: 5 fit into the 6, 9 take the place of the 8.
    #[test]
    fn the_least_that_fits_is_taken_or_the_largest_replaced() {
        let arena = Arena::default();
        let sizes = [4, 8, 6].map(|len| arena.block(len));
        drop(sizes);
        let lengths = || {
            let mut lengths: Vec<_> = arena.free().iter().map(|numbers| numbers.len()).collect();
            lengths.sort_unstable();
            lengths
        };
        let block = arena.block(5);
        assert_eq!(lengths(), [4, 8]);
        drop(block);
        drop(arena.block(9));
        assert_eq!(lengths(), [4, 6, 9]);
    }

    #[test]
    fn nothing_is_a_tensor_too() {
        let none = Tensor::new(3, Vec::new());
        assert!(none.rows() == 0 && none.span().is_empty() && none.is_dense());
    }
}
