// Many trials of one run on several threads, and what they say together. Each trial writes result[trial]; the
// reduction goes in trial order: the same bits for any number of threads. `auto` looks only at whole blocks
// of trials in order, so that the stopping rule does not depend on the threads either. Two inputs that differ
// in policy alone, on one seed, meet the same failures (common random numbers).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "failures/training_run.hpp"
#include "sim/statistics.hpp"
#include "sim/units.hpp"

namespace runcast {

struct MonteCarloOptions {
  std::int64_t trials = 200;
  // Above 0: as many blocks of 50 trials as it takes until the 95 % half-width of the mean days (or goodput,
  // in a window) is at most this share of it, at most `trials`.
  double relative_half_width = 0;
  int threads = 1;
  std::uint64_t seed = 1;
  const std::atomic<bool>* stop = nullptr;        // set from outside: only the finished blocks are kept
  std::atomic<std::int64_t>* progress = nullptr;  // trials done so far
};

struct ClassEvents {
  std::string name;
  double mean = 0;  // events per trial
};

struct RunSummary {
  double ideal_days = 0;  // all steps at normal speed (in a window: mean useful days)
  Summary days;           // wall time of the trials that finished; NaN when none did
  Summary goodput;        // useful / wall
  Summary interruptions;  // unplanned and planned
  Summary unplanned;
  std::array<double, kBuckets> ledger{};  // shares of the wall time of all trials; sums to 1
  std::vector<ClassEvents> events;        // by class, in the model's order
  double saves = 0;                       // mean
  std::int64_t trials = 0;
  std::int64_t unfinished = 0;  // trials that were given up: no progress against the failures
};

// The trials themselves, in order. REQUIRES: problems(input) is empty.
std::vector<RunResult> simulate_trials(const RunInput& input, const MonteCarloOptions& options);
RunSummary summarize(const RunInput& input, const std::vector<RunResult>& results);
RunSummary monte_carlo(const RunInput& input, const MonteCarloOptions& options);

// Goodput against the durable checkpoint's interval, the same failures at each; intervals that cannot be kept
// are left out.
struct IntervalPoint {
  Seconds interval;
  double goodput = 0, ci95_half_width = 0;
};
std::vector<IntervalPoint> interval_curve(const RunInput& input, const std::vector<Seconds>& intervals,
                                          const MonteCarloOptions& options);

}  // namespace runcast
