"""The Python package against what the command line is known to say. PYTHONPATH=BUILD/python python3 runcast_test.py"""

import threading
import unittest

import numpy

import runcast


class RuncastTest(unittest.TestCase):
    def test_a_library_scenario_steps(self):
        document = runcast.load("one-node").step()
        self.assertEqual(document["schema_version"], 1)
        self.assertEqual(document["scenario"]["layout"]["tensor"], 2)
        parts = sum(document["step"]["breakdown_s"].values())
        self.assertAlmostEqual(parts, document["step"]["time_s"], places=9)

    def test_override_takes_texts_dicts_and_keywords_and_changes_nothing_else(self):
        base = runcast.load("one-node")
        for other in (
            base.override("layout.tensor=4"),
            base.override({"layout.tensor": 4}),
            base.override({"layout": {"tensor": 4}}),
            base.override(layout={"tensor": 4}),
            base.override(layout__tensor=4),
            base.override(layout__tensor=numpy.int64(4)),
            base.override({"layout": {"tensor": numpy.int64(4)}}),
        ):
            self.assertEqual(other.resolved()["layout"]["tensor"], 4)
        self.assertEqual(base.resolved()["layout"]["tensor"], 2)
        self.assertEqual(base.override({"training.recompute": ["norms"]}).resolved()["training"]["recompute"], ["norms"])
        self.assertFalse(base.override(layout__sequence_parallel=False).resolved()["layout"]["sequence_parallel"])
        self.assertEqual(base.override({"layout.tensor": None}).resolved()["layout"]["tensor"], 1)

    def test_yaml_text_is_a_scenario(self):
        text = "model: llama3-8b\ncluster: {node: hgx-h100, nodes: 1, fabric: none}\nlayout: {tensor: 8}\n"
        text += "training: {sequence_length: 8192, global_batch: 8}\n"
        self.assertTrue(runcast.load(text).memory()["step"]["memory"]["fits"])

    def test_mistakes_are_located(self):
        with self.assertRaises(runcast.ConfigError) as caught:
            runcast.load("model: llama3-8b\nclustr: {}\n").step()
        self.assertIn("<text>:2:1: unknown key 'clustr', did you mean 'cluster'?", str(caught.exception))
        self.assertIsInstance(caught.exception, ValueError)
        self.assertEqual(f"{runcast.ConfigError.__module__}.{runcast.ConfigError.__name__}", "runcast.ConfigError")
        with self.assertRaisesRegex(runcast.ConfigError, "did you mean 'one-node'"):
            runcast.load("one-nod")
        with self.assertRaisesRegex(runcast.ConfigError, "tensor 3 x context 1"):
            runcast.load("one-node").override("layout.tensor=3").step()
        with self.assertRaisesRegex(runcast.ConfigError, "trials"):
            runcast.load("one-node").run(trials=-7)
        for trials in (0, -1, "many"):
            with self.assertRaisesRegex(runcast.ConfigError, "neither a count"):
                runcast.load("one-node").run(trials=trials)

    def test_a_run_is_the_same_for_any_number_of_threads(self):
        scenario = runcast.load("one-node")
        one, many = (scenario.run(trials=20, threads=n) for n in (1, 3))
        self.assertEqual(one["run"]["days"], many["run"]["days"])
        self.assertEqual(one["run"]["trials"], 20)
        self.assertGreater(one["cost"]["usd"], 0)
        other = scenario.run(trials=20, seed=2)
        self.assertNotEqual(one["run"]["days"], other["run"]["days"])

    def test_long_lists_of_numbers_are_arrays(self):
        stages = runcast.columns(
            runcast.load("llama3-405b-16k").memory()["step"]["memory"]["stages"])
        self.assertIsInstance(stages["total_gib"], numpy.ndarray)
        self.assertEqual(len(stages["total_gib"]), 16)
        resolved = runcast.load("deepseek-v3-2048").resolved()
        self.assertIsInstance(resolved["schedule"]["stage_layers"], numpy.ndarray)
        self.assertEqual(resolved["schedule"]["stage_layers"].sum(), 61)

    def test_search_finds_and_says_why_not(self):
        found = runcast.load("one-node").search(space={"schedule": ["1f1b"], "micro_batch": [1]}, top=3)
        self.assertEqual(len(found["layouts"]), 3)
        self.assertLessEqual(found["layouts"][0]["step_s"], found["layouts"][1]["step_s"])
        with self.assertRaisesRegex(runcast.ConfigError, "objective"):
            runcast.load("one-node").search(objective="speed")

    def test_the_interpreter_goes_on_while_a_run_is_simulated(self):
        ended = threading.Event()

        def simulate():
            runcast.load("llama3-405b-16k").run(trials=50, threads=1)
            ended.set()

        worker = threading.Thread(target=simulate)
        worker.start()
        counted = 0
        while not ended.is_set():
            counted += 1
        worker.join()
        self.assertGreater(counted, 1000)  # a lock held all along would let no turn of this loop happen

    def test_names_are_the_library_s(self):
        self.assertIn("llama3-70b", runcast.names())
        self.assertIn("hgx-h100", runcast.names("hardware/nodes"))


if __name__ == "__main__":
    unittest.main()
