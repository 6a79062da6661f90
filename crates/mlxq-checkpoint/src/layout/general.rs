//! Model types without a layout: what can be told from names and shapes alone.

use super::rule::Drafts;
use super::{Arranged, Arrangement, Part, Role};
use crate::tensor::{TensorInfo, TensorSource};

/// Parts of names whose weights clients never quantize.
const NOT_PRODUCTS: [&str; 4] = ["norm", "conv", "ln_", "layernorm"];

/// Every tensor under its own name; `weight`s of two dimensions count as matrix products, but for
/// normalizations and convolutions.
pub fn arrange_by_shape(source: &dyn TensorSource) -> Arrangement {
    unclaimed(Drafts::of(source.tensors()))
}

/// Drafts without a layout's modules.
pub(super) fn unclaimed(drafts: Drafts) -> Arrangement {
    let arrange = |draft: super::Draft| {
        let name = draft.info.name.clone();
        let (module, part) = Part::split(&name).unwrap_or((&name, Part::Bias));
        let role = role(&draft.info, part);
        Arranged::new(draft, (module, &name), (role, true), part)
    };
    let used = drafts.tensors.into_iter().map(arrange).collect();
    Arrangement { prefix: "", folder_prefix: "", used, dropped: drafts.dropped, unknown: vec![] }
}

fn role(info: &TensorInfo, part: Part) -> Role {
    let name = info.name.to_lowercase();
    let product = part == Part::Weight && info.shape.len() == 2;
    if product && !NOT_PRODUCTS.iter().any(|word| name.contains(word)) {
        Role::Linear
    } else {
        Role::Raw
    }
}
