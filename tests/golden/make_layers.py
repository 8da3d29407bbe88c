#!/usr/bin/env python3
"""Makes layers.json: outputs and gradients of layers and losses, computed by PyTorch in float64.

    python3 make_layers.py        (PyTorch 2.x; writes layers.json beside this file)

Inputs, parameters and the gradient that flows back come from the lowbias32 mix of a seed, which the test computes too, so that only
results are stored. A case is a layer or a loss as a config writes it.
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from make_golden import mixed

HERE = os.path.dirname(os.path.abspath(__file__))
INPUT, COTANGENT, PARAMETERS, TARGET = 11, 12, 100, 13


def numbers(seed, shape, low=-1.0, high=1.0):
    count = int(np.prod(shape))
    return torch.from_numpy((low + (high - low) * mixed(seed, count)).reshape(shape))


def classes(shape, count):
    return torch.from_numpy((mixed(TARGET, int(np.prod(shape))) * count).astype(np.int64).reshape(shape))


def listed(tensor):
    return [float(f"{v:.10g}") for v in tensor.detach().flatten().tolist()]


def layer(yaml, shape, module, integers=0):
    """One layer; `integers`: inputs are whole numbers below it."""
    module = module.double()
    parameters = {}
    for k, (name, p) in enumerate(module.named_parameters()):
        with torch.no_grad():
            p.copy_(numbers(PARAMETERS + k, p.shape))
        parameters[name] = p
    x = classes(shape, integers) if integers else numbers(INPUT, shape).requires_grad_()
    y = module(x)
    y.backward(numbers(COTANGENT, y.shape))
    gradients = {name: listed(p.grad) for name, p in parameters.items()}
    if not integers:
        gradients["input"] = listed(x.grad)
    return {"layer": yaml, "shape": list(shape), "integers": integers, "output_shape": list(y.shape), "output": listed(y),
            "parameters": {n: list(p.shape) for n, p in parameters.items()}, "gradients": gradients}


def loss(yaml, shape, target, function, low=-2.0, high=2.0):
    """One loss; target: a number of classes, or the range of its numbers."""
    x = numbers(INPUT, shape, low, high).requires_grad_()
    t = classes([shape[0], *shape[2:]], target) if isinstance(target, int) else numbers(TARGET, shape, *target)
    value = function(x, t)
    value.backward()
    return {"loss": yaml, "shape": list(shape), "range": [low, high], "target": target, "value": value.item(), "gradient": listed(x.grad)}


class Pyramid(nn.Module):
    def __init__(self, levels, mode):
        super().__init__()
        pool = nn.AdaptiveMaxPool2d if mode == "max" else nn.AdaptiveAvgPool2d
        self.pools = nn.ModuleList(pool(n) for n in levels)

    def forward(self, x):
        return torch.cat([pool(x).flatten(1) for pool in self.pools], 1)


def focal(x, t, gamma, weights=None):
    log_p = F.log_softmax(x, 1)
    log_q = log_p.gather(1, t.unsqueeze(1)).squeeze(1)
    w = torch.ones(x.shape[1]).double() if weights is None else torch.tensor(weights).double()
    return -(w[t] * (1 - log_q.exp()) ** gamma * log_q).mean()


def focal_with_logits(x, t, gamma, alpha=None):
    p = torch.sigmoid(x)
    q = p * t + (1 - p) * (1 - t)
    a = 1.0 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    return (a * (1 - q) ** gamma * F.binary_cross_entropy_with_logits(x, t, reduction="none")).mean()


def overlap(x, t, above, below, per_sample=False, smooth=1.0):
    if t.is_floating_point():
        p = torch.sigmoid(x)
    else:
        p = torch.softmax(x, 1)
        t = F.one_hot(t, x.shape[1]).movedim(-1, 1).double()
    axes = [0, *range(2, x.dim())] if not per_sample else list(range(2, x.dim()))
    hits, said, truth = (p * t).sum(axes), p.sum(axes), t.sum(axes)
    return 1 - ((above(hits) + smooth) / (below(hits, said, truth) + smooth)).mean()


def dice(x, t, **options):
    return overlap(x, t, lambda tp: 2 * tp, lambda tp, p, q: p + q, **options)


def tversky(x, t, alpha, beta, **options):
    return overlap(x, t, lambda tp: tp, lambda tp, p, q: tp + alpha * (p - tp) + beta * (q - tp), **options)


def cosine(x, t):
    return F.cosine_embedding_loss(x.flatten(1), t.flatten(1), torch.ones(x.shape[0]))


def main():
    image = (2, 4, 5, 3)
    cases = [
        layer("{type: group_norm, num_groups: 2}", image, nn.GroupNorm(2, 4)),
        layer("{type: group_norm, num_groups: 4, affine: false, eps: 0.01}", image, nn.GroupNorm(4, 4, 0.01, False)),
        layer("{type: group_norm, num_groups: 2}", (3, 6), nn.GroupNorm(2, 6)),
        layer("instance_norm", image, nn.InstanceNorm2d(4)),
        layer("{type: instance_norm, affine: true}", (2, 3, 7), nn.InstanceNorm1d(3, affine=True)),
        layer("prelu", image, nn.PReLU()),
        layer("{type: prelu, num_parameters: 4}", image, nn.PReLU(4)),
        layer("hardswish", image, nn.Hardswish()),
        layer("{type: softplus, beta: 2.5}", image, nn.Softplus(2.5)),
        layer("{type: embedding, num_embeddings: 7, embedding_dim: 3}", (4, 5), nn.Embedding(7, 3), integers=7),
        layer("{type: conv_transpose2d, out_channels: 3, kernel_size: 3}", image, nn.ConvTranspose2d(4, 3, 3)),
        layer("{type: conv_transpose2d, out_channels: 6, kernel_size: [4, 3], stride: [2, 3], padding: 1, output_padding: [1, 2], groups: 2}",
              image, nn.ConvTranspose2d(4, 6, (4, 3), (2, 3), 1, (1, 2), groups=2)),
        layer("{type: conv_transpose2d, out_channels: 2, kernel_size: 2, dilation: 2, bias: false}", image,
              nn.ConvTranspose2d(4, 2, 2, dilation=2, bias=False)),
        layer("{type: upsample, scale_factor: 2}", image, nn.Upsample(scale_factor=2)),
        layer("{type: upsample, size: [7, 4]}", image, nn.Upsample((7, 4))),
        layer("{type: upsample, scale_factor: 3, mode: bilinear}", image, nn.Upsample(scale_factor=3, mode="bilinear")),
        layer("{type: upsample, size: [3, 8], mode: bilinear}", image, nn.Upsample((3, 8), mode="bilinear")),
        layer("{type: upsample, size: [9, 7], mode: bilinear, align_corners: true}", image,
              nn.Upsample((9, 7), mode="bilinear", align_corners=True)),
        layer("{type: adaptive_avg_pool2d, output_size: [3, 2]}", image, nn.AdaptiveAvgPool2d((3, 2))),
        layer("{type: adaptive_avg_pool2d, output_size: 6}", image, nn.AdaptiveAvgPool2d(6)),
        layer("{type: adaptive_max_pool2d, output_size: [3, 2]}", image, nn.AdaptiveMaxPool2d((3, 2))),
        layer("{type: adaptive_max_pool2d, output_size: [5, 1]}", image, nn.AdaptiveMaxPool2d((5, 1))),
        layer("{type: pyramid_pooling, levels: [1, 2, 3]}", image, Pyramid([1, 2, 3], "max")),
        layer("{type: pyramid_pooling, levels: [1], mode: average}", image, Pyramid([1], "average")),
        loss("{type: focal, gamma: 2}", (5, 4), 4, lambda x, t: focal(x, t, 2.0)),
        loss("{type: focal, gamma: 0.5, class_weights: [1, 2, 0.5]}", (2, 3, 4), 3, lambda x, t: focal(x, t, 0.5, [1, 2, 0.5])),
        loss("{type: focal, gamma: 0}", (5, 4), 4, F.cross_entropy),
        loss("{type: focal_with_logits, alpha: 0.25}", (5, 4), [0.0, 1.0], lambda x, t: focal_with_logits(x, t, 2.0, 0.25)),
        loss("{type: focal_with_logits, gamma: 1.5}", (5, 4), [0.0, 1.0], lambda x, t: focal_with_logits(x, t, 1.5)),
        loss("dice", (2, 3, 4, 2), 3, dice),
        loss("{type: dice, per_sample: true, smooth: 0.1}", (2, 3, 4, 2), [0.0, 1.0], lambda x, t: dice(x, t, per_sample=True, smooth=0.1)),
        loss("{type: tversky, alpha: 0.3, beta: 0.7}", (2, 3, 4, 2), 3, lambda x, t: tversky(x, t, 0.3, 0.7)),
        loss("{type: tversky, alpha: 1, beta: 1, per_sample: true}", (2, 3, 4), 3, lambda x, t: tversky(x, t, 1.0, 1.0, per_sample=True)),
        loss("kl_div", (5, 4), [0.0, 1.0], F.kl_div, -3.0, -0.1),
        loss("{type: kl_div, log_target: true}", (5, 4), [-3.0, 0.0], lambda x, t: F.kl_div(x, t, log_target=True), -3.0, -0.1),
        loss("cosine", (5, 4), [-1.0, 1.0], cosine),
        loss("cosine", (2, 3, 4), [-1.0, 1.0], cosine),
        # the objective that reductions make
        loss("{type: mse, reduction: sum}", (5, 4), [-1.0, 1.0], lambda x, t: F.mse_loss(x, t, reduction="sum")),
        loss("{type: cross_entropy, reduction: sum}", (2, 3, 4), 3, lambda x, t: F.cross_entropy(x, t, reduction="sum")),
        loss("{type: kl_div, reduction: batch_mean, scale: 2}", (5, 4), [0.0, 1.0],
             lambda x, t: 2 * F.kl_div(x, t, reduction="batchmean"), -3.0, -0.1),
        loss("{type: cosine, reduction: sum}", (5, 4), [-1.0, 1.0], lambda x, t: 5 * cosine(x, t)),
    ]
    with open(os.path.join(HERE, "layers.json"), "w") as f:
        f.write('{"torch": "%s", "cases": [\n' % torch.__version__ + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()
