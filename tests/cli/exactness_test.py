"""N steps = k steps + kill -9 + resume + rest, bit for bit: weights, optimizer, history, steps; at any k, any number of
times. The threads are fixed; everything random is a function of the seed and the position."""

import os
import random
import signal
import subprocess
import time
import unittest

from cli import SMALL, TRAINCTL, CliTest, changed, main, synthetic

# Saving and validation take a good part of the time, so that random moments meet them. Ragged batches, accumulation,
# dropout, a schedule and reports within the epoch are all in it.
RUN = changed(
    SMALL,
    data={
        "train": {"dataset": synthetic(3001), "batch_size": 16, "shuffle": True},
        "val": {"dataset": synthetic(20000, first=4000), "batch_size": 99},
    },
    trainer={"max": "12 epochs", "threads": 1, "device": "cpu", "accumulate": 2, "clip_grad_norm": 1.0, "log_every": "7 steps",
             "validate_every": "31 steps"},
    checkpoint={"every": ["17 steps"], "keep": {"last": 2, "best": {"monitor": "val/loss", "mode": "min"}}},
)
RUN["policies"] = {"lr": {"type": "cosine", "target": "optimizer.lr", "warmup": "20 steps"},
                   "stop": {"type": "early_stopping", "monitor": "val/loss", "mode": "min", "patience": 1000}}

TINY = changed(SMALL, trainer__max="2 epochs", trainer__log_every="5 steps", checkpoint__every=["6 steps"])


