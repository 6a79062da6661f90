//! Files made byte by byte, for tests that need them a little wrong.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod pickle;
pub(crate) mod zip;

/// A safetensors file: that header and as many zero bytes of data.
pub(crate) fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// The header entry of one tensor of two f32 numbers, with the fields `fields` in place of its own.
pub(crate) fn header_of(fields: &str) -> String {
    format!("{{\"a\":{{{fields}}}}}")
}
