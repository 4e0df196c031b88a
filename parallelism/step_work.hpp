// The work of one step as the pipeline's executor asks for it: passes in clock time, messages between stages, and
// beside them the data-parallel stream of each pipeline rank.
//   ZeRO-0/1  gradients are reduced bucket by bucket during each stage's last backward; ZeRO-1 parameters are
//             gathered before each stage's first forward                       [Megatron distributed optimizer]
//   ZeRO-2    gradients of a stage are reduce-scattered after each group of N micro-batches (LLaMA 3)
//   DualPipe  both copies of a stage are one data-parallel group: the later one starts the reduction
//   tied      the embedding's gradient is summed over first and last stage after their last reduction
// Leaves out: contention between different collectives on one link. Private to training_step.
#pragma once

#include <vector>

#include "parallelism/training_step.hpp"

namespace runcast {

// A pass in clock time, part by part, so that breakdowns sum exactly.
struct ClockCost {
  Duration compute, tensor, context, expert, data, host;
  Duration total() const { return compute + tensor + context + expert + data + host; }
  static ClockCost of(const PassCost&);
  ClockCost& operator+=(const ClockCost&);
};

// Collectives of one kind on a stream.
struct Traffic {
  Duration busy{};
  std::int64_t count = 0;
  Bytes bytes;
  void add(Duration time, std::int64_t collectives, Bytes size);
};

// The data-parallel stream of one pipeline rank.
struct DataStream {
  Time free{};  // end of the last collective issued
  Traffic reduction, gather;
  Duration stretched{};     // time that slots gained by sharing the GPU with it, or by waiting inside for it
  Duration gate_wait{};     // of slots, for the stream, before they start
  Duration opening_wait{};  // the first slot's part of it
  std::vector<DataSpan> spans;
};

// What one stage's parameters move between the replicas of its rank.
struct StageTraffic {
  double parameters = 0;        // of this stage on this rank
  Duration gather{}, reduce{};  // one whole collective each
  int buckets = 1;
};
StageTraffic stage_traffic(const StepInput&, const GroupTable&, const RankParameters& held);
// What a stage adds to its rank: tied embeddings count once where a V brings both ends to one rank.
RankParameters stage_parameters(const StepInput&, const std::vector<std::vector<int>>& rank_of_stage,
                                int stage);

// A message of one micro-batch between two pipeline ranks, and its bytes.
Bytes message_bytes(const StepInput&);
Duration message_time(const StepInput&, const GroupTable&, int from_rank, int to_rank);

class StepWork final : public PipelineWork {
 public:
  StepWork(const StepInput&, const PipelineSchedule&, const GroupTable&, const std::vector<StageCost>&,
           bool free_transfers);

  Duration duration(int rank, const Slot&, Time start) override;
  Time not_before(int rank, const Slot&) override;
  Duration transfer(int from_rank, int to_rank, Pass) override;
  void finished(int, const Slot&, Time, Time) override {}

  // After the pipeline: when each rank has its reduced gradients, tied embeddings included; `last_end` by rank.
  std::vector<Time> drain(const std::vector<Time>& last_end);

  const DataStream& stream(int rank) const { return streams_[static_cast<std::size_t>(rank)]; }
  const ClockCost& spent(int rank) const { return spent_[static_cast<std::size_t>(rank)]; }
  Bytes message() const { return message_; }

  // What every rank's work is made of (unfolded_step).
  struct StageState : StageTraffic {  // parameters 0 = not here
    Time first_bucket{}, gathered{}, reduced{};
    bool started = false;
    std::int64_t backwards = 0;
  };
  const StageState& state(int rank, int stage) const {
    return per_stage_[static_cast<std::size_t>(rank)][static_cast<std::size_t>(stage)];
  }
  ClockCost cost_of(const Slot&) const;
  std::int64_t group() const { return group_; }  // micro-batches between two reductions of ZeRO-2
  // How many backwards of the stage the rank has run, for a caller that does not tell each slot (slot_program).
  void set_backwards(int rank, int stage, std::int64_t count) {
    per_stage_[static_cast<std::size_t>(rank)][static_cast<std::size_t>(stage)].backwards = count;
  }
  double overlap_slowdown() const;        // of compute beside the data stream
  Duration tied_embeddings_time() const;  // 0: nothing to sum

 private:
  // A stage on two ranks: whether one of them has its gradients ready, and since when.
  struct Twin {
    bool waiting = false;
    Time ready{};
  };

  void prepare_transfers();
  void prepare_data();
  void schedule_gathers();
  Duration stretch(std::size_t r, Duration base, Time start) const;
  Duration slowdown(Duration beside) const;
  Duration wait_for_parameters(std::size_t r, const Slot&, Time start, Duration length);
  bool ends_gradients(std::size_t r, const Slot&);
  Duration reduce_gradients(std::size_t r, const Slot&, Time start, Duration length);
  void reduce_with_twin(std::size_t stage, Time ready);
  Time drain_rank(std::size_t r, Time last_end);
  void sum_tied_embeddings(std::vector<Time>& ends);
  void record(std::size_t r, DataSpan::Kind kind, std::size_t stage, int bucket, Time start, Duration length);
  Bytes tied_embeddings() const;
  double reduce_bytes() const { return in_.profile->reduce_bytes; }

  const StepInput& in_;
  const PipelineSchedule& schedule_;
  const std::vector<StageCost>& costs_;
  double slots_ = 0;  // what a step has at most of passes, transfers and reductions
  const GroupTable& groups_;
  struct ClockStage {
    ClockCost forward, backward, input_gradient, weight_gradient;
  };
  std::vector<ClockStage> stages_;
  std::vector<DataStream> streams_;
  std::vector<ClockCost> spent_;
  std::vector<Time> previous_end_;
  std::vector<std::vector<StageState>> per_stage_;  // [rank][stage]
  std::vector<Twin> twins_;                         // [stage], of DualPipe
  std::vector<Duration> transfers_;                 // [from * p + to]
  Bytes message_;
  std::int64_t group_ = 1;  // micro-batches between two reductions of ZeRO-2
};

}  // namespace runcast
