"""Mistakes in a config: all at once, each with its place, the nearest name and the right exit code."""

import os
import struct
import unittest

from cli import SMALL, CliTest, changed, main

GOOD = """\
version: 1
name: good
data:
  train:
    dataset: {type: synthetic, samples: 100, shape: [8], classes: 4}
    batch_size: 10
model:
  type: sequential
  layers:
    - {type: linear, out_features: 16}
    - relu
    - {type: linear, out_features: 4}
loss: cross_entropy
optimizer: {type: adam, lr: 1e-3}
trainer: {max: 1 epoch}
"""


class Mistakes(CliTest):
    def errors(self, text, *arguments, expect=3):
        self.write("config.yaml", text)
        error = self.error("check", "config.yaml", *arguments, expect=expect)
        self.assertEqual(error["kind"], "config")
        return error["errors"]

    def one(self, text, *arguments):
        errors = self.errors(text, *arguments)
        self.assertEqual(len(errors), 1, errors)
        return errors[0]

    def test_good(self):
        """the config that the others break is right"""
        self.write("config.yaml", GOOD)
        self.run_cli("check", "config.yaml")

    def test_single_mistakes(self):
        """each mistake: line, column, path, and words that help to mend it"""
        cases = [
            ("unknown key", "name: good", "nam: good", 2, 1, "name"),
            ("unknown nested key", "    batch_size: 10", "    batch_size: 10\n    shufle: true", 7, 5, "shuffle"),
            ("unknown component", "- relu", "- rellu", 11, 7, "relu"),
            ("unknown parameter", "out_features: 16", "out_feature: 16", 10, 22, "out_features"),
            ("wrong type", "lr: 1e-3", "lr: fast", 14, 29, "number"),
            ("out of range", "batch_size: 10", "batch_size: 0", 6, 17, "1"),
            ("no boolean", "    batch_size: 10", "    batch_size: 10\n    shuffle: on", 7, 14, "true"),
            ("octal", "samples: 100", "samples: 0100", 5, 41, "0100"),
            ("duplicate key", "name: good", "name: good\nname: better", 3, 1, "name"),
            ("broken duration", "max: 1 epoch", "max: 1 apple", 15, 16, "epoch"),
            ("unset variable", "name: good", "name: ${env:TRAINCTL_NO_SUCH_VARIABLE}", 2, 7, "TRAINCTL_NO_SUCH_VARIABLE"),
            ("bad syntax", "optimizer: {type: adam, lr: 1e-3}", "optimizer: {type: adam, lr: 1e-3", 0, 0, ""),
            ("tab", "  train:", "\ttrain:", 4, 0, ""),
        ]
        for what, before, after, line, column, advice in cases:
            with self.subTest(what):
                self.assertIn(before, GOOD)
                found = self.errors(GOOD.replace(before, after, 1))
                matching = [e for e in found if line in (0, e["line"]) and column in (0, e["column"]) and advice in e["message"] + e["path"]]
                self.assertTrue(matching, found)
                self.assertTrue(all(e["file"].endswith("config.yaml") for e in found), found)

    def test_all_at_once(self):
        """every mistake of a file is told in one go, in the order of the file's sections, with the line itself"""
        text = GOOD.replace("batch_size: 10", "batch_size: ten").replace("- relu", "- rellu").replace("lr: 1e-3", "lr: -1")
        text += "trainr: {}\n"
        found = self.errors(text)
        self.assertEqual(sorted(e["line"] for e in found), [6, 11, 14, 16])
        stderr = self.run_cli("check", "config.yaml", expect=3).stderr
        self.assertIn("4 errors", stderr)
        self.assertIn("    batch_size: ten\n                ^", stderr)

    def test_across_files(self):
        """a mistake in an extended file is placed there"""
        self.write("base.yaml", "optimizer: {type: adam, lr: oops}\n")
        error = self.one(GOOD.replace("optimizer: {type: adam, lr: 1e-3}", "extends: base.yaml"))
        self.assertTrue(error["file"].endswith("base.yaml"))
        self.assertEqual((error["line"], error["column"]), (1, 29))

    def test_extends(self):
        """a circle of extends, a missing base, a folder as base"""
        self.write("a.yaml", "extends: config.yaml\n")
        for base in ["a.yaml", "missing.yaml", "."]:
            with self.subTest(base):
                found = self.errors(f"extends: {base}\n" + GOOD)
                self.assertTrue(any(base.strip(".") in e["message"] or e["line"] == 1 for e in found), found)

    def test_set(self):
        """mistakes of --set and --unset are placed in the argument"""
        cases = [
            ("optimizer.lr=fast", "optimizer.lr", "number"),
            ("optimizer.learning_rate=1", "optimizer", "learning_rate"),
            ("model.layers.7.out_features=3", "", "items are 0 to 2"),
            ("optimizer.lr", "", "key=value"),
            ("trainer.max=", "", "value"),
        ]
        for argument, path, advice in cases:
            with self.subTest(argument):
                error = self.one(GOOD, "--set", argument)
                self.assertEqual(error["file"], "--set")
                self.assertEqual(error["line"], 1)
                self.assertIn(advice, error["message"])
                self.assertTrue(error["path"].startswith(path), error)
        error = self.one(GOOD, "--unset", "trainer.maxx")
        self.assertEqual(error["file"], "--unset")
        self.assertIn("max", error["message"])

    def test_set_takes_effect(self):
        """--set and --unset change the resolved spec, typed by the schema, list indices too"""
        self.write("config.yaml", GOOD)
        document = self.run_json("check", "config.yaml", "--set", "model.layers.0.out_features=64", "--set", "seed=7")
        resolved = document["resolved"]
        self.assertIn("out_features: 64", resolved)
        self.assertIn("seed: 7", resolved)

    def test_shapes_that_do_not_fit(self):
        """layers, loss and data that do not fit each other: exit 3 before anything runs, with the place"""
        image = GOOD.replace("- relu", "- {type: max_pool2d, kernel_size: 2}")
        error = self.error("check", self.write("config.yaml", image), expect=3)
        self.assertIn("max_pool2d", error["message"])
        classes = GOOD.replace("out_features: 4}", "out_features: 3}")
        error = self.error("check", self.write("config.yaml", classes), expect=3)
        self.assertIn("4", error["message"])

    def test_what_compiling_finds(self):
        """targets, monitors, groups and shapes: all that does not hang together is told at once, each with its place"""
        spec = GOOD.replace("{type: adam, lr: 1e-3}", "{type: adam, lr: 1e-3, groups: {a: {match: 'nope*', lr: 1e-4}}}")
        spec += "policies:\n  lr: {type: cosine, target: optimizer.lrr}\n"
        errors = self.errors(spec)
        self.assertEqual([error["line"] for error in errors], [17, 14])
        self.assertIn("Did you mean 'optimizer.lr'?", errors[0]["message"])
        self.assertIn("nope*", errors[1]["message"])
        spec = GOOD + "policies:\n  stop: {type: early_stopping, monitor: val/acc, mode: max}\n"
        spec += "checkpoint: {keep: {best: {monitor: train/los, mode: min}}}\n"
        errors = self.errors(spec)
        self.assertEqual([(error["line"], error["column"]) for error in errors], [(17, 9), (18, 37)])
        self.assertIn("Did you mean 'train/loss'?", errors[1]["message"])

    def test_hostile_yaml(self):
        """alias bombs, deep nesting, NUL and bad UTF-8 are refused at once"""
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
        for i in range(1, 12):
            bomb += f"a{i}: &a{i} [{','.join(['*a' + (str(i - 1) if i > 1 else '')] * 9)}]\n"
        cases = {"bomb": bomb.encode(), "depth": b"[" * 100_000, "nul": GOOD.encode() + b"x: \0\n", "utf8": GOOD.encode() + b"x: \xff\xfe\n",
                 "empty": b"", "list": b"- 1\n"}
        for what, text in cases.items():
            with self.subTest(what):
                (self.folder / "config.yaml").write_bytes(text)
                self.error("check", "config.yaml", expect=3)

    def test_no_such_config(self):
        """a config that is missing or a folder is told by its name"""
        for name in ["missing.yaml", "."]:
            done = self.run_cli("check", name, expect=3)
            self.assertIn(name, done.stderr)


