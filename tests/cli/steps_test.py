"""What happens with a batch: the configs of configs/steps, weights from checkpoints, frozen layers, several models and optimizers."""

import math
import os
import struct

from cli import SMALL, SOURCE, CliTest, changed, main

LAYERS = SMALL["model"]["layers"]
IMAGES = "{type: synthetic, samples: 96, shape: [1, 28, 28], classes: 10%s}"
FAST = ["--set", "data.train.dataset=" + IMAGES % "", "--set", "data.train.batch_size=32", "--set", "trainer.threads=1", "--set",
        "trainer.device=cpu", "--set", "trainer.max=6 steps"]


class Steps(CliTest):
    def setUp(self):
        super().setUp()
        self.teacher = self.write("teacher.yaml", changed(SMALL, name="teacher", trainer__max="2 epochs"))
        self.run_cli("train", self.teacher)
        self.teacher_run = self.folder / "runs/tests/teacher-1"

    def arrays(self, run):
        checkpoint = self.run_json("inspect", self.folder / run / "checkpoints/last.h5")
        return {array["path"]: array["sha256"] for array in checkpoint["arrays"]}

    def distilled(self, **changes):
        config = changed(SMALL, **{"name": "student", "step": {"type": "distillation", "temperature": 2.0, "alpha": 0.5}, **changes})
        student = {"type": "sequential", "layers": [{"type": "linear", "out_features": 8}, "relu", {"type": "linear", "out_features": 4}]}
        teacher = {**config.pop("model"), "freeze": "*", "init_from": {"checkpoint": "runs/tests/teacher-1"}}
        config["models"] = {"student": student, "teacher": teacher}
        config["optimizer"]["trains"] = "student"
        return config

    def test_shipped_configs(self):
        """every config of configs/steps trains, stopped after three of its six steps and resumed too, to the same bits"""
        teacher = self.run_cli("train", SOURCE / "configs/fashion_mnist_lenet.yaml", *FAST, "--unset", "data.val", "--unset", "checkpoint",
                               "--output", "lenet").stdout.splitlines()[0]
        os.environ["TEACHER"] = str(self.folder / teacher)
        self.addCleanup(os.environ.pop, "TEACHER")
        for config in sorted((SOURCE / "configs/steps").glob("*.yaml")):
            with self.subTest(config.name):
                fast = [*FAST, *(["--unset", "checkpoint"] if "checkpoint:\n" in config.read_text() else [])]
                if "val:" in config.read_text():
                    fast += ["--set", "data.val.dataset=" + IMAGES % ", first: 96", "--set", "data.val.batch_size=50"]
                whole, parts = f"whole-{config.stem}", f"parts-{config.stem}"
                self.run_cli("train", config, *fast, "--output", whole)
                self.run_cli("train", config, *fast, "--set", "trainer.max=3 steps", "--output", parts)
                self.run_cli("resume", parts, "--set", "trainer.max=6 steps")
                self.assertEqual(self.arrays(parts), self.arrays(whole))
                self.run_cli("eval", whole, "--split", "train")

    def test_teacher_stays(self):
        """the teacher begins with its checkpoint and never changes; the student learns; a resume needs no teacher file"""
        config = self.write("student.yaml", self.distilled())
        self.run_cli("train", config)
        teacher, arrays = self.arrays(self.teacher_run), self.arrays("runs/tests/student-1")
        names = [name.removeprefix("model/") for name in teacher if name.startswith("model/")]
        self.assertEqual({n: arrays["models/teacher/" + n] for n in names}, {n: teacher["model/" + n] for n in names})
        self.assertFalse([path for path in arrays if path.startswith("optimizer/") and "teacher" in path])
        self.teacher_run.rename(self.folder / "gone")
        self.run_cli("resume", "runs/tests/student-1", "--more", "1 epoch")
        self.assertEqual(self.arrays("runs/tests/student-1")["models/teacher/0.weight"], teacher["model/0.weight"])

    def test_teacher_that_would_learn(self):
        """a teacher that is not frozen, or missing, is refused at check"""
        config = self.distilled()
        del config["models"]["teacher"]["freeze"]
        self.assertIn("freeze", self.error("check", self.write("c.yaml", config), expect=3)["message"])
        config = self.distilled()
        config["models"]["master"] = config["models"].pop("teacher")
        message = self.error("check", self.write("c.yaml", config), expect=3)["message"]
        self.assertIn("models 'teacher'", message.replace("model 'teacher'", "models 'teacher'"))
        self.assertIn("master", message)

    def test_without_labels(self):
        """distillation on outputs needs neither labels nor a loss"""
        config = self.distilled(step={"type": "distillation", "match": "outputs", "target": None})
        del config["loss"], config["metrics"]
        lines = self.run_cli("train", self.write("c.yaml", config)).stdout
        self.assertIn("val/loss", lines)
        self.assertNotIn("hard_loss", lines)
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (64, 8)}".ljust(117) + "\n"
        numbers = struct.pack("<512f", *(math.sin(i) for i in range(512)))
        (self.folder / "unlabelled.npy").write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + numbers)
        config["data"] = {"train": {"dataset": {"type": "npy", "input": "unlabelled.npy", "target": None}, "batch_size": 16}}
        del config["checkpoint"]
        self.run_cli("train", self.write("c.yaml", config))
        config["metrics"] = {"accuracy": {}}
        error = self.error("check", self.write("c.yaml", config), expect=3)["errors"][0]
        self.assertEqual(error["path"], "metrics.accuracy")
        self.assertIn("nothing to hold its output against", error["message"])

    def test_values_off(self):
        """null takes away a metric, and a value that the step itself reports; the loss stays"""
        off = {"accuracy": None, "soft_loss": None}
        self.run_cli("train", self.write("c.yaml", self.distilled(metrics={"accuracy": {}})))
        config = self.write("off.yaml", {"extends": "c.yaml", "metrics": off, "name": "off"})
        values = self.run_json("train", config)["values"]
        self.assertEqual(set(values), {f"{split}/{name}" for split in ["train", "val"] for name in ["loss", "hard_loss"]} | {"lr"})
        full = self.arrays("runs/tests/student-1")
        self.assertEqual({path: full[path] for path in self.arrays("runs/tests/off-1")}, self.arrays("runs/tests/off-1"))
        self.run_cli("resume", "runs/tests/off-1", "--more", "1 epoch")
        self.assertNotIn("soft_loss", self.run_cli("history", "runs/tests/off-1").stdout)

        monitored = {"extends": "c.yaml", "metrics": off, "policies": {"stop": {"type": "stop_when", "monitor": "val/soft_loss", "below": 0}}}
        self.assertIn("val/hard_loss", self.error("check", self.write("m.yaml", monitored), expect=3)["message"])
        error = self.error("check", self.write("l.yaml", {"extends": "c.yaml", "metrics": {"loss": None}}), expect=3)["errors"][0]
        self.assertEqual(error["path"], "metrics")
        self.assertIn("always reported", error["message"])

    def test_start_weights(self):
        """init_from: strict tells every difference, strict: false takes what fits, match chooses; a frozen layer stays"""
        start = {"checkpoint": "runs/tests/teacher-1"}
        other = changed(SMALL, name="other", model={"type": "sequential", "init_from": start, "layers": [
            LAYERS[0], "relu", {"type": "linear", "out_features": 16}, {"type": "linear", "out_features": 4}]})
        message = self.error("train", self.write("c.yaml", other), expect=4)["message"]
        for part in ["2.weight: missing", "3.weight: f32(4, 32), expected f32(4, 16)"]:
            self.assertIn(part, message)
        self.assertFalse((self.folder / "runs/tests/other-1").exists())
        self.error("check", "c.yaml", expect=4)

        loose = changed(other, model__init_from={**start, "strict": False}, model__freeze=["0.*"])
        result = self.run_cli("train", self.write("c.yaml", loose))
        self.assertIn("not all of it fits", result.stderr)
        teacher, arrays = self.arrays(self.teacher_run), self.arrays("runs/tests/other-1")
        self.assertEqual(arrays["model/0.weight"], teacher["model/0.weight"])
        self.assertNotEqual(arrays["model/3.bias"], teacher["model/3.bias"])

        matched = changed(other, model__init_from={**start, "match": ["0.weigth"]})
        self.assertIn("matches nothing", self.error("check", self.write("c.yaml", matched), expect=3)["message"])
        frozen = changed(other, model__freeze=["0.weigth"])
        self.assertIn("Did you mean", self.error("check", self.write("c.yaml", frozen), expect=3)["message"])

    def test_models_and_optimizers(self):
        """what does not go together is told: model and models, an optimizer without a model, two for one"""
        twice = {**SMALL, "models": {"a": SMALL["model"]}}
        self.assertIn("both 'model' and 'models'", self.error("check", self.write("c.yaml", twice), expect=3)["message"])
        none = {key: value for key, value in SMALL.items() if key != "optimizer"}
        self.assertIn("missing key 'optimizer'", self.error("check", self.write("c.yaml", none), expect=3)["message"])
        config = self.distilled()
        config["optimizers"] = {"studnet": {"type": "adam"}}
        del config["optimizer"]
        self.assertIn("studnet", self.error("check", self.write("c.yaml", config), expect=3)["message"])
        config["optimizers"] = {"a": {"type": "adam", "trains": "student"}, "b": {"type": "sgd", "trains": "student"}}
        self.assertIn("two optimizers", self.error("check", self.write("c.yaml", config), expect=3)["message"])


if __name__ == "__main__":
    main()
