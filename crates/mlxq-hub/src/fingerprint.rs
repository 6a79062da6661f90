//! The content identity of a model folder.
//!
//! It is made of BLAKE3, which is several times as fast as SHA-256: a conversion finds it out beside its
//! own work, and a finished one is recognised by it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use blake3::Hasher;

use crate::HubError;

/// BLAKE3 of the files that decide what a folder predicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash of all the names and hashes below, in hexadecimal.
    pub blake3: String,
    /// File name → its hash, in hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// Hashes the weights, configurations and tokenizer files at the top of `dir`, and the configuration
/// of each module folder under it.
///
/// # Errors
/// When a file cannot be read.
pub fn fingerprint(dir: &Path) -> Result<Fingerprint, HubError> {
    let mut paths = Vec::new();
    collect(dir, "", &mut paths)?;
    let files = hash_all(paths)?;
    let mut all = Hasher::new();
    for (name, hash) in &files {
        all.update(format!("{name}\0{hash}\n").as_bytes());
    }
    Ok(Fingerprint { blake3: all.finalize().to_string(), files })
}

/// Hashes files, given with their names, one on each core at a time.
fn hash_all(paths: Vec<(String, PathBuf)>) -> Result<BTreeMap<String, String>, HubError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(paths.len());
    let queue = Mutex::new(paths);
    let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
    let work = || {
        let hashed = |(name, path): (String, PathBuf)| Ok((name, hash_file(&path)?));
        std::iter::from_fn(next).map(hashed).collect::<Result<Vec<_>, HubError>>()
    };
    let hashed: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut files = BTreeMap::new();
    for part in hashed {
        files.extend(part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    }
    Ok(files)
}

fn collect(dir: &Path, prefix: &str, paths: &mut Vec<(String, PathBuf)>) -> Result<(), HubError> {
    let failed = |source| HubError::Read { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let full = format!("{prefix}{name}");
        if path.is_file() && decides(name, prefix) {
            paths.push((full, path));
        } else if path.is_dir() && prefix.is_empty() && !name.starts_with('.') {
            collect(&path, &format!("{name}/"), paths)?;
        }
    }
    Ok(())
}

/// Whether a file changes what the folder predicts. `conversion_metadata.json` holds a time stamp.
fn decides(name: &str, prefix: &str) -> bool {
    let weights =
        [".safetensors", ".bin", ".pt", ".pth"].iter().any(|ending| name.ends_with(ending));
    let settings = name.ends_with(".json") || name == "vocab.txt";
    if prefix.is_empty() {
        weights || settings && name != "conversion_metadata.json"
    } else {
        weights || name == "config.json"
    }
}

/// BLAKE3 of a file, in hexadecimal.
fn hash_file(path: &Path) -> Result<String, HubError> {
    let failed = |source| HubError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Hasher::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hash.finalize().to_string()),
            count => hash.update(&buffer[..count]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BLAKE3 of nothing, from the test vectors of its authors.
    #[test]
    fn a_folder_is_what_its_files_are() {
        let dir = tempfile::tempdir().expect("a folder");
        let write =
            |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect(name);
        write("config.json", "");
        write("notes.txt", "1");
        let first = fingerprint(dir.path()).expect("a fingerprint");
        assert_eq!(
            first.files["config.json"],
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        write("notes.txt", "2");
        write("conversion_metadata.json", "{}");
        assert_eq!(fingerprint(dir.path()).expect("a fingerprint"), first);
        write("model.safetensors", "");
        assert_ne!(fingerprint(dir.path()).expect("a fingerprint").blake3, first.blake3);
    }
}
