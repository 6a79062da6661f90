"""Engines that take turns on the same token rows, for `cargo xtask bench engine`."""
