// The pipeline's Gantt chart in characters, for a terminal: a row a stage, time across.
#pragma once

#include <string>

#include "parallelism/step_timeline.hpp"
#include "tools/report/style.hpp"

namespace runcast {

// A character is what its stretch of time is mostly spent on; of many stages some are drawn.
std::string gantt_text(const StepTimeline&, const Style&, std::size_t columns = 72);

}  // namespace runcast
