//! The modules of a layout, and which tensor belongs to which.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::arrangement::Arranged;
use super::pattern::written_out;
use super::rule::{Draft, number};
use super::{Count, Layout};
use crate::CheckpointError;

/// What a module does with its weight, which decides whether it may be quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A table whose rows are looked up: `weight [rows, width]`.
    Embedding,
    /// A matrix product: `weight [out, in]` and `bias [out]`.
    Linear,
    /// The matrix products of several experts: `weight [experts, out, in]`.
    Experts,
    /// A normalization: `weight [width]` and `bias [width]`; never quantized.
    Norm,
    /// A linear layer of a task head or pooler; left in float.
    Head,
    /// Numbers that clients use as they are, whatever their shape; never quantized.
    Raw,
}

/// Whether a checkpoint has a part of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Needed,
    /// Needed unless `tie_word_embeddings` holds; what a configuration without that key means.
    UnlessTied(bool),
    Optional,
    Absent,
}

/// One module of a model type.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Path without the base-model prefix, with `{i}` where the layer index stands.
    pub path: &'static str,
    /// What it does.
    pub role: Role,
    weight: Presence,
    bias: Presence,
    /// The choice that the module belongs to, and which side of it.
    side: Option<(&'static str, u8)>,
}

impl Module {
    const fn new(path: &'static str, role: Role, bias: Presence) -> Self {
        Self { path, role, weight: Presence::Needed, bias, side: None }
    }

    /// A table, which has no bias.
    pub const fn embedding(path: &'static str) -> Self {
        Self::new(path, Role::Embedding, Presence::Absent)
    }

    /// A matrix product, which may have a bias.
    pub const fn linear(path: &'static str) -> Self {
        Self::new(path, Role::Linear, Presence::Optional)
    }

    /// The stacked products of experts, which have no bias.
    pub const fn experts(path: &'static str) -> Self {
        Self::new(path, Role::Experts, Presence::Absent)
    }

    /// A normalization, which may have a bias.
    pub const fn norm(path: &'static str) -> Self {
        Self::new(path, Role::Norm, Presence::Optional)
    }

    /// A head's or pooler's product with its bias.
    pub const fn head(path: &'static str) -> Self {
        Self::new(path, Role::Head, Presence::Needed)
    }

    /// A matrix that is never quantized.
    pub const fn raw(path: &'static str) -> Self {
        Self::new(path, Role::Raw, Presence::Absent)
    }

    /// The same, with a bias in every checkpoint that has the module.
    pub const fn with_bias(self) -> Self {
        Self { bias: Presence::Needed, ..self }
    }

    /// The same, with a bias in some checkpoints.
    pub const fn maybe_bias(self) -> Self {
        Self { bias: Presence::Optional, ..self }
    }

    /// The same, which some checkpoints lack.
    pub const fn optional(self) -> Self {
        Self { weight: Presence::Optional, ..self }
    }

    /// The same, which is the embedding where `tie_word_embeddings` holds; `default` is what a
    /// configuration without that key means.
    pub const fn unless_tied(self, default: bool) -> Self {
        Self { weight: Presence::UnlessTied(default), ..self }
    }

    /// The same, on one side of a choice: each layer has the modules of exactly one side.
    pub const fn side(self, choice: &'static str, side: u8) -> Self {
        Self { weight: Presence::Optional, side: Some((choice, side)), ..self }
    }
}

impl Module {
    /// The module as this configuration has it.
    fn decided(self, config: &Map<String, Value>) -> Self {
        let Presence::UnlessTied(default) = self.weight else { return self };
        let weight = if is_tied(config, default) { Presence::Optional } else { Presence::Needed };
        Self { weight, ..self }
    }
}

/// Whether the head is the embedding once more.
pub(super) fn is_tied(config: &Map<String, Value>, default: bool) -> bool {
    config.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(default)
}

/// The part of a module that a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Weights, packed or not.
    Weight,
    /// What the layer adds.
    Bias,
    /// Scales of packed weights.
    Scales,
    /// Biases of packed weights.
    Biases,
}

impl Part {
    /// The module and part that the tensor `name` is.
    pub(crate) fn split(name: &str) -> Option<(&str, Self)> {
        let (module, last) = name.rsplit_once('.')?;
        let part = match last {
            "weight" => Self::Weight,
            "bias" => Self::Bias,
            "scales" => Self::Scales,
            "biases" => Self::Biases,
            _ => return None,
        };
        Some((module, part))
    }
}

