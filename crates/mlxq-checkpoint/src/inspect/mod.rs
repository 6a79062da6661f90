//! What a folder holds, module by module, and how far its numbers are from their source's.

mod compare;
mod deviation;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

pub use compare::Comparison;
pub use deviation::Deviation;

use crate::convert::conversion_at;
use crate::dequantized::Dequantized;
use crate::layout::{Arranged, Arrangement, Layout, Part, arrange_by_shape};
use crate::recipe::{ConversionPlan, Encoding, Float, PlannedTensor, Recipe, plan_floats};
use crate::tensor::{TensorInfo, TensorSource};
use crate::{Checkpoint, CheckpointError, Quantization};

const UNKNOWN: &str = "unknown to the model type";

/// A folder that was looked at; no tensor is read for it.
pub struct Inspection<'a> {
    folder: &'a Checkpoint,
    layout: Option<&'a Layout>,
    view: Dequantized<'a>,
    arrangement: Arrangement,
    /// Of an original, what its conversion would do; of a converted folder, what its conversion has
    /// done. The arranged tensors stand first, in their order.
    plan: ConversionPlan,
    left_out: Vec<(String, String)>,
    problem: Option<CheckpointError>,
}

impl<'a> Inspection<'a> {
    /// Looks at `folder`, whose model type has that layout; an original as `recipe` would convert it.
    ///
    /// # Errors
    /// When packed tensors do not fit together. What else is wrong becomes [`Self::problem`].
    pub fn new(
        folder: &'a Checkpoint,
        layout: Option<&'a Layout>,
        recipe: &Recipe,
    ) -> Result<Self, CheckpointError> {
        let view = Dequantized::of(folder)?;
        let (arrangement, problem) = match arrange(folder, &view, layout) {
            Ok(arrangement) => (arrangement, None),
            Err(problem) => (arrange_by_shape(&view), Some(problem)),
        };
        let mut all = Self {
            folder,
            layout: layout.filter(|_| problem.is_none()),
            view,
            arrangement,
            plan: ConversionPlan { tensors: Vec::new(), format: None },
            left_out: Vec::new(),
            problem,
        };
        match folder.quantization() {
            Some(quantization) => all.read_conversion(quantization),
            None => all.foresee_conversion(recipe),
        }
        Ok(all)
    }

    /// The tensors of an original, and what a conversion would make of them; those of a converted
    /// folder as its conversion had them, packed ones in the float format of their scales.
    pub fn plan(&self) -> &ConversionPlan {
        &self.plan
    }

    /// What a conversion leaves out, or has left out by its own record: name and reason.
    pub fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    /// Why the folder is none of its model type, or cannot be converted. Its tensors then stand as
    /// they are.
    pub fn problem(&self) -> Option<&CheckpointError> {
        self.problem.as_ref()
    }

    fn foresee_conversion(&mut self, recipe: &Recipe) {
        let Arrangement { dropped, unknown, .. } = &self.arrangement;
        let dropped = dropped.iter().map(|(name, why)| (name.clone(), (*why).to_owned()));
        let unknown = unknown.iter().map(|name| (name.clone(), UNKNOWN.to_owned()));
        self.left_out = dropped.chain(unknown).collect();
        if self.problem.is_none() {
            match recipe.plan(self.layout, self.folder.config(), &self.arrangement) {
                Ok(plan) => {
                    self.plan = plan;
                    return;
                }
                Err(problem) => self.problem = Some(problem),
            }
        }
        self.plan = plan_floats(&self.arrangement, None);
        self.plan.tensors.iter_mut().for_each(|tensor| tensor.rule = "as it is".into());
    }

