//! Whole conversions of small folders, through the public interface.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mlxq_checkpoint::layout::{Layout, Module, Rule};
use mlxq_checkpoint::recipe::Recipe;
use mlxq_checkpoint::tensor::{Dtype, TensorSource};
use mlxq_checkpoint::{
    Checkpoint, CheckpointError, ConvertRequest, Converted, Progress, Purpose, Task, Watch,
    already_converted, convert,
};
use mlxq_kernels::float::Float;
use mlxq_kernels::quant::{Format, Packed, Scales};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// One layer, in the names of a task checkpoint of 2018.
const TOY: Layout = Layout {
    base: &[&[
        Module::embedding("embeddings.word_embeddings"),
        Module::norm("embeddings.LayerNorm").with_bias(),
        Module::linear("layer.{i}.dense").with_bias(),
        Module::linear("layer.{i}.narrow").with_bias(),
    ]],
    heads: &[Module::head("classifier")],
    rules: &[Rule::RenameOld(&[
        ("{*}LayerNorm.gamma", "{*}LayerNorm.weight"),
        ("{*}LayerNorm.beta", "{*}LayerNorm.bias"),
    ])],
    ..Layout::encoder("BertModel", "bert.")
};

const MODULES: &str = "modules.json";

/// A source folder in a temporary one, and the place of its conversion beside it.
struct Toy {
    dir: TempDir,
}

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn tensors() -> Tensors {
    let shapes: [(&str, &[usize]); 9] = [
        ("bert.embeddings.word_embeddings.weight", &[4, 64]),
        ("bert.embeddings.LayerNorm.gamma", &[64]),
        ("bert.embeddings.LayerNorm.beta", &[64]),
        ("bert.layer.0.dense.weight", &[48, 64]),
        ("bert.layer.0.dense.bias", &[48]),
        ("bert.layer.0.narrow.weight", &[8, 48]),
        ("bert.layer.0.narrow.bias", &[8]),
        ("classifier.weight", &[3, 64]),
        ("classifier.bias", &[3]),
    ];
    let numbers = |shape: &[usize]| {
        (0..shape.iter().product()).map(|i: usize| (i * 37 % 101) as f32 / 64.0 - 0.7).collect()
    };
    let tensor =
        |(name, shape): (&str, &[usize])| (name.to_owned(), shape.to_vec(), numbers(shape));
    shapes.map(tensor).to_vec()
}

/// An f32 safetensors file.
fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape, numbers) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

impl Toy {
    fn new(tensors: &Tensors) -> Self {
        let toy = Self { dir: tempfile::tempdir().expect("a folder") };
        let config = json!({
            "model_type": "bert", "architectures": ["BertForSequenceClassification"],
            "_name_or_path": "/home/somebody", "torch_dtype": "float32", "hidden_size": 64,
            "num_hidden_layers": 1,
            "id2label": {"0": "no", "1": "yes", "2": "?"},
        });
        toy.write("config.json", config.to_string().as_bytes());
        toy.write("model.safetensors", &safetensors(tensors));
        toy.write("tokenizer.json", b"{ \"as\":  \"it is\" }\r\n");
        toy.write("README.md", b"---\nlicense: mit\n---\n# A model\n");
        toy.write("training_args.bin", b"not copied");
        toy
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.source().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("out").join("model")
    }

    fn convert(&self) -> Result<Converted, CheckpointError> {
        self.convert_to(&self.target(), None)
    }

    fn convert_to(
        &self,
        target: &Path,
        float: Option<Float>,
    ) -> Result<Converted, CheckpointError> {
        self.convert_watched(target, float, &mut |_| ControlFlow::Continue(()))
    }

