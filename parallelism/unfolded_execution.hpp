// Executes a step with every rank on a clock of its own (unfolded_plan). The rules of a slot, a message and a data
// stream are pipeline_execution's and step_work's; what is added is who meets whom:
//   in a pass      the members of a cell start each for itself, meet at the first collective, go on together at the
//                  pace of the slowest, and end each for itself
//   messages       from member to the same member of the next pipeline rank, each on a link of its own. Blocking
//                  transfers of a cell begin together.
//   data stream    a bucket of gradients is reduced when the last replica has it; slots that run beside are slowed
// Events are those of cells; the members of a cell are arrays that are walked in a row.
// Leaves out: collectives of different kinds in one cell have an order (all members meet in each).
#pragma once

#include <cstdint>
#include <vector>

#include "parallelism/unfolded_plan.hpp"

namespace runcast {

// A reduction of one stage's gradients (or of one group of micro-batches' of them).
struct UnfoldedReduction {
  int stage = 0;
  std::vector<int> ranks;  // pipeline ranks: one, or the two copies of DualPipe
  std::vector<int> slots;  // [of ranks] the slot after whose start it is announced
  int waiting = 0;         // cells that have not announced it yet
  bool scheduled = false;
  // By tensor coordinate:
  struct Group {
    std::vector<Time> ready;     // [bucket] when the last member has it
    std::vector<Time> begin;     // [bucket]
    Time end{};                  // of the last bucket
    std::vector<int> last_rank;  // [bucket] pipeline rank and member whose gradients came last
    std::vector<int> last_member;
  };
  std::vector<Group> groups;
};

struct UnfoldedTrace {
  int members = 1;
  std::vector<std::size_t> first_row;  // [pipeline rank]: row of its first slot
  std::vector<Time> start, end;        // [row][member]
  std::vector<Time> activation,
      gradient;  // [stage * microbatches + microbatch][member]: arrival of a slot's input
  // [pipeline rank][member] `drained` is before tied embeddings are summed.
  std::vector<Time> slots_end, drained, gradients_end;
  std::vector<UnfoldedReduction> reductions;
  // [pipeline rank][member] Waiting: for members of the cell inside passes, for messages, for the data stream (its
  // gate before a slot, and other replicas in the reductions).
  std::vector<Duration> cell_wait, message_wait, replica_wait;
  std::vector<Duration>
      gated;  // [pipeline rank][member] idle time before slots that the data stream held back
  std::int64_t rank_events = 0;   // ends of slots and arrivals of messages, of single ranks
  std::int64_t queue_events = 0;  // of the event queue: cells

  std::size_t at(int rank, std::size_t slot, int member) const {
    return (first_row[static_cast<std::size_t>(rank)] + slot) * static_cast<std::size_t>(members) +
           static_cast<std::size_t>(member);
  }
};

// INVARIANT: the plan is whole; nothing deadlocks.
UnfoldedTrace execute(const UnfoldedPlan&);

// How long compute of `beside` beside the data stream is slowed: as in step_work.
Duration slowed_beside(Duration beside, double share);

}  // namespace runcast
