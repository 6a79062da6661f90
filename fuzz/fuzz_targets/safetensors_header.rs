//! A whole safetensors file: the reader returns, and says the same twice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mlxq_checkpoint::fuzzing::safetensors;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(safetensors(bytes), safetensors(bytes));
});
