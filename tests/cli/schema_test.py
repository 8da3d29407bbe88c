"""The JSON Schema and the reference: docs/ has what the program prints, and the schema judges configs as trainctl does."""

import json
import re
import unittest

from cli import SMALL, SOURCE, CliTest, changed, main

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = None

DOCS = SOURCE / "docs"
FRAGMENTS = SOURCE / "configs/models"  # what other configs extend: not whole


def configs():
    files = [*SOURCE.glob("configs/**/*.yaml"), *SOURCE.glob("tests/golden/*.yaml")]
    return sorted(file for file in files if FRAGMENTS not in file.parents)


class Generated(CliTest):
    def same(self, path, *arguments):
        printed = self.run_cli("schema", *arguments).stdout
        self.assertTrue(path.read_text() == printed, f"{path.name} is out of date: run scripts/generate_docs")
        return printed

    def test_schema(self):
        """docs/trainctl.schema.json is what `trainctl schema` prints, and JSON"""
        schema = json.loads(self.same(DOCS / "trainctl.schema.json"))
        self.assertIn("trainer", schema["properties"])

    def test_reference(self):
        """docs/reference.md is what `trainctl schema --markdown` prints; its links lead somewhere"""
        text = self.same(DOCS / "reference.md", "--markdown")
        headings = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.splitlines() if line.startswith("#")}
        links = set(re.findall(r"\]\(#([^)]*)\)", text))
        self.assertGreater(len(links), 50)
        self.assertLessEqual(links, headings)

    def test_reference_is_whole(self):
        """the reference has every key of every section and every component"""
        text = (DOCS / "reference.md").read_text()
        for key in ["version", "data.train.batch_size", "data.test.subset.fraction", "model.blocks.<name>.parameters", "model.output",
                    "trainer.clip_grad_norm", "checkpoint.keep.best.mode", "output.project", "groups.<name>.match"]:
            self.assertTrue(f"| `{key}` |" in text, key)
        components = [(kind["kind"], component["type"]) for kind in self.run_json("ls")["kinds"] for component in kind["components"]
                      if kind["kind"] not in ("op", "kernel")]
        self.assertGreater(len(components), 60)
        for kind, component in components:
            self.assertTrue(f"\n### {kind}: {component}\n" in text, f"{kind} {component}")


def core_loader():
    """PyYAML reads YAML 1.1 (`1e-3` is a text, `on` a boolean); a loader with the scalars of YAML 1.2, as editors read it."""

    class CoreLoader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}

    for tag, pattern, first in [
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
        ("null", r"~|null|Null|NULL|", "~nN\0"),
        ("merge", r"<<", "<"),
    ]:
        first = [*first.replace("\0", ""), *([""] if "\0" in first else [])]
        CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
    return CoreLoader


