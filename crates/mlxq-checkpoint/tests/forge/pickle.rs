//! An assembler of pickles, and the tensors and files that torch makes of them.

/// Instructions that leave one value on the stack.
pub(crate) type Code = Vec<u8>;

pub(crate) const NONE: &[u8] = b"N";
pub(crate) const FALSE: &[u8] = b"\x89";

/// BINUNICODE.
pub(crate) fn text(value: impl AsRef<[u8]>) -> Code {
    let value = value.as_ref();
    [b"X", (value.len() as u32).to_le_bytes().as_slice(), value].concat()
}

/// BININT, or LONG1 where that is too short.
pub(crate) fn int(value: i64) -> Code {
    match i32::try_from(value) {
        Ok(value) => [b"J", value.to_le_bytes().as_slice()].concat(),
        Err(_) => [b"\x8a\x08", value.to_le_bytes().as_slice()].concat(),
    }
}

/// GLOBAL.
pub(crate) fn global(module: &str, name: &str) -> Code {
    format!("c{module}\n{name}\n").into_bytes()
}

/// MARK, the parts, TUPLE.
pub(crate) fn tuple(parts: &[Code]) -> Code {
    [b"(", parts.concat().as_slice(), b"t"].concat()
}

pub(crate) fn ints(values: &[i64]) -> Code {
    tuple(&values.iter().map(|value| int(*value)).collect::<Vec<_>>())
}

/// REDUCE.
pub(crate) fn call(callee: Code, arguments: &[Code]) -> Code {
    [callee, tuple(arguments), b"R".to_vec()].concat()
}

/// EMPTY_DICT and SETITEMS.
pub(crate) fn dict(entries: &[(Code, Code)]) -> Code {
    let entries: Vec<u8> =
        entries.iter().flat_map(|(k, v)| [k.clone(), v.clone()].concat()).collect();
    [b"}(", entries.as_slice(), b"u"].concat()
}

pub(crate) fn ordered_dict() -> Code {
    call(global("collections", "OrderedDict"), &[])
}

/// A persistent id of a storage.
pub(crate) fn storage(class: &str, key: &str, elements: i64) -> Code {
    let fields = [text("storage"), global("torch", class), text(key), text("cpu"), int(elements)];
    [tuple(&fields), b"Q".to_vec()].concat()
}

/// `_rebuild_tensor_v2` of a view of a storage.
pub(crate) fn tensor(storage: Code, offset: i64, size: &[i64], strides: &[i64]) -> Code {
    let hooks = ordered_dict();
    let fields = [storage, int(offset), ints(size), ints(strides), FALSE.to_vec(), hooks];
    call(global("torch._utils", "_rebuild_tensor_v2"), &fields)
}

/// Two f32 numbers, the whole of storage `0`.
pub(crate) fn two_floats() -> Code {
    tensor(storage("FloatStorage", "0", 2), 0, &[2], &[1])
}

/// PROTO 2 and STOP around the code.
pub(crate) fn pickle(code: Code) -> Vec<u8> {
    [b"\x80\x02", code.as_slice(), b"."].concat()
}

/// A state dict of one tensor `a`.
pub(crate) fn state_of(tensor: Code) -> Vec<u8> {
    pickle(dict(&[(text("a"), tensor)]))
}

/// A file of the older format around an object's pickle: keys and their bytes follow.
pub(crate) fn legacy(object: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let keys: Vec<u8> = storages.iter().flat_map(|(key, _, _)| text(key)).collect();
    let keys = pickle([b"](", keys.as_slice(), b"e"].concat());
    let mut bytes = legacy_head(true);
    bytes.extend_from_slice(object);
    bytes.extend(keys);
    for (_, count, data) in storages {
        bytes.extend(count.to_le_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

/// Magic number, protocol and facts about the machine.
pub(crate) fn legacy_head(is_little_endian: bool) -> Vec<u8> {
    let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    let magic = pickle([b"\x8a\x0a", magic.as_slice()].concat());
    let protocol = pickle(b"M\xe9\x03".to_vec());
    let endian = if is_little_endian { b"\x88" } else { b"\x89" };
    let facts = dict(&[
        (text("protocol_version"), b"M\xe9\x03".to_vec()),
        (text("little_endian"), endian.to_vec()),
    ]);
    [magic, protocol, pickle(facts)].concat()
}
