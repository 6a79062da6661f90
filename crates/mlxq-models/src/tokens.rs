//! The token rows of a batch, and the integers that models make of them.

/// The token rows of one batch, end to end.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    /// Token ids, `[tokens]`.
    pub ids: &'a [u32],
    /// Segments, `[tokens]`.
    pub type_ids: &'a [u32],
    /// Start of each row and the end of the last, `[rows + 1]`.
    pub offsets: &'a [usize],
}

impl<'a> Tokens<'a> {
    /// The ids of each row.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u32]> + use<'a> {
        let ids = self.ids;
        self.offsets.windows(2).map(move |row| &ids[row[0]..row[1]])
    }

    /// Number of tokens of the longest row.
    pub fn longest(&self) -> usize {
        self.rows().map(<[u32]>::len).max().unwrap_or(0)
    }

    /// The ids of each row shifted to the right by one place, `first` in front: what an
    /// encoder-decoder's decoder reads, `shift_tokens_right` of transformers' `modeling_bart.py`.
    pub fn shifted_right(&self, first: u32) -> Vec<u32> {
        let mut shifted = Vec::with_capacity(self.ids.len());
        for row in self.rows() {
            let kept = &row[..row.len().saturating_sub(1)];
            shifted.extend(std::iter::once(first).take(row.len()));
            shifted.extend_from_slice(kept);
        }
        shifted
    }

    /// For each row the place in the batch of its last token `id`, or of its last token where it has
    /// none, `[rows]`.
    pub fn last_of(&self, id: u32) -> Vec<u32> {
        let place = |(row, start): (&[u32], &usize)| {
            let last = row.iter().rposition(|other| *other == id).unwrap_or(row.len() - 1);
            (start + last) as u32
        };
        self.rows().zip(self.offsets).map(place).collect()
    }
}

/// How a model numbers the places of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Upwards from a number.
    From(u32),
    /// Upwards from the padding id's successor, padding tokens passed over and given the padding id
    /// itself: `create_position_ids_from_input_ids` of transformers' `modeling_roberta.py`.
    AfterPadding(u32),
}

impl Positions {
    /// The position of every token, `[tokens]`.
    pub fn of(self, tokens: &Tokens) -> Vec<u32> {
        let mut places = Vec::with_capacity(tokens.ids.len());
        for row in tokens.rows() {
            match self {
                Self::From(first) => places.extend((first..).take(row.len())),
                Self::AfterPadding(padding) => {
                    let mut last = padding;
                    places.extend(row.iter().map(|id| {
                        if *id == padding {
                            return padding;
                        }
                        last += 1;
                        last
                    }));
                }
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [u32; 7] = [0, 5, 1, 6, 2, 0, 2];
    const TOKENS: Tokens = Tokens { ids: &IDS, type_ids: &[0; 7], offsets: &[0, 5, 7] };

    /// By hand; the second is what RoBERTa's function gives for padding id 1: the padding in the middle
    /// of the first row keeps position 1 and is not counted.
    #[test]
    fn positions_of_two_rows() {
        assert_eq!(Positions::From(2).of(&TOKENS), [2, 3, 4, 5, 6, 2, 3]);
        assert_eq!(Positions::AfterPadding(1).of(&TOKENS), [2, 3, 1, 4, 5, 2, 3]);
    }

    /// By hand, from transformers' definition.
    #[test]
    fn a_decoder_reads_the_ids_one_place_later() {
        assert_eq!(TOKENS.shifted_right(9), [9, 0, 5, 1, 6, 9, 0]);
    }

    #[test]
    fn the_last_of_several_marks_counts() {
        let ids = [0, 2, 7, 2, 3, 0, 2];
        let tokens = Tokens { ids: &ids, type_ids: &[0; 7], offsets: &[0, 5, 7] };
        assert_eq!(tokens.last_of(2), [3, 6]);
        assert_eq!(tokens.longest(), 5);
    }
}
