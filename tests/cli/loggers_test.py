"""Loggers: TensorBoard's event files, read by an independent reader; resumes, kills and failing folders."""

import json
import os
import struct
import subprocess
import unittest

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main

SHIM = os.environ.get("FAULT_SHIM", "")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked_crc(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """{field: [value]} of a protobuf message."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size, at = {1: lambda: (8, at), 5: lambda: (4, at), 2: lambda: varint(data, at)}[key & 7]()
            value, at = data[at:at + size], at + size
            assert len(value) == size
        found.setdefault(key >> 3, []).append(value)
    return found


def doubles(data):
    return list(struct.unpack(f"<{len(data) // 8}d", data))


def records(path):
    data, at = path.read_bytes(), 0
    while at < len(data):
        size, crc = struct.unpack_from("<QI", data, at)
        assert crc == masked_crc(data[at:at + 8])
        message = data[at + 12:at + 12 + size]
        assert struct.unpack_from("<I", data, at + 12 + size) == (masked_crc(message),)
        yield fields(message)
        at += 16 + size


def events(folder):
    """[(tag, step, value)] of a folder of event files, in the order in which TensorBoard reads them."""
    found = []
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for number, event in enumerate(records(file)):
            assert 1e9 < struct.unpack("<d", event[1][0])[0] < 1e10
            assert (number == 0) == (event.get(3) == [b"brain.Event:2"])
            for summary in event.get(5, []):
                for value in fields(summary).get(1, []):
                    value = fields(value)
                    shown = struct.unpack("<f", value[2][0])[0] if 2 in value else fields(value[5][0])
                    found.append((value[1][0].decode(), event.get(2, [0])[0], shown))
    return found


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


CONFIG = {**changed(SMALL, trainer__log_every="4 steps", trainer__validate_every="8 steps"),
          "loggers": {"tensorboard": {"histograms": "1 epoch"}}}


class TensorBoard(CliTest):
    def check(self, run, folder=None, histograms=(16, 32, 48)):
        """each report and each line is there once, in order, and each histogram"""
        run = self.folder / run
        found = events(folder or run / "tensorboard")
        scalars = [(tag, step, value) for tag, step, value in found
                   if not isinstance(value, dict) and not tag.startswith("seconds/")]
        expected = []
        for record in json.loads((run / "history.json").read_text())["epochs"]:
            expected += [(name, record["step"], f32(value)) for name, value in record["values"].items()]
        for line in (run / "steps.jsonl").read_text().splitlines():
            record = json.loads(line)
            expected += [("steps/" + name, record["step"], f32(value)) for name, value in record["values"].items()]
        self.assertEqual(sorted(scalars), sorted(expected))
        self.assertGreater(len(expected), 20)
        steps = [step for tag, step, _ in found]
        self.assertEqual(steps, sorted(steps))
        for kind in ["weights", "gradients"]:
            for name in ["0.weight", "3.bias"]:
                self.assertEqual([step for tag, step, _ in found if tag == f"{kind}/{name}"], list(histograms), kind)
        return found

    def test_files(self):
        """scalars of reports and lines; histograms that hold all weights"""
        self.run_cli("train", self.write("c.yaml", CONFIG), "--output", "run")
        found = self.check("run")
        last = [value for tag, _, value in found if tag == "weights/0.weight"][-1]
        low, high, count, total, squares = (struct.unpack("<d", last[i][0])[0] for i in range(1, 6))
        limits, counts = doubles(last[6][0]), doubles(last[7][0])
        self.assertEqual((count, sum(counts), len(limits), limits[-1]), (8 * 32, 8 * 32, len(counts), high))
        self.assertEqual(limits, sorted(limits))
        self.assertLess(low, limits[0])
        self.assertGreater(squares, total * total / count)

    def test_resume(self):
        """a run that was stopped and goes on has each step once; a logger that is added later has all of the past"""
        config = self.write("c.yaml", CONFIG)
        self.run_cli("train", config, "--output", "run", "--set", "trainer.max=20 steps")
        self.run_cli("resume", "run", "--set", "trainer.max=3 epochs")
        self.check("run")
        self.assertEqual(len(list((self.folder / "run/tensorboard").iterdir())), 2)
        self.run_cli("train", config, "--output", "late", "--set", "trainer.max=20 steps", "--unset", "loggers")
        self.assertFalse((self.folder / "late/tensorboard").exists())
        self.run_cli("resume", "late", "--set", "trainer.max=3 epochs", "--set", "loggers={tensorboard: {histograms: 1 epoch}}")
        self.check("late", histograms=(32, 48))

    def test_folder(self):
        """runs of one name share a folder, and a resume touches its own files alone"""
        config = self.write("c.yaml", {**CONFIG, "loggers": {"board": {"type": "tensorboard", "folder": "boards", "histograms": "1 epoch"}}})
        for place in ["a/run", "b/run"]:
            self.run_cli("train", config, "--output", place, "--set", "trainer.max=2 epochs")
        before = {file.name: file.read_bytes() for file in (self.folder / "boards/run").iterdir()}
        self.assertEqual(len(before), 2)
        self.run_cli("resume", "a/run", "--more", "1 epoch")
        after = {file.name: file.read_bytes() for file in (self.folder / "boards/run").iterdir()}
        self.assertEqual(len(after), 3)
        self.assertEqual({name: after[name] for name in before}, before)

    @unittest.skipUnless(os.path.exists(SHIM), "the shim cannot be preloaded into this build")
    def test_kill(self):
        """killed at any write and resumed, each step is there once"""
        config = self.write("c.yaml", CONFIG)
        environment = {**os.environ, "LD_PRELOAD": SHIM, "FAULT_COUNT": str(self.folder / "count")}
        self.run_cli("train", config, "--output", "whole", env=environment)
        total = int((self.folder / "count").read_text())
        for at in range(total // 5, total, max(1, total // 12)):
            run = f"killed-{at}"
            kill = {**environment, "FAULT_AT": str(at), "FAULT_KIND": "kill"}
            self.run_cli("train", config, "--output", run, expect=-9, env=kill)
            self.run_cli("resume", run)
            self.check(run)

    @unittest.skipUnless(os.path.exists(SHIM), "the shim cannot be preloaded into this build")
    def test_full_disk(self):
        """a write that fails is made up for within the run, and training does not notice"""
        config = self.write("c.yaml", CONFIG)
        environment = {**os.environ, "LD_PRELOAD": SHIM, "FAULT_KIND": "ENOSPC"}
        caught_up = 0
        for at in range(30, 42):
            run = f"full-{at}"
            done = subprocess.run([TRAINCTL, "train", config, "--output", run], cwd=self.folder, capture_output=True, text=True,
                                  timeout=60, env={**environment, "FAULT_AT": str(at)})
            if "tfevents" not in done.stderr:
                continue  # another file's write
            self.assertEqual(done.returncode, 0)
            self.assertIn("caught up", done.stderr)
            self.check(run)
            caught_up += 1
        self.assertGreater(caught_up, 0)

    def test_failing_folder(self):
        """a folder that cannot be written is warned of, training goes on, and all is there once it can be"""
        config = self.write("c.yaml", {**CONFIG, "loggers": {"board": {"type": "tensorboard", "folder": "boards"}}})
        (self.folder / "boards").write_text("in the way")
        done = self.run_cli("train", config, "--output", "run", "--set", "trainer.max=2 epochs")
        self.assertEqual(done.stderr.count("training goes on"), 1)
        (self.folder / "boards").unlink()
        self.run_cli("resume", "run", "--more", "1 epoch")
        self.check("run", self.folder / "boards/run", histograms=())

    def test_config(self):
        """the committed example trains, and mistakes are told"""
        for config in sorted((SOURCE / "configs/loggers").glob("*.yaml")):
            self.run_cli("train", config, "--output", config.stem, "--set", "trainer.device=cpu")
            self.assertGreater(len(events(self.folder / config.stem / "tensorboard")), 0)
        for loggers, message in [({"x": {"type": "tensorbord"}}, "Did you mean 'tensorboard'?"),
                                 ({"tensorboard": {"histograms": "often"}}, "a duration such as")]:
            error = self.error("check", self.write("bad.yaml", {**CONFIG, "loggers": loggers}), expect=3)
            self.assertIn(message, error["message"])


if __name__ == "__main__":
    main()
