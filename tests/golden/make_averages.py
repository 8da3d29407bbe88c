#!/usr/bin/env python3
"""Makes averages.json: averages of the weights of the golden `cnn_adam`, trained 52 steps by `momentum`, by torch.optim.swa_utils.

    python3 make_averages.py        (PyTorch 2.x; writes averages.json beside this file)

The case is trained as make_golden.py trains it, from the same weights and batches, in float64 and five times in float32, which
gives the distance that another float32 program may have.
"""
import json
import os

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from make_golden import BATCH, HERE, OPTIMIZERS, SAMPLES, cnn, data, initialise, nudge

STEPS = 52
# name: the average, its first update, how often it is updated from there on
AVERAGES = {
    "ema": (lambda model: AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95), use_buffers=True), 1, 1),
    "late": (lambda model: AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.3)), 10, 3),
    "swa": (AveragedModel, 16, 8),
}


def train(dtype, images, labels, nudged=0):
    model = cnn()
    initialise(model)
    if nudged:
        nudge(model, nudged)
    model = model.to(dtype)
    step = OPTIMIZERS["momentum"](model.parameters())
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    x, y = torch.from_numpy(images).to(dtype) / 255, torch.from_numpy(labels)
    averages = {name: make(model) for name, (make, _, _) in AVERAGES.items()}
    for i in range(STEPS):
        at = i * BATCH % SAMPLES
        step.zero_grad()
        loss_fn(model(x[at : at + BATCH]), y[at : at + BATCH]).backward()
        step.step()
        for name, (_, first, every) in AVERAGES.items():
            if i + 1 >= first and (i + 1 - first) % every == 0:
                averages[name].update_parameters(model)
    update_bn([x[at : at + BATCH] for at in range(0, SAMPLES, BATCH)], averages["swa"])
    return {name: {n: t.detach().double() for n, t in average.module.state_dict().items() if t.is_floating_point()}
            for name, average in averages.items()}


def main():
    torch.set_num_threads(1)
    images, labels = data()
    exact = train(torch.float64, images, labels)
    singles = [train(torch.float32, images, labels, k) for k in range(5)]
    document = {"torch": torch.__version__, "steps": STEPS}
    for name, weights in exact.items():
        document[name] = {n: {"sum": w.sum().item(), "norm": w.norm().item(),
                              "distance": max((w - single[name][n]).norm().item() for single in singles)} for n, w in weights.items()}
        print(name, {n: f"{t['distance'] / t['norm']:.1e}" for n, t in document[name].items()})
    with open(os.path.join(HERE, "averages.json"), "w") as f:
        json.dump(document, f)


if __name__ == "__main__":
    main()
