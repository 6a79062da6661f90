//! Files of PyTorch through the public interface: good ones of every kind; what is wrong with bad ones
//! is tested with the program.

mod forge;

use std::path::Path;

use forge::pickle::*;
use forge::zip::{self, Entry, zip64};
use mlxq_checkpoint::TorchFile;
use mlxq_checkpoint::tensor::{Dtype, TensorSource};

fn open(bytes: &[u8]) -> Result<TorchFile, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.bin");
    std::fs::write(&path, bytes).expect("written");
    // The open file outlives its folder.
    TorchFile::open(&path).map_err(|error| error.to_string())
}

fn floats(file: &TorchFile, name: &str) -> Vec<f32> {
    let mut bytes = Vec::new();
    file.read(name, &mut bytes).expect("read");
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn numbers(count: u16) -> Vec<u8> {
    (0..count).flat_map(|number| f32::from(number).to_le_bytes()).collect()
}

/// A state dict with views of one storage, as both formats hold it.
fn views() -> Vec<u8> {
    let whole = || storage("FloatStorage", "0", 12);
    let parameter = |data: Code| {
        let fields = [data, b"\x88".to_vec(), ordered_dict()];
        call(global("torch._utils", "_rebuild_parameter"), &fields)
    };
    let entries = [
        (text("all"), tensor(whole(), 0, &[3, 4], &[4, 1])),
        (text("tied"), parameter(tensor(whole(), 0, &[3, 4], &[4, 1]))),
        (text("turned"), tensor(whole(), 0, &[4, 3], &[1, 4])),
        (text("part"), tensor(whole(), 5, &[2, 2], &[4, 1])),
        (text("number"), int(7)),
    ];
    let dict = ordered_dict();
    let items: Vec<u8> =
        entries.iter().flat_map(|(k, v)| [k.clone(), v.clone()].concat()).collect();
    let metadata = dict_of("_metadata");
    pickle([dict, b"(".to_vec(), items, b"u".to_vec(), metadata, b"b".to_vec()].concat())
}

fn dict_of(key: &str) -> Code {
    forge::pickle::dict(&[(text(key), forge::pickle::dict(&[]))])
}

#[test]
fn views_of_a_storage_are_read_from_both_formats() {
    let data = numbers(12);
    let zipped = zip::state(&views(), &[("0", &data)]);
    let older = legacy(&views(), &[("0", 12, &data)]);
    for bytes in [zip::zip(&zipped), zip64(&zipped, [None; 3]), older] {
        let file = open(&bytes).expect("good");
        assert_eq!(file.tensors().len(), 4);
        let all: Vec<f32> = (0..12u16).map(f32::from).collect();
        assert_eq!(floats(&file, "all"), all);
        assert_eq!(floats(&file, "tied"), all);
        assert_eq!(floats(&file, "turned"), [0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]);
        assert_eq!(floats(&file, "part"), [5., 6., 9., 10.]);
        assert_eq!(file.notes().len(), 1, "{:?}", file.notes());
        // Any bytes can be asked for, also within an element.
        let (mut whole, mut part) = (Vec::new(), Vec::new());
        file.read("turned", &mut whole).expect("read");
        for (start, end) in [(0, 0), (3, 9), (5, 6), (47, 48), (4, 44)] {
            file.read_part("turned", start..end, &mut part).expect("read");
            assert_eq!(part, whole[start..end]);
        }
        assert!(file.read_part("turned", 40..49, &mut part).is_err());
    }
}

#[test]
fn wrapped_weights_are_found() {
    let inner = dict(&[(text("a"), two_floats())]);
    let training = dict(&[
        (text("epoch"), int(3)),
        (int(5), tuple(&[text("key that is no text")])),
        (text("state_dict"), inner),
    ]);
    let file =
        open(&zip::zip(&zip::state(&pickle(training), &[("0", &numbers(2))]))).expect("good");
    assert_eq!(floats(&file, "a"), [0., 1.]);
}

#[test]
fn odd_but_harmless_things_are_noted() {
    let extra = pickle(dict(&[(text("a"), two_floats()), (text("step"), int(5))]));
    let mut entries = zip::state(&extra, &[("0", &numbers(2)), ("7", &numbers(1))]);
    *entries.last_mut().expect("an entry") = zip::entry("archive/version", b"99");
    let notes = open(&zip::zip(&entries)).expect("good").notes().join("\n");
    for word in ["`step`", "1 of its storages", "`99`"] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
}

#[test]
fn big_endian_files_are_turned() {
    let data: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|number| number.to_be_bytes()).collect();
    let mut entries = zip::state(&state_of(two_floats()), &[("0", &data)]);
    entries[1] = zip::entry("archive/byteorder", b"big");
    let file = open(&zip::zip(&entries)).expect("good");
    assert_eq!(floats(&file, "a"), [1.5, -2.0]);
}

