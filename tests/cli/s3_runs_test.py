"""Runs that are copied to a real S3 server: complete at the end, whatever the server did meanwhile; nothing secret in any file."""

import os
import threading
import time
import unittest

import s3_server
from cli import SMALL, SOURCE, CliTest, changed
from s3_server import ADMIN, BUCKET, READER, Proxy, Rule, Server, error_body

TINY = {**changed(SMALL, trainer__log_every="5 steps", checkpoint__every=["6 steps"]),
        "remote": {"type": "s3", "bucket": BUCKET, "every": "0.01 s", "wait": "20 s"}}
LONG = changed(TINY, trainer__max="150 epochs", trainer__log_every="50 steps", checkpoint__every=["40 steps"])
OWN = {"run.lock", "remote.json", "remote.lock", "copy.json", "log.txt"}  # the record and locks of a folder, and lines about the copy


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink() and path.name not in OWN}


class Shared:
    """A server takes a second to start."""


def setUpModule():
    Shared.server = Server()
    unittest.addModuleCleanup(Shared.server.close)
    Shared.proxy = Proxy(Shared.server)
    unittest.addModuleCleanup(Shared.proxy.close)


class Runs(Shared, CliTest):
    def setUp(self):
        super().setUp()
        self.proxy.reset()
        self.prefix = self.id().split(".")[-1]
        self.said = ""
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environment.update(HOME=str(self.folder), AWS_ACCESS_KEY_ID=ADMIN[0], AWS_SECRET_ACCESS_KEY=ADMIN[1],
                                AWS_ENDPOINT_URL_S3=self.proxy.endpoint)

    def run_cli(self, *arguments, environment=None, **options):
        done = super().run_cli(*arguments, env={**self.environment, **(environment or {})}, **options)
        self.said += done.stdout + done.stderr
        return done

    def config(self, config):
        return self.write("run.yaml", changed(config, remote__prefix=self.prefix))

    def url(self, run):
        return f"s3://{BUCKET}/{self.prefix}/tests/small-{run}"

    def assert_copied(self, run, name):
        """What `fetch` gets is what is here."""
        self.run_cli("fetch", self.url(name), "--output", "fetched")
        self.assertEqual(tree(self.folder / "fetched"), tree(self.folder / run))

    def assert_no_secret(self):
        """In no file, and in nothing that was said."""
        for content in [self.said.encode(), *(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())]:
            for secret in (ADMIN[1], READER[1], "wrong/secret"):
                self.assertNotIn(secret.encode(), content)

    def test_config(self):
        """the example, in a bucket of ours"""
        self.run_cli("check", SOURCE / "configs/remote/s3.yaml")
        self.run_cli("train", SOURCE / "configs/remote/s3.yaml", "--output", "run", "--set", f"remote.bucket={BUCKET}", "--set",
                     f"remote.prefix={self.prefix}")
        names = [path for method, path, _, status in self.proxy.requests if method == "PUT" and status == 200]
        self.assertTrue(any("/examples/copied-to-s3-run/checkpoints/step-" in name for name in names), names)
        self.run_cli("fetch", f"s3://{BUCKET}/{self.prefix}/examples/copied-to-s3-run", "--output", "fetched")
        self.assertEqual(tree(self.folder / "fetched"), tree(self.folder / "run"))
        self.assert_no_secret()

    def test_elsewhere(self):
        """a run whose machine is lost goes on from its copy, to the same bits"""
        config = self.config(LONG)
        self.run_cli("train", config, "--output", "whole", "--unset", "remote")
        process = self.start("train", config, "--output", "lost", env=self.environment)
        deadline = time.monotonic() + 60
        while not any("/checkpoints/step-" in path and status == 200 for _, path, _, status in list(self.proxy.requests)):
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.kill()
        self.run_cli("resume", self.url("lost"), "--output", "found")
        self.assert_same_end("found", self.final_state("whole"))
        self.assert_copied("found", "lost")
        self.assert_no_secret()

    def test_a_server_that_is_killed(self):
        """training goes on, and when the server is back all gets there"""
        back = threading.Timer(0.5, self.server.start)

        def crash():
            self.server.stop(kill=True)
            back.start()

        self.proxy.reset(Rule(lambda method, path: method == "PUT", skip=12, then=crash))
        done = self.run_cli("train", self.config(LONG), "--output", "run")
        back.join()
        self.assertIn("everything is copied", done.stderr)
        self.assert_copied("run", "run")

    def test_a_full_bucket(self):
        """is told once with what to do; training goes on; when there is space again `push` catches up"""
        full = (507, {}, error_body("InsufficientStorage"))
        self.proxy.reset(Rule(lambda method, path: method == "PUT", skip=5, times=10**6, answer=full))
        done = self.run_cli("train", self.config(changed(TINY, remote__wait="0 s")), "--output", "run")
        self.assertIn("no space left in the bucket", done.stderr)
        self.assertIn("trainctl push", done.stderr)
        self.assertLess(len([line for line in done.stderr.splitlines() if "no space left" in line]), 3)
        self.run_cli("push", "run", expect=6)
        self.proxy.reset()
        self.run_cli("push", "run")
        self.assert_copied("run", "run")
        self.assert_no_secret()

    def test_refused_at_the_start(self):
        """wrong credentials, a wrong clock, no bucket: an error before anything runs, and no run directory"""
        config = self.config(TINY)
        cases = [("AWS_SECRET_ACCESS_KEY", {"AWS_SECRET_ACCESS_KEY": "wrong/secret"}, []),
                 ("does not allow", {"AWS_ACCESS_KEY_ID": READER[0], "AWS_SECRET_ACCESS_KEY": READER[1]}, []),
                 ("no credentials", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, []),
                 ("no bucket", {}, ["--set", "remote.bucket=none-of-that-name"])]
        if "FAULT_SHIM" in os.environ:
            cases.append(("clock", {"LD_PRELOAD": os.environ["FAULT_SHIM"], "CLOCK_AHEAD": "7200"}, []))
        for text, environment, more in cases:
            done = self.run_cli("train", config, *more, environment=environment, expect=6)
            self.assertIn(text, done.stderr)
        self.assertFalse((self.folder / "runs/tests/small-1").exists())
        self.assert_no_secret()

    def test_credentials_are_no_part_of_a_config(self):
        config = self.config({**TINY, "remote": {**TINY["remote"], "secret_key": "wrong/secret"}})
        done = self.run_cli("check", config, expect=3)
        self.assertIn("Credentials are no part of an experiment", done.stderr)
        config.unlink()
        self.assert_no_secret()


if __name__ == "__main__":
    s3_server.main()
