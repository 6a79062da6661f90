//! Section 1: the header of a safetensors file.

use super::{Case, SAFETENSORS, check_all};
use crate::forge::{header_of, safetensors};

const TWO: &str = r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#;

fn case(item: &'static str, header: &str, data: usize, words: &[&'static str]) -> Case {
    Case::new(item, SAFETENSORS, safetensors(header, data), words)
}

fn one(item: &'static str, fields: &str, data: usize, words: &[&'static str]) -> Case {
    case(item, &header_of(fields), data, &[&["`a`"], words].concat())
}

#[test]
fn lengths_and_json() {
    let raw =
        |item, bytes: &[u8], words: &[&'static str]| Case::new(item, SAFETENSORS, bytes, words);
    let claim = |length: u64, rest: usize| [&length.to_le_bytes(), &vec![b' '; rest][..]].concat();
    check_all(vec![
        raw("1a empty file", b"", &["too short", "0 bytes"]),
        raw("1a seven bytes", b"1234567", &["too short", "7 bytes"]),
        raw("1b length beyond the file", &claim(100, 99), &["claims 100 bytes"]),
        raw("1b length 2^64 - 1", &claim(u64::MAX, 8), &["claims"]),
        raw("1b length 100,000,001", &claim(100_000_001, 2), &["claims"]),
        raw("1c length 0", &claim(0, 0), &["empty"]),
        raw("1c only spaces", &claim(8, 8), &["column"]),
        case("1c no JSON", "hello", 0, &["header"]),
        case("1c a list", "[]", 0, &["no object"]),
        case("1c null", "null", 0, &["no object"]),
        case("1c text after the JSON", "{} x", 0, &["column 4"]),
        case("1d padded with a line end", "\n{}", 0, &["no object"]),
        case("1e padded with NUL", "{}\0\0", 0, &["column"]),
        case("1e byte order mark", "\u{feff}{}", 0, &["header"]),
        raw(
            "1f invalid UTF-8",
            &safetensors("{\"?\":1}", 0)
                .iter()
                .map(|b| if *b == b'?' { 0xff } else { *b })
                .collect::<Vec<_>>(),
            &["column"],
        ),
        case("1f lone surrogate", r#"{"\ud800":{}}"#, 0, &["column"]),
        case("1v 5,000 nested objects", &"{\"a\":".repeat(5000), 0, &["recursion limit"]),
        case(
            "1v 200,000 nested lists",
            &format!("{{\"a\":{}", "[".repeat(200_000)),
            0,
            &["recursion limit"],
        ),
    ]);
}

#[test]
fn keys() {
    check_all(vec![
        case(
            "1g duplicate name",
            &format!("{{\"a\":{{{TWO}}},\"a\":{{{TWO}}}}}"),
            8,
            &["`a` stands twice"],
        ),
        one(
            "1h duplicate field",
            &format!("{TWO},\"dtype\":\"F16\""),
            8,
            &["`dtype` stands twice"],
        )
        .without_name(),
        case(
            "1h duplicate metadata",
            r#"{"__metadata__":{},"__metadata__":{}}"#,
            0,
            &["stands twice"],
        ),
        case(
            "1i duplicate key of the metadata",
            r#"{"__metadata__":{"x":"1","x":"2"}}"#,
            0,
            &["`x` stands twice"],
        ),
        case("1i metadata that is a number", r#"{"__metadata__":{"x":1}}"#, 0, &["__metadata__"]),
        case("1i metadata that is a list", r#"{"__metadata__":[]}"#, 0, &["__metadata__"]),
        case("1w empty name", &format!("{{\"\":{{{TWO}}}}}"), 8, &["name is empty"]),
        case("1w NUL in a name", &format!("{{\"a\\u0000\":{{{TWO}}}}}"), 8, &["control"]),
        case(
            "1w ESC in a name",
            &format!("{{\"\\u001b[31m\":{{{TWO}}}}}"),
            8,
            &["control", "\\u{1b}"],
        ),
        case("1w newline in a name", &format!("{{\"a\\nerror: x\":{{{TWO}}}}}"), 8, &["control"]),
        case("1w long name", &format!("{{\"{}\":{{{TWO}}}}}", "n".repeat(5000)), 8, &["too long"]),
        case("1 entry that is no object", r#"{"a":3}"#, 0, &["`a`", "no object"]),
    ]);
}

#[test]
fn ranges() {
    let range = |start: &str, end: &str| {
        format!(r#""dtype":"F32","shape":[2],"data_offsets":[{start},{end}]"#)
    };
    let two = |a: &str, b: &str| format!("{{\"a\":{{{a}}},\"b\":{{{b}}}}}");
    check_all(vec![
        case("1k one range for two names", &two(TWO, TWO), 8, &["`b`", "overlaps"]),
        case("1k overlapping ranges", &two(TWO, &range("4", "12")), 12, &["overlaps"]),
        one("1l hole at the start", &range("8", "16"), 16, &["hole"]),
        case("1l hole between", &two(TWO, &range("12", "20")), 20, &["`b`", "hole"]),
        one("1l trailing bytes", TWO, 9, &["belong to none"]).without_name(),
        case("1l no tensors, but data", "{}", 4, &["belong to none"]),
        one("1n beyond the file", TWO, 7, &["ends at 8"]),
        one("1o negative offset", &range("-8", "0"), 8, &["ascending"]),
        one("1o reversed offsets", &range("8", "0"), 8, &["ascending"]),
        one("1o text offsets", &range("\"0\"", "\"8\""), 8, &["ascending"]),
        one("1o float offsets", &range("0.0", "8.0"), 8, &["ascending"]),
        one("1o three offsets", &range("0,4", "8"), 8, &["ascending"]),
        one("1o offset 2^64", &range("0", "18446744073709551616"), 8, &["ascending"]),
    ]);
}

#[test]
fn shapes_and_dtypes() {
    let shaped = |shape: &str, end: usize| {
        format!(r#""dtype":"F32","shape":{shape},"data_offsets":[0,{end}]"#)
    };
    let typed = |dtype: &str| format!(r#""dtype":{dtype},"shape":[4],"data_offsets":[0,4]"#);
    check_all(vec![
        one("1o negative dimension", &shaped("[-2]", 8), 8, &["dimension -2"]),
        one("1o float dimension", &shaped("[2.0]", 8), 8, &["dimension 2.0"]),
        one("1o text dimension", &shaped("[\"2\"]", 8), 8, &["dimension"]),
        one("1o shape that is a number", &shaped("2", 8), 8, &["shape"]),
        one("1p size that is not the shape's", &shaped("[3]", 8), 8, &["12 bytes", "has 8"]),
        one(
            "1q product that overflows",
            &shaped("[2147483647,2147483647,2147483647]", 0),
            0,
            &["overflows"],
        ),
        one("1q [2^62, 4]", &shaped("[4611686018427387904,4]", 0), 0, &["dimension"]),
        one("1q [2^32, 2^32, 0]", &shaped("[4294967296,4294967296,0]", 0), 0, &["dimension"]),
        one("1r [0, 2^62]", &shaped("[0,4611686018427387904]", 0), 0, &["dimension"]),
        one(
            "1s 100 dimensions",
            &shaped(&format!("[{}1]", "1,".repeat(99)), 4),
            4,
            &["100 dimensions"],
        ),
        one("1t dtype F99", &typed("\"F99\""), 4, &["`F99` is not supported", "BF16"]),
        one("1t lower case", &typed("\"f32\""), 4, &["`f32` is not supported"]),
        one("1t dtype that is a number", &typed("1"), 4, &["dtype"]),
        one("1u F4", &typed("\"F4\""), 4, &["fp4", "convert the original checkpoint"]),
        one("1u F8_E4M3", &typed("\"F8_E4M3\""), 4, &["fp8", "convert the original checkpoint"]),
        one("1u C64", &typed("\"C64\""), 4, &["`C64` is not supported"]),
    ]);
}
