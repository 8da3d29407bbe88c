"""Results at the end of training and from `eval`: the configs of configs/results, which weights, kills, full disks, mistakes."""

import json
import os
import pickle
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

    def contents(self, run, folder="", files=False):
        """Every file of the results, or of a folder of them, the predictions by their values."""
        found = {}
        for path in sorted((self.folder / run / "results" / folder).iterdir()):
            self.assertFalse(path.name.startswith("."), path)
            if files and path.is_dir():
                continue
            if path.suffix == ".h5":
                with h5py.File(path) as file:
                    found[path.name] = {name: file[name][()].tolist() for name in file}
            else:
                found[path.name] = path.read_text()
        return found

    def test_configs(self):
        """every config makes its results: predictions that agree with the values, and plots that are XML"""
        self.assertGreaterEqual(len(CONFIGS), 4)
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
                        if package["type"] == "segmentation":
                            said = predictions.argmax(axis=1)
                            for c, (dice, iou, support) in enumerate(package["tables"]["classes"]["cells"]):
                                both, either = ((said == c) & (targets == c)).sum(), ((said == c) | (targets == c)).sum()
                                self.assertAlmostEqual(iou, both / either, places=12)
                                self.assertAlmostEqual(dice, 2 * both / (both + either), places=12)
                                self.assertEqual(support, (targets == c).sum())
                            self.assertGreater(values["iou_macro"], 0.6)
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
        for name, option in [("best", "--weights"), ("last", "--checkpoint")]:
            self.run_cli("eval", "best", "--split", "val", option, name, "--package", "{type: classification, top_k: [2]}",
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

    def every(self, **changes):
        """Results every five steps and twice an epoch; checkpoints at the same times, so that a run without has them too."""
        return changed(SMALL, results={**RESULTS, "every": "5 steps", "weights": "last"}, trainer__max="1 epoch",
                       trainer__validate_every="8 steps", checkpoint={"every": ["5 steps"], "keep": {"last": 9}}, **changes)

    def folders(self, run):
        """The contents of every folder of results."""
        root = self.folder / run / "results"
        folders = {"": self.contents(run, files=True)}
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            folders[folder.name] = self.contents(run, folder.name)
        return folders

    def test_every(self):
        """results while training goes on: those of each time's weights; training is the same without them"""
        self.write("c.yaml", self.every())
        self.write("bare.yaml", changed(self.every(), results=None))
        for name in ["c", "bare"]:
            self.run_cli("train", f"{name}.yaml", "--output", name)
        self.assert_same_end("c", self.final_state("bare"))
        folders = self.folders("c")
        self.assertEqual(list(folders), ["", "step-00000005", "step-00000010", "step-00000015"])
        for name in list(folders)[1:]:
            self.run_cli("eval", f"c/checkpoints/{name}.h5", "--split", "val", "--output", "again/results", "--set", "results.weights=last")
            self.assertEqual(folders[name], self.contents("again"))
        self.assertEqual(self.results("c")["step"], 16)
        # A run that goes on makes them where it would have.
        self.run_cli("train", "c.yaml", "--output", "short", "--set", "trainer.max=7 steps")
        self.assertEqual(list(self.folders("short")), ["", "step-00000005"])
        (self.folder / "short/results/step-00000009").mkdir()
        self.run_cli("resume", "short", "--set", "trainer.max=1 epoch")
        self.assertEqual(self.folders("short"), folders)

    def test_killed_while_making(self):
        """killed at any write of results while training goes on, a resume makes them; a full disk does not stop training"""
        if not SHIM:
            self.skipTest("no fault shim in this build")
        self.write("c.yaml", self.every(data__val__dataset__samples=100))
        count = self.folder / "count"
        self.run_cli("train", "c.yaml", "--output", "c", env=faults(FAULT_COUNT=str(count)))
        whole, state = self.folders("c"), self.final_state("c")
        seen = set()
        for at in range(20, self.calls(count), 17):
            for kind in ["kill", "ENOSPC"]:
                run = f"{kind}-{at}"
                done = subprocess.run([TRAINCTL, "train", "c.yaml", "--output", run], cwd=self.folder, capture_output=True,
                                      env=faults(FAULT_AT=str(at), FAULT_KIND=kind))
                said = done.stderr.decode()
                if "not made" in said and done.returncode == 0:  # or the process that reads the checkpoint on trial was killed
                    self.assert_same_end(run, state)
                    if "results of step 15" not in said:  # made up for with the next ones
                        self.assertEqual(self.folders(run), whole)
                        seen.add("full")
                if kind == "ENOSPC" or "not made" in said or not (self.folder / run / "config.yaml").exists():
                    continue
                self.run_cli("resume", run)
                self.assert_same_end(run, state)
                self.assertEqual(self.folders(run), whole)
                seen.add("killed")
        self.assertEqual(seen, {"killed", "full"})

    def test_made_anew(self):
        """another section makes the results of a finished run anew, and nothing of the old ones stays; else they stay"""
        self.write("c.yaml", changed(SMALL, results={**RESULTS, "weights": "last"}, trainer__max="1 epoch"))
        self.run_cli("train", "c.yaml", "--output", "run")
        folder = self.folder / "run/results"
        written = lambda: {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        before = written()
        self.run_cli("resume", "run")
        self.assertEqual(written(), before)
        self.run_cli("resume", "run", "--set", "results.packages.classification.top_k=[3]")
        self.assertIn("top_3_accuracy", json.dumps(self.results("run")))
        after = written()
        self.run_cli("resume", "run")
        self.assertEqual(written(), after)
        self.run_cli("resume", "run", "--set", "results.packages={other: {type: classification}}", "--set", "results.predictions=false")
        self.assertEqual(list(self.results("run")["packages"]), ["other"])
        self.assertFalse([name for name in written() if "val_classification" in name or name.endswith(".h5")])
        self.assertEqual(set(written()), {"val.json", *self.results("run")["packages"]["other"]["plots"]})
        self.run_cli("resume", "run", "--more", "1 epoch")
        self.assertEqual(self.results("run")["step"], 32)

    def test_targets(self):
        """targets are as metrics see them: an autoencoder's are its inputs after their transforms"""
        image = {"type": "synthetic", "task": "images", "shape": [1, 4, 4], "samples": 40}
        split = {"dataset": image, "batch_size": 16, "transforms": [{"type": "normalize", "mean": 0.5, "std": 0.2}]}
        model = {"type": "sequential", "layers": ["flatten", {"type": "linear", "out_features": 16}, {"type": "reshape", "shape": [1, 4, 4]}]}
        config = changed(SMALL, data={"train": split, "val": split}, model=model, step="reconstruction", loss="mse", metrics={},
                         results={"packages": ["regression"]})
        self.write("c.yaml", config)
        self.run_cli("train", "c.yaml", "--output", "run")
        results = self.results("run")
        self.assertAlmostEqual(results["packages"]["regression"]["values"]["mse"], results["metrics"]["val/loss"], places=5)
        with h5py.File(self.folder / "run/results/val_predictions.h5") as file:
            self.assertLess(file["targets"][()].min(), -0.1)
        message = self.error("check", self.write("d.yaml", changed(config, results__packages=["classification"])), expect=3)["message"]
        self.assertIn("results.packages.classification", message)

    def test_kept(self):
        """the best checkpoint stays whatever comes after it and however often the run is killed; results are of it"""
        if not SHIM:
            self.skipTest("no fault shim in this build")
        # It learns for a while, and is then driven away from what it has learned.
        config = changed(SMALL, results={**RESULTS, "weights": "best"}, trainer__max="4 epochs", checkpoint={
            "every": ["2 steps"], "keep": {"last": 1, "best": {"monitor": "val/loss", "mode": "min"}}})
        config["policies"] = {"lr": {"type": "multi_step", "target": "optimizer.lr", "milestones": ["1 epoch"], "gamma": 300.0}}
        self.write("c.yaml", config)
        count = self.folder / "count"
        self.run_cli("train", "c.yaml", "--output", "c", env=faults(FAULT_COUNT=str(count)))
        state, best = self.final_state("c"), self.results("c")
        self.assertEqual(best["step"], 16)
        self.assertEqual(state["history"]["best"]["step"], 16)
        for at in range(30, self.calls(count), 83):
            run = f"run-{at}"
            subprocess.run([TRAINCTL, "train", "c.yaml", "--output", run], cwd=self.folder, capture_output=True,
                           env=faults(FAULT_AT=str(at), FAULT_KIND="kill"))
            folder = self.folder / run / "checkpoints"
            history = self.folder / run / "history.json"
            if history.exists() and (folder / "best.h5").is_symlink():
                kept = self.run_json("inspect", folder / "best.h5")
                self.assertEqual(kept["state"]["step"], 16)
            if not (self.folder / run / "config.yaml").exists():
                continue
            self.run_cli("resume", run)
            self.assert_same_end(run, state)
            self.assertEqual(sorted(path.name for path in folder.iterdir()), ["best.h5", "last.h5", "step-00000016.h5", "step-00000064.h5"])
            self.assertEqual(os.readlink(folder / "best.h5"), "step-00000016.h5")
            self.assertEqual(self.results(run), best)

    def test_no_pickles(self):
        """no file of a run is a pickle, and every value of the history has its epoch and step"""
        config = changed(SMALL, results={**RESULTS, "every": "1 epoch"}, loggers={"tensorboard": {}}, averages={"ema": {"decay": 0.9}},
                         trainer__validate_every="5 steps")
        self.write("c.yaml", config)
        self.run_cli("train", "c.yaml", "--output", "run")
        files = [path for path in (self.folder / "run").rglob("*") if path.is_file()]
        self.assertGreater(len(files), 12)
        for path in files:
            data = path.read_bytes()
            # A pickle of protocol 2 or later, alone or in torch.save's archive.
            self.assertFalse(data[:1] == b"\x80" and data[1:2] <= b"\x05" and data[-1:] == b".", path)
            self.assertNotEqual(data[:4], b"PK\x03\x04", path)
            if path.suffix in [".json", ".jsonl", ".yaml", ".svg", ".txt"]:
                data.decode()
            try:  # and older protocols, which are text
                pickle.loads(data)
                self.assertEqual(data, b"", path)
            except Exception:
                pass
        history = json.loads((self.folder / "run/history.json").read_text())["epochs"]
        self.assertEqual([(record["epoch"], record["step"]) for record in history],
                         [(1, 5), (1, 10), (1, 15), (1, 16), (2, 20), (2, 25), (2, 30), (2, 32), (3, 35), (3, 40), (3, 45), (3, 48)])
        for record in history:
            self.assertLessEqual({"train/loss", "train/accuracy", "lr"}, set(record["values"]))
        for line in (self.folder / "run/steps.jsonl").read_text().splitlines():
            self.assertLessEqual({"step", "epoch", "samples", "values"}, set(json.loads(line)))

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

    def test_packages_of_splits(self):
        """a package that names its splits tells of those alone"""
        packages = {"all": {"type": "classification", "top_k": [2]}, "test_alone": {"type": "classification", "top_k": [1], "splits": ["test"]}}
        config = changed(SMALL, results={"packages": packages, "splits": ["val", "test"]}, trainer__max="1 epoch")
        config["data"]["test"] = config["data"]["val"]
        self.run_cli("train", self.write("c.yaml", config), "--output", "run")
        self.assertEqual(set(self.results("run")["packages"]), {"all"})
        self.assertEqual(set(self.results("run", "test")["packages"]), set(packages))
        error = self.error("check", "c.yaml", "--set", "results.splits=[val]", expect=3)["errors"][0]
        self.assertIn("splits names 'test', which results.splits does not: val", error["message"])

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
            ({"packages": ["classification", "clasification"]}, "Did you mean 'classification'?"),
            ({"packages": ["classification"], "every": "0 epochs"}, "results.every"),
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