    fn read_conversion(&mut self, quantization: &Quantization) {
        let recorded = conversion_at(self.folder.dir()).unwrap_or_default();
        self.left_out = notes(recorded.get("dropped"));
        let unknown = recorded.get("unknown").and_then(Value::as_array).into_iter().flatten();
        self.left_out.extend(
            unknown.filter_map(|name| Some((name.as_str()?.to_owned(), UNKNOWN.to_owned()))),
        );
        let rules = FloatRules::new(self, quantization, &recorded);
        let used = self.arrangement.used.iter().map(Arranged::source);
        let dropped = self.arrangement.dropped.iter().map(|(name, _)| name.as_str());
        let unknown = self.arrangement.unknown.iter().map(String::as_str);
        let infos = used.chain(dropped).chain(unknown).filter_map(|name| self.view.find(name));
        let tensors = infos.map(|info| self.stored(quantization, info, &rules)).collect();
        self.plan = ConversionPlan { tensors, format: Some(quantization.default()) };
    }

    /// A tensor of a converted folder as the plan of the conversion had it.
    fn stored(
        &self,
        quantization: &Quantization,
        info: &TensorInfo,
        rules: &FloatRules,
    ) -> PlannedTensor {
        let (module, part) = Part::split(&info.name).unwrap_or((&info.name, Part::Bias));
        let format = self.view.format(&info.name);
        let has_entry = quantization.has_entry(module);
        let encoding = match (info.dtype.float(), format) {
            (Some(float), Some(format)) => Encoding::Packed(format, float),
            (Some(float), None) => Encoding::Float(float),
            (None, _) => Encoding::Same,
        };
        let rule = match format {
            Some(_) if has_entry => "its own entry".into(),
            Some(_) => "the default".into(),
            None => rules.of(&info.name),
        };
        let is_matrix = part == Part::Weight && info.shape.len() > 1;
        PlannedTensor { info: info.clone(), encoding, is_matrix, has_entry, rule }
    }
}

/// The tensors of a folder, seen as `view`, by its layout or by their shapes.
fn arrange(
    folder: &Checkpoint,
    view: &Dequantized,
    layout: Option<&Layout>,
) -> Result<Arrangement, CheckpointError> {
    match layout {
        Some(layout) => layout.arrange_view(folder, view),
        None => Ok(arrange_by_shape(view)),
    }
}

/// Why tensors of a converted folder are not packed.
struct FloatRules(HashMap<String, Cow<'static, str>>);

impl FloatRules {
    /// First what the conversion has recorded, then what the configuration says, then the layout.
    fn new(
        inspection: &Inspection,
        quantization: &Quantization,
        recorded: &Map<String, Value>,
    ) -> Self {
        let Inspection { folder, layout, arrangement, .. } = inspection;
        let mut rules = HashMap::new();
        rules.extend(arrangement.dropped.iter().map(|(name, why)| (name.clone(), (*why).into())));
        rules.extend(arrangement.unknown.iter().map(|name| (name.clone(), UNKNOWN.into())));
        let recipe = Recipe::uniform(quantization.default(), None::<Float>);
        if let Ok(plan) = recipe.plan(*layout, folder.config(), arrangement) {
            let planned = arrangement.used.iter().zip(plan.tensors);
            let kept = planned.filter(|(_, planned)| planned.format().is_none());
            rules.extend(kept.map(|(used, planned)| (used.source().to_owned(), planned.rule)));
        }
        let apart = arrangement.used.iter().map(Arranged::source).filter(|name| {
            Part::split(name).is_some_and(|(module, part)| {
                part == Part::Weight
                    && quantization.has_entry(module)
                    && quantization.module(module).is_none()
            })
        });
        rules.extend(apart.map(|name| (name.to_owned(), "its own entry".into())));
        let excluded = recorded.get("quantization").and_then(|block| block.get("excluded_layers"));
        rules.extend(notes(excluded).into_iter().map(|(name, why)| (name, why.into())));
        Self(rules)
    }

    fn of(&self, name: &str) -> Cow<'static, str> {
        self.0.get(name).cloned().unwrap_or("kept in float".into())
    }
}

/// The pairs of a list of `{"name": .., "reason": ..}`; what is none of these is passed over.
fn notes(list: Option<&Value>) -> Vec<(String, String)> {
    let text = |note: &Value, key: &str| Some(note.get(key)?.as_str()?.to_owned());
    let notes = list.and_then(Value::as_array).into_iter().flatten();
    notes.filter_map(|note| Some((text(note, "name")?, text(note, "reason")?))).collect()
}
