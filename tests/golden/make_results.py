#!/usr/bin/env python3
"""Makes results.json: predictions, targets and what scikit-learn says of them.

    python3 make_results.py        (scikit-learn 1.x; writes results.json beside this file)

null stands where scikit-learn gives NaN or refuses.
"""
import json
import math
import os
import warnings

import numpy as np
from sklearn import metrics as m

warnings.simplefilter("ignore")


def number(compute):
    try:
        value = float(compute())
    except ValueError:
        return None
    return None if math.isnan(value) else value


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def one_vs_rest(y, p, classes):
    aucs = [number(lambda c=c: m.roc_auc_score(y == c, p[:, c])) for c in range(classes)]
    support = np.bincount(y, minlength=classes)
    if None in aucs:
        return aucs, None, None
    return aucs, float(np.mean(aucs)), float(np.average(aucs, weights=support))


def calibration_error(y, p, bins):
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return float(total)


def classification(y, logits):
    classes = logits.shape[1]
    p, labels = softmax(logits), list(range(classes))
    guess = logits.argmax(axis=1)
    values = {"accuracy": m.accuracy_score(y, guess), "calibration_error": calibration_error(y, p, 15),
              "log_loss": number(lambda: m.log_loss(y, p, labels=labels))}
    each = {}
    for name, score in (("precision", m.precision_score), ("recall", m.recall_score), ("f1", m.f1_score)):
        for average in ("macro", "weighted"):
            values[f"{name}_{average}"] = score(y, guess, labels=labels, average=average, zero_division=0)
        each[name] = score(y, guess, labels=labels, average=None, zero_division=0).tolist()
    each["roc_auc"], values["roc_auc_macro"], values["roc_auc_weighted"] = one_vs_rest(y, p, classes)
    if all(a is not None for a in each["roc_auc"]):
        assert np.isclose(values["roc_auc_macro"], m.roc_auc_score(y, p, multi_class="ovr", average="macro"))
        assert np.isclose(values["roc_auc_weighted"], m.roc_auc_score(y, p, multi_class="ovr", average="weighted"))
        if len(np.unique(logits)) == logits.size:  # of equal scores scikit-learn takes the last
            values["top_2_accuracy"] = m.top_k_accuracy_score(y, logits, k=2)
    confusion = m.confusion_matrix(y, guess, labels=labels).ravel().tolist()
    return values, {"classes": each}, confusion


def binary(y, logits):
    p = 1 / (1 + np.exp(-logits.ravel()))
    yes = p >= 0.5
    one = len(np.unique(y)) < 2
    values = {"accuracy": m.accuracy_score(y, yes), "precision": m.precision_score(y, yes, zero_division=0),
              "recall": m.recall_score(y, yes, zero_division=0), "f1": m.f1_score(y, yes, zero_division=0),
              "roc_auc": None if one else number(lambda: m.roc_auc_score(y, p)),
              "average_precision": None if not y.any() else number(lambda: m.average_precision_score(y, p)),
              "brier": float(np.mean((p - y) ** 2)),
              "log_loss": number(lambda: m.log_loss(y, p, labels=[0, 1]))}
    if not one:
        assert np.isclose(values["brier"], m.brier_score_loss(y, p))
    if y.any():
        precision, recall, thresholds = m.precision_recall_curve(y, p)
        f1 = [m.f1_score(y, p >= t) for t in thresholds]
        values["best_f1"], values["best_threshold"] = max(f1), float(thresholds[int(np.argmax(f1))])
    else:
        values["best_f1"] = values["best_threshold"] = None
    return values, {}, m.confusion_matrix(y, yes, labels=[0, 1]).ravel().tolist()


def regression(y, x):
    values = {"mse": m.mean_squared_error(y, x), "rmse": m.root_mean_squared_error(y, x),
              "mae": m.mean_absolute_error(y, x), "r2": number(lambda: m.r2_score(y, x)),
              "max_error": float(np.abs(y - x).max())}
    if y.ndim == 1:
        assert values["max_error"] == m.max_error(y, x)
        return values, {}, None
    each = {"mse": m.mean_squared_error(y, x, multioutput="raw_values").tolist(),
            "r2": m.r2_score(y, x, multioutput="raw_values").tolist()}
    return values, {"outputs": each}, None


def segmentation(y, scores):
    classes = scores.shape[1]
    guess, truth, labels = scores.argmax(axis=1).ravel(), y.ravel(), list(range(classes))
    dice = m.f1_score(truth, guess, labels=labels, average=None, zero_division=np.nan)
    inter = [float(np.sum((truth == c) & (guess == c))) for c in labels]
    union = [float(np.sum((truth == c) | (guess == c))) for c in labels]
    iou = [i / u if u else None for i, u in zip(inter, union)]
    present = [c for c in labels if union[c]]
    assert np.allclose([iou[c] for c in present], m.jaccard_score(truth, guess, labels=present, average=None))
    values = {"pixel_accuracy": m.accuracy_score(truth, guess), "dice_macro": float(np.nanmean(dice)),
              "iou_macro": m.jaccard_score(truth, guess, labels=present, average="macro")}
    each = {"dice": [None if math.isnan(d) else float(d) for d in dice], "iou": iou}
    return values, {"classes": each}, m.confusion_matrix(truth, guess, labels=labels).ravel().tolist()


def main():
    random = np.random.default_rng(1)
    cases = []

    def case(name, package, compute, y, x):
        x = np.asarray(x, dtype=float).round(6)
        values, tables, confusion = compute(y, x)
        cases.append({"name": name, "package": package, "output": list(x.shape[1:]), "target": list(y.shape[1:]),
                      "outputs": x.ravel().tolist(), "targets": y.ravel().astype(float).tolist(), "values": values,
                      "tables": tables, "confusion": confusion})

    y = random.integers(0, 4, 60)
    x = random.normal(size=(60, 4)) + 1.5 * np.eye(4)[y]
    case("four classes", "classification", classification, y, x)
    case("ties", "classification", classification, y, x.round(0))
    case("an absent class", "classification", classification, np.where(y == 2, 1, y), x)
    case("a single class", "classification", classification, np.zeros(60, dtype=int), x)
    y = random.integers(0, 2, 50)
    x = random.normal(size=50) + y - 0.5
    case("yes or no", "binary", binary, y, x)
    case("ties", "binary", binary, y, x.round(0))
    case("yes alone", "binary", binary, np.ones(50, dtype=int), x)
    case("no alone", "binary", binary, np.zeros(50, dtype=int), x)
    y = random.normal(size=40).round(6)
    case("one value", "regression", regression, y, y + random.normal(size=40) * 0.3)
    y = 1e6 + random.normal(size=(40, 3)).round(6)
    case("three values, far from 0", "regression", regression, y, y + random.normal(size=(40, 3)))
    case("constant targets", "regression", regression, np.full(10, 2.5), np.linspace(2, 3, 10))
    case("one sample", "regression", regression, np.array([1.0]), np.array([1.5]))
    y = random.integers(0, 3, (3, 4, 5))
    x = random.normal(size=(3, 3, 4, 5)) + np.moveaxis(np.eye(3)[y], -1, 1)
    case("three classes", "segmentation", segmentation, y, x)
    far = np.concatenate([x, np.full((3, 1, 4, 5), -9.0)], axis=1)
    case("an absent class", "segmentation", segmentation, y, far)

    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "results.json"), "w") as out:
        out.write('{"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


main()
