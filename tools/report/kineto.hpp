// Traces as PyTorch's profiler (Kineto) writes them, one file a rank, for Holistic Trace Analysis:
//   "rank": N with the space, which HTA finds by a regular expression [hta/common/trace_parser.py]
//   whole microseconds; kernels have args.stream, those of collectives are named nccl..., steps are ProfilerStep#k
// And the allocations of one rank as torch.cuda.memory._snapshot() tells them, for pytorch.org/memory_viz.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "parallelism/step_timeline.hpp"

namespace runcast {

// One rank's file. `steps`: the same step so many times, one after the other; HTA needs two or more of them.
std::string kineto_trace(const StepTimeline&, RankId, int steps = 2);

// A JSON document that memory_viz opens: an allocation for what stays, one for each micro-batch in each stage.
std::string memory_snapshot(const StepTimeline&, RankId);

}  // namespace runcast
