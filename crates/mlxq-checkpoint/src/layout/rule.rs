//! How a checkpoint's tensors become those of the MLX folder, as data.
//!
//! The kinds of rule are those that mlx_lm's `sanitize` functions come down to. Each can be undone,
//! which is how a converted folder becomes a HuggingFace checkpoint again.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::modules::is_tied;
use super::pattern::{filled, matched};
use crate::CheckpointError;
use crate::tensor::{TensorInfo, TensorSource};

/// Bytes that are compared at once.
const COMPARED_BYTES: usize = 1 << 20;

/// The reason of a head that is left out though the configuration does not say that it is tied.
pub const ASSUMED_TIED: &str =
    "taken as the embedding, as mlx_lm does where `tie_word_embeddings` is absent";

/// One step, on tensors by name; see `pattern` for the holes in names.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Leaves tensors out, with the reason.
    Drop(&'static str, &'static str),
    /// Leaves a tensor out where `tie_word_embeddings` says that it is the embedding once more;
    /// the second part is what a configuration without that key means.
    DropTied(&'static str, bool),
    /// Leaves a tensor out that holds the numbers of another once more; one that holds others is
    /// refused.
    DropCopy {
        /// The tensor.
        copy: &'static str,
        /// The tensor that stays.
        of: &'static str,
    },
    /// Leaves out the layers `{i}` that the configuration does not count under any of these keys.
    DropLayersBeyond(&'static str, &'static [&'static str]),
    /// Gives new names; of the pairs (old, new) the first that fits counts.
    Rename(&'static [(&'static str, &'static str)]),
    /// The same for names that only older files have; not undone.
    RenameOld(&'static [(&'static str, &'static str)]),
    /// Exchanges the two dimensions of matrices.
    Transpose(&'static str),
    /// Makes one tensor `[experts, ..]` of the tensors of all experts.
    Stack {
        /// The tensors, with `{e}` for the expert.
        from: &'static str,
        /// The new tensor.
        to: &'static str,
        /// The keys of the configuration, one of which holds the number of experts.
        count: &'static [&'static str],
    },
    /// Cuts a tensor into equal parts along the last dimension but one.
    Split {
        /// The tensor.
        from: &'static str,
        /// The parts, in order.
        to: &'static [&'static str],
    },
    /// Writes a tensor once more under another name, unless there is one of that name.
    Copy {
        /// The tensor.
        from: &'static str,
        /// The second name.
        to: &'static str,
    },
}

/// Rows of a source tensor, which is seen as a matrix of its last dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) source: String,
    /// First row and number of rows; of the transposed matrix where `transposed`.
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) transposed: bool,
}

/// A tensor on its way from the source to the folder: its pieces, one below the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) info: TensorInfo,
    pub(super) pieces: Vec<Piece>,
}

impl Draft {
    /// The tensor `info` of the source, as it is.
    pub(super) fn whole(info: &TensorInfo) -> Self {
        let piece =
            Piece { source: info.name.clone(), first_row: 0, rows: info.rows(), transposed: false };
        Self { info: info.clone(), pieces: vec![piece] }
    }

    /// The source's name of the tensor, or of its first piece.
    pub(super) fn source(&self) -> &str {
        self.pieces.first().map_or(&self.info.name, |piece| &piece.source)
    }

    /// Rows `first..first + count`.
    fn rows(&self, first: usize, count: usize) -> Vec<Piece> {
        let (mut at, mut found) = (0, Vec::new());
        for piece in &self.pieces {
            let start = first.clamp(at, at + piece.rows);
            let end = (first + count).clamp(at, at + piece.rows);
            if start < end {
                let first_row = piece.first_row + start - at;
                found.push(Piece { first_row, rows: end - start, ..piece.clone() });
            }
            at += piece.rows;
        }
        found
    }

    fn refuse(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::tensor(&self.info.name, reason)
    }

    fn transposed(&self) -> Result<Self, CheckpointError> {
        let (&[rows, columns], [piece]) = (self.info.shape.as_slice(), self.pieces.as_slice())
        else {
            let reason = format!("has shape {:?}, expected a matrix", self.info.shape);
            return Err(self.refuse(reason));
        };
        let info = TensorInfo { shape: vec![columns, rows], ..self.info.clone() };
        let piece = Piece { rows: columns, transposed: !piece.transposed, ..piece.clone() };
        Ok(Self { info, pieces: vec![piece] })
    }

