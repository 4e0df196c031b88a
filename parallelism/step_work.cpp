// Passes, messages and data-parallel streams on the clock; the rules are in the header.
#include "parallelism/step_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "parallelism/stage_kinds.hpp"

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// A step is at most the sum of all its slots and transfers: 292 years of the clock hold them, or nothing does.
void within_clock(Seconds pass, double slots) {
  if (!(pass.value * slots < 9e9))
    throw ConfigError(
        fmt::format("one pass of a stage with its traffic takes {:.3g} s; {:.0f} of them are more "
                    "than the simulated clock's 292 years: see sequence_length, micro_batch and the network",
                    pass.value, slots));
}

Seconds data_collective(const StepInput& in, Collective kind, double bytes, const GroupLinks& group) {
  return in.network->collective(kind, Bytes(bytes), group, in.profile->collective_launch).time;
}

bool is_fused(const Slot& slot) { return slot.pass == Pass::forward_backward; }
// The stage whose gradients this slot makes.
std::size_t backward_stage(const Slot& slot) {
  return index(is_fused(slot) ? slot.backward_stage : slot.stage);
}

}  // namespace

ClockCost ClockCost::of(const PassCost& c) {
  return {to_clock(c.compute), to_clock(c.tensor), to_clock(c.context),
          to_clock(c.expert),  to_clock(c.data),   to_clock(c.host + c.offload)};
}

ClockCost& ClockCost::operator+=(const ClockCost& o) {
  compute += o.compute;
  tensor += o.tensor;
  context += o.context;
  expert += o.expert;
  data += o.data;
  host += o.host;
  return *this;
}

void Traffic::add(Duration time, std::int64_t collectives, Bytes size) {
  busy += time;
  count += collectives;
  bytes += size;
}

RankParameters stage_parameters(const StepInput& in, const std::vector<std::vector<int>>& rank_of_stage,
                                int stage) {
  const auto of = [&](std::span<const int> stages) {
    return parameters_of_stages(*in.model, *in.layout, *in.schedule, stages);
  };
  const bool last = stage + 1 == static_cast<int>(in.schedule->stage_layers.size());
  const bool meets_first =
      last && stage > 0 && rank_of_stage.size() == 1 && rank_of_stage[0].front() == rank_of_stage[0].back();
  if (!meets_first) return of(std::array{stage});
  const RankParameters both = of(std::array{0, stage}), first = of(std::array{0});
  return {both.dense - first.dense, both.expert - first.expert, both.embedding - first.embedding};
}

StageTraffic stage_traffic(const StepInput& in, const GroupTable& groups, const RankParameters& held) {
  StageTraffic traffic;
  traffic.parameters = held.total();
  const bool sharded = in.training->sharding.kind != Sharding::Kind::none;
  if (groups.data.ranks < 2 || in.training->sharding.shards_parameters() || held.total() <= 0) return traffic;
  constexpr double kMostBuckets = 64;  // more are as good as a stream
  // Megatron: a bucket is at least bucket_parameters, and 1 M parameters per data-parallel rank.
  const double bucket_size = std::max(in.profile->bucket_parameters, 1e6 * groups.data.ranks);
  traffic.buckets = static_cast<int>(std::clamp(held.total() / bucket_size, 1.0, kMostBuckets));
  // A group smaller than all replicas keeps whole sums in each group: that is an all-reduce.
  const bool scattered = sharded && groups.shard.ranks == groups.data.ranks;
  const Collective reduction = scattered ? Collective::reduce_scatter : Collective::all_reduce;
  const double each = 1.0 / traffic.buckets, wide = in.profile->reduce_bytes;
  Seconds bucket = data_collective(in, reduction, held.dense * each * wide, groups.data);
  if (held.expert > 0)
    bucket += data_collective(in, reduction, held.expert * each * wide, groups.expert_data);
  within_clock(bucket * traffic.buckets, 1);
  traffic.reduce = to_clock(bucket) * traffic.buckets;
  if (!sharded) return traffic;
  const double width = gather_bytes(*in.profile, *in.training->precision);
  Seconds gather = parameter_gather(*in.network, *in.profile, Bytes(held.dense * width), groups.shard);
  if (held.expert > 0)
    gather += parameter_gather(*in.network, *in.profile, Bytes(held.expert * width), groups.expert_data);
  traffic.gather = to_clock(gather / traffic.buckets) * traffic.buckets;
  return traffic;
}

