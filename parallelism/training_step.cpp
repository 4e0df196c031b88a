// The step: costs in clock time, the pipeline with its data-parallel streams, and the accounts of the last rank.
#include "parallelism/training_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace runcast {

namespace {

// Read g, p32, m, v, write p32, m, v, p16, zero g: 34 B a parameter of the shard [accuracy study; physics 3.5: 30].
constexpr double kOptimizerBytes = 34;
constexpr double kNormBytes = 4;  // gradient-norm pass reads fp32 gradients once

ScheduleRequest request_of(const StepInput& in) {
  return {in.layout->pipeline, static_cast<int>(in.microbatches), in.schedule->virtual_stages,
          in.schedule->group_size, false};
}

// A pass in clock time, part by part, so that breakdowns sum exactly.
struct ClockCost {
  Duration compute, tensor, context, expert, data, host;
  Duration total() const { return compute + tensor + context + expert + data + host; }
  static ClockCost of(const PassCost& c) {
    return {to_clock(c.compute), to_clock(c.tensor), to_clock(c.context),
            to_clock(c.expert),  to_clock(c.data),   to_clock(c.host)};
  }
  ClockCost& operator+=(const ClockCost& o) {
    compute += o.compute;
    tensor += o.tensor;
    context += o.context;
    expert += o.expert;
    data += o.data;
    host += o.host;
    return *this;
  }
};

struct ClockStage {
  ClockCost forward, backward, input_gradient, weight_gradient;
};

// Collectives of one kind on a stream.
struct Traffic {
  Duration busy{};
  std::int64_t count = 0;
  Bytes bytes;
  void add(Duration time, std::int64_t collectives, Bytes size) {
    busy += time;
    count += collectives;
    bytes += size;
  }
};

// The data-parallel stream of one pipeline rank.
struct DataStream {
  Time free{};  // end of the last collective issued
  Traffic reduction, gather;
  Duration stretched{};  // time that slots gained by sharing the GPU with it, or by waiting inside for it
  Duration gate_wait{};
};

class StepWork final : public PipelineWork {
 public:
  StepWork(const StepInput& in, const PipelineSchedule& schedule, const GroupTable& groups,
           const std::vector<StageCost>& costs, bool free_transfers)
      : in_(in), schedule_(schedule), groups_(groups), group_(interleaving_group_size(request_of(in))) {
    for (const std::vector<Slot>& slots : schedule.slots) slots_ += 3 * static_cast<double>(slots.size());
    for (const StageCost& c : costs) within_clock(c.forward.cost.total() + c.backward.cost.total(), slots_);
    for (const StageCost& c : costs)
      stages_.push_back({ClockCost::of(c.forward.cost), ClockCost::of(c.backward.cost),
                         ClockCost::of(c.input_gradient.cost), ClockCost::of(c.weight_gradient.cost)});
    const auto ranks = static_cast<std::size_t>(schedule.ranks);
    streams_.resize(ranks);
    spent_.resize(ranks);
    previous_end_.assign(ranks, Time{});
    per_stage_.assign(ranks, std::vector<StageState>(stages_.size()));
    if (free_transfers)
      transfers_.assign(ranks * ranks, Duration{});
    else
      prepare_transfers();
    prepare_data();
  }

  // A step is at most the sum of all its slots and transfers: 292 years of the clock hold them, or nothing does.
  static void within_clock(Seconds pass, double slots) {
    if (!(pass.value * slots < 9e9))
      throw ConfigError(fmt::format(
          "one pass of a stage with its traffic takes {:.3g} s; {:.0f} of them are more "
          "than the simulated clock's 292 years: see sequence_length, micro_batch and the network",
          pass.value, slots));
  }

  Duration duration(int rank, const Slot& slot, Time start) override {
    const auto r = static_cast<std::size_t>(rank);
    const ClockCost cost = cost_of(slot);
    spent_[r] += cost;
    const Duration base = cost.total();
    const Time gate = not_before(rank, slot);  // before this slot's own reduction moves it
    Duration length = stretch(r, base, start);
    if (slot.pass == Pass::forward) length = wait_for_parameters(r, slot, start, length);
    if (ends_gradients(r, slot)) length = reduce_gradients(r, slot, start, length);
    streams_[r].stretched += length - base;
    if (gate == start) streams_[r].gate_wait += start - std::min(start, previous_end_[r]);
    previous_end_[r] = start + length;
    return length;
  }