    /// Equal parts along dimension `axis`, any but the last, under `names`.
    fn parts(&self, axis: usize, names: &[String]) -> Result<Vec<Self>, CheckpointError> {
        let (shape, count) = (&self.info.shape, names.len());
        let length = shape.get(axis).copied().unwrap_or(0);
        if axis + 1 >= shape.len() || length == 0 || !length.is_multiple_of(count) {
            let reason = format!("has shape {shape:?}, which is not cut into {count} parts");
            return Err(self.refuse(reason));
        }
        let outer: usize = shape[..axis].iter().product();
        let part_rows = length / count * shape[axis + 1..shape.len() - 1].iter().product::<usize>();
        let part = |(place, name): (usize, &String)| {
            let starts = (0..outer).map(|block| (block * count + place) * part_rows);
            let mut shape = shape.clone();
            shape[axis] = length / count;
            let info = TensorInfo { name: name.clone(), shape, ..self.info.clone() };
            Self { info, pieces: starts.flat_map(|start| self.rows(start, part_rows)).collect() }
        };
        Ok(names.iter().enumerate().map(part).collect())
    }
}

/// The number at the first of `keys` that the configuration has.
pub(super) fn number(config: &Map<String, Value>, keys: &[&str]) -> Option<usize> {
    let value = keys.iter().find_map(|key| config.get(*key))?.as_u64()?;
    usize::try_from(value).ok()
}

/// The tensors and what was left out on the way.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) tensors: Vec<Draft>,
    pub(super) dropped: Vec<(String, &'static str)>,
    /// Tensors that were left out as copies, by their names in the source, and what they must equal.
    copies: Vec<(String, String)>,
}

impl Drafts {
    /// The tensors of a source, as they are.
    pub(super) fn of(tensors: &[TensorInfo]) -> Self {
        let tensors = tensors.iter().map(Draft::whole).collect();
        Self { tensors, dropped: Vec::new(), copies: Vec::new() }
    }

    /// Applies a rule.
    ///
    /// # Errors
    /// When tensors that belong together do not fit together.
    pub(super) fn apply(
        &mut self,
        rule: &Rule,
        config: &Map<String, Value>,
    ) -> Result<(), CheckpointError> {
        match *rule {
            Rule::Drop(pattern, reason) => self.drop_all(pattern, reason),
            Rule::DropTied(pattern, default) => {
                if is_tied(config, default) {
                    let stated = config.contains_key("tie_word_embeddings");
                    self.drop_all(
                        pattern,
                        if stated { "the embedding once more" } else { ASSUMED_TIED },
                    );
                }
            }
            Rule::DropCopy { copy, of } => self.drop_copy(copy, of),
            Rule::DropLayersBeyond(pattern, keys) => {
                if let Some(count) = number(config, keys) {
                    self.drop_layers_beyond(pattern, count);
                }
            }
            Rule::Rename(pairs) | Rule::RenameOld(pairs) => self.rename(pairs.iter().copied()),
            Rule::Transpose(pattern) => self.transpose(pattern)?,
            Rule::Stack { from, to, count } => {
                self.stack(from, to, number(config, count))?;
            }
            Rule::Split { from, to } => self.split(from, to)?,
            Rule::Copy { from, to } => self.copy(from, to),
        }
        Ok(())
    }

