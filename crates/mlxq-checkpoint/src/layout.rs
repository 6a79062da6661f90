//! What a model type's checkpoint holds, as data.
//!
//! A [`Layout`] lists the modules of one `model_type` by their HuggingFace paths, with `{i}` for a
//! layer index, and the few rules by which older files differ. From it follow which tensors may be
//! quantized, which are missing, and which are unknown: every source tensor is claimed exactly once.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::tensor::{TensorInfo, TensorSource};
use crate::{CheckpointError, Purpose};

/// What a module does with its weight, which decides whether it may be quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A table whose rows are looked up: `weight [rows, width]`.
    Embedding,
    /// A matrix product: `weight [out, in]` and `bias [out]`.
    Linear,
    /// A normalization: `weight [width]` and `bias [width]`; never quantized.
    Norm,
    /// A linear layer of a task head or pooler; left in float.
    Head,
}

/// One module of a model type.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Path without the base-model prefix, with `{i}` where the layer index stands.
    pub path: &'static str,
    /// What it does.
    pub role: Role,
    /// Whether a checkpoint may lack it.
    pub optional: bool,
}

impl Module {
    /// A module that every checkpoint of the type has.
    pub const fn required(path: &'static str, role: Role) -> Self {
        Self { path, role, optional: false }
    }

    /// A module that some checkpoints of the type have.
    pub const fn optional(path: &'static str, role: Role) -> Self {
        Self { path, role, optional: true }
    }
}

/// The modules and rules of one `model_type`.
#[derive(Debug)]
pub struct Layout {
    /// The class of the base model in transformers, such as `BertModel`.
    pub base_class: &'static str,
    /// Prefix that task checkpoints put before the base model's names, such as `bert.`.
    pub base_prefix: &'static str,
    /// Modules of the base model, which carry the prefix in task checkpoints.
    pub base: &'static [Module],
    /// Modules of task heads, which never carry the prefix.
    pub heads: &'static [Module],
    /// Endings that older files use, with today's: `("LayerNorm.gamma", "LayerNorm.weight")`.
    pub renamed_endings: &'static [(&'static str, &'static str)],
    /// Tensors that hold no weights and are dropped: endings such as `embeddings.position_ids`.
    pub dropped_endings: &'static [&'static str],
    /// Prefixes of heads that prediction never uses, such as `cls.`; dropped and reported.
    pub dropped_prefixes: &'static [&'static str],
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

/// A source tensor and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name in the checkpoint.
    pub source: String,
    /// Its name without the base-model prefix and with today's endings.
    pub name: String,
    /// Its module's path, without the prefix.
    pub module: String,
    /// What the module does.
    pub role: Role,
    /// Whether the module belongs to the base model, which carries the prefix.
    pub in_base: bool,
    /// Which part of the module it is.
    pub part: Part,
}

/// All tensors of a checkpoint, each claimed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    prefix: &'static str,
    /// Tensors that the model uses, in the checkpoint's order.
    pub used: Vec<Claim>,
    /// Tensors left out on purpose: name and reason.
    pub dropped: Vec<(String, &'static str)>,
    /// Tensors that the model type does not know.
    pub unknown: Vec<String>,
}

/// What the layout makes of one tensor.
enum Decision {
    Use(Claim),
    Drop(&'static str),
    Unknown,
}

impl Layout {
    /// Claims every tensor of `source` for a model of `layers` layers and that purpose.
    ///
    /// # Errors
    /// When a required tensor is missing, the head is, or two tensors mean the same.
    pub fn claim(
        &self,
        source: &dyn TensorSource,
        layers: usize,
        purpose: Purpose,
    ) -> Result<Claims, CheckpointError> {
        let modules = Modules::new(self, layers);
        let prefixed = source.tensors().iter().any(|info| info.name.starts_with(self.base_prefix));
        let prefix = if prefixed { self.base_prefix } else { "" };
        let mut claims = Claims { prefix, used: vec![], dropped: vec![], unknown: vec![] };
        let mut sources: HashMap<String, String> = HashMap::new();
        for info in source.tensors() {
            match self.decide(&info.name, prefix, &modules, purpose) {
                Decision::Drop(reason) => claims.dropped.push((info.name.clone(), reason)),
                Decision::Unknown => claims.unknown.push(info.name.clone()),
                Decision::Use(claim) => {
                    if let Some(other) = sources.insert(claim.name.clone(), info.name.clone()) {
                        let reason = format!("means the same as `{other}`: `{}`", claim.name);
                        return Err(CheckpointError::tensor(&info.name, reason));
                    }
                    claims.used.push(claim);
                }
            }
        }
        self.check_complete(&modules, &sources, purpose)?;
        Ok(claims)
    }

