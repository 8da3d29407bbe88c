"""The works of configs/bench in PyTorch: the model and the data of each."""
import gzip
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def conv_norm(i, o, kernel, stride, padding):
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, padding, bias=False), nn.BatchNorm2d(o))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the identity or a 1x1 convolution (He et al., 2016)."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.first, self.second = conv_norm(i, o, 3, stride, 1), conv_norm(o, o, 3, 1, 1)
        self.shortcut = conv_norm(i, o, 1, stride, 0) if stride != 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def make(work):
    if work == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    if work == "lenet":
        return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
                             nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    if work == "cnn":
        layers = []
        for i, o in ((1, 32), (32, 32), (32, 64), (64, 64)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()]
            if i == o:
                layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))
    blocks, channels = [], 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [BasicBlock(channels, width, stride), BasicBlock(width, width, 1)]
        channels = width
    return nn.Sequential(conv_norm(3, 64, 3, 1, 1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def read_idx(folder, name, header_bytes):
    path = os.path.join(folder, name)
    with (gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb")) as f:
        return np.frombuffer(f.read(), np.uint8, offset=header_bytes)


def made_up(samples, shape):
    """As trainctl's synthetic images: a pattern for each class under noise as wide as the range of bytes."""
    random = np.random.default_rng(1)
    labels = random.integers(0, 10, samples)
    pattern = random.standard_normal((10, *shape), np.float32)
    images = 128 + 40 * pattern[labels] + 255 * (random.random((samples, *shape), np.float32) - 0.5)
    return torch.from_numpy(images.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels)


def load(work, folder):
    if work == "resnet18":
        return made_up(8192, (3, 32, 32))
    if folder == "synthetic":
        return made_up(60000, (1, 28, 28))
    images = read_idx(folder, "train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).copy()
    return torch.from_numpy(images), torch.from_numpy(read_idx(folder, "train-labels-idx1-ubyte", 8).astype(np.int64))
