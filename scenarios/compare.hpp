// Scenarios side by side: the inputs that differ, the outputs, and the differences of step time and of days in terms
// that sum to them.
//   step   the terms of breakdown_s, of the rank that ends last
//   days   the run's ledger; its useful time by the terms of the step. Ledgers and terms sum to the whole, and so do
//          their differences.
// The first scenario is what the others are compared with; all on one seed, so that they meet the same failures.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "scenarios/experiment.hpp"
#include "scenarios/scenario_source.hpp"

namespace runcast {

nlohmann::ordered_json compare_document(const std::vector<ScenarioSource>&, const Library&,
                                        const ExperimentOptions&);

}  // namespace runcast
