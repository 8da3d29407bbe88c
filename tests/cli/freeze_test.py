"""freeze and freeze_until: what is frozen does not change, begins when it should, and resumes exactly across the boundary."""

import json
import subprocess

from cli import SMALL, TRAINCTL, CliTest, changed, main

LAYERS = SMALL["model"]["layers"]
DEEP = [{"type": "linear", "out_features": 24}, "batch_norm", "relu", {"type": "linear", "out_features": 16}, "relu", {"type": "linear", "out_features": 4}]
# 16 steps an epoch. Decay and momentum would move what is frozen, if it were not.
STAGED = changed(SMALL, model={"type": "sequential", "layers": DEEP, "freeze_until": {"5.*": "1 steps", "3.*": "1 epoch", "0.*": "37 steps"}},
                 optimizer={"type": "adamw", "lr": 1e-2, "weight_decay": 0.1}, trainer__max="4 epochs")


class Freeze(CliTest):
    def arrays(self, run):
        return {array["path"]: array["sha256"] for array in self.run_json("inspect", self.folder / run / "checkpoints/last.h5")["arrays"]}

    def model(self, run):
        return {path: digest for path, digest in self.arrays(run).items() if path.startswith("model/")}

    def after(self, config, steps):
        name = f"after-{steps}"
        self.run_cli("train", config, "--output", name, "--set", f"trainer.max={steps} steps", "--unset", "checkpoint")
        return self.arrays(name)

    def test_boundaries(self):
        """parameters and slots begin to change with the very update that frees them"""
        config = self.write("c.yaml", STAGED)
        start, before, at, later, last = (self.after(config, steps) for steps in [1, 16, 17, 37, 38])
        for name in ["0.weight", "0.bias"]:
            self.assertEqual({a["model/" + name] for a in [start, before, at, later]}, {start["model/" + name]})
            self.assertNotEqual(last["model/" + name], later["model/" + name])
        self.assertEqual(before["model/3.weight"], start["model/3.weight"])
        self.assertNotEqual(at["model/3.weight"], before["model/3.weight"])
        self.assertNotEqual(before["model/1.weight"], start["model/1.weight"])
        slots = sorted(path for path in last if path.startswith("optimizer/") and path.endswith(("step", "0.weight")))
        self.assertEqual([path for path in slots if path.endswith("step")], ["optimizer/default.stage1/step", "optimizer/default.stage2/step", "optimizer/default.stage3/step", "optimizer/default/step"])
        self.assertEqual(later["optimizer/default.stage3/step"], start["optimizer/default.stage3/step"])
        self.assertEqual(last["optimizer/default.stage3/step"], start["optimizer/default/step"])  # both have counted one update

    def test_two_phases(self):
        """frozen until a time is a run with `freeze`, and from its weights one without"""
        sgd = changed(SMALL, optimizer={"type": "sgd", "lr": 0.05, "weight_decay": 0.01}, trainer__max="2 epochs", model__layers=[LAYERS[0], "relu", LAYERS[3]])
        self.run_cli("train", self.write("until.yaml", changed(sgd, model={**sgd["model"], "freeze": ["0.*"], "freeze_until": "1 epoch"})), "--output", "until")
        self.run_cli("train", self.write("first.yaml", changed(sgd, trainer__max="1 epoch", model={**sgd["model"], "freeze": ["0.*"]})), "--output", "first")
        # The second epoch's order of samples comes with its number: a run of two epochs that begins anew at the second.
        second = changed(sgd, model={**sgd["model"], "init_from": {"checkpoint": "first/checkpoints/last.h5"}}, data__train={**sgd["data"]["train"], "shuffle": False})
        for name, data in [("until", "until.yaml"), ("first", "first.yaml")]:
            plain = json.loads((self.folder / data).read_text())
            plain["data"]["train"]["shuffle"] = False
            self.write(data, plain)
            self.run_cli("train", data, "--output", f"{name}-plain")
        second["model"]["init_from"]["checkpoint"] = "first-plain/checkpoints/last.h5"
        self.run_cli("train", self.write("second.yaml", changed(second, trainer__max="1 epoch")), "--output", "second")
        self.assertEqual(self.model("second"), self.model("until-plain"))

    def test_forever(self):
        """what no time of freeze_until matches stays frozen, and has no slots"""
        config = changed(STAGED, model={"type": "sequential", "layers": DEEP, "freeze": "*", "freeze_until": {"5.*": "1 steps"}})
        message = self.error("check", self.write("c.yaml", config), expect=3)["message"]
        self.assertIn("freeze_until leaves nothing to train before step 1", message)
        forever = changed(STAGED, model={"type": "sequential", "layers": DEEP, "freeze": ["0.*", "1.*"], "freeze_until": {"3.*": "1 epoch"}})
        self.run_cli("train", self.write("f.yaml", forever), "--output", "forever")
        self.assertFalse([path for path in self.arrays("forever") if path.startswith("optimizer/") and path.endswith("/0.weight")])

    def test_whole_model(self):
        """a model that is frozen as a whole is used as in evaluation, statistics and all, until it is freed"""
        generator = {"type": "sequential", "layers": [{"type": "linear", "out_features": 16}, "batch_norm", {"type": "linear", "out_features": 8}], "freeze": "*",
                     "freeze_until": "1 epoch"}
        judge = {"type": "sequential", "layers": [{"type": "linear", "out_features": 16}, "relu", {"type": "linear", "out_features": 1}]}
        config = {key: value for key, value in SMALL.items() if key not in ("model", "optimizer", "loss", "metrics", "checkpoint")}
        config |= {"models": {"generator": generator, "discriminator": judge}, "step": {"type": "gan", "latent": 4},
                   "optimizers": {"generator": {"type": "adam"}, "discriminator": {"type": "adam"}}}
        self.write("c.yaml", config)
        runs = {}
        for steps in [1, 16, 17]:
            self.run_cli("train", "c.yaml", "--output", f"to-{steps}", "--set", f"trainer.max={steps} steps")
            runs[steps] = self.arrays(f"to-{steps}")
        of_generator = [path for path in runs[1] if path.startswith("models/generator/")]
        self.assertIn("models/generator/1.running_mean", of_generator)
        for path in of_generator:
            self.assertEqual(runs[16][path], runs[1][path], path)
            self.assertNotEqual(runs[17][path], runs[1][path], path)
        self.assertNotEqual(runs[16]["models/discriminator/0.weight"], runs[1]["models/discriminator/0.weight"])
        self.run_cli("resume", "to-16", "--set", "trainer.max=17 steps")
        self.assertEqual(self.arrays("to-16"), runs[17])

    def test_stopped_and_resumed(self):
        """stopped again and again, across every boundary, accumulated batches too: the same bits in the end"""
        for name, config in [("plain", STAGED), ("accumulated", changed(STAGED, trainer__accumulate=2, trainer__max="6 epochs"))]:
            with self.subTest(name):
                config = self.write(f"{name}.yaml", changed(config, trainer__log_every="5 steps", checkpoint__every=["7 steps"]))
                self.run_cli("train", config, "--output", name)
                reference = self.final_state(name)
                stops = 0
                for attempt in range(60):
                    done = subprocess.run([TRAINCTL, "train", config, "--output", f"{name}-again", "--resume", "auto", "--set", f"trainer.time_limit={0.0003 * 1.4 ** attempt:.6f} s"],
                                          cwd=self.folder, capture_output=True, text=True)
                    if done.returncode == 0:
                        break
                    self.assertEqual(done.returncode, 85, done.stderr)
                    stops += 1
                self.assertGreater(stops, 2)
                self.assert_same_end(f"{name}-again", reference)
        for steps in [15, 16, 17, 36, 37, 38]:
            self.run_cli("train", "plain.yaml", "--output", f"to-{steps}", "--set", f"trainer.max={steps} steps")
            self.run_cli("resume", f"to-{steps}", "--set", "trainer.max=4 epochs", "--force")
            self.assertEqual(self.arrays(f"to-{steps}"), self.arrays("plain"), steps)

    def test_together(self):
        """stages, averages, skipped updates, accumulated batches, a driven value, statistics and commands in one run, stopped and resumed: the same end"""
        config = changed(STAGED, trainer__max="4 epochs", trainer__accumulate=2, trainer__on_nan="skip", trainer__validate_every="9 steps", trainer__log_every="5 steps",
                         checkpoint__every=["7 steps"], loss={"type": "cross_entropy", "scale": "values.s"})
        config |= {"values": {"s": 2.0}, "averages": {"ema": {"type": "ema", "decay": 0.9, "buffers": "refresh"}}}
        config["policies"] = {"s": {"type": "linear", "target": "values.s", "end": 1}, "gradients": {"type": "gradient_statistics", "per": "group"},
                              "note": {"type": "exec", "on": "report", "command": 'echo "$TRAINCTL_STEP" >> "$TRAINCTL_RUN/reports.txt"'}}
        config = self.write("c.yaml", config)
        self.run_cli("train", config, "--output", "whole")
        reference, stops = self.final_state("whole"), 0
        for attempt in range(60):
            done = subprocess.run([TRAINCTL, "train", config, "--output", "parts", "--resume", "auto", "--set", f"trainer.time_limit={0.0005 * 1.5 ** attempt:.6f} s"],
                                  cwd=self.folder, capture_output=True, text=True)
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, 85, done.stderr)
            stops += 1
        self.assertGreater(stops, 2)
        self.assert_same_end("parts", reference)
        self.assertEqual(*((self.folder / run / "reports.txt").read_text() for run in ["whole", "parts"]))

    def test_check(self):
        """check plans a program for each stage; a time after the end is a warning"""
        document = self.run_json("check", self.write("c.yaml", STAGED))
        names = [program["name"] for program in document["programs"]]
        for stage in [1, 2, 3]:
            self.assertTrue([name for name in names if f"(stage {stage} of freeze_until)" in name], names)
        counts = [len(program["steps"]) for program in document["programs"] if "whole step" in program["name"] and "32 samples" in program["name"]]
        self.assertEqual(len(counts), 4)
        self.assertEqual(counts, sorted(counts))
        self.assertLess(counts[0], counts[-1])
        late = self.run_cli("check", "c.yaml", "--set", 'model.freeze_until={"0.*": 9 epochs}')
        self.assertIn("stay so, since trainer.max ends training after 64", late.stderr)
        self.assertNotIn("stage 1", late.stdout)

    def test_mistakes(self):
        """patterns that match nothing, nothing frozen, no time, nothing to train"""
        for fields, advice in [
            ({"freeze_until": {"0.weigth": "1 epoch"}}, "Did you mean"),
            ({"freeze_until": "1 epoch"}, "nothing is frozen"),
            ({"freeze": ["0.*"], "freeze_until": "0 epochs"}, "more than nothing"),
            ({"freeze_until": {"0.*": "0 steps"}}, "more than nothing"),
            ({"freeze_until": {}}, "must not be empty"),
            ({"freeze": ["0.*"], "freeze_until": "3"}, "duration"),
            ({"freeze_until": {"*": "1 epoch"}}, "nothing to train before step 16"),
        ]:
            with self.subTest(str(fields)):
                config = changed(SMALL, model={**SMALL["model"], **fields})
                error = self.error("check", self.write("c.yaml", config), expect=3)
                self.assertIn(advice, error["message"])


if __name__ == "__main__":
    main()
