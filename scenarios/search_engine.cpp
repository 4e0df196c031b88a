// Passes over the space, and the simulation of what the bounds leave, in chunks of fixed size: which layouts are
// simulated does not depend on the number of threads.
#include "scenarios/search_engine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <limits>

#include "scenarios/search_cell.hpp"
#include "sim/threads.hpp"

namespace runcast {

namespace {

constexpr std::size_t kChunk = 64;  // simulated between two looks at what is left
constexpr std::size_t kFewer = 16;  // of the front, where one covers many, and of what does not fit

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs `work(thread, task)` for each task in turn; the first exception is thrown on.
template <class Work>
void share(int threads, std::size_t tasks, Work work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(threads));
  const auto loop = [&](std::size_t thread) {
    try {
      for (std::size_t task = next++; task < tasks; task = next++) work(thread, task);
    } catch (...) {
      failures[thread] = std::current_exception();
      next = tasks;
    }
  };
  auto others = helping_threads(threads - 1, [&](int t) { loop(static_cast<std::size_t>(t)); });
  loop(0);
  others.clear();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

class Search {
 public:
  Search(const SearchSpace& space, const SearchSettings& settings)
      : space_(space), settings_(settings), parts_(machine_parts(space, settings.seed)) {
    for (int t = 0; t < settings.threads; ++t) workers_.emplace_back(space, settings, parts_, schedules_);
    for (const Cell& cell : space.cells()) total_ += space.size(cell);
  }

  SearchOutcome run() {
    const Clock::time_point start = Clock::now();
    Collector found = pass(std::nullopt);
    outcome_ = found.outcome();
    outcome_.bound_seconds = seconds_since(start);
    const Clock::time_point simulation = Clock::now();
    std::vector<Candidate> best = found.best();
    const std::vector<Candidate> by_memory = found.by_memory(), misses = found.misses();
    simulate_best(best);
    // All that fit were remembered, or all of them up to a bound that is above the best.
    while (outcome_.complete && best.size() == settings_.kept && needed(best.back())) {
      best = pass(best.back()).best();
      simulate_best(best);
    }
    simulate_front(by_memory);
    simulate_misses(misses);
    outcome_.simulation_seconds = seconds_since(simulation);
    return std::move(outcome_);
  }

 private:
  bool stopped() {
    if (settings_.stop && settings_.stop()) outcome_.complete = false;
    return !outcome_.complete;
  }

  Collector pass(const std::optional<Candidate>& after) {
    const auto make = [&] { return Collector(settings_.kept, space_.machines().size(), after); };
    std::vector<Collector> of_thread;
    for (int t = 0; t < settings_.threads; ++t) of_thread.push_back(make());
    std::atomic<std::int64_t> done{0};
    std::atomic<bool> stop{false};
    share(settings_.threads, space_.cells().size(), [&](std::size_t thread, std::size_t task) {
      if (stop) return;
      workers_[thread].visit(static_cast<std::int32_t>(task), of_thread[thread]);
      done += space_.size(space_.cells()[task]);
      if (thread != 0) return;
      if (settings_.progress) settings_.progress(done, total_);
      if (settings_.stop && settings_.stop()) stop = true;
    });
    if (stop) outcome_.complete = false;
    Collector all = make();
    for (Collector& one : of_thread) all.add(std::move(one));
    all.outcome().complete = outcome_.complete;
    return all;
  }

  // Whether a layout with this bound could still be among the best.
  bool needed(const Candidate& candidate) const {
    return outcome_.best.size() < settings_.top || candidate.score <= outcome_.best.back().score;
  }

  // Fewer than were asked for when it is to stop: a large layout takes seconds.
  std::vector<SimulatedLayout> simulate(std::vector<Candidate> chunk) {
    // Layouts of a cell share their parts: they are one task.
    std::ranges::sort(chunk, [](const Candidate& a, const Candidate& b) { return a.choice < b.choice; });
    std::vector<std::size_t> begins;
    for (std::size_t i = 0; i < chunk.size(); ++i)
      if (i == 0 || chunk[i].choice.cell != chunk[i - 1].choice.cell) begins.push_back(i);
    begins.push_back(chunk.size());
    std::vector<SimulatedLayout> results(chunk.size());
    std::vector<char> done(chunk.size(), 0);
    std::atomic<bool> stop{false};
    share(settings_.threads, begins.size() - 1, [&](std::size_t thread, std::size_t task) {
      for (std::size_t i = begins[task]; i < begins[task + 1] && !stop; ++i) {
        if (thread == 0 && settings_.stop && settings_.stop()) stop = true;
        const Candidate& c = chunk[i];
        const Duration step = workers_[thread].simulate(c.choice);
        const auto machine =
            static_cast<std::size_t>(space_.cells()[static_cast<std::size_t>(c.choice.cell)].machine);
        results[i] = {to_seconds(step).value * settings_.factor[machine], c.choice, c.peak_gib, step,
                      c.score};
        INVARIANT(results[i].bound <= results[i].score);
        done[i] = 1;
      }
    });
    if (stop) {
      outcome_.complete = false;
      std::vector<SimulatedLayout> some;
      for (std::size_t i = 0; i < results.size(); ++i)
        if (done[i] != 0) some.push_back(results[i]);
      results = std::move(some);
    }
    outcome_.simulated += static_cast<std::int64_t>(results.size());
    return results;
  }