    /// Undoes a rule; what was left out stays away.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub(super) fn undo(&mut self, rule: &Rule) -> Result<(), CheckpointError> {
        match *rule {
            Rule::Drop(..)
            | Rule::RenameOld(..)
            | Rule::DropTied(..)
            | Rule::DropCopy { .. }
            | Rule::DropLayersBeyond(..)
            | Rule::Copy { .. } => {}
            Rule::Rename(pairs) => self.rename(pairs.iter().map(|(old, new)| (*new, *old))),
            Rule::Transpose(pattern) => self.transpose(pattern)?,
            Rule::Stack { from, to, .. } => self.unstack(from, to)?,
            Rule::Split { from, to } => self.join(from, to)?,
        }
        Ok(())
    }

    fn drop_all(&mut self, pattern: &'static str, reason: &'static str) {
        self.drop_if(reason, |name| matched(pattern, name).is_some());
    }

    fn drop_copy(&mut self, copy: &str, of: &str) {
        let source = |name: &str| {
            let draft = self.tensors.iter().find(|draft| draft.info.name == name);
            draft.map(|draft| draft.source().to_owned())
        };
        if let (Some(copy), Some(of)) = (source(copy), source(of)) {
            self.copies.push((copy, of));
        }
        self.drop_if("the shared table once more", |name| name == copy);
    }

    /// Refuses a tensor that was left out as a copy and is none.
    ///
    /// # Errors
    /// When there is one, or the source cannot be read.
    pub(super) fn check_copies(&self, source: &dyn TensorSource) -> Result<(), CheckpointError> {
        for (copy, of) in &self.copies {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let bytes = |name| source.find(name).map(|info| (info.dtype, info.bytes()));
            let mut equal = bytes(copy) == bytes(of);
            let total = bytes(copy).map_or(0, |(_, bytes)| bytes);
            for start in (0..total).step_by(COMPARED_BYTES) {
                let part = start..total.min(start + COMPARED_BYTES);
                if equal && copy != of {
                    source.read_part(copy, part.clone(), &mut first)?;
                    source.read_part(of, part, &mut second)?;
                    equal = first == second;
                }
            }
            if !equal {
                let reason = format!("holds other numbers than `{of}`, whose place it should take");
                return Err(CheckpointError::tensor(copy, reason));
            }
        }
        Ok(())
    }

    fn drop_layers_beyond(&mut self, pattern: &'static str, count: usize) {
        self.drop_if("a layer beyond those of the configuration", |name| {
            let filling = matched(pattern, name).unwrap_or_default();
            let layer = filling.iter().find(|(hole, _)| *hole == "i");
            layer.is_some_and(|(_, layer)| layer.parse().is_ok_and(|layer: usize| layer >= count))
        });
    }

    fn drop_if(&mut self, reason: &'static str, drops: impl Fn(&str) -> bool) {
        for draft in self.tensors.extract_if(.., |draft| drops(&draft.info.name)) {
            self.dropped.push((draft.info.name, reason));
        }
    }

    fn rename(&mut self, pairs: impl Iterator<Item = (&'static str, &'static str)> + Clone) {
        for draft in &mut self.tensors {
            let new = pairs.clone().find_map(|(old, new)| {
                matched(old, &draft.info.name).map(|filling| filled(new, &filling))
            });
            if let Some(new) = new {
                draft.info.name = new;
            }
        }
    }

    fn transpose(&mut self, pattern: &'static str) -> Result<(), CheckpointError> {
        let fits = |draft: &&mut Draft| matched(pattern, &draft.info.name).is_some();
        for draft in self.tensors.iter_mut().filter(fits) {
            *draft = draft.transposed()?;
        }
        Ok(())
    }

    fn copy(&mut self, from: &str, to: &str) {
        let find = |name: &str| self.tensors.iter().find(|draft| draft.info.name == name);
        if let (Some(draft), None) = (find(from), find(to)) {
            let mut second = draft.clone();
            to.clone_into(&mut second.info.name);
            self.tensors.push(second);
        }
    }

    /// Stacks the experts of each layer in place of the first one's tensor.
    fn stack(
        &mut self,
        from: &'static str,
        to: &'static str,
        count: Option<usize>,
    ) -> Result<(), CheckpointError> {
        let mut stacks: Vec<(String, Vec<(usize, Draft)>)> = Vec::new();
        let mut rest = Vec::with_capacity(self.tensors.len());
        for draft in self.tensors.drain(..) {
            let Some((name, expert)) = member(from, to, &draft.info.name) else {
                rest.push(draft);
                continue;
            };
            match stacks.iter_mut().find(|(other, _)| *other == name) {
                Some((_, experts)) => experts.push((expert, draft)),
                None => stacks.push((name, vec![(expert, draft)])),
            }
        }
        self.tensors = rest;
        for (name, experts) in stacks {
            self.tensors.push(stacked(name, experts, count)?);
        }
        Ok(())
    }

    fn unstack(&mut self, from: &'static str, to: &'static str) -> Result<(), CheckpointError> {
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for draft in self.tensors.drain(..) {
            let Some(filling) = matched(to, &draft.info.name) else {
                tensors.push(draft);
                continue;
            };
            let name = |expert: usize| {
                let expert = expert.to_string();
                filled(from, &[&[("e", expert.as_str())], filling.as_slice()].concat())
            };
            let experts = draft.info.shape.first().copied().unwrap_or(0);
            let names: Vec<String> = (0..experts).map(name).collect();
            for mut part in draft.parts(0, &names)? {
                part.info.shape.remove(0);
                tensors.push(part);
            }
        }
        self.tensors = tensors;
        Ok(())
    }

    fn split(&mut self, from: &'static str, to: &[&'static str]) -> Result<(), CheckpointError> {
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for draft in self.tensors.drain(..) {
            let Some(filling) = matched(from, &draft.info.name) else {
                tensors.push(draft);
                continue;
            };
            let names: Vec<String> = to.iter().map(|name| filled(name, &filling)).collect();
            tensors.extend(draft.parts(draft.info.shape.len().saturating_sub(2), &names)?);
        }
        self.tensors = tensors;
        Ok(())
    }

    /// Puts the parts of [`Rule::Split`] together again, in the place of the first.
    fn join(&mut self, from: &'static str, to: &[&'static str]) -> Result<(), CheckpointError> {
        let Some((first, others)) = to.split_first() else { return Ok(()) };
        let mut rest: HashMap<String, Draft> = HashMap::new();
        let is_other =
            |draft: &mut Draft| others.iter().any(|name| matched(name, &draft.info.name).is_some());
        for draft in self.tensors.extract_if(.., is_other) {
            rest.insert(draft.info.name.clone(), draft);
        }
        for draft in &mut self.tensors {
            let Some(filling) = matched(first, &draft.info.name) else { continue };
            let mut parts = vec![draft.clone()];
            for other in others {
                let other = filled(other, &filling);
                let other = rest.remove(&other);
                parts.push(other.ok_or_else(|| draft.refuse("lacks its other parts"))?);
            }
            *draft = joined(filled(from, &filling), &parts)?;
        }
        match rest.into_values().next() {
            Some(draft) => Err(draft.refuse("lacks its other parts")),
            None => Ok(()),
        }
    }
}

