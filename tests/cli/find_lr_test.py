"""find-lr: the curve, the suggestion, the picture, and that nothing is left behind."""

import json
import os

from cli import SMALL, CliTest, changed, main

SGD = changed(SMALL, optimizer={"type": "sgd", "lr": 0.05})


class FindLr(CliTest):
    def everything(self):
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def test_curve(self):
        """the rate grows from start to end by equal ratios or steps, and the losses are those of training with it"""
        config = self.write("c.yaml", SGD)
        ratio = self.run_json("find-lr", config, "--start", "1e-4", "--end", "1e-2", "--steps", "21")
        self.assertEqual((ratio["target"], ratio["monitor"], len(ratio["points"])), ("optimizer.lr", "loss", 21))
        for i, point in enumerate(ratio["points"]):
            self.assertAlmostEqual(point["value"], 1e-4 * 100 ** (i / 20), places=12)
        linear = self.run_json("find-lr", config, "--start", "1e-4", "--end", "1e-2", "--steps", "12", "--linear")
        for i, point in enumerate(linear["points"]):
            self.assertAlmostEqual(point["value"], 1e-4 + 9.9e-3 * i / 11, places=12)
        short = self.run_json("find-lr", config, "--start", "1e-4", "--end", "1e-2", "--steps", "21", "--set", "trainer.max=3 steps")
        self.assertEqual(short["points"], ratio["points"])
        # The same by a policy in a run: an epoch has 16 steps, the last of them smaller.
        policy = {"type": "exponential", "target": "optimizer.lr", "initial": 1e-4, "multiplier": 100, "every": "20 steps", "continuous": True}
        train = {**changed(SGD, trainer__max="21 steps", trainer__log_every="1 steps"), "policies": {"lr": policy}}
        self.run_cli("train", self.write("train.yaml", train), "--output", "run")
        steps = [json.loads(line)["values"]["train/loss"] for line in (self.folder / "run/steps.jsonl").read_text().splitlines()]
        mean = share = 0.0
        for i, point in enumerate(ratio["points"]):
            self.assertAlmostEqual(point["loss"], steps[i], places=12)
            mean, share = 0.95 * mean + 0.05 * steps[i], 0.95 * share + 0.05
            self.assertAlmostEqual(point["smoothed"], mean / share, places=9)

    def test_suggestion(self):
        """it stops when the loss explodes, and suggests rates with which training does better than with ten times less"""
        config = self.write("c.yaml", {**SGD, "policies": {"lr": {"type": "cosine", "target": "optimizer.lr"}}})
        found = self.run_json("find-lr", config, "--start", "1e-4", "--end", "1000")
        self.assertLess(len(found["points"]), 200)
        self.assertIn("times its least", found["stopped"])
        suggestion = found["suggestion"]
        self.assertEqual(set(suggestion), {"steepest", "tenth_of_minimum"})
        least = min(found["points"], key=lambda point: point["smoothed"])
        self.assertAlmostEqual(suggestion["tenth_of_minimum"], least["value"] / 10)
        self.assertLess(suggestion["steepest"], least["value"])
        losses = []
        for rate in [suggestion["tenth_of_minimum"], suggestion["tenth_of_minimum"] / 30]:
            run = self.run_json("train", config, "--set", f"optimizer.lr={rate}", "--set", "trainer.max=1 epoch")
            losses.append(run["values"]["val/loss"])
        self.assertLess(losses[0], losses[1])
        text = self.run_cli("find-lr", config, "--start", "1e-4", "--end", "1000").stdout
        self.assertIn("steepest descent", text)
        self.assertIn("minimum / 10", text)

    def test_leaves_nothing(self):
        """no file but the picture, before or after a run; what the run has trained stays what it is"""
        config = self.write("c.yaml", {**SGD, "policies": {"x": {"type": "exec", "on": "report", "command": "touch executed"}}})
        self.run_cli("train", config, "--output", "run", "--unset", "policies")
        before = self.everything()
        self.run_cli("find-lr", config, "--steps", "40")
        self.assertEqual(self.everything(), before)
        self.run_cli("find-lr", config, "--steps", "40", "--plot", "lr.svg")
        after = self.everything()
        picture = after.pop("lr.svg").decode()
        self.assertEqual(after, before)
        for text in ["optimizer.lr", "train/loss", ">1e-07<", ">0.001<"]:
            self.assertIn(text, picture)
        self.assertEqual(os.listdir(self.folder).count("runs"), 0)
        self.run_cli("train", config, "--output", "again", "--unset", "policies")
        self.assertEqual(self.final_state("again")["arrays"], self.final_state("run")["arrays"])

    def test_other_targets(self):
        """one of several optimizers, other numbers, accumulated batches"""
        model = {"type": "sequential", "layers": [{"type": "linear", "out_features": 8}]}
        judge = {"type": "sequential", "layers": [{"type": "linear", "out_features": 1}]}
        gan = {key: value for key, value in SGD.items() if key not in ("model", "optimizer", "loss", "metrics", "checkpoint")}
        gan |= {"models": {"generator": model, "discriminator": judge}, "step": {"type": "gan", "latent": 4}, "optimizers": {"generator": "adam", "discriminator": "sgd"}}
        message = self.error("find-lr", self.write("gan.yaml", gan), expect=2)["message"]
        self.assertIn("--target one of optimizers.generator.lr, optimizers.discriminator.lr", message)
        arguments = ["gan.yaml", "--target", "optimizers.generator.lr", "--steps", "20"]
        self.assertIn("--monitor one of", self.error("find-lr", *arguments, expect=2)["message"])
        found = self.run_json("find-lr", *arguments, "--monitor", "generator_loss")
        self.assertEqual((found["target"], found["monitor"]), ("optimizers.generator.lr", "generator_loss"))
        self.assertEqual(self.run_json("find-lr", self.write("c.yaml", changed(SGD, trainer__accumulate=3)), "--steps", "30")["points"][0]["value"], 1e-7)
        found = self.run_json("find-lr", "c.yaml", "--target", "model.layers.2.p", "--start", "0.01", "--end", "0.9", "--steps", "20", "--linear")
        self.assertEqual((found["target"], len(found["points"])), ("model.layers.2.p", 20))
        named = {**changed(SGD, optimizer__lr="values.rate"), "values": {"rate": 0.1}}
        self.assertEqual(self.run_json("find-lr", self.write("n.yaml", named), "--steps", "20")["target"], "values.rate")

    def test_no_suggestion(self):
        """a loss that never falls gives none, and one that is NaN from the start is an error"""
        config = self.write("c.yaml", SGD)
        found = self.run_json("find-lr", config, "--start", "1e-12", "--end", "1e-11", "--steps", "30")
        self.assertEqual(found["suggestion"] or {}, {})
        self.assertIn("no suggestion", self.run_cli("find-lr", config, "--start", "1e-12", "--end", "1e-11", "--steps", "30").stdout)
        nan = changed(SGD, data__train={**SGD["data"]["train"], "transforms": [{"type": "normalize", "mean": 0, "std": 1e-38}]})
        self.assertIn("very first step", self.error("find-lr", self.write("nan.yaml", nan), expect=5)["message"])

    def test_mistakes(self):
        """bounds, targets and monitors that do not exist"""
        config = self.write("c.yaml", SGD)
        for arguments, advice in [
            (["--start", "0"], "above 0"),
            (["--start", "1", "--end", "0.1"], "above --start"),
            (["--steps", "3"], "at least 10"),
            (["--target", "optimizer.lrr"], "Did you mean 'optimizer.lr'?"),
            (["--monitor", "los"], "Did you mean 'loss'?"),
        ]:
            with self.subTest(advice):
                self.assertIn(advice, self.error("find-lr", config, *arguments, expect=2)["message"])


if __name__ == "__main__":
    main()
