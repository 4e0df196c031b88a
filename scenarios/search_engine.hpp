// The search itself: every layout of a space is counted; what divides and fits is bounded from below; in the order of
// the bounds the best are simulated slot by slot, until the next bound is above the last of the best simulated.
//   bound    parallelism/step_bound: never above the simulated time, so that what is left out cannot be better
//   memory   flat: of the layouts that fit only the `kept` best by bound are remembered; were they not enough,
//            the space is gone through again from there on
//   threads  cells are taken by any thread; results are sorted by (score, choice), a total order: the same for any number
// Scores are seconds of a step times a factor of the machine, or what `judge` makes of a simulated step, which must
// never be below that product.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "scenarios/search_space.hpp"

namespace runcast {

struct SearchSettings {
  int threads = 1;
  std::uint64_t seed = 1;
  std::size_t top = 10;
  std::size_t kept = 50'000;
  std::vector<double> factor;  // [machine] of a score per second of the step
  // A simulated layout's score where seconds alone do not tell it; may be empty.
  std::function<double(const Choice&, Seconds)> judge;
  // Whether a simulated layout may be listed; may be empty.
  std::function<bool(const Choice&, Seconds, double peak_gib)> allowed;
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  std::function<bool()> stop;  // asked often; true: finish with what there is
};

struct Candidate {
  double score = 0;  // from below
  Choice choice;
  double peak_gib = 0;
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score < b.score : a.choice < b.choice;
  }
};

struct SimulatedLayout {
  double score = 0;
  Choice choice;
  double peak_gib = 0;
  Duration step;
  double bound = 0;  // its score from below
  friend bool operator<(const SimulatedLayout& a, const SimulatedLayout& b) {
    return a.score != b.score ? a.score < b.score : a.choice < b.choice;
  }
};

struct RejectedLayouts {
  std::int64_t count = 0;
  std::optional<Choice> example;     // the first in the order of the space
  std::optional<std::int32_t> cell;  // of an example that has no choice yet
};

struct SearchOutcome {
  std::int64_t counted = 0, feasible = 0, simulated = 0, cells = 0;
  std::array<RejectedLayouts, kRejections> rejected;
  std::vector<SimulatedLayout> best;   // at most `top`, the best first
  std::vector<SimulatedLayout> front;  // no other is better in step, memory and machine factor together
  // Faster than the best that fits, of those that need up to 15 % more memory than there is.
  std::optional<SimulatedLayout> miss;
  bool complete = true;  // false: stopped; what is there was simulated all the same
  double bound_seconds = 0, simulation_seconds = 0;  // of wall time
};

SearchOutcome search_layouts(const SearchSpace&, const SearchSettings&);

}  // namespace runcast