/// One tensor of equal parts along the last dimension but one.
fn joined(name: String, parts: &[Draft]) -> Result<Draft, CheckpointError> {
    let first = &parts[0].info;
    if let Some(other) = parts.iter().find(|part| part.info.shape != first.shape) {
        let reason = format!("has shape {:?}, its sibling {:?}", other.info.shape, first.shape);
        return Err(other.refuse(reason));
    }
    let axis = first.shape.len().saturating_sub(2);
    let (outer, length) = (first.shape[..axis].iter().product(), first.shape[axis]);
    let block = |block: usize| parts.iter().flat_map(move |part| part.rows(block * length, length));
    let mut info = TensorInfo { name, ..first.clone() };
    info.shape[axis] *= parts.len();
    Ok(Draft { info, pieces: (0..outer).flat_map(block).collect() })
}

/// The name of the stack and the expert's number, if `name` is an expert's tensor.
fn member(from: &'static str, to: &'static str, name: &str) -> Option<(String, usize)> {
    let filling = matched(from, name)?;
    let expert = filling.iter().find(|(hole, _)| *hole == "e")?.1.parse().ok()?;
    Some((filled(to, &filling), expert))
}

/// One tensor of the experts' tensors, all of one shape.
fn stacked(
    name: String,
    mut experts: Vec<(usize, Draft)>,
    count: Option<usize>,
) -> Result<Draft, CheckpointError> {
    experts.sort_by_key(|(expert, _)| *expert);
    let count = count.unwrap_or(experts.len());
    let missing = (0..count).find(|i| experts.get(*i).is_none_or(|(expert, _)| expert != i));
    if let Some(missing) = missing {
        let reason = format!("lacks expert {missing} of {count}");
        return Err(CheckpointError::tensor(&name, reason));
    }
    if experts.len() > count {
        let reason = format!("has {} experts, the configuration says {count}", experts.len());
        return Err(CheckpointError::tensor(&name, reason));
    }
    let first = experts[0].1.info.clone();
    let like = |info: &TensorInfo| info.shape == first.shape && info.dtype == first.dtype;
    if let Some((_, other)) = experts.iter().find(|(_, draft)| !like(&draft.info)) {
        let reason = format!("has shape {:?}, expert 0 has {:?}", other.info.shape, first.shape);
        return Err(other.refuse(reason));
    }
    let shape = [&[count], first.shape.as_slice()].concat();
    Ok(Draft {
        info: TensorInfo { name, shape, ..first },
        pieces: experts.into_iter().flat_map(|(_, draft)| draft.pieces).collect(),
    })
}
