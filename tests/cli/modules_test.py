"""Modules of users' own: built against an installed trainctl, used by each command, refused whole where they do not fit."""

import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import cli
from cli import SOURCE, CliTest, main

BUILD = pathlib.Path(cli.TRAINCTL).parent
CMAKE = os.environ.get("CMAKE", "cmake")

LAYER = """#include "device/module.h"
#include "nn/layer.h"
namespace {
using namespace trainctl;
struct Mine final : Layer {
  %s
  static Schema<Mine> schema() { return Schema<Mine>("A layer.").example("%s"); }
  Values build(Builder&, const Values& in) const override { return in; }
};
const Register<Layer, Mine> registered{"%s"};
%s
}  // namespace
TRAINCTL_MODULE("broken")
"""
BROKEN = {  # name: source and what is said of it
    "throws": (LAYER % ('Mine() { throw std::runtime_error("no luck today"); }', "fresh", "fresh", ""), "no luck today"),
    "throws_early": (LAYER % ("", "fresh", "fresh", 'const int early = [] { throw std::runtime_error("no luck at all"); return 1; }();'), "no luck at all"),
    "crashes": (LAYER % ("", "fresh", "fresh", "const int early = [] { __builtin_trap(); return 1; }();"), "crashes when it is loaded"),
    "taken": (LAYER % ("", "relu", "relu", 'struct Other final : Layer { static Schema<Other> schema() { return Schema<Other>("x"); } Values build(Builder&, const Values& in) const override { return in; } }; const Register<Layer, Other> other{"fresh"};'), "two components are registered as layer 'relu'"),
    "missing": (LAYER % ("", "fresh", "fresh", 'extern "C" int nowhere_to_be_found(); const int early = nowhere_to_be_found();'), "nowhere_to_be_found"),
}


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=500, **options)
    if done.returncode:
        raise AssertionError(f"{arguments}\n{done.stdout}\n{done.stderr}")


