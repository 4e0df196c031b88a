// A pipeline schedule made ready to be timed many times: its slots in one order in which every slot comes after those
// that it waits for, so that a sweep without an event queue gives each slot the start and the end that the executor
// (pipeline_execution) gives it. Holds where no slot's time depends on who came first on the clock: messages that
// their sender does not wait for, and stages on one rank each. `sweeps` tells; other steps go through the executor.
// The data-parallel streams are step_work's: it is asked where a slot may meet one, all other slots have fixed lengths.
#pragma once

#include <cstdint>
#include <vector>

#include "parallelism/pipeline_execution.hpp"
#include "parallelism/pipeline_schedule.hpp"

namespace runcast {

class StepWork;

// Whether the schedule runs weight gradients apart.
bool has_split_backward(const PipelineSchedule&);

class SlotProgram {
 public:
  // `group`: micro-batches between two reductions of ZeRO-2 (interleaving_group_size).
  SlotProgram(PipelineSchedule schedule, int group);

  const PipelineSchedule& schedule() const { return schedule_; }
  bool split_backward() const { return split_; }
  bool sweeps(PointToPoint mode) const {
    return (mode != PointToPoint::blocking || schedule_.ranks == 1) && !operations_.empty();
  }
  // Start of the first slot and end of the last one, by rank. `grouped`: gradients leave after each group (ZeRO-2).
  void sweep(StepWork&, bool grouped, std::vector<Time>& first, std::vector<Time>& last) const;
  std::size_t bytes() const;  // of memory, for whoever keeps programs

 private:
  struct Operation {
    std::int32_t input = -1, second_input = -1;     // messages that it waits for
    std::int32_t output = -1, second_output = -1;   // messages that it sends
    std::int32_t length = 0;                        // index of its fixed length
    std::int32_t slot = 0;                          // of its rank
    std::int32_t backwards = 0;                     // of its stage before it
    std::uint16_t rank = 0, to = 0, second_to = 0;  // it runs on; its messages go to
    std::uint8_t marks = 0;
  };
  void order();
  Operation operation_of(int rank, std::size_t slot, std::vector<std::int32_t>& backwards) const;
  std::int32_t length_of(const Slot&);

  PipelineSchedule schedule_;
  bool split_ = false;
  int group_ = 1;
  std::vector<Operation> operations_;       // empty: needs the executor
  std::vector<Slot> lengths_;               // a slot of each fixed length
  std::vector<std::int32_t> plain_length_;  // [stage * 4 + pass] -> length; fused pairs are looked up
};

}  // namespace runcast
