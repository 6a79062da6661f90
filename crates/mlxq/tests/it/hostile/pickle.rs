//! Section 3: pickles that would run something, or are no state dict.

use super::{Case, TORCH, check_all};
use crate::forge::pickle::*;
use crate::forge::zip::{state, zip};

/// A zip of that pickle and of two f32 numbers.
fn case(item: &'static str, pickle: &[u8], words: &[&'static str]) -> Case {
    Case::new(item, TORCH, zip(&state(pickle, &[("0", &[0; 8])])), words)
}

/// A state dict whose tensor `a` is what `code` makes.
fn value(item: &'static str, code: Code, words: &[&'static str]) -> Case {
    case(item, &state_of(code), words)
}

/// A pickle of raw instructions.
fn raw(item: &'static str, code: &[u8], words: &[&'static str]) -> Case {
    case(item, &pickle(code.to_vec()), words)
}

#[test]
fn code_that_would_run() {
    let run = |module, name| call(global(module, name), &[text("id")]);
    let two = tuple(&[run("os", "system"), global("numpy", "ndarray")]);
    let words = |name| [name, "would need to run", "safetensors"];
    check_all(vec![
        value("3a os.system", run("os", "system"), &words("`os.system`")),
        value("3a posix.system", run("posix", "system"), &words("`posix.system`")),
        value("3a eval", run("__builtin__", "eval"), &words("`__builtin__.eval`")),
        value("3a getattr", run("builtins", "getattr"), &words("`builtins.getattr`")),
        value("3a torch.load", run("torch", "load"), &words("`torch.load`")),
        value("3a pip.main", run("pip", "main"), &words("`pip.main`")),
        value("3 a whole module", global("torch.nn.modules.linear", "Linear"), &words("Linear")),
        value("3 all names are listed", two, &["`os.system`, `numpy.ndarray`"]),
        value("3 names with ESC", run("\u{1b}[2J", "x"), &["would need to run", "\\u{1b}"]),
        value("3 quantized tensor", global("torch._utils", "_rebuild_qtensor"), &["quantized"]),
        value("3 sparse tensor", global("torch._utils", "_rebuild_sparse_tensor"), &["sparse"]),
        value("3 complex storage", global("torch", "ComplexFloatStorage"), &["complex"]),
        value("3 a storage made up", global("torch", "FloatStorageStorage"), &["need to run"]),
    ]);
}

