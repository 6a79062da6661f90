//! Where results lie, by the original pipeline's names.

use std::path::{Path, PathBuf};

use mlxq_checkpoint::recipe::{Format, Recipe};

/// The folder of records and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    root: PathBuf,
}

impl Places {
    /// `<temp>/mlx_conversion`, where `<temp>` is the value of `MLX_TEMP_DIR`, given by the caller, or
    /// the system's temporary folder; an empty value counts as none.
    pub fn new(temp: Option<PathBuf>) -> Self {
        let temp = temp.filter(|temp| !temp.as_os_str().is_empty());
        Self { root: temp.unwrap_or_else(std::env::temp_dir).join("mlx_conversion") }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    pub(crate) fn conversion_log(&self, model: &str) -> PathBuf {
        self.log(&format!("conversion_{}", file_name(model)))
    }

    pub(crate) fn conversion(&self, model: &str) -> PathBuf {
        self.root.join("results").join(format!("{}_conversion.json", file_name(model)))
    }

    pub(crate) fn conversion_summary(&self) -> PathBuf {
        self.root.join("results/conversion_summary.json")
    }

    pub(crate) fn test_results(&self, model: &str, bits: u32) -> PathBuf {
        let name = format!("{}_{bits}bit_results.json", file_name(model));
        self.root.join("test_results").join(name)
    }

    pub(crate) fn test_summary(&self, bits: u32) -> PathBuf {
        self.root.join(format!("test_results/{bits}bit_testing_summary.json"))
    }

    pub(crate) fn fidelity(&self, model: &str, bits: u32) -> PathBuf {
        let name = format!("{}_q{bits}_fidelity.json", file_name(model));
        self.root.join("fidelity").join(name)
    }

    pub(crate) fn comparison(&self, cell: &str) -> PathBuf {
        self.root.join("comparisons").join(format!("{cell}_comparison.json"))
    }

    /// The folder of one run's records.
    pub(crate) fn run(&self, id: &str) -> PathBuf {
        self.root.join("runs").join(id)
    }

    /// Where a finished cell is kept for later runs.
    pub(crate) fn cell(&self, key: &str) -> PathBuf {
        self.root.join("cells").join(format!("{key}.json"))
    }

    pub(crate) fn baseline(&self, key: &str) -> PathBuf {
        self.root.join("cache/torch-v1").join(format!("{key}.json"))
    }
}

/// A name as part of a file name: `/` becomes `__`.
fn file_name(name: &str) -> String {
    name.replace(['/', '\\'], "__")
}

/// A cell's id, part of its files' names: `<model>_q<bits>_<dataset>`.
pub(crate) fn cell_id(model: &str, bits: u32, dataset: &str) -> String {
    format!("{}_q{bits}_{}", file_name(model), file_name(dataset))
}

/// The folder of a converted model: `<name>-mlx-q<bits>` for affine, `<name>-mlx-mixed_4_6` for a mixed
/// recipe, else `<name>-mlx-<mode>`.
pub fn folder_name(model: &str, recipe: &Recipe) -> String {
    let suffix = match (recipe.mixed, recipe.format) {
        (Some(mixed), _) => mixed.to_string(),
        (None, Format::Affine(affine)) => format!("q{}", affine.bits()),
        (None, Format::Floating(floating)) => floating.name().to_owned(),
    };
    format!("{}-mlx-{suffix}", file_name(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_original_ones() {
        let places = Places::new(Some("/x".into()));
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        assert_eq!(
            text(places.comparison(&cell_id("org/m", 8, "sts"))),
            "/x/mlx_conversion/comparisons/org__m_q8_sts_comparison.json"
        );
        assert_eq!(
            text(places.test_results("m", 8)),
            "/x/mlx_conversion/test_results/m_8bit_results.json"
        );
        let folder = |mode| {
            let recipe = Format::new(mode, None, None).map(|f| Recipe::uniform(f, None));
            recipe.map(|recipe| folder_name("org/m", &recipe))
        };
        assert_eq!(folder("affine").as_deref(), Ok("org__m-mlx-q8"));
        assert_eq!(folder("mxfp4").as_deref(), Ok("org__m-mlx-mxfp4"));
        assert_eq!(Places::new(Some("".into())), Places::new(None));
    }
}
