"""Copies of runs in a store: complete at every end, of use at every moment, fetched and resumed elsewhere to the same bits; stores that
are away, refuse, or hold something else; signals while copies are waited for."""

import fcntl
import json
import os
import random
import select
import shutil
import signal
import subprocess
import time

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main

TINY = {**changed(SMALL, trainer__log_every="5 steps", checkpoint__every=["6 steps"]),
        "remote": {"type": "folder", "path": "store", "every": "0.01 s"}}
LONG = changed(TINY, trainer__max="40 epochs", trainer__log_every="50 steps", checkpoint__every=["40 steps"])
# At the end of the epochs 10 and 15 such a run says so in a pipe, and waits for a file of that number to be unlocked.
GATED = {**changed(LONG, trainer__max="20 epochs"), "policies": {"gate": {"type": "exec", "on": "epoch", "command":
    'case $TRAINCTL_EPOCH in 10|15) echo $TRAINCTL_EPOCH > $GATES/at; flock -s $GATES/gate-$TRAINCTL_EPOCH true;; esac'}}}
# What the record and locks of a folder are, and what belongs to the copy alone.
OWN = {"run.lock", "remote.json", "remote.lock", "copy.json"}


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*"))
            if p.is_file() and not p.is_symlink() and p.name not in OWN}


class Remote(CliTest):
    def setUp(self):
        super().setUp()
        self.store = self.folder / "store"
        self.store.mkdir()

        os.environ["GATES"] = str(self.folder)
        os.mkfifo(self.folder / "at")
        self.reached = open(os.open(self.folder / "at", os.O_RDWR), "rb", buffering=0)
        self.gates = {epoch: open(self.folder / f"gate-{epoch}", "w") for epoch in (10, 15)}
        for file in self.gates.values():
            fcntl.flock(file, fcntl.LOCK_EX)
        for file in (self.reached, *self.gates.values()):
            self.addCleanup(file.close)

    def await_gate(self, epoch, process):
        ended = os.pidfd_open(process.pid)
        self.addCleanup(os.close, ended)
        self.assertIn(self.reached, select.select([self.reached, ended], [], [])[0], "it ended before its gate")
        self.assertEqual(self.reached.readline(), b"%d\n" % epoch)

    def open_gates(self, *epochs):
        for epoch in epochs:
            fcntl.flock(self.gates[epoch], fcntl.LOCK_UN)

    def copy(self, run, name="small"):
        return self.store / "tests" / f"{name}-{run}"

    def url(self, run, name="small"):
        return f"file://{self.copy(run, name)}"

    def assert_copied(self, run, copy=None):
        here, there = tree(self.folder / run), tree(copy or self.copy(run))
        log = there.pop("log.txt")
        self.assertTrue(here.pop("log.txt").startswith(log))  # its last lines tell of the copy
        self.assertEqual(sorted(here), sorted(there))
        for name, data in here.items():
            self.assertEqual(data, there[name], name)
        record = json.loads((self.folder / run / "remote.json").read_text())
        for place in record["places"].values():
            self.assertEqual(place["missing"], [])

    def leftovers(self):
        return [p.name for p in self.folder.rglob("*") if p.name.startswith(".") or p.name.endswith(".tmp")]


