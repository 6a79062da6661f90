//! Safetensors files whose sizes are known before their content.
//!
//! The header is padded to a multiple of 8 and the data lies in the order of the names, without holes.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::CheckpointError;
use crate::positioned::{read_at, write_at};
use crate::tensor::TensorInfo;

/// The most tensor bytes of one file unless the user says otherwise: 5 GiB, as all MLX converters have
/// it.
pub const SHARD_BYTES: u64 = 5 << 30;

/// The tensors of one file, sorted by name, and the file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SingleFile {
    pub(crate) name: String,
    pub(crate) tensors: Vec<TensorInfo>,
}

impl SingleFile {
    /// The size of the file, header and data.
    pub(crate) fn bytes(&self) -> u64 {
        let data: u64 = self.tensors.iter().map(|info| info.bytes() as u64).sum();
        header(&self.tensors).len() as u64 + data
    }
}

/// Distributes `tensors`, given in an order that keeps what belongs together, over as few files as
/// hold `limit` bytes of tensors each; a larger tensor gets a file of its own.
pub(crate) fn shards(tensors: Vec<TensorInfo>, limit: u64) -> Vec<SingleFile> {
    let mut groups: Vec<(u64, Vec<TensorInfo>)> = vec![(0, Vec::new())];
    for info in tensors {
        let bytes = info.bytes() as u64;
        if groups.last().is_some_and(|(held, list)| !list.is_empty() && held + bytes > limit) {
            groups.push((0, Vec::new()));
        }
        if let Some((held, list)) = groups.last_mut() {
            *held += bytes;
            list.push(info);
        }
    }
    let count = groups.len();
    let name = |place: usize| match count {
        1 => "model.safetensors".to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", place + 1),
    };
    let file = |(place, (_, mut tensors)): (usize, (u64, Vec<TensorInfo>))| {
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        SingleFile { name: name(place), tensors }
    };
    groups.into_iter().enumerate().map(file).collect()
}

/// Writes one file, its parts in any order and from any thread.
pub(crate) struct ShardWriter {
    file: File,
    path: PathBuf,
    /// Name and offset in the file of every tensor.
    offsets: Vec<(String, u64)>,
}

impl ShardWriter {
    /// Opens the file in `dir`, new or left by an earlier attempt, and writes its header.
    pub(crate) fn create(dir: &Path, shard: &SingleFile) -> Result<Self, CheckpointError> {
        let path = dir.join(&shard.name);
        let header = header(&shard.tensors);
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(CheckpointError::io(&path))?;
        file.set_len(shard.bytes()).map_err(CheckpointError::io(&path))?;
        write_at(&file, &header, 0).map_err(CheckpointError::io(&path))?;
        let mut offset = header.len() as u64;
        let place = |info: &TensorInfo| {
            let place = (info.name.clone(), offset);
            offset += info.bytes() as u64;
            place
        };
        let offsets = shard.tensors.iter().map(place).collect();
        Ok(Self { file, path, offsets })
    }

    /// Name and offset in the file of every tensor.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (&str, u64)> {
        self.offsets.iter().map(|(name, offset)| (name.as_str(), *offset))
    }

    /// Writes `bytes` at `offset`.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), CheckpointError> {
        write_at(&self.file, bytes, offset).map_err(CheckpointError::io(&self.path))
    }

    /// Reads the `bytes` at `offset`.
    pub(crate) fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, CheckpointError> {
        let mut buffer = vec![0; bytes];
        read_at(&self.file, &mut buffer, offset).map_err(CheckpointError::io(&self.path))?;
        Ok(buffer)
    }

    /// Flushes everything to the disk.
    pub(crate) fn sync(&self) -> Result<(), CheckpointError> {
        self.file.sync_all().map_err(CheckpointError::io(&self.path))
    }
}

/// The header of tensors sorted by name, its length first.
fn header(tensors: &[TensorInfo]) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!({"format": "mlx"}));
    let mut offset = 0;
    for info in tensors {
        let end = offset + info.bytes();
        let entry =
            json!({"dtype": info.dtype.name(), "shape": info.shape, "data_offsets": [offset, end]});
        entries.insert(info.name.clone(), entry);
        offset = end;
    }
    let mut text = Value::Object(entries).to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Safetensors;
    use crate::tensor::{Dtype, TensorSource};

    fn info(name: &str, shape: &[usize]) -> TensorInfo {
        TensorInfo { name: name.to_owned(), dtype: Dtype::U8, shape: shape.to_vec() }
    }

    #[test]
    fn our_reader_reads_what_was_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = shards(vec![info("b", &[3]), info("a", &[2, 2]), info("c", &[])], SHARD_BYTES);
        assert_eq!(files.len(), 1);
        let writer = ShardWriter::create(dir.path(), &files[0]).expect("created");
        let content = HashMap::from([("b", &[1, 2, 3][..]), ("c", &[9]), ("a", &[4, 5, 6, 7])]);
        for (name, offset) in writer.offsets() {
            writer.write(offset, content[name]).expect("written");
        }
        writer.sync().expect("finished");
        let read = Safetensors::open(&dir.path().join("model.safetensors")).expect("read");
        assert_eq!(read.tensors()[0].name, "a");
        let mut buffer = Vec::new();
        read.read("b", &mut buffer).expect("b");
        assert_eq!(buffer, [1, 2, 3]);
    }

    #[test]
    fn large_models_are_cut_at_five_gibibytes() {
        let half = SHARD_BYTES as usize / 2;
        let files =
            shards(vec![info("a", &[half]), info("b", &[half]), info("c", &[1])], SHARD_BYTES);
        let names: Vec<_> =
            files.iter().map(|file| (file.name.as_str(), file.tensors.len())).collect();
        assert_eq!(
            names,
            [("model-00001-of-00002.safetensors", 2), ("model-00002-of-00002.safetensors", 1)]
        );
    }
}
