//! How often a prediction asks for memory: a few times for each part of a batch, however many operations
//! and layers there are.
//!
//! All allocations of this process are counted, on all threads, hence a binary with one test. What a
//! prediction may ask for: the list of the batch's parts and of their results, the vectors that it returns,
//! segments where the model has none; and for each part the integers that models compute, such as offsets,
//! positions and buckets.

use std::alloc::System;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mlxq_checkpoint::recipe::{Format, Recipe};
use mlxq_checkpoint::{Checkpoint, ConvertRequest, Task, convert};
use mlxq_engine::native::{NativeEngine, NativeOptions};
use mlxq_engine::{Batch, Engine};
use serde_json::{Map, Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// For the whole batch, and for each of its parts.
const MOST: [usize; 2] = [4, 9];

const HIDDEN: usize = 64;

/// A BERT of so many layers with numbers of no meaning.
fn bert(folder: &Path, layers: usize) {
    let (inner, vocabulary, positions) = (128, 50, 64);
    let config = json!({
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": HIDDEN,
        "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": inner,
        "vocab_size": vocabulary, "max_position_embeddings": positions,
    });
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let tables = [("word", vocabulary), ("position", positions), ("token_type", 2)];
    for (table, rows) in tables {
        shapes.push((format!("embeddings.{table}_embeddings.weight"), vec![rows, HIDDEN]));
    }
    let mut modules = vec![("embeddings.LayerNorm".to_owned(), vec![HIDDEN])];
    for layer in (0..layers).map(|i| format!("encoder.layer.{i}")) {
        for name in ["self.query", "self.key", "self.value", "output.dense"] {
            modules.push((format!("{layer}.attention.{name}"), vec![HIDDEN, HIDDEN]));
        }
        modules.push((format!("{layer}.attention.output.LayerNorm"), vec![HIDDEN]));
        modules.push((format!("{layer}.intermediate.dense"), vec![inner, HIDDEN]));
        modules.push((format!("{layer}.output.dense"), vec![HIDDEN, inner]));
        modules.push((format!("{layer}.output.LayerNorm"), vec![HIDDEN]));
    }
    for (module, shape) in modules {
        shapes.push((format!("{module}.bias"), shape[..1].to_vec()));
        shapes.push((format!("{module}.weight"), shape));
    }
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    std::fs::write(folder.join("model.safetensors"), safetensors(&shapes)).expect("written");
}

/// An f32 file of tensors of these shapes.
fn safetensors(shapes: &[(String, Vec<usize>)]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in shapes {
        let start = data.len();
        let numbers =
            (0..shape.iter().product()).map(|i: usize| (i * 37 % 101) as f32 / 99.0 - 0.5);
        data.extend(numbers.flat_map(f32::to_le_bytes));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

/// The same model in 8 bits.
fn quantized(source: &Path, target: &Path) {
    let checkpoint = Checkpoint::open(source).expect("a checkpoint");
    let layout = mlxq_models::layout(checkpoint.model_type());
    let format = Format::new("affine", Some(8), Some(64)).expect("a format");
    let task = Task::Quantize(Recipe::uniform(format, None));
    let request = ConvertRequest::new(&checkpoint, layout, target, task);
    convert(request, &mut |_| ControlFlow::Continue(())).expect("converted");
}

/// `rows` rows of 1 to 20 tokens, the last of which is 2.
fn batch(rows: usize) -> Batch {
    let mut batch = Batch::new();
    for row in 0..rows {
        let length = row * 7 % 20 + 1;
        let mut ids: Vec<u32> = (0..length).map(|place| (5 + (place + row) % 30) as u32).collect();
        ids[length - 1] = 2;
        batch.push(&ids, &vec![0; length]);
    }
    batch
}

/// Allocations of a prediction when everything has found its size: the least of some, because which
/// thread takes which work differs from call to call, and each of them has to grow once.
fn allocations(folder: &Path, threads: usize, batch: &Batch) -> usize {
    let options = NativeOptions { threads, ..NativeOptions::default() };
    let mut engine = NativeEngine::open(folder, options).expect("a good folder");
    let mut once = || {
        let region = Region::new(ALLOCATOR);
        engine.predict(batch).expect("good rows");
        let change = region.change();
        change.allocations + change.reallocations
    };
    for _ in 0..3 {
        once();
    }
    (0..10).map(|_| once()).min().expect("some")
}

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/families");
    let entries = std::fs::read_dir(root).expect("the fixtures");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn operations_take_no_memory_from_the_system() {
    let dir = tempfile::tempdir().expect("a folder");
    let [one, four, packed_one, packed_four] =
        ["1", "4", "q1", "q4"].map(|name| dir.path().join(name));
    bert(&one, 1);
    bert(&four, 4);
    quantized(&one, &packed_one);
    quantized(&four, &packed_four);
    // 1, 55 and 1890 tokens; the last are divided into parts of at most 512, as many for each thread.
    for (rows, threads, parts) in [(1, 1, 1), (5, 2, 1), (180, 1, 4), (180, 3, 6)] {
        let batch = batch(rows);
        let most = MOST[0] + parts * MOST[1];
        for [one, four] in [[&one, &four], [&packed_one, &packed_four]] {
            let [few, many] = [one, four].map(|folder| allocations(folder, threads, &batch));
            assert_eq!(few, many, "{rows} rows on {threads} threads: 1 layer and 4");
            assert!(few <= most, "{few} allocations for {rows} rows on {threads} threads");
        }
        for folder in fixtures() {
            let found = allocations(&folder, threads, &batch);
            assert!(found <= most, "{}: {found} allocations for {rows} rows", folder.display());
        }
    }
}
