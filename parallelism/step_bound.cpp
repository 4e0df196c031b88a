// The inequations rank by rank, stage by stage; they are stated in the header.
#include "parallelism/step_bound.hpp"

#include <algorithm>
#include <string_view>

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// Rounded down, with a nanosecond for the sum of doubles: parts are rounded up one by one on the clock.
Duration bare(const PassCost& cost) {
  const double ns = (cost.gpu() - cost.expert + cost.offload).value * 1e9;
  return {std::max<std::int64_t>(0, static_cast<std::int64_t>(ns) - 1)};
}

// What one rank has to do, summed over its stages.
struct RankFloor {
  Duration start{}, busy{}, gathers{}, reductions{}, sends{}, last_send{}, tail{};
  Duration gate{INT64_MAX}, last_bucket{INT64_MAX};
  bool used = false;
};

class Floors {
 public:
  Floors(const StepInput& in, const StepFloor& floor)
      : in_(in), f_(floor), stages_(static_cast<int>(floor.kinds->of_stage.size())) {
    const std::string_view name = in.schedule->row->name;
    ends_with_first_stage_ = name == "gpipe" || name == "1f1b" || name == "interleaved_1f1b";
    twice_ = floor.rank_of_stage->size() > 1;
    fuses_ = in.schedule->fuse_pairs || name.starts_with("dualpipe");
    splits_ = name.starts_with("zb_");
    ranks_.resize(index(in.layout->pipeline));
    for (const std::vector<int>& rank_of : *floor.rank_of_stage) follow(rank_of);
  }

  Duration least() const {
    Duration least{};
    const bool barrier = in_.schedule->gradient_norm == GradientNorm::barrier;
    const bool blocking = in_.schedule->point_to_point == PointToPoint::blocking && !fuses_;
    const bool hidden = in_.training->overlap.data && in_.profile->overlap_parameters;
    for (const RankFloor& rank : ranks_) {
      if (!rank.used) continue;
      const Duration held = blocking ? rank.sends - std::min(rank.sends, rank.last_send) : Duration{};
      const Duration busy = rank.busy + held;
      if (!barrier) {
        least = std::max(least, rank.busy);
        continue;
      }
      const Duration slots = std::max(rank.start, hidden ? rank.gate : rank.gathers) + busy;
      least = std::max(least, gradients(rank, slots));
      if (ends_with_first_stage_) least = std::max(least, slots + rank.tail);
    }
    StepBreakdown whole;
    whole.other =
        least + (barrier ? f_.optimizer + f_.norm : Duration{}) + to_clock(in_.profile->step_overhead);
    add_job_time(whole, in_);
    return whole.total();
  }

 private:
  // Of a message from rank to rank; neighbours on the ring have links.
  Duration message(int from, int to) const {
    if (from == to) return {};
    return to == (from + 1) % static_cast<int>(ranks_.size()) ? f_.down[index(from)] : f_.up[index(from)];
  }

  // One direction's stages in their order.
  void follow(const std::vector<int>& rank_of) {
    const std::int64_t m = in_.microbatches / (twice_ ? 2 : 1);
    Duration before{}, after{};  // forwards, and backwards, of the stages so far with their messages
    for (int s = 0; s < stages_; ++s) {
      const auto kind = index(f_.kinds->of_stage[index(s)]);
      const StageFloor& stage = f_.stages[kind];
      const StageTraffic& traffic = f_.traffic[kind];
      const Duration forward = fuses_ ? stage.bare_forward : stage.forward;
      const Duration backward = fuses_    ? stage.bare_backward
                                : splits_ ? stage.split_backward
                                          : stage.backward;
      const int here = rank_of[index(s)];
      const Duration down = s + 1 < stages_ ? message(here, rank_of[index(s + 1)]) : Duration{};
      const Duration up = s > 0 ? message(here, rank_of[index(s - 1)]) : Duration{};
      after += up;
      RankFloor& rank = ranks_[index(here)];
      if (!rank.used || before < rank.start) {
        rank.start = before;
        rank.tail = after;
      }
      rank.used = true;
      const Duration bucket{traffic.reduce.ns / traffic.buckets};
      rank.busy += (forward + backward) * m;
      rank.gathers += traffic.gather;
      rank.reductions += traffic.reduce;
      rank.sends += (down + up) * m;
      rank.last_send = std::max(rank.last_send, up);
      rank.gate = std::min(rank.gate, Duration{traffic.gather.ns / traffic.buckets});
      rank.last_bucket = std::min(rank.last_bucket, bucket - std::min(bucket, Duration{traffic.buckets}));
      before += forward + down;
      after += backward;
    }
  }

