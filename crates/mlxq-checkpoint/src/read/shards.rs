//! A checkpoint's weight files: one, or the shards that an index names.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Safetensors;
use crate::tensor::{TensorInfo, TensorSource};
use crate::{CheckpointError, json};

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// The weight files of the folder `dir`: those that the index names, if all of them exist, else the
/// single file.
///
/// # Errors
/// When there are none, some are missing, or the index names something that is no plain file name.
pub(crate) fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    Ok(Files::find(dir)?.paths)
}

/// The weight files of a folder, and the index if that is what named them.
struct Files {
    paths: Vec<PathBuf>,
    index: Option<Index>,
}

impl Files {
    fn find(dir: &Path) -> Result<Self, CheckpointError> {
        let single = dir.join(SINGLE);
        let path = dir.join(INDEX);
        let alone = |single| Ok(Self { paths: vec![single], index: None });
        if !path.is_file() {
            return if single.is_file() { alone(single) } else { Err(no_weights(dir)) };
        }
        let index = Index::read(path)?;
        let names: BTreeSet<&String> = index.files.values().collect();
        let missing: Vec<_> =
            names.iter().filter(|name| !dir.join(name).is_file()).map(|s| s.as_str()).collect();
        if !missing.is_empty() {
            let listed = missing.join("`, `");
            let reason = format!("names files that are missing: `{listed}`");
            let failed = CheckpointError::file(&index.path, reason);
            return if single.is_file() { alone(single) } else { Err(failed) };
        }
        Ok(Self { paths: names.iter().map(|name| dir.join(name)).collect(), index: Some(index) })
    }
}

/// A `model.safetensors.index.json`.
struct Index {
    path: PathBuf,
    /// Tensor → file.
    files: HashMap<String, String>,
    /// The bytes of all tensors, as it states them.
    total_size: Option<u64>,
}

impl Index {
    fn read(path: PathBuf) -> Result<Self, CheckpointError> {
        let refuse = |reason: String| CheckpointError::file(&path, reason);
        let index = json::read_object(&path)?;
        let map = index.get("weight_map").and_then(Value::as_object);
        let map = map.ok_or_else(|| refuse("has no object `weight_map`".to_owned()))?;
        if map.is_empty() {
            return Err(refuse("names no tensors".to_owned()));
        }
        let mut files = HashMap::with_capacity(map.len());
        for (tensor, file) in map {
            let name = file.as_str().filter(|name| is_plain(name));
            let name = name.ok_or_else(|| {
                let tensor = tensor.escape_debug();
                refuse(format!("`{tensor}`: {file} is no plain `*.safetensors` name"))
            })?;
            files.insert(tensor.clone(), name.to_owned());
        }
        let total_size = index.get("metadata").and_then(|metadata| metadata.get("total_size"));
        let total_size = total_size.and_then(Value::as_u64);
        Ok(Self { path, files, total_size })
    }
}

fn is_plain(name: &str) -> bool {
    let inside = !name.contains(['/', '\\', ':', '\0']) && !name.starts_with('.');
    inside && name.ends_with(".safetensors")
}

fn no_weights(dir: &Path) -> CheckpointError {
    let torch = dir.join("pytorch_model.bin").is_file();
    let hint =
        if torch { "; `pytorch_model.bin` is not read yet: save it as safetensors" } else { "" };
    CheckpointError::file(dir, format!("has neither `{SINGLE}` nor `{INDEX}`{hint}"))
}

/// The tensors of all weight files of a folder.
pub(crate) struct Shards {
    files: Vec<Safetensors>,
    tensors: Vec<TensorInfo>,
    /// Name → place in `tensors` and file that holds it.
    places: HashMap<String, (usize, usize)>,
}

impl Shards {
    /// Opens the weight files of `dir`.
    ///
    /// # Errors
    /// When one cannot be read, or the index and the files disagree.
    pub(crate) fn open(dir: &Path) -> Result<Self, CheckpointError> {
        let Files { paths, index } = Files::find(dir)?;
        let mut shards = Self { files: Vec::new(), tensors: Vec::new(), places: HashMap::new() };
        for path in &paths {
            shards.add(path)?;
        }
        if let Some(index) = index {
            shards.check_index(&index, &paths)?;
        }
        Ok(shards)
    }

    fn add(&mut self, path: &Path) -> Result<(), CheckpointError> {
        let file = Safetensors::open(path)?;
        for info in file.tensors() {
            let place = (self.tensors.len(), self.files.len());
            if self.places.insert(info.name.clone(), place).is_some() {
                let name = info.name.escape_debug();
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
    fn check_index(&self, index: &Index, paths: &[PathBuf]) -> Result<(), CheckpointError> {
        let refuse = |name: &str, reason: &str| {
            let name = name.escape_debug();
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
    fn check_total(&self, index: &Index) -> Result<(), CheckpointError> {
        let found: u64 = self.tensors.iter().map(|info| info.bytes() as u64).sum();
        match index.total_size {
            Some(stated) if stated / 10 > found || found / 10 > stated => {
                let reason = format!("`total_size` is {stated}, the tensors have {found} bytes");
                Err(CheckpointError::file(&index.path, reason))
            }
            _ => Ok(()),
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and its tensors.
    type File<'a> = (&'a str, &'a [&'a str]);

    /// A folder with tensors of four bytes in the files, and that index.
    fn open(files: &[File], index: Option<&str>) -> Result<Vec<String>, String> {
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
            std::fs::write(dir.path().join(INDEX), index).expect("written");
        }
        let shards = Shards::open(dir.path()).map_err(|error| error.to_string())?;
        Ok(shards.tensors().iter().map(|info| info.name.clone()).collect())
    }

    #[test]
    fn an_index_may_name_any_files() {
        let index = r#"{"metadata":{"total_size":9},"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}"#;
        let files: [File; 3] =
            [("y.safetensors", &["b"]), ("x.safetensors", &["a"]), (SINGLE, &["stray"])];
        assert_eq!(open(&files, Some(index)).expect("good"), ["a", "b"]);
        assert_eq!(open(&files[2..], Some(index)).expect("the single file"), ["stray"]);
        assert_eq!(open(&files[2..], None).expect("the single file"), ["stray"]);
    }

    /// The column of rules of the project's list of bad inputs, part 2.
    #[test]
    fn an_index_that_lies_is_refused() {
        let x: [File; 1] = [("x.safetensors", &["a"])];
        let two: [File; 2] = [x[0], ("y.safetensors", &["a", "b"])];
        let single: [File; 1] = [(SINGLE, &["a"])];
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
        assert!(open(&[], None).expect_err("empty").contains("neither"));
    }
}
