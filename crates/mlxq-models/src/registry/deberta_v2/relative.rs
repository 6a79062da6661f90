//! Relative positions: the settings, the buckets of distances, and what layers multiply with.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::blocks::{LayerShape, Projections};
use crate::config::{unsupported, wrong};
use crate::{Activation, Buckets, Config, ModelError, Ops, Relative, Scope};

/// The longest rows that positions are projected for at least.
const SHORT: usize = 32;

/// The terms that `pos_att_type` adds to the products of queries and keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    content_to_position: bool,
    position_to_content: bool,
}

impl Terms {
    pub(super) fn read(config: Config) -> Result<Self, ModelError> {
        const KEY: &str = "pos_att_type";
        let names: Vec<String> = match config.get(KEY) {
            None => Vec::new(),
            Some(Value::String(names)) => {
                names.to_lowercase().split('|').map(|name| name.trim().to_owned()).collect()
            }
            Some(Value::Array(names)) => {
                names.iter().map(|name| name.as_str().unwrap_or("?").to_owned()).collect()
            }
            Some(value) => return Err(wrong(KEY, value, "a list of `c2p` and `p2c`")),
        };
        let known = |name: &&String| ["c2p", "p2c", ""].contains(&name.as_str());
        if let Some(other) = names.iter().find(|name| !known(name)) {
            return Err(unsupported(KEY, &Value::from(other.as_str())));
        }
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        Ok(Self { content_to_position: has("c2p"), position_to_content: has("p2c") })
    }

    /// Terms of a score, the product of query and key counted.
    pub(super) fn count(self) -> usize {
        1 + usize::from(self.content_to_position) + usize::from(self.position_to_content)
    }
}

/// How relative positions enter attention.
#[derive(Debug, Clone, Copy)]
pub(super) struct RelativeSettings {
    terms: Terms,
    pub(super) share_att_key: bool,
    /// Buckets of each direction, if distances are put in buckets.
    position_buckets: Option<i64>,
    /// The distance from which on all are alike.
    max_relative_positions: i64,
    norm_rel_ebd: bool,
}

impl RelativeSettings {
    pub(super) fn read(config: Config, terms: Terms, positions: usize) -> Result<Option<Self>, ModelError> {
        if !config.flag("relative_attention", false)? {
            return Ok(None);
        }
        let farthest = config.integer("max_relative_positions", -1)?;
        let farthest = if farthest < 1 { positions as i64 } else { farthest };
        let buckets = config.integer("position_buckets", -1)?;
        let norms = config.text("norm_rel_ebd", "none")?.to_lowercase();
        if buckets == 1 {
            return Err(wrong("position_buckets", &buckets.into(), "at least 2, or none"));
        }
        if buckets > 0 && farthest - 1 <= buckets / 2 && farthest < positions as i64 {
            let expected = format!("at least `position_buckets` / 2 + 2 = {}", buckets / 2 + 2);
            return Err(wrong("max_relative_positions", &farthest.into(), &expected));
        }
        Ok(Some(Self {
            terms,
            share_att_key: config.flag("share_att_key", false)?,
            position_buckets: (buckets > 0).then_some(buckets),
            max_relative_positions: farthest,
            norm_rel_ebd: norms.split('|').any(|name| name.trim() == "layer_norm"),
        }))
    }

    /// Half of the table's rows.
    fn span(&self) -> i64 {
        self.position_buckets.unwrap_or(self.max_relative_positions)
    }

    /// The row of the table for the distance from a key to a query.
    fn row(&self, distance: i64) -> u32 {
        let bucket = match self.position_buckets {
            Some(buckets) => log_bucket(distance, buckets, self.max_relative_positions),
            None => distance,
        };
        bucket.saturating_add(self.span()).clamp(0, 2 * self.span() - 1) as u32
    }
}

