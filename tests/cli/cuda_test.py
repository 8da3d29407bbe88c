"""The program with --device cuda, on the GPU that tests/kernels_cuda emulates: training, checkpoints that move between devices, kills,
and what can be wrong with a GPU and its driver."""

import json
import os
import shutil
import signal
import subprocess

from cli import SMALL, SOURCE, TRAINCTL, CliTest, changed, main, npy

MODULES = os.environ.get("EMULATED_CUDA", os.path.join(os.path.dirname(TRAINCTL), "emulated_cuda"))
CUDA = changed(SMALL, trainer__device="cuda")
# Those that need no data of one's own, and on a GPU that is emulated no more than a moment.
CONFIGS = ["averages/ema", "averages/swa", "coming_from/ignition", "coming_from/sail", "data/class_weights", "data/cross_validation",
           "data/standardized", "layers/upsampling", "loggers/tensorboard", "metrics/binary", "metrics/classes", "policies/by_epoch",
           "policies/gradient_statistics", "policies/plateau", "policies/sequence", "policies/unfreeze", "results/binary",
           "results/classification", "results/regression", "results/segmentation", "synthetic_mlp", "trainer/rollback"]


class Cuda(CliTest):
    def setUp(self):
        super().setUp()
        os.environ["TRAINCTL_MODULES"] = MODULES
        self.addCleanup(os.environ.pop, "TRAINCTL_MODULES")

    def gpu(self, **settings):
        return {**os.environ, "TRAINCTL_EMULATED_CUDA": ",".join(f"{name}={value}" for name, value in settings.items())}

    def history(self, run):
        history = json.loads((self.folder / run / "history.json").read_text())
        for epoch in history["epochs"]:
            del epoch["seconds"]
        return history

    def same_run(self, one, other):
        self.assertEqual(self.final_state(one), self.final_state(other))
        self.assertEqual(self.history(one), self.history(other))
        self.assertEqual((self.folder / one / "steps.jsonl").read_bytes(), (self.folder / other / "steps.jsonl").read_bytes())


class Runs(Cuda):
    def test_train(self):
        """the same bits each time, and the CPU's values within rounding"""
        config = self.write("c.yaml", CUDA)
        for run in "ab":
            self.run_cli("train", config, "--output", run)
        self.same_run("a", "b")
        self.assertIn("emulated GPU", (self.folder / "a/meta.json").read_text())
        self.run_cli("train", config, "--output", "cpu", "--device", "cpu")
        for mine, theirs in zip(self.history("a")["epochs"], self.history("cpu")["epochs"], strict=True):
            self.assertEqual(mine["values"].keys(), theirs["values"].keys())
            for name, value in mine["values"].items():
                self.assertAlmostEqual(value, theirs["values"][name], delta=0.01, msg=name)

    def test_auto(self):
        """takes the GPU where there are a driver and a device, else the CPU"""
        config = self.write("c.yaml", changed(SMALL, trainer__device="auto"))
        # All that is asked of a driver's library is to be there.
        library = next(line.split()[2] for line in subprocess.check_output(["ldd", TRAINCTL], text=True).splitlines() if "libz.so" in line)
        (self.folder / "driver").mkdir()
        (self.folder / "driver/libcuda.so.1").symlink_to(library)
        driver = {"LD_LIBRARY_PATH": str(self.folder / "driver")}
        self.run_cli("train", config, "--output", "gpu", env=self.gpu() | driver)
        self.assertIn("emulated GPU", (self.folder / "gpu/meta.json").read_text())
        for run, environment, said in [("old", self.gpu(sm=75) | driver, "the CPU is used: device 'cuda': emulated GPU is sm_75"),
                                       ("none", self.gpu(driver=0) | driver, "the CPU is used: "), ("no-driver", self.gpu(), "")]:
            done = self.run_cli("train", config, "--output", run, env=environment)
            self.assertNotIn("emulated GPU", (self.folder / run / "meta.json").read_text())
            self.assertEqual("the CPU is used" in done.stderr, said != "")
            self.assertIn(said, done.stderr)

    def test_precisions(self):
        for precision in ["tf32", "bf16"]:
            config = self.write(f"{precision}.yaml", changed(CUDA, trainer__precision=precision))
            self.run_cli("train", config, "--output", precision)
            self.assertLess(self.history(precision)["epochs"][-1]["values"]["train/loss"], 1.0)

    def test_killed(self):
        """again and again, and resumed: the same bits"""
        config = self.write("c.yaml", changed(CUDA, trainer__max="12 epochs", checkpoint__every=["5 steps"]))
        self.run_cli("train", config, "--output", "whole")
        for epoch in [2, 3, 7, 11]:
            process = self.start("train", config, "--output", "killed", "--resume", "auto")
            self.wait_for(process, f"epoch {epoch}/12")
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.run_cli("train", config, "--output", "killed", "--resume", "auto")
        self.same_run("whole", "killed")

    def test_streamed(self):
        """batches that come one by one beside the steps give the same bits"""
        (self.folder / "x.npy").write_bytes(npy([203, 8], "<f4", [((7 * i) % 23) / 11 - 1 for i in range(8 * 203)]))
        (self.folder / "y.npy").write_bytes(npy([203], "<i8", [(i * i) % 4 for i in range(203)]))
        dataset = {"type": "npy", "input": "x.npy", "target": "y.npy", "classes": 4}
        data = {"train": {"dataset": dataset, "batch_size": 7, "shuffle": True}, "val": {"dataset": dataset, "batch_size": 10}}
        config = self.write("c.yaml", changed(CUDA, data=data, trainer__log_every="11 steps", checkpoint__every=["13 steps"]))
        self.run_cli("train", config, "--output", "whole")
        self.run_cli("train", config, "--output", "streamed", "--set", "data.memory_limit=0")
        one, other = self.final_state("whole"), self.final_state("streamed")
        self.assertEqual(one["arrays"], other["arrays"])
        self.assertEqual(one["history"], other["history"])
        self.assertEqual(one["steps"], other["steps"])

    def test_moved(self):
        """a run begun on the CPU goes on on the GPU and back; that bits may differ is said"""
        config = self.write("c.yaml", changed(SMALL, trainer__max="1 epochs"))
        self.run_cli("train", config, "--output", "run")
        said = self.run_cli("resume", "run", "--more", "1 epoch", "--set", "trainer.device=cuda").stderr
        self.assertIn("cuda", said)
        self.run_cli("resume", "run", "--more", "1 epoch", "--set", "trainer.device=cpu")
        self.run_cli("eval", "run", "--split", "val", "--device", "cuda")
        self.assertEqual([epoch["epoch"] for epoch in self.history("run")["epochs"]], [1, 2, 3])

    def test_configs(self):
        """a batch of training and one of validation of each"""
        for name in CONFIGS:
            with self.subTest(name):
                self.run_cli("train", SOURCE / f"configs/{name}.yaml", "--device", "cuda", "--dry-run")