  Duration gradients(const RankFloor& rank, Duration slots) const {
    if (!in_.training->overlap.data) return slots + rank.reductions;
    const bool grouped = in_.training->sharding.kind == Sharding::Kind::zero2;
    const std::int64_t group = interleaving_group_size(in_.schedule->request(*in_.layout, in_.microbatches));
    const std::int64_t times = grouped && !twice_ ? (in_.microbatches + group - 1) / group : 1;
    const Duration last_bucket = twice_ ? Duration{} : rank.last_bucket;
    return std::max(slots + last_bucket, rank.gathers + rank.reductions * times);
  }

  const StepInput& in_;
  const StepFloor& f_;
  int stages_;
  std::vector<RankFloor> ranks_;
  bool ends_with_first_stage_ = false, twice_ = false, fuses_ = false, splits_ = false;
};

}  // namespace

StageFloor StageFloor::of(const StageCost& cost, bool split) {
  StageFloor floor;
  floor.forward = ClockCost::of(cost.forward.cost).total();
  floor.backward = ClockCost::of(cost.backward.cost).total();
  floor.bare_forward = bare(cost.forward.cost);
  floor.bare_backward = bare(cost.backward.cost);
  if (!split) return floor;
  floor.split_backward =
      ClockCost::of(cost.input_gradient.cost).total() + ClockCost::of(cost.weight_gradient.cost).total();
  floor.bare_backward =
      std::min(floor.bare_backward, bare(cost.input_gradient.cost) + bare(cost.weight_gradient.cost));
  return floor;
}

std::vector<StageTraffic> kind_traffic(const StepInput& in, const GroupTable& groups, const StageKinds& kinds,
                                       const std::vector<std::vector<int>>& rank_of_stage) {
  std::vector<StageTraffic> traffic;
  for (const int stage : kinds.example)
    traffic.push_back(stage_traffic(in, groups, stage_parameters(in, rank_of_stage, stage)));
  return traffic;
}

Duration slowest_optimizer(const StepInput& in, const StageKinds& kinds,
                           const std::vector<std::vector<int>>& rank_of_stage) {
  Duration slowest{};
  std::vector<std::vector<int>> seen;
  for (int rank = 0; rank < in.layout->pipeline; ++rank) {
    std::vector<int> stages, list;
    for (const std::vector<int>& direction : rank_of_stage)
      for (std::size_t s = 0; s < direction.size(); ++s)
        if (direction[s] == rank) {
          stages.push_back(static_cast<int>(s));
          list.push_back(kinds.of_stage[s]);
        }
    if (std::ranges::find(seen, list) != seen.end()) continue;
    seen.push_back(list);
    const RankParameters held = parameters_of_stages(*in.model, *in.layout, *in.schedule, stages);
    slowest = std::max(slowest, to_clock(optimizer_time(in, held, static_cast<int>(rank_of_stage.size()))));
  }
  return slowest;
}

void add_messages(StepFloor& floor, const StepInput& in, const GroupTable& groups) {
  const int p = in.layout->pipeline;
  floor.down.assign(index(p), Duration{});
  floor.up = floor.down;
  if (p == 1) return;
  for (int r = 0; r < p; ++r) {
    floor.down[index(r)] = message_time(in, groups, r, (r + 1) % p);
    floor.up[index(r)] = message_time(in, groups, r, (r + p - 1) % p);
  }
}

StepFloor step_floor(const StepInput& in, const GroupTable& groups, const StageKinds& kinds,
                     const std::vector<StageCost>& of_kind,
                     const std::vector<std::vector<int>>& rank_of_stage, bool split_backward) {
  StepFloor floor{&kinds, &rank_of_stage, {}, kind_traffic(in, groups, kinds, rank_of_stage), {}, {}, {}, {}};
  for (const StageCost& cost : of_kind) floor.stages.push_back(StageFloor::of(cost, split_backward));
  add_messages(floor, in, groups);
  floor.optimizer = slowest_optimizer(in, kinds, rank_of_stage);
  floor.norm = to_clock(norm_barrier(in, groups));
  return floor;
}

Duration least_step_time(const StepInput& in, const StepFloor& floor) { return Floors(in, floor).least(); }

}  // namespace runcast