  // What the machine's seconds alone do not tell, for those that can still be among the best.
  void judge(std::vector<SimulatedLayout>& results) {
    if (!settings_.judge) return;
    share(settings_.threads, results.size(), [&](std::size_t, std::size_t i) {
      SimulatedLayout& r = results[i];
      if (outcome_.best.size() == settings_.top && r.score > outcome_.best.back().score) return;
      r.score = std::max(r.score, settings_.judge(r.choice, to_seconds(r.step)));
    });
  }

  void simulate_best(const std::vector<Candidate>& candidates) {
    for (std::size_t i = 0; i < candidates.size() && needed(candidates[i]) && !stopped(); i += kChunk) {
      std::vector<Candidate> chunk;
      for (std::size_t k = i; k < std::min(candidates.size(), i + kChunk) && needed(candidates[k]); ++k)
        chunk.push_back(candidates[k]);
      std::vector<SimulatedLayout> results = simulate(std::move(chunk));
      judge(results);
      for (const SimulatedLayout& r : results) {
        if (settings_.allowed && !settings_.allowed(r.choice, to_seconds(r.step), r.peak_gib)) continue;
        add_to_front(r);
        outcome_.best.push_back(r);
      }
      std::ranges::sort(outcome_.best, std::less<>());
      if (outcome_.best.size() > settings_.top) outcome_.best.resize(settings_.top);
    }
  }

  // Of each class of memory the few best by bound, while one of them could be faster than all that need no more.
  void simulate_front(const std::vector<Candidate>& candidates) {
    for (std::size_t i = 0; i < candidates.size() && !stopped(); i += kFewer) {
      std::vector<Candidate> chunk;
      for (std::size_t k = i; k < std::min(candidates.size(), i + kFewer); ++k)
        if (!covered(candidates[k])) chunk.push_back(candidates[k]);
      for (const SimulatedLayout& r : simulate(std::move(chunk)))
        if (!settings_.allowed || settings_.allowed(r.choice, to_seconds(r.step), r.peak_gib))
          add_to_front(r);
    }
  }

  // The fastest of the few best by bound that lack a little memory, if it is faster than all that fit.
  void simulate_misses(const std::vector<Candidate>& candidates) {
    const double fit =
        outcome_.best.empty() ? std::numeric_limits<double>::infinity() : outcome_.best.front().score;
    if (candidates.empty() || stopped() || !(candidates.front().score < fit)) return;
    for (const SimulatedLayout& r :
         simulate({candidates.begin(),
                   candidates.begin() + static_cast<std::ptrdiff_t>(std::min(kFewer, candidates.size()))}))
      if (r.score < fit && (!outcome_.miss || r < *outcome_.miss)) outcome_.miss = r;
  }

  std::int32_t machine_of(const Choice& choice) const {
    return space_.cells()[static_cast<std::size_t>(choice.cell)].machine;
  }
  // Fewer seconds, fewer GiB, cheaper seconds.
  bool covered(const Candidate& c) const {
    const double factor = settings_.factor[static_cast<std::size_t>(machine_of(c.choice))];
    return std::ranges::any_of(outcome_.front, [&](const SimulatedLayout& f) {
      const double other = settings_.factor[static_cast<std::size_t>(machine_of(f.choice))];
      const double seconds = c.score / factor;
      return f.peak_gib <= c.peak_gib && to_seconds(f.step).value <= seconds &&
             to_seconds(f.step).value * other <= c.score;
    });
  }
  void add_to_front(const SimulatedLayout& r) {
    const auto no_better = [&](const SimulatedLayout& a, const SimulatedLayout& b) {  // b covers a
      const double fa = settings_.factor[static_cast<std::size_t>(machine_of(a.choice))];
      const double fb = settings_.factor[static_cast<std::size_t>(machine_of(b.choice))];
      return b.peak_gib <= a.peak_gib && b.step <= a.step &&
             to_seconds(b.step).value * fb <= to_seconds(a.step).value * fa;
    };
    if (std::ranges::any_of(outcome_.front, [&](const SimulatedLayout& f) { return no_better(r, f); }))
      return;
    std::erase_if(outcome_.front, [&](const SimulatedLayout& f) { return no_better(f, r); });
    outcome_.front.push_back(r);
    std::ranges::sort(outcome_.front, [](const SimulatedLayout& a, const SimulatedLayout& b) {
      return a.step != b.step ? a.step < b.step : a.choice < b.choice;
    });
  }

  const SearchSpace& space_;
  const SearchSettings& settings_;
  std::vector<MachineParts> parts_;
  ScheduleTable schedules_;
  std::deque<CellSearch> workers_;
  std::int64_t total_ = 0;
  SearchOutcome outcome_;
};

}  // namespace

SearchOutcome search_layouts(const SearchSpace& space, const SearchSettings& settings) {
  INVARIANT(settings.factor.size() == space.machines().size() && settings.threads > 0 && settings.top > 0);
  return Search(space, settings).run();
}

}  // namespace runcast
