#!/usr/bin/env python3
"""The works of configs/bench in PyTorch (torch_works.py), for scripts/bench_peers.

    python3 torch_peer.py --work mlp|lenet|cnn|resnet18 [--mode eager|compile] [--fused] [--channels-last]
                          [--batch 128] [--steps 200] [--threads 2] [--data DIR]

Prints one JSON line: samples per second over steps 2..N, seconds from the start of the process to the end of the first
step, peak resident memory in MiB, and the loss of every step. Data lie in memory as bytes; a batch is indexed, made
float and divided by 255. Each epoch has a seeded order of its own; a last batch that is not full is left out.

    python3 torch_peer.py --serve --work WORK [--device cuda] [--precision fp32|tf32|bf16] [--batch N] [--data DIR|synthetic]

stays, and answers commands on stdin, each a line of JSON, with a line of JSON on stdout: {"prepare": "eager"}, "compile" or
"graphs" builds a way to train, at its best settings; {"round": "eager", "seconds": 0.4} measures it. The data lie on the
device. So many ways are measured in turn, and each starts and compiles but once. Without --serve, `--device cuda` does one
step and says how long after the start of the process it was done.
"""
import argparse
import gc
import itertools
import json
import os
import resource
import sys
import time
import traceback


def seconds_since_start():
    with open("/proc/self/stat") as f:
        start_ticks = int(f.read().rpartition(")")[2].split()[19])
    with open("/proc/uptime") as f:
        return float(f.read().split()[0]) - start_ticks / os.sysconf("SC_CLK_TCK")


import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from torch_works import load, make  # noqa: E402


# ---- on a GPU ----------------------------------------------------------------------------------------------------------


class Work:
    """A work's data and how it is trained, on a device in a precision."""

    def __init__(self, name, device, precision, batch, folder):
        self.name, self.device, self.precision, self.batch = name, device, precision, batch
        self.cuda = device == "cuda"
        if self.cuda:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
            torch.backends.cudnn.benchmark = True
        images, labels = load(name, folder)
        self.labels = labels.to(device)
        self.images = {False: images.to(device)}
        # Of one channel both are the same bytes.
        self.images[True] = self.images[False].permute(0, 2, 3, 1).contiguous()
        self.data_mib = (images.numel() + 8 * labels.numel()) / 2**20

    def layouts(self):
        """Whether images are channels-last: what is worth trying."""
        return [False] if self.name == "mlp" else [True, False]

    def optimizer(self, parameters, fused, capturable):
        if self.name == "resnet18":
            return torch.optim.SGD(parameters, 0.05, momentum=0.9, fused=fused, foreach=not fused)
        return torch.optim.Adam(parameters, 1e-3, fused=fused, foreach=not fused, capturable=capturable and self.cuda)

    def batches(self):
        """Indices of the samples of one batch after another, for ever."""
        generator = torch.Generator(device=self.device)
        per_epoch = len(self.labels) // self.batch
        for epoch in itertools.count():
            order = torch.randperm(len(self.labels), generator=generator.manual_seed(epoch), device=self.device)
            for i in range(per_epoch):
                yield order[i * self.batch : (i + 1) * self.batch]

    def synchronize(self):
        if self.cuda:
            torch.cuda.synchronize()

    def reserved(self):
        return torch.cuda.memory_reserved() if self.cuda else 0

    def release(self):
        """Gives back all memory that nothing uses, so that the next way is measured from there."""
        gc.collect()
        if self.cuda:
            torch.cuda.synchronize()
            if hasattr(torch._C, "_cuda_clearCublasWorkspaces"):
                torch._C._cuda_clearCublasWorkspaces()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


class BatchLoss(nn.Module):
    """The loss of the samples of an index: gathered from the bytes on the device, made float, through the model."""

    def __init__(self, work, channels_last):
        super().__init__()
        self.model = make(work.name).to(work.device)
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.register_buffer("images", work.images[channels_last])
        self.register_buffer("labels", work.labels)
        self.device, self.channels_last, self.bf16 = work.device, channels_last, work.precision == "bf16"

    def forward(self, index):
        x = self.images[index]
        if self.channels_last:
            x = x.permute(0, 3, 1, 2)
        x = x.float().div_(255)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            return F.cross_entropy(self.model(x), self.labels[index])


class Way:
    """A work's training step, eager, compiled or as one captured graph, from the same first weights on.

    `update` is "fused" or "foreach", PyTorch's own optimizers, or "compiled". `losses` holds those of the steps that building
    took. step() trains on the next batch; the loss that it returns may be overwritten by the next.
    """

    def __init__(self, work, mode, channels_last, update):
        self.work, self.mode = work, mode
        self.batches = work.batches()
        torch.manual_seed(0)
        self.forward = module = BatchLoss(work, channels_last)
        self.optimizer = work.optimizer(module.model.parameters(), fused=update == "fused", capturable=mode != "eager")
        self.update = self.optimizer.step
        self.index = torch.zeros(work.batch, dtype=torch.int64, device=work.device)
        self.losses = []
        if mode == "compile":
            for fixed in (module.images, module.labels, self.index):
                torch._dynamo.mark_static_address(fixed)
            self.forward = torch.compile(module, mode="reduce-overhead")
            if update == "compiled":
                self.update = torch.compile(self.optimizer.step, mode="reduce-overhead")
            for _ in range(6):  # compiles, warms up, captures, and replays
                self.losses.append(self.step().clone())
        if mode == "graphs":
            self.capture()

    def train(self, index):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(index)
        loss.backward()
        self.update()
        return loss.detach()

    def capture(self):
        torch.cuda.synchronize()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):  # makes what is made once: the optimizer's state, cuDNN's choices
                self.index.copy_(next(self.batches))
                self.losses.append(self.train(self.index).clone())
        torch.cuda.synchronize()
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = self.train(self.index)
        torch.cuda.synchronize()

    def step(self):
        if self.mode == "eager":
            return self.train(next(self.batches))
        self.index.copy_(next(self.batches))
        if self.mode == "graphs":
            self.graph.replay()
            return self.loss
        torch.compiler.cudagraph_mark_step_begin()
        return self.train(self.index)

    def seconds(self, steps):
        self.work.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        self.work.synchronize()
        return time.perf_counter() - start

    def samples_per_s(self, seconds):
        """Measured over about so long, after half of that or more to warm up."""
        steps, spent = 4, 0.0
        while True:
            took = self.seconds(steps)
            spent += took
            if spent >= seconds / 2:
                break
            steps *= 2
        steps = max(4, round(steps * seconds / took))
        return steps * self.work.batch / self.seconds(steps)