/// The bucket of a distance: itself up to half of the `buckets`, beyond that growing with its
/// logarithm up to the bucket of `farthest - 1` (`make_log_bucket_position`; f32 as there).
fn log_bucket(distance: i64, buckets: i64, farthest: i64) -> i64 {
    let middle = buckets / 2;
    let far = distance.abs();
    if far <= middle {
        return distance;
    }
    let share = (far as f32 / middle as f32).ln();
    let whole = (((farthest - 1) as f64 / middle as f64) as f32).ln();
    let beyond = (share / whole * (middle - 1) as f32).ceil() as i64;
    distance.signum() * beyond.saturating_add(middle)
}

/// The table of relative positions, for all layers, and what the layers have made of it.
pub(super) struct RelativePositions<O: Ops> {
    settings: RelativeSettings,
    rel_embeddings: O::Embedding,
    norm: Option<O::Norm>,
    /// No input changes them, and for a short row they are a good part of all products.
    projected: Mutex<Option<Arc<Projected<O::Tensor>>>>,
}

/// The rows of the table that rows of up to `longest` tokens need, as each layer projects them.
pub(super) struct Projected<T> {
    longest: usize,
    buckets: Buckets,
    layers: Vec<KeyAndQuery<T>>,
}

/// What queries and keys are multiplied with, `[buckets, width]` each.
struct KeyAndQuery<T> {
    key: Option<T>,
    query: Option<T>,
}

impl<T> Projected<T> {
    /// The terms of the layer `layer`.
    pub(super) fn relative(&self, layer: usize) -> Option<Relative<'_, T>> {
        let KeyAndQuery { key, query } = self.layers.get(layer)?;
        let (key, query) = (key.as_ref(), query.as_ref());
        Some(Relative { buckets: &self.buckets, bias: None, key, query })
    }
}

impl<O: Ops> RelativePositions<O> {
    /// Loads the table that `settings` say for layers of that shape.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    pub(super) fn load(
        settings: RelativeSettings,
        shape: &LayerShape,
        scope: &Scope<O>,
    ) -> Result<Self, ModelError> {
        let LayerShape { width, norm, .. } = *shape;
        let norm = || scope.norm("LayerNorm", width, norm);
        let rows = 2 * settings.span() as usize;
        Ok(Self {
            settings,
            rel_embeddings: scope.embedding("rel_embeddings", [rows, width])?,
            norm: settings.norm_rel_ebd.then(norm).transpose()?,
            projected: Mutex::new(None),
        })
    }

    /// The projections of `layers` for rows of up to `longest` tokens at least: those of the last batch
    /// if they reach so far.
    pub(super) fn projected<'l>(
        &self,
        ops: &O,
        layers: impl Iterator<Item = (&'l PositionLayers<O>, &'l Projections<O>)>,
        longest: usize,
    ) -> Arc<Projected<O::Tensor>>
    where
        O: 'l,
    {
        let mut held = self.projected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(projected) = held.as_ref().filter(|held| held.longest >= longest) {
            return Arc::clone(projected);
        }
        // Whole powers of two: a row a little longer than all before does not project anew.
        let longest = longest.max(SHORT).next_power_of_two();
        let buckets = Buckets::new(longest, |distance| self.settings.row(distance));
        let (buckets, used) = buckets.compact();
        let rows = ops.embed(&self.rel_embeddings, &used);
        let rows = match &self.norm {
            Some(norm) => ops.norm(&rows, norm),
            None => rows,
        };
        let project = |(own, shared): (&PositionLayers<O>, &Projections<O>)| {
            own.project(ops, &rows, shared, self.settings.terms)
        };
        let projected = Projected { longest, buckets, layers: layers.map(project).collect() };
        Arc::clone(held.insert(Arc::new(projected)))
    }
}

/// The layers that project relative positions in one layer of the model; those of the content serve
/// where they are absent (`share_att_key`).
pub(super) struct PositionLayers<O: Ops> {
    pos_key: Option<O::Linear>,
    pos_query: Option<O::Linear>,
}

