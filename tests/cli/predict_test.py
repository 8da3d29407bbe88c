"""`predict`: new data without targets, tables above all, both kinds of file, every step, and what is refused."""

import csv
import os
import random
import resource
import signal

import h5py
import numpy

from cli import SMALL, SOURCE, CliTest, changed, main

FEW = {"trainer__max": "2 epochs", "checkpoint": {}}


class Predict(CliTest):
    def train(self, config, run="run"):
        self.run_cli("train", self.write(f"{run}.yaml", config), "--output", run)

    def predicted(self, *arguments, **options):
        """The arrays of the HDF5 file that `predict` writes, and its summary."""
        summary = self.run_json("predict", *arguments, "--output", "p.h5", **options)
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith(".p")], [])
        with h5py.File(self.folder / "p.h5") as file:
            arrays = {}
            file.visititems(lambda name, x: arrays.update({name: x[()]}) if isinstance(x, h5py.Dataset) else None)
        return arrays, summary

    def table(self, *arguments):
        self.run_cli("predict", *arguments, "--output", "p.csv")
        with open(self.folder / "p.csv", newline="") as file:
            header, *rows = csv.reader(file)
        return header, rows

    def evaluated(self, run, package="classification", *arguments):
        """Predictions of the validation data by `eval`."""
        self.run_cli("eval", run, "--split", "val", "--package", package, "--output", "out", *arguments)
        with h5py.File(self.folder / "out/val_predictions.h5") as file:
            return file["predictions"][()]


