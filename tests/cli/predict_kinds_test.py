"""`predict` for each kind of data set: its inputs alone, in another place."""

import gzip
import json
import struct
import zlib

import h5py
import numpy

from cli import SMALL, changed, main, npy
from predict_test import FEW, Predict


def png(image):
    """A PNG file of an array (height, width, 3) of bytes."""
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width = image.shape[:2]
    rows = b"".join(b"\0" + image[y].tobytes() for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def idx(array):
    code = {1: 8}[array.dtype.itemsize]
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


class Kinds(Predict):
    """Predictions of new data are those of the validation split, which holds the same samples."""

    def check(self, config, *places, classes=4, **changes):
        linear = {"type": "sequential", "layers": ["flatten", {"type": "linear", "out_features": classes}]}
        self.train(changed(config, model=linear, **{**FEW, **changes}))
        expected, _ = self.predicted("run", "--split", "val")
        self.assertTrue((expected["output"] == self.evaluated("run")).all())
        for place in places:
            with self.subTest(place):
                arrays, _ = self.predicted("run", *(place if isinstance(place, list) else [place]))
                self.assertTrue((arrays["output"] == expected["output"]).all())
        return arrays

    def data(self, train, val, **split):
        batch = lambda dataset, size: {"dataset": dataset, "batch_size": size, **split}
        return changed(json.loads(json.dumps(changed(SMALL, data={"train": {**batch(train, 8), "shuffle": True}, "val": batch(val, 6)}))))

    def setUp(self):
        super().setUp()
        draw = numpy.random.default_rng(1)
        self.images = draw.integers(0, 256, (20, 5, 4), "u1")
        self.labels = draw.integers(0, 4, 20, "u1")
        self.values = draw.random((20, 7), "f4")

    def save(self, name, array):
        (self.folder / name).write_bytes(npy(array.shape, "<f4", array.ravel().tolist()))

    def test_npy(self):
        """.npy; also streamed, and of other shapes or types refused"""
        self.save("x.npy", self.values)
        (self.folder / "y.npy").write_bytes(npy([20], "<i8", self.labels.tolist()))
        dataset = {"type": "npy", "input": "x.npy", "target": "y.npy", "classes": 4}
        config = self.data(dataset, dataset)
        self.save("new.npy", self.values)
        self.save("half.npy", self.values[:9])
        self.save("rest.npy", self.values[9:])
        self.check(config, "new.npy", ["half.npy", "rest.npy"], "{type: npy, input: new.npy}")
        whole, _ = self.predicted("run", "new.npy")
        streamed, _ = self.predicted("run", "new.npy", "--set", "data.memory_limit=0.0001", "--batch-size", 6)
        self.assertTrue((streamed["output"] == whole["output"]).all())
        self.save("wide.npy", numpy.zeros((3, 8), "f4"))
        message = self.error("predict", "run", "wide.npy", "--output", "x.h5", expect=4)["message"]
        self.assertIn("'input' is f32 (8), and the model was trained on f32 (7)", message)
        (self.folder / "ints.npy").write_bytes(npy([3, 7], "<i8", [0] * 21))
        self.assertIn("i64 (7)", self.error("predict", "run", "ints.npy", "--output", "x.h5", expect=4)["message"])
        self.save("none.npy", numpy.zeros((0, 7), "f4"))
        self.assertEqual(self.predicted("run", "none.npy")[0]["probabilities"].shape, (0, 4))
        self.write("text.npy", "no array")
        self.error("predict", "run", "text.npy", "--output", "x.h5", expect=4)

    def test_hdf5(self):
        """HDF5, a second input with it"""
        model = {"type": "graph", "inputs": ["input", "age"], "nodes": {
            "joined": {"type": "concat", "inputs": ["input", "age"]}, "head": {"type": "linear", "out_features": 4}}}
        with h5py.File(self.folder / "all.h5", "w") as file:
            file["x"], file["y"], file["a"] = self.values, self.labels.astype("i8"), self.values[:, :1] * 9
        with h5py.File(self.folder / "new.h5", "w") as file:
            file["x"], file["a"] = self.values, self.values[:, :1] * 9
        dataset = {"type": "hdf5", "path": "all.h5", "input": "x", "target": "y", "classes": 4, "fields": {"age": {"array": "a"}, "kind": {"array": "y"}}}
        self.train(changed(self.data(dataset, dataset), model=model, **FEW))
        expected, _ = self.predicted("run", "--split", "val")
        arrays, _ = self.predicted("run", "new.h5")
        self.assertTrue((arrays["output"] == expected["output"]).all())
        with h5py.File(self.folder / "one.h5", "w") as file:
            file["x"] = self.values
        self.assertIn("one.h5", self.error("predict", "run", "one.h5", "--output", "x.h5", expect=4)["message"])
        message = self.error("predict", "run", "{type: hdf5, path: one.h5, input: x, target: null}", "--output", "x.h5", expect=4)["message"]
        self.assertIn("has no field 'age', which the model is given: f32 (1)", message)

    def test_mnist(self):
        """MNIST's images, raw or packed, in a file or a folder; and IDX"""
        for name in ["train", "t10k"]:
            (self.folder / f"{name}-images-idx3-ubyte").write_bytes(idx(self.images))
            (self.folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(self.labels))
        (self.folder / "new.gz").write_bytes(gzip.compress(idx(self.images)))
        (self.folder / "folder").mkdir()
        (self.folder / "folder/t10k-images-idx3-ubyte").write_bytes(idx(self.images))
        dataset = lambda split: {"type": "mnist", "root": ".", "split": split, "classes": 4}
        # Random transforms are for training.
        config = self.data(dataset("train"), dataset("test"), transforms=[{"type": "normalize", "mean": 0.4, "std": 0.3}])
        config["data"]["train"]["transforms"].append({"type": "random_crop", "padding": 1})
        self.check(config, "new.gz", "folder", "t10k-images-idx3-ubyte")
        again = [self.predicted("run", "new.gz", "--split", "train")[0]["output"].tolist() for _ in range(2)]
        self.assertEqual(again[0], self.predicted("run", "new.gz")[0]["output"].tolist())
        self.assertEqual(again[0], again[1])
        files = {"type": "idx", "input": "train-images-idx3-ubyte", "target": "train-labels-idx1-ubyte", "classes": 4}
        self.run_cli("predict", "run", "{type: idx, input: new.gz}", "--output", "x.h5")
        with self.subTest("idx"):
            self.folder = self.folder / "idx"
            self.folder.mkdir()
            files = {key: value if key in ["type", "classes"] else f"../{value}" for key, value in files.items()}
            self.check(self.data(files, files), "../new.gz")

    def test_cifar(self):
        """CIFAR's records in one file"""
        draw = numpy.random.default_rng(2)
        record = lambda: bytes([draw.integers(10)]) + draw.integers(0, 256, 3072, "u1").tobytes()
        for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            (self.folder / f"{name}.bin").write_bytes(b"".join(record() for _ in range(8)))
        dataset = lambda split: {"type": "cifar10", "root": ".", "split": split}
        self.check(self.data(dataset("train"), dataset("test")), "test_batch.bin", ".", classes=10)

    def test_pictures(self):
        """a folder of pictures without classes' folders, single files, their names beside the predictions"""
        draw = numpy.random.default_rng(3)
        for kind in ["ant", "bee"]:
            for i in range(6):
                path = self.folder / f"train/{kind}/{kind}-{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(draw.integers(0, 256, (8, 8, 3), "u1")))
        dataset = {"type": "image_folder", "root": "train", "threads": 1}
        files = sorted(str(path) for path in (self.folder / "train").rglob("*.png"))
        arrays = self.check(self.data(dataset, dataset), "train", files, classes=2)
        self.assertEqual([name.decode() for name in arrays["file"]], files)
        one, _ = self.predicted("run", files[7])
        numpy.testing.assert_allclose(one["output"][0], arrays["output"][7], rtol=1e-5)
        header, rows = self.table("run", "train", "--set", "data.memory_limit=0.0001")
        self.assertEqual(header, ["file", "class", "p_ant", "p_bee"])
        self.assertEqual([row[0] for row in rows], files)
        (self.folder / "train/ant/ant-2.png").write_bytes(b"no picture")
        left = [name for name in files if not name.endswith("ant-2.png")]
        self.assertIn("ant-2.png", self.error("predict", "run", "train", "--output", "x.csv", expect=4)["message"])
        header, rows = self.table("run", "train", "--set", "data.val.dataset.skip_damaged=true")
        self.assertEqual([row[0] for row in rows], left)
        (self.folder / "large.png").write_bytes(png(draw.integers(0, 256, (9, 8, 3), "u1")))
        self.assertIn("u8 (3, 9, 8)", self.error("predict", "run", "large.png", "--output", "x.csv", expect=4)["message"])
        (self.folder / "empty").mkdir()
        self.assertIn("holds no", self.error("predict", "run", "empty", "--output", "x.csv", expect=4)["message"])


if __name__ == "__main__":
    main()