class Faults(Cuda):
    def test_drivers(self):
        """that are missing or old, and GPUs that are"""
        config = self.write("c.yaml", CUDA)
        for settings, what in [({"driver": 0}, "no NVIDIA driver is loaded"), ({"driver": 12040}, "knows CUDA 12.4, this build needs 13.0"),
                               ({"sm": 75}, "is sm_75, and this build's kernels need sm_80 or newer")]:
            with self.subTest(what):
                error = self.error("train", config, "--output", "run", expect=6, env=self.gpu(**settings))
                self.assertIn(what, error["message"])
                self.assertIn("--device cpu", error["message"])
                self.assertIn(what, self.run_cli("doctor", env=self.gpu(**settings)).stdout)
                self.assertFalse((self.folder / "run").exists())

    def test_no_module(self):
        config = self.write("c.yaml", CUDA)
        error = self.error("train", config, expect=6, env={**os.environ, "TRAINCTL_MODULES": str(self.folder)})
        self.assertIn("there is no module 'cuda'", error["message"])

    def test_memory(self):
        """that does not suffice is told with what is needed and what there is, before anything is left behind"""
        config = self.write("c.yaml", CUDA)
        wide = ["--set", "model.layers=[{type: linear, out_features: 100000}, relu, {type: linear, out_features: 4}]"]
        error = self.error("train", config, *wide, "--output", "run", expect=6, env=self.gpu(memory=16))
        self.assertEqual(error["kind"], "environment")
        self.assertRegex(error["message"], r"not enough memory on the device: the plan takes [\d.]+ MiB .* of 16.0 MiB are free")
        self.assertFalse((self.folder / "run").exists())

    def test_broken(self):
        """in the middle of a run: its own message, the checkpoints stand, and the run goes on from them to the same bits"""
        config = self.write("c.yaml", CUDA)
        self.run_cli("train", config, "--output", "whole")
        for name, code, what in [("cudaErrorIllegalAddress", 1, "an illegal memory access"), ("cudaErrorECCUncorrectable", 6, "the device is lost")]:
            with self.subTest(name):
                error = self.error("train", config, "--output", "run", expect=code, env=self.gpu(fail=f"{name}@6"))
                self.assertIn(name, error["message"])
                self.assertIn(what, error["message"])
                self.assertIn("heckpoints saved before are intact", error["message"])
                self.run_cli("resume", "run")
                self.same_run("whole", "run")
                shutil.rmtree(self.folder / "run")


if __name__ == "__main__":
    main()
