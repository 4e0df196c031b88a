// Trials over threads and their reduction; see the header.
#include "failures/monte_carlo.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>

#include "failures/limits.hpp"
#include "sim/threads.hpp"

namespace runcast {

namespace {

constexpr std::int64_t kBlock = 50;     // trials between two looks at the stopping rule
constexpr std::int64_t kAtOnce = 1000;  // trials whose results are held at a time, a multiple of kBlock
// When none of so many finishes, no other is tried; of the first few, when besides none came anywhere.
constexpr std::int64_t kHopeless = 20, kStuck = 4;
constexpr double kAnywhere = 0.01;  // useful share of the time
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// work(trial) for trials [begin, end) on all threads. The first error by trial order is thrown on the caller's
// thread.
void on_threads(const MonteCarloOptions& options, std::int64_t begin, std::int64_t end,
                const std::function<void(std::int64_t)>& trial_of) {
  std::atomic<std::int64_t> next{begin};
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(end - begin));
  const auto work = [&] {
    for (std::int64_t trial; (trial = next.fetch_add(1)) < end;) {
      if (options.stop && options.stop->load()) return;
      try {
        trial_of(trial);
      } catch (...) {
        errors[static_cast<std::size_t>(trial - begin)] = std::current_exception();
      }
      if (options.progress) options.progress->fetch_add(1);
    }
  };
  auto helpers = helping_threads(options.threads - 1, [&](int) { work(); });
  work();
  helpers.clear();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

std::vector<RunResult> run_block(const RunInput& input, const MonteCarloOptions& options, std::int64_t begin,
                                 std::int64_t end) {
  std::vector<RunResult> results(static_cast<std::size_t>(end - begin));
  on_threads(options, begin, end, [&](std::int64_t trial) {
    results[static_cast<std::size_t>(trial - begin)] =
        simulate_run(input, options.seed, static_cast<std::uint64_t>(trial));
  });
  return results;
}

// What is told of figures that no trial had.
Summary unknown() {
  return {kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, kUnknown, 0};
}
Summary summarize_known(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  return values.empty() ? unknown() : summarize(std::move(values));
}

// Sums and the few numbers of each trial that quantiles need, folded in trial order.
class Fold {
 public:
  explicit Fold(const RunInput& input) : input_(input), classes_(input.failures.classes.size()) {}
  void add(const RunResult& r);
  std::int64_t trials() const { return static_cast<std::int64_t>(figures_.goodput.size()); }
  bool precise_enough(double limit) const;
  bool hopeless() const;
  RunSummary summary() const;
  const TrialFigures& figures() const { return figures_; }

