#!/usr/bin/env python3
"""Makes the golden trajectories: small models trained 200 steps in PyTorch, in float32 and in float64.

    python3 make_golden.py [CASE...]   (PyTorch 2.x; writes data/*.npy and <case>.json beside this file)

A test trains the same from <case>.yaml and may be as far from the float64 losses at step k as three times the
largest distance up to k of PyTorch's own float32 runs: one as it is and sixteen whose weights start one unit in the last
place up or down, since a single run may happen to lie close, and rounding may turn a maximum elsewhere in one run of four. Weights start from a formula of the parameter's name and the
element's index, and the data are committed, so nothing random is shared between the two programs.
"""
import json
import math
import os
import sys
import zlib

import numpy as np
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES, BATCH, STEPS, CLASSES = 256, 32, 200, 10
RUNS = 17


def mixed(seed, count):
    """Uniform in [0, 1): the lowbias32 mix (Wellons, 2018) of seed + i."""
    x = (np.arange(count, dtype=np.uint64) + np.uint64(seed)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x = x ^ (x >> np.uint64(16))
    return x.astype(np.float64) / 2.0**32


def initialise(model):
    """Parameter p of name n: u = 2 mixed(crc32(n)) - 1; matrices and filters u sqrt(3 / fan_in), other weights 1 + u / 10, biases u / 10."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            u = 2.0 * mixed(zlib.crc32(name.encode()), p.numel()) - 1.0
            if p.dim() > 1:
                u = u * math.sqrt(3.0 / math.prod(p.shape[1:]))
            else:
                u = u / 10.0 + (1.0 if name.endswith("weight") else 0.0)
            p.copy_(torch.from_numpy(u.astype(np.float32)).reshape(p.shape))


def data():
    """Bytes with a brighter patch whose place depends on the class, so that there is something to learn."""
    labels = (np.arange(SAMPLES) * 7 % CLASSES).astype(np.int64)
    images = (mixed(1, SAMPLES * 64) * 128).astype(np.uint8).reshape(SAMPLES, 1, 8, 8)
    for image, label in zip(images, labels):
        image[0, label // 2 : label // 2 + 3, (label % 2) * 4 : (label % 2) * 4 + 3] += 100
    return images, labels


class Residual(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                                  nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        else:
            self.shortcut = nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, CLASSES))


def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.AvgPool2d(2),
                         nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, CLASSES))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32),
                         nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, CLASSES))


def resnet():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Residual(16, 16, 1), Residual(16, 32, 2),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES))


def mixed_layers():
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.Hardswish(), nn.MaxPool2d(2), nn.ConvTranspose2d(8, 6, 4, 2, 1),
                         nn.InstanceNorm2d(6, affine=True), nn.PReLU(6), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(6, 4, 3, 2),
                         nn.PReLU(), nn.AdaptiveAvgPool2d((5, 4)), nn.AdaptiveMaxPool2d((3, 2)), nn.Softplus(2.0), nn.Flatten(),
                         nn.Linear(24, CLASSES))


def embedding():
    """Of the labels themselves, which are its inputs."""
    return nn.Sequential(nn.Embedding(CLASSES, 6), nn.Linear(6, CLASSES))


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05),
    "momentum": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 1e-3),
    "adam_l2": lambda p: torch.optim.Adam(p, 1e-3, betas=(0.8, 0.99), eps=1e-6, weight_decay=1e-2),
    "adamw": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-3),
    "rmsprop_centered": lambda p: torch.optim.RMSprop(p, 1e-3, alpha=0.9, momentum=0.5, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.02, lr_decay=0.01, weight_decay=1e-3, initial_accumulator_value=0.1),
    "adadelta": lambda p: torch.optim.Adadelta(p, 1.0, rho=0.95, eps=1e-5, weight_decay=1e-3),
}
# name: model, optimizer, norm at which gradients are clipped, label smoothing
CASES = {f"mlp_{name}": (mlp, name, None, 0.0) for name in OPTIMIZERS}
CASES |= {"lenet_adam": (lenet, "adam", None, 0.0), "cnn_adam": (cnn, "adam", None, 0.1), "resnet_momentum": (resnet, "momentum", None, 0.0),
          "mlp_clip": (mlp, "sgd", 0.5, 0.0), "layers_adam": (mixed_layers, "adam", None, 0.0),
          "embedding_momentum": (embedding, "momentum", None, 0.0), "mlp_unfreeze": (mlp, "adam_l2", None, 0.0),
          "cnn_unfreeze": (cnn, "momentum", 0.5, 0.0)}
# Steps before which parameters of these prefixes do not require gradients.
FROZEN_UNTIL = {"mlp_unfreeze": {"1.": 60, "3.": 25}, "cnn_unfreeze": {"0.": 50, "3.": 20, "8.": 50}}


def nudge(model, seed):
    """Moves each weight by one unit in the last place, up or down."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            up = torch.from_numpy(mixed(zlib.crc32(name.encode()) + seed, p.numel()) < 0.5).reshape(p.shape)
            p.copy_(torch.nextafter(p, torch.where(up, torch.inf, -torch.inf)))


def train(make, optimizer, clip, smoothing, frozen_until, dtype, images, labels, nudged=0):
    model = make()
    initialise(model)
    if nudged:
        nudge(model, nudged)
    model = model.to(dtype)
    step = OPTIMIZERS[optimizer](model.parameters())
    loss_fn = nn.CrossEntropyLoss(label_smoothing=smoothing)
    y = torch.from_numpy(labels)
    x = y if make is embedding else torch.from_numpy(images).to(dtype) / 255
    losses = []
    for i in range(STEPS):
        at = i * BATCH % SAMPLES
        for name, p in model.named_parameters():
            p.requires_grad = all(i >= until for prefix, until in frozen_until.items() if name.startswith(prefix))
        step.zero_grad()
        loss = loss_fn(model(x[at : at + BATCH]), y[at : at + BATCH])
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        step.step()
        losses.append(loss.item())
    return losses, {n: t.detach().double() for n, t in model.state_dict().items() if t.is_floating_point()}


def main():
    torch.set_num_threads(1)
    images, labels = data()
    os.makedirs(os.path.join(HERE, "data"), exist_ok=True)
    np.save(os.path.join(HERE, "data", "images.npy"), images)
    np.save(os.path.join(HERE, "data", "labels.npy"), labels)
    for name in sys.argv[1:] or CASES:
        case = (*CASES[name], FROZEN_UNTIL.get(name, {}))
        exact, weights = train(*case, torch.float64, images, labels)
        singles = [train(*case, torch.float32, images, labels, k) for k in range(RUNS)]
        distance = np.maximum.accumulate(np.max([np.abs(np.array(exact) - np.array(losses)) for losses, _ in singles], axis=0))
        tensors = {n: {"sum": w.sum().item(), "norm": w.norm().item(), "distance": max((w - v[n]).norm().item() for _, v in singles)}
                   for n, w in weights.items()}
        with open(os.path.join(HERE, name + ".json"), "w") as f:
            json.dump({"torch": torch.__version__, "losses": exact, "distance": [float(f"{d:.3g}") for d in distance], "tensors": tensors}, f)
        print(f"{name}: {exact[0]:.4f} -> {exact[-1]:.4f}, float32 is {distance[-1]:.2g} away")


if __name__ == "__main__":
    main()
