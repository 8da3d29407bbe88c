#!/usr/bin/env python3
"""Makes data/schedules.json: what PyTorch's learning-rate schedulers give for 100 steps, ten of them an epoch.

    python3 make_schedules.py        (PyTorch 2.x)

Each case has the policy that is to give the same values from a base of 0.5. Schedulers that PyTorch's users step once an
epoch are stepped so here, and their values are those of each step of the epoch. Plateau cases have a value for each of
the 40 reports, and the learning rate after it.
"""
import json
import math
import os
import warnings

import torch
from torch.optim import lr_scheduler as S

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
BASE, STEPS, STEPS_PER_EPOCH = 0.5, 100, 10


def optimizer(momentum=0.0):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE, momentum=momentum)


def values(make, key="lr", by_epoch=False, momentum=0.0):
    o = optimizer(momentum)
    scheduler = make(o)
    out = []
    for step in range(STEPS):
        out.append(float(o.param_groups[0][key]))
        o.step()
        if step + 1 < STEPS and (not by_epoch or (step + 1) % STEPS_PER_EPOCH == 0):
            scheduler.step()
    return out


def case(policy, make, base=BASE, **how):
    return {"policy": "{target: x, " + policy + "}", "base": base, "values": values(make, **how)}


def schedules():
    epoch = {"by_epoch": True}
    yield case("type: constant", lambda o: S.LambdaLR(o, lambda s: 1.0))
    yield case("type: sequence, segments: [{type: constant, value: 0.125, over: 20 steps}, constant]",
               lambda o: S.ConstantLR(o, factor=0.25, total_iters=20))
    yield case("type: cosine, final: 0.01", lambda o: S.CosineAnnealingLR(o, T_max=100, eta_min=0.01))
    yield case("type: cosine, final: 0.01, interval: epoch", lambda o: S.CosineAnnealingLR(o, T_max=10, eta_min=0.01), **epoch)
    yield case("type: cosine_restarts, period: 17 steps, final: 0.02", lambda o: S.CosineAnnealingWarmRestarts(o, T_0=17, eta_min=0.02))
    yield case("type: cosine_restarts, period: 10 steps, period_multiplier: 2",
               lambda o: S.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=2))
    yield case("type: cosine_restarts, period: 2 epochs, period_multiplier: 3, interval: epoch",
               lambda o: S.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=3), **epoch)
    yield case("type: exponential, multiplier: 0.9", lambda o: S.ExponentialLR(o, gamma=0.9), **epoch)
    yield case("type: exponential, multiplier: 0.97, every: 1 steps", lambda o: S.ExponentialLR(o, gamma=0.97))
    yield case("type: linear, start: 0.15, end: 0.45, over: 40 steps",
               lambda o: S.LinearLR(o, start_factor=0.3, end_factor=0.9, total_iters=40))
    yield case("type: linear, end: 0.05, over: 7 epochs, interval: epoch",
               lambda o: S.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=7), **epoch)
    yield case("type: polynomial, power: 2, over: 80 steps", lambda o: S.PolynomialLR(o, total_iters=80, power=2))
    yield case("type: polynomial, power: 0.9, interval: epoch", lambda o: S.PolynomialLR(o, total_iters=10, power=0.9), **epoch)
    yield case("type: step, every: 3 epochs, gamma: 0.3", lambda o: S.StepLR(o, 3, gamma=0.3), **epoch)
    yield case("type: step, every: 7 steps, gamma: 0.8", lambda o: S.StepLR(o, 7, gamma=0.8))
    yield case("type: multi_step, milestones: [2 epochs, 3 epochs, 8 epochs], gamma: 0.2",
               lambda o: S.MultiStepLR(o, [2, 3, 8], gamma=0.2), **epoch)
    yield case("type: multi_step, milestones: [1 steps, 55 steps], gamma: 0.5", lambda o: S.MultiStepLR(o, [1, 55], gamma=0.5))
    yield case("type: schedule, multipliers: {2: 0.5, 5: 3, 6 epochs: 0.1}",
               lambda o: S.LambdaLR(o, lambda e: (0.5 if e >= 2 else 1) * (3 if e >= 5 else 1) * (0.1 if e >= 6 else 1)), **epoch)
    yield case("type: triangular, min: 0.1, max: 0.7, step_size_up: 13 steps",
               lambda o: S.CyclicLR(o, 0.1, 0.7, step_size_up=13, cycle_momentum=False))
    yield case("type: triangular, min: 0.1, max: 0.7, step_size_up: 8 steps, step_size_down: 15 steps, gamma: 0.98",
               lambda o: S.CyclicLR(o, 0.1, 0.7, step_size_up=8, step_size_down=15, mode="exp_range", gamma=0.98, cycle_momentum=False))
    yield case("type: triangular2, min: 0.1, max: 0.7, step_size_up: 1 epoch",
               lambda o: S.CyclicLR(o, 0.1, 0.7, step_size_up=10, mode="triangular2", cycle_momentum=False))
    yield case("type: one_cycle", lambda o: S.OneCycleLR(o, max_lr=BASE, total_steps=STEPS))
    yield case("type: one_cycle, max: 0.9, pct_start: 0.25, anneal_strategy: linear, div_factor: 10, final_div_factor: 100",
               lambda o: S.OneCycleLR(o, max_lr=0.9, total_steps=STEPS, pct_start=0.25, anneal_strategy="linear", div_factor=10, final_div_factor=100))
    yield case("type: one_cycle, pct_start: 0.4, three_phase: true",
               lambda o: S.OneCycleLR(o, max_lr=BASE, total_steps=STEPS, pct_start=0.4, three_phase=True))
    yield case("type: one_cycle, max: 0.85, div_factor: 0.8947368421052632, final_div_factor: 1",
               lambda o: S.OneCycleLR(o, max_lr=BASE, total_steps=STEPS, base_momentum=0.85, max_momentum=0.95), key="momentum", momentum=0.9)
    yield case("type: sequence, segments: [{type: linear, start: 0.05, end: 0.5, over: 2 epochs}, {type: exponential, multiplier: 0.95, every: 1 steps, "
               "over: 5 epochs}, {type: cosine, final: 0.1}]",
               lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 20), S.ExponentialLR(o, 0.95), S.CosineAnnealingLR(o, 30, 0.1)], [20, 70]))