 private:
  struct ClassSums {
    double events = 0, interruptions = 0, lost = 0;
  };
  const RunInput& input_;
  TrialFigures figures_;
  std::vector<double> interruptions_, unplanned_, first_;
  std::array<double, kBuckets> spent_{};
  std::vector<ClassSums> classes_;
  double wall_ = 0, useful_ = 0, saves_ = 0, waits_ = 0;
  FleetMeans fleet_;
  NodeTime nodes_;  // of those that finished
  std::int64_t unfinished_ = 0;
};

void Fold::add(const RunResult& r) {
  figures_.days.push_back(r.finished ? in_days(to_seconds(r.wall)) : kUnknown);
  figures_.goodput.push_back(r.goodput());
  figures_.nodes.push_back(r.nodes);
  interruptions_.push_back(static_cast<double>(r.interruptions()));
  unplanned_.push_back(static_cast<double>(r.unplanned));
  first_.push_back(r.first_failure ? in_hours(to_seconds(*r.first_failure)) : kUnknown);
  for (std::size_t b = 0; b < kBuckets; ++b) spent_[b] += static_cast<double>(r.ledger[b].ns);
  wall_ += static_cast<double>(r.wall.ns);
  useful_ += in_days(to_seconds(r.of(Bucket::useful)));
  saves_ += static_cast<double>(r.saves);
  waits_ += static_cast<double>(r.waits);
  unfinished_ += r.finished ? 0 : 1;
  if (r.finished) {
    nodes_.absent += r.nodes.absent;
    nodes_.spares_absent += r.nodes.spares_absent;
    nodes_.on_demand += r.nodes.on_demand;
  }
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    classes_[c].events += static_cast<double>(r.events_by_class[c]);
    classes_[c].interruptions += static_cast<double>(r.interruptions_by_class[c]);
    classes_[c].lost += to_seconds(r.lost_by_class[c]).value;
  }
  fleet_.automatic_repairs += static_cast<double>(r.fleet.automatic);
  fleet_.manual_repairs += static_cast<double>(r.fleet.manual);
  fleet_.false_fixes += static_cast<double>(r.fleet.false_fixes);
  fleet_.retired += static_cast<double>(r.fleet.retired);
  fleet_.borrowed += static_cast<double>(r.fleet.borrowed);
  fleet_.selections += static_cast<double>(r.fleet.selections);
  fleet_.suspects += static_cast<double>(r.fleet.suspects);
}

bool Fold::hopeless() const {
  if (input_.window || unfinished_ < trials() || trials() < kStuck) return false;
  return trials() >= kHopeless || *std::ranges::max_element(figures_.goodput) < kAnywhere;
}

bool Fold::precise_enough(double limit) const {
  if (hopeless()) return true;
  const Summary watched = input_.window ? summarize(figures_.goodput) : summarize_known(figures_.days);
  return watched.ci95_high - watched.mean <= limit * watched.mean;
}

RunSummary Fold::summary() const {
  RunSummary s;
  for (const FailureClass& failure : input_.failures.classes) s.events.push_back({failure.name, 0, 0, {}});
  s.trials = trials();
  if (s.trials == 0) return s;
  const auto n = static_cast<double>(s.trials);
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    const ClassSums& sums = classes_[c];
    s.events[c].mean = sums.events / n;
    s.events[c].interruptions = sums.interruptions / n;
    s.events[c].lost = Seconds(sums.events > 0 ? sums.lost / sums.events : 0);
  }
  for (std::size_t b = 0; b < kBuckets; ++b) s.ledger[b] = spent_[b] / wall_;
  s.ideal_days = input_.window ? useful_ / n : in_days(to_seconds(ideal_time(input_.steps)));
  s.days = summarize_known(figures_.days);
  s.goodput = summarize(figures_.goodput);
  s.interruptions = summarize(interruptions_);
  s.unplanned = summarize(unplanned_);
  s.first_failure_hours = summarize_known(first_);
  s.saves = saves_ / n;
  s.waits = waits_ / n;
  const double waited = spent_[static_cast<std::size_t>(Bucket::wait_for_spare)] * 1e-9;
  s.mean_wait = Seconds(waits_ > 0 ? waited / waits_ : 0);
  s.fleet = fleet_;
  for (double* count : {&s.fleet.automatic_repairs, &s.fleet.manual_repairs, &s.fleet.false_fixes,
                        &s.fleet.retired, &s.fleet.borrowed, &s.fleet.selections, &s.fleet.suspects})
    *count /= n;
  s.unfinished = unfinished_;
  const auto finished = static_cast<double>(std::max<std::int64_t>(1, trials() - unfinished_));
  s.nodes = {nodes_.absent / finished, nodes_.spares_absent / finished, nodes_.on_demand / finished};
  return s;
}

// Takes trials in their order, block by block, into `fold` and `take`, until all are done, they are enough, or the first
// of them show that no trial will finish.
template <class Take>
void in_blocks(const RunInput& input, const MonteCarloOptions& options, Fold& fold, Take take) {
  INVARIANT(options.trials >= 1 && options.threads >= 1);
  const std::int64_t size = options.relative_half_width > 0 || options.stop ? kBlock : kAtOnce;
  for (std::int64_t begin = 0; begin < options.trials;) {
    const std::int64_t to = begin < kStuck ? kStuck : begin < kHopeless ? kHopeless : (begin / size + 1) * size;
    const std::int64_t end = std::min(options.trials, to);
    std::vector<RunResult> block = run_block(input, options, begin, end);
    if (options.stop && options.stop->load()) return;
    for (RunResult& result : block) {
      fold.add(result);
      take(std::move(result));
    }
    begin = end;
    if (fold.hopeless()) return;
    const bool whole = begin % size == 0;
    if (whole && options.relative_half_width > 0 && fold.precise_enough(options.relative_half_width)) return;
  }
}

}  // namespace

std::vector<RunResult> simulate_trials(const RunInput& input, const MonteCarloOptions& options) {
  std::vector<RunResult> results;
  Fold fold(input);
  in_blocks(input, options, fold, [&](RunResult&& result) { results.push_back(std::move(result)); });
  return results;
}

RunSummary summarize(const RunInput& input, const std::vector<RunResult>& results) {
  Fold fold(input);
  for (const RunResult& result : results) fold.add(result);
  return fold.summary();
}

RunSummary monte_carlo(const RunInput& input, const MonteCarloOptions& options, TrialFigures* figures) {
  Fold fold(input);
  in_blocks(input, options, fold, [](RunResult&&) {});
  if (figures != nullptr) *figures = fold.figures();
  return fold.summary();
}

double probability_within(const TrialFigures& figures, Seconds deadline) {
  if (figures.days.empty()) return kUnknown;
  const auto met = std::count_if(figures.days.begin(), figures.days.end(),
                                 [&](double days) { return days <= in_days(deadline); });
  return static_cast<double>(met) / static_cast<double>(figures.days.size());
}

