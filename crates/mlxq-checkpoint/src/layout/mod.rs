//! What a model type's checkpoint holds, as data.
//!
//! A [`Layout`] lists the modules of one `model_type` by their paths in the MLX folder, with `{i}` for a
//! layer index, and the rules by which a checkpoint's tensors become theirs. From it follow which
//! tensors may be quantized, which are missing, and which are unknown: every source tensor is claimed
//! exactly once. Conversion and engine read the same arrangement, so what converts also loads.

mod arrangement;
mod general;
mod modules;
mod pattern;
mod rule;

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::tensor::TensorSource;
use crate::{Checkpoint, CheckpointError, Purpose};

pub use arrangement::{Arranged, ArrangedTensors, Arrangement};
pub use general::arrange_by_shape;
pub use modules::{Module, Part, Role};
pub use rule::{ASSUMED_TIED, Rule};

use modules::Modules;
use rule::{Draft, Drafts};

/// The modules and rules of one `model_type`.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Whether the names, heads and numbers are those of encoders or of decoders.
    pub kind: Kind,
    /// Modules of the base model, in groups so that types can share them.
    pub base: &'static [&'static [Module]],
    /// Modules of task heads, which never carry the base model's prefix.
    pub heads: &'static [Module],
    /// What `{i}` and other holes of module paths count.
    pub counts: &'static [Count],
    /// What happens to the tensors before they are matched with modules, in order.
    pub rules: &'static [Rule],
    /// Modules that have their own bits, as mlx_lm has it.
    pub fixed: &'static [Fixed],
    /// Keys that clients need in `config.json` where it lacks them.
    pub keys: &'static [Key],
}

/// What the two families of models differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Names are HuggingFace's; heads and poolers stay in float; float32 becomes a narrower format.
    Encoder {
        /// The class of the base model in transformers, such as `BertModel`.
        base_class: &'static str,
        /// Prefix that task checkpoints put before the base model's names, such as `bert.`.
        base_prefix: &'static str,
        /// Whether float16 is too narrow for the type's clients, so that bfloat16 takes its place.
        needs_bfloat16: bool,
    },
    /// Names and formats are mlx_lm's.
    Decoder,
}

/// Modules that are quantized to 8 bits in groups of 64 whatever the default is.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    /// A pattern of their paths.
    pub path: &'static str,
    /// Whether they choose experts: then a mixed recipe leaves them alone too.
    pub router: bool,
}

impl Fixed {
    /// The bits of these modules.
    pub const BITS: u32 = 8;
    /// Their group size.
    pub const GROUP_SIZE: usize = 64;

    /// Modules that a mixed recipe decides otherwise.
    pub const fn module(path: &'static str) -> Self {
        Self { path, router: false }
    }

    /// Modules that choose experts.
    pub const fn router(path: &'static str) -> Self {
        Self { path, router: true }
    }

    /// Whether it speaks of the module at `path`.
    pub(crate) fn fits(&self, path: &str) -> bool {
        pattern::matched(self.path, path).is_some()
    }
}

/// How often a hole of the module paths stands.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// The hole, such as `i`.
    pub hole: &'static str,
    /// Keys of the configuration, one of which holds the number.
    pub keys: &'static [&'static str],
    /// transformers' number where there is none of the keys.
    pub default: usize,
    /// How many fewer modules there are than the key says.
    pub less: usize,
}

/// A key that clients need in `config.json` where it is absent.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: KeyValue,
}

/// Where the value of a [`Key`] comes from.
#[derive(Debug, Clone, Copy)]
pub enum KeyValue {
    /// From the configuration itself: keys from the outermost to the innermost.
    From(&'static [&'static str]),
    /// Always this JSON text.
    Json(&'static str),
    /// The mode of an embedding model's `1_Pooling`, which takes the place of another value.
    PoolingMode,
}

impl Key {
    /// The key `name` with the value at `path`.
    pub const fn from(name: &'static str, path: &'static [&'static str]) -> Self {
        Self { name, value: KeyValue::From(path) }
    }
}

impl Layout {
    /// An encoder's layout, still without modules.
    pub const fn encoder(base_class: &'static str, base_prefix: &'static str) -> Self {
        let kind = Kind::Encoder { base_class, base_prefix, needs_bfloat16: false };
        Self { kind, ..Self::decoder() }
    }

