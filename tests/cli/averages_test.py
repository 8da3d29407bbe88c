"""Averages of the weights in whole runs: the configs of configs/averages, what validates, resuming, weights for other runs, mistakes."""

import json
import random
import subprocess
import time

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main

ONE = ["--set", "trainer.threads=1"]
CONFIGS = sorted((SOURCE / "configs/averages").glob("*.yaml"))
SWA = SOURCE / "configs/averages/swa.yaml"


class Averages(CliTest):
    def history(self, run):
        return json.loads((self.folder / run / "history.json").read_text())

    def arrays(self, run, checkpoint="last.h5"):
        return {array["path"]: array["sha256"] for array in self.run_json("inspect", self.folder / run / "checkpoints" / checkpoint)["arrays"]}

    def test_all_killed_and_resumed(self):
        """every config trains; stopped by signals and by kill -9 at many moments it ends with the same bits and history"""
        self.assertGreaterEqual(len(CONFIGS), 2)
        draw, stops = random.Random(5), 0
        for config in CONFIGS:
            with self.subTest(config.stem):
                begin = time.monotonic()
                self.run_cli("train", config, "--output", config.stem, *ONE)
                seconds = time.monotonic() - begin
                reference = self.final_state(config.stem)
                again = f"{config.stem}-again"
                for attempt in range(60):
                    process = subprocess.Popen([TRAINCTL, "train", config, "--output", again, "--resume", "auto", *ONE,
                                                "--set", "checkpoint.every=[4 steps]"],
                                               cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                    try:
                        _, err = process.communicate(timeout=draw.uniform(0.4, 0.8) * seconds * (1 + attempt / 8))
                        self.assertEqual(process.returncode, 0, err)
                        break
                    except subprocess.TimeoutExpired:
                        process.kill() if attempt % 2 else process.terminate()
                        process.communicate()
                        stops += 1
                self.assert_same_end(again, reference)
        self.assertGreaterEqual(stops, len(CONFIGS))

    def test_validation(self):
        """val/ values and the best checkpoint are the average's; eval takes it, the model or another as asked"""
        self.run_cli("train", SWA, "--output", "run", *ONE)
        for checkpoint, record in [("last.h5", -1), ("best.h5", None)]:
            path = f"run/checkpoints/{checkpoint}"
            history = self.history("run")
            epoch = history["best"]["epoch"] - 1 if record is None else record
            known = history["epochs"][epoch]["values"]["val/loss"]
            document = self.run_json("eval", path)
            self.assertEqual(document["weights"], "swa")
            self.assertEqual(document["values"]["val/loss"], known)
            self.assertEqual(self.run_json("eval", path, "--weights", "swa")["values"], document["values"])
        losses = {w: self.run_json("eval", "run/checkpoints/last.h5", "--weights", w)["values"]["val/loss"] for w in ["model", "ema", "swa"]}
        self.assertEqual(len(set(losses.values())), 3)
        message = self.error("eval", "run", "--weights", "swaa", expect=2)["message"]
        self.assertIn("it holds model, ema, swa", message)
        self.assertIn("Did you mean 'swa'?", message)

    def test_model_is_not_changed(self):
        """with averages, and with validation by one, the model ends with the same bits as without"""
        self.run_cli("train", SWA, "--output", "with", *ONE)
        self.run_cli("train", SWA, "--output", "without", *ONE, "--set", "trainer.evaluate=model", "--unset", "averages")
        averaged, plain = self.arrays("with"), self.arrays("without")
        for path in plain:
            if not path.startswith("metrics/val"):
                self.assertEqual(averaged[path], plain[path], path)

    def test_accumulated_updates(self):
        """an average counts updates, not batches: of two batches each it is the same as of one of the size"""
        swa = changed(SMALL, averages={"swa": {"start": "8 steps", "every": "8 steps"}}, data__train__batch_size=50, trainer__max="24 steps")
        swa["model"]["layers"].pop(2)
        self.run_cli("train", self.write("one.yaml", swa), "--output", "one")
        self.run_cli("train", self.write("two.yaml", changed(swa, data__train__batch_size=25, trainer__accumulate=2)), "--output", "two")
        losses = [self.run_json("eval", f"{run}/checkpoints/last.h5", "--weights", "swa")["values"]["val/loss"] for run in ["one", "two"]]
        self.assertAlmostEqual(losses[0], losses[1], places=5)
        self.assertNotEqual(losses[0], self.history("one")["epochs"][-1]["values"]["val/loss"])

    def test_start_weights(self):
        """init_from takes the weights of an average; what that does not hold is the model's"""
        self.run_cli("train", SWA, "--output", "first", *ONE)
        arrays = self.arrays("first")
        start = "model.init_from={checkpoint: first/checkpoints/last.h5, weights: %s}"
        for weights in ["swa", "ema"]:
            self.run_cli("train", SWA, "--output", weights, *ONE, "--set", start % weights, "--set", "optimizer.lr=0", "--unset", "policies",
                         "--set", "trainer.max=1 step", "--unset", "averages", "--set", "trainer.evaluate=model")
            taken = self.arrays(weights)
            for path in ["0.weight", "1.bias", "4.weight"]:
                self.assertEqual(taken["model/" + path], arrays[f"average/{weights}/{path}"])
        message = self.error("train", SWA, *ONE, "--set", start % "em", "--output", "x", expect=4)["message"]
        self.assertIn("Did you mean 'ema'?", message)

    def test_several_models(self):
        """with several models and optimizers an average holds the parameters of all, by model"""
        gan = SOURCE / "configs/steps/gan.yaml"
        images = "{type: synthetic, samples: 64, shape: [1, 28, 28], classes: 10}"
        self.run_cli("train", gan, "--set", f"data.train.dataset={images}", "--set", "data.train.batch_size=32", "--set", "trainer.max=3 steps", *ONE, "--set", "trainer.device=cpu", "--set", "averages.ema.decay=0.5", "--output", "gan")
        arrays = self.arrays("gan")
        parameters = {path.split("/", 1)[1] for path in arrays if path.startswith("models/") and path.endswith(("weight", "bias"))}
        averaged = {path.split("/", 2)[2] for path in arrays if path.startswith("average/ema/")}
        self.assertEqual(averaged, parameters)
        self.assertEqual({path.split("/")[0] for path in averaged}, {"generator", "discriminator"})

    def test_errors(self):
        """what cannot be is refused at check, at its place"""
        for averages, trainer, path, part in [
            ({"ema": {}}, {"evaluate": "emma"}, "trainer.evaluate", "Did you mean 'ema'?"),
            ({"model": {"type": "ema"}}, {}, "averages.model", "call the average otherwise"),
            ({"swa": {}}, {}, "averages.swa", "start"),
            ({"swa": {"start": "9 epochs"}}, {}, "averages.swa.start", "training ends after"),
            ({"ema": {"every": "0 steps"}}, {}, "averages.ema.every", "more than nothing"),
            ({"ema": {"decay": 1}}, {}, "averages.ema.decay", "below 1"),
            ({"ema": {"refresh_batches": 3}}, {}, "averages.ema", "buffers: refresh"),
            ({"emma": {"type": "emma"}}, {}, "averages.emma", "Did you mean 'ema'?"),
        ]:
            with self.subTest(f"{averages} {trainer}"):
                config = changed(SMALL, averages=averages)
                config["trainer"] = {**config["trainer"], **trainer}
                errors = self.error("check", self.write("c.yaml", config), expect=3)["errors"]
                self.assertEqual([error["path"] for error in errors], [path])
                self.assertIn(part, errors[0]["message"])


if __name__ == "__main__":
    main()
