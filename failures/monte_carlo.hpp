// Many trials of one run on several threads, and what they say together. Trials are simulated in blocks and
// folded in trial order: the same bits for any number of threads, and memory that does not grow with the
// trials but for a few numbers of each. `auto` looks only at whole blocks in order, so that the stopping rule
// does not depend on the threads either. Two inputs that differ in policy alone, on one seed, meet the same
// failures (common random numbers), so that their difference is known better than either. When none of the first 20
// trials finishes, no other is tried.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
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
  double mean = 0;           // events per trial, as drawn
  double interruptions = 0;  // of them that stopped the job
  Seconds lost{0};           // down time and work done again, per event
};

// Nodes per trial.
struct FleetMeans {
  double automatic_repairs = 0, manual_repairs = 0, false_fixes = 0, retired = 0, borrowed = 0,
         selections = 0, suspects = 0;
};

struct RunSummary {
  double ideal_days = 0;  // all steps at normal speed (in a window: mean useful days)
  Summary days;           // wall time of the trials that finished; NaN when none did
  Summary goodput;        // useful / wall
  Summary interruptions;  // unplanned and planned
  Summary unplanned;
  Summary first_failure_hours;            // of the trials that had one; NaN when none had
  std::array<double, kBuckets> ledger{};  // shares of the wall time of all trials; sums to 1
  std::vector<ClassEvents> events;        // by class, in the model's order
  double saves = 0;                       // mean
  double waits = 0;                       // recoveries that waited for a node
  Seconds mean_wait{0};                   // each
  FleetMeans fleet;
  NodeTime nodes;  // mean of the trials that finished
  std::int64_t trials = 0;
  std::int64_t unfinished = 0;  // trials that were given up: no progress against the failures
};

// Figures of each trial, in order; days are NaN where a trial did not finish.
struct TrialFigures {
  std::vector<double> days, goodput;
  std::vector<NodeTime> nodes;
};

// The trials themselves, in order. REQUIRES: problems(input) is empty.
std::vector<RunResult> simulate_trials(const RunInput& input, const MonteCarloOptions& options);
RunSummary summarize(const RunInput& input, const std::vector<RunResult>& results);
RunSummary monte_carlo(const RunInput& input, const MonteCarloOptions& options,
                       TrialFigures* figures = nullptr);

// Share of trials that finish within `deadline`.
double probability_within(const TrialFigures& figures, Seconds deadline);

// `other` minus `base`, trial by trial on the same failures; days only of trials that both finished (none of
// them: n = 0).
struct PairedDifference {
  Summary days, goodput;
};
PairedDifference paired_difference(const TrialFigures& base, const TrialFigures& other);

// Goodput against the durable checkpoint's interval, the same failures at each; intervals that cannot be kept
// are left out.
struct IntervalPoint {
  Seconds interval;
  double goodput = 0, ci95_half_width = 0;
};
std::vector<IntervalPoint> interval_curve(const RunInput& input, const std::vector<Seconds>& intervals,
                                          const MonteCarloOptions& options);
// The interval of the best simulated goodput: a grid of factors around `guess`, then two finer ones, on the
// same failures throughout.
Seconds optimal_interval(const RunInput& input, Seconds guess, const MonteCarloOptions& options);

// Goodput and waiting against the number of spares, the same failures at each.
struct SparePoint {
  std::int64_t spares = 0;
  double goodput = 0, ci95_half_width = 0, waiting = 0;
};
std::vector<SparePoint> spare_curve(const RunInput& input, const std::vector<std::int64_t>& spares,
                                    const MonteCarloOptions& options);

// How runs unfold: at `points` equal steps of the longest trial's time, goodput of the stretch before (all trials
// that still ran) and how much of the work is kept.
struct TimePoint {
  Seconds at;
  double goodput = 0;
  double done_p5 = 0, done_p50 = 0, done_p95 = 0;
  std::array<double, kBuckets> ledger{};  // shares of the stretch before
};
std::vector<TimePoint> over_time(const RunInput& input, std::size_t points, const MonteCarloOptions& options);

}  // namespace runcast
