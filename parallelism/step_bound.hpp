// The least time that a step can take, by inequations over its slots; never above the simulated time.
// For each pipeline rank, what must happen one after the other:
//   start    the forwards and messages of the stages before its first one, and its first bucket of parameters
//   busy     all its slots; with blocking messages also those that it sends, since it computes nothing meanwhile
//   tail     where its last slot is the backward of its first stage (gpipe, 1f1b, interleaved): the backwards and
//            messages of the stages before it
//   gradients  the last bucket after the last slot, or all of them without overlap; or the whole data stream
// then the slowest optimizer, the norm, and what a step has beside its slots. Slots that fuse a forward with a
// backward count without their expert traffic and without the host. Equal for equal stages in the schedules of the
// 1F1B family; below for zero-bubble ones, whose warm-up it does not count.
#pragma once

#include <vector>

#include "parallelism/stage_kinds.hpp"
#include "parallelism/step_work.hpp"

namespace runcast {

// Of one kind of stages.
struct StageFloor {
  Duration forward, backward, split_backward;  // whole; the last is input and weight gradient apart
  Duration bare_forward, bare_backward;        // what is left where they run in one slot with another
  static StageFloor of(const StageCost&, bool split);
};

struct StepFloor {
  const StageKinds* kinds = nullptr;
  const std::vector<std::vector<int>>* rank_of_stage = nullptr;  // as in PipelineSchedule
  std::vector<StageFloor> stages;                                // [kind]
  std::vector<StageTraffic> traffic;                             // [kind]
  std::vector<Duration> down, up;  // [rank] message to the next rank of the ring, to the one before
  Duration optimizer;              // of the slowest rank
  Duration norm;
};

// Of a step whose stages cost `of_kind`.
StepFloor step_floor(const StepInput&, const GroupTable&, const StageKinds&,
                     const std::vector<StageCost>& of_kind,
                     const std::vector<std::vector<int>>& rank_of_stage, bool split_backward);
// Its parts, for whoever keeps them.
std::vector<StageTraffic> kind_traffic(const StepInput&, const GroupTable&, const StageKinds&,
                                       const std::vector<std::vector<int>>& rank_of_stage);
Duration slowest_optimizer(const StepInput&, const StageKinds&,
                           const std::vector<std::vector<int>>& rank_of_stage);
void add_messages(StepFloor&, const StepInput&, const GroupTable&);

Duration least_step_time(const StepInput&, const StepFloor&);

}  // namespace runcast
