"""Numbers from the training samples - means, deviations, counts of classes - and several inputs and targets."""

import os
import random
import statistics
import struct

from cli import SMALL, SOURCE, CliTest, changed, main, npy

LINEAR = {"type": "sequential", "layers": [{"type": "linear", "out_features": 1}]}


class FittedTest(CliTest):
    def table(self, name, rows, scale=1.0, offset=0.0, seed=1):
        """A CSV file of two features, far from 0 and 1, and a price that follows from them."""
        draw = random.Random(seed)
        lines = ["rooms,area,price"]
        for _ in range(rows):
            rooms, area = offset + scale * draw.randrange(1, 8), offset + scale * draw.uniform(20, 200)
            lines.append(f"{rooms},{area},{100000 + 2500 * area - 3000 * rooms}")
        self.write(name, "\n".join(lines))
        return [[float(cell) for cell in line.split(",")] for line in lines[1:]]

    def houses(self, **changes):
        dataset = lambda name: {"type": "csv", "path": name, "target": "price", "task": "regression"}
        return changed(SMALL, data={
            "standardize": {"input": {}, "target": {}},
            "train": {"dataset": dataset("train.csv"), "subset": {"fraction": 0.5}, "batch_size": 16, "shuffle": True},
            "val": {"dataset": dataset("val.csv"), "batch_size": 50}}, model=LINEAR, loss="mae",
            metrics={"mean_absolute_error": {}}, **changes)

    def fitted(self, run):
        return self.run_json("check", self.folder / run / "config.yaml")["resolved"]


class Standardize(FittedTest):
    def test_training_samples_alone(self):
        """means and deviations are those of the training split's subset, whatever the validation data are"""
        rows = self.table("train.csv", 120)
        self.table("val.csv", 90, scale=1000.0, offset=1e5, seed=2)
        config = self.write("houses.yaml", self.houses())
        self.run_cli("train", config, "--output", "run")
        ids = [int(line) for line in (self.folder / "run/samples/train.txt").read_text().splitlines()[1:]]
        self.assertEqual(len(ids), 60)
        resolved = (self.folder / "run/config.yaml").read_text()
        for column in range(3):
            values = [struct.unpack("f", struct.pack("f", rows[i][column]))[0] for i in ids]
            for number in statistics.fmean(values), statistics.pstdev(values):
                self.assertRegex(resolved.replace("\n", " "), f"{number:.9g}"[:9].replace(".", r"\."))
        # Other validation data change nothing about them, and `check` shows the same.
        fitted = resolved[resolved.index("\nfitted:"):]
        self.assertIn(fitted, self.run_json("check", config)["resolved"])
        self.table("val.csv", 90, seed=3)
        self.assertIn(fitted, self.run_json("check", config)["resolved"])

    def test_units(self):
        """metrics are in the target's own unit, the loss in deviations; the table is learned, also by eval of the run"""
        rows = self.table("train.csv", 120)
        self.table("val.csv", 90, seed=2)
        config = self.houses(optimizer={"type": "adam", "lr": 0.1}, trainer__max="30 epochs")
        del config["data"]["train"]["subset"]
        self.run_cli("train", self.write("houses.yaml", config), "--output", "run")
        last = self.final_state("run")["history"]["epochs"][-1]["values"]
        deviation = statistics.pstdev(row[2] for row in rows)
        for split in "train", "val":
            error = last[f"{split}/mean_absolute_error"]
            self.assertAlmostEqual(error / (last[f"{split}/loss"] * deviation), 1, places=3)
            self.assertLess(error, 0.1 * deviation)
        values = self.run_json("eval", "run", "--split", "val")["values"]
        again = self.run_json("eval", "run", "--split", "val", "--config", "houses.yaml")["values"]
        self.assertEqual(values, again)
        # Data with other statistics are still measured by the training data's.
        self.table("val.csv", 90, scale=0.1, seed=4)
        small = self.run_json("eval", "run", "--split", "val", "--config", "houses.yaml")["values"]
        self.assertLess(small["val/mean_absolute_error"], 0.15 * deviation)

    def test_exact(self):
        """a run that was stopped at any step ends as one that was not; fitted numbers are not asked of other data"""
        self.table("train.csv", 120)
        self.table("val.csv", 90, seed=2)
        config = self.write("houses.yaml", self.houses(trainer__max="9 steps"))
        self.run_cli("train", config, "--output", "whole")
        self.run_cli("train", config, "--output", "run", "--set", "trainer.max=2 steps")
        self.run_cli("resume", "run", "--set", "trainer.max=5 steps")
        self.run_cli("train", config, "--output", "run", "--resume", "auto")
        self.assertEqual(self.final_state("run")["arrays"], self.final_state("whole")["arrays"])
        # A run's config that is trained anew with other samples does not take over its numbers.
        self.run_cli("train", self.folder / "run/config.yaml", "--output", "other", "--set", "data.train.subset.seed=1")
        section = lambda run: (self.folder / run / "config.yaml").read_text().partition("\nfitted:")[2]
        self.assertNotEqual(section("other"), section("run"))

    def test_refused(self):
        """unknown fields, classes, and a checkpoint that has nothing fitted"""
        self.table("train.csv", 120)
        self.table("val.csv", 90, seed=2)
        config = self.houses()
        config["data"]["standardize"] = {"inputt": {}}
        error = self.error("check", self.write("a.yaml", config), expect=3)
        self.assertIn("data.train has no field 'inputt'. Did you mean 'input'?", error["message"])
        self.assertGreater(error["errors"][0]["line"], 0)
        small = changed(SMALL, data__standardize={"target": {"per": "all"}})
        error = self.error("check", self.write("b.yaml", small), expect=3)
        self.assertIn("holds class numbers", error["message"])
        plain = self.houses(trainer__max="1 step")
        del plain["data"]["standardize"]
        self.run_cli("train", self.write("plain.yaml", plain), "--output", "run")
        error = self.error("eval", "run", "--config", self.write("c.yaml", self.houses()), expect=3)
        self.assertIn("has not fitted it in training", error["message"])

    def test_config(self):
        """the example below configs/data"""
        self.run_cli("train", SOURCE / "configs/data/standardized.yaml", "--output", "run")
        self.assertLess(self.final_state("run")["history"]["epochs"][-1]["values"]["val/loss"], 0.6)


