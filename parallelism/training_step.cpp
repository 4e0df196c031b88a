// The step: the pipeline run on the event queue, then the gradient norm and the optimizer, and the exclusive parts of
// the rank that sets the pace. Costs and streams are step_work's, the accounts step_account's.
#include "parallelism/training_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "parallelism/slot_program.hpp"
#include "parallelism/stage_kinds.hpp"
#include "parallelism/step_account.hpp"
#include "parallelism/step_work.hpp"

namespace runcast {

namespace {

// Read g, p32, m, v, write p32, m, v, p16, zero g: 34 B a parameter of the shard [accuracy study; physics 3.5: 30].
constexpr double kOptimizerBytes = 34;
constexpr double kNormBytes = 4;  // gradient-norm pass reads fp32 gradients once
// Host memory bandwidth of one GPU's share of a two-socket server: 2 x 8 channels of DDR5-4800 = 614 GB/s over 8 GPUs,
// 80 % reached [assumption]. The update on the CPU is bound by it [Ren et al. 2021, ZeRO-Offload, sec. 5].
constexpr double kHostMemoryShare = 0.8 * 614e9 / 8;

// Idle time of one rank when messages take no time: the bubble of the schedule and of uneven stages alone.
Duration idle_without_transfers(const StepInput& in, const PipelineSchedule& schedule,
                                const GroupTable& groups, const std::vector<StageCost>& costs,
                                std::size_t rank, bool from_first_slot) {
  StepWork work(in, schedule, groups, costs, true);
  EventQueue queue;
  const PipelineTrace trace = execute(schedule, in.schedule->point_to_point, work, queue);
  const auto& spans = trace.ranks[rank];
  if (spans.empty()) return {};
  const DataStream& stream = work.stream(static_cast<int>(rank));
  const Duration skew = spans.front().start - Time{} - stream.opening_wait;
  const Duration idle = spans.back().end - Time{} - trace.busy[rank] - (from_first_slot ? skew : Duration{});
  return idle - std::min(idle, stream.gate_wait);
}

// Of each rank: the start of its first slot and the end of its last one.
struct SlotWindows {
  std::vector<Time> first, last;
};
SlotWindows windows_of(const PipelineTrace& trace) {
  SlotWindows windows;
  for (const std::vector<SlotSpan>& spans : trace.ranks) {
    windows.first.push_back(spans.empty() ? Time{} : spans.front().start);
    windows.last.push_back(spans.empty() ? Time{} : spans.back().end);
  }
  return windows;
}

// Ranks whose stages are alike take equally long.
std::vector<Duration> optimizer_times(const StepInput& in, const PipelineSchedule& schedule) {
  const StageKinds kinds = stage_kinds(*in.model, in.schedule->stage_layers);
  std::vector<std::vector<int>> known;
  std::vector<Duration> times, by_rank;
  for (int rank = 0; rank < schedule.ranks; ++rank) {
    const std::vector<int> stages = stages_of_rank(schedule, rank);
    std::vector<int> list;
    for (const int stage : stages) list.push_back(kinds.of_stage[static_cast<std::size_t>(stage)]);
    auto found = std::ranges::find(known, list);
    if (found == known.end()) {
      const RankParameters held = parameters_of_stages(*in.model, *in.layout, *in.schedule, stages);
      times.push_back(to_clock(optimizer_time(in, held, stage_copies(schedule))));
      known.push_back(std::move(list));
      found = known.end() - 1;
    }
    by_rank.push_back(times[static_cast<std::size_t>(found - known.begin())]);
  }
  return by_rank;
}

std::vector<RankEnd> ends_of(const StepInput& in, const PipelineSchedule& schedule,
                             const SlotWindows& windows, StepWork& work) {
  std::vector<RankEnd> ends(static_cast<std::size_t>(schedule.ranks));
  const std::vector<Time> gradients = work.drain(windows.last);
  const std::vector<Duration> optimizer = optimizer_times(in, schedule);
  const bool parallelograms = in.schedule->gradient_norm == GradientNorm::post_validation;
  for (std::size_t r = 0; r < ends.size(); ++r) {
    RankEnd& end = ends[r];
    end.slots = windows.last[r];
    end.gradients = gradients[r];
    end.optimizer = optimizer[r];
    if (!parallelograms || schedule.slots[r].empty()) continue;
    const Duration opening = work.stream(static_cast<int>(r)).opening_wait;
    end.begin = Time{} + (windows.first[r] - Time{} - opening);
  }
  return ends;
}

// The pace of the steps. With the barrier everybody waits for the last gradients, the norm and the slowest optimizer;
// without it each rank's next step follows its own, and the longest window is the period [Qi et al. 2023, fig. 4].
struct Pace {
  std::size_t rank = 0;
  Duration optimizer{};
};
Pace pace_of(const StepInput& in, const GroupTable& groups, const std::vector<RankEnd>& ends) {
  Pace pace;
  const bool barrier = in.schedule->gradient_norm == GradientNorm::barrier;
  for (std::size_t r = 0; r < ends.size(); ++r) {
    const bool later =
        barrier ? ends[r].gradients > ends[pace.rank].gradients : ends[r].window() > ends[pace.rank].window();
    if (later) pace.rank = r;
    pace.optimizer = std::max(pace.optimizer, ends[r].optimizer);
  }
  if (!barrier) return {pace.rank, ends[pace.rank].optimizer};
  pace.optimizer += to_clock(norm_barrier(in, groups));
  return pace;
}

// All but data loading and the jitter of a large job.
void break_down(StepResult& result, const StepInput& in, const PipelineSchedule& schedule,
                const GroupTable& groups, const std::vector<StageCost>& costs, const StepWork& work,
                const RankEnd& end, Duration optimizer) {
  StepBreakdown& b = result.breakdown;
  const auto rank = static_cast<std::size_t>(result.last_rank);
  const ClockCost& spent = work.spent(result.last_rank);
  const DataStream& stream = work.stream(result.last_rank);
  b.compute = spent.compute;
  b.tensor_exposed = spent.tensor;
  b.context_exposed = spent.context;
  b.expert_exposed = spent.expert;
  b.data_exposed = spent.data + stream.stretched + (end.gradients - end.slots);
  const Duration idle = end.slots - end.begin - result.trace.busy[rank];
  const Duration gate = std::min(idle, stream.gate_wait);
  b.data_exposed += gate;
  b.pipeline_exposed = std::min(idle - gate, result.trace.transfer_wait[rank]);
  if (in.attribute_transfers && !result.trace.transfers.empty()) {
    const bool from_first_slot = in.schedule->gradient_norm == GradientNorm::post_validation;
    const Duration alone = idle_without_transfers(in, schedule, groups, costs, rank, from_first_slot);
    b.pipeline_exposed = idle - gate - std::min(idle - gate, alone);
  }
  b.bubble = idle - gate - b.pipeline_exposed;
  b.optimizer = optimizer;
  b.other = spent.host + to_clock(in.profile->step_overhead);
  INVARIANT(b.total() == end.gradients - end.begin + optimizer + to_clock(in.profile->step_overhead));
}

// Ranks of a large job are not equally fast: the step waits for the slowest [Dean & Barroso 2013; fitted share].
void add_jitter(StepBreakdown& b, const StepInput& in) {
  const double doublings = std::max(0.0, std::log2(in.layout->world() / 8.0));
  b.other += to_clock(to_seconds(b.total()) * (in.profile->jitter * doublings));
}

// Each replica's loaders must deliver its samples within the step.
void add_data_loading(StepBreakdown& b, const StepInput& in) {
  const DataLoading& loader = in.training->data_loading;
  const LoadingTime time =
      loading_time(loader, static_cast<double>(in.training->global_batch), in.layout->data);
  b.data_loading = starved(loader, time, b.total());
}

// The same without knowing where the time goes. Plain orders are swept; transfers that hold both ends, and stages on
// two ranks, need the events.
SlotWindows run_slots(const StepInput& in, const SlotProgram& program, StepWork& work) {
  if (program.sweeps(in.schedule->point_to_point)) {
    SlotWindows windows;
    program.sweep(work, in.training->sharding.kind == Sharding::Kind::zero2, windows.first, windows.last);
    return windows;
  }
  EventQueue queue;
  return windows_of(execute(program.schedule(), in.schedule->point_to_point, work, queue));
}

}  // namespace

Seconds optimizer_time(const StepInput& in, const RankParameters& held, int copies) {
  const NodeSpec& node = in.network->fabric().node();
  const ShardGroups groups = shard_groups(*in.layout, in.training->sharding, copies);
  const double shard = held.dense / groups.dense + held.expert / groups.expert;
  // Moments are read and written; kOptimizerBytes holds two fp32 ones.
  const double update = kOptimizerBytes - 16 + 2 * optimizer_state_bytes(in.training->optimizer);
  if (!in.training->offload.optimizer) return stream_time(node.gpu, Bytes((update + kNormBytes) * shard), 4);
  // Gradients go out and weights come back over PCIe while the CPU updates tile by tile.
  const double out = in.profile->gradient_bytes, back = in.training->precision->weight_bytes;
  const Seconds bus = Bytes(std::max(out, back) * shard) / node.host_link;
  const Seconds host = Bytes(update * shard) / Bandwidth(kHostMemoryShare);
  return stream_time(node.gpu, Bytes(kNormBytes * shard), 1) + std::max(bus, host);
}

// The norm is summed over all ranks: a tree of the farthest latency.
Seconds norm_barrier(const StepInput& in, const GroupTable& groups) {
  const double hops = 2 * std::ceil(std::log2(std::max(2, in.layout->world())));
  const Seconds hop = groups.data.domains > 1 ? groups.data.inter_latency : groups.data.intra_latency;
  return hop * hops + in.profile->collective_launch;
}

Duration StepBreakdown::total() const {
  return compute + tensor_exposed + context_exposed + expert_exposed + pipeline_exposed + data_exposed +
         bubble + optimizer + data_loading + other;
}

void add_job_time(StepBreakdown& breakdown, const StepInput& in) {
  add_jitter(breakdown, in);
  add_data_loading(breakdown, in);
}

void retime(StepResult& result) {
  const double faster = to_seconds(result.time) / to_seconds(result.breakdown.total());
  result.time = result.breakdown.total();
  result.tokens_per_s_per_gpu *= faster;
  result.model_rate_per_gpu *= faster;
  result.mfu *= faster;
  result.hfu *= faster;
  result.bubble_fraction = to_seconds(result.breakdown.bubble) / to_seconds(result.time);
  result.bubble_over_ideal = to_seconds(result.breakdown.bubble) / to_seconds(result.ideal);
}

double fused_slowdown(const StepInput& in, const GroupTable& groups) {
  return in.network->fabric().node().gpu.kernels.overlap_slowdown * link_share(groups.expert);
}

StepResult simulate_step(const StepInput& in) {
  StepResult result;
  const PipelineSchedule schedule =
      in.schedule->row->build(in.schedule->request(*in.layout, in.microbatches));
  const StepShape shape{in.model, in.layout, in.training, in.profile};
  const GroupTable groups =
      GroupTable::of(*in.network, *in.layout, in.training->sharding, stage_copies(schedule));
  const std::vector<StageCost> costs =
      stage_costs(shape, *in.schedule, *in.network, groups, has_split_backward(schedule));
  StepWork work(in, schedule, groups, costs, false);
  EventQueue queue;
  result.trace = execute(schedule, in.schedule->point_to_point, work, queue);

  const std::vector<RankEnd> ends = result.ends = ends_of(in, schedule, windows_of(result.trace), work);
  for (int r = 0; r < schedule.ranks; ++r) result.data_spans.push_back(work.stream(r).spans);
  const Pace pace = pace_of(in, groups, ends);
  result.last_rank = static_cast<int>(pace.rank);
  break_down(result, in, schedule, groups, costs, work, ends[pace.rank], pace.optimizer);
  add_job_time(result.breakdown, in);
  result.time = result.breakdown.total();
  write_accounts(result, in, schedule, groups, costs, work);
  return result;
}

Duration step_time(const StepInput& in, const SlotProgram& program, const GroupTable& groups,
                   const std::vector<StageCost>& costs) {
  StepWork work(in, program.schedule(), groups, costs, false);
  const std::vector<RankEnd> ends = ends_of(in, program.schedule(), run_slots(in, program, work), work);
  const Pace pace = pace_of(in, groups, ends);
  const RankEnd& end = ends[pace.rank];
  StepBreakdown whole;
  whole.other = end.gradients - end.begin + pace.optimizer + to_clock(in.profile->step_overhead);
  add_job_time(whole, in);
  return whole.total();
}

}  // namespace runcast
