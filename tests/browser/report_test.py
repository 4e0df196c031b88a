#!/usr/bin/env python3
"""Opens reports in a headless Chromium and looks at them as a reader would:
    tests/browser/report_test.py RUNCAST [FOLDER]
RUNCAST is the built program; screenshots go to FOLDER where it is given. Ends with 77 (skipped) where there is no
browser. Checked, at 1280 and 400 pixels, light and dark: every chart has marks, pointing at one tells a number, the
Gantt chart zooms by wheel and keys, tables copy as tab-separated values, nothing is asked of the network, no console
message, nothing sticks out of the page, a model named <script> is shown and not run."""

import json
import os
import re
import subprocess
import sys
import tempfile

import browser

failures = []


def check(holds, claim):
    if not holds:
        failures.append(claim)
        print("FAILED:", claim)


def runcast(program, *words):
    done = subprocess.run([program, *words, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(words)}: {done.stderr}")


def with_data(page, data):
    """The same page with another result inside."""
    text = json.dumps(data).replace("<", "\\u003c")
    return re.sub(r'(<script type="application/json" id="data">).*?(</script>)', lambda m: m[1] + text + m[2], page, flags=re.S)


# Results of the studies, with the keys that their commands print.
STUDIES = {
    "scenario": {"name": "<script>window.hacked = 1</script>", "model": "<b>bold</b>"},
    "layouts": [{"tensor": t, "pipeline": p, "data": 64 // t, "step_s": 5 + 0.3 * i + 0.1 * p, "mfu": 0.45 - 0.02 * i - 0.01 * p,
                 "peak_gib": 75 - 9 * i - 2 * p, "simulated": True} for i, t in enumerate((2, 4, 8)) for p in (1, 2, 4)],
    "rejected": [{"reason": "does not fit into GPU memory", "count": 3, "example": "tensor 1 x context 1 x pipeline 1 x data 64"}],
    "sensitivity": {"change": 0.05, "rows": [{"name": "kernel efficiency", "kind": "constant", "step": -0.7, "days": -0.65, "usd": -0.65, "sd": 0.03},
                                              {"name": "failure rate", "kind": "rate", "step": 0, "days": 0.06, "usd": 0.06, "sd": None}]},
    "base": {"days": 54.2, "total_usd": 1e7, "co2e_t": 3500},
    "rows": [{"lever": "hot_spares", "severity": "high", "where": "a.yaml:3:1", "finding": "restarts wait", "days_saved": 2.1, "usd_saved": 1.2e6, "co2e_t_saved": 40, "set": ["recovery.policy=hot_spare"]},
             {"lever": "checkpoint", "severity": "low", "where": "a.yaml:9:1", "finding": "too often", "days_saved": 0.3, "usd_saved": 1e5, "co2e_t_saved": 4, "set": ["checkpoint.interval=20 min"]}],
    "combined": {"days_saved": 2.3, "usd_saved": 1.25e6, "co2e_t_saved": 42},
    "scenarios": ["packed", "scattered", "random"],
    "breakdowns_s": [{"compute": 4.0, "bubble": 1.0 + i, "other": 1.0} for i in range(3)],
    "inputs": [{"key": "cluster.placement", "values": ["packed", "scattered", "random"]}],
    "outputs": [{"key": "step.time_s", "values": [6.0, 7.0, 8.0], "relative": [0.17, 0.33]}, {"key": "step.mfu", "values": [0.4, 0.37, 0.34], "relative": [-0.08, -0.15]}],
    "step_difference_s": [{"total": i + 1.0, "terms": {"compute": -0.2, "bubble": i + 1.2, "other": 0}} for i in range(2)],
    "cost": {"usd": 1e7, "energy_mwh": 9000, "co2e_t": 3500},
    "provenance": {"version": "0", "seed": 1, "scenario_hash": "00", "assumptions": ["<i>none</i>"]},
}
SWEEP = {"study": "00", "points": 3, "pivot": {"rows": "layout.tensor", "columns": "layout.pipeline", "value": "step.mfu"},
         "rows": [{"index": i, "layout.tensor": t, "step.mfu": 0.4 + 0.01 * i, "error": None} for i, t in enumerate((2, 4, 8))]}


def look(page, expected, name):
    """What holds for every report."""
    sections = page.value("Array.from(document.querySelectorAll('section')).map(s => [s.id, s.querySelectorAll('svg').length, s.querySelectorAll('.mark').length])")
    marks = {i: (svgs, count) for i, svgs, count in sections}
    for card in expected:
        check(card in marks, f"{name}: the card {card} is there")
    for card, (svgs, count) in marks.items():
        check(svgs == 0 or count > 0, f"{name}: {card} has marks")
    empty = page.value("Array.from(document.querySelectorAll('svg')).filter(s => /NaN|undefined|Infinity/.test(s.outerHTML)).map(s => s.getAttribute('aria-label'))")
    check(not empty, f"{name}: no mark has an impossible place: {empty}")
    check(page.value("document.documentElement.scrollWidth <= window.innerWidth"), f"{name}: nothing sticks out")
    # Pointing at the first mark of each chart tells a number.
    for i in range(page.value("document.querySelectorAll('svg').length")):
        place = page.value(f"""(() => {{ const svg = document.querySelectorAll('svg')[{i}];
            const mark = svg.querySelector('.mark'); svg.scrollIntoView({{block: 'center'}});
            const all = Array.from(svg.querySelectorAll('.mark')).map(m => m.getBoundingClientRect()).filter(b => b.width > 1 && b.height > 1 && b.top >= 0 && b.bottom <= innerHeight);
            if (!all.length) return null; const b = all[0]; return [b.left + b.width / 2, b.top + b.height / 2, svg.getAttribute('aria-label')]; }})()""")
        if place is None:
            check(False, f"{name}: chart {i} has a mark to point at")
            continue
        page.mouse("mouseMoved", place[0], place[1])
        told = page.value("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
        check(re.search(r"\d", told or ""), f"{name}: pointing into '{place[2]}' tells a number, not '{told}'")
    page.mouse("mouseMoved", 1, 1)
    # Arrow keys walk the marks.
    page.value("document.querySelector('svg').focus()")
    page.key("ArrowRight")
    check(re.search(r"\d", page.value("document.getElementById('tip').textContent") or ""), f"{name}: the right arrow tells a mark")
    page.key("Escape")
    page.value("(() => { const b = document.querySelector('button.copy'); b.closest('details').open = true; b.click(); b.closest('details').open = false; })()")
    check("\t" in page.value("window.copied"), f"{name}: a table copies as TSV")


def zooms(page, name):
    scale = "Number(/scale\\(([0-9.]+)/.exec(document.querySelector('#gantt .moving').getAttribute('transform'))[1])"
    page.value("document.querySelector('#gantt svg').scrollIntoView({block: 'center'})")
    x, y = page.value("(() => { const b = document.querySelector('#gantt svg').getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()")
    check(page.value(scale) == 1, f"{name}: the Gantt chart starts whole")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    page.wait(scale + " > 1")
    before = page.value(scale)
    page.value("document.querySelector('#gantt svg').focus()")
    page.key("+")
    check(page.value(scale) > before, f"{name}: + zooms in")
    page.key("0")
    check(page.value(scale) == 1, f"{name}: 0 shows all again")
    page.value("Array.from(document.querySelectorAll('#gantt button')).find(b => b.textContent === 'Zoom in').click()")
    check(page.value(scale) > 1, f"{name}: the button zooms in")
    page.value("Array.from(document.querySelectorAll('#gantt button')).find(b => b.textContent === 'All').click()")


def contrast(page):
    """The text's luminance against the paper's, by WCAG's formula."""
    return page.value("""(() => { const l = (c) => { const v = c.match(/[0-9.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; }; const s = getComputedStyle(document.body), a = l(s.color), b = l(s.backgroundColor);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); })()""")


def main():
    path = browser.find()
    if not path:
        print("skipped: no chromium; apt-get install chromium")
        sys.exit(77)
    program = os.path.abspath(sys.argv[1])
    folder = sys.argv[2] if len(sys.argv) > 2 else None
    work = tempfile.mkdtemp(prefix="runcast-report-")
    files = {}
    for name, words in (("run", ["run", "llama3-405b-16k"]), ("step", ["step", "llama3-405b-16k"]),
                        ("unfolded", ["step", "one-node", "--unfolded", "--set", "cluster.faults=[{rank: 1, slowdown: 1.2}]"])):
        files[name] = os.path.join(work, name + ".html")
        runcast(program, *words, "--report", files[name])
        check(os.path.getsize(files[name]) < 2e6, f"{name}: the report is under 2 MB")
    with open(files["step"], encoding="utf-8") as file:
        step = file.read()
    for name, data in (("studies", STUDIES), ("sweep", SWEEP)):
        files[name] = os.path.join(work, name + ".html")
        with open(files[name], "w", encoding="utf-8") as file:
            file.write(with_data(step, data))

    step_cards = ["summary", "gantt", "breakdown", "memory", "memory-time", "communication", "batch", "scaling", "assumptions", "scenario"]
    expected = {"step": step_cards, "unfolded": ["summary", "gantt", "breakdown", "critical-path"],
                "run": step_cards + ["ledger", "days", "checkpoint", "spares", "causes", "cost"],
                "studies": ["comparison", "difference-step-1", "breakdown", "heatmap", "pareto", "tornado", "advice", "cost"], "sweep": ["sweep"]}
    chromium = browser.Browser(path)
    try:
        for name, file in files.items():
            for width in (1280, 400):
                for theme in ("light", "dark"):
                    label = f"{name} at {width} {theme}"
                    page = browser.Page(chromium, "file://" + file, width, theme=theme)
                    page.wait("document.querySelectorAll('section').length > 0")
                    look(page, expected[name], label)
                    if "gantt" in expected[name]:
                        zooms(page, label)
                    check(contrast(page) > 7, f"{label}: text stands out")
                    page.value("document.getElementById('theme').click()")
                    check(contrast(page) > 7, f"{label}: text stands out in the other theme")
                    page.value("document.getElementById('theme').click()")
                    if name == "studies":
                        check(page.value("window.hacked") is None, f"{label}: a name is not run")
                        check(page.value("document.getElementById('title').textContent") == STUDIES["scenario"]["name"], f"{label}: the name is shown as it is")
                        check(page.value("document.querySelectorAll('#subtitle b, #assumptions i').length") == 0, f"{label}: names make no elements")
                    check(page.complaints() == [], f"{label}: no message and no request: {page.complaints()}")
                    if folder:
                        page.value("window.scrollTo(0, 0)")
                        page.screenshot(os.path.join(folder, f"{name}-{width}-{theme}.png"))
                    page.close()
    finally:
        chromium.close()
    print("failed:" if failures else "all hold", len(failures) or "")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
