//! A tensor as a view of its storage, and how its elements are gathered in their dense order.

use std::cmp::Reverse;
use std::ops::Range;

use crate::CheckpointError;
use crate::read::Input;

/// Elements that are gathered at a time.
const CHUNK: usize = 1 << 18;
/// What lies between two elements is read too if it is no longer than this, in bytes.
const GAP: u64 = 512;
/// The longest range that is read at once, in bytes.
const SPAN: u64 = 1 << 20;

/// Where the elements of a tensor lie.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Which storage.
    pub(super) storage: usize,
    /// Byte of the storage at which counting begins.
    pub(super) start: u64,
    /// Element at which the tensor begins.
    pub(super) offset: u64,
    /// Elements from one index to the next, for each dimension.
    pub(super) strides: Vec<u64>,
    /// Bytes of an element.
    pub(super) size: usize,
}

impl View {
    /// Refuses a tensor of `shape` that leaves its storage of `room` elements, or is larger than a
    /// storage can be meant to be (a stride of 0 makes much of little).
    pub(super) fn check(&self, shape: &[usize], room: u64) -> Result<(), String> {
        if shape.contains(&0) {
            return Ok(());
        }
        let mut last = Some(self.offset);
        for (size, stride) in shape.iter().zip(&self.strides) {
            let step = (*size as u64 - 1).checked_mul(*stride);
            last = last.zip(step).and_then(|(last, step)| last.checked_add(step));
        }
        if last.is_none_or(|last| last >= room) {
            return Err(format!(
                "{shape:?} with strides {:?} from {} leaves its storage of {room} elements",
                self.strides, self.offset
            ));
        }
        let elements: usize = shape.iter().product();
        if elements as u64 > room.saturating_mul(4).saturating_add(1024) {
            return Err(format!("has {elements} elements, but its storage only {room}"));
        }
        Ok(())
    }

    /// Whether the elements lie in the storage as they do in the dense tensor.
    fn is_dense(&self, shape: &[usize]) -> bool {
        let mut expected = 1;
        shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let good = *size <= 1 || *stride == expected;
            expected *= *size as u64;
            good
        })
    }

    /// Puts the dense elements `range` of the tensor of `shape` into `target`, all of it; `base` is
    /// where the storage begins in `input`.
    pub(super) fn read(
        &self,
        shape: &[usize],
        range: Range<usize>,
        input: &Input,
        base: u64,
        target: &mut [u8],
    ) -> Result<(), CheckpointError> {
        if target.is_empty() {
            return Ok(());
        }
        let base = base + self.start;
        if self.is_dense(shape) {
            let first = self.offset + range.start as u64;
            return input.read_at(target, base + first * self.size as u64);
        }
        let mut scratch = Vec::new();
        let row: usize = shape.iter().skip(1).product();
        let step = if row <= CHUNK { CHUNK / row * row } else { CHUNK };
        for start in range.clone().step_by(step) {
            let chunk = start..range.end.min(start + step);
            let part = (start - range.start) * self.size..(chunk.end - range.start) * self.size;
            self.gather(shape, chunk, input, base, &mut target[part], &mut scratch)?;
        }
        Ok(())
    }

    /// Reads the elements `range` in the order of the file, neighbours together.
    fn gather(
        &self,
        shape: &[usize],
        range: Range<usize>,
        input: &Input,
        base: u64,
        target: &mut [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let size = self.size as u64;
        let mut order = self.elements(shape, range);
        order.sort_unstable();
        let mut rest = order.as_slice();
        while let Some((first, _)) = rest.first() {
            let together = |pair: &&[(u64, usize)]| {
                (pair[1].0 - pair[0].0) * size <= GAP + size && (pair[1].0 - first) * size < SPAN
            };
            let (run, others) = rest.split_at(1 + rest.windows(2).take_while(together).count());
            let last = run.last().map_or(*first, |(last, _)| *last);
            scratch.resize(((last - first + 1) * size) as usize, 0);
            input.read_at(scratch, base + first * size)?;
            for (index, place) in run {
                let from = ((index - first) * size) as usize;
                let to = place * self.size;
                target[to..to + self.size].copy_from_slice(&scratch[from..from + self.size]);
            }
            rest = others;
        }
        Ok(())
    }

    /// The dense elements `range`: where in the storage each is, and at which place of the range. Of
    /// whole rows they come in the order of the storage, which then need not be made by sorting.
    fn elements(&self, shape: &[usize], range: Range<usize>) -> Vec<(u64, usize)> {
        let row: usize = shape.iter().skip(1).product();
        let mut axes = self.axes(shape, range.start);
        if range.start.is_multiple_of(row) && range.end.is_multiple_of(row) {
            if let Some(rows) = axes.first_mut() {
                (rows.restart, rows.end) = (rows.at, range.end / row);
            }
            axes.sort_by_key(|axis| Reverse(axis.stride));
        }
        let steps = axes.iter().map(|axis| axis.at as u64 * axis.stride);
        let mut index = self.offset + steps.sum::<u64>();
        let mut place = range.start;
        let mut elements = Vec::with_capacity(range.len());
        for _ in range.clone() {
            elements.push((index, place - range.start));
            for axis in axes.iter_mut().rev() {
                axis.at += 1;
                (index, place) = (index + axis.stride, place + axis.step);
                if axis.at < axis.end {
                    break;
                }
                let back = axis.end - axis.restart;
                (index, place) = (index - back as u64 * axis.stride, place - back * axis.step);
                axis.at = axis.restart;
            }
        }
        elements
    }

    /// The dimensions, outermost first, standing at the dense element `start`.
    fn axes(&self, shape: &[usize], start: usize) -> Vec<Axis> {
        let mut step = 1;
        let axis = |(size, stride): (&usize, &u64)| {
            let axis =
                Axis { at: start / step % size, restart: 0, end: *size, stride: *stride, step };
            step *= size;
            axis
        };
        let mut axes: Vec<Axis> = shape.iter().zip(&self.strides).rev().map(axis).collect();
        axes.reverse();
        axes
    }
}

