"""Whole runs with copies in a real S3 server on loopback: complete, fetched, resumed elsewhere; the server killed, restarted, away;
wrong credentials; nothing secret in any file or line."""

import os
import shutil
import unittest

import s3_server
from cli import SOURCE, changed
from coming_from_test import FEW_IMAGES
from remote_test import GATED, Remote, tree
from s3_server import ADMIN, BUCKET, READER, Proxy, Rule, Server, error_body

SECRETS = [ADMIN[1], READER[1], "wrong/secret+key"]


class Shared:
    pass


def setUpModule():
    Shared.server = Server()
    unittest.addModuleCleanup(Shared.server.close)
    Shared.proxy = Proxy(Shared.server)
    unittest.addModuleCleanup(Shared.proxy.close)


class S3(Shared, Remote):
    def setUp(self):
        super().setUp()
        self.proxy.reset()
        self.prefix = self.id().split(".")[-1]
        self.output = ""

    def config(self, endpoint=None):
        config = changed(GATED)
        config["remote"] = {"type": "s3", "bucket": BUCKET, "prefix": self.prefix, "endpoint": endpoint or self.proxy.endpoint,
                            "every": "0.05 s", "retries": 0}
        return self.write("c.yaml", config)

    def environment(self, keys=ADMIN):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**environment, "HOME": str(self.folder), "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}

    def cli(self, *arguments, expect=0, keys=ADMIN, **more):
        done = self.run_cli(*arguments, expect=expect, env={**self.environment(keys), **more})
        self.output += done.stdout + done.stderr
        return done

    def begin(self, *arguments, keys=ADMIN):
        return self.start(*arguments, env=self.environment(keys))

    def finish(self, process, expect=0):
        out, err = process.communicate(timeout=60)
        self.output += out + err
        self.assertEqual(process.returncode, expect, err)
        return err

    def url(self, run):
        return f"s3://{BUCKET}/{self.prefix}/tests/{run}"

    def assert_copied(self, run):
        """by another way than S3"""
        here = tree(self.folder / run)
        key = f"{self.prefix}/tests/{run if run.startswith('small-') else 'small-' + run}"
        for name, data in here.items():
            there = self.server.content(f"{key}/{name}")
            self.assertIsNotNone(there, name)
            if name == "log.txt":
                self.assertTrue(data.startswith(there))
            else:
                self.assertEqual(data, there, name)
        self.assertTrue(any(name.startswith("checkpoints/") for name in here))

    def assert_no_secrets(self):
        found = [self.output.encode(), *(p.read_bytes() for p in self.folder.rglob("*") if p.is_file())]
        self.assertGreater(len(found), 1)
        for data in found:
            for secret in SECRETS:
                self.assertNotIn(secret.encode(), data)

    def trains_into_a_bucket(self, config, key, *small):
        """the bucket and the server are ours; what is fetched from there is the run"""
        self.cli("check", config)
        self.cli("train", config, "--output", "run", "--set", f"remote.bucket={BUCKET}", "--set", f"remote.prefix={self.prefix}", *small,
                 AWS_ENDPOINT_URL_S3=self.proxy.endpoint)
        self.cli("fetch", f"s3://{BUCKET}/{self.prefix}/{key}", "--output", "back", AWS_ENDPOINT_URL_S3=self.server.endpoint)
        here, there = tree(self.folder / "run"), tree(self.folder / "back")
        self.assertTrue(here.pop("log.txt").startswith(there.pop("log.txt")))
        self.assertEqual(here, there)
        self.assert_no_secrets()
        return set(here)

    def test_config(self):
        """the example"""
        self.trains_into_a_bucket(SOURCE / "configs/remote/s3.yaml", "examples/copied-to-s3-run")

    def test_train_loop(self):
        """AIToolbox's train loop that saves everything to the cloud: checkpoints, history, results"""
        files = self.trains_into_a_bucket(SOURCE / "configs/coming_from/train_loop_cloud.yaml", "coming-from/train-loop-cloud-run", *FEW_IMAGES)
        self.assertLessEqual({"config.yaml", "history.json", "results/val.json", "results/test.json", "results/test_predictions.h5"}, files)
        self.assertEqual(len([name for name in files if name.startswith("checkpoints/step-")]), 4)

    def test_credentials_in_a_config(self):
        """are refused, and not shown"""
        config = self.config()
        for name, value in [("secret_key", SECRETS[2]), ("endpoint", f"https://me:{SECRETS[2]}@host")]:
            self.cli("train", config, "--set", f"remote.{name}={value}", expect=3)
        self.assertIn("Credentials are no part of an experiment", self.output)
        self.assertIn("must not hold credentials", self.output)
        self.assert_no_secrets()

    def test_elsewhere(self):
        """a copy is the run; killed, it goes on from there on another machine to the same bits, and its copy with it"""
        config = self.config()
        process = self.begin("train", config, "--output", "small-1")
        self.await_gate(10, process)
        self.assertTrue(self.proxy.wait_for(lambda method, path: method == "PUT" and "checkpoints/step-" in path))
        process.kill()
        self.open_gates(10, 15)
        process.communicate()
        self.cli("train", config, "--output", "whole", "--unset", "remote")
        shutil.rmtree(self.folder / "small-1")
        self.cli("resume", self.url("small-1"), "--set", f"remote.endpoint={self.proxy.endpoint}", "--output", "small-1")
        self.assert_same_end("small-1", self.final_state("whole"))
        self.assert_copied("small-1")
        done = self.cli("fetch", self.url("small-1"), "--set", f"remote.endpoint={self.server.endpoint}", "--output", "back")
        self.assertEqual(done.stdout, "back\n")
        self.assert_same_end("back", self.final_state("whole"))
        self.assert_no_secrets()

    def test_server_killed(self):
        """the server killed and started again while a run copies to it: warned of, caught up, complete"""
        process = self.begin("train", self.config(), "--output", "run")
        self.await_gate(10, process)
        self.server.stop(kill=True)
        try:
            self.open_gates(10)
            self.wait_for(process, "not copied for now")
        finally:
            self.server.start()
        self.open_gates(15)
        err = self.finish(process)
        self.assertIn("everything is copied", err)
        self.assert_copied("run")
        self.assert_no_secrets()

    def test_refused(self):
        """wrong credentials, no bucket, read-only ones, a clock that is wrong: exit 6 before anything runs, and no run directory"""
        config = self.config()
        for keys, more in [((ADMIN[0], SECRETS[2]), []), (("AKNOBODY", SECRETS[2]), []), (READER, []),
                           (ADMIN, ["--set", "remote.bucket=no-such-bucket"])]:
            done = self.cli("train", config, *more, expect=6, keys=keys)
            self.assertIn("error: ", done.stderr)
            self.assertEqual(list((self.folder / "runs/tests").iterdir()), [], done.stderr)
        if "FAULT_SHIM" in os.environ:
            done = self.cli("train", config, expect=6, LD_PRELOAD=os.environ["FAULT_SHIM"], CLOCK_AHEAD="7200")
            self.assertIn("clock is 2 h 00 min ahead of the server's", done.stderr)
            self.assertEqual(list((self.folder / "runs/tests").iterdir()), [])
        self.assert_no_secrets()

    def test_later(self):
        """refused or out of reach on a resume, or full: the run goes on, tells what is missing, and push catches up"""
        config = self.config()
        self.open_gates(10, 15)
        self.cli("train", config, "--output", "run")
        done = self.cli("resume", "run", "--more", "1 epochs", keys=(ADMIN[0], SECRETS[2]))
        self.assertIn("`trainctl push run` copies what is left", done.stderr)
        self.proxy.reset(Rule(lambda method, _: method == "PUT", times=999, answer=(507, {}, error_body("InsufficientStorage"))))
        done = self.cli("resume", "run", "--more", "1 epochs")
        self.assertIn("`trainctl push run` copies what is left", done.stderr)
        self.proxy.reset()
        done = self.cli("push", "run", expect=6, keys=READER)
        self.assertIn("checkpoints/step-", done.stderr)
        self.assertEqual(self.cli("push", "run").stdout, self.url("small-run") + "\n")
        self.assert_copied("run")
        self.assert_no_secrets()

    def test_unreachable_at_start(self):
        """a server that is not there yet is warned of, and has everything at the end"""
        self.server.stop()
        try:
            process = self.begin("train", self.config(endpoint=self.server.endpoint), "--output", "run")
            self.wait_for(process, "not copied for now")
            self.await_gate(10, process)
        finally:
            self.server.start()
        self.open_gates(10, 15)
        err = self.finish(process)
        self.assertIn("everything is copied", err)
        self.assert_copied("run")


if __name__ == "__main__":
    s3_server.main()
