//! Section 4: the zip container of torch files.

use super::{Case, TORCH, check_all};
use crate::forge::pickle::{state_of, two_floats};
use crate::forge::zip::{Entry, end, entry, parts, state, zip, zip64};

/// The entries of a good file.
fn good() -> Vec<Entry> {
    state(&state_of(two_floats()), &[("0", &[0; 8])])
}

/// A good file whose entry `place` is changed.
fn changed(
    item: &'static str,
    place: usize,
    change: impl FnOnce(&mut Entry),
    words: &[&'static str],
) -> Case {
    let mut entries = good();
    change(&mut entries[place]);
    Case::new(item, TORCH, zip(&entries), words)
}

/// A good file with another entry after the others.
fn added(item: &'static str, name: &str, words: &[&'static str]) -> Case {
    Case::new(item, TORCH, zip(&[good(), vec![entry(name, b"x")]].concat()), words)
}

fn raw(item: &'static str, bytes: Vec<u8>, words: &[&'static str]) -> Case {
    Case::new(item, TORCH, bytes, words)
}

const DATA: usize = 2;

#[test]
fn local_headers() {
    let local = &["archive/data/0", "local header"][..];
    check_all(vec![
        changed("4a another local name", DATA, |e| e.local_name = b"archive/data/1".into(), local),
        changed(
            "4a a longer local name",
            DATA,
            |e| e.local_name = b"archive/data/00".into(),
            local,
        ),
        changed("4a another local method", DATA, |e| e.local_method = 8, local),
        changed("4b an entry on another", DATA, |e| e.shift = -192, &["archive/data/0"]),
        changed("4b an entry beyond the directory", 3, |e| e.shift = 1 << 20, &["archive/version"]),
        changed("4b an entry within another", DATA, |e| e.shift = -1, &["archive/data/0"]),
        changed("4g bytes between entries", DATA, |e| e.after = vec![0; 99], &["archive/version"]),
        changed("4g no descriptor", DATA, |e| e.after.clear(), &["archive/version"]),
        changed("4g bytes before the directory", 3, |e| e.after = vec![0; 99], &["directory"]),
        changed(
            "4 sizes of the local header",
            DATA,
            |e| {
                e.flags = 0x0800;
                e.after.clear();
                e.packed = 9;
                e.size = 9;
            },
            &["archive/"],
        ),
    ]);
}

#[test]
fn entries() {
    let crc = &["CRC-32", "damaged"][..];
    let size = |size| move |e: &mut Entry| (e.size, e.packed) = (size, size);
    check_all(vec![
        added("4c an entry twice", "archive/data/0", &["archive/data/0", "stands twice"]),
        changed(
            "4d deflated storage",
            DATA,
            |e| (e.method, e.local_method) = (8, 8),
            &["compressed"],
        ),
        changed(
            "4d pickle that is no DEFLATE",
            0,
            |e| {
                (e.method, e.local_method) = (8, 8);
                e.data[0] = 0xff;
            },
            &["data.pkl", "inflated"],
        ),
        changed(
            "4d a ratio beyond DEFLATE's",
            0,
            |e| {
                (e.method, e.local_method) = (8, 8);
                e.size = 1 << 31;
            },
            &["data.pkl", "cannot hold"],
        ),
        changed("4e encrypted", DATA, |e| e.flags |= 1, &["archive/data/0", "encrypted"]),
        changed("4e masked", DATA, |e| e.flags |= 1 << 13, &["archive/data/0", "masked"]),
        changed("4e method 12", DATA, |e| (e.method, e.local_method) = (12, 12), &["method 12"]),
        changed("4h symbolic link", DATA, |e| e.external = 0xa1ff_0000, &["symbolic link"]),
        changed("4i CRC of the pickle", 0, |e| e.crc ^= 1, &[crc, &["data.pkl"]].concat()),
        changed(
            "4l storage too small",
            DATA,
            |e| *e = entry("archive/data/0", &[0; 4]),
            &["archive/data/0", "4 bytes"],
        ),
        changed(
            "4l storage too large",
            DATA,
            |e| *e = entry("archive/data/0", &[0; 12]),
            &["archive/data/0", "12 bytes"],
        ),
        changed("4l size beyond the file", DATA, size(1 << 31), &["archive/data/0"]),
        changed(
            "4m no storage of that key",
            DATA,
            |e| *e = entry("archive/data/7", &[0; 8]),
            &["archive/data/0", "not in the file"],
        ),
    ]);
}