    fn convert_watched(
        &self,
        target: &Path,
        float: Option<Float>,
        watch: &mut Watch,
    ) -> Result<Converted, CheckpointError> {
        let checkpoint = Checkpoint::open(&self.source())?;
        let format = Format::new("affine", None, None).expect("a format");
        let mut metadata = Map::new();
        metadata.insert("quantization".to_owned(), json!({"target_size_mb": 2.0}));
        let task = Task::Quantize(Recipe::uniform(format, float));
        let request = ConvertRequest {
            replace: true,
            metadata,
            ..ConvertRequest::new(&checkpoint, Some(&TOY), target, task)
        };
        let expected = request.prospect().map(|prospect| prospect.folder_bytes);
        let converted = convert(request, watch)?;
        assert_eq!(expected.expect("planned"), converted.folder_bytes, "the plan is exact");
        Ok(converted)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.target().join(name)).expect(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).expect("JSON")
    }

    /// What stands beside the source, temporary folders among it.
    fn results(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.dir.path().join("out")) else { return Vec::new() };
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("listed").file_name().to_string_lossy().into_owned()
        };
        entries.map(name).collect()
    }
}

fn names(source: &dyn TensorSource) -> Vec<&str> {
    source.tensors().iter().map(|info| info.name.as_str()).collect()
}

#[test]
fn a_classifier_keeps_its_names_and_its_head() {
    let toy = Toy::new(&tensors());
    let converted = toy.convert().expect("converted");
    let folder = Checkpoint::open(&toy.target()).expect("a checkpoint");
    assert_eq!(folder.purpose(), Purpose::SequenceClassification);
    let expected = [
        "bert.embeddings.LayerNorm.bias",
        "bert.embeddings.LayerNorm.weight",
        "bert.embeddings.word_embeddings.biases",
        "bert.embeddings.word_embeddings.scales",
        "bert.embeddings.word_embeddings.weight",
        "bert.layer.0.dense.bias",
        "bert.layer.0.dense.biases",
        "bert.layer.0.dense.scales",
        "bert.layer.0.dense.weight",
        "bert.layer.0.narrow.bias",
        "bert.layer.0.narrow.weight",
        "classifier.bias",
        "classifier.weight",
    ];
    assert_eq!(names(&folder), expected);
    let found = |name: &str| folder.find(name).map(|info| (info.dtype, info.shape.clone()));
    assert_eq!(found("bert.layer.0.dense.weight"), Some((Dtype::U32, vec![48, 16])));
    assert_eq!(found("bert.layer.0.dense.scales"), Some((Dtype::F16, vec![48, 1])));
    assert_eq!(found("bert.layer.0.narrow.weight"), Some((Dtype::F16, vec![8, 48])));
    let kept: Vec<_> = converted.plan.kept().map(|(name, _)| name).collect();
    assert_eq!(kept, ["bert.layer.0.narrow.weight", "classifier.weight"]);
    let found = TOY.arrange_folder(&folder).expect("complete");
    assert!(found.unknown.is_empty() && found.dropped.is_empty(), "its own layout fits it");
}

