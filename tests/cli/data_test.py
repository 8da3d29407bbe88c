"""Data sets from files, samplers, folds and subsets, end to end; the configs below configs/data run."""

import json
import os
import pathlib
import random
import shutil
import statistics
import struct
import subprocess
import time
import zlib

from cli import SMALL, SOURCE, CliTest, changed, main, npy


def png(height, width, pixel):
    """A PNG file of RGB pixels; `pixel(y, x)` gives three bytes."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(y, x)) for x in range(width)) for y in range(height))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class DataTest(CliTest):
    def write_pictures(self, counts):
        """A folder of a colour for each class, `counts` pictures in each."""
        for label, (name, count) in enumerate(counts.items()):
            folder = self.folder / "pictures" / name
            folder.mkdir(parents=True)
            for i in range(count):
                colour = [40 + 60 * label, 200 - 50 * label, (7 * i) % 256]
                (folder / f"{i:03}.png").write_bytes(png(20, 16 + i % 5, lambda y, x: colour))
        return self.folder / "pictures"

    def samples(self, run, split):
        lines = (self.folder / run / "samples" / f"{split}.txt").read_text().splitlines()
        self.assertTrue(lines[0].startswith(f"# data.{split}: "))
        return [int(line) for line in lines[1:]]


class Configs(DataTest):
    def test_image_folder(self):
        """pictures of three classes, one of them rare, are learned by their colours"""
        pictures = self.write_pictures({"ant": 80, "bee": 60, "cat": 10})
        config = SOURCE / "configs/data/image_folder.yaml"
        environment = {**os.environ, "IMAGES": str(pictures)}
        self.run_cli("train", config, "--output", "run", env=environment)
        self.assertEqual(len(self.samples("run", "train")), 135)
        self.assertEqual(len(self.samples("run", "val")), 15)
        last = self.final_state("run")["history"]["epochs"][-1]
        self.assertEqual(last["step"], 60)
        self.assertEqual(last["values"]["val/accuracy"], 1.0)
        damaged = pictures / "bee/007.png"
        damaged.write_bytes(damaged.read_bytes()[:60])
        error = self.error("train", config, "--output", "other", expect=4, env=environment)
        self.assertIn("bee/007.png: damaged PNG at byte", error["message"])
        done = self.run_cli("train", config, "--output", "other", "--set", "vars.dataset.skip_damaged=true", env=environment)
        self.assertIn("left out: ", done.stderr)
        self.assertIn("bee/007.png", done.stderr)
        self.assertEqual(len(self.samples("other", "train")) + len(self.samples("other", "val")), 149)

    def test_cifar10(self):
        """CIFAR-10's files, made up, in the folder that the archive unpacks to"""
        folder = self.folder / "cifar-10-batches-bin"
        folder.mkdir()
        record = lambda i: bytes([i % 10]) + bytes((i * 31 + k) % 256 for k in range(3072))
        for batch in range(1, 6):
            (folder / f"data_batch_{batch}.bin").write_bytes(b"".join(record(i) for i in range(40)))
        (folder / "test_batch.bin").write_bytes(b"".join(record(i) for i in range(20)))
        environment = {**os.environ, "CIFAR10": str(self.folder)}
        small = ["--set", "data.train.batch_size=16", "--set", "data.train.sampler.epoch_length=4 steps", "--set",
                 "data.val.batch_size=20", "--set", "data.test.batch_size=20", "--set", "trainer.max=6 steps"]
        self.run_cli("train", SOURCE / "configs/data/cifar10.yaml", "--output", "run", *small, env=environment)
        self.assertEqual([record["step"] for record in self.final_state("run")["history"]["epochs"]], [4, 6])
        self.assertIn("test/accuracy", self.run_cli("eval", "run", env=environment).stdout)

    def test_cross_validation(self):
        """the folds of five runs validate on each sample once, and train on all others"""
        config = SOURCE / "configs/data/cross_validation.yaml"
        seen = []
        for fold in range(5):
            run = f"fold{fold}"
            self.run_cli("train", config, "--output", run, "--fold", fold, "--set", "trainer.max=1 epoch")
            train, val = self.samples(run, "train"), self.samples(run, "val")
            self.assertEqual(sorted(train + val), list(range(500)))
            self.assertEqual(len(val), 100)
            seen += val
            self.assertIn(f"fold: {fold}", (self.folder / run / "config.yaml").read_text())
        self.assertEqual(sorted(seen), list(range(500)))
        self.run_cli("resume", "fold3", "--set", "trainer.max=2 epochs")
        self.assertEqual(self.samples("fold3", "val"), seen[300:400])
        self.assertIn("there are 5 folds", self.error("train", config, "--fold", 5, expect=2)["message"])
        self.assertIn("expected a number", self.error("train", config, "--fold", "x", expect=2)["message"])
        self.assertIn("has folds", self.error("train", self.write("small.yaml", SMALL), "--fold", 0, expect=2)["message"])
        error = self.error("train", config, "--set", "data.train.subset.folds=501", expect=3)
        self.assertIn("501 folds of 500 samples", error["message"])


