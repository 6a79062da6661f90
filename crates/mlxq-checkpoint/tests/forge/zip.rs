//! A maker of zips that may lie.

/// An entry; the fields after `data` are what the headers say of it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// Its bytes in the file.
    pub(crate) data: Vec<u8>,
    pub(crate) local_name: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) local_method: u16,
    pub(crate) flags: u16,
    pub(crate) crc: u32,
    pub(crate) size: u64,
    pub(crate) packed: u64,
    pub(crate) external: u32,
    /// The extra field of the directory.
    pub(crate) extra: Vec<u8>,
    /// Bytes between the data and the next entry; a data descriptor if `flags` say so.
    pub(crate) after: Vec<u8>,
    /// Added to where the directory says that the entry is.
    pub(crate) shift: i64,
}

/// A stored entry with a data descriptor, as torch writes them.
pub(crate) fn entry(name: &str, data: &[u8]) -> Entry {
    let (crc, size) = (crc32(data), data.len() as u64);
    let after = [
        b"PK\x07\x08".as_slice(),
        &crc.to_le_bytes(),
        &[size.to_le_bytes()[..4].to_vec(), size.to_le_bytes()[..4].to_vec()].concat(),
    ]
    .concat();
    Entry {
        name: name.into(),
        data: data.to_vec(),
        local_name: name.into(),
        method: 0,
        local_method: 0,
        flags: 0x0808,
        crc,
        size,
        packed: size,
        external: 0,
        extra: Vec::new(),
        after,
        shift: 0,
    }
}

/// The entries of a state dict `pickle` whose storages are `data`.
pub(crate) fn state(pickle: &[u8], data: &[(&str, &[u8])]) -> Vec<Entry> {
    let mut entries =
        vec![entry("archive/data.pkl", pickle), entry("archive/byteorder", b"little")];
    entries.extend(data.iter().map(|(key, data)| entry(&format!("archive/data/{key}"), data)));
    entries.push(entry("archive/version", b"3\n"));
    entries
}

/// A file of those entries, without zip64's records.
pub(crate) fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, directory) = parts(entries);
    let (start, size) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend(end(entries.len() as u16, size, start, b""));
    bytes
}

/// The same with zip64's records, whose fields may be replaced by `[entries, size, start]`.
pub(crate) fn zip64(entries: &[Entry], replaced: [Option<u64>; 3]) -> Vec<u8> {
    let (mut bytes, directory) = parts(entries);
    let (start, size) = (bytes.len() as u64, directory.len() as u64);
    bytes.extend(directory);
    let record = bytes.len() as u64;
    let real = [entries.len() as u64, size, start];
    let [count, size, start] = std::array::from_fn(|i| replaced[i].unwrap_or(real[i]));
    bytes.extend(b"PK\x06\x06");
    for number in [44, 0x2d_031e, 0, count, count, size, start] {
        let width = if number == 0x2d_031e { 4 } else { 8 };
        bytes.extend(&u64::to_le_bytes(number)[..width]);
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(record.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(end(u16::MAX, u32::MAX, u32::MAX, b""));
    bytes
}

/// The end record.
pub(crate) fn end(entries: u16, size: u32, start: u32, comment: &[u8]) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06\0\0\0\0".to_vec();
    bytes.extend([entries.to_le_bytes(), entries.to_le_bytes()].concat());
    bytes.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    bytes.extend((comment.len() as u16).to_le_bytes());
    bytes.extend(comment);
    bytes
}

/// Local headers with data, and the directory.
pub(crate) fn parts(entries: &[Entry]) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let at = bytes.len() as i64 + entry.shift;
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let has_descriptor = entry.flags & 8 != 0;
        let known = |number: u64| narrow(if has_descriptor { 0 } else { number });
        bytes.extend(b"PK\x03\x04\0\0");
        bytes.extend([entry.flags.to_le_bytes(), entry.local_method.to_le_bytes()].concat());
        bytes.extend([0; 4]);
        for number in [u64::from(entry.crc), entry.packed, entry.size] {
            bytes.extend(known(number));
        }
        // The data of torch's entries begin at multiples of 64 bytes.
        let head = bytes.len() + 4 + entry.local_name.len();
        let padding = (64 - (head + 4) % 64) % 64;
        bytes.extend((entry.local_name.len() as u16).to_le_bytes());
        bytes.extend((padding as u16 + 4).to_le_bytes());
        bytes.extend(&entry.local_name);
        bytes.extend([b"FB".as_slice(), &(padding as u16).to_le_bytes()].concat());
        bytes.extend(vec![b'Z'; padding]);
        bytes.extend(&entry.data);
        bytes.extend(&entry.after);

        directory.extend(b"PK\x01\x02\0\0\0\0");
        directory.extend([entry.flags.to_le_bytes(), entry.method.to_le_bytes()].concat());
        directory.extend([0; 4]);
        directory.extend(entry.crc.to_le_bytes());
        directory.extend([narrow(entry.packed), narrow(entry.size)].concat());
        directory.extend((entry.name.len() as u16).to_le_bytes());
        directory.extend((entry.extra.len() as u16).to_le_bytes());
        directory.extend([0; 6]);
        directory.extend(entry.external.to_le_bytes());
        directory.extend(narrow(u64::try_from(at).unwrap_or(0)));
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
    }
    (bytes, directory)
}

/// CRC-32 of IEEE 802.3, bit by bit.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}