PairedDifference paired_difference(const TrialFigures& base, const TrialFigures& other) {
  std::vector<double> days, goodput;
  for (std::size_t i = 0; i < std::min(base.goodput.size(), other.goodput.size()); ++i) {
    days.push_back(other.days[i] - base.days[i]);
    goodput.push_back(other.goodput[i] - base.goodput[i]);
  }
  return {summarize_known(days), summarize_known(goodput)};
}

std::vector<IntervalPoint> interval_curve(const RunInput& input, const std::vector<Seconds>& intervals,
                                          const MonteCarloOptions& options) {
  std::vector<IntervalPoint> curve;
  RunInput changed = input;
  for (const Seconds interval : intervals) {
    if (interval > kLongestInterval) continue;  // as good as never; the clock ends not far beyond
    changed.checkpoint.levels.back().interval = interval;
    if (!problems(changed).empty()) continue;
    const RunSummary summary = monte_carlo(changed, options);
    curve.push_back({interval, summary.goodput.mean, summary.goodput.ci95_high - summary.goodput.mean});
  }
  return curve;
}

Seconds optimal_interval(const RunInput& input, Seconds guess, const MonteCarloOptions& options) {
  Seconds best = std::min(guess, kLongestInterval);
  for (const double step : {2.0, 1.4, 1.15}) {  // each grid spans the gaps of the one before
    std::vector<Seconds> grid;
    for (const int power : {-2, -1, 0, 1, 2}) grid.push_back(best * std::pow(step, power));
    const std::vector<IntervalPoint> curve = interval_curve(input, grid, options);
    const auto top = std::max_element(
        curve.begin(), curve.end(),
        [](const IntervalPoint& a, const IntervalPoint& b) { return a.goodput < b.goodput; });
    if (top != curve.end()) best = top->interval;
  }
  return best;
}

std::vector<SparePoint> spare_curve(const RunInput& input, const std::vector<std::int64_t>& spares,
                                    const MonteCarloOptions& options) {
  std::vector<SparePoint> curve;
  RunInput changed = input;
  for (const std::int64_t count : spares) {
    changed.recovery.spares = count;
    const RunSummary summary = monte_carlo(changed, options);
    curve.push_back({count, summary.goodput.mean, summary.goodput.ci95_high - summary.goodput.mean,
                     summary.ledger[static_cast<std::size_t>(Bucket::wait_for_spare)]});
  }
  return curve;
}

std::vector<TimePoint> over_time(const RunInput& input, std::size_t points,
                                 const MonteCarloOptions& options) {
  std::vector<RunRecord> records(static_cast<std::size_t>(options.trials));
  on_threads(options, 0, options.trials, [&](std::int64_t trial) {
    simulate_run(input, options.seed, static_cast<std::uint64_t>(trial),
                 &records[static_cast<std::size_t>(trial)]);
  });
  Time last{};
  for (const RunRecord& r : records)
    if (!r.spans.empty()) last = std::max(last, r.spans.back().end);
  // spent[i], elapsed[i]: seconds of all trials in stretch i; done[i][trial]: useful seconds by its end.
  const auto n = static_cast<std::int64_t>(points);
  const auto end_of = [&](std::int64_t i) { return Time{last.ns / n * (i + 1)}; };
  std::vector<double> elapsed(points);
  std::vector<std::array<double, kBuckets>> spent(points);
  std::vector<std::vector<double>> done(points);
  const double total = input.window ? 0 : to_seconds(ideal_time(input.steps)).value;
  for (const RunRecord& r : records) {
    double kept = 0;
    std::size_t span = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Time begin = i == 0 ? Time{} : end_of(i - 1), end = end_of(i);
      for (; span < r.spans.size() && r.spans[span].begin < end; ++span) {
        const Duration inside = std::min(r.spans[span].end, end) - std::max(r.spans[span].begin, begin);
        const double s = to_seconds(std::max(Duration{}, inside)).value;
        elapsed[at] += s;
        spent[at][static_cast<std::size_t>(r.spans[span].bucket)] += s;
        if (r.spans[span].bucket == Bucket::useful) kept += s;
        if (r.spans[span].end > end) break;
      }
      done[at].push_back(total > 0 ? std::min(1.0, kept / total) : kept);
    }
  }
  std::vector<TimePoint> curve;
  for (std::size_t i = 0; i < points; ++i) {
    std::sort(done[i].begin(), done[i].end());
    curve.push_back({to_seconds(end_of(static_cast<std::int64_t>(i))),
                     elapsed[i] > 0 ? spent[i][static_cast<std::size_t>(Bucket::useful)] / elapsed[i] : 0,
                     quantile(done[i], 0.05), quantile(done[i], 0.5), quantile(done[i], 0.95)});
    for (std::size_t b = 0; b < kBuckets && elapsed[i] > 0; ++b)
      curve.back().ledger[b] = spent[i][b] / elapsed[i];
  }
  return curve;
}

}  // namespace runcast
