"""Commands that need no run: usage, help, the registry's listings, schema, doctor, streams."""

import json
import os
import pty
import subprocess
import unittest

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main

COMMANDS = ["train", "resume", "eval", "check", "ls", "describe", "schema", "push", "fetch", "history", "inspect", "bench", "doctor"]


class Usage(CliTest):
    def test_version(self):
        """--version is one line with version and build"""
        self.assertRegex(self.run_cli("--version").stdout, r"^trainctl \d+\.\d+\.\d+ \(.+\)\n$")

    def test_help(self):
        """--help names every command and shows examples; each command has its own with an example"""
        text = self.run_cli("--help").stdout
        for command in COMMANDS:
            self.assertIn(f"  {command} ", text)
            self.assertIn(f"trainctl {command}", self.run_cli(command, "--help").stdout)
        self.assertIn("Examples:", text)

    def test_usage_errors(self):
        """wrong usage exits with 2, says what is wrong and names the nearest"""
        config = self.write("small.yaml", SMALL)
        cases = [
            ([], "a command is missing"),
            (["trian", "x.yaml"], "Did you mean 'train'"),
            (["train"], "CONFIG"),
            (["train", config, "--devise", "cpu"], "Did you mean '--device'"),
            (["train", config, "--device", "tpu"], "cpu"),
            (["train", config, "--resume", "always"], "auto"),
            (["train", config, "other.yaml"], "other.yaml"),
            (["train", config, "--set"], "--set"),
            (["bench", config, "--steps", "0"], "--steps"),
            (["bench", config, "--steps", "many"], "--steps"),
            (["resume", "somewhere", "--more", "ten epochs"], "ten epochs"),
            (["check", config, "--log-level", "loud"], "loud"),
            (["describe", "conv3d"], "Did you mean 'conv2d'"),
            (["ls", "layesr"], "layer"),
            (["inspect", "."], "checkpoints/last.h5"),
        ]
        for arguments, advice in cases:
            with self.subTest(arguments=arguments):
                done = self.run_cli(*arguments, expect=2)
                self.assertEqual(done.stdout, "")
                self.assertIn(advice, done.stderr)
                error = self.error(*arguments, expect=2)
                self.assertEqual(error["kind"], "usage")
                self.assertIn(advice, error["message"])
        self.assertIn("--csv", self.error("history", ".", "--csv", expect=2)["message"])

    def test_flags_anywhere(self):
        """global flags may stand before or after the command"""
        self.assertEqual(self.run_cli("--json", "ls", "losses").stdout, self.run_cli("ls", "--json", "losses").stdout)
        json.loads(self.run_cli("--json", "--quiet", "doctor").stdout)

    def test_argument_named_as_a_command(self):
        """a folder called like a command is an argument"""
        error = self.error("history", "train", expect=4)
        self.assertIn("train: not a run directory", error["message"])

    def test_set_takes_one_word(self):
        """--set takes one assignment and leaves the config alone"""
        config = self.write("small.yaml", SMALL)
        self.run_cli("check", "--set", "seed=4", "--set", "optimizer.lr=1", config, "--no-data")


class Registry(CliTest):
    def test_ls(self):
        """ls lists kinds with their components; plurals are understood"""
        text = self.run_cli("ls").stdout
        for word in ["layer", "conv2d", "optimizer", "adam", "dataset", "mnist", "policy", "cosine", "metric", "accuracy"]:
            self.assertIn(word, text)
        for kind in ["policy", "policies", "losses", "layers", "ops", "kernels"]:
            listed = self.run_json("ls", kind)["kinds"]
            self.assertEqual(len(listed), 1)
            self.assertGreater(len(listed[0]["components"]), 2)

    def test_every_component_is_documented(self):
        """every component has a line of documentation and can be described with its parameters"""
        for kind in self.run_json("ls")["kinds"]:
            for component in kind["components"]:
                self.assertTrue(component["doc"].strip(), component)
        described = self.run_json("describe", "conv2d")["components"][0]
        names = [parameter["name"] for parameter in described["parameters"]]
        self.assertIn("out_channels", names)
        self.assertIn("kernel_size", self.run_cli("describe", "conv2d").stdout)

    def test_same_name_in_two_kinds(self):
        """describe shows every component of a name"""
        kinds = {c["kind"] for c in self.run_json("describe", "step")["components"]}
        self.assertIn("policy", kinds)

    def test_schema(self):
        """schema is JSON Schema with every section; --markdown is the reference with its key table"""
        schema = json.loads(self.run_cli("schema").stdout)
        self.assertIn("2020-12", schema["$schema"])
        for section in ["data", "model", "loss", "optimizer", "trainer"]:
            self.assertIn(section, schema["properties"])
        self.assertIn("| `trainer.max` |", self.run_cli("schema", "--markdown").stdout)

    def test_docs_are_what_the_schemas_say(self):
        """docs/trainctl.schema.json and docs/reference.md are true; scripts/generate_docs makes them anew"""
        for name, arguments in [("trainctl.schema.json", []), ("reference.md", ["--markdown"])]:
            text = (SOURCE / "docs" / name).read_text()
            self.assertTrue(text == self.run_cli("schema", *arguments).stdout, f"docs/{name} is stale: run scripts/generate_docs")

    def test_doctor(self):
        """doctor names version, libraries and devices; the CPU is usable"""
        document = self.run_json("doctor")
        self.assertIn("HDF5", " ".join(document["libraries"]))
        devices = {device["name"]: device for device in document["devices"]}
        self.assertTrue(devices["cpu"]["usable"])
        self.assertTrue(devices["cuda"]["usable"] or devices["cuda"]["found"])
        self.assertIn("cpu: usable", self.run_cli("doctor").stdout)


