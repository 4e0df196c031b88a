"""Finds the numeric constants of the physics and writes a copy of the sources in which each can be switched to a wrong value.

A constant is a floating-point literal, or an integer next to * or / or in a named constexpr quantity. In the copy it reads
(runcast_mutant(7) ? 4.4 : 4.0), so that one build holds all mutants and the environment picks one. Left out: 0, constants
inside static_assert, array bounds and template arguments, and those named in not_physics.txt.
"""
import pathlib
import re
import sys

FOLDERS = ("topology", "parallelism", "failures")
HEADER = """#pragma once
#include <cstdlib>
inline bool runcast_mutant(int id) {
  static const int active = [] { const char* text = std::getenv("RUNCAST_MUTANT"); return text ? std::atoi(text) : 0; }();
  return active == id;
}
"""
TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<raw>R"\((?:.*?)\)")|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])')"""
    r"""|(?P<directive>^[ \t]*\#[^\n]*)|(?P<word>[A-Za-z_]\w*)"""
    r"""|(?P<number>(?:0[xXbB][0-9a-fA-F']+|(?:\d[\d']*)?\.\d[\d']*(?:[eE][-+]?\d+)?|\d[\d']*\.?(?:[eE][-+]?\d+)?)\w*)"""
    r"""|(?P<operator>[-+*/%<>=!&|^~?:;,.(){}\[\]])""",
    re.S | re.M | re.X)


class Mutant:
    def __init__(self, identity, path, line, text, wrong, start, end, source_line):
        self.identity, self.path, self.line, self.text, self.wrong = identity, path, line, text, wrong
        self.start, self.end, self.source_line = start, end, source_line


def excluded_lines(root):
    """[(path, text the line must contain)] of not_physics.txt: PATH: TEXT   # reason"""
    rows = []
    for line in (root / "tests/mutation/not_physics.txt").read_text().splitlines():
        line = line.split("   #")[0].strip()
        if line:
            path, text = line.split(": ", 1)
            rows.append((path, text))
    return rows


def wrong_value(text):
    """The wrong value of a literal, or None when it is none to change."""
    plain = text.replace("'", "")
    if re.fullmatch(r"\d+[uUlL]*", plain):
        value = int(re.match(r"\d+", plain).group())
        return None if value == 0 else str(value + 1) + plain[len(re.match(r"\d+", plain).group()):]
    try:
        value = float(plain)
    except ValueError:
        return None  # hexadecimal, or with a suffix of its own
    return None if value == 0 else repr(value * 1.1)


def find(root):
    mutants, seen_exclusions = [], set()
    exclusions = excluded_lines(root)
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.[ch]pp")):
            text = path.read_text()
            name = str(path.relative_to(root))
            lines = text.split("\n")
            tokens = [m for m in TOKEN.finditer(text) if m.lastgroup != "comment"]
            in_assert = 0
            for index, token in enumerate(tokens):
                if token.group() == "static_assert":
                    in_assert = token.start()
                if token.group() == ";":
                    in_assert = 0
                if token.lastgroup != "number" or in_assert:
                    continue
                wrong = wrong_value(token.group())
                if wrong is None:
                    continue
                before = tokens[index - 1].group() if index else ""
                after = tokens[index + 1].group() if index + 1 < len(tokens) else ""
                line = text.count("\n", 0, token.start()) + 1
                source = lines[line - 1]
                floating = "." in wrong
                quantity = re.search(r"constexpr (double|float|Seconds|Bytes|Flops|std::int64_t|int) k\w+", source) and "[" not in source.split("//")[0]
                if not floating and not quantity and before not in "*/" and after not in ("*", "/"):
                    continue
                if before == "[" or after == "]" or (before == "<" and after in (">", ",")) or "case " in source:
                    continue
                rule = next((r for r in exclusions if r[0] == name and r[1] in source), None)
                if rule:
                    seen_exclusions.add(rule)
                    continue
                mutants.append(Mutant(len(mutants) + 1, name, line, token.group(), wrong, token.start(), token.end(), source.strip()))
    for rule in exclusions:
        if rule not in seen_exclusions:
            sys.exit(f"tests/mutation/not_physics.txt: no constant on a line of {rule[0]} with '{rule[1]}': delete the row")
    return mutants


def write(root, copy, mutants, no_constexpr):
    """Writes the sources with the mutants; `no_constexpr`: {(path, line)} of declarations that may no longer be constexpr."""
    (copy / "sim").mkdir(exist_ok=True)
    (copy / "sim/mutant.hpp").write_text(HEADER)
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.[ch]pp")):
            name = str(path.relative_to(root))
            own = [m for m in mutants if m.path == name]
            text = path.read_text()
            for mutant in reversed(own):
                text = text[:mutant.start] + f"(runcast_mutant({mutant.identity}) ? {mutant.wrong} : {mutant.text})" + text[mutant.end:]
            lines = text.split("\n")
            loosened = {m.line for m in own} | {line for file, line in no_constexpr if file == name}
            for line in loosened:
                row = line - 1
                while row >= 0 and line - row <= 12:  # a declaration may span lines: back to where it begins
                    if re.search(r"(?<!if )\bconstexpr\b", lines[row]):
                        lines[row] = re.sub(r"\bstatic constexpr\b", "static inline const", lines[row]) if lines[row].startswith("  static") else lines[row]
                        function = re.search(r"constexpr [\w:<>, ]+ [\w:]+\(", lines[row]) or "operator" in lines[row]
                        lines[row] = re.sub(r"(?<!if )\bconstexpr\b", "inline" if function else "const", lines[row]).replace("inline inline", "inline")
                        break
                    if row < line - 1 and re.search(r"[;}]\s*(//.*)?$", lines[row]):
                        break
                    row -= 1
            result = '#include "sim/mutant.hpp"\n#line 1\n' + "\n".join(lines) if own else "\n".join(lines)
            target = copy / name
            if not target.exists() or target.read_text() != result:
                target.write_text(result)
