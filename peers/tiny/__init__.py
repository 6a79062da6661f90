"""Tiny random checkpoints of every model type, made with transformers.

`decoders` and `encoders` are tables of data; `build` turns a line of them into a folder. A folder takes a
few hundredths of a second, so the tests make what they need and nothing is kept in the repository.
"""
