//! Configuration files read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use mlxq_checkpoint::recipe::Recipe;
use mlxq_hub::Source;
use serde_saphyr::Spanned;

use super::dataset::PRESETS;
use super::gates::{self, GateKeys};
use super::{Choice, Config, DatasetConfig, ModelConfig, Place, Task, file};
use crate::PipelineError;

/// What messages call the file of presets.
const PRESETS_NAME: &str = "presets of mlxq";
/// Beside the first configuration file: what the data sets held when they were first used.
const LOCK_NAME: &str = "mlxq-data.lock";
/// The largest configuration file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Reads the files that `patterns` name: paths, or globs (`*`, `?`) in the last part of a path.
///
/// # Errors
/// When a file is missing or wrong, a pattern matches nothing, or names contradict each other.
pub fn load(patterns: &[String]) -> Result<Config, PipelineError> {
    let mut files = Vec::new();
    for pattern in patterns {
        for path in expand(pattern)? {
            files.push((path.clone(), read(&path)?));
        }
    }
    parse(&files)
}

/// Checks configuration files given as paths and texts, in order.
///
/// # Errors
/// As [`load`].
pub fn parse(files: &[(PathBuf, String)]) -> Result<Config, PipelineError> {
    let mut config = Config::default();
    let mut read = Vec::new();
    let mut gates = GateKeys::default();
    let presets = Reader { path: Path::new(PRESETS_NAME) };
    presets.add(presets.parse(PRESETS)?, &gates, &mut config)?;
    for (path, text) in files {
        let reader = Reader { path };
        let file = reader.parse(text)?;
        // The gates for all models are those of all files; of two the later wins.
        if let Some(keys) = &file.gates {
            keys.value.check().map_err(|reason| reader.refuse(Some(line_of(keys)), reason))?;
            gates = keys.value.over(&gates);
        }
        read.push((reader, file));
    }
    for (reader, file) in read {
        reader.add(file, &gates, &mut config)?;
    }
    if config.datasets.values().any(|dataset| dataset.place.file != Path::new(PRESETS_NAME)) {
        config.check_benchmarks()?;
    }
    check_names(&config)?;
    if let Some((first, _)) = files.first() {
        let lock = first.with_file_name(LOCK_NAME);
        config.datasets.values_mut().for_each(|dataset| dataset.lock = Some(lock.clone()));
    }
    let mirror = config.mirror.clone();
    config.use_mirror(mirror);
    Ok(config)
}

fn expand(pattern: &str) -> Result<Vec<PathBuf>, PipelineError> {
    let path = PathBuf::from(pattern);
    if !pattern.contains(['*', '?']) {
        return Ok(vec![path]);
    }
    let nothing = |why: &str| PipelineError::Usage(format!("`{pattern}`: {why}"));
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| nothing(&error.to_string()))?.compile_matcher();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).map_err(PipelineError::io(folder))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| glob.is_match(path.strip_prefix("./").unwrap_or(path)))
        .collect();
    found.sort();
    if found.is_empty() { Err(nothing("no file matches")) } else { Ok(found) }
}