  Time not_before(int rank, const Slot& slot) override {
    const StageState& state =
        per_stage_[static_cast<std::size_t>(rank)][static_cast<std::size_t>(slot.stage)];
    if (slot.pass == Pass::forward)
      return slot.microbatch == 0 || !state.started ? state.first_bucket : Time{};
    // ZeRO-2 keeps one group's unsharded gradients of a stage: the next group's backward waits for their reduction.
    return in_.training->sharding.kind == Sharding::Kind::zero2 ? state.reduced : Time{};
  }

  Duration transfer(int from_rank, int to_rank, Pass) override {
    const auto p = static_cast<std::size_t>(schedule_.ranks);
    return transfers_[static_cast<std::size_t>(from_rank) * p + static_cast<std::size_t>(to_rank)];
  }

  void finished(int, const Slot&, Time, Time) override {}

  // After the pipeline: what of the gradient reduction is left, without overlap all of it.
  Time drain(int rank, Time last_end) {
    const auto r = static_cast<std::size_t>(rank);
    DataStream& stream = streams_[r];
    if (in_.training->overlap.data || in_.training->sharding.shards_parameters())
      return std::max(last_end, stream.free);
    Time now = last_end;
    for (const StageState& state : per_stage_[r]) {
      if (state.parameters <= 0) continue;
      now += state.reduce;
      stream.reduction.add(state.reduce, 1, Bytes(state.parameters * reduce_bytes()));
    }
    return now;
  }

  const DataStream& stream(int rank) const { return streams_[static_cast<std::size_t>(rank)]; }
  const ClockCost& spent(int rank) const { return spent_[static_cast<std::size_t>(rank)]; }
  RankShare parameters(int rank) const {
    RankShare sum;
    for (std::size_t stage = 0; stage < stages_.size(); ++stage)
      if (per_stage_[static_cast<std::size_t>(rank)][stage].parameters > 0) {
        const RankShare one = stage_parameters(stage);
        sum.dense += one.dense;
        sum.expert += one.expert;
      }
    return sum;
  }
  Bytes message() const { return message_; }

 private:
  struct StageState {
    double parameters = 0;        // of this stage on this rank; 0 = not here
    Duration gather{}, reduce{};  // one whole collective each
    int buckets = 1;
    Time first_bucket{}, gathered{}, reduced{};
    bool started = false;
    std::int64_t backwards = 0;
  };

  ClockCost cost_of(const Slot& slot) const {
    const ClockStage& s = stages_[static_cast<std::size_t>(slot.stage)];
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
    ClockCost both = s.forward;
    both += stages_[static_cast<std::size_t>(slot.backward_stage)].backward;
    return both;
  }

  double reduce_bytes() const { return in_.profile->reduce_bytes; }

  void prepare_transfers() {
    const Layout& l = *in_.layout;
    const Model& m = *in_.model;
    const double tokens = static_cast<double>(in_.training->micro_batch) *
                          static_cast<double>(in_.training->sequence_length) / l.context;
    message_ =
        Bytes(2 * tokens * static_cast<double>(m.hidden) / l.tensor);  // scattered over the tensor group
    const auto p = static_cast<std::size_t>(schedule_.ranks);
    transfers_.assign(p * p, Duration{});
    // Neighbours exchange messages on a ring of ranks; V-shaped schedules use the same links both ways.
    for (std::size_t a = 0; a < p; ++a)
      for (const std::size_t b : {(a + 1) % p, (a + p - 1) % p}) {
        if (a == b) continue;
        const RankId from = l.rank(0, 0, static_cast<int>(a), 0), to = l.rank(0, 0, static_cast<int>(b), 0);
        Seconds time = in_.network->point_to_point(from, to, message_, in_.network->fabric().node().gpus) +
                       in_.profile->collective_launch;
        if (!l.sequence_parallel && l.tensor > 1)  // the scattered message is gathered again over NVLink
          time += in_.network->collective(Collective::all_gather, message_ * l.tensor, groups_.tensor).time;
        INVARIANT(time.value > 0);
        within_clock(time, slots_);
        transfers_[a * p + b] = to_clock(time);
      }
  }

  Seconds data_collective(Collective kind, double bytes, const GroupLinks& group) const {
    return in_.network->collective(kind, Bytes(bytes), group, in_.profile->collective_launch).time;
  }

