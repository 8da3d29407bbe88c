"""Results at the end of training and from `eval`: the configs of configs/results, which weights, kills, full disks, mistakes."""

import json
import os
import resource
import signal
import subprocess
import xml.dom.minidom

import h5py

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main

CONFIGS = sorted((SOURCE / "configs/results").glob("*.yaml"))
ONE = ["--set", "trainer.threads=1"]
SHIM = os.environ.get("FAULT_SHIM", "")
RESULTS = {"packages": {"classification": {"top_k": [2]}}, "splits": ["val"]}


def faults(**environment):
    return {**os.environ, "LD_PRELOAD": SHIM, **environment}


class Results(CliTest):
    def results(self, run, split="val"):
        return json.loads((self.folder / run / "results" / f"{split}.json").read_text())

    def contents(self, run):
        """Every file of the results, the predictions by their values."""
        found = {}
        for path in sorted((self.folder / run / "results").iterdir()):
            self.assertFalse(path.name.startswith("."), path)
            if path.suffix == ".h5":
                with h5py.File(path) as file:
                    found[path.name] = {name: file[name][()].tolist() for name in file}
            else:
                found[path.name] = path.read_text()
        return found

    def test_configs(self):
        """every config makes its results: predictions that agree with the values, and plots that are XML"""
        self.assertGreaterEqual(len(CONFIGS), 3)
        for config in CONFIGS:
            with self.subTest(config.stem):
                self.run_cli("train", config, "--output", config.stem, *ONE)
                folder = self.folder / config.stem / "results"
                for path in folder.glob("*.json"):
                    document = json.loads(path.read_text())
                    with h5py.File(folder / f"{path.stem}_predictions.h5") as file:
                        predictions, targets, ids = (file[name][()] for name in ["predictions", "targets", "ids"])
                    self.assertEqual(len(predictions), document["samples"])
                    self.assertEqual(len(set(ids.tolist())), document["samples"])
                    for package in document["packages"].values():
                        values = package["values"]
                        self.assertEqual({name for name in values if values[name] is None}, set(package["undefined"]))
                        if package["type"] == "classification":
                            self.assertAlmostEqual(values["accuracy"], (predictions.argmax(axis=1) == targets).mean(), places=12)
                            self.assertAlmostEqual(values["log_loss"], document["metrics"][f"{path.stem}/loss"], places=5)
                        if package["type"] == "regression":
                            self.assertAlmostEqual(values["mse"], ((predictions.ravel() - targets.ravel()) ** 2).mean(), places=4)
                        for plot in package["plots"]:
                            xml.dom.minidom.parse(str(folder / plot))

    def test_which_weights(self):
        """best: the checkpoint with the best value; last: the end; and eval with packages tells the same"""
        config = changed(SMALL, results=RESULTS, trainer__max="15 epochs", optimizer__lr=0.05)
        config["data"]["train"] = {**config["data"]["train"], "dataset": {**config["data"]["train"]["dataset"], "samples": 40}, "batch_size": 8}
        self.write("best.yaml", config)
        self.write("last.yaml", changed(config, results__weights="last"))
        for name in ["best", "last"]:
            self.run_cli("train", f"{name}.yaml", "--output", name)
        history = json.loads((self.folder / "best/history.json").read_text())
        self.assertLess(history["best"]["step"], history["epochs"][-1]["step"])
        self.assertEqual(self.results("best")["step"], history["best"]["step"])
        self.assertEqual(self.results("best")["metrics"]["val/loss"], min(e["values"]["val/loss"] for e in history["epochs"]))
        self.assertEqual(self.results("last")["step"], history["epochs"][-1]["step"])
        for name in ["best", "last"]:
            self.run_cli("eval", "best", "--split", "val", "--checkpoint", name, "--package", "{type: classification, top_k: [2]}",
                         "--output", f"eval/{name}/results")
            self.assertEqual(self.results(f"eval/{name}")["packages"], self.results(name)["packages"])

    @staticmethod
    def calls(path):
        return int(path.read_text())

    def test_killed(self):
        """killed at any write of the results, a resume makes them; a full disk is exit 6, and the run stays finished"""
        if not SHIM:
            self.skipTest("no fault shim in this build")
        self.write("c.yaml", changed(SMALL, results=RESULTS, trainer__max="1 epoch"))
        bare = changed(SMALL, trainer__max="1 epoch")
        self.write("bare.yaml", bare)
        counts = []
        for name in ["bare", "c"]:
            count = self.folder / f"{name}.count"
            self.run_cli("train", f"{name}.yaml", "--output", name, env=faults(FAULT_COUNT=str(count)))
            counts.append(self.calls(count))
        first, last = counts
        self.assertGreater(last - first, 10)
        whole, state = self.contents("c"), self.final_state("c")
        seen = set()
        for at in range(first + 1, last + 1, 5):
            for kind, code in [("kill", -signal.SIGKILL), ("ENOSPC", 6)]:
                run = f"{kind}-{at}"
                done = subprocess.run([TRAINCTL, "train", "c.yaml", "--output", run], cwd=self.folder, capture_output=True,
                                      env=faults(FAULT_AT=str(at), FAULT_KIND=kind))
                # 4: it was the process that reads the checkpoint on trial
                self.assertIn(done.returncode, [code, 4], done.stderr)
                seen.add(done.returncode)
                self.assert_same_end(run, state)
                self.run_cli("resume", run)
                self.assertEqual(self.contents(run), whole)
        self.assertLessEqual({-signal.SIGKILL, 6}, seen)

    def test_full_disk(self):
        """predictions that find no room end with exit 6, and leave nothing behind"""
        self.write("c.yaml", changed(SMALL, data__val__dataset__samples=8000))
        self.run_cli("train", "c.yaml", "--output", "run")

        def limited():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        message = self.error("eval", "run", "--package", "classification", "--output", "out", expect=6, preexec_fn=limited)["message"]
        self.assertIn("val_predictions.h5", message)
        self.assertEqual(list((self.folder / "out").iterdir()), [])

    def test_mistakes(self):
        """what does not fit is refused by check, with its place"""
        for changes, expected in [
            ({"packages": {"binary": {}}}, "binary takes one score"),
            ({"packages": {"clasification": {}}}, "Did you mean 'classification'?"),
            ({**RESULTS, "splits": ["test"]}, "there is no data.test"),
            ({**RESULTS, "splits": ["vall"]}, "'vall' is no split"),
            ({**RESULTS, "weights": "bst"}, "Did you mean 'best'?"),
            ({**RESULTS, "target": "label"}, "it has: input, target"),
            ({"packages": {}}, "results"),
        ]:
            with self.subTest(expected):
                self.write("c.yaml", changed(SMALL, results=changes))
                error = self.error("check", "c.yaml", expect=3)
                self.assertIn(expected, json.dumps(error))
                self.assertGreater(error["errors"][0]["line"], 0)
        self.write("c.yaml", changed(SMALL, trainer__max="1 epoch"))
        self.run_cli("train", "c.yaml", "--output", "run")
        self.assertIn("--package", self.error("eval", "run", "--output", "out", expect=2)["message"])
        self.assertIn("no such file", self.error("eval", "run", "--checkpoint", "bst", expect=2)["message"])
        self.assertIn("--output", self.error("eval", "run", "--package", "classification", expect=2)["message"])

    def test_infinities(self):
        """a model whose scores are not finite has values that are null, with the reason"""
        config = changed(SMALL, results=RESULTS, trainer__max="1 epoch", optimizer={"type": "sgd", "lr": 1e-2})
        config["data"]["val"]["transforms"] = [{"type": "normalize", "mean": 0, "std": 1e-38}]
        self.write("c.yaml", config)
        self.run_cli("train", "c.yaml", "--output", "run")
        package = self.results("run")["packages"]["classification"]
        self.assertTrue(all(value is None for value in package["values"].values()))
        self.assertIn("not finite", package["undefined"]["accuracy"])


if __name__ == "__main__":
    main()