class Folds(DataTest):
    CONFIG = SOURCE / "configs/data/cross_validation.yaml"

    def test_all(self):
        """a run for each fold, and the mean and deviation of what they reached"""
        document = self.run_json("train", self.CONFIG, "--fold", "all", "--output", "folds")
        self.assertEqual(document, json.loads((self.folder / "folds/folds.json").read_text()))
        self.assertEqual([entry["fold"] for entry in document["folds"]], list(range(5)))
        for entry in document["folds"]:
            last = self.final_state(entry["run"])["history"]["epochs"][-1]
            self.assertEqual(entry["values"], last["values"])
            self.assertEqual(pathlib.Path(entry["run"]).name, f"fold{entry['fold']}")
        accuracies = [entry["values"]["val/accuracy"] for entry in document["folds"]]
        self.assertEqual(document["final"]["val/accuracy"]["values"], accuracies)
        self.assertAlmostEqual(document["final"]["val/accuracy"]["mean"], statistics.fmean(accuracies), places=12)
        self.assertAlmostEqual(document["final"]["val/accuracy"]["deviation"], statistics.stdev(accuracies), places=12)
        self.assertEqual(document["best"], {})

    def test_resumed(self):
        """folds that are done are not repeated; the end is that of an uninterrupted one; runs are named by their fold"""
        best = ["--set", "checkpoint.keep.best={monitor: val/accuracy, mode: max}", "--set", "output.root=" + str(self.folder)]
        done = self.run_cli("train", self.CONFIG, "--fold", 0, "--set", "name=cross-validation-fold0", *best)
        kept = pathlib.Path(done.stdout.splitlines()[0])
        self.assertEqual(kept.name, "cross-validation-fold0-1")
        before = (kept / "meta.json").read_text()
        done = self.run_cli("train", self.CONFIG, "--fold", "all", "--resume", "auto", *best)
        lines = done.stdout.splitlines()
        self.assertEqual([pathlib.Path(line).name for line in lines[:5]], [f"cross-validation-fold{i}-1" for i in range(5)])
        self.assertEqual((kept / "meta.json").read_text(), before)
        self.assertRegex(lines[5], "train/loss +train/accuracy +val/loss +val/accuracy")
        self.assertEqual([line.split("  ")[0].strip() for line in lines[6:13]],
                         [f"final fold {i}" for i in range(5)] + ["final mean", "final deviation"])
        self.assertTrue(lines[-1].startswith("best deviation"))
        summary = json.loads((kept.parent / "cross-validation-folds.json").read_text())
        self.assertEqual(summary["status"], "finished")
        stopped = ["--set", "trainer.time_limit=0.0001 s", "--set", "name=short"]
        document = self.run_json("train", self.CONFIG, "--fold", "all", *best, *stopped, expect=85)
        self.assertEqual((len(document["folds"]), document["status"]), (1, "interrupted"))

    def test_refused(self):
        """a number of folds that differs, or that is more than there are samples; no folds at all"""
        refused = lambda *arguments, expect: self.error("train", self.CONFIG, "--fold", "all", *arguments, expect=expect)["message"]
        self.assertIn("data.train has 5 folds and data.val 4", refused("--set", "data.val.subset.folds=4", expect=2))
        more = ["--set", "data.train.subset.folds=501", "--set", "data.val.subset.folds=501"]
        self.assertIn("501 folds of 500 samples", refused(*more, expect=3))
        self.assertIn("has folds", self.error("train", self.write("a.yaml", SMALL), "--fold", "all", expect=2)["message"])
        self.assertIn("takes one fold", refused("--dry-run", expect=2))


