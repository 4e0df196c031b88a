// What the GPUs do, over time: of one step in equal slices, of a run by state.
//   busy    a kernel runs: a pass of the schedule, with the collectives inside it, or the optimizer; what tools that poll a
//           GPU call its utilization. MFU tells what such a kernel achieves
//   waits   for a message or a reduction (communication), for another stage (bubble), for samples (loading); other:
//           fixed time of a step
// A step is that of the representative of each pipeline rank, all of them weighing the same.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>

#include "parallelism/step_timeline.hpp"
#include "scenarios/economics.hpp"

namespace runcast {

// {"busy": of the step, "slices": [{"end_s", "busy", "communication", "bubble", "loading", "other"}]}; each slice's
// shares sum to 1.
nlohmann::ordered_json step_activity_json(const StepTimeline&, int slices = 40);

// Shares of wall time by kPowerStateNames.
nlohmann::ordered_json states_json(const StateShares&);

}  // namespace runcast
