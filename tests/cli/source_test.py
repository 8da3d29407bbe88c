"""What a run keeps of its sources: named files, the commit, and what was changed since."""

import hashlib
import json
import os
import shutil
import subprocess
import unittest

from cli import SMALL, CliTest, changed, main

CONFIG = changed(SMALL, trainer__max="1 epoch")


class Source(CliTest):
    def meta(self, run):
        return json.loads((self.folder / run / "meta.json").read_text())["starts"]

    def test_save_source(self):
        """files that patterns name are copied once, as they were at the start"""
        self.write("work/tools/prepare.py", "print('prepare')\n")
        self.write("work/labels.csv", "a,b\n")
        config = self.write("work/c.yaml", {**CONFIG, "save_source": ["tools/*.py", "labels.csv"]})
        self.run_cli("train", config, "--output", "run")
        kept = {str(p.relative_to(self.folder / "run/source")): p.read_bytes() for p in (self.folder / "run/source").rglob("*") if p.is_file()}
        self.assertEqual(kept, {"tools/prepare.py": b"print('prepare')\n", "labels.csv": b"a,b\n"})
        self.assertEqual(self.meta("run")[0]["source"], {name: hashlib.sha256(text).hexdigest() for name, text in kept.items()})
        (self.folder / "work/labels.csv").unlink()
        self.run_cli("resume", "run", "--more", "1 epoch")  # needs them no more
        for command in ["check", "train"]:
            self.assertIn("labels.csv' names no file", self.error(command, config, expect=3)["message"])

    @unittest.skipUnless(shutil.which("git"), "git is not installed")
    def test_uncommitted(self):
        """what tracked files have changed since the commit is kept as a patch, of each start"""
        config = self.write("c.yaml", CONFIG)
        git = lambda *words: subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=self.folder, check=True, capture_output=True)
        self.write("tracked.txt", "old\n")
        git("init", "-q")
        git("add", "tracked.txt")
        git("commit", "-q", "-m", "first")
        self.run_cli("train", config, "--output", "clean")
        start = self.meta("clean")[0]
        self.assertEqual((start["git_changed"], start["git_patch"], len(start["git"])), (False, None, 40))
        self.assertFalse((self.folder / "clean/uncommitted.patch").exists())
        self.write("tracked.txt", "new\n")
        self.run_cli("train", config, "--output", "run")
        self.assertEqual(self.meta("run")[0]["git_patch"], "uncommitted.patch")
        git("checkout", "-q", "tracked.txt")
        git("apply", "run/uncommitted.patch")
        self.assertEqual((self.folder / "tracked.txt").read_text(), "new\n")
        self.run_cli("resume", "run", "--more", "1 epoch")
        self.assertEqual(self.meta("run")[1]["git_patch"], "uncommitted-2.patch")
        # Not kept where it is not wanted, and said all the same; each start may choose.
        self.run_cli("train", config, "--output", "none", "--set", "save_diff=false")
        start = self.meta("none")[0]
        self.assertEqual((start["git_changed"], start["git_patch"], len(start["git"])), (True, None, 40))
        self.assertEqual(list((self.folder / "none").glob("uncommitted*")), [])
        self.run_cli("resume", "none", "--more", "1 epoch", "--set", "save_diff=true")
        self.assertEqual(self.meta("none")[1]["git_patch"], "uncommitted-2.patch")
        git("checkout", "-q", "tracked.txt")
        self.run_cli("train", config, "--output", "same", "--set", "save_diff=false")
        self.assertIs(self.meta("same")[0]["git_changed"], False)


if __name__ == "__main__":
    main()
