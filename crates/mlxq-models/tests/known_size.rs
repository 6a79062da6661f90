//! The plan of a published model, by its configuration alone.

use std::ops::Range;

use mlxq_checkpoint::recipe::{Format, Recipe};
use mlxq_checkpoint::tensor::{Dtype, TensorInfo, TensorSource};
use mlxq_checkpoint::{CheckpointError, Purpose};
use serde_json::json;

/// The tensors of all-MiniLM-L6-v2 by its configuration: 6 layers of 384 and 1536.
struct MiniLm(Vec<TensorInfo>);

impl MiniLm {
    fn new() -> Self {
        let mut tensors = Vec::new();
        let mut add = |name: String, shape: &[usize]| {
            tensors.push(TensorInfo { name, dtype: Dtype::F32, shape: shape.to_vec() });
        };
        let (hidden, inner) = (384, 1536);
        for (table, rows) in [("word", 30522), ("position", 512), ("token_type", 2)] {
            add(format!("embeddings.{table}_embeddings.weight"), &[rows, hidden]);
        }
        let mut modules = vec![("embeddings.LayerNorm".to_owned(), vec![hidden])];
        for layer in (0..6).map(|i| format!("encoder.layer.{i}")) {
            for name in ["self.query", "self.key", "self.value", "output.dense"] {
                modules.push((format!("{layer}.attention.{name}"), vec![hidden, hidden]));
            }
            modules.push((format!("{layer}.attention.output.LayerNorm"), vec![hidden]));
            modules.push((format!("{layer}.intermediate.dense"), vec![inner, hidden]));
            modules.push((format!("{layer}.output.dense"), vec![hidden, inner]));
            modules.push((format!("{layer}.output.LayerNorm"), vec![hidden]));
        }
        modules.push(("pooler.dense".to_owned(), vec![hidden, hidden]));
        for (module, shape) in modules {
            add(format!("{module}.weight"), &shape);
            add(format!("{module}.bias"), &shape[..1]);
        }
        Self(tensors)
    }
}

impl TensorSource for MiniLm {
    fn tensors(&self) -> &[TensorInfo] {
        &self.0
    }

    fn read_part(
        &self,
        name: &str,
        _: Range<usize>,
        _: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        Err(CheckpointError::missing_tensor(name))
    }
}

/// By hand, from transformers' counts of this model: 22,713,216 parameters, of them 10,764,288 in
/// linear layers, 11,917,824 in tables and 31,104 others. The pooler's 384 x 384 stay in float. With
/// 16-bit scales a packed weight takes 8.5 bits; everything packed would be 24,161,952 bytes, which
/// is the 23.0 MiB known for this model.
#[test]
fn the_plan_of_a_known_model_has_the_known_size() {
    let source = MiniLm::new();
    assert_eq!(source.0.len(), 103);
    let config = json!({"num_hidden_layers": 6});
    let config = config.as_object().expect("an object");
    let bert = mlxq_models::layout("bert").expect("a layout");
    let found = bert.arrange(&source, config, Purpose::Embedding).expect("complete");
    let format = Format::new("affine", None, None).expect("a format");
    let plan = Recipe::uniform(format, None).plan(Some(bert), config, &found).expect("a plan");
    let pooler = 384 * 384;
    assert_eq!(plan.parameters(), 22_713_216);
    assert_eq!(plan.quantized_parameters(), 10_764_288 + 11_917_824 - pooler);
    let everything = (10_764_288 + 11_917_824) * 17 / 16 + 31_104 * 2;
    assert_eq!(everything, 24_161_952);
    assert_eq!(plan.tensor_bytes(), everything - pooler * 17 / 16 + pooler * 2);
}
