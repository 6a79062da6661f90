//! A checkpoint's weight files: one, or the shards that an index names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Safetensors, TorchFile};
use crate::tensor::{TensorBytes, TensorInfo, TensorSource};
use crate::{CheckpointError, json, shown};

/// A file that holds a whole model, and the index of its shards, in the order in which transformers
/// looks for them.
const NAMES: [(&str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
];
/// Endings of files that are taken under any name where they are the only one of the folder.
const LONE: [&[&str]; 2] = [&["safetensors"], &["pt", "pth"]];
/// The files that training leaves, which hold no weights of the model.
const NO_WEIGHTS: [&str; 5] = ["optimizer", "scheduler", "scaler", "rng_state", "training_args"];

/// Opens the weight file at `path` by its ending, and says what is odd in it: one line for each
/// format.
fn open(path: &Path, notes: &mut Vec<String>) -> Result<Box<dyn TensorSource>, CheckpointError> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let (source, found): (Box<dyn TensorSource>, _) = match ending {
        Some("bin" | "pt" | "pth") => {
            let file = TorchFile::open(path)?;
            let found = file.notes().to_vec();
            (Box::new(file), found)
        }
        _ => {
            let file = Safetensors::open(path)?;
            let found = file.notes().to_vec();
            (Box::new(file), found)
        }
    };
    notes.extend(found.into_iter().map(|note| format!("`{}`: {note}", path.display())));
    Ok(source)
}

/// The weight files of the folder `dir`: those that an index names, if all of them exist, else the
/// single file; safetensors before PyTorch's; else the only file of a known format. Files that
/// nothing names are never merged.
///
/// # Errors
/// When there are none, some are missing, or an index names something that is no plain file name.
pub(crate) fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    Ok(Files::find(dir, &mut Vec::new())?.paths)
}

/// The weight files of a folder, and the index if that is what named them.
struct Files {
    paths: Vec<PathBuf>,
    index: Option<Index>,
}

impl Files {
    fn find(dir: &Path, notes: &mut Vec<String>) -> Result<Self, CheckpointError> {
        for (single, index) in NAMES {
            let (single, index) = (dir.join(single), dir.join(index));
            if index.is_file() {
                return Self::of_index(dir, Index::read(&index)?, single, notes);
            }
            if single.is_file() {
                return Ok(Self { paths: vec![single], index: None });
            }
        }
        for endings in LONE {
            match files_with(dir, endings)?.as_slice() {
                [] => {}
                [only] => return Ok(Self { paths: vec![only.clone()], index: None }),
                [first, second, ..] => {
                    let [first, second] = [first, second].map(|path| shown_name(path));
                    let reason = format!(
                        "has several weight files (`{first}`, `{second}` …) and no index of them"
                    );
                    return Err(CheckpointError::file(dir, reason));
                }
            }
        }
        let names: Vec<_> = NAMES.iter().flat_map(|(single, index)| [*single, *index]).collect();
        let reason = format!("has no weight file: none of `{}`", names.join("`, `"));
        Err(CheckpointError::file(dir, reason))
    }

    /// The files of `index`, or `single` where some of them are missing.
    fn of_index(
        dir: &Path,
        index: Index,
        single: PathBuf,
        notes: &mut Vec<String>,
    ) -> Result<Self, CheckpointError> {
        let names: BTreeSet<&str> = index.files.values().map(String::as_str).collect();
        let missing: Vec<&str> =
            names.iter().copied().filter(|name| !dir.join(name).is_file()).collect();
        if !missing.is_empty() {
            let (count, listed) = (missing.len(), missing[..missing.len().min(20)].join("`, `"));
            let reason = format!("names {count} files that are missing: `{listed}`");
            if !single.is_file() {
                return Err(CheckpointError::file(&index.path, reason));
            }
            let (index, file) = (index.path.display(), single.display());
            notes.push(format!("`{index}`: {reason}; `{file}` is read instead"));
            return Ok(Self { paths: vec![single], index: None });
        }
        for name in &names {
            check_inside(dir, name, &index.path)?;
        }
        index.check_count(&names, notes);
        Ok(Self { paths: names.iter().map(|name| dir.join(name)).collect(), index: Some(index) })
    }
}