class Streamed(DataTest):
    def arrays(self, **changes):
        """An experiment on .npy files: ragged batches, accumulation, an order for each epoch, a group beside the target."""
        count = 203
        self.write_npy("x.npy", [count, 8], "<f4", [((7 * i) % 23) / 11 - 1 for i in range(8 * count)])
        self.write_npy("y.npy", [count], "<i8", [(i * i) % 4 for i in range(count)])
        self.write_npy("group.npy", [count], "<i8", [i % 5 for i in range(count)])
        dataset = {"type": "npy", "input": "x.npy", "target": "y.npy", "classes": 4, "fields": {"group": {"path": "group.npy"}}}
        return changed(SMALL, data={
            "train": {"dataset": dataset, "subset": {"folds": 4, "part": "rest", "group": "group"}, "batch_size": 7, "shuffle": True},
            "val": {"dataset": dataset, "subset": {"folds": 4, "group": "group"}, "batch_size": 10}},
            trainer__accumulate=2, trainer__log_every="5 steps", checkpoint__every=["7 steps"], **changes)

    def write_npy(self, name, shape, kind, values):
        (self.folder / name).write_bytes(npy(shape, kind, values))

    def test_same_bits(self):
        """batch by batch or from memory: the same run, whatever the threads, and a resume may change between them"""
        path = self.write("arrays.yaml", self.arrays())
        self.run_cli("train", path, "--output", "memory")
        reference = self.final_state("memory")
        self.assertNotIn("read batch by batch", self.run_cli("check", path).stdout)
        self.assertIn("data.train: ", self.run_cli("check", path, "--set", "data.memory_limit=0").stdout)
        for threads in 1, 5:
            self.run_cli("train", path, "--output", f"streamed{threads}", "--set", "data.memory_limit=0", "--set", f"data.threads={threads}")
            self.assert_same_end(f"streamed{threads}", reference)
        evaluated = self.run_json("eval", "memory", "--split", "val")["values"]
        self.assertEqual(self.run_json("eval", "streamed5", "--split", "val")["values"], evaluated)
        self.run_cli("train", path, "--output", "mixed", "--set", "data.memory_limit=0", "--set", "trainer.max=9 steps")
        self.run_cli("resume", "mixed", "--set", "data.memory_limit=1", "--set", "trainer.max=15 steps")
        done = self.run_cli("resume", "mixed", "--set", "data.memory_limit=0", "--set", "trainer.max=3 epochs")
        self.assertIn("not compared", done.stderr)
        self.assertEqual(self.final_state("mixed")["arrays"], reference["arrays"])
        self.write_npy("y.npy", [203], "<i8", [0] * 203)
        error = self.error("resume", "streamed1", "--set", "trainer.max=4 epochs", expect=4)
        self.assertIn("the data is not what", error["message"])

    def test_killed(self):
        """kill -9 at random moments while batches are read ahead"""
        path = self.write("arrays.yaml", self.arrays(trainer__max="40 epochs", data__memory_limit=0, data__threads=3))
        start = time.monotonic()
        self.run_cli("train", path, "--output", "whole")
        seconds = time.monotonic() - start
        draw, kills = random.Random(3), 0
        for _ in range(100):
            process = self.start("train", path, "--output", "run", "--resume", "auto")
            try:
                _, err = process.communicate(timeout=draw.uniform(0.2, 0.7) * seconds)
                self.assertEqual(process.returncode, 0, err)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
        else:
            self.fail("100 kills, and the run made no progress")
        self.assertGreater(kills, 0)
        self.assert_same_end("run", self.final_state("whole"))

    def test_pictures(self):
        """the example below configs/data; a picture that is damaged is named when it is read, and training goes on when it is mended"""
        pictures = self.write_pictures({"ant": 60, "bee": 50, "cat": 10})
        environment = {**os.environ, "IMAGES": str(pictures)}
        self.run_cli("train", SOURCE / "configs/data/image_folder.yaml", "--output", "memory", env=environment)
        config = SOURCE / "configs/data/streamed.yaml"
        self.run_cli("train", config, "--output", "streamed", env=environment)
        self.assertEqual(self.final_state("streamed")["arrays"], self.final_state("memory")["arrays"])
        self.run_cli("train", config, "--output", "damaged", "--set", "trainer.max=1 epoch", env=environment)
        damaged = pictures / f"bee/{self.samples('damaged', 'train')[-20] - 60:03}.png"
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:60])
        more = ["--set", "trainer.max=3 epochs"]
        error = self.error("resume", "damaged", *more, expect=4, env=environment)
        self.assertIn(f"{damaged.parent.name}/{damaged.name}: damaged PNG at byte", error["message"])
        damaged.write_bytes(whole)
        self.run_cli("resume", "damaged", *more, env=environment)
        self.assertEqual(self.final_state("damaged")["arrays"], self.final_state("memory")["arrays"])

    def test_other_loops(self):
        """averages that go over the training data once more, and find-lr, see the same batches"""
        config = self.arrays(averages={"ema": {"decay": 0.9, "buffers": "refresh", "refresh_batches": 5}})
        config["data"]["train"]["drop_last"] = True
        config["model"]["layers"].insert(1, "batch_norm")
        path = self.write("arrays.yaml", config)
        streamed = ["--set", "data.memory_limit=0", "--set", "data.threads=2"]
        self.run_cli("train", path, "--output", "memory")
        self.run_cli("train", path, "--output", "streamed", *streamed)
        self.assert_same_end("streamed", self.final_state("memory"))
        found = [self.run_json("find-lr", path, "--steps", 40, *extra) for extra in ([], streamed)]
        self.assertEqual(found[0], found[1])

    def test_whole(self):
        """a format that cannot be read in parts is told, and trained on all the same"""
        rows = [f"{i % 13},{i % 7},{i % 2}" for i in range(100)]
        self.write("rows.csv", "a,b,kind\n" + "\n".join(rows))
        config = changed(SMALL, data={"train": {"dataset": {"type": "csv", "path": "rows.csv"}, "batch_size": 8}})
        config["checkpoint"] = {"every": ["1 epoch"]}
        path = self.write("rows.yaml", config)
        self.run_cli("train", path, "--output", "memory")
        done = self.run_cli("train", path, "--output", "streamed", "--set", "data.memory_limit=0")
        self.assertIn("'csv' cannot be read in parts", done.stderr)
        self.assert_same_end("streamed", self.final_state("memory"))