    /// A decoder's layout of `num_hidden_layers` layers, still without modules.
    pub const fn decoder() -> Self {
        Self {
            kind: Kind::Decoder,
            base: &[],
            heads: &[],
            counts: &[Count { hole: "i", keys: &["num_hidden_layers"], default: 12, less: 0 }],
            rules: &[],
            fixed: &[],
            keys: &[],
        }
    }

    /// Arranges every tensor of the checkpoint `source` for that purpose.
    ///
    /// # Errors
    /// When a required tensor is missing, the head is, tensors do not fit together, two mean the same,
    /// or a tensor that should repeat another does not.
    pub fn arrange(
        &self,
        source: &dyn TensorSource,
        config: &Map<String, Value>,
        purpose: Purpose,
    ) -> Result<Arrangement, CheckpointError> {
        let mut drafts = Drafts::of(source.tensors());
        for rule in self.rules {
            drafts.apply(rule, config)?;
        }
        drafts.check_copies(source)?;
        self.claim(drafts, config, purpose)
    }

    /// Arranges the tensors of a folder, original or converted.
    ///
    /// # Errors
    /// As [`Self::arrange`].
    pub fn arrange_folder(&self, folder: &Checkpoint) -> Result<Arrangement, CheckpointError> {
        self.arrange_view(folder, folder)
    }

    /// Arranges tensors that a folder is seen as.
    ///
    /// # Errors
    /// As [`Self::arrange`].
    pub(crate) fn arrange_view(
        &self,
        folder: &Checkpoint,
        view: &dyn TensorSource,
    ) -> Result<Arrangement, CheckpointError> {
        let (config, purpose) = (folder.config(), folder.purpose());
        if self.kind != Kind::Decoder {
            folder.refuse_own_code()?;
        }
        match folder.quantization() {
            Some(_) => self.claim(Drafts::of(view.tensors()), config, purpose),
            None => self.arrange(view, config, purpose),
        }
    }

    /// The tensors of a converted folder, in float, under the names of the HuggingFace checkpoint: the
    /// rules undone, from the last to the first.
    ///
    /// # Errors
    /// When tensors do not fit together.
    pub fn restore(&self, source: &dyn TensorSource) -> Result<Arrangement, CheckpointError> {
        let mut drafts = Drafts::of(source.tensors());
        for rule in self.rules.iter().rev() {
            drafts.undo(rule)?;
        }
        Ok(general::unclaimed(drafts))
    }

    fn base_prefix(&self) -> &'static str {
        match self.kind {
            Kind::Encoder { base_prefix, .. } => base_prefix,
            Kind::Decoder => "",
        }
    }

    fn claim(
        &self,
        drafts: Drafts,
        config: &Map<String, Value>,
        purpose: Purpose,
    ) -> Result<Arrangement, CheckpointError> {
        let modules = Modules::new(self, config);
        let with_prefix = |draft: &Draft| draft.info.name.starts_with(self.base_prefix());
        let prefixed = drafts.tensors.iter().any(with_prefix);
        let prefix = if prefixed { self.base_prefix() } else { "" };
        let folder_prefix = if purpose == Purpose::SequenceClassification { prefix } else { "" };
        let dropped = drafts.dropped;
        let mut arrangement =
            Arrangement { prefix, folder_prefix, used: vec![], dropped, unknown: vec![] };
        let mut sources: HashMap<String, String> = HashMap::new();
        for draft in drafts.tensors {
            let tensor = match modules.claim(prefix, draft) {
                Ok(tensor) => tensor,
                Err(draft) => {
                    arrangement.unknown.push(draft.info.name);
                    continue;
                }
            };
            let source = tensor.source().to_owned();
            if !tensor.in_base && purpose == Purpose::Embedding {
                arrangement.dropped.push((source, "a head that embeddings do not use"));
                continue;
            }
            if let Some(other) = sources.insert(tensor.name.clone(), source.clone()) {
                let reason = format!("means the same as `{other}`: `{}`", tensor.name);
                return Err(CheckpointError::tensor(&source, reason));
            }
            arrangement.used.push(tensor);
        }
        let found = |name: &str| sources.contains_key(name);
        modules.check_complete(&found, purpose == Purpose::SequenceClassification)?;
        Ok(arrangement)
    }
}

#[cfg(test)]
mod tests;