@unittest.skipUnless(jsonschema, "python3-jsonschema or python3-yaml is missing: scripts/install_deps installs them")
class Validation(CliTest):
    @classmethod
    def setUpClass(cls):
        schema = json.loads((DOCS / "trainctl.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        cls.validator = jsonschema.Draft202012Validator(schema)
        cls.loader = core_loader()

    def load(self, text):
        return yaml.load(text, self.loader)

    def faults(self, config):
        return [f"{'.'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in self.validator.iter_errors(config)]

    def test_configs(self):
        """every config and golden experiment is valid"""
        files = configs()
        self.assertGreater(len(files), 15)
        for file in files:
            with self.subTest(file.relative_to(SOURCE)):
                self.assertEqual(self.faults(self.load(file.read_text())), [])

    def test_resolved(self):
        """so is what a run writes as its config: complete, without blocks and variables"""
        for file in ["configs/fashion_mnist_cnn.yaml", "configs/bench/resnet18.yaml", "tests/golden/resnet_momentum.yaml"]:
            with self.subTest(file):
                resolved = self.run_json("check", SOURCE / file)["resolved"]
                self.assertEqual(self.faults(self.load(resolved)), [])

    def test_good(self):
        """what trainctl takes, the schema takes"""
        cases = {
            "small": {},
            "durations": {"trainer__max": "100000 samples", "checkpoint__every": ["1 epoch", "11 h 30 min"]},
            "bare words": {"optimizer": "sgd", "metrics": {"accuracy": None}},
            "block": {"model": {"type": "sequential", "blocks": {"dense": {"type": "linear", "parameters": {"n": None}, "out_features": "${arg.n}"}},
                                "layers": [{"type": "dense", "n": 8, "repeat": 2}, "relu", {"type": "dense", "n": 4}], "output": "softmax"}},
            "values": {"values": {"rate": 1e-3}, "optimizer": {"type": "adam", "lr": "values.rate"}},
            "freeze until": {"model": {**SMALL["model"], "freeze": "0.*", "freeze_until": "1 epoch"}},
            "freeze until by pattern": {"model": {**SMALL["model"], "freeze_until": {"0.*": "1 epoch"}}},
            "references": {"vars": {"model": SMALL["model"], "p": 3}, "model": "${vars.model}", "seed": "${vars.p}"},
        }
        for what, changes in cases.items():
            with self.subTest(what):
                config = changed(SMALL, **changes)
                self.assertEqual(self.faults(config), [])
                self.run_cli("check", self.write("config.json", config))
        partial = {"extends": "base.yaml", "data": {"train": {"batch_size": 3}}, "optimizer": {"lr": 0.1}, "policies": {"stop": None}}
        self.assertEqual(self.faults(partial), [])

    def test_bad(self):
        """what trainctl refuses for its form, the schema refuses"""
        linear = {"type": "linear", "out_features": 4}
        cases = {
            "unknown key": {"nam": "x"},
            "unknown key of a section": {"trainer__maxx": "1 epoch"},
            "unknown key of a component": {"optimizer__lrr": 1},
            "unknown key of a layer": {"model__layers": [{**linear, "out_feature": 3}]},
            "unknown key of the model": {"model__layer": []},
            "wrong type": {"seed": "abc"},
            "text for a number": {"optimizer__lr": "fast"},
            "a value where none can be": {"trainer__clip_grad_norm": "values.norm"},
            "a time that is none": {"model": {**SMALL["model"], "freeze": "0.*", "freeze_until": 3}},
            "list for a map": {"data": []},
            "number for a boolean": {"data__train__shuffle": 1},
            "number for a duration": {"trainer__max": 3},
            "wall time for progress": {"trainer__max": "30 min"},
            "out of range": {"data__train__batch_size": 0},
            "out of range in a layer": {"model__layers": [{"type": "dropout", "p": 1.5}, linear]},
            "not one of the choices": {"trainer__device": "tpu"},
            "empty": {"name": ""},
            "unknown loss": {"loss": "cros_entropy"},
            "unknown optimizer": {"optimizer": {"type": "adan", "lr": 1}},
            "unknown metric": {"metrics": {"accurate": {"type": "accurat"}}},
            "unknown dataset": {"data__train__dataset": {"type": "minst", "root": "."}},
            "missing parameter": {"model__layers": [{"type": "linear"}]},
            "layers that are empty": {"model__layers": [{"type": "residual", "layers": []}, linear]},
            "out of range in a block": {"model": {"type": "sequential", "blocks": {"a": {"type": "dropout", "p": 2}}, "layers": ["a", linear]}},
            "other version": {"version": 2},
        }
        for what, changes in cases.items():
            with self.subTest(what):
                config = changed(SMALL, **changes)
                self.assertNotEqual(self.faults(config), [])
                self.error("check", self.write("config.json", config), expect=3)
        for section in ["data", "model", "optimizer", "trainer", "version", "name"]:
            with self.subTest(f"without {section}"):
                config = changed(SMALL)
                del config[section]
                self.assertNotEqual(self.faults(config), [])
        config = changed(SMALL)
        del config["data"]["train"]["dataset"]
        self.assertNotEqual(self.faults(config), [])


if __name__ == "__main__":
    main()