class Samplers(DataTest):
    def test_exact(self):
        """with every sampler, a run that was stopped at any step ends as one that was not"""
        samplers = [{"type": "random", "epoch_length": "7 steps"},
                    {"type": "random", "replacement": True, "epoch_length": "230 samples"},
                    {"type": "weighted", "epoch_length": "6 steps"},
                    {"type": "weighted", "weights": [1, 2, 3, 4], "replacement": False},
                    {"type": "sequential", "epoch_length": "5 steps"}]
        for number, sampler in enumerate(samplers):
            with self.subTest(sampler=sampler):
                config = changed(SMALL, data__train__sampler=sampler, trainer__max="23 steps")
                del config["data"]["train"]["shuffle"]
                path = self.write(f"{number}.yaml", config)
                self.run_cli("train", path, "--output", f"whole{number}")
                self.run_cli("train", path, "--output", f"run{number}", "--set", "trainer.max=3 steps")
                for steps in [8, 19, 23]:
                    self.run_cli("resume", f"run{number}", "--set", f"trainer.max={steps} steps")
                whole = self.final_state(f"whole{number}")
                run = self.final_state(f"run{number}")
                self.assertEqual(run["arrays"], whole["arrays"])
                self.assertEqual(run["state"]["step"], 23)

    def test_refused(self):
        """a sampler beside shuffle, and one that needs a field that is not there"""
        config = self.write("both.yaml", changed(SMALL, data__train__sampler="random"))
        self.assertIn("remove 'shuffle'", self.error("check", config, expect=3)["message"])
        config = self.write("by.yaml", changed(SMALL, data__val__sampler={"type": "weighted", "by": "importance"}))
        self.assertIn("data.val: the dataset has no field 'importance'", self.error("check", config, expect=3)["message"])