class Tables(Predict):
    KINDS = ["iris setosa", 'a "wild" one', "one, two"]

    def rows(self, name, count, columns, seed=0):
        draw = random.Random(seed)
        with open(self.folder / name, "w", newline="") as file:
            table = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
            table.writeheader()
            for _ in range(count):
                kind = draw.randrange(3)
                sepal, petal, width = 50 + kind + draw.random(), draw.random() - kind, 3 * draw.random()
                table.writerow({"sepal": sepal, "petal": petal, "width": width, "id": f"x{draw.random()}",
                                "species": self.KINDS[kind], "price": 1000 + 30 * sepal})

    def config(self, **changes):
        dataset = lambda name: {"type": "csv", "path": name, "target": "species"}
        for seed, name in enumerate(["train", "val"]):
            self.rows(f"{name}.csv", 60 - 7 * seed, ["sepal", "petal", "width", "species"], seed)
        return changed(SMALL, data={
            "standardize": {"input": {}}, "train": {"dataset": dataset("train.csv"), "batch_size": 16},
            "val": {"dataset": dataset("val.csv"), "batch_size": 10}},
            model={"type": "sequential", "layers": [{"type": "linear", "out_features": 3}]}, **{**FEW, **changes})

    def test_classes(self):
        """columns are found by their names, and classes told by theirs, where no training data are left"""
        self.train(self.config())
        reference = self.evaluated("run")
        # Other columns before, between and after, in another order, and with targets.
        self.rows("new.csv", 53, ["width", "id", "petal", "sepal", "species"], 1)
        os.rename(self.folder / "train.csv", self.folder / "gone.csv")
        os.rename(self.folder / "val.csv", self.folder / "gone too.csv")
        for size in [1, 10, 53, 1000]:
            arrays, summary = self.predicted("run", "new.csv", "--batch-size", size)
            numpy.testing.assert_allclose(arrays["output"], reference, rtol=1e-5, atol=1e-5)
        self.assertEqual((summary["samples"], summary["outputs"][0]["shape"]), (53, [3]))
        exact, _ = self.predicted("run", "new.csv")
        self.assertTrue((exact["output"] == reference).all())
        self.assertEqual([text.decode() for text in exact["class_names"]], sorted(self.KINDS))
        e = numpy.exp(reference.astype("f8") - reference.max(1, keepdims=True))
        numpy.testing.assert_allclose(exact["probabilities"], e / e.sum(1, keepdims=True), atol=1e-7)
        self.assertEqual(exact["class"].tolist(), reference.argmax(1).tolist())
        self.assertEqual(exact["id"].tolist(), list(range(53)))
        header, rows = self.table("run", "new.csv")
        self.assertEqual(header, ["id", "class", *("p_" + kind for kind in sorted(self.KINDS))])
        self.assertEqual([row[1] for row in rows], [sorted(self.KINDS)[k] for k in exact["class"]])
        self.assertEqual(numpy.array([row[2:] for row in rows], "f4").tolist(), exact["probabilities"].tolist())

    def test_own_unit(self):
        """a standardised target comes back in its own unit, under its own name"""
        config = self.config(loss="mse", metrics={}, optimizer__lr=0.1)
        config["data"]["standardize"]["target"] = {}
        config["model"]["layers"][0]["out_features"] = 1
        columns = ["petal", "sepal", "width"]
        for seed, name in enumerate(["train", "val"]):
            self.rows(f"{name}.csv", 60, [*columns, "price"], seed)
            config["data"][name]["dataset"].update(target="price", task="regression")
        self.train(config)
        self.rows("new.csv", 60, columns, 1)
        header, rows = self.table("run", "new.csv")
        self.assertEqual(header, ["id", "price"])
        values = numpy.array([row[1] for row in rows], "f4")
        self.assertGreater(values.min(), 1000)
        self.assertEqual(values.tolist(), self.evaluated("run", "regression").ravel().tolist())

    def test_numbers(self):
        """no samples, one, several files one after another, a data set in the spec's language, and standard refusals"""
        self.train(self.config())
        columns = ["sepal", "petal", "width"]
        for name, count in [("none.csv", 0), ("one.csv", 1), ("new.csv", 13)]:
            self.rows(name, count, columns)
        header, rows = self.table("run", "none.csv")
        self.assertEqual((len(header), rows), (5, []))
        self.assertEqual(self.predicted("run", "none.csv", "none.csv")[0]["output"].shape, (0, 3))
        one = self.predicted("run", "one.csv")[0]["output"]
        new = self.predicted("run", "{type: csv, path: new.csv, target: []}")[0]["output"]
        both, summary = self.predicted("run", "new.csv", "none.csv", "one.csv")
        self.assertEqual((summary["samples"], both["id"].tolist()), (14, list(range(14))))
        numpy.testing.assert_allclose(both["output"], numpy.concatenate([new, one]), rtol=1e-5)
        self.rows("short.csv", 3, ["sepal", "width"])
        self.assertIn("has no column 'petal'", self.error("predict", "run", "short.csv", "--output", "x.csv", expect=3)["message"])
        message = self.error("predict", "run", "{type: csv, path: new.csv, target: [], features: [0, 1]}", "--output", "x.csv", expect=4)["message"]
        self.assertIn("'input' is f32 (2) (columns sepal, petal), and the model was trained on f32 (3) (columns sepal, petal, width)", message)
        self.write("bad.csv", "sepal,petal,width\n1,2,x\n")
        self.assertIn("bad.csv:2:5", self.error("predict", "run", "bad.csv", "--output", "x.csv", expect=4)["message"])
        self.assertFalse((self.folder / "x.csv").exists())

    def test_no_header(self):
        """columns are told by their places in the training data, or are those alone that the model is given"""
        draw = random.Random(1)
        rows = [[i % 3, i % 2, draw.random(), draw.random(), 9 * i] for i in range(60)]  # kind, city, a, b, and a number
        def write(name, columns):
            with open(self.folder / name, "w", newline="") as file:
                csv.writer(file).writerows([row[i] for i in columns] for row in rows)

        write("all.csv", range(5))
        write("given.csv", [1, 2, 3])
        write("inputs.csv", [2, 3])
        model = {"type": "graph", "inputs": ["input", "city"], "nodes": {
            "place": {"type": "embedding", "num_embeddings": 2, "embedding_dim": 2, "inputs": ["city"]},
            "both": {"type": "concat", "inputs": ["input", "place"]}, "head": {"type": "linear", "out_features": 3}}}
        dataset = {"type": "csv", "path": "all.csv", "header": False, "target": 0,
                   "fields": {"city": {"columns": 1, "task": "classification"}, "number": {"columns": -1}}}
        config = changed(SMALL, data={"train": {"dataset": dataset, "batch_size": 10}}, model=model, **FEW)
        self.train(config)
        expected = self.predicted("run", "--split", "train")[0]["output"]
        for files in [["all.csv"], ["given.csv"], ["given.csv", "all.csv"]]:
            output = self.predicted("run", *files, "--batch-size", 10)[0]["output"]
            self.assertTrue((output == numpy.concatenate([expected] * len(files))).all(), files)
        message = self.error("predict", "run", "inputs.csv", "--output", "x.csv", expect=4)["message"]
        self.assertIn("inputs.csv: has 2 columns and no header; give it the 3 that the model is given, or all 5 of the training data", message)
        # Named places hold in any file.
        config = changed(config, model={"type": "sequential", "layers": [{"type": "linear", "out_features": 3}]})
        config["data"]["train"]["dataset"]["features"] = [3, 2]
        self.train(config, "places")
        expected = self.predicted("places", "--split", "train")[0]["output"]
        self.assertTrue((self.predicted("places", "all.csv")[0]["output"] == expected).all())
        message = self.error("predict", "places", "given.csv", "--output", "x.csv", expect=3)["message"]
        self.assertIn("given.csv: has no column 3; it has 3, counted from 0", message)