class Data(CliTest):
    """Data that is missing, cut short or mislabelled: exit 4 with file and offset."""

    def idx(self, images=20, labels=20, cut=0, magic=0x0803, label=3):
        pixels = struct.pack(">IIII", magic, images, 8, 8) + bytes(images * 64)
        self.write("data/keep", "")
        (self.folder / "data/train-images-idx3-ubyte").write_bytes(pixels[:len(pixels) - cut])
        (self.folder / "data/train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x0801, labels) + bytes([label] * labels))
        model = {"type": "sequential", "layers": ["flatten", {"type": "linear", "out_features": 4}]}
        data = {"train": {"dataset": {"type": "mnist", "root": "data", "classes": 4}, "batch_size": 10}}
        config = changed(SMALL, data=data, model=model)
        del config["checkpoint"]
        return self.write("config.yaml", config)

    def refused(self, config, *words):
        error = self.error("train", config, expect=4)
        for word in words:
            self.assertIn(word, error["message"])
        self.assertFalse((self.folder / "runs").exists(), "a run directory was left")

    def test_good(self):
        """the data that the others break trains"""
        self.run_cli("train", self.idx())

    def test_broken(self):
        """a missing file, a short one, a wrong magic number, other counts, a label out of range"""
        self.refused(self.idx(cut=100), "train-images-idx3-ubyte")
        self.refused(self.idx(magic=0x0903), "train-images-idx3-ubyte")
        self.refused(self.idx(labels=19), "19", "20")
        self.refused(self.idx(label=9), "9", "train-labels-idx1-ubyte")
        config = self.idx()
        os.remove(self.folder / "data/train-images-idx3-ubyte")
        self.refused(config, "train-images-idx3-ubyte")

    def test_check_without_data(self):
        """check --no-data needs none"""
        config = self.idx()
        os.remove(self.folder / "data/train-images-idx3-ubyte")
        self.error("check", config, expect=4)
        self.run_cli("check", config, "--no-data")


if __name__ == "__main__":
    main()