class Batches(DataTest):
    def test_larger_than_the_data(self):
        """a batch that is larger than a split is the whole of it, but an error where it is trained on"""
        values = {}
        for size in [300, 301, 1 << 24]:
            config = self.write(f"{size}.yaml", changed(SMALL, data__val__batch_size=size))
            self.run_cli("train", config, "--output", f"run{size}")
            values[size] = self.final_state(f"run{size}")["history"]
            for command in ["eval", "predict"]:
                few = ["--split", "val", "--set", "data.val.subset={range: [0, 7]}", *(["--output", "p.csv"] if command == "predict" else [])]
                self.assertEqual(self.run_json(command, f"run{size}", *few)["samples"], 7)
        self.assertEqual(values[301], values[300])
        self.assertEqual(values[1 << 24], values[300])
        for key, expected in [("data__train__batch_size", "data.train: batch_size is 501, but there are only 500 samples; lower it"),
                              ("data__val__batch_size", "data.val: batch_size is 501, but there are only 300 samples; lower it, or drop_last leaves nothing")]:
            config = changed(SMALL, **{key: 501}, data__val__drop_last=True)
            for command in ["check", "train"]:
                self.assertIn(expected, self.error(command, self.write("c.yaml", config), expect=3)["message"])


class Subsets(DataTest):
    def test_ids_file(self):
        """the samples of a run serve another; a run whose file of samples has changed is not continued"""
        config = self.write("small.yaml", changed(SMALL, data__train__subset={"fraction": 0.5, "seed": 4}))
        self.run_cli("train", config, "--output", "first")
        ids = self.folder / "ids.txt"
        shutil.copy(self.folder / "first/samples/train.txt", ids)
        config = self.write("again.yaml", changed(SMALL, data__train__subset={"ids_file": "ids.txt"}))
        self.run_cli("train", config, "--output", "second")
        self.assertEqual(self.final_state("first")["arrays"], self.final_state("second")["arrays"])
        ids.write_text("\n".join(str(i) for i in range(250)))
        error = self.error("resume", "second", "--set", "trainer.max=4 epochs", expect=4)
        self.assertIn("the data is not what", error["message"])

    def test_groups_and_weights(self):
        """columns of a file say who belongs together and how often a sample is drawn"""
        rows = [f"{i % 13},{i % 7},{i % 3},{0 if i % 5 else 1 + i % 4},{i % 2}" for i in range(260)]
        self.write("visits.csv", "patient,a,b,importance,ill\n" + "\n".join(rows))
        dataset = {"type": "csv", "path": "visits.csv", "target": "ill",
                   "fields": {"patient": {"columns": "patient", "task": "classification"}, "weight": {"columns": "importance"}}}
        config = changed(SMALL, data={
            "train": {"dataset": dataset, "batch_size": 8, "subset": {"folds": 3, "group": "patient", "part": "rest"},
                      "sampler": {"type": "weighted", "by": "weight", "epoch_length": "5 steps"}},
            "val": {"dataset": dataset, "batch_size": 10, "subset": {"folds": 3, "group": "patient"}}})
        self.run_cli("train", self.write("visits.yaml", config), "--output", "run", "--fold", 1)
        train, val = self.samples("run", "train"), self.samples("run", "val")
        self.assertEqual(sorted(train + val), list(range(260)))
        self.assertFalse({i % 13 for i in train} & {i % 13 for i in val})
        self.assertEqual(self.final_state("run")["history"]["epochs"][-1]["step"], 15)

    def test_shared_samples(self):
        """training and validation on the same samples is told"""
        data = SMALL["data"]["train"]["dataset"]
        config = changed(SMALL, data__val={"dataset": data, "batch_size": 100, "subset": {"range": [400, 500]}})
        done = self.run_cli("check", self.write("overlap.yaml", config))
        self.assertIn("data.train and data.val have 100 samples of one dataset in common", done.stderr)

    def test_classes_differ(self):
        """classes that have other numbers in validation are refused"""
        self.write("train.csv", "v,kind\n" + "1,cat\n2,dog\n" * 20)
        self.write("val.csv", "v,kind\n" + "1,dog\n2,ant\n" * 20)
        data = {split: {"dataset": {"type": "csv", "path": f"{split}.csv"}, "batch_size": 10} for split in ["train", "val"]}
        error = self.error("check", self.write("csv.yaml", changed(SMALL, data=data)), expect=3)
        self.assertIn("class 0 is 'ant' here and 'cat' there", error["message"])


