//! Which tensor gets which format, decided before anything is converted.
//!
//! Encoders follow what the MLX clients load (see `docs/design.md`): linear layers and tables are
//! quantized, heads and norms stay in float. Decoders follow `mlx_lm.convert`. Whatever is not as the
//! user's default says is listed with the rule that decided.

mod mixed;
mod overrides;
mod plan;

use std::borrow::Cow;

pub use mlxq_kernels::float::Float;
pub use mlxq_kernels::quant::Format;
use serde_json::{Map, Value};

pub use mixed::Mixed;
pub use overrides::Override;
pub use plan::{ConversionPlan, Encoding, PlannedTensor};

use crate::CheckpointError;
use crate::layout::{Arranged, Arrangement, Fixed, Kind, Layout, Part, Role};
use crate::tensor::{Dtype, TensorInfo};

/// What the user asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The format of quantized weights.
    pub format: Format,
    /// The format of everything else, and of scales and biases; `None`: as the model's kind has it.
    pub float: Option<Float>,
    /// More bits for some layers.
    pub mixed: Option<Mixed>,
    /// Choices for single modules; of those that fit, the last counts.
    pub overrides: Vec<Override>,
}

/// How a module is packed, and why so.
struct Choice {
    format: Option<Format>,
    /// Whether a rule of its own decided.
    apart: bool,
    rule: Cow<'static, str>,
}

impl Choice {
    fn keep(rule: impl Into<Cow<'static, str>>) -> Self {
        Self { format: None, apart: false, rule: rule.into() }
    }

    fn apart(format: Option<Format>, rule: impl Into<Cow<'static, str>>) -> Self {
        Self { format, apart: true, rule: rule.into() }
    }
}

impl Recipe {
    /// One format for everything that is usually quantized.
    pub fn uniform(format: Format, float: Option<Float>) -> Self {
        Self { format, float, mixed: None, overrides: Vec::new() }
    }

    /// The plan for arranged tensors; without a layout by their shapes.
    ///
    /// # Errors
    /// When the source is quantized already, holds something else than floats, or nothing can be
    /// quantized.
    pub fn plan(
        &self,
        layout: Option<&Layout>,
        config: &Map<String, Value>,
        arrangement: &Arrangement,
    ) -> Result<ConversionPlan, CheckpointError> {
        let layers = arrangement.used.iter().filter_map(|tensor| mixed::layer(&tensor.module));
        let floats = Floats::new(self.float, layout, config);
        let planner = Planner {
            recipe: self,
            layout,
            layers: layers.max().map_or(0, |last| last + 1),
            floats,
        };
        let plan = |(tensor, info)| planner.tensor(tensor, info);
        let tensors = arrangement.folder_infos().map(plan).collect::<Result<Vec<_>, _>>()?;
        if tensors.iter().all(|tensor| tensor.format().is_none()) {
            let reason = format!("no matrix fits groups of {}", self.format.group_size());
            return Err(CheckpointError::tensor("*", reason));
        }
        Ok(ConversionPlan { tensors, format: Some(self.format) })
    }

    /// Affine with that many bits, in the groups that the user chose.
    fn affine(&self, bits: u32) -> Format {
        let group_size = Some(self.format.group_size());
        Format::new("affine", Some(bits), group_size).unwrap_or(self.format)
    }
}

/// The plan of a folder in float: `float` for all numbers, or each as it is.
///
/// # Errors
/// When a tensor holds no floats.
pub fn plan_floats(arrangement: &Arrangement, float: Option<Float>) -> ConversionPlan {
    let tensor = |(_, info): (&Arranged, TensorInfo)| PlannedTensor {
        encoding: match info.dtype.float() {
            Some(own) => Encoding::Float(float.unwrap_or(own)),
            None => Encoding::Same,
        },
        is_matrix: info.shape.len() > 1,
        has_entry: false,
        rule: "in float again".into(),
        info,
    };
    ConversionPlan { tensors: arrangement.folder_infos().map(tensor).collect(), format: None }
}

/// The float formats of a conversion.
#[derive(Debug, Clone, Copy)]
struct Floats {
    /// The format of all numbers, if there is one.
    all: Option<Float>,
    /// The format of an encoder's, by their own.
    kind: Option<Kind>,
}

impl Floats {
    /// The user's choice; else a decoder's `torch_dtype`, as mlx_lm reads it.
    fn new(asked: Option<Float>, layout: Option<&Layout>, config: &Map<String, Value>) -> Self {
        let kind = layout.map(|layout| layout.kind);
        let stated = || match kind {
            Some(Kind::Encoder { .. }) => None,
            _ => stated_float(config),
        };
        Self { all: asked.or_else(stated), kind }
    }