    fn decide(&self, name: &str, prefix: &str, modules: &Modules, purpose: Purpose) -> Decision {
        if self.dropped_endings.iter().any(|ending| name.ends_with(ending)) {
            return Decision::Drop("a buffer, not a weight");
        }
        if self.dropped_prefixes.iter().any(|start| name.starts_with(start)) {
            return Decision::Drop("a head that prediction does not use");
        }
        let renamed = self
            .renamed_endings
            .iter()
            .find_map(|(old, new)| name.strip_suffix(old).map(|start| format!("{start}{new}")));
        let today = renamed.as_deref().unwrap_or(name);
        let base = today.strip_prefix(prefix).and_then(|rest| modules.find(&modules.base, rest));
        let (found, in_base) = match base {
            Some(found) => (found, true),
            None => match modules.find(&modules.heads, today) {
                Some(found) => (found, false),
                None => return Decision::Unknown,
            },
        };
        if !in_base && purpose == Purpose::Embedding {
            return Decision::Drop("a head that embeddings do not use");
        }
        let (module, role, part, canonical) = found;
        Decision::Use(Claim {
            source: name.to_owned(),
            name: canonical.to_owned(),
            module: module.to_owned(),
            role,
            in_base,
            part,
        })
    }

    fn check_complete(
        &self,
        modules: &Modules,
        found: &HashMap<String, String>,
        purpose: Purpose,
    ) -> Result<(), CheckpointError> {
        let required = |(path, (role, optional)): (&String, &(Role, bool))| {
            let bias = (*role != Role::Embedding).then(|| format!("{path}.bias"));
            let names = std::iter::once(format!("{path}.weight")).chain(bias);
            if *optional { Vec::new() } else { names.collect() }
        };
        if purpose == Purpose::SequenceClassification {
            let heads = modules.heads.iter().flat_map(required);
            if let Some(name) = heads.into_iter().find(|name| !found.contains_key(name)) {
                return Err(CheckpointError::NoHead { module: name });
            }
        }
        let needed = modules.base.iter().flat_map(required);
        let missing: Vec<String> = needed.filter(|name| !found.contains_key(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = missing.iter().take(20).map(|name| format!("`{name}`")).collect();
        let more = if missing.len() > shown.len() { ", …" } else { "" };
        let listed = format!("{}{more}", shown.join(", "));
        Err(CheckpointError::Missing { count: missing.len(), listed })
    }
}

/// The modules of a layout with their layers written out: path → role and whether it is optional.
struct Modules {
    base: BTreeMap<String, (Role, bool)>,
    heads: BTreeMap<String, (Role, bool)>,
}

impl Modules {
    fn new(layout: &Layout, layers: usize) -> Self {
        let expand = |modules: &[Module]| {
            let mut all = BTreeMap::new();
            for Module { path, role, optional } in modules {
                let count = if path.contains("{i}") { layers } else { 1 };
                for i in 0..count {
                    all.insert(path.replace("{i}", &i.to_string()), (*role, *optional));
                }
            }
            all
        };
        Self { base: expand(layout.base), heads: expand(layout.heads) }
    }

    /// The module and part that the tensor `name` is, if it is one of `modules`.
    fn find<'n>(
        &self,
        modules: &BTreeMap<String, (Role, bool)>,
        name: &'n str,
    ) -> Option<(&'n str, Role, Part, &'n str)> {
        let (module, last) = name.rsplit_once('.')?;
        let part = match last {
            "weight" => Part::Weight,
            "bias" => Part::Bias,
            "scales" => Part::Scales,
            "biases" => Part::Biases,
            _ => return None,
        };
        modules.get(module).map(|(role, _)| (module, *role, part, name))
    }
}

impl Claims {
    /// The prefix that the base model's tensors carry in the checkpoint; empty if none.
    pub fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// The used tensors of `source` under their names without prefix.
    pub fn weights<'a>(&'a self, source: &'a dyn TensorSource) -> CanonicalTensors<'a> {
        let rename = |claim: &Claim| {
            source
                .find(&claim.source)
                .map(|info| TensorInfo { name: claim.name.clone(), ..info.clone() })
        };
        CanonicalTensors {
            source,
            tensors: self.used.iter().filter_map(rename).collect(),
            sources: self.used.iter().map(|c| (c.name.as_str(), c.source.as_str())).collect(),
        }
    }
}

/// Tensors under the names of their layout instead of their file's.
pub struct CanonicalTensors<'a> {
    source: &'a dyn TensorSource,
    tensors: Vec<TensorInfo>,
    sources: HashMap<&'a str, &'a str>,
}

impl TensorSource for CanonicalTensors<'_> {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let source = self.sources.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        self.source.read_part(source, part, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    const TOY: Layout = Layout {
        base_class: "ToyModel",
        base_prefix: "toy.",
        base: &[
            Module::required("words", Role::Embedding),
            Module::required("layer.{i}.dense", Role::Linear),
            Module::optional("pooler", Role::Head),
        ],
        heads: &[Module::required("classifier", Role::Head)],
        renamed_endings: &[("dense.beta", "dense.bias")],
        dropped_endings: &["position_ids"],
        dropped_prefixes: &["cls."],
    };

    struct Names(Vec<TensorInfo>);

    impl Names {
        fn new(names: &[&str]) -> Self {
            let info = |name: &&str| TensorInfo {
                name: (*name).to_owned(),
                dtype: Dtype::F32,
                shape: vec![1],
            };
            Self(names.iter().map(info).collect())
        }
    }

    impl TensorSource for Names {
        fn tensors(&self) -> &[TensorInfo] {
            &self.0
        }

        fn read_part(
            &self,
            _: &str,
            _: Range<usize>,
            _: &mut Vec<u8>,
        ) -> Result<(), CheckpointError> {
            Ok(())
        }
    }

    const PREFIXED: [&str; 6] = [
        "toy.words.weight",
        "toy.layer.0.dense.weight",
        "toy.layer.0.dense.beta",
        "toy.position_ids",
        "classifier.weight",
        "classifier.bias",
    ];

    #[test]
    fn every_tensor_is_claimed_once() {
        let names = Names::new(&[&PREFIXED[..], &["cls.x", "toy.layer.7.dense.weight"]].concat());
        let claims = TOY.claim(&names, 1, Purpose::SequenceClassification).expect("complete");
        let used: Vec<_> = claims.used.iter().map(|claim| claim.name.as_str()).collect();
        let want = [
            "words.weight",
            "layer.0.dense.weight",
            "layer.0.dense.bias",
            "classifier.weight",
            "classifier.bias",
        ];
        assert_eq!(used, want);
        assert_eq!(claims.prefix(), "toy.");
        assert_eq!(claims.dropped.len(), 2);
        assert_eq!(claims.unknown, ["toy.layer.7.dense.weight"]);
    }

    #[test]
    fn embeddings_leave_the_head() {
        let claims = TOY.claim(&Names::new(&PREFIXED), 1, Purpose::Embedding).expect("complete");
        assert_eq!((claims.used.len(), claims.dropped.len()), (3, 3));
    }

    #[test]
    fn what_is_missing_or_double_is_an_error() {
        let claim = |names: &[&str], layers| {
            let purpose = Purpose::SequenceClassification;
            TOY.claim(&Names::new(names), layers, purpose).expect_err("refused").to_string()
        };
        assert!(claim(&PREFIXED, 2).contains("lacks 2 tensors"));
        assert!(claim(&PREFIXED[..4], 1).contains("no classifier"));
        let double = [&PREFIXED[..], &["toy.layer.0.dense.bias"]].concat();
        assert!(claim(&double, 1).contains("means the same as `toy.layer.0.dense.beta`"));
    }
}