Bytes message_bytes(const StepInput& in) {
  const double tokens = static_cast<double>(in.training->micro_batch) *
                        static_cast<double>(in.training->sequence_length) / in.layout->context;
  // Scattered over the tensor group.
  return Bytes(2 * tokens * static_cast<double>(in.model->hidden) / in.layout->tensor);
}

Duration message_time(const StepInput& in, const GroupTable& groups, int from_rank, int to_rank) {
  const Layout& l = *in.layout;
  const Bytes message = message_bytes(in);
  const RankId from = l.rank(0, 0, from_rank, 0), to = l.rank(0, 0, to_rank, 0);
  Seconds time = in.network->point_to_point(from, to, message, in.network->fabric().node().gpus) +
                 in.profile->collective_launch;
  if (!l.sequence_parallel && l.tensor > 1)  // the scattered message is gathered again over NVLink
    time += in.network->collective(Collective::all_gather, message * l.tensor, groups.tensor).time;
  INVARIANT(time.value > 0);
  within_clock(time, 1);
  return to_clock(time);
}

StepWork::StepWork(const StepInput& in, const PipelineSchedule& schedule, const GroupTable& groups,
                   const std::vector<StageCost>& costs, bool free_transfers)
    : in_(in), schedule_(schedule), costs_(costs), groups_(groups) {
  group_ = interleaving_group_size(in.schedule->request(*in.layout, in.microbatches));
  for (const std::vector<Slot>& slots : schedule.slots) slots_ += 3 * static_cast<double>(slots.size());
  for (const StageCost& c : costs) within_clock(c.forward.cost.total() + c.backward.cost.total(), slots_);
  for (const StageCost& c : costs)
    stages_.push_back({ClockCost::of(c.forward.cost), ClockCost::of(c.backward.cost),
                       ClockCost::of(c.input_gradient.cost), ClockCost::of(c.weight_gradient.cost)});
  const std::size_t ranks = index(schedule.ranks);
  streams_.resize(ranks);
  spent_.resize(ranks);
  previous_end_.assign(ranks, Time{});
  per_stage_.assign(ranks, std::vector<StageState>(stages_.size()));
  if (stage_copies(schedule) > 1) twins_.resize(stages_.size());
  if (free_transfers)
    transfers_.assign(ranks * ranks, Duration{});
  else
    prepare_transfers();
  prepare_data();
}

// ---- passes and messages --------------------------------------------------------------------------------

Duration StepWork::duration(int rank, const Slot& slot, Time start) {
  const std::size_t r = index(rank);
  const ClockCost cost = cost_of(slot);
  spent_[r] += cost;
  const Duration base = cost.total();
  const Time gate = not_before(rank, slot);  // before this slot's own reduction moves it
  Duration length = stretch(r, base, start);
  if (slot.pass == Pass::forward) length = wait_for_parameters(r, slot, start, length);
  if (ends_gradients(r, slot)) length = reduce_gradients(r, slot, start, length);
  streams_[r].stretched += length - base;
  if (gate == start) {
    const Duration waited = start - std::min(start, previous_end_[r]);
    streams_[r].gate_wait += waited;
    if (previous_end_[r] == Time{}) streams_[r].opening_wait = waited;
  }
  previous_end_[r] = start + length;
  return length;
}

Time StepWork::not_before(int rank, const Slot& slot) {
  const StageState& state = per_stage_[index(rank)][index(slot.stage)];
  if (slot.pass == Pass::forward) return slot.microbatch == 0 || !state.started ? state.first_bucket : Time{};
  // ZeRO-2 keeps one group's unsharded gradients of a stage: the next group's backward waits for their reduction.
  return in_.training->sharding.kind == Sharding::Kind::zero2 ? state.reduced : Time{};
}

Duration StepWork::transfer(int from_rank, int to_rank, Pass) {
  return transfers_[index(from_rank) * index(schedule_.ranks) + index(to_rank)];
}

ClockCost StepWork::cost_of(const Slot& slot) const {
  const ClockStage& s = stages_[index(slot.stage)];
  switch (slot.pass) {
    case Pass::forward:
      return s.forward;
    case Pass::backward:
      return s.backward;
    case Pass::input_gradient:
      return s.input_gradient;
    case Pass::weight_gradient:
      return s.weight_gradient;
    case Pass::forward_backward:
      break;
  }
  return ClockCost::of(fused_cost(costs_[index(slot.stage)].forward.cost,
                                  costs_[backward_stage(slot)].backward.cost, fused_slowdown(in_, groups_)));
}

