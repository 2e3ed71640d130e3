"""Which tokens may be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.autoregressive.decoding import filter_logits
from bench.base.errors import BenchError


def test_filters() -> None:
    logits = np.array([[2.0, 1.0, 0.0, -1.0]])
    plain = filter_logits(logits)
    np.testing.assert_allclose(plain, torch.from_numpy(logits).softmax(-1), rtol=1e-15)
    assert np.count_nonzero(filter_logits(logits, top_k=2)[0]) == 2
    np.testing.assert_allclose(filter_logits(logits, top_k=2)[0, :2], plain[0, :2] / plain[0, :2].sum(), rtol=1e-15)
    nucleus = filter_logits(logits, top_p=0.7)[0]  # 0.64 alone falls short, so the second is in
    assert np.count_nonzero(nucleus) == 2
    assert filter_logits(logits, temperature=0)[0].tolist() == [1, 0, 0, 0]
    assert filter_logits(logits, temperature=2.0)[0, 0] < plain[0, 0] < filter_logits(logits, temperature=0.5)[0, 0]
    with pytest.raises(BenchError, match="top_p"):
        filter_logits(logits, top_p=0.0)