class Streams(CliTest):
    def test_train_streams(self):
        """train: stdout is the run directory and the final values, stderr the log, whole lines without control characters"""
        config = self.write("small.yaml", SMALL)
        done = self.run_cli("train", config)
        lines = done.stdout.splitlines()
        self.assertTrue(lines[0].endswith("runs/tests/small-1"))
        names = [line.split()[0] for line in lines[1:]]
        self.assertIn("val/accuracy", names)
        for line in lines[1:]:
            float(line.split()[1])
        self.assertRegex(done.stderr, r"epoch 3/3  step 48  train/loss \S+ .*val/accuracy \S+.* s")
        self.assertNotRegex(done.stderr, "[\r\x1b]")

    def test_quiet(self):
        """--quiet leaves nothing on stderr when all goes well; the run's log.txt has the lines"""
        config = self.write("small.yaml", SMALL)
        self.assertEqual(self.run_cli("--quiet", "train", config).stderr, "")
        self.assertIn("epoch 3/3", (self.folder / "runs/tests/small-1/log.txt").read_text())

    def test_json(self):
        """train --json is one document with the run, how it ended and its values"""
        document = self.run_json("train", self.write("small.yaml", SMALL))
        self.assertEqual(document["status"], "finished")
        self.assertEqual(document["step"], 48)
        self.assertIn("val/accuracy", document["values"])
        self.assertTrue((self.folder / document["run"]).is_dir())

    def on_terminal(self, *arguments, **environment):
        """What a terminal would be sent on stderr."""
        master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm", **environment}
        env.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
        process = subprocess.Popen([TRAINCTL, *map(str, arguments)], cwd=self.folder, stdout=subprocess.DEVNULL,
                                   stderr=slave, env=env)
        os.close(slave)
        text = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
            text += part
        os.close(master)
        self.assertEqual(process.wait(), 0, text)
        return text

    def test_bar_only_on_a_terminal(self):
        """a bar is redrawn on a terminal, not with NO_COLOR or --no-color"""
        config = self.write("small.yaml", SMALL)
        self.assertIn(b"\x1b[K\r", self.on_terminal("train", config))
        self.assertNotIn(b"\x1b", self.on_terminal("train", config, NO_COLOR="1"))
        self.assertNotIn(b"\x1b", self.on_terminal("train", config, "--no-color"))

    def test_closed_and_full_stdout(self):
        """a run whose stdout is closed or full finishes; a mere answer that cannot be given is an error"""
        config = self.write("small.yaml", SMALL)
        for redirection in [">&-", "> /dev/full", "| true"]:
            done = subprocess.run(["bash", "-c", f'set -o pipefail; "$0" train "$1" {redirection}', TRAINCTL, config],
                                  cwd=self.folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        with open("/dev/full", "w") as full:
            done = subprocess.run([TRAINCTL, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 6)
        self.assertIn("stdout", done.stderr)


class Configs(CliTest):
    def test_every_config_checks(self):
        """every example and bench config is valid as it stands"""
        configs = sorted([*(SOURCE / "configs").glob("*.yaml"), *(SOURCE / "configs/bench").glob("*.yaml")])
        self.assertGreater(len(configs), 5)
        has_data = os.path.exists("/usr/share/datasets/fashion-mnist")
        for config in configs:
            with self.subTest(config=config.name):
                text = self.run_cli("check", config, *([] if has_data else ["--no-data"])).stdout
                self.assertIn("linear", text)

    def test_models_are_taken_in(self):
        """every model below configs/models is used by a config or stands with one"""
        for model in sorted((SOURCE / "configs/models").glob("*.yaml")):
            with self.subTest(model=model.name):
                data = {"type": "synthetic", "task": "images", "samples": 256, "shape": [1, 28, 28], "classes": 10}
                config = changed(SMALL, data={"train": {"dataset": data, "batch_size": 16}}, checkpoint=None)
                del config["model"], config["checkpoint"]
                config["extends"] = str(model)
                report = self.run_json("check", self.write("model.yaml", config))
                self.assertTrue(report["layers"])


if __name__ == "__main__":
    main()