class Steps(Predict):
    def test_steps(self):
        """every step predicts what it gives in evaluation; models that are not asked are not there"""
        for config in ["autoencoder", "gan"]:
            with self.subTest(config):
                small = ["--set", "trainer.max=2 steps", "--set", "data.train.batch_size=8", "--set", "data.train.shuffle=false", "--set", "data.train.drop_last=false", *(["--unset", "data.val"] if config == "autoencoder" else []),
                         "--set", "data.train.dataset={type: synthetic, task: images, shape: [1, 28, 28], samples: 20}"]
                self.run_cli("train", SOURCE / f"configs/steps/{config}.yaml", "--output", config, *small)
                arrays, summary = self.predicted(config, "--split", "train")
                self.assertEqual(sorted(arrays), ["id", "output"])
                self.run_cli("eval", config, "--split", "train", "--package", "regression", "--output", "out", "--target", "input")
                with h5py.File(self.folder / "out/train_predictions.h5") as file:
                    self.assertTrue((file["predictions"][()] == arrays["output"]).all())
                    # The target is as the step sees it: images as numbers.
                    self.assertLessEqual(file["targets"][()].max(), 1.0)
                self.assertEqual(len(arrays["output"]), summary["samples"])

    def test_distilled(self):
        """a student answers without its teacher"""
        self.train(changed(SMALL, **FEW), "teacher")
        config = changed(SMALL, step="distillation", **FEW)
        model = config.pop("model")
        config["models"] = {"student": model, "teacher": {**model, "freeze": "*", "init_from": {"checkpoint": "teacher"}}}
        config["optimizer"]["trains"] = "student"
        self.train(config)
        arrays, _ = self.predicted("run", "--split", "val")
        self.assertEqual(sorted(arrays), ["class", "class_names", "id", "output", "probabilities"])
        self.assertTrue((arrays["output"] == self.evaluated("run")).all())

    def test_several_outputs(self):
        """multi_target: a group, or columns, for each field"""
        rows = "\n".join(f"{i},{i % 3},{i % 2},{10 * i}" for i in range(30))
        self.write("all.csv", "a,b,kind,price\n" + rows)
        self.write("new.csv", "a,b\n" + "\n".join(f"{i},{i % 3}" for i in range(9)))
        dataset = {"type": "csv", "path": "all.csv", "target": [], "features": ["a", "b"],
                   "fields": {"kind": {"columns": "kind", "task": "classification"}, "price": {"columns": "price"}}}
        model = {"type": "graph", "nodes": {"kind": {"type": "linear", "out_features": 2, "inputs": ["input"]},
                                            "price": {"type": "linear", "out_features": 1, "inputs": ["input"]}},
                 "outputs": ["kind", "price"]}
        config = changed(SMALL, data={"standardize": {"price": {}}, "train": {"dataset": dataset, "batch_size": 10}}, model=model, metrics={},
                         step={"type": "multi_target", "targets": {"kind": {"loss": "cross_entropy"}, "price": {"loss": "mse"}}}, **FEW)
        del config["loss"]
        self.train(config)
        arrays, summary = self.predicted("run", "new.csv")
        self.assertEqual(sorted(arrays), ["id", "kind/class", "kind/class_names", "kind/output", "kind/probabilities", "price/output"])
        self.assertEqual([output["name"] for output in summary["outputs"]], ["kind", "price"])
        self.assertGreater(numpy.ptp(arrays["price/output"]) + abs(arrays["price/output"]).max(), 20)
        header, rows = self.table("run", "new.csv")
        self.assertEqual(header, ["id", "kind_class", "kind_p_0", "kind_p_1", "price_price"])
        self.assertEqual(numpy.array([row[4] for row in rows], "f4").tolist(), arrays["price/output"].ravel().tolist())
        # Results of either field.
        for target, package in [("kind", "classification"), ("price", "regression")]:
            self.run_cli("eval", "run", "--split", "train", "--package", package, "--output", target, "--target", target)
            with h5py.File(self.folder / target / "train_predictions.h5") as file:
                self.assertEqual(file["predictions"].shape, (30, 2 if target == "kind" else 1))
                if target == "price":
                    self.assertEqual(file["targets"][()].ravel().tolist(), [10.0 * i for i in range(30)])

    def test_binary_and_averages(self):
        """one logit is the probability of 1; an average by its name"""
        config = changed(SMALL, loss="bce_with_logits", metrics={}, averages={"ema": {"decay": 0.9}}, **FEW)
        for split in config["data"].values():
            split["dataset"]["classes"] = 2
        config["model"]["layers"][-1]["out_features"] = 1
        self.train(config)
        plain, _ = self.predicted("run", "--split", "val")
        average, summary = self.predicted("run", "--split", "val", "--weights", "ema")
        self.assertEqual(summary["weights"], "ema")
        self.assertFalse((plain["output"] == average["output"]).all())
        self.assertTrue((average["output"] == self.evaluated("run", "binary", "--weights", "ema")).all())
        numpy.testing.assert_allclose(plain["probabilities"], 1 / (1 + numpy.exp(-plain["output"])), rtol=1e-6)
        self.assertEqual(plain["class"].tolist(), (plain["output"] >= 0).astype(int).tolist())
        self.assertEqual(self.table("run", "--split", "val")[0], ["id", "class", "probability"])
        self.assertIn("ema", self.error("predict", "run", "--split", "val", "--weights", "eam", "--output", "x.h5", expect=2)["message"])