/// A dimension that is counted through.
struct Axis {
    /// The index.
    at: usize,
    /// Where it begins anew after `end`.
    restart: usize,
    end: usize,
    /// Elements of the storage, and of the dense tensor, from one index to the next.
    stride: u64,
    step: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: u64, strides: &[u64]) -> View {
        View { storage: 0, start: 0, offset, strides: strides.to_vec(), size: 2 }
    }

    /// The elements of a view of 0, 1, 2 … read in parts of `step`.
    fn read(view: &View, shape: &[usize], stored: u16, step: usize) -> Vec<u16> {
        let bytes: Vec<u8> = (0..stored).flat_map(u16::to_le_bytes).collect();
        let input = Input::memory("x", [vec![9; 3], bytes].concat());
        let elements: usize = shape.iter().product();
        let mut all = Vec::new();
        for start in (0..elements).step_by(step) {
            let range = start..elements.min(start + step);
            let mut target = vec![0; range.len() * 2];
            view.read(shape, range, &input, 3, &mut target).expect("read");
            all.extend(target.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)));
        }
        all
    }

    /// Expected values by the definition: the sum of index times stride.
    #[test]
    fn views_are_gathered_in_dense_order() {
        for (offset, strides, shape) in [
            (0, &[5, 1][..], &[4, 5][..]),
            (3, &[5, 1], &[2, 5]),
            (0, &[1, 4], &[4, 5]),
            (2, &[1, 700], &[300, 3]),
            (0, &[10, 1], &[3, 4]),
            (1, &[1, 1], &[3, 4]),
            (7, &[0, 1], &[3, 4]),
            (0, &[2, 24, 6], &[3, 4, 4]),
            (5, &[], &[]),
            (0, &[99, 1], &[1, 6]),
        ] {
            let view = view(offset, strides);
            view.check(shape, 2200).expect("inside");
            let elements: usize = shape.iter().product();
            let expected: Vec<u16> = (0..elements)
                .map(|element| {
                    let mut rest = element;
                    let mut index = offset;
                    for (size, stride) in shape.iter().zip(strides).rev() {
                        index += (rest % size) as u64 * stride;
                        rest /= size;
                    }
                    index as u16
                })
                .collect();
            for step in [1, 7, elements] {
                assert_eq!(read(&view, shape, 2200, step), expected, "{strides:?} {shape:?}");
            }
        }
    }

    #[test]
    fn views_that_leave_their_storage_are_refused() {
        for (offset, strides, shape, room) in [
            (0, &[1][..], &[9][..], 8),
            (8, &[1], &[1], 8),
            (0, &[u64::MAX, 2], &[3, 3], 8),
            (u64::MAX, &[1], &[2], 8),
            (0, &[0], &[1 << 30], 16),
            (0, &[], &[], 0),
        ] {
            assert!(view(offset, strides).check(shape, room).is_err(), "{strides:?} {shape:?}");
        }
        view(99, &[7]).check(&[0], 0).expect("nothing is read");
    }
}