class Killed(CliTest):
    def test_random_moments(self):
        """kill -9 at random moments, again and again until the run is through: the end equals an uninterrupted run's"""
        config = self.write("run.yaml", RUN)
        start = time.monotonic()
        self.run_cli("train", config, "--output", "whole")
        seconds = time.monotonic() - start
        reference = self.final_state("whole")
        draw = random.Random(7)
        kills = 0
        for name in ["first", "second", "third"]:
            for _ in range(200):
                process = subprocess.Popen([TRAINCTL, "train", str(config), "--output", name, "--resume", "auto"], cwd=self.folder,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                try:
                    _, err = process.communicate(timeout=draw.uniform(0.02, max(0.1, seconds / 3)))
                    self.assertEqual(process.returncode, 0, err)
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    kills += process.returncode == -signal.SIGKILL
            else:
                self.fail("200 kills, and the run made no progress")
            self.assert_same_end(name, reference, f"in run {name}")
        print(f"{kills} kills in three runs of {seconds:.1f} s", flush=True)
        self.assertGreater(kills, 3)

    def test_twice(self):
        """the same config and seed give the same bits twice, another seed others"""
        config = self.write("tiny.yaml", TINY)
        for name in ["a", "b"]:
            self.run_cli("train", config, "--output", name)
        self.run_cli("train", config, "--output", "c", "--set", "seed=4")
        self.assert_same_end("b", self.final_state("a"))
        self.assertNotEqual(self.final_state("c")["arrays"], self.final_state("a")["arrays"])

    def test_stopped_ten_times(self):
        """ten resumes of resumes by a time limit of nothing, each a step or so further"""
        # Without validation, which is done whole or begun again: under this limit it would never end.
        config = self.write("tiny.yaml", changed(TINY, data={"train": TINY["data"]["train"]}, checkpoint={"every": ["6 steps"]}))
        self.run_cli("train", config, "--output", "whole")
        process = None
        for attempt in range(40):
            process = subprocess.run([TRAINCTL, "train", str(config), "--output", "run", "--resume", "auto", "--set", "trainer.time_limit=0.0001 s"],
                                     cwd=self.folder, capture_output=True, text=True)
            if process.returncode == 0:
                break
            self.assertEqual(process.returncode, 85, process.stderr)
        self.assertEqual(process.returncode, 0, "40 attempts did not make 32 steps")
        self.assertGreaterEqual(attempt, 10)
        state, reference = self.final_state("run"), self.final_state("whole")
        self.assertEqual(state["arrays"], reference["arrays"])
        self.assertEqual(state["history"], reference["history"])


class Choices(CliTest):
    def test_taken_again(self):
        """a run keeps which implementation computed what; a resume takes the same, and says so where it cannot"""
        config = self.write("tiny.yaml", TINY)
        self.run_cli("train", config, "--output", "run")
        checkpoint = self.folder / "run/checkpoints/last.h5"
        choices = self.run_json("inspect", checkpoint)["choices"]
        self.assertTrue(any(key.startswith("cpu linear ") for key in choices), choices)
        self.assertTrue(any(key.startswith("cpu linear ") and " training" not in key for key in choices), "validation is missing")
        loops = {name for name in choices.values() if name.startswith("loops:")}
        self.assertEqual(len(loops), 1)
        done = self.run_cli("resume", "run", "--more", "1 epochs")
        self.assertNotIn("bits may differ", done.stderr)
        self.assertEqual(self.run_json("inspect", checkpoint)["choices"], choices)
        looks = ["eval", "run", "--split", "val"], ["predict", "run", "--split", "val", "--output", "p.csv"]
        for look in looks:
            self.assertNotIn("bits may differ", self.run_cli(*look).stderr)
        if loops == {"loops:v2"}:
            return  # this machine knows no others
        # As if the run went on on a machine of less.
        less = {**os.environ, "TRAINCTL_CPU_ISA": "v2"}
        for look in looks:
            self.assertEqual(self.run_cli(*look, env=less).stderr.count("bits may differ"), 1)
        done = self.run_cli("resume", "run", "--more", "1 epochs", env=less)
        self.assertEqual(done.stderr.count("bits may differ"), 1, done.stderr)
        self.assertIn(loops.pop(), done.stderr)
        self.assertIn("'loops:v2'", done.stderr)
        self.assertIn("loops:v2", self.run_json("inspect", checkpoint)["choices"].values())

    def test_deterministic_on_the_cpu(self):
        """trainer.deterministic: false changes nothing on the CPU, and a run goes on with it only by --force"""
        config = self.write("tiny.yaml", TINY)
        self.run_cli("train", config, "--output", "a")
        self.run_cli("train", config, "--output", "b", "--set", "trainer.deterministic=false")
        self.assertEqual(self.final_state("a")["arrays"], self.final_state("b")["arrays"])
        error = self.error("resume", "a", "--set", "trainer.deterministic=false", expect=3)
        self.assertIn("trainer.deterministic", error["message"])


SHIM = os.environ.get("FAULT_SHIM", "")


@unittest.skipUnless(SHIM and os.path.exists(SHIM), "the shim cannot be preloaded into this build")
class Writes(CliTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("tiny.yaml", TINY)
        count = self.folder / "count"
        self.run_cli("train", self.config, "--output", "whole", env=self.faults(FAULT_COUNT=count))
        self.calls = int(count.read_text())
        self.reference = self.final_state("whole")

    @staticmethod
    def faults(**values):
        return {**os.environ, "LD_PRELOAD": SHIM, **{key: str(value) for key, value in values.items()}}

    def test_kill_at_writes(self):
        """kill -9 at writes, fsyncs and renames spread over the whole run, then resume: the same bits"""
        self.assertGreater(self.calls, 40)
        points = sorted({1, 2, 3, self.calls - 1, *range(4, self.calls, max(1, self.calls // 30))})
        for at in points:
            name = f"run-{at}"
            self.run_cli("train", self.config, "--output", name, expect=-signal.SIGKILL, env=self.faults(FAULT_AT=at, FAULT_KIND="kill"))
            self.run_cli("train", self.config, "--output", name, "--resume", "auto")
            self.assert_same_end(name, self.reference, f"after a kill at call {at}")
            leftovers = [p.name for p in (self.folder / name / "checkpoints").iterdir() if not p.name.endswith(".h5")]
            self.assertEqual(leftovers, [])
        print(f"{len(points)} of {self.calls} calls were kill points", flush=True)

    def test_disk_full_at_writes(self):
        """one failing call: the run goes on or ends with 6, and resumed it ends with the same bits"""
        for kind in ["ENOSPC", "EIO"]:
            for at in range(2, self.calls, max(1, self.calls // 12)):
                name = f"{kind}-{at}"
                done = subprocess.run([TRAINCTL, "train", str(self.config), "--output", name], cwd=self.folder, capture_output=True,
                                      text=True, env=self.faults(FAULT_AT=at, FAULT_KIND=kind))
                self.assertIn(done.returncode, [0, 6], f"{kind} at call {at}: {done.stderr}")
                if done.returncode == 6:
                    self.run_cli("train", self.config, "--output", name, "--resume", "auto")
                state = self.final_state(name)
                self.assertEqual(state["arrays"], self.reference["arrays"], f"{kind} at call {at}")
                self.assertEqual(state["history"], self.reference["history"], f"{kind} at call {at}")


if __name__ == "__main__":
    main()