class ClassWeights(FittedTest):
    def imbalanced(self, **changes):
        """Class 0 nine times as often as class 1; label noise, so that weights matter."""
        draw = random.Random(5)
        rows = ["a,b,kind"]
        for i in range(200):
            label = "rare" if i % 10 == 0 else "common"
            rows.append(f"{draw.gauss(1.0 if label == 'rare' else -1.0, 1.5):.4f},{draw.gauss(0, 1):.4f},{label}")
        self.write("kinds.csv", "\n".join(rows))
        data = {"train": {"dataset": {"type": "csv", "path": "kinds.csv"}, "subset": {"range": [0, 160]}, "batch_size": 40},
                "val": {"dataset": {"type": "csv", "path": "kinds.csv"}, "subset": {"range": [160, 200]}, "batch_size": 7}}
        model = {"type": "sequential", "layers": [{"type": "linear", "out_features": 2}]}
        loss = {"type": "cross_entropy", "class_weights": "balanced"}
        return changed(SMALL, data=data, model=model, loss=loss, optimizer={"type": "sgd", "lr": 0.5}, **changes)

    def values(self, run):
        return [record["values"] for record in self.final_state(run)["history"]["epochs"]]

    def test_formulas(self):
        """balanced, inverse_sqrt and effective_number, from 144 and 16 samples"""
        common, rare = 144, 16
        formulas = {"balanced": lambda n: 1 / n, "inverse_sqrt": lambda n: n**-0.5,
                    "effective_number": lambda n: (1 - 0.999) / (1 - 0.999**n)}
        for name, formula in formulas.items():
            config = self.imbalanced()
            config["loss"]["class_weights"] = name
            done = self.run_cli("check", self.write("kinds.yaml", config))
            scale = 160 / (common * formula(common) + rare * formula(rare))
            self.assertIn(f"0 ('common') {scale * formula(common):.6g}, 1 ('rare') {scale * formula(rare):.6g}", done.stderr)
            self.assertRegex(done.stdout, r"class_counts:\s+target: \[144, 16\]")

    def test_accumulated(self):
        """an update of several batches weights its samples as one large batch does, and so do reports"""
        whole = self.imbalanced(policies={"seen": {"type": "gradient_statistics"}})
        parts = changed(whole, data__train__batch_size=7, trainer__accumulate=6)  # 42 samples
        whole["data"]["train"]["batch_size"] = 42
        given = changed(whole, loss__class_weights=[160 / 2 / 144, 160 / 2 / 16])
        for name, config in {"whole": whole, "parts": parts, "given": given}.items():
            self.run_cli("train", self.write(f"{name}.yaml", config), "--output", name)
        for a, b, c in zip(self.values("whole"), self.values("parts"), self.values("given")):
            gradients = [key for key in a if key.startswith("gradient")]
            self.assertGreater(len(gradients), 0)
            for key in ["train/loss", "val/loss", *gradients]:
                self.assertAlmostEqual(a[key], b[key], delta=2e-5 * abs(a[key]))
                self.assertAlmostEqual(a[key], c[key], delta=2e-5 * abs(a[key]))

    def test_exact(self):
        """counted weights are the same after a resume, bit for bit"""
        config = self.imbalanced(trainer__max="11 steps", trainer__accumulate=3)
        config["data"]["train"]["batch_size"] = 7
        path = self.write("kinds.yaml", config)
        self.run_cli("train", path, "--output", "whole")
        self.run_cli("train", path, "--output", "run", "--set", "trainer.max=2 steps")
        self.run_cli("resume", "run", "--set", "trainer.max=6 steps")
        self.run_cli("train", path, "--output", "run", "--resume", "auto")
        self.assertEqual(self.final_state("run")["arrays"], self.final_state("whole")["arrays"])

    def test_refused(self):
        """a class without samples is named, and a rule that is none"""
        config = self.imbalanced()
        config["data"]["train"].update(subset={"range": [1, 10]}, batch_size=4)
        error = self.error("check", self.write("kinds.yaml", config), expect=3)
        self.assertIn("none of class 1 ('rare')", error["message"])
        config["loss"]["class_weights"] = "balance"
        self.error("check", self.write("kinds.yaml", config), expect=3)

    def test_config(self):
        """the example below configs/data"""
        self.run_cli("train", SOURCE / "configs/data/class_weights.yaml", "--output", "run")
        self.assertGreater(self.final_state("run")["history"]["epochs"][-1]["values"]["val/accuracy"], 0.5)


