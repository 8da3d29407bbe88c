"""Metrics of classifiers in validation: the configs of configs/metrics against the result packages, resuming, mistakes."""

import json

from cli import SMALL, SOURCE, CliTest, changed, main

CONFIGS = sorted((SOURCE / "configs/metrics").glob("*.yaml"))
ONE = ["--set", "trainer.threads=1"]


class Metrics(CliTest):
    def train(self, name, *arguments, expect=0):
        self.run_cli("train", SOURCE / f"configs/metrics/{name}.yaml", "--output", "run", *ONE, *arguments, expect=expect)
        history = json.loads((self.folder / "run/history.json").read_text())
        results = self.folder / "run/results/val.json"
        return history, json.loads(results.read_text())["packages"] if results.exists() else None

    def test_binary(self):
        """at the best epoch they are what the exact package says of the same weights"""
        history, packages = self.train("binary")
        best = history["best"]
        [values] = [epoch["values"] for epoch in history["epochs"] if epoch["step"] == best["step"]]
        exact = packages["binary"]["values"]
        self.assertEqual(best["value"], values["val/roc_auc"])
        self.assertGreater(values["val/roc_auc"], 0.6)
        self.assertAlmostEqual(values["val/f1"], exact["f1"], places=12)  # both at the threshold 0.4
        self.assertAlmostEqual(values["val/roc_auc"], exact["roc_auc"], places=3)
        self.assertAlmostEqual(values["val/average_precision"], exact["average_precision"], places=3)
        self.assertNotIn("train/roc_auc", values)
        self.assertIn("train/f1", values)

    def test_classes(self):
        history, packages = self.train("classes", "--set", "results.weights=last")
        values, exact = history["epochs"][-1]["values"], packages["classification"]["values"]
        rows = packages["classification"]["tables"]["classes"]
        for name, of_package in [("accuracy", "accuracy"), ("balanced_accuracy", "recall_macro"), ("macro", "f1_macro"),
                                 ("weighted", "f1_weighted"), ("micro", "accuracy")]:
            self.assertAlmostEqual(values[f"val/{name}"], exact[of_package], places=12, msg=name)
        self.assertAlmostEqual(values["val/roc_auc"], exact["roc_auc_macro"], places=4)
        self.assertIn("train/roc_auc", values)
        self.assertNotIn("train/micro", values)
        self.assertTrue(rows)

    def test_resumed(self):
        """counts are state: stopped within an epoch and resumed, the next epoch's values are the same"""
        for config in CONFIGS:
            with self.subTest(config.stem):
                whole, parts = f"{config.stem}-whole", f"{config.stem}-parts"
                how = [*ONE, "--set", "policies={}"]  # a schedule would follow the length of training
                self.run_cli("train", config, "--output", whole, *how)
                epochs = json.loads((self.folder / whole / "history.json").read_text())["epochs"]
                steps = epochs[0]["step"]
                self.run_cli("train", config, "--output", parts, *how, "--set", f"trainer.max={steps + 3} steps")
                self.run_cli("resume", parts, "--set", f"trainer.max={len(epochs)} epochs")
                resumed = json.loads((self.folder / parts / "history.json").read_text())["epochs"]
                self.assertEqual(epochs[-1]["values"], resumed[-1]["values"])
                self.assertEqual(epochs[1]["values"], [epoch for epoch in resumed if epoch["step"] == 2 * steps][0]["values"])

    def test_mistakes(self):
        def message(**changes):
            return self.error("check", self.write("c.yaml", changed(SMALL, **changes)), expect=3)["errors"][0]["message"]

        self.assertIn("there is no class 4", message(metrics={"f1": {"class": 4}}))
        self.assertIn("must be above 0", message(metrics={"f1": {"threshold": 0}}))
        no_val = changed(SMALL, metrics={"roc_auc": {}})
        del no_val["data"]["val"]
        error = self.error("check", self.write("c.yaml", no_val), expect=3)["errors"][0]
        self.assertEqual(error["path"], "metrics.roc_auc")
        self.assertIn("training: true", error["message"])
        self.assertIn("val/roc_auc", message(metrics={"roc_auc": {}}, policies={"stop": {"type": "stop_when", "monitor": "train/roc_auc", "above": 1}}))


if __name__ == "__main__":
    main()