    /// What numbers of the format `own` become. An encoder's float32 becomes float16, or bfloat16
    /// where the type's clients overflow in float16.
    fn of(self, own: Float) -> Float {
        let kind = match (own, self.kind) {
            (Float::F32 | Float::F16, Some(Kind::Encoder { needs_bfloat16: true, .. })) => {
                Float::BF16
            }
            (Float::F32, Some(Kind::Encoder { .. })) => Float::F16,
            (own, _) => own,
        };
        self.all.unwrap_or(kind)
    }
}

/// The format that a configuration names: `torch_dtype`, as transformers 4 wrote it, or `dtype`.
fn stated_float(config: &Map<String, Value>) -> Option<Float> {
    let stated = ["torch_dtype", "dtype"].iter().find_map(|key| config.get(*key)?.as_str());
    Float::from_name(stated?.trim_start_matches("torch."))
}

struct Planner<'a> {
    recipe: &'a Recipe,
    layout: Option<&'a Layout>,
    layers: usize,
    floats: Floats,
}

impl Planner<'_> {
    fn tensor(
        &self,
        tensor: &Arranged,
        info: TensorInfo,
    ) -> Result<PlannedTensor, CheckpointError> {
        if matches!(tensor.part, Part::Scales | Part::Biases) {
            return Err(CheckpointError::tensor(&info.name, "belongs to quantized weights"));
        }
        let is_matrix = tensor.part == Part::Weight && info.shape.len() > 1;
        let own = match info.dtype {
            Dtype::F64 => Some(Float::F32),
            other => other.float(),
        };
        let Some(own) = own else {
            if self.layout.is_some() {
                let reason = format!("holds {}, not F32, F16 or BF16", info.dtype.name());
                return Err(CheckpointError::tensor(tensor.source(), reason));
            }
            let (encoding, rule) = (Encoding::Same, "no floats".into());
            return Ok(PlannedTensor { info, encoding, is_matrix, has_entry: false, rule });
        };
        let float = self.floats.of(own);
        let Choice { format, apart: has_entry, rule } = match is_matrix {
            true => self.choose(tensor, &info),
            false => Choice::keep("no matrix"),
        };
        let encoding =
            format.map_or(Encoding::Float(float), |format| Encoding::Packed(format, float));
        Ok(PlannedTensor { info, encoding, is_matrix, has_entry, rule })
    }

    /// The format of a matrix and the rule that decided.
    fn choose(&self, tensor: &Arranged, info: &TensorInfo) -> Choice {
        let expected = if tensor.role == Role::Experts { 3 } else { 2 };
        match tensor.role {
            Role::Norm => return Choice::keep("a normalization"),
            Role::Raw => return Choice::keep("clients use it as it is"),
            _ if info.shape.len() != expected => return Choice::keep("no matrix"),
            _ => {}
        }
        let path = info.name.strip_suffix(".weight").unwrap_or(&info.name);
        let choice = self.wanted(tensor, path);
        let Some(format) = choice.format else { return choice };
        let fits = info.columns().is_multiple_of(format.group_size());
        // mlx-embeddings leaves out matrices whose size is no multiple of 64.
        let is_encoder =
            self.layout.is_some_and(|layout| matches!(layout.kind, Kind::Encoder { .. }));
        let whole = !is_encoder || info.elements().is_multiple_of(64);
        match fits && whole {
            true => choice,
            false => Choice::keep("its last dimension is no whole number of groups"),
        }
    }

    /// What the module at `path` would get if its shape allows.
    fn wanted(&self, tensor: &Arranged, path: &str) -> Choice {
        let own = self.recipe.overrides.iter().rev().find(|own| own.fits(path));
        if let Some(own) = own {
            return Choice::apart(own.format, format!("--q-override {}", own.text()));
        }
        if tensor.role == Role::Head {
            return Choice::keep("a head, kept in float");
        }
        let mixed = self.recipe.mixed.as_ref();
        let fixed = self.layout.map_or(&[][..], |layout| layout.fixed);
        if fixed.iter().any(|own| own.fits(path) && (own.router || mixed.is_none())) {
            let format = Format::new("affine", Some(Fixed::BITS), Some(Fixed::GROUP_SIZE)).ok();
            return Choice::apart(format, "always 8 bits in this type");
        }
        if let Some(mixed) = mixed {
            let format = self.recipe.affine(mixed.bits(path, self.layers));
            return Choice::apart(Some(format), mixed.to_string());
        }
        Choice { format: Some(self.recipe.format), apart: false, rule: "the default".into() }
    }
}
