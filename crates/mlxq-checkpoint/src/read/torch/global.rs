//! What a pickle may name: a list of data types and constructors, none of which is ever run.

use crate::tensor::Dtype;

/// Something that a state dict names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    /// `_rebuild_tensor`, 4 arguments.
    Tensor,
    /// `_rebuild_tensor_v2`, 6 or 7 arguments.
    TensorV2,
    /// `_rebuild_tensor_v3`, with a dtype.
    TensorV3,
    /// `_rebuild_parameter`, 3 arguments.
    Parameter,
    /// `_rebuild_parameter_with_state`, 4 arguments.
    ParameterWithState,
    /// The class itself, made by NEWOBJ or REDUCE.
    ParameterClass,
    /// A storage of that element type.
    Storage(Dtype),
    /// A storage of bytes.
    UntypedStorage,
    /// A class that stands without an element type.
    TypedStorage,
    /// An element type; `Err`: one that is not read.
    Dtype(Result<Dtype, &'static str>),
    Size,
    Device,
    Set,
    ByteArray,
    Complex,
    Encode,
    Counter,
    Layout,
}

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A kind of tensor that is known and not read.
    Kind,
    /// It would have to be run.
    Run,
}

const STORAGES: [(&str, Dtype); 10] = [
    ("Float", Dtype::F32),
    ("Double", Dtype::F64),
    ("Half", Dtype::F16),
    ("BFloat16", Dtype::BF16),
    ("Long", Dtype::I64),
    ("Int", Dtype::I32),
    ("Short", Dtype::I16),
    ("Char", Dtype::I8),
    ("Byte", Dtype::U8),
    ("Bool", Dtype::Bool),
];

const DTYPES: [(&str, Dtype); 13] = [
    ("float64", Dtype::F64),
    ("float32", Dtype::F32),
    ("float16", Dtype::F16),
    ("bfloat16", Dtype::BF16),
    ("int64", Dtype::I64),
    ("int32", Dtype::I32),
    ("int16", Dtype::I16),
    ("int8", Dtype::I8),
    ("uint64", Dtype::U64),
    ("uint32", Dtype::U32),
    ("uint16", Dtype::U16),
    ("uint8", Dtype::U8),
    ("bool", Dtype::Bool),
];

/// Element types that may stand in a file but hold no plain numbers.
const OTHER_DTYPES: [&str; 9] = [
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float4_e2m1fn_x2",
    "complex32",
    "complex64",
    "complex128",
];

/// What `module.name` means.
///
/// # Errors
/// When it is not on the list.
pub(super) fn look_up(module: &str, name: &str) -> Result<Global, Refusal> {
    // Python 2 called the module otherwise.
    let module = if module == "__builtin__" { "builtins" } else { module };
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("collections", "Counter") => Global::Counter,
        ("torch._utils", "_rebuild_tensor") => Global::Tensor,
        ("torch._utils", "_rebuild_tensor_v2") => Global::TensorV2,
        ("torch._utils", "_rebuild_tensor_v3") => Global::TensorV3,
        ("torch._utils", "_rebuild_parameter") => Global::Parameter,
        ("torch._utils", "_rebuild_parameter_with_state") => Global::ParameterWithState,
        ("torch.nn.parameter", "Parameter") => Global::ParameterClass,
        ("torch.storage", "UntypedStorage") => Global::UntypedStorage,
        ("torch.storage", "TypedStorage") => Global::TypedStorage,
        ("torch", "Size") => Global::Size,
        ("torch", "device") => Global::Device,
        ("torch.serialization", "_get_layout") => Global::Layout,
        ("builtins", "set") => Global::Set,
        ("builtins", "bytearray") => Global::ByteArray,
        ("builtins", "complex") => Global::Complex,
        ("_codecs", "encode") => Global::Encode,
        ("torch" | "torch.cuda", _) if name.ends_with("Storage") => storage(name)?,
        ("torch", _) => dtype(name)?,
        _ if is_special_tensor(module, name) => return Err(Refusal::Kind),
        _ => return Err(Refusal::Run),
    })
}

fn storage(name: &str) -> Result<Global, Refusal> {
    let kind = name.strip_suffix("Storage").unwrap_or(name);
    let known = STORAGES.iter().find(|(storage, _)| *storage == kind);
    match known {
        Some((_, dtype)) => Ok(Global::Storage(*dtype)),
        None if kind.starts_with("Complex") || kind.starts_with('Q') => Err(Refusal::Kind),
        None => Err(Refusal::Run),
    }
}

fn dtype(name: &str) -> Result<Global, Refusal> {
    if let Some((_, dtype)) = DTYPES.iter().find(|(other, _)| *other == name) {
        return Ok(Global::Dtype(Ok(*dtype)));
    }
    let other = OTHER_DTYPES.iter().find(|other| **other == name);
    other.map(|other| Global::Dtype(Err(other))).ok_or(Refusal::Run)
}

fn is_special_tensor(module: &str, name: &str) -> bool {
    let rebuilt = [
        "_rebuild_qtensor",
        "_rebuild_sparse_tensor",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_wrapper_subclass",
        "_rebuild_device_tensor_from_numpy",
        "_rebuild_device_tensor_from_cpu_tensor",
    ];
    match module {
        "torch._utils" => rebuilt.contains(&name),
        "torch._tensor" => name == "_rebuild_from_type_v2",
        _ => module == "torch.sparse" || module.starts_with("torch.sparse."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_is_known() {
        for (module, name, found) in [
            ("torch", "HalfStorage", Ok(Global::Storage(Dtype::F16))),
            ("torch.cuda", "BFloat16Storage", Ok(Global::Storage(Dtype::BF16))),
            ("torch", "uint16", Ok(Global::Dtype(Ok(Dtype::U16)))),
            ("torch", "float8_e5m2", Ok(Global::Dtype(Err("float8_e5m2")))),
            ("__builtin__", "set", Ok(Global::Set)),
            ("torch", "QInt8Storage", Err(Refusal::Kind)),
            ("torch", "ComplexFloatStorage", Err(Refusal::Kind)),
            ("torch._utils", "_rebuild_sparse_tensor", Err(Refusal::Kind)),
            ("torch.cuda", "float32", Err(Refusal::Run)),
            ("torch", "FloatStorageStorage", Err(Refusal::Run)),
            ("torch", "load", Err(Refusal::Run)),
            ("builtins", "eval", Err(Refusal::Run)),
            ("os", "system", Err(Refusal::Run)),
            ("numpy.core.multiarray", "_reconstruct", Err(Refusal::Run)),
        ] {
            assert_eq!(look_up(module, name), found, "{module}.{name}");
        }
    }
}