class Modules(CliTest):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="trainctl-modules-"))
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.example = cls.place / "example"
        run(CMAKE, "--install", BUILD, "--prefix", cls.place / "prefix")
        shutil.copytree(SOURCE / "examples/module", cls.example)
        cmake = (cls.example / "CMakeLists.txt").read_text()
        for name, (source, _) in BROKEN.items():
            (cls.example / f"{name}.cpp").write_text(source)
            first = next(iter(BROKEN))  # whose precompiled header the others use: most of the time goes there
            header = "PRIVATE <nn/layer.h>" if name == first else f"REUSE_FROM {first}"
            cmake += f"trainctl_add_module({name} {name}.cpp)\ntarget_precompile_headers({name} {header})\n"
        (cls.example / "CMakeLists.txt").write_text(cmake)
        run(CMAKE, "-S", cls.example, "-B", cls.example / "build", f"-DCMAKE_PREFIX_PATH={cls.place / 'prefix'}", "-DCMAKE_BUILD_TYPE=Debug")
        run(CMAKE, "--build", cls.example / "build", "-j", "2")
        cls.mine = cls.example / "build/mine.so"
        cls.config = cls.example / "experiment.yaml"
        cls.trainctl, cli.TRAINCTL = cli.TRAINCTL, str(cls.place / "prefix/bin/trainctl")

    @classmethod
    def tearDownClass(cls):
        cli.TRAINCTL = cls.trainctl

    def test_train(self):
        """components of a module train: a data set, a layer, a step, a loss, a metric and a policy; the run says which module it was, and goes on with that one alone"""
        self.run_cli("train", self.config, "--output", "run", "--set", "trainer.max=2 epochs")
        history = json.loads((self.folder / "run/history.json").read_text())["epochs"]
        self.assertLess(history[1]["values"]["val/entropy"], history[0]["values"]["val/entropy"])
        self.assertLess(history[0]["values"]["val/entropy"], math.log(3))
        sure = self.run_json("train", self.config, "--output", "sure", "--set", "loss.beta=0", "--set", "trainer.max=2 epochs")["values"]
        self.assertLess(sure["val/entropy"], history[1]["values"]["val/entropy"])  # what the penalty is for
        self.assertIn("val/auxiliary_loss", history[0]["values"])
        self.assertLess(history[1]["values"]["lr"], history[0]["values"]["lr"])
        [[path, digest]] = json.loads((self.folder / "run/meta.json").read_text())["starts"][0]["modules"].items()
        self.assertEqual((path, len(digest)), (str(self.mine), 64))
        self.assertIn("auxiliary_loss", self.run_cli("eval", "run", "--split", "val").stdout)
        self.run_cli("predict", "run", "--split", "val", "--output", "p.csv")
        self.assertRegex((self.folder / "p.csv").read_text(), "^id,class,p_0,p_1,")
        self.run_cli("train", self.config, "--output", "whole")
        self.run_cli("resume", "run", "--force", "--set", "trainer.max=4 epochs")
        whole = self.mine.read_bytes()
        try:
            self.mine.unlink()  # the loader may hold it
            self.mine.write_bytes(whole + b"\0")
            self.assertIn("not the one that the run was started with", self.error("resume", "run", "--more", "1 epoch", expect=4)["message"])
            self.run_cli("resume", "run", "--more", "1 epoch", "--force")
            self.mine.unlink()
            self.assertIn("mine.so", self.error("resume", "whole", "--more", "1 epoch", expect=3)["message"])
        finally:
            self.mine.write_bytes(whole)

    def test_shown(self):
        """ls, describe, check and doctor show what a module brings"""
        self.assertRegex(self.run_cli("ls", "layers", "--module", self.mine).stdout, r"mish +Smooth rectifier")
        self.assertNotIn("mish", self.run_cli("ls", "layers").stdout)
        self.assertIn("upper", self.run_cli("describe", "tanh_decay", "--module", self.mine).stdout)
        self.assertIn("layer mish", self.run_cli("doctor", "--module", self.mine).stdout)
        components = self.run_json("doctor", "--module", self.mine)["modules"][0]["components"]
        self.assertEqual(components, [{"kind": kind, "type": name} for kind, name in
                                      [("dataset", "spirals"), ("layer", "mish"), ("loss", "confidence_penalty"), ("metric", "entropy"),
                                       ("policy", "tanh_decay"), ("step", "auxiliary")]])
        self.assertIn("module mine", self.run_cli("check", self.config).stdout)
        self.assertIn("mish", self.run_cli("schema", "--module", self.mine).stdout)

    def test_refused(self):
        """what does not fit is refused by its reason, at its place, and leaves nothing behind"""
        old = self.example / "build/old.so"
        old.write_bytes(re.sub(rb"(trainctl module build \d\.\d\.\d-)\w", rb"\1x", self.mine.read_bytes()))
        cases = {name: said for name, (_, said) in BROKEN.items()}
        cases |= {"old": "built for another trainctl", "absent": "absent.so"}
        for name, said in cases.items():
            with self.subTest(name):
                file = self.example / f"build/{name}.so"
                error = self.error("check", self.config, "--set", f"modules=[{file}]", expect=3)
                self.assertIn(said, error["message"])
                self.assertEqual(error["errors"][0]["path"], "modules.0")
                self.assertEqual(len(error["errors"]), 1)
                self.assertIn(said, self.run_cli("ls", "--module", file, expect=4 if name == "absent" else 3).stderr)

    def test_compiler(self):
        """another compiler than trainctl's is told when the module is configured"""
        config = next((self.place / "prefix").rglob("trainctlConfig.cmake"))
        text = config.read_text()
        config.write_text(re.sub(r'COMPILER_VERSION STREQUAL "[^"]*"', 'COMPILER_VERSION STREQUAL "1.2"', text))
        self.addCleanup(config.write_text, text)
        with self.assertRaisesRegex(AssertionError, "a module must be"):
            run(CMAKE, "-S", self.example, "-B", self.folder / "build", f"-DCMAKE_PREFIX_PATH={self.place / 'prefix'}")


if __name__ == "__main__":
    main()
