//! mlx_lm's mixed recipes: more bits where quantization hurts most.

use std::fmt;

/// `mixed_L_H`: H bits for the head and for the value and down projections of half of the layers, L bits
/// for everything else. Follows `mixed_quant_predicate_builder` of mlx_lm 0.32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixed {
    low: u32,
    high: u32,
}

/// Parts of paths that mlx_lm gives more bits, then those of types that name their layers otherwise.
const SENSITIVE: [&str; 13] = [
    "v_proj",
    "v_a_proj",
    "v_b_proj",
    "down_proj",
    "attn.c_attn",
    "mlp.c_proj",
    "mlp.fc2",
    "query_key_value",
    "dense_4h_to_h",
    "self.value",
    "v_lin",
    "lin2",
    "output.dense",
];

impl Mixed {
    /// The names of the recipes.
    pub const NAMES: [&str; 4] = ["mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"];
    const BITS: [(u32, u32); 4] = [(2, 6), (3, 4), (3, 6), (4, 6)];

    /// The recipe of that name.
    pub fn new(name: &str) -> Option<Self> {
        let place = Self::NAMES.iter().position(|known| *known == name)?;
        let (low, high) = Self::BITS[place];
        Some(Self { low, high })
    }

    /// The bits of most modules.
    pub fn low(&self) -> u32 {
        self.low
    }

    /// The bits of the module at `path` in a model of `layers` layers.
    pub(super) fn bits(&self, path: &str, layers: usize) -> u32 {
        let layer = layer(path).unwrap_or(0);
        let sensitive = SENSITIVE.iter().any(|part| path.contains(part));
        if path.contains("lm_head") || sensitive && has_more(layer, layers) {
            self.high
        } else {
            self.low
        }
    }
}

impl fmt::Display for Mixed {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "mixed_{}_{}", self.low, self.high)
    }
}

/// The layer that a module belongs to: the first number among the parts of its path.
pub(super) fn layer(path: &str) -> Option<usize> {
    path.split('.').find_map(|part| part.parse().ok())
}

/// Whether a layer is one of those with more bits: the first and last eighth, and every third between.
fn has_more(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layers that mlx_lm 0.32.2 was seen to give more bits.
    #[test]
    fn half_of_the_layers_have_more_bits() {
        let more = |layers| (0..layers).filter(|i| has_more(*i, layers)).collect::<Vec<_>>();
        assert_eq!(more(12), [0, 3, 6, 9, 10, 11]);
        assert_eq!(more(24), [0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22, 23]);
        assert_eq!(more(32), [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
        assert_eq!(more(28), [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]);
    }

    #[test]
    fn names_say_the_bits() {
        for name in Mixed::NAMES {
            assert_eq!(Mixed::new(name).map(|mixed| mixed.to_string()).as_deref(), Some(name));
        }
        let mixed = Mixed::new("mixed_3_6").expect("a recipe");
        assert_eq!(mixed.bits("model.layers.0.mlp.down_proj", 12), 6);
        assert_eq!(mixed.bits("model.layers.1.mlp.down_proj", 12), 3);
        assert_eq!(mixed.bits("model.layers.0.mlp.up_proj", 12), 3);
        assert_eq!(mixed.bits("lm_head", 12), 6);
        assert_eq!(Mixed::new("mixed_2_3"), None);
    }
}
