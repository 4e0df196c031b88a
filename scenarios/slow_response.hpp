// What a slow node, or a slow cable, makes of the whole step: the step simulated again with that fault and every rank on
// its own clock (parallelism/unfolded_step), for a few severities, as a table that failures/ reads as data.
//   step with the fault over step without, mean of a node of the first, of the middle and of the last pipeline stage
// The faults of a synchronous job do not add: the slowest decides (failures/straggler).
// Large jobs of equal replicas are represented by some of them, 2,048 ranks: all wait for the slow one alike.
// Leaves out: faults that begin or end within a step.
#pragma once

#include <cstdint>
#include <vector>

#include "failures/hazard.hpp"
#include "scenarios/scenario.hpp"

namespace runcast {

// The table of one class of action `slow`; `step` is the step without it.
std::vector<SlowPoint> slow_response(const Scenario&, const FailureClass&, Seconds step, std::uint64_t seed);

// The model's classes with their tables, but for those whose sensitivity the user has given.
FailureModel with_slow_responses(const Scenario&, Seconds step, std::uint64_t seed);

}  // namespace runcast