/// The files of `dir` that end so and may hold weights, sorted.
fn files_with(dir: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(CheckpointError::io(dir))? {
        let path = entry.map_err(CheckpointError::io(dir))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let name = shown_name(&path);
        let is_other = NO_WEIGHTS.iter().any(|start| name.starts_with(start));
        if ending.is_some_and(|ending| endings.contains(&ending)) && !is_other && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn shown_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Refuses a shard that is a link out of the folder, but for the Hub's cache, whose snapshots link to
/// the blobs of the same repository.
fn check_inside(dir: &Path, name: &str, index: &Path) -> Result<(), CheckpointError> {
    let path = dir.join(name);
    let real = path.canonicalize().map_err(CheckpointError::io(&path))?;
    let dir = dir.canonicalize().map_err(CheckpointError::io(dir))?;
    let snapshots = dir.parent().filter(|parent| parent.ends_with("snapshots"));
    let blobs = snapshots.and_then(Path::parent).map(|repository| repository.join("blobs"));
    let folder = real.parent();
    if folder == Some(&dir) || blobs.is_some() && folder == blobs.as_deref() {
        return Ok(());
    }
    let reason = format!("`{name}` is a link out of the model's folder, to `{}`", real.display());
    Err(CheckpointError::file(index, reason))
}

/// An index of shards.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    /// Tensor → file.
    files: BTreeMap<String, String>,
    /// The bytes of all tensors, as it states them.
    total_size: Option<u64>,
}

impl Index {
    fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::parse(path, &json::read_object(path)?)
    }

    /// What `index`, the object of the file `path`, names.
    ///
    /// # Errors
    /// When it names no files, or one that is no plain file name.
    pub(crate) fn parse(path: &Path, index: &Map<String, Value>) -> Result<Self, CheckpointError> {
        let refuse = |reason: String| CheckpointError::file(path, reason);
        let map = index.get("weight_map").and_then(Value::as_object);
        let map = map.ok_or_else(|| refuse("has no object `weight_map`".to_owned()))?;
        if map.is_empty() {
            return Err(refuse("names no tensors".to_owned()));
        }
        let mut files = BTreeMap::new();
        for (tensor, file) in map {
            let name = file.as_str().filter(|name| is_plain(name));
            let name = name.ok_or_else(|| {
                let tensor = shown(tensor);
                let file = shown(&file.to_string());
                refuse(format!("`{tensor}`: {file} is no plain `*.safetensors` or `*.bin` name"))
            })?;
            files.insert(tensor.clone(), name.to_owned());
        }
        let total_size = index.get("metadata").and_then(|metadata| metadata.get("total_size"));
        let total_size = total_size.and_then(Value::as_u64);
        Ok(Self { path: path.to_owned(), files, total_size })
    }

    /// Notes shards whose names say another count: `model-00001-of-00003.safetensors`.
    fn check_count(&self, names: &BTreeSet<&str>, notes: &mut Vec<String>) {
        let stated = |name: &&str| -> Option<usize> {
            let (_, count) = name.rsplit_once("-of-")?;
            count.split('.').next()?.parse().ok()
        };
        let count = names.len();
        if let Some(other) = names.iter().filter_map(stated).find(|stated| *stated != count) {
            let path = self.path.display();
            notes.push(format!("`{path}`: names {count} files, which call themselves {other}"));
        }
    }
}

fn is_plain(name: &str) -> bool {
    let inside = !name.contains(['/', '\\', ':'])
        && !name.contains(char::is_control)
        && !name.starts_with('.');
    inside && [".safetensors", ".bin"].iter().any(|ending| name.ends_with(ending))
}

/// The tensors of all weight files of a folder.
pub(crate) struct Shards {
    files: Vec<Box<dyn TensorSource>>,
    tensors: Vec<TensorInfo>,
    /// Name → place in `tensors` and file that holds it.
    places: HashMap<String, (usize, usize)>,
    notes: Vec<String>,
}

