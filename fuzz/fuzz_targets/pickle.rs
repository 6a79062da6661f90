//! A pickle and the state dict in it: the reader returns, and says the same twice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mlxq_checkpoint::fuzzing::pickle;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(pickle(bytes), pickle(bytes));
});
