"""Runs from start to end: files, eval, history, inspect, resume and its refusals, signals, locks, exit codes."""

import json
import os
import resource
import signal
import struct
import unittest
import xml.etree.ElementTree

from cli import SMALL, CliTest, changed, main

ENDLESS = changed(SMALL, trainer__max="1000000 epochs")


class Files(CliTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("small.yaml", SMALL)
        self.run_cli("train", self.config)
        self.run_path = self.folder / "runs/tests/small-1"

    def test_run_directory(self):
        """a run leaves config, history, steps, log, meta and checkpoints, and its config runs again to the same bits"""
        for name in ["config.yaml", "config.orig.yaml", "history.json", "log.txt", "meta.json", "steps.jsonl"]:
            self.assertTrue((self.run_path / name).is_file(), name)
        self.assertEqual((self.run_path / "config.orig.yaml").read_text(), self.config.read_text())
        meta = json.loads((self.run_path / "meta.json").read_text())
        self.assertEqual(meta["status"], "finished")
        self.run_cli("train", self.run_path / "config.yaml", "--output", "again")
        self.assert_same_end("again", self.final_state(self.run_path))

    def test_next_number(self):
        """a second run takes the next number and touches nothing of the first"""
        before = self.final_state(self.run_path)
        self.assertTrue(self.run_cli("train", self.config).stdout.startswith(str(self.folder / "runs/tests/small-2")))
        self.assert_same_end(self.run_path, before)

    def test_output(self):
        """--output names the run directory itself and refuses one that holds something"""
        self.run_cli("train", self.config, "--output", "mine")
        self.assertTrue((self.folder / "mine/history.json").is_file())
        self.run_cli("train", self.config, "--output", "mine", expect=2)

    def test_eval(self):
        """eval gives the values that training measured at its best epoch; --split, --config and checkpoints work"""
        history = json.loads((self.run_path / "history.json").read_text())
        best = next(e for e in history["epochs"] if e["step"] == history["best"]["step"])
        lines = self.run_cli("eval", self.run_path).stdout.splitlines()
        values = {name: float(value) for name, value in (line.split() for line in lines)}
        self.assertAlmostEqual(values["val/loss"], best["values"]["val/loss"], places=4)
        self.assertAlmostEqual(values["val/accuracy"], best["values"]["val/accuracy"], places=5)
        last = self.run_json("eval", self.run_path / "checkpoints/last.h5", "--split", "train")
        self.assertEqual((last["split"], last["step"], last["samples"]), ("train", 48, 500))
        again = self.run_json("eval", self.run_path, "--config", self.config)
        self.assertAlmostEqual(again["values"]["val/loss"], best["values"]["val/loss"], places=6)
        self.run_cli("eval", self.run_path, "--split", "tset", expect=2)

    def test_history(self):
        """history: table, JSON, CSV, and a plot that is well-formed SVG with every series"""
        table = self.run_cli("history", self.run_path).stdout
        self.assertIn("val/accuracy", table.splitlines()[0])
        self.assertRegex(table, r"best epoch \d")
        document = self.run_json("history", self.run_path)["runs"][0]
        self.assertEqual([e["epoch"] for e in document["epochs"]], [1, 2, 3])
        csv = self.run_cli("history", self.run_path, "--csv").stdout.splitlines()
        self.assertEqual(len(csv), 4)
        self.run_cli("history", self.run_path, "--plot", "all.svg")
        text = (self.folder / "all.svg").read_text()
        root = xml.etree.ElementTree.fromstring(text)
        self.assertTrue(root.tag.endswith("svg"))
        for name in ["train/loss", "val/loss", "val/accuracy", "lr"]:
            self.assertIn(f">{name}<", text)
        self.run_cli("history", self.run_path, "--plot", "some.svg", "--series", "val/loss")
        self.assertNotIn("val/accuracy", (self.folder / "some.svg").read_text())
        self.assertIn("val/loss", self.run_cli("history", self.run_path, "--series", "val/los", expect=2).stderr)

    def test_history_of_several(self):
        """history shows the best of each run, or runs side by side"""
        self.run_cli("train", self.config, "--set", "seed=9")
        table = self.run_cli("history", self.run_path, self.folder / "runs/tests/small-2", "--series", "val/loss").stdout
        self.assertEqual(table.splitlines()[0].split(), ["epoch", "small-1", "val/loss", "small-2", "val/loss"])
        self.assertEqual(len(table.splitlines()), 1 + 3 + 2 * 2)
        rows = [line.split() for line in self.run_cli("history", self.run_path, self.folder / "runs/tests/small-2").stdout.splitlines()]
        self.assertEqual([row[0] for row in rows], ["run", "small-1", "small-2"])
        best = json.loads((self.run_path / "history.json").read_text())["best"]
        self.assertEqual(rows[1][1:6], ["finished", "best", "val/loss", str(best["epoch"]), str(best["step"])])

    def test_damaged_history(self):
        """a damaged history.json is replaced by what the newest checkpoint holds"""
        (self.run_path / "history.json").write_text("{")
        done = self.run_cli("history", self.run_path, "--json")
        self.assertEqual(len(json.loads(done.stdout)["runs"][0]["epochs"]), 3)
        self.assertIn("history", done.stderr)

    def test_inspect(self):
        """inspect verifies a checkpoint and lists its arrays by PyTorch's names"""
        document = self.run_json("inspect", self.run_path / "checkpoints/last.h5")
        arrays = {array["path"]: array for array in document["arrays"]}
        self.assertEqual(arrays["model/0.weight"]["shape"], [32, 8])
        self.assertEqual(document["state"]["step"], 48)
        text = self.run_cli("inspect", self.run_path / "checkpoints/best.h5").stdout
        self.assertIn("model/3.bias", text)
        try:
            import h5py
        except ImportError:
            return
        with h5py.File(self.run_path / "checkpoints/last.h5", "r") as file:
            self.assertEqual(file["model/0.weight"].shape, (32, 8))

    def test_damaged_checkpoints(self):
        """a damaged checkpoint is refused by name; resume falls back to the one before; with none left it is exit 4"""
        files = sorted((self.run_path / "checkpoints").glob("step-*.h5"))
        newest = files[-1]
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 1
        newest.write_bytes(data)
        self.assertIn(newest.name, self.error("inspect", newest, expect=4)["message"])
        done = self.run_cli("resume", self.run_path, "--more", "1 epoch")
        self.assertIn("falling back", done.stderr)
        for file in (self.run_path / "checkpoints").glob("step-*.h5"):
            file.write_bytes(file.read_bytes()[:1000])
        self.assertEqual(self.error("resume", self.run_path, "--more", "1 epoch", expect=4)["kind"], "data")
        self.error("train", self.config, "--resume", "auto", "--set", "trainer.max=9 epochs", expect=4)

    def test_resume_refusals(self):
        """resume lists what may not change (3), what needs --force (3 without), and takes what is safe"""
        fixed = self.error("resume", self.run_path, "--set", "model.layers.0.out_features=16", expect=3)
        self.assertIn("model.layers.0.out_features", fixed["message"])
        forced = self.error("resume", self.run_path, "--more", "1 epoch", "--set", "trainer.clip_grad_norm=1", expect=3)
        self.assertIn("--force", forced["message"])
        self.run_cli("resume", self.run_path, "--more", "1 epoch", "--set", "trainer.clip_grad_norm=1", "--force")
        self.run_cli("resume", self.run_path, "--set", "trainer.max=5 epochs")
        self.assertEqual(len(json.loads((self.run_path / "history.json").read_text())["epochs"]), 5)
        self.error("resume", self.folder / "nowhere", expect=4)

    def test_resume_of_a_finished_run(self):
        """resume of a finished run has nothing to do and says so; --resume auto too"""
        before = self.final_state(self.run_path)
        self.assertTrue(self.run_json("resume", self.run_path)["was_finished"])
        self.assertTrue(self.run_json("train", self.config, "--resume", "auto")["was_finished"])
        self.assert_same_end(self.run_path, before)
        self.assertFalse((self.folder / "runs/tests/small-2").exists())


class Ends(CliTest):
    def test_dry_run(self):
        """--dry-run writes nothing and gives values of both splits"""
        config = self.write("small.yaml", SMALL)
        done = self.run_cli("train", config, "--dry-run")
        self.assertIn("val/loss", done.stdout)
        self.assertEqual(os.listdir(self.folder), ["small.yaml"])

    def test_early_stopping(self):
        """early stopping is a normal end"""
        policy = {"stop": {"type": "early_stopping", "monitor": "val/loss", "mode": "max", "patience": 2}}
        config = self.write("small.yaml", {**changed(SMALL, trainer__max="100 epochs"), "policies": policy})
        document = self.run_json("train", config)
        self.assertLess(document["epoch"], 100)
        self.assertIn("early stopping", document["reason"])

    def test_diverged(self):
        """NaN ends a run with 5, and is never saved"""
        config = self.write("small.yaml", changed(SMALL, optimizer={"type": "sgd", "lr": 1e30}, trainer__max="9 epochs"))
        error = self.error("train", config, expect=5)
        self.assertEqual(error["kind"], "diverged")
        run = self.folder / "runs/tests/small-1"
        self.assertEqual(json.loads((run / "history.json").read_text())["status"], "diverged")
        for file in (run / "checkpoints").glob("step-*.h5"):
            self.run_cli("inspect", file)

    def test_full_disk(self):
        """a disk too full for a checkpoint: 6 at the end, and no temporary file is left"""
        config = self.write("small.yaml", changed(SMALL, model__layers=["flatten", {"type": "linear", "out_features": 4000},
                                                                        {"type": "linear", "out_features": 4}]))
        error = self.error("train", config, expect=6, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)))
        self.assertEqual(error["kind"], "environment")
        self.assertEqual([p.name for p in (self.folder / "runs/tests/small-1/checkpoints").iterdir() if "step" not in p.name], [])

    def test_no_device(self):
        """a device that is not there is 6, and leaves no run directory"""
        config = self.write("small.yaml", SMALL)
        if any(d["name"] == "cuda" and d["usable"] for d in self.run_json("doctor")["devices"]):
            self.skipTest("there is a GPU here")
        error = self.error("train", config, "--device", "cuda", expect=6)
        self.assertIn("doctor", error["message"])
        self.assertFalse((self.folder / "runs").exists())

    def test_time_limit(self):
        """a time limit saves and exits with 85; the same command with --resume auto goes on"""
        config = self.write("small.yaml", changed(ENDLESS, trainer__time_limit="0.3 s"))
        document = self.run_json("train", config, "--resume", "auto", expect=85)
        again = self.run_json("train", config, "--resume", "auto", expect=85)
        self.assertEqual(document["run"], again["run"])
        self.assertGreater(again["step"], document["step"])


