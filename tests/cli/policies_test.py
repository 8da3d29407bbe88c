"""Policies in whole runs: the configs of configs/policies, stops and what they leave, order, resuming, mistakes."""

import json
import os
import signal
import subprocess
import unittest

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main

SHIM = os.environ.get("FAULT_SHIM", "")
ONE = ["--set", "trainer.threads=1"]
CONFIGS = sorted((SOURCE / "configs/policies").glob("*.yaml"))


def with_policies(policies, **changes):
    return {**changed(SMALL, **changes), "policies": policies}


class Configs(CliTest):
    def values(self, run, name):
        history = json.loads((self.folder / run / "history.json").read_text())
        return [record["values"][name] for record in history["epochs"]]

    def test_all_stopped_and_resumed(self):
        """every config trains, and stopped at many moments and resumed it ends with the same bits, history and reason"""
        self.assertGreaterEqual(len(CONFIGS), 6)
        stops = 0
        for config in CONFIGS:
            with self.subTest(config.stem):
                self.run_cli("train", config, "--output", config.stem, *ONE)
                reference = self.final_state(config.stem)
                for attempt in range(20):
                    limit = ["--set", f"trainer.time_limit={0.0005 * 2 ** attempt:.6f} s"]
                    done = subprocess.run([TRAINCTL, "train", config, "--output", f"{config.stem}-again", "--resume", "auto", *ONE, *limit],
                                          cwd=self.folder, capture_output=True, text=True)
                    if done.returncode == 0:
                        break
                    self.assertEqual(done.returncode, 85, done.stderr)
                    stops += 1
                self.assert_same_end(f"{config.stem}-again", reference)
        self.assertGreater(stops, len(CONFIGS))

    def test_values(self):
        """what the configs say is what the history shows"""
        for name, key, expected in [
            ("by_epoch", "lr", [0.1, 0.1, 0.05, 0.05, 0.005]),
            ("by_epoch", "weight_decay", [1e-3, 1e-3, 1e-3, 1e-4, 1e-4]),
            ("by_epoch", "model.layers.2.p", [0.5, 0.375, 0.25, 0.125, 0]),
            ("by_epoch", "loss.label_smoothing", [0.1, 0.1, 0.05, 0.05, 0.025]),
            ("cyclical", "weight_decay", [1e-3, 5e-4, 2.5e-4, 1.25e-4]),
            ("linear_value", "values.lambd", [4, 3, 2, 1, 1]),
            ("exponential_value", "values.weights", [10, 5, 2.5, 1.25, 0.625]),
            ("exponential_value", "values.slow", [1e-3] * 5),
        ]:
            with self.subTest(f"{name} {key}"):
                if not (self.folder / name).exists():
                    self.run_cli("train", SOURCE / f"configs/policies/{name}.yaml", "--output", name, *ONE)
                for value, wanted in zip(self.values(name, key), expected, strict=True):
                    self.assertAlmostEqual(value, wanted, places=12)

    def test_eval(self):
        """eval measures a loss with the values that policies had driven it to, as the run's own validation did"""
        self.run_cli("train", SOURCE / "configs/policies/by_epoch.yaml", "--output", "run", *ONE)
        for checkpoint in ["last.h5", "best.h5"]:
            measured = self.run_json("eval", self.folder / f"run/checkpoints/{checkpoint}")
            reported = self.values("run", "val/loss")[measured["epoch"] - 1]
            self.assertAlmostEqual(measured["values"]["val/loss"], reported, places=6)

    def test_plateau(self):
        """the plateau's run reduces its learning rate step by step, and ends when it is very small"""
        document = self.run_json("train", SOURCE / "configs/policies/plateau.yaml", "--output", "run", *ONE)
        self.assertRegex(document["reason"], "^stop_when: lr is .*, below 0.0005$")
        rates = self.values("run", "lr")
        self.assertLessEqual({0.1, 0.01, 0.001}, {round(rate, 12) for rate in rates})
        log = (self.folder / "run/log.txt").read_text()
        self.assertIn("optimizer.lr is multiplied by 0.1", log)

    @unittest.skipUnless(os.path.exists(SHIM), "the shim cannot be preloaded into this build")
    def test_killed(self):
        """kill -9 at writes all through a run, and plateau, early stopping, stop_when, stages and statistics go on as if nothing had been"""
        settings = [*ONE, "--set", "checkpoint.every=[19 steps]", "--set", "trainer.log_every=10 steps"]
        faults = lambda **values: {**os.environ, "LD_PRELOAD": SHIM, **values}
        count = self.folder / "count"
        for stem, kills in [("plateau", 6), ("unfreeze", 4), ("gradient_statistics", 4)]:
            config = SOURCE / f"configs/policies/{stem}.yaml"
            self.run_cli("train", config, "--output", stem, *settings, env=faults(FAULT_COUNT=str(count)))
            reference = self.final_state(stem)
            calls = int(count.read_text())
            self.assertGreater(calls, 90)
            for at in range(5, calls, calls // kills):
                name = f"{stem}-{at}"
                self.run_cli("train", config, "--output", name, *settings, expect=-signal.SIGKILL, env=faults(FAULT_AT=str(at), FAULT_KIND="kill"))
                self.run_cli("train", config, "--output", name, *settings, "--resume", "auto")
                self.assert_same_end(name, reference, f"after a kill at call {at} of {calls}")


class Stops(CliTest):
    def test_first_epoch(self):
        """a stop at the end of the first epoch keeps its values and its checkpoint, and the run is finished"""
        small = with_policies({"stop": {"type": "stop_when", "monitor": "train/loss", "below": 1e9}})
        del small["checkpoint"]
        config = self.write("small.yaml", small)
        document = self.run_json("train", config, "--output", "run")
        self.assertEqual(document["step"], 16)
        self.assertIn("stop_when: train/loss is", document["reason"])
        history = json.loads((self.folder / "run/history.json").read_text())
        self.assertEqual([record["epoch"] for record in history["epochs"]], [1])
        self.assertIn("val/accuracy", history["epochs"][0]["values"])
        self.assertEqual((history["status"], history["stop_reason"]), ("finished", document["reason"]))
        checkpoint = self.run_json("inspect", self.folder / "run/checkpoints/last.h5")
        self.assertEqual((checkpoint["state"]["step"], checkpoint["state"]["epoch"]), (16, 1))
        before = self.final_state("run")
        self.assertTrue(self.run_json("resume", "run")["was_finished"])
        self.assertTrue(self.run_json("train", config, "--output", "run", "--resume", "auto")["was_finished"])
        self.assert_same_end("run", before)

    def test_nothing_to_compare_with(self):
        """a ratio has nothing to compare the first epoch with: it goes on; a second epoch that is worse ends it"""
        policy = {"type": "stop_when", "monitor": "train/loss", "ratio": 1.5}
        switch = {"type": "switch", "target": "optimizer.lr", "values": {"1": 3}}
        config = self.write("small.yaml", with_policies({"explode": switch, "stop": policy}, trainer__max="9 epochs"))
        document = self.run_json("train", config)
        self.assertIn("times its lowest value", document["reason"])
        self.assertEqual(document["epoch"], 2)

    def test_order(self):
        """policies act in the order of the file: what one changes, the next sees in the same report"""
        # More of a loss that falls is no improvement, so that each report but the first reduces.
        plateau = {"type": "reduce_on_plateau", "target": "optimizer.lr", "monitor": "train/loss", "mode": "max", "patience": 0}
        stop = {"type": "stop_when", "monitor": "lr", "below": 2e-3}
        for name, policies, epochs in [("after", {"plateau": plateau, "stop": stop}, 2), ("before", {"stop": stop, "plateau": plateau}, 3)]:
            with self.subTest(name):
                config = self.write(f"{name}.yaml", with_policies(policies, trainer__max="9 epochs"))
                self.assertEqual(self.run_json("train", config, "--output", name)["epoch"], epochs)
                history = json.loads((self.folder / name / "history.json").read_text())
                rates = [record["values"]["lr"] for record in history["epochs"]]
                for rate, wanted in zip(rates, [1e-2, 1e-2, 1e-3]):  # what the epoch's last step used
                    self.assertAlmostEqual(rate, wanted, places=12)

    def test_more(self):
        """a run that a policy stopped goes on with --more, the policy's state too"""
        policy = {"type": "early_stopping", "monitor": "train/loss", "mode": "max", "patience": 2}
        config = self.write("small.yaml", with_policies({"stop": policy}, trainer__max="9 epochs"))
        self.assertEqual(self.run_json("train", config, "--output", "run")["epoch"], 3)
        document = self.run_json("resume", "run", "--more", "1 epoch")
        self.assertEqual(document["epoch"], 4)
        self.assertIn("for 3 reports", document["reason"])


class Mistakes(CliTest):
    def errors(self, policies):
        return self.error("check", self.write("small.yaml", with_policies(policies)), expect=3)["errors"]

    def test_targets_and_monitors(self):
        """unknown and fixed targets, monitors that nothing reports: the place and the nearest name"""
        cases = [
            ({"type": "linear", "target": "optimizer.lrr", "end": 0}, "policies.p.target", "Did you mean 'optimizer.lr'?"),
            ({"type": "sequence", "target": "optimizer.lrr", "segments": ["cosine"]}, "policies.p.target", "Did you mean 'optimizer.lr'?"),
            ({"type": "exponential", "target": "optimizer.betas", "multiplier": 2}, "policies.p.target", "not a number that a policy can drive"),
            ({"type": "reduce_on_plateau", "target": "data.train.batch_size", "monitor": "val/loss", "mode": "min"}, "policies.p.target",
             "not a number that a policy can drive"),
            ({"type": "reduce_on_plateau", "target": "optimizer.lr", "monitor": "val/los", "mode": "min"}, "policies.p.monitor", "Did you mean 'val/loss'?"),
            ({"type": "stop_when", "monitor": "train/acuracy", "below": 1}, "policies.p.monitor", "Did you mean 'train/accuracy'?"),
            ({"type": "one_cycle"}, "policies.p", "'target' is missing"),
            ({"type": "cosine", "target": "optimizer.lr", "over": "1 epoch", "warmup": "16 steps"}, "policies.p", "more than the warm-up"),
            ({"type": "multi_step", "target": "optimizer.lr", "milestones": ["1 epoch", "16 steps"]}, "policies.p", "16 steps does not come after 1 epoch"),
            ({"type": "reduce_on_plateau", "target": "optimizer.lr", "monitor": "val/loss", "mode": "min", "min": 0.1}, "policies.p", "above the value"),
        ]
        for policy, path, advice in cases:
            with self.subTest(policy["type"] + " " + advice):
                errors = self.errors({"p": policy})
                self.assertEqual(len(errors), 1, errors)
                self.assertEqual(errors[0]["path"], path)
                self.assertIn(advice, errors[0]["message"])
                self.assertEqual(errors[0]["line"], 1)
                self.assertGreater(errors[0]["column"], 1)

    def test_two_on_one_target(self):
        """two schedules on one target are refused, as is a schedule after what follows schedules; the other way is right"""
        cosine = {"type": "cosine", "target": "optimizer.lr"}
        plateau = {"type": "reduce_on_plateau", "target": "optimizer.lr", "monitor": "val/loss", "mode": "min"}
        for first, second in [(cosine, {"type": "linear", "target": "optimizer.lr", "end": 0}), (plateau, cosine)]:
            errors = self.errors({"a": first, "b": second})
            self.assertEqual([error["path"] for error in errors], ["policies.b.target"])
            self.assertIn("policies.a drives optimizer.lr already", errors[0]["message"])
        self.run_cli("check", self.write("small.yaml", with_policies({"a": cosine, "b": plateau, "c": plateau})))


if __name__ == "__main__":
    main()
