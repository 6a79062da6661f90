//! From a pickle's values to named tensors: which dict holds the weights, and what each tensor is in
//! its storage.

use std::collections::HashSet;

use super::pickle::{Id, Pickle, TensorRef, Value};
use super::view::View;
use crate::read::limits::{
    TENSOR_LIMIT, byte_size, check_name, check_rank, dimension, unsupported_dtype,
};
use crate::shown;
use crate::tensor::{Dtype, TensorInfo};

/// Keys under which training checkpoints keep their weights.
const WRAPPERS: [&str; 2] = ["state_dict", "model"];

/// The tensors of a state dict.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tensors: Vec<(TensorInfo, View)>,
    /// Names of values that are no tensors.
    pub(super) passed_over: Vec<String>,
}

impl State {
    /// The tensors of `pickle`: a dict of tensors by name, or one that has such a dict at
    /// `state_dict` or `model`, as training checkpoints have; what stands beside that is no weight.
    /// Numbers, texts and their like between tensors are passed over; dicts and lists are refused,
    /// as weights may hide in them.
    ///
    /// # Errors
    /// The reason with the tensor.
    pub(super) fn read(pickle: &Pickle) -> Result<Self, String> {
        let entries = weights(pickle)?;
        if entries.len() > TENSOR_LIMIT {
            return Err(format!("{} tensors are more than {TENSOR_LIMIT}", entries.len()));
        }
        let mut state = Self::default();
        let mut names = HashSet::with_capacity(entries.len());
        let mut read_as: Vec<Option<Dtype>> = vec![None; pickle.storages.len()];
        for (key, value) in entries {
            let name = key_text(pickle, *key)?;
            let refuse = |reason: String| format!("tensor `{}`: {reason}", shown(name));
            check_name(name).map_err(refuse)?;
            if !names.insert(name) {
                return Err(refuse("stands twice".to_owned()));
            }
            match pickle.get(*value) {
                Value::Tensor(tensor) => {
                    let (info, view) = tensor_of(pickle, name, tensor).map_err(refuse)?;
                    let known = read_as[view.storage].replace(info.dtype);
                    if let Some(other) = known.filter(|other| *other != info.dtype) {
                        let dtype = info.dtype;
                        let reason = format!("its storage is read as {dtype:?} and as {other:?}");
                        return Err(refuse(reason));
                    }
                    state.tensors.push((info, view));
                }
                Value::Tuple(_) | Value::List(_) | Value::Dict(_) | Value::OrderedDict(_) => {
                    return Err(refuse("is a collection, expected a tensor".to_owned()));
                }
                Value::Storage(_) => return Err(refuse("is a storage, not a tensor".to_owned())),
                _ => state.passed_over.push(name.to_owned()),
            }
        }
        if state.tensors.is_empty() { Err("holds no tensors".to_owned()) } else { Ok(state) }
    }
}

/// The entries of the dict that holds the weights.
fn weights<'a>(pickle: &'a Pickle) -> Result<&'a [(Id, Id)], String> {
    let top = entries(pickle.root()).ok_or("holds no dict of tensors")?;
    let mut inner = None;
    for (key, value) in top {
        let Value::Text(name) = pickle.get(*key) else { continue };
        let is_wrapper = WRAPPERS.iter().any(|wrapper| wrapper.as_bytes() == *name);
        if let Some(entries) = entries(pickle.get(*value)).filter(|_| is_wrapper)
            && inner.replace(entries).is_some()
        {
            return Err("has weights at more than one of `state_dict` and `model`".to_owned());
        }
    }
    let has_tensor = |entries: &[(Id, Id)]| {
        entries.iter().any(|(_, value)| matches!(pickle.get(*value), Value::Tensor(_)))
    };
    match inner {
        Some(_) if has_tensor(top) => {
            Err("has tensors beside a dict `state_dict` or `model`".to_owned())
        }
        Some(inner) => Ok(inner),
        None => Ok(top),
    }
}

fn entries<'a>(value: &'a Value) -> Option<&'a [(Id, Id)]> {
    match value {
        Value::Dict(entries) | Value::OrderedDict(entries) => Some(entries),
        _ => None,
    }
}

fn key_text<'p>(pickle: &Pickle<'p>, key: Id) -> Result<&'p str, String> {
    match pickle.get(key) {
        Value::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| {
            format!("the name `{}` is no UTF-8", shown(&String::from_utf8_lossy(bytes)))
        }),
        _ => Err("has a key that is no text, expected the names of tensors".to_owned()),
    }
}

/// Checks a tensor against its storage.
fn tensor_of(
    pickle: &Pickle,
    name: &str,
    tensor: &TensorRef,
) -> Result<(TensorInfo, View), String> {
    let dtype = tensor.dtype.map_err(unsupported_dtype)?;
    check_rank(tensor.shape.len())?;
    if tensor.shape.len() != tensor.strides.len() {
        let (sizes, strides) = (tensor.shape.len(), tensor.strides.len());
        return Err(format!("{sizes} sizes, but {strides} strides"));
    }
    let size = |size: &i64| dimension(u64::try_from(*size).ok(), size);
    let shape = tensor.shape.iter().map(size).collect::<Result<Vec<_>, _>>()?;
    byte_size(dtype, &shape)?;
    let number = |what: &str, number: i64| {
        u64::try_from(number).map_err(|_| format!("{what} is {number}, expected 0 or more"))
    };
    let strides = tensor.strides.iter().map(|stride| number("a stride", *stride));
    let strides = strides.collect::<Result<Vec<_>, _>>()?;
    let offset = number("the offset", tensor.offset)?;

    let id = &pickle.storages[tensor.storage.storage];
    // Offsets count elements of the tensor, a storage's range its own elements.
    let stored = id.dtype.size() as u64;
    let overflow = || "its place overflows".to_owned();
    let start = tensor.storage.start.checked_mul(stored).ok_or_else(overflow)?;
    let bytes = tensor.storage.elements.checked_mul(stored).ok_or_else(overflow)?;
    let room = bytes / dtype.size() as u64;
    let view = View { storage: tensor.storage.storage, start, offset, strides, size: dtype.size() };
    let info = TensorInfo { name: name.to_owned(), dtype, shape };
    view.check(&info.shape, room)?;
    Ok((info, view))
}
