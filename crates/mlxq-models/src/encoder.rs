//! The contract of every model.

use crate::{Ops, Tokens};

/// A model that turns tokens into vectors.
pub trait Encoder<O: Ops>: Send + Sync {
    /// The last hidden state of every token, `[tokens, hidden]`.
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor;

    /// The head's scores of every row, `[rows, labels]`; `None` for a model without a head.
    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor>;
}