class Signals(CliTest):
    def test_stop_and_resume(self):
        """each stopping signal: exit 85 with the state saved; resumed to the end it equals an uninterrupted run"""
        config = self.write("small.yaml", changed(SMALL, trainer__max="150 epochs", checkpoint__every=["50 epochs"]))
        self.run_cli("train", config, "--output", "whole")
        reference = self.final_state("whole")
        for name in ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2"]:
            with self.subTest(name):
                process = self.start("train", config, "--output", name)
                self.wait_for(process, "epoch 2/")
                process.send_signal(getattr(signal, name))
                out, err = process.communicate()
                self.assertEqual(process.returncode, 85, err)
                self.assertEqual(self.folder / out.splitlines()[0], self.folder / name)
                self.assertEqual(json.loads((self.folder / name / "history.json").read_text())["status"], "interrupted")
                self.run_cli("resume", name)
                self.assert_same_end(name, reference)

    def test_second_signal(self):
        """two signals at once: out at once with 128 + n, the old checkpoint intact"""
        process = self.start("train", self.write("small.yaml", ENDLESS), "--output", "run")
        self.wait_for(process, "epoch 2/")
        process.send_signal(signal.SIGSTOP)  # so that both are delivered before anything else happens
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        process.communicate()
        self.assertIn(process.returncode, [128 + signal.SIGTERM, 128 + signal.SIGINT])
        self.run_cli("inspect", self.folder / "run/checkpoints/last.h5")

    def test_hangup(self):
        """SIGHUP saves and goes on"""
        config = self.write("small.yaml", changed(ENDLESS, checkpoint={"every": ["900000 epochs"]}))
        process = self.start("train", config, "--output", "run", "--log-level", "debug")
        self.wait_for(process, "epoch 1/")
        process.send_signal(signal.SIGHUP)
        self.wait_for(process, "saved ")
        self.wait_for(process, "epoch ")
        process.send_signal(signal.SIGTERM)
        process.communicate()
        self.assertEqual(process.returncode, 85)

    def test_two_processes(self):
        """a second process on a run is refused with 6; when the first is killed, its lock is free"""
        config = self.write("small.yaml", ENDLESS)
        process = self.start("train", config)
        self.wait_for(process, "epoch 2/")
        process.send_signal(signal.SIGSTOP)
        run = "runs/tests/small-1"
        for arguments in [["resume", run], ["train", config, "--resume", "auto"]]:
            error = self.error(*arguments, expect=6)
            self.assertIn(str(process.pid), error["message"])
        process.kill()
        process.communicate()
        self.run_cli("resume", run, "--set", "trainer.max=1 epoch")

    def test_two_starts_at_once(self):
        """of several --resume auto that start together one trains; the others are refused with 6 or find it finished; one run comes of it"""
        config = self.write("small.yaml", SMALL)
        starts = [self.start("train", config, "--resume", "auto") for _ in range(4)]
        for process in starts:
            process.communicate()
        codes = sorted(process.returncode for process in starts)
        self.assertEqual(codes[0], 0)
        self.assertLessEqual(set(codes), {0, 6})
        self.assertEqual([run.name for run in (self.folder / "runs/tests").iterdir() if run.is_dir()], ["small-1"])
        self.run_cli("train", config, "--resume", "auto")

    def test_killed_before_the_first_checkpoint(self):
        """a run killed before it saved anything begins again in place, with the same result"""
        config = self.write("small.yaml", changed(SMALL, trainer__max="150 epochs"))
        del_checkpoint = json.loads(config.read_text())
        del del_checkpoint["checkpoint"]
        config.write_text(json.dumps(del_checkpoint))
        self.run_cli("train", config, "--output", "whole")
        process = self.start("train", config, "--output", "run")
        self.wait_for(process, "epoch 2/")
        process.kill()
        process.communicate()
        self.run_cli("train", config, "--output", "run", "--resume", "auto")
        self.assert_same_end("run", self.final_state("whole"))


if __name__ == "__main__":
    main()
