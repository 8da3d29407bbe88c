"""Means and deviations as scikit-learn's StandardScaler finds them, for tests/train/fitted_test.cpp.

    python tests/golden/make_standardize.py > tests/golden/standardize.json
"""

import json

import numpy as np
from sklearn.preprocessing import StandardScaler


def table():
    """37 samples of 5 columns: even, far from zero, constant, constant but for rounding, tiny."""
    i = np.arange(37)[:, None]
    draw = (i * 7919 + np.arange(5) * 104729) % 1000
    columns = [draw[:, 0] / 8, 1e6 + draw[:, 1] / 16, np.full(37, 0.1), np.full(37, 12345.678), draw[:, 4] / 2.0**40]
    return np.stack(columns, 1).astype(np.float32)


rows = [r for r in range(37) if r % 3]  # as of a subset
scaler = StandardScaler().fit(table()[rows].astype(np.float64))
print(json.dumps({"mean": scaler.mean_.tolist(), "std": scaler.scale_.tolist()}, indent=1))
