// `search` as a document: the best layouts for a cluster, the front of time, memory and cost, why layouts were rejected,
// and what nearly fits. Every listed layout was simulated.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "scenarios/experiment.hpp"
#include "scenarios/search_engine.hpp"

namespace runcast {

// What is best: names of --objective.
//   step_time          seconds of a step
//   tokens_per_dollar  tokens of a step over what its GPU-hours cost
//   days               of the whole run, with failures, by `trials` runs on the same failures
//   energy             of the whole run, likewise
struct SearchQuestion {
  SearchAxes axes;
  std::string objective = "step_time";
  std::size_t top = 10;
  // Whether a row of the answer (layout keys, step_s, mfu, peak_gib, usd_per_1t_tokens) may be listed; may be empty.
  std::function<bool(const nlohmann::ordered_json& row)> allowed;
  std::function<bool()> stop;
};
std::vector<std::string> search_objectives();

nlohmann::ordered_json search_document(const ScenarioSource&, const SearchQuestion&, const Library&,
                                       const ExperimentOptions&);

}  // namespace runcast
