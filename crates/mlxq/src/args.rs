//! The command line as typed.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use mlxq_engine::native::Activations;
use mlxq_pipeline::{Format, Mixed};

/// Turns HuggingFace models into quantized MLX format and proves what that cost.
///
/// Exit codes: 0 done, every gate passed; 1 a gate failed; 2 usage or configuration; 3 input, data,
/// model or a missing engine; 4 a gate is inconclusive or not measured; 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "mlxq", version)]
pub(crate) struct Arguments {
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Convert checkpoints to MLX folders
    Convert(ConvertArguments),
    /// Show what a folder holds, what is quantized and why, and what that cost in numbers
    Inspect(InspectArguments),
    /// Turn texts into embeddings or labels
    Predict(PredictArguments),
    /// Measure and judge converted models on data sets
    Test(TestArguments),
    /// Convert what is missing, then test
    Run(TestArguments),
    /// Show two runs side by side, with paired statistics
    Compare(CompareArguments),
    /// Serve an engine to another mlxq (used by `test` itself)
    #[command(hide = true)]
    Worker(WorkerArguments),
}

/// How the native engine computes.
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// See `predict`
    #[arg(long, value_name = "BITS", default_value_t, value_parser = activations())]
    pub(crate) activations: Activations,
}

/// What stands below the options of `inspect`.
const INSPECT_HELP: &str = "\
Of an original checkpoint it says what `mlxq convert` without options would do; of a converted folder, \
how far its numbers are from its source's.

Examples:
  mlxq inspect all-MiniLM-L6-v2
  mlxq inspect SmolLM2-mlx-q4 --source SmolLM2 --json";

const CONVERT_HELP: &str = "\
One model by its folder, or the models of configuration files. docs/converting.md tells the rest.

Examples:
  mlxq convert --hf-path all-MiniLM-L6-v2 --mlx-path all-MiniLM-L6-v2-mlx-q8
  mlxq convert --hf-path SmolLM2 --mlx-path out --q-bits 4 --q-override 'lm_head=8'
  mlxq convert --config 'config/*.yaml' --jobs 2 --dry-run";

/// What is converted, and how.
#[derive(Debug, Args)]
#[command(after_help = CONVERT_HELP)]
pub(crate) struct ConvertArguments {
    /// Folder of the checkpoint, or its name in the Hub's cache on this machine
    #[arg(
        long,
        visible_alias = "model-path",
        value_name = "DIR",
        requires = "mlx_path",
        required_unless_present = "config"
    )]
    pub(crate) hf_path: Option<PathBuf>,
    /// Folder to write
    #[arg(long, value_name = "OUT", requires = "hf_path", conflicts_with = "config")]
    pub(crate) mlx_path: Option<PathBuf>,
    /// Branch, tag or commit of a name in the Hub's cache [default: main]
    #[arg(long, value_name = "REV", requires = "hf_path")]
    pub(crate) revision: Option<String>,
    #[command(flatten)]
    pub(crate) quantization: QuantizationArguments,
    /// Turn an MLX folder back into floats that transformers loads
    #[arg(short, long, conflicts_with_all = ["config", "quantize", "q_mode", "q_bits", "q_group_size", "quant_predicate", "q_override"])]
    pub(crate) dequantize: bool,
    /// Convert NaN and infinite weights as MLX does, instead of refusing them
    #[arg(long, requires = "hf_path")]
    pub(crate) allow_non_finite: bool,
    /// Most bytes of one weight file, such as 500MB or 2GiB [default: 5GiB]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "hf_path")]
    pub(crate) max_shard_size: Option<u64>,
    /// Configuration file or glob, instead of --hf-path; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["hf_path", "q_mode", "q_bits", "q_group_size", "dtype", "quant_predicate", "q_override"])]
    pub(crate) config: Vec<String>,
    /// Only the model of that name
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) model: Option<String>,
    /// Where converted models lie
    #[arg(long, value_name = "DIR", default_value = "models/mlx_converted")]
    pub(crate) output_dir: PathBuf,
    /// Models converted at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub(crate) jobs: usize,
    /// Threads to compute with, for all models together [default: the cores of the machine]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
    /// Say what would be written, with sizes, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Convert again what is converted already
    #[arg(long)]
    pub(crate) no_skip: bool,
}