class Copies(Remote):
    def test_config(self):
        """the example copies all that it leaves, results and loggers too, and changes no bit of the run"""
        config = SOURCE / "configs/remote/folder.yaml"
        more = ["--set", "loggers={tensorboard: {}}", "--set", "results={packages: {classification: {}}, splits: [val]}",
                "--set", f"save_source=[{self.write('tool.py', 'pass')}]"]
        self.run_cli("train", config, "--output", "copied-7", "--set", "remote.path=store", *more)
        copy = self.store / "examples/copied-7"
        self.assert_copied("copied-7", copy)
        names = list(tree(copy))
        for name in ["config.yaml", "steps.jsonl", "source/tool.py", "results/val.json", "results/val_predictions.h5"]:
            self.assertIn(name, names)
        self.assertTrue(any(name.startswith("tensorboard/") for name in names))
        self.run_cli("train", config, "--output", "alone", "--unset", "remote", *more)
        self.assert_same_end("copied-7", self.final_state("alone"))
        self.assertEqual(self.leftovers(), [])

    def test_killed(self):
        """kill -9 at random moments: each time the copy can be fetched, whole; at the end it is the run"""
        config = self.write("run.yaml", LONG)
        begin = time.monotonic()
        self.run_cli("train", config, "--output", "whole", "--unset", "remote")
        seconds = time.monotonic() - begin
        reference, draw, kills, fetched = self.final_state("whole"), random.Random(11), 0, 0
        for name in ["first", "second"]:
            for attempt in range(100):
                process = subprocess.Popen([TRAINCTL, "train", str(config), "--output", name, "--resume", "auto"], cwd=self.folder,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                try:
                    longest = max(0.1, seconds / 1.5) * 1.1 ** attempt  # the machine may have become slower
                    _, err = process.communicate(timeout=draw.uniform(0.03, longest))
                    self.assertEqual(process.returncode, 0, err)
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    kills += 1
                fetched += (self.copy(name) / "config.yaml").exists() and self.check_copy(name, f"{name}-{attempt}")
            else:
                self.fail("100 kills, and the run made no progress")
            self.assert_same_end(name, reference)
            self.assert_copied(name)
            fetched += self.check_copy(name, f"{name}-end")
        print(f"{kills} kills, {fetched} copies with checkpoints", flush=True)
        self.assertGreater(kills, 2)
        self.assertGreaterEqual(fetched, 2)

    def check_copy(self, name, to):
        """fetches a run; whether it has a checkpoint, which steps.jsonl must reach"""
        there = self.run_json("fetch", self.url(name), "--output", to)
        if there["step"] is None:
            return False
        steps = (self.folder / to / "steps.jsonl").read_text().splitlines()
        self.assertGreaterEqual(json.loads(steps[-1])["step"] if steps else 0, there["step"] // 50 * 50)
        self.run_cli("inspect", self.folder / to / "checkpoints/last.h5")
        return True

    def test_elsewhere(self):
        """a run whose machine is lost goes on from its copy, to the same bits, and its copy with it"""
        config = self.write("run.yaml", GATED)
        process = self.start("train", config, "--output", "small-3")
        url = f"file://{self.store}/tests/small-3"
        self.await_gate(10, process)
        while len(list(self.store.glob("tests/small-3/checkpoints/step-*.h5"))) < 2:
            time.sleep(0.01)
        process.kill()
        self.open_gates(10, 15)
        process.communicate()
        self.run_cli("train", config, "--output", "whole", "--unset", "remote")
        shutil.rmtree(self.folder / "small-3")
        machine = self.folder / "machine"
        machine.mkdir()
        done = subprocess.run([TRAINCTL, "resume", url], cwd=machine, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        run = machine / "runs/tests/small-3"
        self.assertIn("going on at step", done.stderr)
        self.assertTrue(done.stdout.startswith("runs/tests/small-3\n"))
        self.assert_same_end(run, self.final_state("whole"))
        self.assert_copied(run, self.store / "tests/small-3")
        # There already, and as far: it is not fetched again.
        again = subprocess.run([TRAINCTL, "resume", url], cwd=machine, capture_output=True, text=True, timeout=120)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("is finished", again.stderr)

    def test_existing(self):
        """fetch writes over nothing; resume URL takes a folder of that run alone, and none that lies behind"""
        config = self.write("run.yaml", TINY)
        self.run_cli("train", config, "--output", "small-1")
        url = f"file://{self.store}/tests/small-1"
        before = tree(self.folder / "small-1")
        self.assertIn("--output", self.error("fetch", url, "--output", "small-1", expect=2)["message"])
        self.assertIn("--output", self.error("resume", "small-1", "--output", "x", expect=2)["message"])
        self.run_cli("train", config, "--output", "other", "--unset", "remote")
        self.assertIn("is not the run", self.error("resume", url, "--output", "other", expect=2)["message"])
        self.run_cli("resume", url, "--output", "further", "--more", "1 epochs")
        message = self.error("resume", url, "--output", "small-1", expect=2)["message"]
        self.assertIn("is at step 48, and the copy", message)
        self.assertEqual(tree(self.folder / "small-1"), before)
        # The folder that was left behind trains on, and leaves the copy to the other.
        copied = tree(self.store)
        done = self.run_cli("resume", "small-1", "--more", "1 epochs")
        self.assertIn("has gone on elsewhere", done.stderr)
        self.assertEqual(tree(self.store), copied)
        for wrong in ["file:///small-1", "ftp://x/y/z", f"file://{self.store}/tests/small-9"]:
            self.run_cli("fetch", wrong, expect=4 if wrong.endswith("9") else 2)
        self.assertEqual(self.leftovers(), [])


class Trouble(Remote):
    def test_refused_at_start(self):
        """no store, or a place that holds another run: an error before anything runs, and no run directory"""
        config = self.write("run.yaml", TINY)
        self.store.rmdir()
        error = self.error("train", config, expect=6)
        self.assertIn("remote.path", error["message"])
        self.assertEqual(list((self.folder / "runs/tests").iterdir()), [])
        self.store.mkdir()
        self.run_cli("train", config)
        copied = tree(self.store)
        shutil.rmtree(self.folder / "runs")
        error = self.error("train", config, expect=2)
        self.assertIn("holds another run", error["message"])
        self.assertEqual(list((self.folder / "runs/tests").iterdir()), [])
        self.assertEqual(tree(self.store), copied)
        self.run_cli("train", config, "--set", "name=another")
        self.assert_copied("runs/tests/another-1", self.copy(1, "another"))

    def test_away(self):
        """a store that goes is warned of once; training goes on; what is missing is told, and `push` or a resume catches up"""
        process = self.start("train", self.write("run.yaml", GATED), "--output", "run")
        self.await_gate(10, process)
        self.store.rename(self.folder / "away")
        self.open_gates(10, 15)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertLessEqual(err.count("not copied for now"), 1, err)
        self.assertIn(": not copied: ", err)
        self.assertIn("`trainctl push run` copies what is left", err)
        self.assertTrue(json.loads((self.folder / "run/remote.json").read_text())["places"][self.url("run")]["missing"])
        error = self.error("push", "run", expect=6)
        self.assertIn("checkpoints/step-", error["message"])
        (self.folder / "away").rename(self.store)
        done = self.run_cli("push", "run")
        self.assertEqual(done.stdout, self.url("run") + "\n")
        self.assertEqual(self.run_json("push", "run")["files"], 0)
        (self.copy("run") / "config.yaml").unlink()  # a resume catches up too, of a finished run as well
        self.run_cli("resume", "run")
        self.assert_copied("run")

    def test_back(self):
        """a store that comes back has everything at the end"""
        process = self.start("train", self.write("run.yaml", GATED), "--output", "run")
        self.await_gate(10, process)
        self.store.rename(self.folder / "away")
        self.open_gates(10)
        self.wait_for(process, "not copied for now")
        (self.folder / "away").rename(self.store)
        self.open_gates(15)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn("everything is copied", err)
        self.assert_copied("run")

    def test_push_elsewhere(self):
        """push --to copies a run that has no `remote`"""
        self.run_cli("train", self.write("run.yaml", SMALL), "--output", "run")
        self.assertIn("--to", self.error("push", "run", expect=2)["message"])
        self.run_cli("push", "run", "--to", f"file://{self.store}")
        self.assert_copied("run")
        self.run_cli("fetch", self.url("run"), "--output", "back")
        self.assert_same_end("back", self.final_state("run"))
        # A resume of it keeps the copy that it came from.
        self.run_cli("resume", self.url("run"), "--output", "further", "--more", "1 epochs", "--set", "remote.wait=1 min")
        self.assert_copied("further", self.copy("run"))
        self.assertIn("file://", self.error("push", "run", "--to", "sftp://x/y", expect=2)["message"])

    def hold(self, process):
        """Keeps the mirror from copying, as a store would that never answers."""
        self.await_gate(10, process)
        self.lock = open(self.folder / "run/remote.lock", "a")
        fcntl.lockf(self.lock, fcntl.LOCK_EX)  # when a round is over
        self.addCleanup(self.lock.close)
        self.open_gates(10)
        self.wait_for(process, "not copied for now")

    def await_waiting(self, process, status):
        """Waits until the process waits for its copies alone."""
        self.wait_for(process, "still to be copied")
        self.assertEqual(json.loads((self.folder / "run/meta.json").read_text())["status"], status)
        self.assertIsNone(process.poll())

    def test_second_signal(self):
        """when the state is saved a second signal ends the wait for copies, not the run's good end"""
        config = self.write("run.yaml", changed(GATED, trainer__max="100000 epochs", remote__stop_wait="1 h"))
        process = self.start("train", config, "--output", "run")
        self.hold(process)
        self.open_gates(15)
        process.send_signal(signal.SIGTERM)
        self.await_waiting(process, "interrupted")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 85, err)
        self.assertIn("trainctl push run", err)
        self.lock.close()
        self.run_cli("push", "run")
        self.assert_copied("run")

    def test_stop(self):
        """a stopped run waits `stop_wait` and no longer"""
        config = self.write("run.yaml", changed(GATED, trainer__max="100000 epochs", remote__stop_wait="0.2 s"))
        process = self.start("train", config, "--output", "run")
        self.hold(process)
        self.open_gates(15)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 85, err)
        self.assertIn("trainctl push run", err)

    def test_signal_at_the_end(self):
        """a signal while a run that is finished waits for its copies leaves it finished"""
        process = self.start("train", self.write("run.yaml", changed(GATED, remote__wait="1 h")), "--output", "run")
        self.hold(process)
        self.open_gates(15)
        self.await_waiting(process, "finished")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn(": not copied: ", err)
        self.lock.close()
        self.run_cli("push", "run")
        self.assert_copied("run")

    def test_mistakes(self):
        """what is wrong in `remote` is an error of the config"""
        for remote, advice in [({"type": "folder"}, "path"), ({"type": "foldr", "path": "x"}, "Did you mean 'folder'"),
                               ({"type": "folder", "path": "x", "wait": "5 epochs"}, "wall time"),
                               ({"type": "folder", "path": "x", "evry": "5 s"}, "Did you mean 'every'")]:
            error = self.error("check", self.write("c.yaml", {**SMALL, "remote": remote}), expect=3)
            self.assertIn(advice, json.dumps(error))


if __name__ == "__main__":
    main()
