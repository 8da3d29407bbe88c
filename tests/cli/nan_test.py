"""trainer.on_nan: what a number that is not finite does to a run."""

import array
import json
import math
import random
import struct
import subprocess

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main

SAMPLES, FEATURES, BATCH = 320, 6, 32
BAD = 100  # a sample of the fourth batch


def npy(values, kind, shape):
    """The bytes of a NumPy file of format 1.0."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes()


class Nan(CliTest):
    def data(self, name, bad=(), left_out=()):
        """Two files of samples; those in `bad` hold a NaN, the batches in `left_out` are missing."""
        rng = random.Random(5)
        inputs, targets = array.array("f"), array.array("q")
        for i in range(SAMPLES):
            label = rng.randrange(3)
            row = [rng.gauss(label if k % 3 == 0 else -label, 1.0) for k in range(FEATURES)]
            if i in bad:
                row[2] = math.nan
            if i // BATCH not in left_out:
                inputs.extend(row)
                targets.append(label)
        (self.folder / f"{name}-x.npy").write_bytes(npy(inputs, "<f4", (len(targets), FEATURES)))
        (self.folder / f"{name}-y.npy").write_bytes(npy(targets, "<i8", (len(targets),)))
        return {"type": "npy", "input": f"{name}-x.npy", "target": f"{name}-y.npy"}

    def config(self, name, dataset, on_nan, **changes):
        config = changed(SMALL, data={"train": {"dataset": dataset, "batch_size": BATCH}}, model__layers=[
            {"type": "linear", "out_features": 16}, "batch_norm", "relu", {"type": "linear", "out_features": 3}],
            trainer={"max": "2 epochs", "threads": 1, "device": "cpu", "on_nan": on_nan}, checkpoint={"every": ["1 epoch"]})
        return self.write(f"{name}.yaml", changed(config, **changes))

    def history(self, run):
        return json.loads((self.folder / run / "history.json").read_text())["epochs"]

    def test_stop(self):
        """stop: the message names the first bad step, though it was noticed later, and nothing of it is saved"""
        error = self.error("train", self.config("stop", self.data("bad", bad={BAD}), "stop"), "--output", "run", expect=5)
        self.assertEqual(error["kind"], "diverged")
        self.assertIn("the loss is not finite since step 4 (epoch 1)", error["message"])
        self.assertEqual(list((self.folder / "run/checkpoints").glob("step-*.h5")), [])

    def test_rectified(self):
        """a rectifier behind the first layer makes no zeros of the NaN"""
        layers = [{"type": "linear", "out_features": 16}, "relu", {"type": "linear", "out_features": 3}]
        config = self.config("rectified", self.data("bad", bad={BAD}), "stop", model__layers=layers)
        self.assertIn("not finite since step 4", self.error("train", config, expect=5)["message"])

    def test_skip(self):
        """skip: the run equals, bit for bit, the one on data without the bad batch, and says how many updates it skipped"""
        self.run_cli("train", self.config("skip", self.data("bad", bad={BAD}), "skip"), "--output", "skip")
        self.run_cli("train", self.config("without", self.data("good", left_out={BAD // BATCH}), "stop"), "--output", "without")
        skip, without = self.final_state("skip"), self.final_state("without")
        parts = [path for path in without["arrays"] if path.startswith(("model/", "optimizer/"))]
        self.assertGreater(len(parts), 8)
        for path in parts:
            self.assertEqual(skip["arrays"][path], without["arrays"][path], path)
        for record, wanted in zip(self.history("skip"), self.history("without"), strict=True):
            self.assertEqual(record["values"]["train/loss"], wanted["values"]["train/loss"])
            self.assertEqual(record["values"]["train/accuracy"], wanted["values"]["train/accuracy"])
            self.assertEqual(record["values"]["train/skipped_updates"], 1)
        self.assertIn("1 of the 10 updates up to step 10 were skipped", (self.folder / "skip/log.txt").read_text())

    def test_skip_within_an_update(self):
        """skip with accumulate: the whole update is skipped, its good batch is no part of another"""
        config = self.config("skip", self.data("bad", bad={BAD}), "skip", trainer__accumulate=2)
        self.run_cli("train", config, "--output", "skip")
        self.run_cli("train", self.config("without", self.data("good", left_out={2, 3}), "stop", trainer__accumulate=2),
                     "--output", "without")
        skip, without = self.final_state("skip"), self.final_state("without")
        parts = [path for path in without["arrays"] if path.endswith((".weight", ".bias"))]
        self.assertGreater(len(parts), 4)
        for path in parts:
            self.assertEqual(skip["arrays"][path], without["arrays"][path], path)
        for record in self.history("skip"):
            self.assertEqual(record["values"]["train/skipped_updates"], 1)
            self.assertTrue(math.isfinite(record["values"]["train/loss"]))

    def test_skip_and_resume(self):
        """stopped at many moments and resumed, skipping is no different"""
        config = self.config("skip", self.data("bad", bad={BAD}), "skip", trainer__log_every="3 steps")
        self.run_cli("train", config, "--output", "whole")
        reference = self.final_state("whole")
        for attempt in range(40):
            limit = f"trainer.time_limit={1e-5 * 1.5**attempt:.6f} s"
            done = subprocess.run([TRAINCTL, "train", config, "--output", "parts", "--resume", "auto", "--set", limit],
                                  cwd=self.folder, capture_output=True, text=True)
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, 85, done.stderr)
        self.assertGreater(attempt, 3)
        self.assert_same_end("parts", reference)

    def test_skip_all(self):
        """a run that skips everything ends with 5"""
        config = self.config("skip", self.data("bad", bad=range(SAMPLES)), "skip")
        error = self.error("train", config, expect=5)
        self.assertIn("all 10 updates up to step 10 were skipped", error["message"])

    def test_rollback(self):
        """rollback: the newest checkpoint's weights are taken, the batches that follow are trained on, time goes on"""
        config = self.config("back", self.data("bad", bad={BAD}), "rollback", checkpoint__every=["3 steps"])
        document = self.run_json("train", config, "--output", "run")
        self.assertEqual((document["step"], document["epoch"]), (20, 2))
        self.assertEqual([record["values"]["rollbacks"] for record in self.history("run")], [1, 2])
        log = (self.folder / "run/log.txt").read_text()
        self.assertIn("the loss is not finite since step 4 (epoch 1); the state of the checkpoint of step 3 is taken", log)
        self.assertIn("the loss is not finite since step 14 (epoch 2); the state of the checkpoint of step 12 is taken", log)
        # Steps 1-3 and 7-20 less the bad ones are what the sums are made of.
        for record in self.history("run"):
            self.assertTrue(math.isfinite(record["values"]["train/loss"]))

    def test_rollback_without_checkpoint(self):
        """rollback with nothing to go back to: 5, and the message says so"""
        error = self.error("train", self.config("back", self.data("bad", bad={BAD}), "rollback"), expect=5)
        self.assertIn("there is no checkpoint yet", error["message"])

    def test_rollback_in_vain(self):
        """rollbacks that lead to the same checkpoint again and again end the run"""
        config = self.config("back", self.data("bad", bad=range(BATCH * 3, SAMPLES)), "rollback", checkpoint__every=["3 steps"],
                             trainer__log_every="1 step")
        error = self.error("train", config, expect=5)
        self.assertIn("after 3 rollbacks to the same weights", error["message"])

    def test_rollback_of_a_rate(self):
        """the example: an epoch with a rate far too high is taken back, and the run ends well"""
        self.run_cli("train", SOURCE / "configs/trainer/rollback.yaml", "--output", "run")
        values = [record["values"] for record in self.history("run")]
        self.assertEqual([value["rollbacks"] for value in values], [0, values[1]["rollbacks"], *[values[1]["rollbacks"]] * 2])
        self.assertGreaterEqual(values[1]["rollbacks"], 1)
        self.assertLess(values[3]["val/loss"], values[0]["val/loss"])

    def test_rollback_and_resume(self):
        """stopped at many moments, the example goes on to its end, and no checkpoint ever holds what is not finite"""
        config = SOURCE / "configs/trainer/rollback.yaml"
        for attempt in range(40):
            limit = f"trainer.time_limit={1e-5 * 1.5**attempt:.6f} s"
            done = subprocess.run([TRAINCTL, "train", config, "--output", "parts", "--resume", "auto", "--set", limit],
                                  cwd=self.folder, capture_output=True, text=True)
            for file in (self.folder / "parts/checkpoints").glob("step-*.h5"):
                self.run_cli("inspect", file)
                self.run_cli("eval", file)
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, 85, done.stderr)
        self.assertGreater(attempt, 3)
        values = self.history("parts")[-1]["values"]
        self.assertGreaterEqual(values["rollbacks"], 1)
        self.assertTrue(math.isfinite(values["val/loss"]))

    def test_shown(self):
        """a validation loss that is not a number has no sign"""
        exploding = self.write("a.yaml", changed(SMALL, optimizer={"type": "sgd", "lr": 1e30}, trainer__on_nan="skip"))
        done = self.run_cli("train", exploding, "--output", "run", expect=5)
        self.assertIn("val/loss nan", done.stderr)

    def test_another_choice(self):
        """a run that diverged goes on when on_nan is changed: the graph is not another"""
        config = self.config("stop", self.data("bad", bad={BAD}), "stop", checkpoint__every=["2 steps"])
        self.error("train", config, "--output", "run", expect=5)
        document = self.run_json("resume", "run", "--set", "trainer.on_nan=skip")
        self.assertEqual(document["step"], 20)


if __name__ == "__main__":
    main()