void StepWork::prepare_transfers() {
  message_ = message_bytes(in_);
  const std::size_t p = index(schedule_.ranks);
  transfers_.assign(p * p, Duration{});
  // Neighbours exchange messages on a ring of ranks; V-shaped schedules use the same links both ways.
  for (std::size_t a = 0; a < p; ++a)
    for (const std::size_t b : {(a + 1) % p, (a + p - 1) % p}) {
      if (a == b) continue;
      transfers_[a * p + b] = message_time(in_, groups_, static_cast<int>(a), static_cast<int>(b));
      within_clock(to_seconds(transfers_[a * p + b]), slots_);
    }
}

// ---- data-parallel traffic ------------------------------------------------------------------------------

void StepWork::prepare_data() {
  // Equal stages of one direction move the same; a V's ends may share a table, so that the last is looked at itself.
  const StageKinds kinds = stage_kinds(*in_.model, in_.schedule->stage_layers);
  std::vector<StageTraffic> of_kind;
  for (const int example : kinds.example) {
    of_kind.push_back(stage_traffic(in_, groups_, stage_parameters(in_, schedule_.rank_of_stage, example)));
    within_clock(to_seconds(of_kind.back().reduce), slots_);
  }
  for (const std::vector<int>& direction : schedule_.rank_of_stage)
    for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
      StageTraffic& traffic = per_stage_[index(direction[stage])][stage];
      traffic = of_kind[index(kinds.of_stage[stage])];
    }
  schedule_gathers();
}

// Parameters are gathered at the start of the step, stage after stage in the order of the first forwards.
void StepWork::schedule_gathers() {
  for (std::size_t r = 0; r < streams_.size(); ++r) {
    Time now{};
    std::ptrdiff_t left =
        std::ranges::count_if(per_stage_[r], [](const StageState& state) { return state.gather.ns > 0; });
    for (const Slot& slot : schedule_.slots[r]) {
      if (left == 0) break;
      StageState& state = per_stage_[r][index(slot.stage)];
      if (slot.pass == Pass::weight_gradient || state.gathered > Time{} || state.gather.ns == 0) continue;
      const Duration bucket{state.gather.ns / state.buckets};
      state.first_bucket = now + bucket;
      for (int i = 0; i < state.buckets; ++i)
        record(r, DataSpan::Kind::gather, index(slot.stage), i, now + bucket * i, bucket);
      now += state.gather;
      state.gathered = now;
      --left;
      streams_[r].gather.add(state.gather, state.buckets,
                             Bytes(state.parameters * gather_bytes(*in_.profile, *in_.training->precision)));
    }
    if (!in_.training->overlap.data || !in_.profile->overlap_parameters)
      for (StageState& state : per_stage_[r]) state.first_bucket = state.gathered = now;
    streams_[r].free = now;
  }
}

// Compute that runs beside a collective of the data stream is slowed by its share of SMs and HBM.
Duration StepWork::stretch(std::size_t r, Duration base, Time start) const {
  if (streams_[r].free <= start) return base;
  const Duration beside = std::min(base, streams_[r].free - start);
  return base + slowdown(beside);
}

Duration StepWork::slowdown(Duration beside) const {
  return to_clock(to_seconds(beside) * overlap_slowdown());
}

double StepWork::overlap_slowdown() const {
  return in_.network->fabric().node().gpu.kernels.overlap_slowdown * groups_.data_share;
}

// The first forward of a stage follows its parameters bucket by bucket.
Duration StepWork::wait_for_parameters(std::size_t r, const Slot& slot, Time start, Duration length) {
  StageState& state = per_stage_[r][index(slot.stage)];
  if (state.started) return length;
  state.started = true;
  const Duration last_bucket{length.ns / state.buckets};
  return std::max(length, state.gathered + last_bucket - start);
}

bool StepWork::ends_gradients(std::size_t r, const Slot& slot) {
  if (slot.pass == Pass::forward || slot.pass == Pass::input_gradient) return false;
  StageState& state = per_stage_[r][backward_stage(slot)];
  ++state.backwards;
  if (state.reduce.ns == 0) return false;
  const std::int64_t all = schedule_.microbatches / stage_copies(schedule_);
  if (state.backwards == all) return in_.training->overlap.data;  // otherwise drain() reduces it
  return in_.training->sharding.kind == Sharding::Kind::zero2 && state.backwards % group_ == 0;
}

