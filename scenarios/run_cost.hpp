// The cost of a simulated run: what its GPUs do over the run joined with economics, spot capacity against on-demand, and
// where and when it would be cheaper or cleaner.
//   states of a GPU: the step's parts over the ledger's training time; saves; detection waits in a collective; the other
//   buckets of the ledger stand still
// Spot: the same run without preemption, on demand, is simulated beside it;
//   break-even discount = 1 - on-demand GPU-hours / spot GPU-hours           (failures.md: d > 1 - g_spot / g_od)
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

// GPUs and their states are means over the phases by their time.
nlohmann::ordered_json cost_json(const Scenario&, const RunInput&, const std::vector<RunPhase>&,
                                 const RunSummary&, const ExperimentOptions&);

}  // namespace runcast
