// The weeks of one experiment: steps as data for failures/, the run's Monte Carlo, and what it says as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "failures/monte_carlo.hpp"
#include "scenarios/experiment.hpp"
#include "scenarios/run_cost.hpp"

namespace runcast {

// The stretches of the run in their order: phases before the main stretch, the main one, phases after it. Those without
// a whole token left are not there.
std::vector<RunPhase> run_phases(const Scenario&, const StepExperiment& main, std::uint64_t seed);
nlohmann::ordered_json phases_json(const std::vector<RunPhase>&);
// The steps as data (phases, and fewer replicas where the policy goes on without some).
StepTimes step_times(const Scenario&, const std::vector<RunPhase>&, std::uint64_t seed);
StepTimes step_times(const Scenario&, const StepExperiment& main, std::uint64_t seed);
// What training_run follows; `interval: optimal` is searched by simulation. ConfigError for a run that cannot
// be simulated.
RunInput run_input(const Scenario&, const StepTimes&, const StepExperiment&, const ExperimentOptions&);

struct RunOutcome {
  nlohmann::ordered_json run, cost;
  bool finishes = false;  // any of its trials
};
// `phases`: for what the GPUs do in their steps, and how many there are.
RunOutcome run_outcome(const Scenario&, const RunInput&, const std::vector<RunPhase>& phases,
                       const ExperimentOptions&);

// One trial's events and stretches of time.
nlohmann::ordered_json trial_log(const RunInput&, std::uint64_t seed, std::int64_t trial);

// What `goodput` tells besides: simulated curves of interval and spares, the run over time, the band with
// uncertain rates, and one trial's events where they are asked for. `finishes`: whether any trial of the run did;
// otherwise fewer are played here.
nlohmann::ordered_json run_studies(const Scenario&, const RunInput&, const std::vector<RunPhase>&,
                                   bool finishes, const ExperimentOptions&);

// Alternatives of one key on the same failures; the first is what the others are compared with.
struct RunAlternative {
  std::string name;
  RunInput input;
};
nlohmann::ordered_json comparison(const std::vector<RunAlternative>&, const ExperimentOptions&);

}  // namespace runcast