impl Shards {
    /// Opens the weight files of `dir`.
    ///
    /// # Errors
    /// When one cannot be read, or the index and the files disagree.
    pub(crate) fn open(dir: &Path) -> Result<Self, CheckpointError> {
        let mut shards = Self {
            files: Vec::new(),
            tensors: Vec::new(),
            places: HashMap::new(),
            notes: Vec::new(),
        };
        let Files { paths, index } = Files::find(dir, &mut shards.notes)?;
        for path in &paths {
            shards.add(path)?;
        }
        if let Some(index) = index {
            shards.check_index(&index, &paths)?;
        }
        Ok(shards)
    }

    /// What is odd but harmless, for warnings.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    fn add(&mut self, path: &Path) -> Result<(), CheckpointError> {
        let file = open(path, &mut self.notes)?;
        for info in file.tensors() {
            let place = (self.tensors.len(), self.files.len());
            if self.places.insert(info.name.clone(), place).is_some() {
                let name = shown(&info.name);
                return Err(CheckpointError::file(
                    path,
                    format!("tensor `{name}` is in two shards"),
                ));
            }
            self.tensors.push(info.clone());
        }
        self.files.push(file);
        Ok(())
    }

    /// Every tensor of the index is in the shard it names, and every tensor of a shard in the index.
    fn check_index(&mut self, index: &Index, paths: &[PathBuf]) -> Result<(), CheckpointError> {
        let refuse = |name: &str, reason: &str| {
            let name = shown(name);
            Err(CheckpointError::file(&index.path, format!("tensor `{name}` {reason}")))
        };
        for (name, file) in &index.files {
            match self.places.get(name) {
                Some((_, shard)) if paths[*shard].ends_with(file) => {}
                _ => return refuse(name, &format!("is not in `{file}`")),
            }
        }
        match self.tensors.iter().find(|info| !index.files.contains_key(&info.name)) {
            Some(extra) => refuse(&extra.name, "is in a shard but not in the index"),
            None => self.check_total(index),
        }
    }

    /// The stated size is wrong in many published folders, but not ten times too large or small.
    fn check_total(&mut self, index: &Index) -> Result<(), CheckpointError> {
        let found: u64 = self.tensors.iter().map(|info| info.bytes() as u64).sum();
        let Some(stated) = index.total_size.filter(|stated| *stated != found) else {
            return Ok(());
        };
        let reason = format!("`total_size` is {stated}, the tensors have {found} bytes");
        if stated / 10 > found || found / 10 > stated {
            return Err(CheckpointError::file(&index.path, reason));
        }
        self.notes.push(format!("`{}`: {reason}", index.path.display()));
        Ok(())
    }
}

