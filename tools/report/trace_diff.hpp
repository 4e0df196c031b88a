// Which slots moved between two steps: slots of the same pipeline rank, pass, stage and micro-batch are compared.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parallelism/step_timeline.hpp"
#include "tools/report/style.hpp"

namespace runcast {

// {"step_s": {a, b}, "stages": [...], "only_in_a", "only_in_b", "reordered", "rows": [a slot that moved each, in the
// order of B's start]}.
nlohmann::ordered_json trace_diff(const StepTimeline& a, const StepTimeline& b);
std::string diff_screen(const nlohmann::ordered_json& document, const Style&);

}  // namespace runcast
