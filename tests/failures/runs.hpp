// Small runs for the tests of this folder: one-second steps, one kind of failure, one restart time.
#pragma once

#include <string>

#include "failures/failure_process.hpp"
#include "failures/monte_carlo.hpp"

namespace runcast::test {

inline constexpr double kExact = 1e-12;  // lognormal sigma so small that every gap is the mean

inline FailureClass job_failure(EventRate rate, Action action = Action::retry) {
  FailureClass failure;
  failure.name = "any";
  failure.domain = Domain::job;
  failure.rate = {rate, ""};
  failure.action = action;
  return failure;
}

// A failure at each multiple of `gap`, to within nanoseconds.
inline FailureClass clockwork(double gap, Action action = Action::retry) {
  FailureClass failure = job_failure(EventRate(1 / gap), action);
  failure.law = Law::lognormal;
  failure.shape = kExact;
  return failure;
}

struct Saves {
  double interval, block, persist;  // s
};

// `steps` of 1 s; every failure costs `restart` seconds.
inline RunInput simple_run(std::int64_t steps, Saves saves, double restart) {
  RunInput in;
  in.steps.phases = {{steps, Seconds(1), {}}};
  in.scale = {1, 8, 1, 0};
  in.failures.clock = HazardClock::up;
  in.checkpoint.levels = {
      {"durable", Seconds(saves.interval), Seconds(saves.block), Seconds(saves.persist), Seconds(0), 1}};
  in.recovery.policy = find_recovery_policy("restart");
  in.recovery.times.start = to_clock(Seconds(restart));
  in.recovery.load = Seconds(0);
  return in;
}

inline double seconds_in(const RunResult& result, Bucket bucket) {
  return to_seconds(result.of(bucket)).value;
}

inline RunSummary trials(const RunInput& in, std::int64_t count, int threads = 2) {
  MonteCarloOptions options;
  options.trials = count;
  options.threads = threads;
  return monte_carlo(in, options);
}

// A failure model of the library, as a scenario would read it.
inline FailureModel library_failures(const std::string& name) {
  Document document =
      Document::load(std::string(RUNCAST_SOURCE_DIR) + "/scenarios/library/failures/" + name + ".yaml");
  FailureModel model = read_failures(document.root());
  document.finish();
  return model;
}

}  // namespace runcast::test
