"""Commands at events of a run: when, with what environment, once each; failures, hangs, signals, secrets."""

import json
import os
import select
import signal
import unittest

from cli import SMALL, CliTest, changed, main

SHIM = os.environ.get("FAULT_SHIM", "")


def with_policies(policies, **changes):
    return {**changed(SMALL, **changes), "policies": policies}


def line(event, **others):
    text = f'echo "$TRAINCTL_EVENT $TRAINCTL_EPOCH $TRAINCTL_STEP $TRAINCTL_BEST" >> "$TRAINCTL_RUN/{event}.txt"'
    return {"type": "exec", "on": event, "command": text, **others}


class Exec(CliTest):
    def lines(self, run, name):
        return (self.folder / run / name).read_text().splitlines()

    def test_events(self):
        """each event runs its command, after the checkpoint of that moment, with the values of its report"""
        policies = {name: line(name) for name in ["report", "epoch", "best", "end"]}
        policies["metrics"] = {"type": "exec", "on": "end", "command": 'printf %s "$TRAINCTL_METRICS" > "$TRAINCTL_RUN/metrics.json"'}
        policies["saved"] = {"type": "exec", "on": "best", "command": 'basename $(readlink "$TRAINCTL_RUN/checkpoints/best.h5") >> "$TRAINCTL_RUN/saved.txt"'}
        config = self.write("c.yaml", with_policies(policies, trainer__validate_every="8 steps", trainer__max="2 epochs"))
        done = self.run_cli("train", config, "--output", "run")
        history = json.loads((self.folder / "run/history.json").read_text())["epochs"]
        self.assertEqual([record["step"] for record in history], [8, 16, 24, 32])
        best, losses = [], [record["values"]["val/loss"] for record in history]
        for i, loss in enumerate(losses):
            if loss < min(losses[:i], default=1e9):
                best.append(i)
        mark = lambda i: int(i in best)
        self.assertEqual(self.lines("run", "report.txt"), [f"report {h['epoch']} {h['step']} {mark(i)}" for i, h in enumerate(history)])
        self.assertEqual(self.lines("run", "epoch.txt"), [f"epoch 1 16 {mark(1)}", f"epoch 2 32 {mark(3)}"])
        self.assertEqual(self.lines("run", "best.txt"), [f"best {history[i]['epoch']} {history[i]['step']} 1" for i in best])
        self.assertEqual(self.lines("run", "saved.txt"), [f"step-{history[i]['step']:08}.h5" for i in best])
        self.assertEqual(self.lines("run", "end.txt"), [f"end 2 32 {mark(3)}"])
        self.assertEqual(json.loads((self.folder / "run/metrics.json").read_text()), history[-1]["values"])
        events = [json.loads(text) for text in self.lines("run", "events.jsonl")]
        self.assertEqual(len(events), 4 + 2 + 2 * len(best) + 2)
        self.assertEqual({event["end"] for event in events}, {"exit status 0"})
        self.assertEqual(len(done.stdout.splitlines()), len(self.run_cli("train", config, "--output", "other").stdout.splitlines()))

    def test_output(self):
        """what a command says goes to the log, stdout and stderr alike, and never to stdout; a secret stays one"""
        command = ["sh", "-c", "echo to stdout; echo to stderr >&2; echo the word is $0", "${secret:WORD}"]
        config = self.write("c.yaml", with_policies({"say": {"type": "exec", "on": "end", "command": command}}))
        done = self.run_cli("train", config, "--output", "run", env={**os.environ, "WORD": "xyzzy-42"})
        log = (self.folder / "run/log.txt").read_text()
        for text in ["say: to stdout", "say: to stderr", "say: the word is ${secret:WORD}"]:
            self.assertIn(text, log)
            self.assertIn(text, done.stderr)
        self.assertNotIn("to stdout", done.stdout)
        for file in (self.folder / "run").rglob("*"):
            if file.is_file():
                self.assertNotIn(b"xyzzy-42", file.read_bytes(), file)
        self.assertIn("WORD is not in the environment", self.error("check", config, expect=3)["message"])

    def test_failures(self):
        """a failure is a warning, or with on_failure: stop ends the run, which is finished then"""
        for how, epochs in [("warn", 3), ("stop", 1)]:
            policy = {"type": "exec", "on": "epoch", "command": "exit 3", "on_failure": how}
            document = self.run_json("train", self.write("c.yaml", with_policies({"fails": policy})), "--output", how)
            self.assertEqual(document["epoch"], epochs)
            self.assertIn("policies.fails: '/bin/sh -c exit 3': exit status 3", (self.folder / how / "log.txt").read_text())
        self.assertIn("exit status 3", document["reason"])
        self.assertTrue(self.run_json("resume", "stop")["was_finished"])
        self.assertEqual(self.run_json("resume", "stop", "--more", "1 epoch")["epoch"], 2)  # its own fails too

    @unittest.skipUnless(os.path.exists(SHIM), "the shim cannot be preloaded into this build")
    def test_failure_survives_a_kill(self):
        """killed between the failure of a command and the checkpoint of the stop, a run still stops there when it is resumed"""
        policy = {"type": "exec", "on": "epoch", "command": 'test "$TRAINCTL_EPOCH" != 2', "on_failure": "stop"}
        config = self.write("c.yaml", with_policies({"fails": policy}, trainer__max="4 epochs"))
        faults = lambda **values: {**os.environ, "LD_PRELOAD": SHIM, **values}
        self.run_cli("train", config, "--output", "whole", env=faults(FAULT_COUNT=str(self.folder / "count")))
        calls = int((self.folder / "count").read_text())
        reference = self.final_state("whole")
        self.assertEqual(len(reference["history"]["epochs"]), 2)
        for at in range(calls - 12, calls):
            name = f"run-{at}"
            self.run_cli("train", config, "--output", name, expect=-signal.SIGKILL, env=faults(FAULT_AT=str(at), FAULT_KIND="kill"))
            self.run_cli("train", config, "--output", name, "--resume", "auto")
            self.assert_same_end(name, reference, f"after a kill at call {at} of {calls}")
            self.assertEqual([json.loads(text)["step"] for text in self.lines(name, "events.jsonl")], [16, 32])

    def test_hanging(self):
        """a command that does not end is ended at its timeout, with what it started"""
        command = 'sleep 1000 & echo $! > "$TRAINCTL_RUN/pid"; sleep 1000'
        policy = {"type": "exec", "on": "end", "command": command, "timeout": "0.2 s"}
        self.run_cli("train", self.write("c.yaml", with_policies({"hangs": policy}, trainer__max="1 epoch")), "--output", "run")
        self.assertIn("no end within 0.2 s", (self.folder / "run/log.txt").read_text())
        try:
            child = os.pidfd_open(int((self.folder / "run/pid").read_text()))
        except ProcessLookupError:
            return  # it has ended, and init has taken note of it
        self.addCleanup(os.close, child)
        self.assertTrue(select.select([child], [], [], 5)[0], "what the command started still runs")

    def test_signal(self):
        """a signal does not wait for a command: the run stops with its state saved, and a resume runs the command again"""
        command = 'echo started >> "$TRAINCTL_RUN/started.txt"; echo ready; test -e "$TRAINCTL_RUN/go" || exec sleep 1000'
        config = self.write("c.yaml", with_policies({"hangs": {"type": "exec", "on": "epoch", "command": command}}, trainer__max="2 epochs"))
        self.run_cli("train", self.write("plain.yaml", changed(SMALL, trainer__max="2 epochs")), "--output", "plain")
        process = self.start("train", config, "--output", "run")
        self.wait_for(process, "hangs: ready")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 85)
        self.assertFalse((self.folder / "run/events.jsonl").exists())
        (self.folder / "run/go").touch()
        self.run_cli("resume", "run")
        self.assertEqual(len(self.lines("run", "started.txt")), 3)  # epoch 1 twice, epoch 2
        self.assertEqual([json.loads(text)["step"] for text in self.lines("run", "events.jsonl")], [16, 32])
        self.assertEqual(self.final_state("run")["arrays"], self.final_state("plain")["arrays"])

    def test_killed(self):
        """what was done before a kill -9 is not done again, though the epochs before the checkpoint are trained again"""
        policies = {name: line(name) for name in ["epoch", "best"]}
        # Kills its own run at the end of epoch 4, after the commands before it; the newest checkpoint is of epoch 2.
        policies["kill"] = {"type": "exec", "on": "epoch", "command": 'test "$TRAINCTL_EPOCH" != 4 || test -e "$TRAINCTL_RUN/killed" || { touch "$TRAINCTL_RUN/killed"; kill -9 $PPID; sleep 1000; }'}
        config = self.write("c.yaml", with_policies(policies, trainer__max="5 epochs", checkpoint={"every": ["100 epochs"], "keep": {"best": {"monitor": "lr", "mode": "max"}}}))
        self.run_cli("train", config, "--output", "run", expect=-signal.SIGKILL)
        self.assertEqual(len(self.lines("run", "epoch.txt")), 4)
        with (self.folder / "run/events.jsonl").open("a") as file:
            file.write('{"policy": "epoch", "ev')  # as a kill within a write leaves it
        self.run_cli("train", config, "--output", "run", "--resume", "auto")
        self.assertEqual([text.split()[1] for text in self.lines("run", "epoch.txt")], ["1", "2", "3", "4", "5"])
        self.assertEqual(len(self.lines("run", "best.txt")), 1)
        before = self.lines("run", "events.jsonl")
        self.assertTrue(self.run_json("resume", "run")["was_finished"])
        self.assertEqual(self.lines("run", "events.jsonl"), before)

    def test_another_way(self):
        """a run that comes by a step again with other values, changed by --force, runs the command again"""
        config = self.write("c.yaml", with_policies({"epoch": line("epoch")}, trainer__max="2 epochs"))
        self.run_cli("train", config, "--output", "run")
        (self.folder / "run/checkpoints/last.h5").unlink()
        newest = max((self.folder / "run/checkpoints").glob("step-*.h5"))
        newest.unlink()
        self.run_cli("resume", "run")  # the same way
        self.assertEqual(len(self.lines("run", "epoch.txt")), 2)
        for name in ["checkpoints/last.h5", f"checkpoints/{newest.name}"]:
            (self.folder / "run" / name).unlink()
        self.run_cli("resume", "run", "--set", "optimizer.lr=3e-3", "--force")
        self.assertEqual([text.split()[2] for text in self.lines("run", "epoch.txt")], ["16", "32", "32"])

    def test_end_after_all(self):
        """a command for the end that a kill prevented runs when the finished run is resumed"""
        config = self.write("c.yaml", with_policies({"end": line("end")}, trainer__max="1 epoch"))
        self.run_cli("train", config, "--output", "run")
        for name in ["events.jsonl", "end.txt"]:
            (self.folder / "run" / name).unlink()
        self.run_cli("resume", "run")
        self.assertEqual(len(self.lines("run", "end.txt")), 1)
        self.run_cli("resume", "run")
        self.assertEqual(len(self.lines("run", "end.txt")), 1)

    def test_mistakes(self):
        """a program that does not exist, no command, a best that nothing defines: told at check"""
        text = self.write("text", "not a program")
        text.chmod(0o644)
        cases = [
            ({"command": ["trainctl-no-such-program"]}, "there is no program 'trainctl-no-such-program' in PATH"),
            ({"command": [str(text)]}, "may be executed"),
            ({"command": []}, "must not be empty"),
            ({"command": ""}, "must not be empty"),
            ({"command": "true", "timeout": "0 s"}, "must be above 0"),
            ({"command": "true", "on": "bset"}, "Did you mean 'best'?"),
        ]
        for fields, advice in cases:
            with self.subTest(advice):
                config = with_policies({"x": {"type": "exec", "on": "end", **fields}})
                self.assertIn(advice, self.error("check", self.write("c.yaml", config), expect=3)["message"])
        config = with_policies({"x": {"type": "exec", "on": "best", "command": "true"}})
        del config["checkpoint"]
        self.assertIn("nothing says what is best", self.error("check", self.write("c.yaml", config), expect=3)["message"])


if __name__ == "__main__":
    main()