#[test]
fn untyped_storages_have_a_dtype_of_their_own() {
    let bytes = tuple(&[
        text("storage"),
        global("torch.storage", "UntypedStorage"),
        text("0"),
        text("cpu"),
        int(6),
    ]);
    let fields = [
        [bytes, b"Q".to_vec()].concat(),
        int(1),
        ints(&[2]),
        ints(&[1]),
        FALSE.to_vec(),
        ordered_dict(),
        global("torch", "uint16"),
    ];
    let tensor = call(global("torch._utils", "_rebuild_tensor_v3"), &fields);
    let entries = zip::state(&state_of(tensor), &[("0", &[1, 0, 2, 0, 3, 1])]);
    let file = open(&zip::zip(&entries)).expect("good");
    assert_eq!(file.tensors()[0].dtype, Dtype::U16);
    let mut read = Vec::new();
    file.read("a", &mut read).expect("read");
    assert_eq!(read, [2, 0, 3, 1]);
}

#[test]
fn every_class_of_storage_has_its_dtype() {
    for (class, dtype) in [
        ("FloatStorage", Dtype::F32),
        ("DoubleStorage", Dtype::F64),
        ("HalfStorage", Dtype::F16),
        ("BFloat16Storage", Dtype::BF16),
        ("LongStorage", Dtype::I64),
        ("IntStorage", Dtype::I32),
        ("ShortStorage", Dtype::I16),
        ("CharStorage", Dtype::I8),
        ("ByteStorage", Dtype::U8),
        ("BoolStorage", Dtype::Bool),
    ] {
        let data: Vec<u8> = (0..3 * dtype.size()).map(|byte| (byte % 2) as u8).collect();
        let code = tensor(storage(class, "0", 3), 1, &[2], &[1]);
        let file = open(&zip::zip(&zip::state(&state_of(code), &[("0", &data)]))).expect("good");
        assert_eq!(file.tensors()[0].dtype, dtype);
        let mut read = Vec::new();
        file.read("a", &mut read).expect("read");
        assert_eq!(read, data[dtype.size()..], "{class}");
    }
}

#[test]
fn a_truth_value_beyond_1_is_refused() {
    let code = tensor(storage("BoolStorage", "0", 3), 0, &[3], &[1]);
    let entries = zip::state(&state_of(code), &[("0", &[0, 1, 2])]);
    let file = open(&zip::zip(&entries)).expect("good");
    let error = file.read("a", &mut Vec::new()).expect_err("no truth value").to_string();
    assert!(error.contains("BOOL") && error.contains("x.bin"), "{error}");
}

/// The pickle alone may be compressed, as by a zip program.
#[test]
fn a_deflated_pickle_is_inflated() {
    let pickle = state_of(two_floats());
    // A stored block of DEFLATE (RFC 1951, 3.2.4).
    let length = pickle.len() as u16;
    let head = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    let data = [head, pickle.clone()].concat();
    let plain = zip::entry("archive/data.pkl", &pickle);
    let packed = data.len() as u64;
    let mut entries = zip::state(&pickle, &[("0", &numbers(2))]);
    entries[0] = Entry { data, packed, method: 8, local_method: 8, ..plain };
    assert_eq!(floats(&open(&zip::zip(&entries)).expect("good"), "a"), [0., 1.]);
}

#[test]
fn a_damaged_storage_is_found_when_it_is_read() {
    let mut entries = zip::state(&state_of(two_floats()), &[("0", &numbers(2))]);
    entries[2].crc ^= 1;
    let file = open(&zip::zip(&entries)).expect("only the data are wrong");
    for _ in 0..2 {
        let error = file.read("a", &mut Vec::new()).expect_err("damaged").to_string();
        assert!(error.contains("CRC-32") && error.contains("x.bin"), "{error}");
    }
}

#[test]
fn shared_real_state_dict() {
    let shared = std::env::var_os("MLXQ_SHARED").filter(|shared| Path::new(shared).is_dir());
    let Some(shared) = shared else { return say_skipped() };
    let path = Path::new(&shared).join("models/roberta-agnews/pytorch_model.bin");
    let file = TorchFile::open(&path).expect("good");
    assert!(file.notes().is_empty(), "{:?}", file.notes());
    let infos = file.tensors();
    assert_eq!(infos.len(), 42);
    assert_eq!(infos.iter().map(|info| info.elements()).sum::<usize>(), 875_142);
    let position_ids = file.find("roberta.embeddings.position_ids").expect("there");
    assert_eq!((position_ids.dtype, position_ids.shape.as_slice()), (Dtype::I64, &[1, 130][..]));
    // Stored transposed. The figures are torch's: first elements, and the sum of place times element.
    for (name, shape, first, sum) in [
        (
            "classifier.dense.weight",
            [128, 128],
            [0.060_071_29_f32, 0.111_461_5, -0.048_335_426],
            35_466.355_481_920_4,
        ),
        (
            "roberta.encoder.layer.1.output.dense.weight",
            [128, 256],
            [0.006_199_177, 0.030_230_515, 0.043_848_96],
            -363_909.108_305_538_6,
        ),
    ] {
        assert_eq!(file.find(name).expect("there").shape, shape);
        let numbers = floats(&file, name);
        assert_eq!(numbers[..3], first);
        let found: f64 =
            numbers.iter().zip(0u32..).map(|(x, at)| f64::from(*x) * f64::from(at)).sum();
        assert!((found - sum).abs() < 1e-6 * sum.abs(), "{found}");
    }
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn say_skipped() {
    eprintln!("skipped: MLXQ_SHARED names no folder");
}
