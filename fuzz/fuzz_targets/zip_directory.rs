//! A whole file of PyTorch, zip or five pickles: the reader returns, and says the same twice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mlxq_checkpoint::fuzzing::torch;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(torch(bytes), torch(bytes));
});
