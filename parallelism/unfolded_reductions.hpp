// Reductions of gradients over replicas in an unfolded step: the part of unfolded_execution that is the same for all
// cells. A reduction is one stage's of a step, or with ZeRO-2 of a group of micro-batches; by tensor coordinate, each of
// which is a group of replicas with a data stream of its own.
#pragma once

#include <vector>

#include "parallelism/unfolded_execution.hpp"

namespace runcast {

struct ReductionSlots {
  std::vector<UnfoldedReduction> reductions;
  // [pipeline rank][slot] the reduction that this slot's gradients complete, and the one that it waits for; -1: none.
  std::vector<std::vector<int>> of_slot, gate_of_slot;
};
ReductionSlots reductions_of(const UnfoldedPlan&);

// When the buckets of one group run, now that all members have told when they have them: one after the other, behind
// what the stream does. Moves the stream of [pipeline rank][tensor].
void schedule_group(const UnfoldedPlan&, UnfoldedReduction&, std::size_t tensor,
                    std::vector<std::vector<Time>>& stream_free);

// After the pipeline: what of the reductions is left; without overlap all of it, when the last replica has come.
void drain(const UnfoldedPlan&, const std::vector<std::vector<Time>>& stream_free, UnfoldedTrace&);

}  // namespace runcast
