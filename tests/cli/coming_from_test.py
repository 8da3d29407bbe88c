"""docs/coming-from.md: its configs do what the systems they come from do, its snippets are theirs, its table names tests that exist."""

import ast
import json
import re
import unittest

import h5py

from cli import SOURCE, CliTest, main
from schema_test import core_loader, yaml

CONFIGS = SOURCE / "configs/coming_from"
PAGE = SOURCE / "docs/coming-from.md"
ONE = ["--set", "trainer.threads=1"]
FEW_IMAGES = ["--set", "data.train.subset.range=[0,600]", "--set", "data.val.subset.range=[50000,50300]", "--set", "data.test.subset={range: [0, 300]}",
              "--set", "data.val.batch_size=100", "--set", "data.test.batch_size=100",
              "--set", "trainer.max=4 epochs", "--set", "optimizer.lr=0.01", *ONE]


class Configs(CliTest):
    def epochs(self, run):
        return [epoch["values"] for epoch in json.loads((self.folder / run / "history.json").read_text())["epochs"]]

    def shapes(self, run):
        with h5py.File(self.folder / run / "checkpoints/last.h5") as file:
            return {name: array.shape for name, array in file["model"].items()}

    def test_sail(self):
        """each layer's parameters are the model's, under its name, and the optimizer has them all"""
        self.run_cli("train", CONFIGS / "sail.yaml", "--output", "run", *ONE)
        self.assertEqual(self.shapes("run"), {"linear1.weight": (64, 32), "linear1.bias": (64,), "linear2.weight": (10, 64), "linear2.bias": (10,)})
        losses = [epoch["train/loss"] for epoch in self.epochs("run")]
        self.assertEqual(losses, sorted(losses, reverse=True))
        self.assertEqual(len(losses), 10)

    def test_lernomatic(self):
        """the network of the guide under its own names; a training and a validation epoch in turn; both are recorded"""
        self.run_cli("train", CONFIGS / "lernomatic.yaml", "--output", "run", *ONE)
        shapes = self.shapes("run")
        self.assertEqual([shapes[f"{layer}.weight"] for layer in ["conv1", "conv2", "fc1", "fc2", "fc3"]],
                         [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)])
        for epoch in self.epochs("run"):
            self.assertLessEqual({"train/loss", "train/accuracy", "val/loss", "val/accuracy"}, set(epoch))
        self.run_cli("train", CONFIGS / "lernomatic.yaml", "--output", "alone", "--unset", "data.val", *ONE)  # a validation loader is a choice
        self.assertNotIn("val/loss", self.epochs("alone")[0])

    def test_train_loops(self):
        """the four train loops: what is kept and told is what their sections say"""
        kept = {"train_loop": 1, "train_loop_checkpoint": 4, "train_loop_end_save": 1, "train_loop_checkpoint_end_save": 4}
        values = set()
        for name, count in kept.items():
            with self.subTest(name):
                self.run_cli("train", CONFIGS / f"{name}.yaml", "--output", name, *FEW_IMAGES)
                run = self.folder / name
                self.assertEqual(len(list(run.glob("checkpoints/step-*.h5"))), count)
                results = {path.name for path in run.glob("results/*.json")}
                self.assertEqual(results, {"val.json", "test.json"} if "end_save" in name else set())
                self.assertEqual((run / "checkpoints/best.h5").exists(), name.endswith("checkpoint_end_save"))
                values.add(json.dumps(self.epochs(name)))
                self.assertIn("betas: [0.9, 0.999]", (run / "config.yaml").read_text())  # the hyperparameters
        self.assertEqual(len(values), 1)  # what is kept does not change training
        test = json.loads((self.folder / "train_loop_checkpoint_end_save/results/test.json").read_text())
        self.assertEqual(test["packages"]["classification"]["type"], "classification")
        best = json.loads((self.folder / "train_loop_checkpoint_end_save/history.json").read_text())["best"]
        self.assertEqual(test["step"], best["step"])
        self.assertEqual(self.run_json("eval", "train_loop_checkpoint_end_save", "--split", "test")["values"], test["metrics"])
        source = {path.name for path in (self.folder / "train_loop_checkpoint_end_save/source").rglob("*.yaml")}
        self.assertEqual(source, {f"{name}.yaml" for name in kept})

    def test_deep_pipe(self):
        """random batches without end, a weight that halves with each epoch, two measures of validation, logs, and the same command again goes on"""
        small = ["--set", "data.train.sampler.epoch_length=6 steps", "--set", "data.val.subset={range: [0, 300]}", "--set", "data.val.batch_size=100", "--set", f"output.root={self.folder}", *ONE]
        command = ["train", CONFIGS / "deep_pipe.yaml", "--resume", "auto", *small]
        self.run_cli(*command, "--set", "trainer.time_limit=0 s", expect=85)
        self.run_cli(*command, "--set", "trainer.max=3 epochs")
        run = "coming-from/deep-pipe-1"
        epochs = self.epochs(run)
        self.assertEqual([epoch["values.weights"] for epoch in epochs], [10, 5, 2.5])
        self.assertLessEqual({"val/accuracy", "val/roc_auc"}, set(epochs[0]))
        self.assertEqual(self.shapes(run)["7.weight"], (10, 128))
        self.assertTrue(list((self.folder / run / "tensorboard").iterdir()))
        self.run_cli("eval", run, "--split", "val", "--package", "{type: classification, top_k: [2]}", "--output", "results")
        with h5py.File(self.folder / "results/val_predictions.h5") as file:
            for probabilities in file["predictions"][:]:  # after the softmax, of which training knows nothing
                self.assertAlmostEqual(sum(probabilities), 1, places=5)
        whole = "coming-from/deep-pipe-2"
        self.run_cli("train", *command[1:2], *small, "--set", "trainer.max=3 epochs", "--output", whole)
        self.assert_same_end(run, {part: self.final_state(whole)[part] for part in ["arrays", "steps"]})
        self.run_cli("train", CONFIGS / "deep_pipe.yaml", "--output", "stopped", *small, "--set", "policies.stop.below=100")
        self.assertEqual(len(self.epochs("stopped")), 1)  # the policy that looks at the training loss

    def test_ignition(self):
        """the loss and accuracy of each epoch, a hyperparameter that decays, the best epoch; a student of a teacher without labels"""
        self.run_cli("train", CONFIGS / "ignition.yaml", "--output", "teacher", *ONE)
        epochs = self.epochs("teacher")
        for n, epoch in enumerate(epochs):
            self.assertAlmostEqual(epoch["values.lambd"], 4 - 3 * n / 60, places=6)
        best = max(range(len(epochs)), key=lambda n: (epochs[n]["val/accuracy"], -n))
        shown = self.run_json("history", "teacher", "--best", "val/accuracy", "--mode", "max", "--plot", "accuracy.svg", "--series", "val/accuracy")
        self.assertIn(f'"epoch": {best + 1}', json.dumps(shown))
        self.assertTrue((self.folder / "accuracy.svg").exists())
        self.run_cli("train", CONFIGS / "ignition_teacher.yaml", "--output", "student", "--set", f"vars.teacher={self.folder / 'teacher'}", *ONE)
        losses = [epoch["val/loss"] for epoch in self.epochs("student")]
        self.assertLess(losses[-1], losses[0] / 10)
        self.assertEqual(self.run_json("eval", "student", "--split", "val")["values"]["val/loss"], losses[-1])


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = PAGE.read_text()

    def rows(self):
        return [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in self.text.splitlines()
                if re.match(r"\| .* \| .* \| .* \| .* \|$", line) and "---" not in line]

    def test_links(self):
        """every link to a file leads to one"""
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", self.text):
            if "://" not in link:
                self.assertTrue((PAGE.parent / link).exists(), link)

    def test_table(self):
        """every row of the table has a config that is there and a test that is there"""
        rows = [row for row in self.rows() if row[0] != "feature"]
        self.assertGreater(len(rows), 60)
        for feature, here, config, test in rows:
            with self.subTest(feature):
                self.assertTrue(here)
                self.assertRegex(config, r"\]\(\.\./(configs|examples)/")
                named = re.findall(r"`(\w+)\.(\w+)\.(\w+)`", test)
                self.assertTrue(named, test)
                for file, case, name in named:
                    tree = ast.parse((SOURCE / f"tests/cli/{file}_test.py").read_text())
                    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == case]
                    self.assertIn(name, [node.name for node in found.body if isinstance(node, ast.FunctionDef)])

    @unittest.skipUnless(yaml, "python3-yaml is missing: scripts/install_deps installs it")
    def test_snippets(self):
        """YAML on the page is part of the config that its first line names"""

        def part_of(snippet, whole):
            if isinstance(snippet, dict) and isinstance(whole, dict):
                return all(key in whole and part_of(value, whole[key]) for key, value in snippet.items())
            if isinstance(snippet, list) and isinstance(whole, list):
                return len(snippet) == len(whole) and all(map(part_of, snippet, whole))
            return snippet == whole

        snippets = re.findall(r"```yaml\n# (\S+)\n(.*?)```", self.text, re.DOTALL)
        self.assertEqual(len(snippets), self.text.count("```yaml"))
        self.assertGreater(len(snippets), 8)
        for name, text in snippets:
            with self.subTest(name):
                whole = yaml.load((SOURCE / name).read_text(), core_loader())
                self.assertTrue(part_of(yaml.load(text, core_loader()), whole), text)


if __name__ == "__main__":
    main()