  void prepare_data() {
    const Sharding::Kind kind = in_.training->sharding.kind;
    const bool inside = in_.training->sharding.shards_parameters();
    for (std::size_t direction = 0; direction < schedule_.rank_of_stage.size(); ++direction)
      for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
        const auto rank = static_cast<std::size_t>(schedule_.rank_of_stage[direction][stage]);
        StageState& state = per_stage_[rank][stage];
        const RankShare held = stage_parameters(stage);
        state.parameters = held.dense + held.expert;
        if (groups_.data.ranks < 2 || inside || state.parameters <= 0) continue;
        state.buckets = static_cast<int>(std::clamp(state.parameters / bucket_size(), 1.0, 64.0));
        const bool sharded = kind != Sharding::Kind::none;
        // A group smaller than all replicas keeps whole sums in each group: that is an all-reduce.
        const bool scattered = sharded && groups_.shard.ranks == groups_.data.ranks;
        const Collective reduction = scattered ? Collective::reduce_scatter : Collective::all_reduce;
        const double each = 1.0 / state.buckets;
        Seconds bucket = data_collective(reduction, held.dense * each * reduce_bytes(), groups_.data);
        if (held.expert > 0)
          bucket += data_collective(reduction, held.expert * each * reduce_bytes(), groups_.expert_data);
        within_clock(bucket * state.buckets, slots_);
        state.reduce = to_clock(bucket) * state.buckets;
        if (sharded) {
          const double width = in_.profile->gather_bytes;
          Seconds gather =
              parameter_gather(*in_.network, *in_.profile, Bytes(held.dense * width), groups_.shard);
          if (held.expert > 0)
            gather +=
                parameter_gather(*in_.network, *in_.profile, Bytes(held.expert * width), groups_.expert_data);
          state.gather = to_clock(gather / state.buckets) * state.buckets;
        }
      }
    schedule_gathers();
  }

  // Megatron: a bucket is at least bucket_parameters, and 1 M parameters per data-parallel rank.
  double bucket_size() const { return std::max(in_.profile->bucket_parameters, 1e6 * groups_.data.ranks); }

  RankShare stage_parameters(std::size_t stage) const {
    const Model& m = *in_.model;
    std::int64_t first = 0;
    for (std::size_t s = 0; s < stage; ++s) first += in_.schedule->stage_layers[s];
    RankShare sum;
    for (std::int64_t i = 0; i < in_.schedule->stage_layers[stage]; ++i) {
      const RankShare layer = layer_share(m, *in_.layout, m.layer_is_moe(first + i));
      sum.dense += layer.dense;
      sum.expert += layer.expert;
    }
    const double table = static_cast<double>(m.vocabulary * m.hidden) / in_.layout->tensor;
    if (stage == 0) sum.dense += table;
    if (stage + 1 == stages_.size() && (!m.tied_embeddings || stages_.size() > 1)) sum.dense += table;
    return sum;
  }

  // Parameters are gathered at the start of the step, stage after stage in the order of the first forwards.
  void schedule_gathers() {
    for (std::size_t r = 0; r < streams_.size(); ++r) {
      Time now{};
      for (const Slot& slot : schedule_.slots[r]) {
        StageState& state = per_stage_[r][static_cast<std::size_t>(slot.stage)];
        if (slot.pass == Pass::weight_gradient || state.gathered > Time{} || state.gather.ns == 0) continue;
        state.first_bucket = now + Duration{state.gather.ns / state.buckets};
        now += state.gather;
        state.gathered = now;
        streams_[r].gather.add(state.gather, state.buckets,
                               Bytes(state.parameters * in_.profile->gather_bytes));
      }
      if (!in_.training->overlap.data || !in_.profile->overlap_parameters)
        for (StageState& state : per_stage_[r]) state.first_bucket = state.gathered = now;
      streams_[r].free = now;
    }
  }

  // Compute that runs beside a collective of the data stream is slowed by its share of SMs and HBM.
  Duration stretch(std::size_t r, Duration base, Time start) const {
    if (streams_[r].free <= start) return base;
    const Duration beside = std::min(base, streams_[r].free - start);
    return base + slowdown(beside);
  }
  Duration slowdown(Duration beside) const {
    const double share = in_.network->fabric().node().gpu.kernels.overlap_slowdown * groups_.data_share;
    return to_clock(to_seconds(beside) * share);
  }

