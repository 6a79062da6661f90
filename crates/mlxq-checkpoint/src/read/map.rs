//! Parts of files mapped into memory: the system loads a page when it is first looked at, and takes it
//! back when it needs the memory.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};

/// A part of a file, mapped for reading as long as this lives.
#[derive(Debug)]
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// Maps the bytes `range` of `file`, wherever it begins.
    ///
    /// # Errors
    /// When the file ends before, or the system refuses, as some file systems do.
    pub(crate) fn new(file: &File, range: Range<u64>) -> io::Result<Self> {
        // The file may have been cut since it was opened.
        if file.metadata()?.len() < range.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(range.end - range.start);
        let length = length.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut options = MmapOptions::new();
        options.offset(range.start).len(length);
        // SAFETY: the pages are mapped privately and for reading, and only as bytes, of which every
        // value is valid. What Rust cannot know is whether somebody changes the file meanwhile. If it
        // is written to, different values may be seen: they are copied or decoded as numbers, and no
        // length, index or choice of ours comes from them, so the worst are wrong numbers. If it is
        // cut short, the system ends the process at the first page that is gone (SIGBUS); nothing is
        // read beyond it. Both take another program that writes into a model's files in place while
        // the model is loaded or runs. Our converter never does: it writes a new folder beside the
        // old one and renames it, and what is mapped here stays the old file.
        let map = unsafe { options.map(file)? };
        Ok(Self(map))
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_part_is_what_the_file_holds_there() {
        let bytes: Vec<u8> = (0..20_000u32).map(|i| ((i * i) >> 3) as u8).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("written");
        for range in [0..20_000, 1..5000, 4095..4097, 4096..8192, 19_999..20_000] {
            let mapping = Mapping::new(&file, range.start..range.end).expect("mapped");
            assert_eq!(mapping.bytes(), &bytes[range.start as usize..range.end as usize]);
        }
    }

    #[test]
    fn a_file_that_is_cut_is_not_mapped_beyond_its_end() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(8192).expect("grown");
        assert!(Mapping::new(&file, 0..8192).is_ok());
        assert!(Mapping::new(&file, 0..8193).is_err());
        file.set_len(5000).expect("cut");
        assert!(Mapping::new(&file, 0..8192).is_err());
        assert!(Mapping::new(&file, 4096..5000).is_ok());
    }
}
