"""What the end-to-end tests share: the binary, small experiments, and ways to look at what a run left behind."""

import copy
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
TRAINCTL = os.path.abspath(os.environ.get("TRAINCTL", SOURCE / "build/release/trainctl"))
TIMEOUT = 120  # seconds: only a hang takes so long


def synthetic(samples, first=0):
    return {"type": "synthetic", "samples": samples, "shape": [8], "classes": 4, "noise": 1.5, "first": first}


# A few milliseconds an epoch. JSON is YAML, so tests change it as a dict.
SMALL = {
    "version": 1,
    "name": "small",
    "seed": 3,
    "data": {
        "train": {"dataset": synthetic(500), "batch_size": 32, "shuffle": True},
        "val": {"dataset": synthetic(300, first=500), "batch_size": 100},
    },
    "model": {
        "type": "sequential",
        "layers": [{"type": "linear", "out_features": 32}, "relu", {"type": "dropout", "p": 0.1},
                   {"type": "linear", "out_features": 4}],
    },
    "loss": "cross_entropy",
    "metrics": {"accuracy": {}},
    "optimizer": {"type": "adam", "lr": 1e-2},
    "trainer": {"max": "3 epochs", "threads": 1, "device": "cpu"},
    "checkpoint": {"every": ["1 epoch"], "keep": {"last": 2, "best": {"monitor": "val/loss", "mode": "min"}}},
    "output": {"root": "runs", "project": "tests"},
}


def changed(config, **changes):
    """A copy of a config; `trainer__max="9 epochs"` sets trainer.max."""
    config = copy.deepcopy(config)
    for key, value in changes.items():
        *path, last = key.split("__")
        node = config
        for name in path:
            node = node[name]
        node[last] = value
    return config


def npy(shape, kind, values):
    """A .npy file of `kind` "<f4" or "<i8"."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"<f4": "f", "<i8": "q"}[kind]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}{code}", *values)


class CliTest(unittest.TestCase):
    """A test with a folder of its own, in which the binary runs."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trainctl-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path

    def run_cli(self, *arguments, expect=0, **options):
        """Runs `trainctl arguments...`; fails the test, with all that was said, at another exit code than `expect`."""
        done = subprocess.run([TRAINCTL, *map(str, arguments)], cwd=self.folder, capture_output=True, timeout=TIMEOUT, **options)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode(errors="backslashreplace")
        self.assertEqual(done.returncode, expect, f"trainctl {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}")
        return done

    def run_json(self, *arguments, expect=0, **options):
        return json.loads(self.run_cli("--json", *arguments, expect=expect, **options).stdout)

    def error(self, *arguments, expect, **options):
        """The error document of a command that must fail; its exit code is checked in it too."""
        document = self.run_json(*arguments, expect=expect, **options)
        self.assertEqual(list(document), ["error"])
        error = document["error"]
        self.assertEqual(set(error), {"kind", "message", "exit_code", "errors"})
        self.assertEqual(error["exit_code"], expect)
        return error

    def start(self, *arguments, **options):
        """A process that the test ends, its stderr to be read line by line."""
        process = subprocess.Popen([TRAINCTL, *map(str, arguments)], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **options)
        self.addCleanup(self.reap, process)
        return process

    @staticmethod
    def reap(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def wait_for(self, process, text):
        """Reads stderr until a line holds `text`."""
        seen = []
        for line in process.stderr:
            seen.append(line)
            if text in line:
                return line
        self.fail(f"'{text}' never came; stderr was:\n{''.join(seen)}")

    def final_state(self, run):
        """All that must not depend on how often a run was stopped: arrays by digest, position, history, steps."""
        run = self.folder / run
        checkpoint = self.run_json("inspect", run / "checkpoints/last.h5")
        history = json.loads((run / "history.json").read_text())
        for record in history["epochs"]:
            del record["seconds"]
        steps = (run / "steps.jsonl").read_text()
        return {
            "arrays": {array["path"]: array["sha256"] for array in checkpoint["arrays"]},
            "state": checkpoint["state"],
            "history": history,
            "steps": steps,
        }

    def assert_same_end(self, run, reference, message=""):
        state = self.final_state(run)
        self.assertGreater(len(state["arrays"]), 0)
        for part in reference:
            self.assertEqual(state[part], reference[part], f"{part} differ {message}")


def main():
    unittest.main(verbosity=2, argv=[sys.argv[0], *sys.argv[1:]])