#[test]
fn embeddings_lose_prefix_and_head() {
    let toy = Toy::new(&tensors());
    toy.write(MODULES, b"[]");
    toy.write("1_Pooling/config.json", br#"{"pooling_mode_mean_tokens": true}"#);
    toy.write("2_Dense/model.safetensors", b"weights of a module");
    toy.write("2_Dense/note.txt", b"not copied");
    let converted = toy.convert().expect("converted");
    let folder = Checkpoint::open(&toy.target()).expect("a checkpoint");
    assert_eq!(folder.purpose(), Purpose::Embedding);
    assert!(folder.find("layer.0.dense.weight").is_some());
    assert!(folder.find("classifier.weight").is_none());
    assert_eq!(converted.dropped.len(), 2);
    assert_eq!(folder.config()["architectures"], json!(["BertModel"]));
    assert_eq!(toy.json("1_Pooling/config.json")["pooling_mode"], "mean");
    assert_eq!(toy.read("2_Dense/model.safetensors"), b"weights of a module");
    assert!(!toy.target().join("2_Dense/note.txt").exists());
}

#[test]
fn the_configuration_says_what_was_done() {
    let toy = Toy::new(&tensors());
    toy.convert().expect("converted");
    let config = toy.json("config.json");
    let keys: Vec<_> = config.as_object().expect("an object").keys().collect();
    let sorted = [
        "architectures",
        "hidden_size",
        "id2label",
        "model_type",
        "num_hidden_layers",
        "quantization",
        "quantization_config",
        "torch_dtype",
    ];
    assert_eq!(keys, sorted);
    assert_eq!(config["quantization"], json!({"group_size": 64, "bits": 8, "mode": "affine"}));
    assert_eq!(config["quantization"], config["quantization_config"]);
    assert_eq!(config["torch_dtype"], "float16");
    assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
    assert!(String::from_utf8(toy.read("config.json")).expect("text").starts_with("{\n    \""));
}

/// By hand: 4 x 64 and 48 x 64 weights at 8.5 bits, and 128 + 48 + 8 * 48 + 8 + 3 * 64 + 3 others
/// at 16; parameters are counted before packing, as mlx-lm does.
#[test]
fn sizes_and_metadata_add_up() {
    let toy = Toy::new(&tensors());
    let converted = toy.convert().expect("converted");
    let (packed, others) = (52 * 64, 128 + 48 + 8 * 48 + 8 + 3 * 64 + 3);
    let index = toy.json("model.safetensors.index.json");
    assert_eq!(index["metadata"]["total_size"], packed * 17 / 16 + others * 2);
    assert_eq!(index["metadata"]["total_parameters"], packed + others);
    assert_eq!(index["weight_map"].as_object().expect("a map").len(), 13);
    let metadata = toy.json("conversion_metadata.json");
    let size_mb = converted.folder_bytes as f64 / 1_048_576.0;
    assert_eq!(metadata["quantization"]["actual_size_mb"], size_mb);
    assert_eq!(metadata["size_accuracy_ratio"], size_mb / 2.0);
    assert_eq!(metadata["quantization"]["excluded_layers"].as_array().map(Vec::len), Some(2));
    let weights = fs::metadata(toy.target().join("model.safetensors")).expect("weights").len();
    assert_eq!(converted.weights_bytes, weights);
    assert_eq!(metadata["files"]["model.safetensors"], weights);
}

#[test]
fn other_files_are_copied_byte_for_byte() {
    let toy = Toy::new(&tensors());
    toy.convert().expect("converted");
    assert_eq!(toy.read("tokenizer.json"), b"{ \"as\":  \"it is\" }\r\n");
    let card = String::from_utf8(toy.read("README.md")).expect("text");
    assert!(card.contains("license: mit\n") && card.contains("library_name: mlx\n"), "{card}");
    assert!(!toy.target().join("training_args.bin").exists());
}

/// A code's value is at most one step from the weight: `mlx` rounds the far end of a group that much.
#[test]
fn the_packed_weights_restore_the_source() {
    let toy = Toy::new(&tensors());
    toy.convert().expect("converted");
    let folder = Checkpoint::open(&toy.target()).expect("a checkpoint");
    let format =
        folder.quantization().and_then(|q| q.module("bert.layer.0.dense")).expect("packed");
    let read = |name: &str| {
        let mut bytes = Vec::new();
        folder.read(name, &mut bytes).expect(name);
        bytes
    };
    let floats = |name: &str| {
        let bytes = read(name);
        let mut numbers = vec![0.0; bytes.len() / 2];
        Float::F16.decode(&bytes, &mut numbers);
        numbers
    };
    let words: Vec<u32> = read("bert.layer.0.dense.weight")
        .as_chunks()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word))
        .collect();
    let scales = floats("bert.layer.0.dense.scales");
    let mut values = vec![0.0; 48 * 64];
    let biases = floats("bert.layer.0.dense.biases");
    let packed =
        Packed { format, words, scales: Scales::Affine { scales: scales.clone(), biases } };
    packed.restore(Float::F16, 0, &mut values);
    let all = tensors();
    for (i, (value, weight)) in values.iter().zip(&all[3].2).enumerate() {
        let step = scales[i / 64].abs();
        // Beside the step: the scale and both products are rounded to f16, of numbers below 2.
        assert!((value - weight).abs() <= step + 4.0 / 1024.0, "{i}: {value} for {weight}");
    }
}