#[test]
fn names() {
    let bad = |item, name: &str| added(item, name, &["no plain relative path"]);
    check_all(vec![
        bad("4h parent folder", "archive/../../x"),
        bad("4h absolute path", "/archive/x"),
        bad("4h backslash", "archive\\x"),
        bad("4h drive", "C:archive"),
        bad("4h NUL", "archive/\0"),
        bad("4h ESC", "archive/\u{1b}"),
        bad("4h a folder", "archive/x/"),
        bad("4h empty", ""),
        changed(
            "4h no UTF-8",
            DATA,
            |e| {
                e.name[0] = 0xff;
                e.local_name[0] = 0xff;
            },
            &["UTF-8"],
        ),
        added("4j a second data.pkl", "other/data.pkl", &["data.pkl"]),
        added("4j an entry in another folder", "other/x", &["other/x", "outside `archive`"]),
        added("4j TorchScript's code", "archive/code/x.py", &["TorchScript"]),
        added("4j TorchScript's constants", "archive/constants.pkl", &["TorchScript"]),
        raw("4j no data.pkl", zip(&good()[1..]), &["data.pkl"]),
        raw("4j data.pkl at the top", zip(&[entry("data.pkl", b"x")]), &["data.pkl"]),
        raw("4j no entries", zip(&[]), &["begins neither"]),
        changed("4k byte order", 1, |e| *e = entry("archive/byteorder", b"middle"), &["`middle`"]),
    ]);
}

#[test]
fn the_end() {
    let file = || zip(&good());
    let (body, directory) = parts(&good());
    let ended = |count, size: usize, start: usize, comment: &[u8]| {
        let end = end(count, size as u32, start as u32, comment);
        [body.clone(), directory.clone(), end].concat()
    };
    let (size, start) = (directory.len(), body.len());
    let wide = |replaced| zip64(&good(), replaced);
    let mut locator = wide([None; 3]);
    let at = locator.len() - 22 - 20 + 8;
    locator[at] ^= 1;
    check_all(vec![
        raw("4g bytes after the end", [file(), vec![0]].concat(), &["end record"]),
        raw("4g truncated", file()[..file().len() - 1].to_vec(), &["end record"]),
        raw(
            "4g bytes before the first entry",
            [b"PK\x03\x04".to_vec(), file()].concat(),
            &["directory"],
        ),
        raw("4g a comment", ended(4, size, start, b"hello"), &["end record"]),
        raw(
            "4g a second end as a comment",
            ended(4, size, start, &end(0, 0, 0, b"")),
            &["end record"],
        ),
        raw("4 fewer entries", ended(3, size, start, b""), &["belong to no entry"]),
        raw("4 more entries", ended(5, size, start, b""), &["cut off"]),
        raw("4 a shorter directory", ended(4, size - 1, start, b""), &["must end at"]),
        raw("4 directory beyond the file", ended(4, size, start + 999, b""), &["must end at"]),
        raw(
            "4f all ones without zip64",
            ended(u16::MAX, usize::MAX, usize::MAX, b""),
            &["too many"],
        ),
        raw("4f zip64 with too many entries", wide([Some(u64::MAX), None, None]), &["too many"]),
        raw("4f zip64 with a wrong size", wide([None, Some(1), None]), &["must end at"]),
        raw("4f zip64 whose start overflows", wide([None, None, Some(u64::MAX)]), &["must end at"]),
        raw("4f locator that points elsewhere", locator, &["zip64"]),
        changed(
            "4f all ones without a field",
            DATA,
            |e| e.packed = u64::from(u32::MAX),
            &["extra fields"],
        ),
        changed(
            "4f extra field that is cut off",
            DATA,
            |e| e.extra = vec![1, 0, 9, 0],
            &["extra fields"],
        ),
        changed(
            "4f wide size beyond the file",
            DATA,
            |e| {
                (e.size, e.packed) = (u64::MAX, u64::MAX);
                e.extra =
                    [vec![1, 0, 16, 0], vec![0xff; 7], vec![0], vec![0xff; 7], vec![0]].concat();
            },
            &["archive/data/0"],
        ),
    ]);
}
