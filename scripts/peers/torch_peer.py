#!/usr/bin/env python3
"""The works of configs/bench in PyTorch, for scripts/bench_peers.

    python3 torch_peer.py --work mlp|lenet|cnn|resnet18 [--mode eager|compile] [--fused] [--channels-last]
                          [--batch 128] [--steps 200] [--threads 2] [--data DIR]

Prints one JSON line: samples per second over steps 2..N, seconds from the start of the process to the end of the first
step, peak resident memory in MiB, and the loss of every step. Data lie in memory as bytes; a batch is indexed, made
float and divided by 255. Each epoch has a seeded order of its own; a last batch that is not full is left out.
"""
import argparse
import gzip
import json
import os
import resource
import time


def seconds_since_start():
    with open("/proc/self/stat") as f:
        start_ticks = int(f.read().rpartition(")")[2].split()[19])
    with open("/proc/uptime") as f:
        return float(f.read().split()[0]) - start_ticks / os.sysconf("SC_CLK_TCK")


import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


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


def load(work, folder):
    if work == "resnet18":
        # As trainctl's synthetic images: a pattern for each class under noise as wide as the range of bytes.
        random = np.random.default_rng(1)
        labels = random.integers(0, 10, 8192)
        pattern = random.standard_normal((10, 3, 32, 32), np.float32)
        images = 128 + 40 * pattern[labels] + 255 * (random.random((8192, 3, 32, 32), np.float32) - 0.5)
        return torch.from_numpy(images.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels)
    images = read_idx(folder, "train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).copy()
    return torch.from_numpy(images), torch.from_numpy(read_idx(folder, "train-labels-idx1-ubyte", 8).astype(np.int64))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True, choices=["mlp", "lenet", "cnn", "resnet18"])
    parser.add_argument("--mode", default="eager", choices=["eager", "compile"])
    parser.add_argument("--fused", action="store_true", help="the optimizer's fused implementation")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    images, labels = load(args.work, args.data)
    model = make(args.work)
    if args.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if args.work == "resnet18":
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, fused=args.fused)
    else:
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=args.fused)

    def step(index):
        x = images[index].float().div_(255)
        if args.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), labels[index])
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = torch.compile(step) if args.mode == "compile" else step
    per_epoch = len(images) // args.batch
    orders = {}

    def indices(i):
        epoch = i // per_epoch
        if epoch not in orders:
            orders[epoch] = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
        at = i % per_epoch * args.batch
        return orders[epoch][at : at + args.batch]

    losses = [run(indices(0))]
    first_step_s = seconds_since_start()
    if args.mode == "compile":
        losses.append(run(indices(1)))  # a second trace may still be made here
    begin = len(losses)
    start = time.perf_counter()
    for i in range(begin, args.steps):
        losses.append(run(indices(i)))
    rate = (args.steps - begin) * args.batch / (time.perf_counter() - start)
    print(json.dumps({"torch": torch.__version__, "samples_per_s": rate, "first_step_s": first_step_s,
                      "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "losses": [float(v) for v in losses]}))


if __name__ == "__main__":
    main()
