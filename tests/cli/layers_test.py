"""Layers, losses and optimizers in whole runs: the configs of configs/layers, and each loss and optimizer by name."""

from cli import SMALL, SOURCE, CliTest, changed, main

REGRESSION = {"type": "synthetic", "task": "regression", "samples": 64, "shape": [8], "outputs": 4}


class Layers(CliTest):
    def epochs(self, run):
        return [epoch["values"] for epoch in self.run_json("history", run)["runs"][0]["epochs"]]

    def arrays(self, run):
        return {a["path"]: a["sha256"] for a in self.run_json("inspect", run / "checkpoints/last.h5")["arrays"]}

    def test_shipped_configs(self):
        """every config of configs/layers learns, and stopped after three steps and resumed ends with the same bits"""
        configs = sorted((SOURCE / "configs/layers").glob("*.yaml"))
        self.assertGreaterEqual(len(configs), 2)
        for config in configs:
            with self.subTest(config.name):
                whole, parts = self.folder / f"{config.stem}-whole", self.folder / config.stem
                fast = ["--set", "trainer.threads=1", "--set", "trainer.device=cpu"]
                self.run_cli("train", config, "--output", whole, *fast)
                epochs = self.epochs(whole)
                self.assertLess(epochs[-1]["val/loss"], epochs[0]["val/loss"])
                self.run_cli("train", config, "--output", parts, *fast, "--set", "trainer.max=3 steps")
                self.run_cli("resume", parts, "--set", "trainer.max=4 epochs")
                self.assertEqual(self.arrays(whole), self.arrays(parts))

    def test_losses(self):
        """a model trains by each loss, and the history shows a mean whatever the reduction"""
        classes = ["focal", "dice", {"type": "tversky", "alpha": 0.3, "beta": 0.7},
                   {"type": "cross_entropy", "reduction": "sum", "scale": 0.01}]
        numbers = ["cosine", "focal_with_logits", {"type": "kl_div", "log_target": True, "reduction": "batch_mean"},
                   {"type": "mse", "reduction": "sum", "scale": 0.01}]
        small = changed(SMALL, trainer__max="1 epoch")
        for k, loss in enumerate(classes + numbers):
            with self.subTest(loss=loss):
                config = changed(small, loss=loss)
                if loss in numbers:
                    config = changed(config, data={"train": {"dataset": REGRESSION, "batch_size": 16}}, metrics={}, checkpoint={})
                run = self.folder / f"loss-{k}"
                self.run_cli("train", self.write("loss.yaml", config), "--output", run)
                self.assertLess(self.epochs(run)[0]["train/loss"], 8.0)

    def test_accumulated_sum(self):
        """four batches of 8 whose gradients are summed update as one of 32 does"""
        config = changed(SMALL, loss={"type": "cross_entropy", "reduction": "sum", "scale": 0.01}, trainer__max="2 epochs",
                         model__layers=[{"type": "linear", "out_features": 4}])
        losses = []
        for batch, accumulate in [(32, 1), (8, 4)]:
            run = self.folder / f"sum-{accumulate}"
            config = changed(config, data__train__batch_size=batch, trainer__accumulate=accumulate)
            self.run_cli("train", self.write("sum.yaml", config), "--output", run)
            losses.append(self.epochs(run)[-1]["val/loss"])
        self.assertAlmostEqual(*losses, places=5)

    def test_optimizers(self):
        """a classifier trains by each optimizer, with clipping, weight decay and a group of its own"""
        for name in ["adagrad", "adadelta", "lion", "lamb"]:
            with self.subTest(optimizer=name):
                optimizer = {"type": name, "weight_decay": 1e-3, "groups": {"biases": {"match": ["*.bias"], "weight_decay": 0}}}
                config = changed(SMALL, optimizer=optimizer, trainer__clip_grad_norm=1.0)
                run = self.folder / name
                self.run_cli("train", self.write("optimizer.yaml", config), "--output", run)
                epochs = self.epochs(run)
                self.assertLess(epochs[-1]["train/loss"], epochs[0]["train/loss"])


if __name__ == "__main__":
    main()