#[test]
fn instructions_that_are_not_needed() {
    let opcode = |item, code: &[u8], name| raw(item, code, &["data.pkl: byte 2", name]);
    check_all(vec![
        opcode("3b STACK_GLOBAL", b"\x93", "STACK_GLOBAL"),
        opcode("3b INST", b"ios\nsystem\n", "INST"),
        opcode("3b OBJ", b"o", "OBJ"),
        opcode("3b EXT1", b"\x82\x01", "EXT1"),
        opcode("3b EXT4", b"\x84\x01\0\0\0", "EXT4"),
        opcode("3b NEWOBJ_EX", b"\x92", "NEWOBJ_EX"),
        opcode("3b FRAME", b"\x95\0\0\0\0\0\0\0\0", "FRAME"),
        opcode("3b PERSID", b"Pid\n", "PERSID"),
        opcode("3b LONG4", b"\x8b\x01\0\0\0\x01", "LONG4"),
        opcode("3b BINBYTES8", b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", "BINBYTES8"),
        opcode("3b DUP", b"2", "DUP"),
        opcode("3b unknown", b"\xff", "0xff"),
        case("3b protocol 4", b"\x80\x04}.", &["byte 0", "protocol 4"]),
        raw("3k text of 4 GiB", b"X\xff\xff\xff\xff", &["4294967295 bytes"]),
        raw("3k text beyond the end", b"X\xff\xff\0\0abc", &["ends early"]),
        case("3k no STOP", b"\x80\x02}", &["ends early"]),
        case("3k empty pickle", b"", &["ends early"]),
        raw("3k GLOBAL without an end", b"ctorch", &["ends early"]),
        raw("3 GLOBAL that is no UTF-8", b"c\xff\nx\n", &["UTF-8"]),
    ]);
}

#[test]
fn persistent_ids() {
    let id = |item, id: Code| {
        let code = tensor([id, b"Q".to_vec()].concat(), 0, &[2], &[1]);
        value(item, code, &["data.pkl: byte"])
    };
    let fields = |key: Code, count: Code, class: Code| {
        tuple(&[text("storage"), class, key, text("cpu"), count])
    };
    let float = || global("torch", "FloatStorage");
    let short = tuple(&[text("storage"), float(), text("0")]);
    let module = tuple(&[text("module"), float(), text("a.py"), text("import os")]);
    let view =
        |view: Code| tuple(&[text("storage"), float(), text("0"), text("cpu"), int(2), view]);
    check_all(vec![
        id("3c persistent id that is a text", text("0")),
        id("3c a module's source", module),
        id("3c too few fields", short),
        id("3c key with a path", fields(text("../0"), int(2), float())),
        id("3c empty key", fields(text(""), int(2), float())),
        id("3c key that is a number", fields(int(0), int(2), float())),
        id("3c negative size", fields(text("0"), int(-1), float())),
        id("3c size that is a text", fields(text("0"), text("2"), float())),
        id("3c class that is a text", fields(text("0"), int(2), text("FloatStorage"))),
        id(
            "3c class without a type",
            fields(text("0"), int(2), global("torch.storage", "TypedStorage")),
        ),
        id("5f view outside its storage", view(tuple(&[text("v"), int(1), int(2)]))),
        id("5f view that overflows", view(tuple(&[text("v"), int(i64::MAX), int(i64::MAX)]))),
        id("5f view that is a text", view(text("v"))),
    ]);
}

#[test]
fn calls() {
    let rebuild = |name, fields: &[Code]| call(global("torch._utils", name), fields);
    let store = || storage("FloatStorage", "0", 2);
    let hooks = || dict(&[(text("h"), int(1))]);
    let v2 = |last: Code| {
        let fields = [store(), int(0), ints(&[2]), ints(&[1]), FALSE.to_vec(), last];
        rebuild("_rebuild_tensor_v2", &fields)
    };
    let conj = [
        [store(), int(0), ints(&[2]), ints(&[1])].to_vec(),
        vec![FALSE.to_vec(), ordered_dict(), dict(&[(text("conj"), b"\x88".to_vec())])],
    ];
    let state = [two_floats(), FALSE.to_vec(), ordered_dict(), hooks()];
    let refuse = |item, code| value(item, code, &["data.pkl: byte", "arguments"]);
    let build = |item, code: Code| value(item, code, &["BUILD"]);
    check_all(vec![
        refuse("3e too few arguments", rebuild("_rebuild_tensor_v2", &[store()])),
        refuse("3e hooks that are not empty", v2(hooks())),
        refuse("3e a conjugated tensor", rebuild("_rebuild_tensor_v2", &conj.concat())),
        refuse(
            "3e parameter of a text",
            rebuild("_rebuild_parameter", &[text("x"), FALSE.to_vec(), ordered_dict()]),
        ),
        refuse("3e parameter with a state", rebuild("_rebuild_parameter_with_state", &state)),
        refuse(
            "3e dtype that is a text",
            rebuild(
                "_rebuild_tensor_v3",
                &[
                    store(),
                    int(0),
                    ints(&[2]),
                    ints(&[1]),
                    FALSE.to_vec(),
                    ordered_dict(),
                    text("float32"),
                ],
            ),
        ),
        refuse(
            "3e OrderedDict of a list",
            call(global("collections", "OrderedDict"), &[b"]".to_vec()]),
        ),
        refuse("3e NEWOBJ of a dtype", [global("torch", "float32"), b")\x81".to_vec()].concat()),
        refuse("3l a size beyond 64 bits", v2_of_long()),
        value("3e call of a text", call(text("os.system"), &[]), &["no name"]),
        value(
            "3e call without a tuple",
            [global("builtins", "set"), b"]R".to_vec()].concat(),
            &["tuple"],
        ),
        build("3d BUILD of a dict", [dict(&[]), dict(&[]), b"b".to_vec()].concat()),
        build("3d BUILD of a tensor", [two_floats(), tuple(&[]), b"b".to_vec()].concat()),
    ]);
}

/// A tensor whose size is 2^2032.
fn v2_of_long() -> Code {
    let long = [b"\x8a\xff".as_slice(), &[0; 254], b"\x01"].concat();
    let store = storage("FloatStorage", "0", 2);
    let fields = [store, int(0), tuple(&[long]), ints(&[1]), FALSE.to_vec(), ordered_dict()];
    call(global("torch._utils", "_rebuild_tensor_v2"), &fields)
}

#[test]
fn the_stack_and_the_memo() {
    let nested = [b")".as_slice(), &b"\x85".repeat(200_000)].concat();
    let lists = [b"]".repeat(5000), b"a".repeat(4999)].concat();
    let bomb = [b")".as_slice(), &b"q\0h\0\x86".repeat(60)].concat();
    check_all(vec![
        raw("3f memo that was never written", b"h\x05", &["memo 5"]),
        raw("3g memo 2^32 - 1 read", b"j\xff\xff\xff\xff", &["memo 4294967295"]),
        raw("3g memo 2^32 - 1 written", b"Nr\xff\xff\xff\xff", &["no dict of tensors"]),
        value("3h memo bomb", bomb, &["`a`", "collection"]),
        value("3i a list in itself", b"]q\0h\0a".to_vec(), &["`a`", "collection"]),
        raw("3j 200,000 nested tuples", &nested, &["nested deeper than 1000"]),
        raw("3j 5,000 nested lists", &lists, &["nested deeper than 1000"]),
        raw("3n SETITEM on a list", b"]NNs", &["no dict"]),
        raw("3n SETITEMS on a tuple", b")(NNu", &["no dict"]),
        raw("3n odd count", b"}(NNNu", &["key without a value"]),
        raw("3n APPEND on a dict", b"}Na", &["no list"]),
        raw("3n no mark", b"}u", &["mark"]),
        raw("3n empty stack", b"\x85", &["stack is empty"]),
        raw("3n below a mark", b"N(\x85", &["stack is empty"]),
        raw("3n PUT of nothing", b"q\0", &["stack is empty"]),
        raw("3n STOP with nothing", b"", &["0 values"]),
        raw("3n STOP with more", b"}}", &["2 values"]),
        raw("3n STOP within a mark", b"(}", &["values"]),
    ]);
}

#[test]
fn dicts_that_are_no_state() {
    let whole = |item, code: Code, words: &[&'static str]| raw(item, &code, words);
    let entries = |keys: [Code; 2]| dict(&keys.map(|key| (key, two_floats())));
    let inner = || dict(&[(text("a"), two_floats())]);
    let both = dict(&[(text("model"), inner()), (text("state_dict"), inner())]);
    let beside = dict(&[(text("model"), inner()), (text("b"), two_floats())]);
    let surrogate = dict(&[(text(b"\xed\xa0\x80"), two_floats())]);
    check_all(vec![
        whole("3m duplicate tensor", entries([text("a"), text("a")]), &["`a`", "stands twice"]),
        whole("3o number as a name", entries([text("a"), int(1)]), &["no text"]),
        whole("3o None as a name", entries([text("a"), NONE.to_vec()]), &["no text"]),
        whole("3p surrogate in a name", surrogate, &["UTF-8"]),
        whole(
            "3 control characters in a name",
            entries([text("a"), text("\u{1b}[1m")]),
            &["\\u{1b}"],
        ),
        whole("3 empty name", entries([text("a"), text("")]), &["empty"]),
        whole(
            "3 a list of tensors",
            [b"](".to_vec(), two_floats(), b"e".to_vec()].concat(),
            &["no dict"],
        ),
        whole("3 a tensor alone", two_floats(), &["no dict"]),
        whole("3 no tensors", dict(&[(text("lr"), int(1))]), &["no tensors"]),
        whole("3 an empty dict", dict(&[]), &["no tensors"]),
        whole("3 two state dicts", both, &["more than one"]),
        whole("3 tensors beside a state dict", beside, &["beside"]),
        whole("3 a dict among tensors", dict(&[(text("a"), inner())]), &["`a`", "collection"]),
        whole(
            "3 a storage as a tensor",
            dict(&[(text("a"), storage("FloatStorage", "0", 2))]),
            &["storage"],
        ),
    ]);
}
