// The cost of a simulated run: what its GPUs do over the run joined with economics, spot capacity against on-demand, and
// where and when it would be cheaper or cleaner.
//   states of a GPU: the step's parts over the ledger's training time; saves; detection waits in a collective; the other
//   buckets of the ledger stand still
// Spot: the scenario with capacity on demand and no preemption is simulated beside it, with spares and saves of its own;
//   break-even discount: spot hours x (1 - d) + on-demand hours + the rest = on demand in all
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "failures/monte_carlo.hpp"
#include "scenarios/experiment.hpp"

namespace runcast {

// A stretch of the run with its own step.
struct RunPhase {
  std::string name;
  double tokens = 0;
  std::int64_t steps = 0;
  Scenario scenario;  // as it is in this stretch
  StepResult step;
  double time() const {
    return static_cast<double>(steps) * to_seconds(step.time).value;
  }  // s, of all its steps
};

// `in_step`: shares of training time computing, communicating and waiting.
StateShares state_shares(const std::array<double, 3>& in_step, const std::array<double, kBuckets>& ledger);
std::array<double, 3> shares_in_step(const StepBreakdown&);
std::array<double, 3> shares_in_step(const std::vector<RunPhase>&);  // mean over their time

// The run of the scenario on demand, where its capacity is spot.
struct OnDemandRun {
  RunInput input;
  RunSummary result;
};
// GPUs and their states are means over the phases by their time. `on_demand` may be null.
nlohmann::ordered_json cost_json(const Scenario&, const RunInput&, const std::vector<RunPhase>&,
                                 const RunSummary&, const OnDemandRun* on_demand);
// Share of the trials that end and cost, by the rules of cost.total_usd, at most `budget`.
double probability_within(const Scenario&, const RunInput&, const std::vector<RunPhase>&, const RunSummary&,
                          const TrialFigures&, Dollars budget);

}  // namespace runcast
