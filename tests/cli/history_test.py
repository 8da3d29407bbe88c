"""What `history` shows: the best report by any value, plots in the terminal, several runs."""

import json
import os

from cli import SMALL, CliTest, main


class History(CliTest):
    def setUp(self):
        super().setUp()
        config = self.write("c.yaml", SMALL)
        for seed, run in enumerate(["one", "two"]):
            self.run_cli("train", config, "--output", run, "--set", f"seed={seed}")

    def values(self, run, name):
        return [record["values"][name] for record in json.loads((self.folder / run / "history.json").read_text())["epochs"]]

    def test_best(self):
        """the best report of each run, by any value, in each format"""
        for name, mode, best in [("train/loss", "max", max), ("val/accuracy", "max", max), ("val/loss", "min", min)]:
            values = self.values("one", name)
            found = self.run_json("history", "one", "two", "--best", name, "--mode", mode)["runs"]
            self.assertEqual((found[0]["best"]["value"], found[0]["best"]["epoch"]), (best(values), values.index(best(values)) + 1))
            self.assertEqual(found[1]["best"]["value"], best(self.values("two", name)))
        text = self.run_cli("history", "one", "--best", "train/loss", "--mode", "max").stdout
        self.assertIn("best epoch 1 (step 16): train/loss", text)
        for arguments in [["--best", "val/loss"], ["--mode", "min"]]:
            self.assertIn("go together", self.error("history", "one", *arguments, expect=2)["message"])
        self.assertIn("Did you mean 'val/loss'?", self.error("history", "one", "--best", "val/los", "--mode", "min", expect=2)["message"])

    def test_plot(self):
        """curves in the terminal: Braille, or ASCII without UTF-8, as wide as asked"""
        show = lambda *more, **environment: self.run_cli("history", *more, "--plot", "-", "--series", "val/loss", env={**os.environ, "LC_ALL": "C", "COLUMNS": "60", **environment}).stdout
        plain = show("one", "two")
        self.assertTrue(plain.isascii())
        self.assertIn("* one val/loss", plain)
        self.assertIn("o two val/loss", plain)
        plot = plain[plain.index("\nloss\n"):].splitlines()
        self.assertEqual(max(map(len, plot)), 60)
        self.assertIn("3 epoch", plain)
        braille = show("one", LC_ALL="C.UTF-8")
        self.assertTrue(any(0x2800 < ord(c) < 0x2900 for c in braille))
        self.assertNotIn("\x1b", braille)
        for format in ["--csv", "--json"]:
            self.run_cli("history", "one", "--plot", "-", format, expect=2)


if __name__ == "__main__":
    main()
