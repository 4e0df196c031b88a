// The step at other batches and on other numbers of nodes, for the charts of a report. Values that the scenario's rules
// refuse, or that no layout divides, are left out.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "scenarios/library.hpp"

namespace runcast {

// Adds `mfu_by_batch` and `scaling_curve`, where each has two points or more. `scenario` is a resolved one.
void add_picture_studies(nlohmann::ordered_json& studies, const std::string& scenario, const Library&,
                         std::uint64_t seed);

}  // namespace runcast