  // The first forward of a stage follows its parameters bucket by bucket.
  Duration wait_for_parameters(std::size_t r, const Slot& slot, Time start, Duration length) {
    StageState& state = per_stage_[r][static_cast<std::size_t>(slot.stage)];
    if (state.started) return length;
    state.started = true;
    const Duration last_bucket{length.ns / state.buckets};
    return std::max(length, state.gathered + last_bucket - start);
  }

  bool ends_gradients(std::size_t r, const Slot& slot) {
    if (slot.pass == Pass::forward || slot.pass == Pass::input_gradient) return false;
    const bool fused = slot.pass == Pass::forward_backward;
    StageState& state = per_stage_[r][static_cast<std::size_t>(fused ? slot.backward_stage : slot.stage)];
    ++state.backwards;
    if (state.reduce.ns == 0) return false;
    const std::int64_t all =
        schedule_.microbatches / static_cast<std::int64_t>(schedule_.rank_of_stage.size());
    if (state.backwards == all) return in_.training->overlap.data;  // otherwise drain() reduces it
    return in_.training->sharding.kind == Sharding::Kind::zero2 && state.backwards % group_ == 0;
  }

  // Bucket i is ready when the backward has passed its layers; buckets queue on the data stream.
  Duration reduce_gradients(std::size_t r, const Slot& slot, Time start, Duration length) {
    const bool fused = slot.pass == Pass::forward_backward;
    StageState& state = per_stage_[r][static_cast<std::size_t>(fused ? slot.backward_stage : slot.stage)];
    DataStream& stream = streams_[r];
    stream.reduction.add(state.reduce, state.buckets, Bytes(state.parameters * reduce_bytes()));
    if (!in_.training->overlap.data) return length + state.reduce;
    const Duration bucket{state.reduce.ns / state.buckets};
    Duration beside{};
    for (int i = 1; i <= state.buckets; ++i) {
      const Time ready = start + Duration{length.ns / state.buckets * i};
      const Time begin = std::max(stream.free, ready);
      stream.free = begin + bucket;
      const Time end = start + length;
      if (begin < end) beside += std::min(stream.free, end) - begin;
    }
    state.reduced = stream.free;
    return length + slowdown(beside);
  }

  const StepInput& in_;
  const PipelineSchedule& schedule_;
  double slots_ = 0;  // what a step has at most of passes, transfers and reductions
  const GroupTable& groups_;
  std::vector<ClockStage> stages_;
  std::vector<DataStream> streams_;
  std::vector<ClockCost> spent_;
  std::vector<Time> previous_end_;
  std::vector<std::vector<StageState>> per_stage_;  // [rank][stage]
  std::vector<Duration> transfers_;                 // [from * p + to]
  Bytes message_;
  std::int64_t group_ = 1;  // micro-batches between two reductions of ZeRO-2
};

// Idle time of one rank when messages take no time: the bubble of the schedule and of uneven stages alone.
Duration idle_without_transfers(const StepInput& in, const PipelineSchedule& schedule,
                                const GroupTable& groups, const std::vector<StageCost>& costs,
                                std::size_t rank) {
  StepWork work(in, schedule, groups, costs, true);
  EventQueue queue;
  const PipelineTrace trace = execute(schedule, in.schedule->point_to_point, work, queue);
  const auto& spans = trace.ranks[rank];
  const Duration idle = (spans.empty() ? Time{} : spans.back().end) - Time{} - trace.busy[rank];
  return idle - std::min(idle, work.stream(static_cast<int>(rank)).gate_wait);
}

bool has_split_backward(const PipelineSchedule& schedule) {
  for (const Slot& slot : schedule.slots.front())
    if (slot.pass == Pass::input_gradient || slot.pass == Pass::weight_gradient) return true;
  return false;
}

// Optimizer of one rank's shard, with the pass that takes the gradient norm before it.
Seconds optimizer_time(const StepInput& in, const RankShare& parameters) {
  const GpuSpec& gpu = in.network->fabric().node().gpu;
  const Layout& l = *in.layout;
  double shard = parameters.dense + parameters.expert;
  const int group = in.training->sharding.group;
  if (in.training->sharding.kind != Sharding::Kind::none)
    shard = parameters.dense / (group > 0 ? group : l.data * l.context) + parameters.expert / l.expert_data();
  const double bytes = kOptimizerBytes - 8 + optimizer_state_bytes(in.training->optimizer);
  return stream_time(gpu, Bytes((bytes + kNormBytes) * shard), 4);
}

