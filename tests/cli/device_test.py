"""A device with memory of its own and a mind of its own, without a GPU: the module of toy_gpu.cpp in the place of `cuda`."""

import json
import os

from cli import SMALL, CliTest, changed, main, npy

MODULES = os.environ.get("TOY_MODULES", "")


class ToyGpu(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "x.npy").write_bytes(npy([203, 8], "<f4", [((7 * i) % 23) / 11 - 1 for i in range(8 * 203)]))
        (self.folder / "y.npy").write_bytes(npy([203], "<i8", [(i * i) % 4 for i in range(203)]))
        dataset = {"type": "npy", "input": "x.npy", "target": "y.npy", "classes": 4}
        self.config = self.write("arrays.yaml", changed(
            SMALL, data={"train": {"dataset": dataset, "batch_size": 7, "shuffle": True}, "val": {"dataset": dataset, "batch_size": 10},
                         "standardize": {"input": {"per": "channel"}}},
            loss={"type": "cross_entropy", "class_weights": [1, 2, 3, 4]},
            policies={"rate": {"type": "cosine", "target": "optimizer.lr", "warmup": "5 steps"}, "norms": {"type": "gradient_statistics"},
                      "plateau": {"type": "reduce_on_plateau", "target": "optimizer.lr", "monitor": "val/loss", "mode": "min", "patience": 1},
                      "cycle": {"type": "one_cycle", "target": "loss.label_smoothing"}},
            averages={"ema": {"decay": 0.9}}, trainer__evaluate="ema",
            trainer__log_every="5 steps", checkpoint__every=["7 steps"]))
        self.samples = 203 * (8 * 4 + 8)  # bytes of a split

    def on(self, memory=1 << 30, runs=None):
        environment = {**os.environ, "TRAINCTL_MODULES": MODULES, "TOY_GPU_MEMORY": str(memory)}
        return environment if runs is None else {**environment, "TOY_GPU_RUNS": str(runs)}

    def memory(self, *arguments, memory=1 << 30):
        return self.run_json("check", self.config, "--device", "cuda", *arguments, env=self.on(memory))["memory"]

    def sizes(self):
        """Bytes that the device needs with all data there, with one split, and with none."""
        whole = self.memory()["total"]
        one = self.memory(memory=whole - 1)
        none = self.memory(memory=one["total"] - 1)
        return whole, one["total"], none["total"]

    def test_placements(self):
        """what fits lies on the device, what does not in the host's memory, what fits neither in files; check and the log say so"""
        whole, one, none = self.sizes()
        self.assertEqual({name: split["places"] for name, split in self.memory()["placements"].items()}, {"train": 0, "val": 0})
        self.assertEqual(sorted(split["places"] for split in self.memory(memory=one)["placements"].values()), [0, 2])
        self.assertLess(whole - one, self.samples)
        reasons = [split["reason"] for split in self.memory(memory=one)["placements"].values()]
        self.assertRegex(max(reasons), "^with the other splits more than the [0-9.]+ KiB that")
        split = self.memory(memory=none)["placements"]["train"]
        self.assertEqual((split["places"], split["loaded"], split["bytes"]), (2, True, self.samples))
        self.assertRegex(split["reason"], r"^more than the [0-9.]+ (Ki)?B that the device has for data$")
        split = self.memory("--set", "data.memory_limit=0")["placements"]["train"]
        self.assertEqual((split["places"], split["loaded"], split["reason"]), (2, False, "larger than data.memory_limit"))
        said = self.run_cli("check", self.config, "--device", "cuda", env=self.on()).stdout
        self.assertIn("data.val: 7.9 KiB of samples, on the device\n", said)
        self.assertIn("of 1.0 GiB on the device", said)
        self.run_cli("train", self.config, "--device", "cuda", "--output", "run", env=self.on(none))
        self.assertRegex((self.folder / "run/log.txt").read_text(), "data.train: 7.9 KiB of samples, in the host's memory, brought batch by batch: more")

    def test_same_bits(self):
        """wherever the data lie the run is the same, and a resume may change that"""
        self.run_cli("train", self.config, "--output", "memory")
        reference = self.final_state("memory")
        whole, one, none = self.sizes()
        cases = {"whole": (whole,), "one": (one,), "none": (none,), "files": (none, "--set", "data.memory_limit=0")}
        for name, (memory, *arguments) in cases.items():
            self.run_cli("train", self.config, "--device", "cuda", "--output", name, *arguments, env=self.on(memory))
            if name != "files":
                self.assert_same_end(name, reference, name)
            self.assertEqual(self.final_state(name)["arrays"], reference["arrays"])
        self.error("train", self.config, "--device", "cuda", "--output", "mixed", expect=6, env=self.on(none, runs=20))
        for memory, runs in (whole, 30), (none, 45), (one, None):
            done = self.run_cli("resume", "mixed", "--device", "cuda", expect=6 if runs else 0, env=self.on(memory, runs))
            self.assertNotIn("not compared", done.stderr)  # the host holds all samples each time
        self.assert_same_end("mixed", reference)

    def test_full(self):
        """a plan that does not fit is told with its size and the device's, and no run directory is left"""
        _, _, none = self.sizes()
        error = self.error("train", self.config, "--device", "cuda", expect=6, env=self.on(none - 1))
        self.assertRegex(error["message"], r"^not enough memory on the device: the plan takes .* KiB \(data .*, arena .*\), and .* KiB of .* KiB are free; use a smaller")
        self.assertEqual(error["kind"], "environment")
        self.assertFalse((self.folder / "runs").exists())
        memory = self.memory()
        # Even if memory goes between the plan and the taking, down to what only the first program's constants would need.
        for lost in memory["constants"] + 1, memory["total"] // 2, memory["total"] - 1:
            error = self.error("train", self.config, "--device", "cuda", expect=6, env={**self.on(memory["total"]), "TOY_GPU_LOST": str(lost)})
            self.assertIn("memory is full", error["message"])
            self.assertFalse((self.folder / "runs").exists())
        for command in ["check", "bench", "find-lr"]:
            self.assertIn("the plan takes", self.error(command, self.config, "--device", "cuda", expect=6, env=self.on(1000))["message"])

    def test_lost(self):
        """a device that is lost in mid-run ends it with its own message; the last checkpoint is whole, and a resume from it ends as if nothing had been"""
        self.run_cli("train", self.config, "--output", "reference")
        error = self.error("train", self.config, "--device", "cuda", "--output", "run", expect=6, env=self.on(runs=100))
        self.assertIn("the toy GPU is lost", error["message"])
        self.assertEqual(json.loads((self.folder / "run/meta.json").read_text())["status"], "failed")
        self.run_cli("inspect", "run/checkpoints/last.h5")
        self.run_cli("resume", "run", "--device", "cuda", env=self.on())
        self.assert_same_end("run", self.final_state("reference"))

    def test_lost_at_start(self):
        """a device that is lost before anything was saved leaves a run that begins anew"""
        self.error("train", self.config, "--device", "cuda", "--output", "run", expect=6, env=self.on(runs=0))
        self.run_cli("train", self.config, "--output", "reference")
        self.run_cli("resume", "run", "--device", "cuda", env=self.on())
        self.assert_same_end("run", self.final_state("reference"))


if __name__ == "__main__":
    main()