/// How weights are packed; the options of mlx_lm.convert.
#[derive(Debug, Args)]
pub(crate) struct QuantizationArguments {
    /// Quantize, as is done anyway; for command lines of mlx_lm, whose -q only makes this program quiet
    #[arg(long)]
    pub(crate) quantize: bool,
    /// Quantization mode [default: affine]
    #[arg(long, value_name = "MODE", value_parser = Format::MODES)]
    pub(crate) q_mode: Option<String>,
    /// Bits per weight: 2, 3, 4, 5, 6 or 8 [default: 8, or the mode's only one]
    #[arg(long, value_name = "N")]
    pub(crate) q_bits: Option<u32>,
    /// Weights per scale: 32, 64 or 128 [default: 64, or the mode's only one]
    #[arg(long, value_name = "N")]
    pub(crate) q_group_size: Option<usize>,
    /// More bits for the layers that need them most
    #[arg(long, value_name = "NAME", value_parser = Mixed::NAMES)]
    pub(crate) quant_predicate: Option<String>,
    /// Bits of the modules whose path REGEX finds, or none; may be repeated, the last that fits counts
    #[arg(long, value_name = "REGEX=bits[:group[:mode]]|none")]
    pub(crate) q_override: Vec<String>,
    /// Format of everything that is not quantized [default: float16 for encoders in float32, else the
    /// source's]
    #[arg(long, value_name = "DTYPE", value_parser = ["float16", "bfloat16", "float32"])]
    pub(crate) dtype: Option<String>,
}

/// What `inspect` is asked for.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_HELP)]
pub(crate) struct InspectArguments {
    /// Original checkpoint or converted folder
    #[arg(value_name = "MODEL_DIR")]
    pub(crate) model: PathBuf,
    /// Checkpoint to compare with, its folder or its name in the Hub's cache on this machine [default:
    /// the one that a converted folder records, if it is unchanged]
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
    /// Print one JSON document; docs/inspect.md has its keys
    #[arg(long)]
    pub(crate) json: bool,
    /// List every tensor, instead of one line for those that are alike in all layers
    #[arg(long, conflicts_with = "json")]
    pub(crate) tensors: bool,
    /// Threads to compute with [default: the cores of the machine]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
}