// The norm is summed over all ranks: a tree of the farthest latency.
Seconds norm_barrier(const StepInput& in, const GroupTable& groups) {
  const double hops = 2 * std::ceil(std::log2(std::max(2, in.layout->world())));
  const Seconds hop = groups.data.domains > 1 ? groups.data.inter_latency : groups.data.intra_latency;
  return hop * hops + in.profile->collective_launch;
}

void add_total(std::vector<CommunicationTotal>& list, const CommunicationTotal& one) {
  for (CommunicationTotal& total : list)
    if (total.group == one.group && total.collective == one.collective) {
      total.count += one.count;
      total.bytes_per_rank += one.bytes_per_rank;
      total.time += one.time;
      total.exposed += one.exposed;
      return;
    }
  list.push_back(one);
}

const StagePass& pass_of(const StageCost& cost, Pass pass) {
  switch (pass) {
    case Pass::forward:
      return cost.forward;
    case Pass::input_gradient:
      return cost.input_gradient;
    case Pass::weight_gradient:
      return cost.weight_gradient;
    default:
      return cost.backward;
  }
}

void count_communication(StepResult& result, const PipelineSchedule& schedule,
                         const std::vector<StageCost>& costs) {
  const auto rank = static_cast<std::size_t>(result.last_rank);
  auto add = [&](const StagePass& pass) {
    for (const CommunicationUse& use : pass.communication)
      add_total(result.communication, {std::string(name_of(use.group)), std::string(name_of(use.collective)),
                                       use.count, use.bytes, use.time, use.exposed});
  };
  for (const Slot& slot : schedule.slots[rank]) {
    const bool both = slot.pass == Pass::forward_backward;
    add(pass_of(costs[static_cast<std::size_t>(slot.stage)], both ? Pass::forward : slot.pass));
    if (both) add(costs[static_cast<std::size_t>(slot.backward_stage)].backward);
  }
}

void count_transfers(StepResult& result, Bytes message) {
  CommunicationTotal total{"pipeline", "send_receive", 0,
                           Bytes(0),   Seconds(0),     to_seconds(result.breakdown.pipeline_exposed)};
  for (const TransferSpan& t : result.trace.transfers) {
    if (t.from_rank != result.last_rank) continue;
    total.count += 1;
    total.bytes_per_rank += message;
    total.time += to_seconds(t.end - t.start);
  }
  if (total.count > 0) result.communication.push_back(total);
}

void count_data(StepResult& result, const StepInput& in, const DataStream& stream) {
  const bool sharded = in.training->sharding.kind != Sharding::Kind::none;
  // A group that shares the optimizer without holding all replicas sums gradients by all-reduces.
  const bool scattered = sharded && in.training->sharding.group == 0;
  const double all = to_seconds(stream.reduction.busy + stream.gather.busy).value;
  if (all <= 0) return;
  const Seconds exposed = to_seconds(result.breakdown.data_exposed);
  auto add = [&](std::string_view name, const Traffic& traffic) {
    const Seconds time = to_seconds(traffic.busy);
    if (traffic.count > 0)
      add_total(result.communication, {"data", std::string(name), static_cast<double>(traffic.count),
                                       traffic.bytes, time, exposed * (time.value / all)});
  };
  add(scattered ? "reduce_scatter" : "all_reduce", stream.reduction);
  add("all_gather", stream.gather);
}

void count_flops(StepResult& result, const StepInput& in, const PipelineSchedule& schedule,
                 const std::vector<StageCost>& costs) {
  const Layout& l = *in.layout;
  const double gpus = l.world();
  result.tokens =
      static_cast<double>(in.training->global_batch) * static_cast<double>(in.training->sequence_length);
  result.model_flops =
      result.tokens * training_flops_per_token(*in.model, static_cast<double>(in.training->sequence_length),
                                               FlopConvention::exact);
  Flops recomputed(0), counted(0);  // of one replica's tensor rank
  for (const StageCost& c : costs) {
    counted += c.forward.model_flops + c.backward.model_flops;
    recomputed += c.backward.hardware_flops - c.backward.model_flops;
  }
  const double seconds = to_seconds(result.time).value;
  const FlopRate peak = peak_rate(in.network->fabric().node().gpu, *in.training->precision);
  result.tokens_per_s_per_gpu = result.tokens / seconds / gpus;
  result.model_rate_per_gpu = FlopRate(result.model_flops.value / seconds / gpus);
  result.mfu = result.model_rate_per_gpu / peak;
  result.hfu = result.mfu * (1 + recomputed / counted);
  INVARIANT(result.mfu <= 1);  // never shorter than its FLOPs at peak
  Duration ideal{};
  for (const Duration busy : result.trace.busy) ideal += busy;
  result.ideal = {ideal.ns / schedule.ranks};
}

}  // namespace