impl<O: Ops> PositionLayers<O> {
    /// Loads the modules that `settings` say, `width` wide.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(super) fn load(
        settings: Option<RelativeSettings>,
        width: usize,
        scope: &Scope<O>,
    ) -> Result<Self, ModelError> {
        let own = settings.filter(|relative| !relative.share_att_key);
        let own = own.map(|relative| relative.terms);
        let projection = |name: &str| scope.linear(name, [width, width]);
        let pos_key = own.filter(|terms| terms.content_to_position);
        let pos_query = own.filter(|terms| terms.position_to_content);
        Ok(Self {
            pos_key: pos_key.map(|_| projection("attention.self.pos_key_proj")).transpose()?,
            pos_query: pos_query.map(|_| projection("attention.self.pos_query_proj")).transpose()?,
        })
    }

    fn project(
        &self,
        ops: &O,
        rows: &O::Tensor,
        shared: &Projections<O>,
        terms: Terms,
    ) -> KeyAndQuery<O::Tensor> {
        let own = |layer| ops.linear(rows, layer, Activation::Identity);
        let [key, query] = [&self.pos_key, &self.pos_query].map(|layer| layer.as_ref().map(own));
        let lacks_key = terms.content_to_position && key.is_none();
        let lacks_query = terms.position_to_content && query.is_none();
        if !(lacks_key || lacks_query) {
            return KeyAndQuery { key, query };
        }
        let [shared_query, shared_key] = shared.query_key(ops, rows);
        KeyAndQuery {
            key: key.or(terms.content_to_position.then_some(shared_key)),
            query: query.or(terms.position_to_content.then_some(shared_query)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The distances at which the bucket changes, by `make_log_bucket_position` of transformers 5.23.
    #[test]
    fn buckets_are_those_of_transformers() {
        type Changes = &'static [(i64, i64)];
        let table: [(i64, i64, Changes); 3] = [
            (16, 512, &[(9, 9), (15, 10), (27, 11), (48, 12), (87, 13), (156, 14), (283, 15)]),
            (16, 40, &[(9, 9), (11, 10), (13, 11), (16, 12), (20, 13), (25, 14), (32, 15)]),
            (8, 128, &[(5, 5), (13, 6), (41, 7)]),
        ];
        for (buckets, farthest, changes) in table {
            let mut want = 0;
            for distance in 0..farthest {
                let change = changes.iter().find(|(at, _)| *at == distance);
                want = change.map_or(if distance <= buckets / 2 { distance } else { want }, |c| c.1);
                assert_eq!(log_bucket(distance, buckets, farthest), want, "{distance}");
                assert_eq!(log_bucket(-distance, buckets, farthest), -want, "-{distance}");
            }
        }
    }

    /// By hand: without buckets the table has a row for each distance up to the farthest.
    #[test]
    fn rows_end_with_the_table() {
        let config = json!({"relative_attention": true, "max_relative_positions": 4});
        let config = Config::new(config.as_object().expect("an object"));
        let terms = Terms::read(config).expect("terms");
        let relative = RelativeSettings::read(config, terms, 512).expect("settings");
        let relative = relative.expect("relative");
        let rows: Vec<u32> = (-6..=6).map(|distance| relative.row(distance)).collect();
        assert_eq!(rows, [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7]);
    }

    #[test]
    fn terms_come_as_a_list_or_a_text() {
        let count = |value: Value| {
            let config = json!({"pos_att_type": value});
            Terms::read(Config::new(config.as_object().expect("an object"))).map(Terms::count)
        };
        assert_eq!(count(json!("p2c | C2P")).ok(), Some(3));
        assert_eq!(count(json!(["c2p"])).ok(), Some(2));
        assert_eq!(count(json!([])).ok(), Some(1));
        assert!(count(json!("p2p")).is_err_and(|e| e.to_string().contains("pos_att_type")));
    }
}