class SeveralFields(FittedTest):
    CONFIG = SOURCE / "configs/data/several_fields.yaml"

    def visits(self, count=200):
        """Pictures whose brightness tells the kind, and two numbers that tell the age."""
        draw = random.Random(3)
        kinds = [i % 3 for i in range(count)]
        numbers = [draw.uniform(100, 900) for _ in range(2 * count)]
        folder = self.folder / "visits"
        folder.mkdir(exist_ok=True)
        pictures = [0.3 * kind + 0.2 * draw.random() for kind in kinds for _ in range(64)]
        (folder / "pictures.npy").write_bytes(npy([count, 1, 8, 8], "<f4", pictures))
        (folder / "numbers.npy").write_bytes(npy([count, 2], "<f4", numbers))
        (folder / "kind.npy").write_bytes(npy([count], "<i8", kinds))
        ages = [20 + 0.02 * numbers[2 * i] + 0.05 * numbers[2 * i + 1] for i in range(count)]
        (folder / "age.npy").write_bytes(npy([count, 1], "<f4", ages))
        return {**os.environ, "VISITS": str(folder)}

    def test_config(self):
        """pictures and numbers give a kind and an age, both learned; what is shown adds up; a resume is exact"""
        environment = self.visits()
        self.run_cli("train", self.CONFIG, "--output", "run", env=environment)
        last = self.final_state("run")["history"]["epochs"][-1]["values"]
        self.assertGreater(last["val/target_accuracy"], 0.9)
        self.assertLess(last["val/age_mean_absolute_error"], 6)
        # In the last update before the report the weight is that of step 49 of 50.
        for split in "train", "val":
            self.assertGreater(last[f"{split}/loss"], last[f"{split}/target_loss"])
        self.assertAlmostEqual(last["val/loss"], last["val/target_loss"] + last["val/age_loss"], places=5)
        self.run_cli("train", self.CONFIG, "--output", "parts", "--set", "trainer.max=13 steps", env=environment)
        self.run_cli("resume", "parts", "--set", "trainer.max=10 epochs", env=environment)
        self.assertEqual(self.final_state("parts")["arrays"], self.final_state("run")["arrays"])
        self.assertIn("val/age_loss", self.run_cli("eval", "run", env=environment).stdout)

    def test_column_of_texts(self):
        """a column of names beside columns of numbers: an embedding that a node reads by the field's name"""
        prices = {"oslo": 5.0, "rome": -3.0, "bern": 1.0}
        draw = random.Random(8)
        rows = [(draw.choice(sorted(prices)), draw.gauss(0, 1)) for _ in range(150)]
        self.write("flats.csv", "city,size,price\n" + "\n".join(f"{c},{s:.4f},{prices[c] + 2 * s:.4f}" for c, s in rows))
        dataset = {"type": "csv", "path": "flats.csv", "target": "price", "task": "regression",
                   "fields": {"city": {"columns": "city", "task": "classification"}}}
        model = {"type": "graph", "inputs": ["input", "city"], "nodes": {
            "place": {"type": "embedding", "num_embeddings": 3, "embedding_dim": 2, "inputs": ["city"]},
            "both": {"type": "concat", "inputs": ["input", "place"]}, "price": {"type": "linear", "out_features": 1}}}
        config = changed(SMALL, data={"standardize": {"input": {}, "target": {}}, "train": {"dataset": dataset, "batch_size": 10}},
                         model=model, loss="mse", metrics={"mean_absolute_error": {}}, optimizer={"type": "adam", "lr": 0.05},
                         checkpoint={"every": ["1 epoch"]}, trainer__max="40 epochs")
        self.run_cli("train", self.write("flats.yaml", config), "--output", "run")
        self.assertLess(self.final_state("run")["history"]["epochs"][-1]["values"]["train/mean_absolute_error"], 0.1)
        model["nodes"]["place"]["num_embeddings"] = 2
        error = self.error("check", self.write("small.yaml", config), expect=3)
        self.assertIn("embedding 'place' has 2 rows, but 'city' has 3 classes", error["message"])

    def test_refused(self):
        """fields that are not there, too few outputs, files that do not belong together, classes to be counted"""
        environment = self.visits()
        refused = lambda *sets, expect=3: self.error(
            "check", self.CONFIG, *[word for text in sets for word in ("--set", text)], expect=expect, env=environment)["message"]
        self.assertIn("the data has no field 'number'", refused("model.inputs=[input, number]"))
        self.assertIn("which is no node. Did you mean 'numbers'?", refused("model.nodes.known.inputs=[number]"))
        self.assertIn("step.targets has 2 fields and the model 1 output", refused("model.outputs=[kind]"))
        counted = "step.targets.{}.loss={{type: cross_entropy, class_weights: balanced}}"
        self.assertIn("'age' is no field of classes", refused(counted.format("age")))
        self.assertIn("cannot weight classes over several batches", refused(counted.format("target"), "trainer.accumulate=2"))
        done = self.run_cli("check", self.CONFIG, "--set", counted.format("target"), env=environment)
        self.assertRegex(done.stdout, r"class_counts:\s+target: \[\d+, \d+, \d+\]")
        self.assertIn("class weights of step.targets.target.loss: 0 ", done.stderr)
        self.assertIn("remove `loss`", refused("loss=mse"))
        self.assertIn("set out_features of its last layer to 3", refused("model.nodes.kind.out_features=2"))
        self.assertIn("has a key of its own", refused("vars.dataset.fields.target={path: x.npy}"))
        (self.folder / "visits/age.npy").write_bytes(npy([7, 1], "<f4", [1.0] * 7))
        self.assertIn("they do not belong together", refused(expect=4))


if __name__ == "__main__":
    main()
