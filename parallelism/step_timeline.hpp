// What each rank of one optimizer step does when, as slices on streams: the slots of the schedule, messages, the data
// stream's collectives, norm and optimizer, and every idle stretch with what it waits for. The compute and the idle
// stream together are the step without a gap or an overlap. For traces, Gantt charts and their comparison.
//   folded    any rank is its pipeline rank's representative      unfolded  each rank has its own times
//   layers and operators take their priced share of their slot, so that waiting inside a slot is spread over them
// Leaves out: the interleaving inside a fused forward_backward slot, whose halves are drawn one after the other.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "parallelism/memory.hpp"
#include "parallelism/unfolded_step.hpp"

namespace runcast {

enum class TimelineLevel { step, microbatch, layer, op };

enum class TimelineStream { scope, compute, group, expert, data, send, receive, checkpoint, idle };
inline constexpr int kTimelineStreams = 9;
std::string_view name_of(TimelineStream);

enum class SliceKind {
  scope,
  forward,
  backward,
  input_gradient,
  weight_gradient,
  forward_backward,
  layer,
  kernel,
  collective,
  gather,
  reduce,
  send,
  receive,
  optimizer,
  other,     // fixed time of a step, fitted spread of ranks
  loading,   // waits for samples
  bubble,    // nothing to do, and nothing on the way
  transfer,  // the message that the next slot waits for is on the way
  data_wait,
  barrier_wait
};
std::string_view name_of(SliceKind);

struct TimelineSlice {
  TimelineStream stream = TimelineStream::compute;
  SliceKind kind = SliceKind::forward;
  Time start, end;
  std::string name;                 // "F mb3 st2"
  int stage = -1, microbatch = -1;  // -1: of none
  int depth = 0;                    // 0 lies in no other slice of its stream
  int peer = -1;                    // send, receive: the other pipeline rank
  std::int64_t flow = -1;           // the same for both ends of a message
  // Of collectives and messages: over which ranks, and how much (a collective's full tensor; a bucket).
  CommunicationGroup group = CommunicationGroup::data;
  Collective collective = Collective::send_receive;
  Bytes size{};
};

// A micro-batch's activations of a stage come to the rank, or go.
struct MemoryChange {
  Time at;
  int stage = 0, microbatch = 0;
  bool comes = true;
  Bytes size;
};

struct MemoryPoint {
  Time at;
  Bytes activations;  // kept for backward passes
};

struct RankTimeline {
  RankId rank;
  int tensor = 0, context = 0, data = 0, pipeline = 0;
  NodeId node;
  Time begin, end;                    // end - begin is the step
  std::vector<TimelineSlice> slices;  // by stream, start, and depth
  Bytes other_memory;                 // all that is no activation; with the highest point it is the peak
  std::vector<MemoryPoint> memory;
  std::vector<MemoryChange> changes;  // what the points are the sums of
};

// One collective of a timeline's text: "AG", "RS".
std::string_view short_name(Collective);

// What a folded timeline is made of.
struct StepRecord {
  StepResult step;
  Layout layout;
  PipelineSchedule schedule;
  MemoryReport memory;       // of each pipeline rank
  std::vector<Bytes> kept;   // [stage] of a micro-batch, from its forward pass to the end of its backward
  std::vector<NodeId> node;  // [rank]
  bool blocking = false;     // messages hold both ranks
  bool barrier = true;       // before the optimizer
  bool scattered = true;     // gradients are reduce-scattered
  Bytes message{};           // of one micro-batch between stages
};

class StepTimeline {
 public:
  explicit StepTimeline(StepRecord);
  // Folded where `conditions` is nullptr. `level` layer or op also prices the layers.
  StepTimeline(const StepInput&, const RankConditions* conditions, std::uint64_t seed, const MemoryReport&,
               TimelineLevel level);
  // Of a step that was simulated already, down to the micro-batches: folded with its data spans, or unfolded.
  StepTimeline(const StepInput&, const MemoryReport&, StepResult);
  StepTimeline(const StepInput&, const MemoryReport&, const RankConditions&, std::uint64_t seed,
               const UnfoldedResult&);
  ~StepTimeline();
  StepTimeline(StepTimeline&&) noexcept;

  const StepResult& step() const { return step_; }
  const Layout& layout() const { return layout_; }
  TimelineLevel level() const { return level_; }
  bool unfolded() const { return model_ != nullptr; }
  int stages() const { return schedule_.stages; }
  RankId last() const { return last_; }  // the rank that ends last
  // The ranks that a picture shows unless told otherwise, in that order: the representative of each pipeline rank;
  // unfolded first those on the critical path.
  std::vector<RankId> usual_ranks() const;
  RankTimeline of(RankId) const;

 private:
  struct Message {
    bool sent = false;
    int peer = 0, stage = 0, microbatch = 0;
    bool forward = true;
    Time start, end;
  };
  // What one rank did, folded or not.
  struct Times {
    std::vector<SlotSpan> slots;
    std::vector<Message> messages;
    std::vector<DataSpan> data;
    Time begin, slots_end, gradients;
    Duration optimizer;
  };
  struct Coordinates {
    int tensor, context, data, pipeline;
  };

  void follow_all_ranks(const StepInput&, const RankConditions&, std::uint64_t seed);
  void price_parts(const StepInput&);
  Coordinates at(RankId) const;
  Times times_of(RankId) const;
  Times folded_times(int pipeline) const;
  Times unfolded_times(int pipeline, int member) const;
  void add_unfolded_data(Times&, int pipeline, int member) const;
  void add_message(Times&, int pipeline, int member, int from, int to, bool forward, int stage,
                   int microbatch) const;
  void add_slots(RankTimeline&, const Times&) const;
  void add_parts(RankTimeline&, const Slot&, Time start, Time end) const;
  void add_layers(RankTimeline&, Pass, int stage, int microbatch, Time start, Time end, int depth) const;
  void add_operators(RankTimeline&, const PartPass&, Time start, Time end, int depth) const;
  void add_messages(RankTimeline&, const Times&) const;
  void add_data(RankTimeline&, const Times&) const;
  void add_idle(RankTimeline&, const Times&) const;
  void add_end(RankTimeline&, const Times&) const;
  void add_scopes(RankTimeline&, const Times&) const;
  void add_memory(RankTimeline&, const Times&) const;

  StepResult step_;
  Layout layout_;
  PipelineSchedule schedule_;
  MemoryReport memory_;
  TimelineLevel level_;
  bool blocking_ = false, barrier_ = true, scattered_ = true;
  Bytes message_;
  std::vector<Bytes> gather_bucket_,
      reduce_bucket_;     // [stage] of one collective of the data stream; level op
  Time all_gradients_{};  // of the last rank
  Duration optimizer_{};  // with the norm before it, of the slowest rank
  RankId last_{0};
  std::vector<NodeId> node_;  // [rank]
  std::vector<Bytes> kept_;   // [stage] of a micro-batch
  std::vector<std::vector<StagePart>> parts_;
  std::unique_ptr<UnfoldedModel> model_;  // unfolded
  std::unique_ptr<UnfoldedTrace> trace_;
  std::vector<int> row_of_rank_;  // [rank] pipeline rank * members + member
  std::vector<RankId> path_;      // on the critical path, in its order
};

}  // namespace runcast