class Mistakes(Predict):
    def test_refused(self):
        """what is wrong is told before anything runs, and the file that was there stays"""
        self.train(changed(SMALL, **FEW))
        kept = self.write("kept.csv", "mine")
        for arguments, code, expected in [
            (["--output", "kept.csv"], 2, "give data as INPUT"),
            (["--split", "val"], 2, "--output"),
            (["--split", "val", "--output", "p.txt"], 2, "by the file's ending"),
            (["--split", "val", "--output", "nowhere/p.csv"], 2, "there is no folder"),
            (["--split", "val", "--output", "run"], 2, "by the file's ending"),
            (["--split", "test", "--output", "p.csv"], 2, "has no data.test"),
            (["new.npy", "--output", "kept.csv"], 4, "there is no such file"),
            (["kept.csv", "--output", "kept.csv"], 3, "say how the samples are read, as in '{type: npy, input: "),
            (["{type: npyy}", "--output", "kept.csv"], 3, "Did you mean 'npy'?"),
            (["{type: npy, input: gone.npy}", "--output", "kept.csv"], 4, "gone.npy"),
            (["--split", "val", "--checkpoint", "bst", "--output", "kept.csv"], 2, "no such file; it holds step-00000032, step-00000016, last"),
            (["--split", "val", "--checkpoint", "best", "--output", "kept.csv"], 2, "step-00000016, last; `best` is kept where checkpoint.keep.best says"),
            (["--split", "val", "--checkpoint", "last", "--weights", "best", "--output", "kept.csv"], 2, "leave one out"),
            (["--split", "val", "--set", "data.val.batchsize=3", "--output", "kept.csv"], 3, "batch_size"),
        ]:
            with self.subTest(expected):
                self.assertIn(expected, self.error("predict", "run", *arguments, expect=code)["message"])
        self.assertEqual(kept.read_text(), "mine")
        self.assertIn("no such run", self.error("predict", "other", "--split", "val", "--output", "p.csv", expect=4)["message"])

    def test_wide(self):
        """too many numbers for a table; HDF5 takes them"""
        image = {"type": "synthetic", "task": "images", "samples": 20, "shape": [1, 150, 150], "classes": 4}
        model = {"type": "sequential", "layers": [{"type": "conv2d", "out_channels": 1, "kernel_size": 1}]}
        config = changed(SMALL, data={"train": {"dataset": image, "batch_size": 10}}, model=model, metrics={}, loss="mse", step="reconstruction", **FEW)
        self.train(config)
        self.assertIn("22501 columns", self.error("predict", "run", "--split", "train", "--output", "p.csv", expect=2)["message"])
        self.assertEqual(self.predicted("run", "--split", "train")[0]["output"].shape, (20, 1, 150, 150))

    def test_full_disk(self):
        """predictions that find no room end with exit 6; the older file stays, and nothing else is left"""
        self.train(changed(SMALL, data__val__dataset__samples=8000, **FEW))

        def limited():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        for name in ["p.csv", "p.h5"]:
            self.write(name, "older")
            message = self.error("predict", "run", "--split", "val", "--output", name, expect=6, preexec_fn=limited)["message"]
            self.assertIn(name, message)
            self.assertEqual((self.folder / name).read_text(), "older")
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith(".p")], [])


if __name__ == "__main__":
    main()