Duration StepBreakdown::total() const {
  return compute + tensor_exposed + context_exposed + expert_exposed + pipeline_exposed + data_exposed +
         bubble + optimizer + data_loading + other;
}

StepResult simulate_step(const StepInput& in) {
  StepResult result;
  const PipelineSchedule schedule = in.schedule->row->build(request_of(in));
  const StepShape shape{in.model, in.layout, in.training, in.profile};
  const GroupTable groups = GroupTable::of(*in.network, *in.layout, in.training->sharding);
  const std::vector<StageCost> costs =
      stage_costs(shape, *in.schedule, *in.network, groups, has_split_backward(schedule));
  StepWork work(in, schedule, groups, costs, false);
  EventQueue queue;
  result.trace = execute(schedule, in.schedule->point_to_point, work, queue);

  // The rank that ends last, gradients reduced, then everybody waits for the norm and the slowest optimizer.
  Time last{};
  Duration optimizer{};
  for (int r = 0; r < schedule.ranks; ++r) {
    const auto& spans = result.trace.ranks[static_cast<std::size_t>(r)];
    const Time end = work.drain(r, spans.empty() ? Time{} : spans.back().end);
    if (end > last) {
      last = end;
      result.last_rank = r;
    }
    optimizer = std::max(optimizer, to_clock(optimizer_time(in, work.parameters(r))));
  }
  optimizer += to_clock(norm_barrier(in, groups));

  StepBreakdown& b = result.breakdown;
  const ClockCost& spent = work.spent(result.last_rank);
  const auto rank = static_cast<std::size_t>(result.last_rank);
  const DataStream& stream = work.stream(result.last_rank);
  const auto& spans = result.trace.ranks[rank];
  const Time slots_end = spans.empty() ? Time{} : spans.back().end;
  b.compute = spent.compute;
  b.tensor_exposed = spent.tensor;
  b.context_exposed = spent.context;
  b.expert_exposed = spent.expert;
  b.data_exposed = spent.data + stream.stretched + (last - slots_end);
  const Duration idle = slots_end - Time{} - result.trace.busy[rank];
  const Duration gate = std::min(idle, stream.gate_wait);
  b.data_exposed += gate;
  b.pipeline_exposed = std::min(idle - gate, result.trace.transfer_wait[rank]);
  if (in.attribute_transfers && !result.trace.transfers.empty())
    b.pipeline_exposed =
        idle - gate - std::min(idle - gate, idle_without_transfers(in, schedule, groups, costs, rank));
  b.bubble = idle - gate - b.pipeline_exposed;
  b.optimizer = optimizer;
  b.other = spent.host + to_clock(in.profile->step_overhead);
  Duration time = b.total();
  INVARIANT(time == last - Time{} + optimizer + to_clock(in.profile->step_overhead));
  // Ranks of a large job are not equally fast: the step waits for the slowest [Dean & Barroso 2013; fitted share].
  const double doublings = std::max(0.0, std::log2(in.layout->world() / 8.0));
  const Duration jitter = to_clock(to_seconds(time) * (in.profile->jitter * doublings));
  b.other += jitter;
  time += jitter;
  // Each replica's loaders must deliver its samples within the step.
  const double samples = static_cast<double>(in.training->global_batch) / in.layout->data;
  const Seconds needed = in.training->data_loading.time_per_sample *
                         (samples / static_cast<double>(in.training->data_loading.workers_per_gpu));
  if (!(needed.value < 1e9))
    throw ConfigError(fmt::format("data_loading takes {:.3g} s for the samples of one step", needed.value));
  const Duration loading = to_clock(needed);
  b.data_loading = std::max(Duration{}, loading - time);
  result.time = time + b.data_loading;
  INVARIANT(b.total() == result.time);

  count_flops(result, in, schedule, costs);
  result.bubble_fraction = to_seconds(b.bubble) / to_seconds(result.time);
  result.bubble_over_ideal = to_seconds(b.bubble) / to_seconds(result.ideal);
  count_communication(result, schedule, costs);
  count_transfers(result, work.message());
  count_data(result, in, stream);
  return result;
}

}  // namespace runcast
