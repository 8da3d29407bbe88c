"""scripts/bundle: the archive runs from where it was unpacked, with nothing but a C library around it."""

import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from cli import SOURCE, TIMEOUT, TRAINCTL, main

SYSTEM = re.compile(r"(ld-linux|linux-vdso|libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil|libanl)[.-].*")
NVIDIA = re.compile(r"lib(cudart|cuda|cublas|cudnn|nv).*")


def is_instrumented():
    return "libasan" in subprocess.run(["ldd", TRAINCTL], capture_output=True, text=True).stdout


@unittest.skipIf(is_instrumented(), "a build with AddressSanitizer is not for carrying")
class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="trainctl-bundle-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        archive = cls.folder / "made/bundle.tar.gz"
        made = subprocess.run([SOURCE / "scripts/bundle", pathlib.Path(TRAINCTL).parent, archive, "--level", "1"],
                              capture_output=True, text=True, timeout=TIMEOUT)
        if made.returncode:
            raise AssertionError(f"scripts/bundle failed:\n{made.stdout}\n{made.stderr}")
        cls.said, cls.size = made.stdout, archive.stat().st_size
        with tarfile.open(archive) as tar:
            tar.extractall(cls.folder / "a place")
        cls.bundle = cls.folder / "a place/trainctl"

    def run_there(self, *command, expect=0, **variables):
        """Runs a command from another folder, in an environment that holds `variables` alone."""
        done = subprocess.run(list(map(str, command)), cwd="/", env=variables, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(done.returncode, expect, f"{command}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def environment(self, bundle=None, **variables):
        """What sourcing the bundle's `environment` sets."""
        script = '. "$1/environment"; echo "$LD_LIBRARY_PATH"; echo "$TRAINCTL_CUDA_LIBS"'
        path, cuda = self.run_there("/bin/bash", "-c", script, "bash", bundle or self.bundle, **variables).splitlines()
        return path.split(":"), [folder for folder in cuda.split(":") if folder]

    def programs(self, **texts):
        """A folder of small shell programs by their names."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        for name, text in texts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        return folder

    def libraries_in(self, *folders):
        """A folder with empty libraries of CUDA by their paths."""
        root = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        for path in folders:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        return root

    def test_runs(self):
        """--version, check and a run from another folder with an empty environment, and through a symbolic link"""
        run = self.bundle / "trainctl"
        self.assertRegex(self.run_there(run, "--version"), r"^trainctl \d+\.\d+\.\d+ \(.+\)\n$")
        config = self.bundle / "configs/synthetic_mlp.yaml"
        self.assertIn("linear", self.run_there(run, "check", config))
        link = self.folder / "link"
        link.symlink_to(run)
        output = self.folder / "run"
        self.run_there(link, "train", config, "--quiet", "--set", "trainer.max=1 epoch", "--output", output)
        self.assertTrue((output / "checkpoints/last.h5").exists())

    def test_libraries(self):
        """all libraries are in the bundle but the C library's, the compiler's and CUDA's; none of those that must not be is"""
        loaded = self.run_there("/bin/bash", "-c", '. "$1/environment"; LD_TRACE_LOADED_OBJECTS=1 "$1/bin/trainctl"', "bash", self.bundle)
        outside = []
        for name, path in re.findall(r"^\s*(\S+) => (.+) \(0x", loaded, re.MULTILINE):
            if not path.startswith(str(self.bundle)):
                outside.append(name)
        self.assertGreater(len(re.findall("=>", loaded)), 10)
        self.assertEqual([name for name in outside if not SYSTEM.match(name) and not name.startswith(("libstdc++", "libgcc_s"))], [])
        inside = [file.name for file in (self.bundle / "lib").rglob("*.so*")]
        self.assertEqual([name for name in inside if SYSTEM.match(name) or NVIDIA.match(name) and name != "cuda.so"], [])

    def test_modules(self):
        """a build's modules come along, where the program looks for them"""
        built = {file.name for file in (pathlib.Path(TRAINCTL).parent / "modules").glob("*.so")}
        self.assertEqual({file.name for file in (self.bundle / "lib/trainctl/modules").glob("*.so")}, built)

    def test_size(self):
        """the size is said, and small enough to carry"""
        self.assertRegex(self.said, r"bundle\.tar\.gz: \d+\.\d MiB, \d+\.\d MiB unpacked")
        self.assertLess(self.size, 64 << 20)

    def test_compiler_libraries(self):
        """libstdc++ is taken from the bundle where the node has none"""
        bare = self.programs(ldconfig="exit 0")
        path, _ = self.environment(PATH=f"{bare}:/usr/bin:/bin")
        self.assertEqual(path[:2], [str(self.bundle / "lib"), str(self.bundle / "lib/compiler")])
        self.run_there(self.bundle / "trainctl", "--version", PATH=f"{bare}:/usr/bin:/bin")

    def test_cuda(self):
        """CUDA's libraries are found in CUDA_HOME; a given path stays, at the end; TRAINCTL_CUDA_LIBS is taken as it is"""
        home = self.libraries_in("lib64/libcublasLt.so.13", "lib64/libcudnn.so.9")
        path, cuda = self.environment(CUDA_HOME=str(home), LD_LIBRARY_PATH="/given")
        self.assertEqual(cuda, [str(home / "lib64")])
        self.assertEqual(path[0], str(self.bundle / "lib"))
        self.assertEqual(path[-2:], [str(home / "lib64"), "/given"])
        self.assertEqual(self.environment(TRAINCTL_CUDA_LIBS="/one:/two")[1], ["/one", "/two"])

    def test_pytorch(self):
        """where there is no toolkit, PyTorch's packages serve; a cuDNN without CUDA 13 beside it does not"""
        bare = self.folder / "bare"
        bare.mkdir()
        text = (self.bundle / "environment").read_text()
        (bare / "environment").write_text(text.replace("/usr/local/cuda", "/nonexistent"))
        old = self.libraries_in("nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cublas/lib/libcublasLt.so.12")
        new = self.libraries_in("nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cu13/lib/libcublasLt.so.13")
        programs = self.programs(ldconfig="exit 0", python3=f"echo '{old}'; echo '{new}'")
        _, cuda = self.environment(bare, PATH=f"{programs}:/usr/bin:/bin")
        self.assertEqual(cuda, [str(new / "nvidia/cu13/lib"), str(new / "nvidia/cudnn/lib")])
        programs = self.programs(ldconfig="exit 0", python3="exit 1")
        self.assertEqual(self.environment(bare, PATH=f"{programs}:/usr/bin:/bin")[1], [])


if __name__ == "__main__":
    main()
