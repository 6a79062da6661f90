//! How a model is to be converted, as the user writes it.

use mlxq_checkpoint::recipe::{Float, Format, Mixed, Override, Recipe};
use mlxq_checkpoint::{SHARD_BYTES, Task};

/// The options of one conversion, named as mlx_lm names them.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// `affine`, `mxfp4`, `mxfp8` or `nvfp4`; `None`: affine.
    pub mode: Option<String>,
    /// Bits per weight; `None`: the mode's default.
    pub bits: Option<u32>,
    /// Weights per scale; `None`: the mode's default.
    pub group_size: Option<usize>,
    /// Format of everything that is not quantized; `None`: by the source.
    pub dtype: Option<String>,
    /// A mixed recipe: `mixed_2_6`, `mixed_3_4`, `mixed_3_6` or `mixed_4_6`.
    pub quant_predicate: Option<String>,
    /// `REGEX=bits[:group[:mode]]` or `REGEX=none`; of those that fit a module, the last counts.
    pub overrides: Vec<String>,
    /// Whether an MLX folder is turned back into floats.
    pub dequantize: bool,
    /// Whether numbers that are not finite are converted as MLX does.
    pub allow_non_finite: bool,
    /// The most bytes of one weight file; `None`: 5 GiB.
    pub max_shard_bytes: Option<u64>,
}

impl Choice {
    /// The task.
    ///
    /// # Errors
    /// When an option has no such value, or two contradict each other.
    pub(crate) fn task(&self) -> Result<Task, String> {
        match self.dequantize {
            true => Ok(Task::Dequantize { float: self.float()? }),
            false => Ok(Task::Quantize(self.recipe()?)),
        }
    }

    /// How weights are quantized.
    ///
    /// # Errors
    /// As [`Self::task`].
    pub(super) fn recipe(&self) -> Result<Recipe, String> {
        let mode = self.mode.as_deref().unwrap_or("affine");
        let format = Format::new(mode, self.bits, self.group_size)?;
        let mixed = self.quant_predicate.as_deref().map(|name| {
            let known = || format!("recipe `{name}` is none of {}", Mixed::NAMES.join(", "));
            Mixed::new(name).ok_or_else(known)
        });
        let mixed = mixed.transpose()?;
        if let Some(mixed) = mixed.filter(|_| mode != "affine") {
            return Err(format!("recipe `{mixed}` needs affine quantization, not {mode}"));
        }
        let overrides = self.overrides.iter().map(|text| {
            text.parse::<Override>().map_err(|reason| format!("override `{text}`: {reason}"))
        });
        let overrides = overrides.collect::<Result<_, _>>()?;
        Ok(Recipe { format, float: self.float()?, mixed, overrides })
    }

    fn float(&self) -> Result<Option<Float>, String> {
        let find = |name: &str| {
            let known = || Float::ALL.map(Float::name).join(", ");
            Float::from_name(name).ok_or_else(|| format!("dtype `{name}` is none of {}", known()))
        };
        self.dtype.as_deref().map(find).transpose()
    }

    /// The most tensor bytes of one weight file.
    pub(crate) fn shard_bytes(&self) -> u64 {
        self.max_shard_bytes.unwrap_or(SHARD_BYTES)
    }
}
