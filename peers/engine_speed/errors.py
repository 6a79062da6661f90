"""How far an engine's last hidden states are from those in float64."""

import numpy as np


def compared(states, reference, lengths):
    """Largest difference over largest value of the reference, and smallest cosine of the rows' means.

    Both arguments are `[tokens, hidden]`, the tokens of all rows one after the other.
    """
    difference = np.abs(states - reference).max() / np.abs(reference).max()
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ours, theirs = (np.add.reduceat(part, starts) for part in (states, reference))
    cosines = (ours * theirs).sum(1) / np.sqrt((ours * ours).sum(1) * (theirs * theirs).sum(1))
    return {"largest_difference": float(difference), "one_minus_cosine": float(1 - cosines.min())}
