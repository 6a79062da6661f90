//! A llama of random weights, made by the test: large enough that its conversion can be disturbed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Work;

/// Pseudorandom numbers: splitmix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to 1, 1 excluded.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// BF16 numbers of both signs, from 1/8 to 1/4 in size.
    fn bf16(&mut self, count: usize) -> Vec<u8> {
        let four = |word: u64| (word & 0x807f_807f_807f_807f) | 0x3e00_3e00_3e00_3e00;
        (0..count / 4).flat_map(|_| four(self.next()).to_le_bytes()).collect()
    }
}

const LAYERS: usize = 4;
const HIDDEN: usize = 512;
const VOCABULARY: usize = 4096;

/// Writes the checkpoint, 25 MB: the embedding in F32, the rest in BF16.
pub(crate) fn write(work: &Work, name: &str) {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS, "num_attention_heads": 8, "num_key_value_heads": 4,
        "intermediate_size": 2 * HIDDEN, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 512, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    });
    work.write(&format!("{name}/config.json"), config.to_string());
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        for (part, shape) in [
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.k_proj", vec![HIDDEN / 2, HIDDEN]),
            ("self_attn.v_proj", vec![HIDDEN / 2, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
            ("mlp.gate_proj", vec![2 * HIDDEN, HIDDEN]),
            ("mlp.up_proj", vec![2 * HIDDEN, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, 2 * HIDDEN]),
        ] {
            shapes.push((format!("model.layers.{layer}.{part}.weight"), shape));
        }
    }
    let (mut random, mut header, mut data) = (Random(1), serde_json::Map::new(), Vec::new());
    for (name, shape) in shapes {
        let (start, count) = (data.len(), shape.iter().product());
        let bytes = random.bf16(count);
        let dtype = if name.contains("embed") {
            // The upper half of an F32 is a BF16.
            data.extend(bytes.chunks_exact(2).flat_map(|half| [0, 0, half[0], half[1]]));
            "F32"
        } else {
            data.extend(bytes);
            "BF16"
        };
        let offsets = [start, data.len()];
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert(name, entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    let file = [&length, header.as_bytes(), &data].concat();
    work.write(&format!("{name}/model.safetensors"), file);
}

/// A conversion at work.
pub(crate) struct Running(Child);

impl Running {
    /// Starts the program in the folder of the test.
    pub(crate) fn start(work: &Work, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_mlxq"))
            .args(arguments)
            .current_dir(work.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("the program starts"))
    }

    /// Waits until the journal at `path` has `lines` lines; whether it got there before the end.
    pub(crate) fn has_noted(&mut self, path: &Path, lines: usize) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        while journal(path).len() < lines {
            assert!(Instant::now() < deadline, "no {lines} lines in {}", path.display());
            if self.0.try_wait().expect("a state").is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        true
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Kills it, if it still runs; its exit code, `None` if it was killed.
    pub(crate) fn kill(mut self) -> Option<i32> {
        self.0.kill().expect("killed or ended");
        self.0.wait().expect("an end").code()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end; code and standard error.
    pub(crate) fn end(self) -> crate::Done {
        let output = self.0.wait_with_output().expect("an end");
        crate::Done {
            code: output.status.code().expect("no signal"),
            stdout: String::new(),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// The whole lines of a conversion's journal; none where there is no file.
pub(crate) fn journal(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

/// Every file of a folder with its bytes, but for the metadata, which hold times.
pub(crate) fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name != "conversion_metadata.json")
        .map(|(name, path)| (name, std::fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

/// Whether two folders hold the same; a name rather than 25 MB where they don't.
pub(crate) fn same(ours: &[(String, Vec<u8>)], theirs: &[(String, Vec<u8>)]) {
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(ours), names(theirs));
    for ((name, a), (_, b)) in ours.iter().zip(theirs) {
        assert!(a == b, "{name} differs");
    }
}