class Labels(DataTest):
    def test_refused(self):
        """labels beyond the declared classes, more classes than outputs in training or validation: at `check`"""
        (self.folder / "x.npy").write_bytes(npy([60, 8], "<f4", [0.0] * 480))
        for name, classes in {"four": 4, "six": 6}.items():
            (self.folder / f"{name}.npy").write_bytes(npy([60], "<i8", [i % classes for i in range(60)]))
        split = lambda target, **rest: {"dataset": {"type": "npy", "input": "x.npy", "target": target, **rest}, "batch_size": 10}
        check = lambda data, expect: self.error("check", self.write("a.yaml", changed(SMALL, data=data)), expect=expect)["message"]
        self.assertIn("sample 4 has the label 4, outside of [0, 4)",
                      check({"train": split("four.npy"), "val": split("six.npy", classes=4)}, expect=4))
        self.assertIn("the data has 6 classes, but the model gives 4 outputs", check({"train": split("six.npy")}, expect=3))
        data = {"train": split("four.npy"), "val": split("six.npy")}
        done = self.run_cli("check", self.write("a.yaml", changed(SMALL, data=data)), expect=3)
        self.assertIn("data.val: 'target' has 6 classes, and in data.train 4", done.stderr)
        self.assertIn("the data has 6 classes, but the model gives 4 outputs", done.stderr)

    def test_test_split(self):
        """data.test is measured by eval alone, by default and by name, also when training had another part of the data"""
        dataset = SMALL["data"]["train"]["dataset"]
        parts = {"train": [0, 300], "val": [300, 400], "test": [400, 500]}
        data = {name: {"dataset": dataset, "subset": {"range": part}, "batch_size": 32} for name, part in parts.items()}
        self.run_cli("train", self.write("a.yaml", changed(SMALL, data=data)), "--output", "run")
        last = self.final_state("run")["history"]["epochs"][-1]["values"]
        self.assertFalse(any(name.startswith("test/") for name in last))
        document = self.run_json("eval", "run")
        self.assertEqual((document["split"], document["samples"]), ("test", 100))
        self.assertEqual(self.run_json("eval", "run", "--split", "test")["values"], document["values"])
        self.assertEqual(self.run_json("eval", "run", "--split", "val", "--set", "data.val.subset.range=[400, 500]")["values"]["val/loss"],
                         document["values"]["test/loss"])


if __name__ == "__main__":
    main()