// Bucket i is ready when the backward has passed its layers; buckets queue on the data stream.
Duration StepWork::reduce_gradients(std::size_t r, const Slot& slot, Time start, Duration length) {
  const std::size_t stage = backward_stage(slot);
  StageState& state = per_stage_[r][stage];
  DataStream& stream = streams_[r];
  stream.reduction.add(state.reduce, state.buckets, Bytes(state.parameters * reduce_bytes()));
  if (!in_.training->overlap.data) {
    record(r, DataSpan::Kind::reduce, stage, 0, start + length, state.reduce);
    return length + state.reduce;
  }
  if (!twins_.empty()) {
    reduce_with_twin(stage, start + length);
    return length;
  }
  const Duration bucket{state.reduce.ns / state.buckets};
  Duration beside{};
  for (int i = 1; i <= state.buckets; ++i) {
    const Time ready = start + Duration{length.ns / state.buckets * i};
    const Time begin = std::max(stream.free, ready);
    stream.free = begin + bucket;
    record(r, DataSpan::Kind::reduce, stage, i - 1, begin, bucket);
    const Time end = start + length;
    if (begin < end) beside += std::min(stream.free, end) - begin;
  }
  state.reduced = stream.free;
  return length + slowdown(beside);
}

// The reduction of a stage that two ranks hold begins when both have its gradients and both streams are free.
void StepWork::reduce_with_twin(std::size_t stage, Time ready) {
  Twin& twin = twins_[stage];
  twin.waiting = !twin.waiting;
  const Time first = std::exchange(twin.ready, ready);
  if (twin.waiting) return;
  Time begin = std::max(first, ready);
  for (const std::vector<int>& direction : schedule_.rank_of_stage)
    begin = std::max(begin, streams_[index(direction[stage])].free);
  for (const std::vector<int>& direction : schedule_.rank_of_stage) {
    const std::size_t r = index(direction[stage]);
    streams_[r].free = per_stage_[r][stage].reduced = begin + per_stage_[r][stage].reduce;
    record(r, DataSpan::Kind::reduce, stage, 0, begin, per_stage_[r][stage].reduce);
  }
}

// ---- after the pipeline ---------------------------------------------------------------------------------

// What of the gradient reduction is left; without overlap all of it.
Time StepWork::drain_rank(std::size_t r, Time last_end) {
  DataStream& stream = streams_[r];
  if (in_.training->overlap.data || in_.training->sharding.shards_parameters())
    return std::max(last_end, stream.free);
  Time now = last_end;
  for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
    const StageState& state = per_stage_[r][stage];
    if (state.parameters <= 0) continue;
    record(r, DataSpan::Kind::reduce, stage, 0, now, state.reduce);
    now += state.reduce;
    stream.reduction.add(state.reduce, 1, Bytes(state.parameters * reduce_bytes()));
  }
  return now;
}

Bytes StepWork::tied_embeddings() const {
  const std::vector<int>& rank_of = schedule_.rank_of_stage.front();
  // On one rank, or in DualPipe on the same two ranks, whose gradients are summed already.
  if (!in_.model->tied_embeddings || rank_of.front() == rank_of.back() || !twins_.empty()) return Bytes(0);
  const double table = static_cast<double>(in_.model->vocabulary * in_.model->hidden) / in_.layout->tensor;
  return Bytes(table * reduce_bytes());
}

Duration StepWork::tied_embeddings_time() const {
  const Bytes size = tied_embeddings();
  return size.value > 0 ? to_clock(data_collective(in_, Collective::all_reduce, size.value, groups_.ends))
                        : Duration{};
}

void StepWork::sum_tied_embeddings(std::vector<Time>& ends) {
  const Duration time = tied_embeddings_time();
  if (time == Duration{}) return;
  const std::vector<int>& rank_of = schedule_.rank_of_stage.front();
  const std::size_t first = index(rank_of.front()), last = index(rank_of.back());
  const Time begin = std::max(ends[first], ends[last]);
  for (const std::size_t r : {first, last}) {
    ends[r] = begin + time;
    streams_[r].reduction.add(time, 1, tied_embeddings());
    record(r, DataSpan::Kind::tied, r == first ? 0 : stages_.size() - 1, 0, begin, time);
  }
}

void StepWork::record(std::size_t r, DataSpan::Kind kind, std::size_t stage, int bucket, Time start,
                      Duration length) {
  if (!in_.keep_data_spans || length == Duration{}) return;
  streams_[r].spans.push_back({kind, static_cast<int>(stage), bucket, start, start + length});
}

std::vector<Time> StepWork::drain(const std::vector<Time>& last_end) {
  std::vector<Time> ends;
  for (std::size_t r = 0; r < last_end.size(); ++r) ends.push_back(drain_rank(r, last_end[r]));
  sum_tied_embeddings(ends);
  return ends;
}

}  // namespace runcast