/// The modules of a layout with their layers written out, by path.
pub(super) struct Modules {
    base: BTreeMap<String, Module>,
    heads: BTreeMap<String, Module>,
}

impl Modules {
    pub(super) fn new(layout: &Layout, config: &Map<String, Value>) -> Self {
        let count = |hole: &str| {
            let count = layout.counts.iter().find(|count| count.hole == hole);
            count.map_or(0, |Count { keys, default, less, .. }| {
                number(config, keys).unwrap_or(*default).saturating_sub(*less)
            })
        };
        let expand = |modules: &[Module]| {
            let paths = |module: &Module| {
                let module = module.decided(config);
                written_out(module.path, &count).into_iter().map(move |path| (path, module))
            };
            modules.iter().flat_map(paths).collect::<BTreeMap<_, _>>()
        };
        let base = layout.base.iter().flat_map(|group| expand(group)).collect();
        Self { base, heads: expand(layout.heads) }
    }

    /// The draft as part of the module that it belongs to, if there is one.
    pub(super) fn claim(&self, prefix: &str, draft: Draft) -> Result<Arranged, Draft> {
        let full = draft.info.name.clone();
        let find = |modules: &BTreeMap<String, Module>, name: &str| {
            let (module, part) = Part::split(name)?;
            modules.get(module).map(|found| (module.len(), found.role, part))
        };
        let base = full.strip_prefix(prefix).and_then(|name| Some((name, find(&self.base, name)?)));
        let (name, (module, role, part), in_base) = match (base, find(&self.heads, &full)) {
            (Some((name, found)), _) => (name, found, true),
            (None, Some(found)) => (full.as_str(), found, false),
            (None, None) => return Err(draft),
        };
        Ok(Arranged::new(draft, (&name[..module], name), (role, in_base), part))
    }

    /// Refuses a checkpoint that lacks what the type needs, or the head where `with_head` is set.
    pub(super) fn check_complete(
        &self,
        found: &dyn Fn(&str) -> bool,
        with_head: bool,
    ) -> Result<(), CheckpointError> {
        let heads = self.heads.iter().flat_map(|(path, module)| lacking(path, module, found));
        if let Some(module) = heads.into_iter().next().filter(|_| with_head) {
            return Err(CheckpointError::NoHead { module });
        }
        let mut missing: BTreeSet<String> =
            self.base.iter().flat_map(|(path, module)| lacking(path, module, found)).collect();
        missing.extend(self.undecided(found));
        if missing.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = missing.iter().take(20).map(|name| format!("`{name}`")).collect();
        let more = if missing.len() > shown.len() { ", …" } else { "" };
        let listed = format!("{}{more}", shown.join(", "));
        Err(CheckpointError::Missing { count: missing.len(), listed })
    }

    /// What the layers lack in which no side of a choice is whole.
    fn undecided(&self, found: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut choices: BTreeMap<(&str, String), BTreeMap<u8, Vec<String>>> = BTreeMap::new();
        for (path, module) in &self.base {
            let Some((choice, side)) = module.side else { continue };
            let layer = path.split('.').find(|part| part.parse::<u32>().is_ok()).unwrap_or("");
            let sides = choices.entry((choice, layer.to_owned())).or_default();
            let weight = format!("{path}.weight");
            sides.entry(side).or_default().extend((!found(&weight)).then_some(weight));
        }
        let whole = |sides: &BTreeMap<u8, Vec<String>>| sides.values().any(Vec::is_empty);
        let undecided = choices.into_values().filter(|sides| !whole(sides));
        undecided.flat_map(|sides| sides.into_values().min_by_key(Vec::len)).flatten().collect()
    }
}

/// The needed tensors of a module that are not there.
fn lacking(path: &str, module: &Module, found: &dyn Fn(&str) -> bool) -> Vec<String> {
    let (weight, bias) = (format!("{path}.weight"), format!("{path}.bias"));
    let here = module.weight == Presence::Needed || found(&weight);
    let needs_bias = here && module.bias == Presence::Needed;
    let needed = here.then_some(weight).into_iter().chain(needs_bias.then_some(bias));
    needed.filter(|name| !found(name)).collect()
}