#[test]
fn wrong_weights_leave_nothing_behind() {
    for (number, word) in
        [(f32::NAN, "1 of its numbers are NaN"), (f32::INFINITY, "first at 70"), (65520.0, "65504")]
    {
        let mut all = tensors();
        all[3].2[70] = number;
        let toy = Toy::new(&all);
        let error = toy.convert().expect_err("refused").to_string();
        assert!(error.contains(word) && error.contains("bert.layer.0.dense.weight"), "{error}");
        assert_eq!(toy.results(), [""; 0]);
    }
    let mut all = tensors();
    all[3].2[70] = 65520.0;
    let toy = Toy::new(&all);
    toy.convert_to(&toy.target(), Some(Float::BF16)).expect("bfloat16 holds it");
}

#[test]
fn an_interrupted_conversion_is_continued() {
    let toy = Toy::new(&tensors());
    let mut heard = 0;
    let mut stop = |progress: Progress| {
        heard += 1;
        if progress.done * 2 > progress.total {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let error = toy.convert_watched(&toy.target(), None, &mut stop).expect_err("interrupted");
    assert!(matches!(error, CheckpointError::Interrupted), "{error}");
    assert!(heard > 0);
    assert_eq!(toy.results(), [".model.partial"]);
    let whole = Toy::new(&tensors());
    whole.convert().expect("converted");
    toy.convert().expect("continued");
    assert_eq!(toy.results(), ["model"]);
    assert_eq!(toy.read("model.safetensors"), whole.read("model.safetensors"));
}

#[test]
fn a_source_that_changes_meanwhile_is_refused() {
    let toy = Toy::new(&tensors());
    let path = toy.source().join("model.safetensors");
    let mut change = |progress: Progress| {
        if progress.done == progress.total {
            let file = fs::File::options().append(true).open(&path).expect("the weights");
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("an earlier time");
        }
        ControlFlow::Continue(())
    };
    let error = toy.convert_watched(&toy.target(), None, &mut change).expect_err("refused");
    assert!(error.to_string().contains("has changed while"), "{error}");
    assert_eq!(toy.results(), [""; 0]);
}

#[test]
fn a_failed_replacement_leaves_the_earlier_folder() {
    let mut all = tensors();
    let toy = Toy::new(&all);
    toy.convert().expect("converted");
    let before = toy.read("conversion_metadata.json");
    all[7].2[0] = f32::NAN;
    toy.write("model.safetensors", &safetensors(&all));
    assert!(toy.convert().is_err());
    assert_eq!(toy.read("conversion_metadata.json"), before);
    assert_eq!(toy.results(), ["model"]);
}

#[test]
fn complete_conversions_are_recognized() {
    let toy = Toy::new(&tensors());
    let state = || already_converted(&toy.target()).map(|metadata| metadata.is_some());
    assert!(!state().expect("absent"));
    toy.convert().expect("converted");
    assert!(state().expect("complete"));
    fs::write(toy.target().join("tokenizer.json"), "{}").expect("changed");
    assert!(state().expect_err("incomplete").to_string().contains("`tokenizer.json` has 2 bytes"));
    fs::remove_file(toy.target().join("conversion_metadata.json")).expect("removed");
    assert!(state().expect_err("incomplete").to_string().contains("conversion_metadata.json"));
}

#[test]
fn places_and_sources_that_cannot_be_are_refused() {
    let toy = Toy::new(&tensors());
    let source = toy.source();
    for target in [source.clone(), source.join("out"), toy.dir.path().to_owned()] {
        let error = toy.convert_to(&target, None).expect_err("refused");
        assert!(error.to_string().contains("source"), "{error}");
    }
    toy.convert().expect("converted");
    let again = Toy { dir: tempfile::tempdir().expect("a folder") };
    for name in ["config.json", "model.safetensors"] {
        again.write(name, &toy.read(name));
    }
    let error = again.convert().expect_err("refused").to_string();
    assert!(error.contains("quantized already"), "{error}");
}