fn read(path: &Path) -> Result<String, PipelineError> {
    let refuse = |reason: &str| PipelineError::Config {
        file: path.into(),
        line: None,
        reason: reason.into(),
    };
    let metadata = std::fs::metadata(path).map_err(|error| refuse(&error.to_string()))?;
    if !metadata.is_file() || metadata.len() > FILE_LIMIT {
        return Err(refuse("is no regular file of at most 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(&error.to_string()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Model names stand once.
fn check_names(config: &Config) -> Result<(), PipelineError> {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for model in &config.models {
        if let Some(other) = seen.insert(&model.name, &model.place) {
            let at = format!("`{}` line {}", other.file.display(), other.line);
            return Err(refuse(model, format!("model `{}` is named in {at} already", model.name)));
        }
    }
    Ok(())
}

impl Config {
    /// Checks that all benchmarks are data sets. [`load`] does it where the files have data sets: a file
    /// of models alone is complete for a conversion, but not for a test.
    ///
    /// # Errors
    /// When one is not.
    pub fn check_benchmarks(&self) -> Result<(), PipelineError> {
        let missing = |key: &&String| !self.datasets.contains_key(*key);
        for model in &self.models {
            if let Some(key) = model.benchmarks.iter().find(missing) {
                let known: Vec<_> = self.datasets.keys().map(String::as_str).collect();
                let near = nearest(key, &known);
                let what = format!("benchmark `{key}` is no data set of these files and no preset");
                return Err(refuse(model, format!("{what}{near}")));
            }
        }
        Ok(())
    }
}

fn refuse(model: &ModelConfig, reason: String) -> PipelineError {
    let Place { file, line } = &model.place;
    PipelineError::Config { file: file.clone(), line: Some(*line), reason }
}

/// `; did you mean …?`, if something is near.
fn nearest(word: &str, known: &[&str]) -> String {
    let near = known.iter().map(|other| (strsim::damerau_levenshtein(word, other), other));
    match near.min() {
        Some((distance, other)) if distance <= 1 + other.len() / 3 => {
            format!("; did you mean `{other}`?")
        }
        _ => String::new(),
    }
}

/// One file.
struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn refuse(&self, line: Option<u64>, reason: impl Into<String>) -> PipelineError {
        PipelineError::Config { file: self.path.to_owned(), line, reason: reason.into() }
    }

    fn place(&self, line: u64) -> Place {
        Place { file: self.path.to_owned(), line }
    }

    fn parse(&self, text: &str) -> Result<file::File, PipelineError> {
        if let Some(line) = tagged_line(text) {
            return Err(self.refuse(Some(line), "tags (`!…`) are not used here; quote the text"));
        }
        serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map(|location| location.line());
            self.refuse(line, explain(&error.without_snippet().to_string()))
        })
    }

    fn add(
        &self,
        file: file::File,
        gates: &GateKeys,
        config: &mut Config,
    ) -> Result<(), PipelineError> {
        let ignored = [
            ("huggingface_cache", &file.huggingface_cache),
            ("cache_dir", &file.cache_dir),
            ("text_models", &file.text_models),
            ("vision_models", &file.vision_models),
            ("audio_models", &file.audio_models),
            ("multimodal_models", &file.multimodal_models),
            ("phi-2", &file.phi_2),
        ];
        for (key, value) in ignored {
            if let Some(value) = value {
                let at = format!("`{}` line {}", self.path.display(), line_of(value));
                config.warnings.push(format!("{at}: `{key}` has no effect"));
            }
        }
        if let Some(mirror) = file.mirror {
            config.mirror = Some(self.relative(&mirror));
        }
        for model in file.models {
            config.models.push(self.model(model, gates)?);
        }
        for (key, dataset) in file.datasets {
            let line = line_of(&dataset);
            let dataset = DatasetConfig::read(&key, dataset.value, self.place(line));
            let refuse = |reason| self.refuse(Some(line), format!("data set `{key}`: {reason}"));
            config.datasets.insert(key.clone(), dataset.map_err(refuse)?);
        }
        Ok(())
    }

    /// A model; `all` are the gates for all models.
    fn model(&self, model: file::Model, all: &GateKeys) -> Result<ModelConfig, PipelineError> {
        let line = line_of(&model.name);
        let refuse = |reason: String| self.refuse(Some(line), reason);
        let file::Name(name) = model.name.value;
        if name.trim().is_empty() {
            return Err(refuse("a model's name is empty".to_owned()));
        }
        let source = match (&model.path, &model.hf_name) {
            (Some(path), _) => Source::Folder(self.relative(path)),
            (None, Some(hf_name)) => Source::Hub(hf_name.clone()),
            (None, None) => {
                return Err(refuse(format!("model `{name}` has neither `hf_name` nor `path`")));
            }
        };
        let task_line = line_of(&model.task);
        let task = Task::from_name(&model.task.value)
            .map_err(|reason| self.refuse(Some(task_line), reason))?;
        let quantization_line = model.quantization.as_ref().map_or(line, line_of);
        let quantization = model.quantization.map(|spanned| spanned.value).unwrap_or_default();
        let gates_line = model.gates.as_ref().map_or(quantization_line, line_of);
        let keys = model.gates.map(|spanned| spanned.value).unwrap_or_default();
        let recipe = recipe_of(&quantization)
            .map_err(|reason| self.refuse(Some(quantization_line), reason))?;
        let gates = gates::gates(&keys, &quantization, all)
            .map_err(|reason| self.refuse(Some(gates_line), reason))?;
        Ok(ModelConfig {
            name,
            hf_name: model.hf_name,
            source,
            task,
            recipe,
            gates,
            benchmarks: model.benchmarks.into_iter().map(|spanned| spanned.value).collect(),
            place: self.place(line),
        })
    }

    /// Paths are relative to the file that names them.
    fn relative(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

fn recipe_of(quantization: &file::Quantization) -> Result<Recipe, String> {
    let choice = Choice {
        mode: quantization.mode.clone(),
        bits: quantization.bits,
        group_size: quantization.group_size,
        // The original's presets say int8, which names the codes and not the rest.
        dtype: quantization.dtype.clone().filter(|name| name != "int8"),
        quant_predicate: quantization.quant_predicate.clone(),
        overrides: quantization.overrides.clone(),
        ..Choice::default()
    };
    choice.recipe()
}

fn line_of<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

/// The first line with a YAML tag, which the parser would pass over: a word outside quotes that begins
/// with `!`.
fn tagged_line(text: &str) -> Option<u64> {
    let is_tagged = |line: &str| {
        let (mut quote, mut before) = (None, ' ');
        for letter in line.chars() {
            let at_start = " \t[{,".contains(before);
            match (quote, letter) {
                (None, '#') if at_start => return false,
                (None, '!') if at_start => return true,
                (None, '"' | '\'') if at_start || before == letter => quote = Some(letter),
                (Some(open), letter) if open == letter => quote = None,
                _ => {}
            }
            before = letter;
        }
        false
    };
    text.lines().zip(1..).find(|(line, _)| is_tagged(line)).map(|(_, number)| number)
}

/// The parser's message in one line without its place, which is said already, and with the nearest
/// known key where one is unknown.
fn explain(message: &str) -> String {
    let line = message.lines().next().unwrap_or(message);
    let line = line.rsplit_once(" at line ").map_or(line, |(start, _)| start);
    let unknown = line.split('`').nth(1).filter(|_| line.starts_with("unknown field"));
    match (unknown, line.split_once("expected one of ")) {
        (Some(unknown), Some((_, known))) => {
            let known: Vec<&str> = known.split(", ").collect();
            format!("{line}{}", nearest(unknown, &known))
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mlxq_eval::data::ColumnRef;

    use super::*;
    use crate::config::DatasetFiles;

    const MODEL: &str = "models:\n  - name: m\n    path: ../m\n    task: semantic-similarity\n    benchmarks: [d]\n";
    const DATA: &str = "datasets:\n  d:\n    provider: local\n    path: d.tsv\n    columns: {text: 5, text_pair: b, score: 4}\n";

    fn read(text: &str) -> Result<Config, String> {
        parse(&[("dir/x.yaml".into(), text.to_owned())]).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = read(&format!("{MODEL}{DATA}")).expect("good");
        assert_eq!(config.models[0].source, Source::Folder("dir/../m".into()));
        let files = config.datasets["d"].files(None, None).expect("files");
        let DatasetFiles::Rows(spec) = files else { panic!("rows are wanted") };
        assert_eq!(spec.path, Path::new("dir/d.tsv"));
        assert_eq!(spec.columns.text, ColumnRef::Index(5).into());
        assert_eq!(config.datasets["d"].lock.as_deref(), Some(Path::new("dir/mlxq-data.lock")));
        assert_eq!(config.models[0].gates.min_speedup, 1.2);
    }

    #[test]
    fn the_originals_files_are_read() {
        let text = "version: 1\nhuggingface_cache: x\nmodels:\n  - name: m\n    hf_name: a/b\n    task: semantic-similarity\n    quantization: {bits: 8, dtype: int8, target_size_mb: 40, max_accuracy_drop: 1e-2}\ntext_models:\n  - {name: a, path: b}\n";
        let config = read(text).expect("good");
        assert_eq!(config.models[0].gates.max_accuracy_drop, Some(0.01));
        assert_eq!(config.warnings.len(), 2);
        assert!(config.warnings[1].contains("line 9"), "{:?}", config.warnings);
    }

    #[test]
    fn exclamation_marks_in_texts_are_no_tags() {
        assert_eq!(tagged_line("a: \"x !y\" # !z\nb: 'it''s !'\nc: wow! !x\n"), Some(3));
        assert_eq!(tagged_line("a: wow!\n- don't\n# !x\n"), None);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, line, word) in [
            (MODEL.replace("task", "tsak"), 4, "did you mean `task`?"),
            (MODEL.replace("semantic-similarity", "cooking"), 4, "cooking"),
            (format!("{MODEL}    name: n\n"), 6, "name"),
            (format!("{MODEL}{}", DATA.replace("  d:", "  e:")), 2, "benchmark `d`"),
            (format!("{MODEL}    quantization: {{bits: 7}}\n"), 6, "7 bits"),
            (format!("{MODEL}    quantization: {{bits: \"x\"}}\n"), 6, ""),
            (format!("{MODEL}    quantization: {{max_accuracy_drop: .nan}}\n"), 6, "NaN"),
            (format!("{MODEL}\tx: 1\n"), 6, ""),
            (MODEL.replace("../m", "!!python/name:os ../m"), 3, "tags"),
            (MODEL.replace("name: m", "name: 1e3"), 2, "quote"),
            (DATA.replace("local", "lokal"), 3, "lokal"),
            (DATA.replace(", score: 4", ""), 3, "label"),
            (format!("{MODEL}  - name: m\n    path: x\n    task: nli\n"), 6, "already"),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.starts_with(&format!("`dir/x.yaml` line {line}: ")), "{line} {error}");
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
