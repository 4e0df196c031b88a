// Private to the schedule builders: placements of stages on ranks, a writer for the order of one rank, and
// the builders that pipeline_schedules() lists. Whoever wants a schedule uses pipeline_schedule.hpp.
#pragma once

#include <algorithm>
#include <array>

#include "parallelism/pipeline_schedule.hpp"
#include "sim/error.hpp"

namespace runcast {

// ---- placements: which rank runs which stage -----------------------------------------------------------

inline PipelineSchedule empty_schedule(const ScheduleRequest& request, int chunks, int stages) {
  PipelineSchedule schedule;
  schedule.ranks = request.ranks;
  schedule.microbatches = request.microbatches;
  schedule.chunks = chunks;
  schedule.stages = stages;
  schedule.slots.resize(static_cast<std::size_t>(request.ranks));
  schedule.direction_of_microbatch.assign(static_cast<std::size_t>(request.microbatches), 0);
  return schedule;
}

// Round and round the ranks: stage s on rank s mod p, as its chunk s / p (Narayanan et al. 2021, sec. 2.2).
inline PipelineSchedule looped_placement(const ScheduleRequest& request) {
  PipelineSchedule schedule = empty_schedule(request, request.chunks, request.ranks * request.chunks);
  std::vector<int>& rank_of = schedule.rank_of_stage.emplace_back();
  for (int stage = 0; stage < schedule.stages; ++stage) rank_of.push_back(stage % request.ranks);
  return schedule;
}

// Down the ranks and back up: rank r has stages r and 2p-1-r (Qi et al. 2024; DualPipeV).
inline PipelineSchedule v_placement(const ScheduleRequest& request) {
  PipelineSchedule schedule = empty_schedule(request, 2, 2 * request.ranks);
  std::vector<int>& rank_of = schedule.rank_of_stage.emplace_back();
  for (int stage = 0; stage < schedule.stages; ++stage) {
    rank_of.push_back(std::min(stage, schedule.stages - 1 - stage));
  }
  return schedule;
}

// Two directions over the same p stages: rank r has stage r of one and p-1-r of the other. The first half of
// the micro-batches goes down the ranks, the second half up (DeepSeek-V3 2024, fig. 5).
inline PipelineSchedule bidirectional_placement(const ScheduleRequest& request) {
  PipelineSchedule schedule = empty_schedule(request, 2, request.ranks);
  schedule.rank_of_stage.resize(2);
  for (int stage = 0; stage < request.ranks; ++stage) {
    schedule.rank_of_stage[0].push_back(stage);
    schedule.rank_of_stage[1].push_back(request.ranks - 1 - stage);
  }
  const auto half = static_cast<std::ptrdiff_t>(request.microbatches / 2);
  std::fill(schedule.direction_of_microbatch.begin() + half, schedule.direction_of_microbatch.end(), 1);
  return schedule;
}

inline Slot make_slot(Pass pass, int chunk, int stage, int microbatch) {
  Slot slot;
  slot.pass = pass;
  slot.chunk = static_cast<std::int16_t>(chunk);
  slot.stage = stage;
  slot.microbatch = microbatch;
  return slot;
}

// Makes a forward slot one with the backward of another micro-batch.
inline void fuse(Slot& forward, int chunk, int stage, int microbatch) {
  INVARIANT(forward.pass == Pass::forward && (forward.microbatch != microbatch || forward.stage != stage));
  forward.pass = Pass::forward_backward;
  forward.backward_chunk = static_cast<std::int16_t>(chunk);
  forward.backward_stage = stage;
  forward.backward_microbatch = microbatch;
}

// Writes the slots of one rank that has one or two chunks, each of which takes its micro-batches in order:
// every pass of a chunk works on the next micro-batch that the chunk has not had in that pass.
class RankOrder {
 public:
  struct Chunk {
    int stage = 0;
    int forward = 0, backward = 0, weight = 0;  // the next micro-batch of each pass
  };
  RankOrder(std::vector<Slot>& slots, Chunk first, Chunk second) : slots_(slots), chunks_{first, second} {}
  RankOrder(std::vector<Slot>& slots, Chunk only) : RankOrder(slots, only, Chunk{}) {}

  void forward(int chunk = 0) { append(Pass::forward, chunk, at(chunk).forward++); }
  void input_gradient(int chunk = 0) { append(Pass::input_gradient, chunk, at(chunk).backward++); }
  void weight_gradient(int chunk = 0) { append(Pass::weight_gradient, chunk, at(chunk).weight++); }
  void backward(int chunk = 0) {  // both gradients at once
    INVARIANT(at(chunk).weight == at(chunk).backward);
    ++at(chunk).weight;
    append(Pass::backward, chunk, at(chunk).backward++);
  }
  void forward_backward(int forward_chunk, int backward_chunk) {
    append(Pass::forward_backward, forward_chunk, at(forward_chunk).forward++);
    Slot& slot = slots_.back();
    INVARIANT(at(backward_chunk).weight == at(backward_chunk).backward);
    ++at(backward_chunk).weight;
    slot.backward_chunk = static_cast<std::int16_t>(backward_chunk);
    slot.backward_stage = at(backward_chunk).stage;
    slot.backward_microbatch = at(backward_chunk).backward++;
  }
  const Chunk& chunk(int index) const { return chunks_[static_cast<std::size_t>(index)]; }

 private:
  Chunk& at(int chunk) { return chunks_[static_cast<std::size_t>(chunk)]; }
  void append(Pass pass, int chunk, int microbatch) {
    slots_.push_back(make_slot(pass, chunk, at(chunk).stage, microbatch));
  }
  std::vector<Slot>& slots_;
  std::array<Chunk, 2> chunks_;
};

// ---- builders: one file a family, each builder cites its paper -----------------------------------------

// zero_bubble_schedule.cpp
PipelineSchedule build_zb_h1(const ScheduleRequest&);
PipelineSchedule build_zb_h2(const ScheduleRequest&);
PipelineSchedule build_zb_v(const ScheduleRequest&);
// dualpipe_schedule.cpp
PipelineSchedule build_dualpipe(const ScheduleRequest&);
PipelineSchedule build_dualpipe_v(const ScheduleRequest&);

}  // namespace runcast
