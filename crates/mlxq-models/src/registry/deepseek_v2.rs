//! DeepSeek-V2 (DeepSeek-AI 2024), as mlx_lm's `deepseek_v2`, which always has a head of its own.

use mlxq_checkpoint::layout::{Key, KeyValue, Layout, Module, Rule};

use super::llama::{DROP_INV_FREQ, NORMS};
use super::qwen3_moe::DENSE_OR_EXPERTS;

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        NORMS,
        DENSE_OR_EXPERTS,
        &[
            Module::embedding("model.embed_tokens"),
            // Queries are projected at once, or through a narrow layer.
            Module::linear("model.layers.{i}.self_attn.q_proj").side("query", 0),
            Module::linear("model.layers.{i}.self_attn.q_a_proj").side("query", 1),
            Module::norm("model.layers.{i}.self_attn.q_a_layernorm").side("query", 1),
            Module::linear("model.layers.{i}.self_attn.q_b_proj").side("query", 1),
            Module::linear("model.layers.{i}.self_attn.kv_a_proj_with_mqa"),
            Module::norm("model.layers.{i}.self_attn.kv_a_layernorm"),
            Module::linear("model.layers.{i}.self_attn.kv_b_proj"),
            Module::linear("model.layers.{i}.self_attn.o_proj"),
            Module::raw("model.layers.{i}.mlp.gate").side("mlp", 1),
            Module::linear("model.layers.{i}.mlp.shared_experts.gate_proj").optional(),
            Module::linear("model.layers.{i}.mlp.shared_experts.up_proj").optional(),
            Module::linear("model.layers.{i}.mlp.shared_experts.down_proj").optional(),
            Module::norm("model.norm"),
            Module::linear("lm_head"),
        ],
    ],
    rules: &[
        DROP_INV_FREQ,
        Rule::Copy { from: "model.embed_tokens.weight", to: "lm_head.weight" },
        Rule::Stack {
            from: "model.layers.{i}.mlp.experts.{e}.{*}",
            to: "model.layers.{i}.mlp.switch_mlp.{*}",
            count: &["n_routed_experts"],
        },
    ],
    // mlx_lm needs the object; this one changes nothing.
    keys: &[Key {
        name: "rope_scaling",
        value: KeyValue::Json(r#"{"type": "yarn", "factor": 1.0}"#),
    }],
    ..Layout::decoder()
};
