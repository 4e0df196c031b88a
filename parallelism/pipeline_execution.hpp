// Executes a pipeline schedule slot by slot on the event queue, with simulated transfers between the ranks.
// A slot starts when its rank is free, all earlier slots of its rank have run, its input has arrived, and the
// caller lets it. There is no bubble formula here; the formulas are the tests.
//
// Transfers, per message of `PipelineWork::transfer`:
//   overlapped, async  the sender goes on at once; messages of one direction between two ranks queue on their
//                      link one behind the other; the receiver's slot waits for the arrival
//   blocking           sender and receiver are both busy for the whole transfer: it begins when neither
//                      computes, and neither computes until it is over. The receiver takes what comes between
//                      two slots, wanted now or later; sends and receives of one moment run together, as
//                      batched ones do (batch_isend_irecv), but those of one link one behind the other.
// A forward's output goes to the rank of the next stage, an input gradient to the rank of the previous one;
// to the rank itself it takes no time. A transfer of no length holds nobody. A last stage's backward waits
// for its own forward, a weight gradient for its input gradient.
#pragma once

#include <vector>

#include "parallelism/pipeline_schedule.hpp"
#include "sim/event_queue.hpp"
#include "sim/units.hpp"

namespace runcast {

enum class PointToPoint { blocking, async, overlapped };

// What the slots cost: the caller's side of the execution.
class PipelineWork {
 public:
  virtual ~PipelineWork() = default;
  // How long this slot keeps its rank's compute stream busy when it starts at `start`.
  virtual Duration duration(int rank, const Slot&, Time start) = 0;
  // The earliest start that something outside the pipeline allows (a parameter all-gather); Time{0} = any.
  // Asked when all else that the slot waits for is known, and again before it starts.
  virtual Time not_before(int rank, const Slot&) = 0;
  // Transfer of one message from `from_rank` to `to_rank`, asked when it is sent: `forward` for activations,
  // `backward` or `input_gradient` for gradients. Not asked when both are one rank.
  virtual Duration transfer(int from_rank, int to_rank, Pass) = 0;
  // Told at the end of each slot, in event order (gradients of a stage are ready, activations are free).
  virtual void finished(int rank, const Slot&, Time start, Time end) = 0;
};

struct SlotSpan {
  Slot slot;
  Time start, end;
};
struct TransferSpan {
  int from_rank = 0, to_rank = 0;
  Pass pass = Pass::forward;      // as in PipelineWork::transfer
  int stage = 0, microbatch = 0;  // of the slot (or the half of forward_backward) that sent it
  Time start, end;
};

struct PipelineTrace {
  Duration makespan;                         // from 0 to the end of the last slot
  std::vector<std::vector<SlotSpan>> ranks;  // [rank], in time order
  std::vector<TransferSpan> transfers;       // by start time, then rank; zero-length ones are left out
  std::vector<Duration> busy;                // [rank] sum of slot durations
  std::vector<Duration> idle_inside;         // [rank] gaps between its first start and its last end
  // [rank] The part of all its idle time in which its next slot's input had been sent and was not yet there
  // (its wait for the link included); blocking: in which a transfer held the rank.
  std::vector<Duration> transfer_wait;
};

// Runs the queue until it is empty. INVARIANT: the queue's clock stands at 0 (it may hold events of the
// caller); every slot is of a stage that its rank has; nothing deadlocks, otherwise InternalError names the
// first stuck slot and the cycle of ranks that wait for each other.
PipelineTrace execute(const PipelineSchedule&, PointToPoint, PipelineWork&, EventQueue&);

}  // namespace runcast