const PREDICT_HELP: &str = "\
A line {\"text\": \"..\", \"text_pair\"?: \"..\"} in, a line out, in order:
  of an embedding model    {\"embedding\": [..]}
  of a classifier          {\"logits\": [..], \"label\": \"..\", \"scores\": [..]}
  with candidate labels    {\"sequence\": \"..\", \"labels\": [..], \"scores\": [..]}, best first
docs/predicting.md tells the rest.

Examples:
  echo '{\"text\": \"hello\"}' | mlxq predict all-MiniLM-L6-v2-mlx-q8 --input -
  mlxq predict bart-large-mnli --input mails.jsonl --candidate-labels 'urgent, not urgent'";

/// Which model answers, and to what.
#[derive(Debug, Args)]
#[command(after_help = PREDICT_HELP)]
pub(crate) struct PredictArguments {
    /// Converted folder or original checkpoint
    #[arg(value_name = "MODEL_DIR")]
    pub(crate) model: PathBuf,
    /// File of JSON lines; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// File to write; - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Rows computed at once; with candidate labels a text has one for each
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = positive)]
    pub(crate) batch_size: usize,
    /// Threads to compute with [default: the cores of the machine]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
    /// Bits of the numbers that quantized layers multiply their weights with: 16 are integers, exact to
    /// about 1e-6 in the cosine of two embeddings; 8 are faster and less exact; 32 are float32, the slow
    /// reference
    #[arg(long, value_name = "BITS", default_value_t, value_parser = activations())]
    pub(crate) activations: Activations,
    /// Longest row in tokens [default: the folder's own]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) max_length: Option<usize>,
    #[command(flatten)]
    pub(crate) candidates: CandidateArguments,
}

/// Zero-shot classification: which labels there are, and how they are asked about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Zero-shot classification")]
pub(crate) struct CandidateArguments {
    /// Labels to choose from, separated by commas; the model is one of natural language inference
    #[arg(long, value_name = "A,B,..")]
    pub(crate) candidate_labels: Option<String>,
    /// What a label claims, with {} in its place [default: This example is {}.]
    #[arg(long, value_name = "TEXT", requires = "candidate_labels")]
    pub(crate) hypothesis_template: Option<String>,
    /// Judge each label by itself; else their scores share 1
    #[arg(long, requires = "candidate_labels")]
    pub(crate) multi_label: bool,
    /// Place of the logit that means entailment, from 0 [default: the label called entail..]
    #[arg(long, value_name = "N", requires = "candidate_labels")]
    pub(crate) entailment_id: Option<usize>,
}

const TEST_HELP: &str = "\
Measures the original in PyTorch, the original in mlxq and the converted model, and judges.

Example:
  mlxq run --config models.yaml --config datasets.yaml --python venv/bin/python";

/// What is measured, and how long.
#[derive(Debug, Args)]
#[command(after_help = TEST_HELP)]
pub(crate) struct TestArguments {
    /// Configuration file or glob; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) config: Vec<String>,
    /// Only the model of that name
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Only the data set of that key
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// Instead of data sets: how far converted models are from their originals on the texts of FILE, lines
    /// as `predict` reads them; no labels are needed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dataset", "scenario", "batch_size", "rate",
        "block_pairs", "block_seconds", "reuse_baseline", "fresh"])]
    pub(crate) fidelity: Option<PathBuf>,
    /// Where converted models lie
    #[arg(long, value_name = "DIR", default_value = "models/mlx_converted")]
    pub(crate) output_dir: PathBuf,
    /// Python that has torch and transformers [default: python3 or python on the PATH]
    #[arg(long, value_name = "FILE", env = "MLXQ_PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// Measure without PyTorch
    #[arg(long, conflicts_with = "python")]
    pub(crate) no_torch: bool,
    /// Threads of every engine [default: the cores of the machine]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
    /// Bits of the numbers that quantized layers of the converted model multiply their weights with, as
    /// in `predict`; the verdict names them
    #[arg(long, value_name = "BITS", default_value_t, value_parser = activations())]
    pub(crate) activations: Activations,
    /// At most that many rows of each data set, drawn with its seed
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) max_samples: Option<usize>,
    /// Seed of these draws, in place of each data set's own; also where `sample: head` takes the first rows
    #[arg(long, value_name = "N", conflicts_with = "fidelity")]
    pub(crate) seed: Option<u64>,
    /// How queries come to the engines: one after the other; all at once, in batches; or at random times,
    /// whether or not the engine has answered
    #[arg(long, value_name = "NAME", default_value = "single-stream",
        value_parser = ["single-stream", "offline", "server"])]
    pub(crate) scenario: String,
    /// Queries of a batch, for the scenario `offline` [default: 32]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) batch_size: Option<usize>,
    /// Queries that arrive per second on average, for the scenario `server`
    #[arg(long, value_name = "QPS", required_if_eq("scenario", "server"))]
    pub(crate) rate: Option<f64>,
    /// Pairs of timed blocks, at least 5; the speed gate needs 10
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive)]
    pub(crate) block_pairs: usize,
    /// Seconds that a timed block lasts at least; the speed gate needs 60 s in all
    #[arg(long, value_name = "S", default_value_t = 6.5)]
    pub(crate) block_seconds: f64,
    /// Use earlier predictions and times of PyTorch where nothing has changed; such times are marked
    /// and never pass the speed gate
    #[arg(long)]
    pub(crate) reuse_baseline: bool,
    /// Instead of the original: hold each converted model against itself, in two processes. Nothing may
    /// differ, and the ratio of speeds should be 1: shows what this machine can measure
    #[arg(long, conflicts_with_all = ["fidelity", "reuse_baseline"])]
    pub(crate) against_itself: bool,
    /// Measure again what an earlier run has measured already, with nothing changed since
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Exit with 1 also where a gate is inconclusive or not measured
    #[arg(long)]
    pub(crate) strict: bool,
    /// Say what would be done and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const COMPARE_HELP: &str = "\
The converted models of both runs, data set by data set, over the same rows; what differs is refused. \
docs/records.md tells the rest.

Example:
  mlxq compare mlx_conversion/runs/20261125T101500Z mlx_conversion/runs/20261126T093000Z";

/// Which runs are compared.
#[derive(Debug, Args)]
#[command(after_help = COMPARE_HELP)]
pub(crate) struct CompareArguments {
    /// Folder of a run, or its report.json
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// Folder of another run, or its report.json; differences are B minus A
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// Form of the result
    #[arg(long, value_name = "FORM", default_value = "text", value_parser = ["text", "json"])]
    pub(crate) format: String,
}

/// Numbers of bits, listed in the help.
fn activations() -> impl TypedValueParser<Value = Activations> {
    PossibleValuesParser::new(Activations::BITS).try_map(|bits| bits.parse::<Activations>())
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1_000_000).contains(n))
        .ok_or_else(|| "expected an integer from 1 to 1000000".to_owned())
}

/// A number of bytes with a unit of 1000 or 1024, as people and transformers write it.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("TIB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let upper = text.to_ascii_uppercase();
    let unit = UNITS.iter().find_map(|(name, bytes)| Some((upper.strip_suffix(name)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((&upper, 1));
    let size = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(bytes));
    size.filter(|size| *size > 0)
        .ok_or_else(|| "expected a number of bytes such as 500MB or 2GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("5GiB", 5 << 30), ("500MB", 500_000_000), ("10 kb", 10_000), ("7", 7)]
        {
            assert_eq!(super::size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1MB", "GB", "1.5GB", "99999999999TB"] {
            assert!(super::size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
