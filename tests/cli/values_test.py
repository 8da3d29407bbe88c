"""Numbers by name: `values`, what uses and drives them, what the history shows of them, mistakes."""

import json

from cli import SMALL, CliTest, changed, main


def with_values(values, **changes):
    return {**changed(SMALL, **changes), "values": values}


class Values(CliTest):
    def history(self, run, name):
        history = json.loads((self.folder / run / "history.json").read_text())
        return [record["values"][name] for record in history["epochs"]]

    def arrays(self, run):
        return self.final_state(run)["arrays"]

    def test_constant(self):
        """a value that nothing drives is as good as its number, everywhere it is named, and reported"""
        config = self.write("named.yaml", with_values({"rate": 2e-3, "p": 0.25}, optimizer__lr="values.rate", loss={"type": "cross_entropy", "label_smoothing": "values.p"},
                                                      model__layers=[SMALL["model"]["layers"][0], {"type": "dropout", "p": "values.p"}, SMALL["model"]["layers"][3]]))
        plain = changed(SMALL, optimizer__lr=2e-3, loss={"type": "cross_entropy", "label_smoothing": 0.25},
                        model__layers=[SMALL["model"]["layers"][0], {"type": "dropout", "p": 0.25}, SMALL["model"]["layers"][3]])
        self.run_cli("train", config, "--output", "named")
        self.run_cli("train", self.write("plain.yaml", plain), "--output", "plain")
        self.assertEqual(self.arrays("named"), self.arrays("plain"))
        self.assertEqual((self.history("named", "values.rate"), self.history("named", "lr")), ([2e-3] * 3, [2e-3] * 3))
        steps = [json.loads(line) for line in (self.folder / "named/steps.jsonl").read_text().splitlines()]
        self.assertTrue(all(step["values"]["values.p"] == 0.25 for step in steps))
        self.run_cli("train", config, "--output", "other", "--set", "values.rate=3e-3")
        self.assertEqual(self.history("other", "lr"), [3e-3] * 3)
        resolved = (self.folder / "named/config.yaml").read_text()
        self.assertIn("lr: values.rate", resolved)

    def test_nested(self):
        """a value can be named within containers and by a block's argument"""
        drop = {"parameters": {"rate": 0}, "type": "sequential", "layers": [{"type": "dropout", "p": "${arg.rate}"}]}
        linear = {"type": "linear", "out_features": 16}
        runs = {}
        for name, p in [("named", "values.p"), ("plain", 0.25)]:
            dropout = {"type": "dropout", "p": p}
            layers = [linear, {"type": "residual", "layers": [linear, dropout]}, {"type": "parallel", "branches": {"a": dropout, "b": {"type": "drop", "rate": p}}},
                      {"type": "graph", "nodes": {"d": dropout}}, SMALL["model"]["layers"][3]]
            config = changed(SMALL, model={"type": "sequential", "blocks": {"drop": drop}, "layers": layers}, trainer__max="1 epoch")
            if name == "named":
                config["values"] = {"p": 0.25}
            self.run_cli("train", self.write(f"{name}.yaml", config), "--output", name)
            runs[name] = self.arrays(name)
        self.assertEqual(runs["named"], runs["plain"])

    def test_driven(self):
        """a policy on a value drives all that name it, as policies on each of them would; a resume too"""
        line = {"type": "linear", "end": 0, "over": "2 epochs"}
        groups = {"a": {"match": ["0.*"], "lr": "values.rate"}, "b": {"match": ["*"], "lr": "values.rate"}}
        config = {**with_values({"rate": 1e-2}), "policies": {"rate": {**line, "target": "values.rate"}}}
        config["optimizer"]["groups"] = groups
        each = {**changed(SMALL), "policies": {name: {**line, "target": f"optimizer.groups.{name}.lr"} for name in groups}}
        each["optimizer"]["groups"] = {"a": {"match": ["0.*"], "lr": 1e-2}, "b": {"match": ["*"], "lr": 1e-2}}
        self.run_cli("train", self.write("shared.yaml", config), "--output", "shared")
        self.run_cli("train", self.write("each.yaml", each), "--output", "each")
        self.assertEqual(self.arrays("shared"), self.arrays("each"))
        self.assertEqual(self.history("shared", "values.rate"), self.history("each", "optimizer.groups.a.lr"))
        self.run_cli("train", "shared.yaml", "--output", "parts", "--set", "trainer.time_limit=0.0001 s", expect=85)
        self.run_cli("resume", "parts", "--set", "trainer.time_limit=1 h")
        self.assertEqual(self.arrays("parts"), self.arrays("shared"))
        measured = self.run_json("eval", self.folder / "shared")["values"]["val/loss"]
        best = min(self.history("shared", "val/loss"))
        self.assertAlmostEqual(measured, best, places=6)

    def test_learning_rate(self):
        """a learning rate that a driven value stands for is shown as it is driven"""
        config = {**with_values({"rate": 1e-2}, optimizer__lr="values.rate"),
                  "policies": {"rate": {"type": "exponential", "target": "values.rate", "multiplier": 0.5}}}
        self.run_cli("train", self.write("c.yaml", config), "--output", "run")
        for name in ["lr", "values.rate"]:
            self.assertEqual(self.history("run", name), [1e-2, 5e-3, 2.5e-3])

    def test_resume_class(self):
        """a changed value is taken by a resume with --force, as a learning rate is"""
        config = self.write("c.yaml", with_values({"rate": 1e-2}, optimizer__lr="values.rate"))
        self.run_cli("train", config, "--output", "run", "--set", "trainer.max=1 epoch")
        self.assertIn("values.rate", self.error("resume", "run", "--set", "values.rate=2e-2", "--more", "1 epoch", expect=3)["message"])
        self.run_cli("resume", "run", "--set", "values.rate=2e-2", "--more", "1 epoch", "--force")
        self.assertEqual(self.history("run", "lr"), [1e-2, 2e-2])

    def test_mistakes(self):
        """unknown names, numbers out of range where they are used, values that nothing uses, targets that name a value"""
        cases = [
            (with_values({"rate": 1e-3}, optimizer__lr="values.raet"), {"optimizer.lr": "Did you mean 'values.rate'?", "values.rate": "nothing uses"}),
            (changed(SMALL, optimizer__lr="values.rate"), {"optimizer.lr": "Give its number under `values`"}),
            (with_values({"p": 1.5}, model__layers=[{"type": "dropout", "p": "values.p"}, SMALL["model"]["layers"][3]]),
             {"model.layers.0.p": "values.p is out of range here: must be"}),
            (with_values({"rate": -1}, optimizer__lr="values.rate"), {"optimizer.lr": "must be at least 0, got -1"}),
            (with_values({"rate": "fast"}, optimizer__lr="values.rate"), {"values.rate": "expected a number"}),
            (with_values({"rate": 1, "other": "values.rate"}, optimizer__lr="values.rate"), {"values.other": "cannot stand for another"}),
            (with_values({"rate": 1}), {"values.rate": "nothing uses this value"}),
            ({**with_values({"rate": 1e-3}, optimizer__lr="values.rate"), "policies": {"p": {"type": "cosine", "target": "optimizer.lr"}}},
             {"policies.p.target": "optimizer.lr is what values.rate gives it"}),
            ({**with_values({"rate": 1e-3}, optimizer__lr="values.rate"), "policies": {"p": {"type": "cosine", "target": "values.rat"}}},
             {"policies.p.target": "Did you mean 'values.rate'?"}),
            (changed(SMALL, trainer__clip_grad_norm="values.norm"), {"trainer.clip_grad_norm": "expected a number"}),
        ]
        for config, expected in cases:
            with self.subTest(str(expected)):
                errors = self.error("check", self.write("c.yaml", config), expect=3)["errors"]
                self.assertLessEqual(set(expected), {error["path"] for error in errors}, errors)
                for error in errors:
                    if error["path"] in expected:
                        self.assertIn(expected[error["path"]], error["message"])
                        self.assertGreater(error["column"], 1)
        broken = {**with_values({"rate": 1e-3}), "optimizer": {"type": "adam", "lr": "values.rate", "eps": "small"}, "model": {"type": "sequential", "layers": "relu", "freez": 1}}
        self.assertNotIn("values.rate", [error["path"] for error in self.error("check", self.write("c.yaml", broken), expect=3)["errors"]])
        removed = {**with_values({"rate": None}), "optimizer": {"type": "adam", "lr": 1e-2}}
        self.run_cli("check", self.write("c.yaml", removed))


if __name__ == "__main__":
    main()
