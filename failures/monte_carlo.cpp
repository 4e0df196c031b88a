// Trials over threads and their reduction; see the header.
#include "failures/monte_carlo.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <thread>

namespace runcast {

namespace {

constexpr std::int64_t kBlock = 50;  // trials between two looks at the stopping rule

// Trials [begin, end) on all threads. The first error by trial order is thrown on the caller's thread.
void run_block(const RunInput& input, const MonteCarloOptions& options, std::int64_t begin, std::int64_t end,
               std::vector<RunResult>& results) {
  std::atomic<std::int64_t> next{begin};
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(end - begin));
  const auto work = [&] {
    for (std::int64_t trial; (trial = next.fetch_add(1)) < end;) {
      if (options.stop && options.stop->load()) return;
      try {
        results[static_cast<std::size_t>(trial)] =
            simulate_run(input, options.seed, static_cast<std::uint64_t>(trial));
      } catch (...) {
        errors[static_cast<std::size_t>(trial - begin)] = std::current_exception();
      }
      if (options.progress) options.progress->fetch_add(1);
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < options.threads; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

// What is told of days that no trial had.
Summary unknown() {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  return {kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, 0};
}

bool precise_enough(const RunInput& input, const std::vector<RunResult>& results, double limit) {
  const RunSummary so_far = summarize(input, results);
  const Summary& watched = input.window ? so_far.goodput : so_far.days;
  return watched.ci95_high - watched.mean <= limit * watched.mean;
}

}  // namespace

std::vector<RunResult> simulate_trials(const RunInput& input, const MonteCarloOptions& options) {
  INVARIANT(options.trials >= 1 && options.threads >= 1);
  const bool watch = options.relative_half_width > 0;
  std::vector<RunResult> results;
  while (static_cast<std::int64_t>(results.size()) < options.trials) {
    const auto begin = static_cast<std::int64_t>(results.size());
    const std::int64_t end =
        std::min(options.trials, begin + (watch || options.stop ? kBlock : options.trials));
    results.resize(static_cast<std::size_t>(end));
    run_block(input, options, begin, end, results);
    if (options.stop && options.stop->load()) {
      results.resize(static_cast<std::size_t>(begin));
      break;
    }
    if (watch && precise_enough(input, results, options.relative_half_width)) break;
  }
  return results;
}

RunSummary summarize(const RunInput& input, const std::vector<RunResult>& results) {
  RunSummary summary;
  std::vector<double> days, goodput, interruptions, unplanned;
  std::array<double, kBuckets> spent{};
  double wall = 0, useful = 0, saves = 0;
  for (const FailureClass& failure : input.failures.classes) summary.events.push_back({failure.name, 0});
  for (const RunResult& r : results) {
    if (r.finished) days.push_back(in_days(to_seconds(r.wall)));
    goodput.push_back(r.goodput());
    interruptions.push_back(static_cast<double>(r.interruptions()));
    unplanned.push_back(static_cast<double>(r.unplanned));
    for (std::size_t b = 0; b < kBuckets; ++b) spent[b] += static_cast<double>(r.ledger[b].ns);
    wall += static_cast<double>(r.wall.ns);
    useful += in_days(to_seconds(r.of(Bucket::useful)));
    saves += static_cast<double>(r.saves);
    summary.unfinished += r.finished ? 0 : 1;
    for (std::size_t c = 0; c < summary.events.size(); ++c)
      summary.events[c].mean += static_cast<double>(r.events_by_class[c]);
  }
  summary.trials = static_cast<std::int64_t>(results.size());
  if (results.empty()) return summary;
  const auto n = static_cast<double>(results.size());
  for (ClassEvents& events : summary.events) events.mean /= n;
  for (std::size_t b = 0; b < kBuckets; ++b) summary.ledger[b] = spent[b] / wall;
  summary.ideal_days = input.window ? useful / n : in_days(to_seconds(ideal_time(input.steps)));
  summary.days = days.empty() ? unknown() : summarize(days);
  summary.goodput = summarize(goodput);
  summary.interruptions = summarize(interruptions);
  summary.unplanned = summarize(unplanned);
  summary.saves = saves / n;
  return summary;
}

RunSummary monte_carlo(const RunInput& input, const MonteCarloOptions& options) {
  return summarize(input, simulate_trials(input, options));
}

std::vector<IntervalPoint> interval_curve(const RunInput& input, const std::vector<Seconds>& intervals,
                                          const MonteCarloOptions& options) {
  std::vector<IntervalPoint> curve;
  RunInput changed = input;
  for (const Seconds interval : intervals) {
    changed.checkpoint.levels.back().interval = interval;
    if (!problems(changed).empty()) continue;
    const RunSummary summary = monte_carlo(changed, options);
    curve.push_back({interval, summary.goodput.mean, summary.goodput.ci95_high - summary.goodput.mean});
  }
  return curve;
}

}  // namespace runcast
