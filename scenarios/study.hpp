// A study file: a scenario and the points at which it is asked. A point is a pure function of its index, so that any
// process can do any part of a study.
//   scenario: llama3-70b            a library name or a path
//   set: [training.precision=fp8]   what all points have
//   design: grid                    grid | zip | list | random | latin_hypercube
//   keys:                           all designs but list
//     - {key: layout.tensor, values: [1, 2, 4, 8]}
//     - {key: checkpoint.interval, from: 1, to: 60, unit: min, scale: log}     random, latin_hypercube; integer: true
//   points: [{set: [layout.tensor=4, layout.pipeline=2]}]                      list
//   count: 100, seed: 1             random, latin_hypercube
//   answer: step                    step | run: what is simulated at each point
//   results: [step.time_s, step.mfu]
//   pivot: {rows: layout.tensor, columns: layout.pipeline, value: step.mfu}
// grid: the last key changes fastest. zip: the lists side by side. random: independent draws. latin_hypercube: each of
// `count` equal parts of each key's range, or of its list, is met once (McKay et al. 1979).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/scenario_source.hpp"

namespace runcast {

struct StudyKey {
  std::string key;
  std::vector<std::string> values;  // or a range:
  double from = 0, to = 0;
  std::string unit;
  bool logarithmic = false, integer = false;
};

enum class Design { grid, zip, list, random, latin_hypercube };

struct Pivot {
  std::string rows, columns, value;
};

struct Study {
  ScenarioSource source;
  Design design = Design::grid;
  std::vector<StudyKey> keys;
  std::vector<std::vector<std::string>> points;  // of a list
  std::int64_t count = 0;                        // of points, all designs
  std::uint64_t seed = 1;
  bool whole_run = false;  // answer: run
  std::vector<std::string> results;
  std::optional<Pivot> pivot;
  std::string hash;  // of the study and of its scenario's text

  // "layout.tensor=4", one for each key.
  std::vector<std::string> point(std::int64_t index) const;
};

Study read_study(Document& document, const std::string& text, const Library& library);

}  // namespace runcast
