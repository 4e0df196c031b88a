"""Runcast in Python: scenarios in, results out as dicts of the command line's JSON documents.

    import runcast
    base = runcast.load("llama3-70b")
    for tensor in (4, 8):
        print(tensor, base.override({"layout.tensor": tensor}).step()["step"]["mfu"])

Lists of numbers with at least eight items are numpy arrays. What is wrong in a scenario raises ConfigError, whose text
says file, line and column. Simulation releases the interpreter lock: scenarios may be simulated in threads.
"""

import json
import os

import numpy

from . import _runcast
from ._runcast import ConfigError

__all__ = ["ConfigError", "Scenario", "columns", "load", "names", "version"]

version = _runcast.version
ConfigError.__module__ = __name__
_ARRAY = 8  # items from which a list of numbers is an array


def load(scenario, library=""):
    """A scenario of the library, a published row ("published:ID"), a path, or YAML text (with a line break)."""
    name = os.fspath(scenario)
    library = os.fspath(library)
    if "\n" in name:
        return Scenario("<text>", name, (), library)
    return Scenario(*_runcast.open_source(name, library), (), library)


def names(folder="runs", library=""):
    """Names of the library's entries: runs, models, hardware/nodes, fabrics, software, failures, ..."""
    return _runcast.names(folder, os.fspath(library))


def columns(rows):
    """A list of dicts, such as step.memory.stages, as a dict of lists: arrays where they are numbers."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: _arrays([row.get(key) for row in rows], 1) for key in keys}


class Scenario:
    """A scenario with what was overridden in it. Never changes; override() gives another."""

    def __init__(self, name, text, sets, library):
        self.name, self.text, self.sets, self._library = name, text, tuple(sets), library

    def __repr__(self):
        return f"<runcast.Scenario {self.name!r} with {len(self.sets)} overrides>"

    def override(self, *changes, **keys):
        """Another scenario. Changes are "layout.tensor=4" or dicts, nested or with dotted keys; keywords are keys of
        the top, or dotted with two underscores: override(training={"micro_batch": 2}, layout__tensor=4). None takes a
        value away; text is read as in the file ("400 Gbps")."""
        sets = list(self.sets)
        for change in (*changes, {key.replace("__", "."): value for key, value in keys.items()}):
            sets += [change] if isinstance(change, str) else _assignments(change)
        return Scenario(self.name, self.text, sets, self._library)

    def step(self, **options):
        """One optimizer step: {"scenario", "step", "provenance"}. Options: seed, threads."""
        return self._ask("step", **options)

    def run(self, **options):
        """Step, the whole run with failures, and cost. Options: trials (a count or "auto"), seed, threads."""
        return self._ask("run", **options)

    def goodput(self, **options):
        """The run alone, with its studies. Options as those of run()."""
        return self._ask("goodput", **options)

    def memory(self, **options):
        """Bytes by stage and kind, and whether they fit."""
        return self._ask("memory", **options)

    def resolved(self):
        """The scenario as it was understood, every default filled in."""
        return self.memory()["scenario"]

    def search(self, objective="step_time", space=None, top=10, trials=None, seed=1, threads=0):
        """The best layouts. space: {"tensor": [4, 8], "schedule": ["1f1b"]}."""
        axes = [f"{key}=[{', '.join(map(_word, values))}]" for key, values in (space or {}).items()]
        return _document(_runcast.search(self.name, self.text, list(self.sets), self._library, objective, axes,
                                         top, _trials(trials), seed, threads))

    def _ask(self, command, trials=None, seed=1, threads=0):
        return _document(_runcast.ask(command, self.name, self.text, list(self.sets), self._library,
                                      _trials(trials), seed, threads))


def _trials(trials):
    if trials is None or trials == "auto":
        return 0 if trials is None else -1
    if isinstance(trials, str) or trials < 1:
        raise ConfigError(f'trials: {trials!r} is neither a count from 1 on nor "auto"')
    return trials


def _assignments(changes, path=""):
    """--set texts of a dict; lists and what is in them stand as YAML in its flow style, of which JSON is a part."""
    sets = []
    for key, value in changes.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            sets += _assignments(value, where)
        elif value is None:
            sets.append(f"{where}=")
        else:
            sets.append(f"{where}={_word(value)}")
    return sets


def _word(value):
    return value if isinstance(value, str) else json.dumps(_plain(value))


def _plain(value):
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, (list, tuple)) else value


def _document(text):
    return _arrays(json.loads(text), _ARRAY)


def _arrays(value, least):
    if isinstance(value, dict):
        return {key: _arrays(child, least) for key, child in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) >= least and all(type(item) in (int, float) for item in value):
        return numpy.array(value)
    return [_arrays(item, least) for item in value]