class Server:
    """Answers commands: see the top of this file."""

    def __init__(self, args):
        self.args = args
        self.work = None
        self.ways = {}
        self.layout = None

    def settings(self, mode, channels_last):
        layouts = self.work.layouts() if channels_last is None else [channels_last]
        updates = {"eager": ["fused", "foreach"], "graphs": ["fused"], "compile": ["fused", "compiled"]}[mode]
        return list(itertools.product(layouts, updates))

    def first_losses(self, way, steps):
        """Of the first steps. Peak memory counts from where all is warm: cuDNN's trials are not held against PyTorch."""
        losses = way.losses + [way.step().clone() for _ in range(4)]
        if self.work.cuda:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        losses += [way.step().clone() for _ in range(steps - len(losses))]
        return [float(loss) for loss in losses[:steps]]

    def release(self, mode):
        if mode == "compile":
            torch._dynamo.reset()
        self.work.release()

    def try_way(self, mode, channels_last, update, steps, seconds):
        """A way's answer, and the way itself."""
        self.release(mode)
        before = self.work.reserved()
        start = time.perf_counter()
        way = Way(self.work, mode, channels_last, update)
        self.work.synchronize()
        answer = {"settings": update + (", channels-last" if channels_last else ""), "channels_last": channels_last,
                  "build_s": time.perf_counter() - start, "losses": self.first_losses(way, steps)}
        answer["trial_samples_per_s"] = way.samples_per_s(seconds)
        if self.work.cuda:
            answer["peak_device_mib"] = self.work.data_mib + (torch.cuda.max_memory_reserved() - before) / 2**20
        return answer, way

    def prepare(self, mode, steps, channels_last=None, seconds=0.15):
        """Tries the settings that may be best, and keeps the one that is."""
        if self.work is None:
            self.work = Work(self.args.work, self.args.device, self.args.precision, self.args.batch, self.args.data)
        tried, problems, best, way = {}, {}, None, None
        for setting in self.settings(mode, channels_last):
            way = None  # the last one's memory goes before the next takes its own
            try:
                answer, way = self.try_way(mode, *setting, steps, seconds)
            except Exception as error:  # one setting may be impossible where others are not
                traceback.print_exc()
                problems[str(setting)] = first_line(error)
                continue
            tried[answer["settings"]] = answer["trial_samples_per_s"]
            if best is None or answer["trial_samples_per_s"] > best[0]["trial_samples_per_s"]:
                best = (answer, setting)
            kept = setting
        if best is None:
            raise RuntimeError("; ".join(problems.values()))
        if way is None or best[1] != kept:
            way = None
            self.release(mode)
            way = Way(self.work, mode, *best[1])
        self.ways[mode] = way
        name = torch.cuda.get_device_name() if self.work.cuda else "cpu"
        return best[0] | {"tried": tried, "problems": problems, "device": name}

    def answer(self, command):
        if "prepare" in command:
            return self.prepare(command.pop("prepare"), **command)
        return {"samples_per_s": self.ways[command["round"]].samples_per_s(command["seconds"]),
                "peak_rss_mib": peak_rss_mib()}

    def run(self):
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # whatever else is printed is no answer

        def say(answer):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()

        say({"torch": torch.__version__})
        for line in sys.stdin:
            try:
                say(self.answer(json.loads(line)))
            except Exception as error:
                traceback.print_exc()
                say({"error": first_line(error)})


def first_line(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]


def first_step(args):
    work = Work(args.work, args.device, args.precision, args.batch, args.data)
    torch.backends.cudnn.benchmark = False  # its trials would be in the first step
    loss = Way(work, "eager", False, "fused").step()
    work.synchronize()
    print(json.dumps({"torch": torch.__version__, "first_step_s": seconds_since_start(), "peak_rss_mib": peak_rss_mib(), "loss": float(loss)}))


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True, choices=["mlp", "lenet", "cnn", "resnet18"])
    parser.add_argument("--mode", default="eager", choices=["eager", "compile"])
    parser.add_argument("--fused", action="store_true", help="the optimizer's fused implementation")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="the folder of the data set, or: synthetic")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--no-autotune-cache", action="store_true", help="keep no choices that are timed beside other work")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.no_autotune_cache:
        from torch._inductor import config as inductor

        inductor.autotune_local_cache = False
    if args.serve:
        return Server(args).run()
    if args.device == "cuda":
        return first_step(args)
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
                      "peak_rss_mib": peak_rss_mib(), "losses": [float(v) for v in losses]}))


if __name__ == "__main__":
    main()
