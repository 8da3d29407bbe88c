#!/usr/bin/env python3
"""Draws docs/images/autoencoder.png and gan.png from runs of configs/steps/autoencoder.yaml and gan.yaml.

    python3 draw_examples.py AUTOENCODER_RUN GAN_RUN FOLDER [--data DIR]

The checkpoints are taken by PyTorch's modules with load_state_dict(strict=True). Needs PyTorch, h5py, NumPy and Pillow.
"""
import argparse
import gzip
import os

import h5py
import numpy as np
import torch
from PIL import Image
from torch import nn


def state(run, group):
    """The arrays below a group of a run's last checkpoint, by their dotted names."""
    arrays = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = torch.tensor(item[()])

    with h5py.File(os.path.join(run, "checkpoints", "last.h5")) as file:
        file[group].visititems(keep)
    return arrays


def loaded(net, run, group):
    net.load_state_dict(state(run, group), strict=True)
    return net.eval()


def save(rows, path):
    """Images (H, W) of bytes, side by side in rows, twice as large."""
    picture = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    height, width = picture.shape
    Image.fromarray(picture).resize((2 * width, 2 * height), Image.NEAREST).save(path, optimize=True)


def as_bytes(values):
    return (values * 255).clip(0, 255).round().astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("autoencoder")
    parser.add_argument("gan")
    parser.add_argument("folder")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    args = parser.parse_args()

    def idx(name, header):
        return np.frombuffer(gzip.open(os.path.join(args.data, name)).read()[header:], np.uint8)

    images = idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = idx("t10k-labels-idx1-ubyte.gz", 8)
    shown = [int(np.flatnonzero(labels == c)[1]) for c in range(10)] + [int(np.flatnonzero(labels == c)[2]) for c in (0, 1, 5, 7, 8, 9)]

    autoencoder = loaded(nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 32), nn.Linear(32, 256), nn.ReLU(),
                                       nn.Linear(256, 784), nn.Unflatten(1, (1, 28, 28))), args.autoencoder, "model")
    generator = loaded(nn.Sequential(nn.Linear(64, 256), nn.LeakyReLU(0.2), nn.Linear(256, 512), nn.LeakyReLU(0.2), nn.Linear(512, 784),
                                     nn.Tanh(), nn.Unflatten(1, (1, 28, 28))), args.gan, "models/generator")
    torch.manual_seed(0)
    with torch.no_grad():
        again = torch.sigmoid(autoencoder(torch.tensor(images[shown]).float() / 255)).numpy()
        made = generator(torch.randn(48, 64)).numpy()
    save([images[shown, 0], as_bytes(again[:, 0])], os.path.join(args.folder, "autoencoder.png"))
    save(as_bytes(made[:, 0] * 0.5 + 0.5).reshape(3, 16, 28, 28), os.path.join(args.folder, "gan.png"))


if __name__ == "__main__":
    main()