impl TensorSource for Shards {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.places.get(name).map(|(place, _)| &self.tensors[*place])
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let (_, file) =
            self.places.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        self.files[*file].read_part(name, part, buffer)
    }

    fn bytes(&self, name: &str, part: Range<usize>) -> Result<TensorBytes, CheckpointError> {
        let (_, file) =
            self.places.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        self.files[*file].bytes(name, part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and its tensors.
    type File<'a> = (&'a str, &'a [&'a str]);

    /// A folder with tensors of four bytes in the files, and that index.
    fn folder(files: &[File], index: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for (file, tensors) in files {
            let entry = |(i, name): (usize, &&str)| {
                let (start, end) = (4 * i, 4 * i + 4);
                format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#)
            };
            let entries: Vec<_> = tensors.iter().enumerate().map(entry).collect();
            let header = format!("{{{}}}", entries.join(","));
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header.as_bytes());
            bytes.resize(bytes.len() + 4 * tensors.len(), 0);
            std::fs::write(dir.path().join(file), bytes).expect("written");
        }
        if let Some(index) = index {
            std::fs::write(dir.path().join(NAMES[0].1), index).expect("written");
        }
        dir
    }

    fn open(files: &[File], index: Option<&str>) -> Result<Vec<String>, String> {
        let dir = folder(files, index);
        let shards = Shards::open(dir.path()).map_err(|error| error.to_string())?;
        Ok(shards.tensors().iter().map(|info| info.name.clone()).collect())
    }

    #[test]
    fn an_index_may_name_any_files() {
        let index = r#"{"metadata":{"total_size":9},"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}"#;
        let files: [File; 3] = [
            ("y.safetensors", &["b"]),
            ("x.safetensors", &["a"]),
            ("model.safetensors", &["stray"]),
        ];
        assert_eq!(open(&files, Some(index)).expect("good"), ["a", "b"]);
        assert_eq!(open(&files[2..], Some(index)).expect("the single file"), ["stray"]);
        assert_eq!(open(&files[2..], None).expect("the single file"), ["stray"]);
    }

    #[test]
    fn strays_are_never_merged() {
        let stray: File = ("consolidated.safetensors", &["stray"]);
        let model: File = ("model.safetensors", &["a"]);
        assert_eq!(open(&[model, stray], None).expect("the model"), ["a"]);
        assert_eq!(open(&[stray], None).expect("the only file"), ["stray"]);
        let training: File = ("optimizer.safetensors", &["b"]);
        assert_eq!(open(&[stray, training], None).expect("the only one with weights"), ["stray"]);
        let error = open(&[stray, ("x.safetensors", &["b"])], None).expect_err("which");
        assert!(error.contains("consolidated.safetensors") && error.contains("x.safetensors"));
    }

    #[test]
    fn odd_but_harmless_things_are_noted() {
        let names = ["x-00001-of-00003.safetensors", "x-00002-of-00003.safetensors"];
        let index = format!(
            r#"{{"metadata":{{"total_size":9}},"weight_map":{{"a":"{}","b":"{}"}}}}"#,
            names[0], names[1]
        );
        let dir = folder(&[(names[0], &["a"]), (names[1], &["b"])], Some(&index));
        let notes = Shards::open(dir.path()).expect("good").notes().join("\n");
        assert!(
            notes.contains("call themselves 3") && notes.contains("`total_size` is 9"),
            "{notes}"
        );
    }

    /// The column of rules of the project's list of bad inputs, part 2.
    #[test]
    fn an_index_that_lies_is_refused() {
        let x: [File; 1] = [("x.safetensors", &["a"])];
        let two: [File; 2] = [x[0], ("y.safetensors", &["a", "b"])];
        let single: [File; 1] = [("model.safetensors", &["a"])];
        let cases: [(&[File], &str, &str); 11] = [
            (&x, r#"{"weight_map":{"a":"x.safetensors","b":"z.safetensors"}}"#, "missing: `z"),
            (&x, r#"{"weight_map":{"a":"../x.safetensors"}}"#, "no plain"),
            (&x, r#"{"weight_map":{"a":"C:x.safetensors"}}"#, "no plain"),
            (&x, r#"{"weight_map":{"a":1}}"#, "no plain"),
            (&x, r#"{"weight_map":{"a":"x.safetensors","b":"x.safetensors"}}"#, "`b` is not in"),
            (&single, r#"{"weight_map":{"b":"model.safetensors"}}"#, "`b` is not in"),
            (&two, r#"{"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}"#, "in two shards"),
            (&two[1..], r#"{"weight_map":{"a":"y.safetensors"}}"#, "`b` is in a shard"),
            (&x, r#"{"metadata":{"total_size":80},"weight_map":{"a":"x.safetensors"}}"#, "80"),
            (&x, r#"{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}"#, "stands twice"),
            (&x, r#"{"weight_map":{}}"#, "names no tensors"),
        ];
        for (files, index, word) in cases {
            let error = open(files, Some(index)).expect_err(word);
            assert!(error.contains(word) && error.contains("safetensors"), "{word}: {error}");
        }
        assert!(open(&[], None).expect_err("empty").contains("has no weight file"));
    }
}