def plateau(policy, mode, reports, **how):
    o = optimizer()
    scheduler = S.ReduceLROnPlateau(o, mode=mode, **how)
    out = []
    for value in reports:
        scheduler.step(value)
        out.append(float(o.param_groups[0]["lr"]))
    return {"policy": "{type: reduce_on_plateau, target: x, monitor: m, mode: " + mode + ", " + policy + "}", "base": BASE,
            "reports": reports, "values": out}


def plateaus():
    losses = [math.exp(-i / 6) + 0.3 + 0.02 * math.sin(5 * i) for i in range(40)]
    scores = [1 - x for x in losses]
    yield plateau("patience: 2, factor: 0.5", "min", losses, patience=2, factor=0.5)
    yield plateau("patience: 0, factor: 0.7, cooldown: 3, min: 0.02", "min", losses, patience=0, factor=0.7, cooldown=3, min_lr=0.02)
    yield plateau("patience: 1, factor: 0.6, rtol: 0, atol: 0.03", "min", losses, patience=1, factor=0.6, threshold=0.03, threshold_mode="abs")
    yield plateau("patience: 1, factor: 0.5, rtol: 0.05, eps: 0.01", "max", scores, patience=1, factor=0.5, threshold=0.05, eps=0.01)


if __name__ == "__main__":
    document = {"torch": torch.__version__, "steps_per_epoch": STEPS_PER_EPOCH, "schedules": list(schedules()), "plateaus": list(plateaus())}
    with open(os.path.join(HERE, "data", "schedules.json"), "w") as file:
        text = json.dumps(document, indent=0).replace(",\n", ", ").replace("[\n", "[").replace("\n]", "]")
        file.write(text.replace(', {\n"policy"', ',\n{"policy"').replace('[{\n"policy"', '[\n{"policy"').replace("\n}", "}") + "\n")
