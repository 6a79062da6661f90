//! Section 5: tensors in their storages, and the older format of torch.

use super::{Case, TORCH, check_all};
use crate::forge::pickle::*;
use crate::forge::zip::{state, zip};

/// A view of a storage of two f32 numbers.
fn view(
    item: &'static str,
    offset: i64,
    size: &[i64],
    strides: &[i64],
    words: &[&'static str],
) -> Case {
    let code = tensor(storage("FloatStorage", "0", 2), offset, size, strides);
    let bytes = zip(&state(&state_of(code), &[("0", &[0; 8])]));
    Case::new(item, TORCH, bytes, &[&["`a`"], words].concat())
}

#[test]
fn views() {
    let out = &["leaves its storage"][..];
    check_all(vec![
        view("5g beyond the storage", 0, &[3], &[1], out),
        view("5g offset beyond the storage", 2, &[1], &[1], out),
        view("5g stride beyond the storage", 0, &[2], &[2], out),
        view("5g strides that overflow", 0, &[2, 2], &[i64::MAX, i64::MAX], out),
        view("5g negative stride", 0, &[2], &[-1], &["stride is -1"]),
        view("5g offset -1", -1, &[1], &[1], &["offset is -1"]),
        view("5g negative size", 0, &[-2], &[1], &["dimension -2"]),
        view("5g ranks that differ", 0, &[2, 1], &[1], &["2 sizes, but 1 strides"]),
        view("5g size [2^62, 4]", 0, &[1 << 62, 4], &[0, 0], &["dimension"]),
        view("5g product that overflows", 0, &[(1 << 31) - 1; 3], &[0; 3], &["overflows"]),
        view("5h 4 TiB of 8 bytes", 0, &[1 << 20, 1 << 20], &[0, 0], &["its storage only 2"]),
        view("5 40 dimensions", 0, &[1; 40], &[1; 40], &[]).without_name(),
    ]);
}

#[test]
fn storages() {
    let two = |first: Code, second: Code| {
        let state_dict = dict(&[(text("a"), first), (text("b"), second)]);
        zip(&state(&pickle(state_dict), &[("0", &[0; 8])]))
    };
    let of = |class, count| tensor(storage(class, "0", count), 0, &[1], &[1]);
    let eight = |dtype: &str| {
        let store = [
            text("storage"),
            global("torch.storage", "UntypedStorage"),
            text("0"),
            text("cpu"),
            int(8),
        ];
        let store = [tuple(&store), b"Q".to_vec()].concat();
        let fields = [store, int(0), ints(&[1]), ints(&[1]), FALSE.to_vec(), ordered_dict()];
        let fields = [fields.to_vec(), vec![global("torch", dtype)]].concat();
        call(global("torch._utils", "_rebuild_tensor_v3"), &fields)
    };
    let case = |item, bytes, words: &[&'static str]| Case::new(item, TORCH, bytes, words);
    check_all(vec![
        case(
            "5j one storage, two classes",
            two(of("FloatStorage", 2), of("IntStorage", 2)),
            &["storage `0`", "I32", "F32"],
        ),
        case(
            "5j one storage, two sizes",
            two(of("FloatStorage", 2), of("FloatStorage", 1)),
            &["storage `0` is 1"],
        ),
        case(
            "5j one storage, two dtypes",
            two(eight("uint16"), eight("uint32")),
            &["`b`", "U32", "U16"],
        ),
        case(
            "5 fp8",
            two(eight("float8_e4m3fn"), eight("uint8")),
            &["`a`", "fp8", "original checkpoint"],
        ),
        case("5 complex", two(eight("complex64"), eight("uint8")), &["`a`", "complex64"]),
        case(
            "4l size that overflows",
            two(of("FloatStorage", i64::MAX), of("FloatStorage", i64::MAX)),
            &["overflows"],
        ),
    ]);
}

/// A file of the older format with two f32 numbers.
fn older(item: &'static str, storages: &[(&str, u64, &[u8])], words: &[&'static str]) -> Case {
    Case::new(item, TORCH, legacy(&state_of(two_floats()), storages), words)
}

#[test]
fn the_older_format() {
    let raw = |item, bytes: Vec<u8>, words: &[&'static str]| Case::new(item, TORCH, bytes, words);
    let good = || legacy(&state_of(two_floats()), &[("0", 2, &[0; 8])]);
    let changed = |at: usize| {
        let mut bytes = good();
        bytes[at] ^= 1;
        bytes
    };
    let big = [legacy_head(false), good()[legacy_head(true).len()..].to_vec()].concat();
    let keys = |keys: Code| [legacy_head(true), state_of(two_floats()), pickle(keys)].concat();
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    check_all(vec![
        raw("5a wrong magic number", changed(6), &["no PyTorch file"]),
        raw("5a wrong protocol", changed(18), &["protocol"]),
        raw("5a only the magic number", good()[..15].to_vec(), &["byte"]),
        raw("5b big-endian machine", big, &["little-endian"]),
        older(
            "5c another number of elements",
            &[("0", 1, &[0; 8])],
            &["storage `0`", "1 elements, expected 2"],
        ),
        older("5c 2^64 - 1 elements", &[("0", u64::MAX, &[0; 8])], &["storage `0`"]),
        older("5d a storage that is not used", &[("1", 2, &[0; 8])], &["no tensor uses"]),
        older("5d a storage twice", &[("0", 2, &[0; 8]), ("0", 2, &[0; 8])], &["listed twice"]),
        older("5d a storage that is not listed", &[], &["storage `0` is not in the file"]),
        older("5e elements beyond the file", &[("0", 2, &[0; 7])], &["leave the file"]),
        raw(
            "5e no room for the number",
            good()[..good().len() - 9].to_vec(),
            &["file ends before"],
        ),
        raw("5d keys that are a dict", keys(dict(&[])), &["no list of storages"]),
        raw("5d a key that is a number", keys(b"]K\x01a".to_vec()), &["no tensor uses"]),
        raw("5 truncated in the object", good()[..100].to_vec(), &["ends early"]),
        raw("5 a tar", tar, &["too old"]),
        raw("5 neither format", b"hello, this is no model".to_vec(), &["no PyTorch file"]),
        raw("5 empty file", Vec::new(), &["no PyTorch file"]),
        raw(
            "3a code in the older format",
            legacy(&state_of(call(global("os", "system"), &[text("id")])), &[]),
            &["`os.system`", "would need to run"],
        ),
    ]);
}
