// Counting what happened; definitions as in training_step.hpp.
#include "parallelism/step_account.hpp"

namespace runcast {

namespace {

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
                         const std::vector<StageCost>& costs, double fused_slowdown) {
  const auto rank = static_cast<std::size_t>(result.last_rank);
  // `expert_share`: of the expert traffic that stays exposed where two passes are fused.
  auto add = [&](const StagePass& pass, double expert_share) {
    for (const CommunicationUse& use : pass.communication) {
      const double share = use.group == CommunicationGroup::expert ? expert_share : 1;
      add_total(result.communication, {std::string(name_of(use.group)), std::string(name_of(use.collective)),
                                       use.count, use.bytes, use.time, use.exposed * share});
    }
  };
  for (const Slot& slot : schedule.slots[rank]) {
    const StageCost& stage = costs[static_cast<std::size_t>(slot.stage)];
    if (slot.pass != Pass::forward_backward) {
      add(pass_of(stage, slot.pass), 1);
      continue;
    }
    const StagePass& forward = stage.forward;
    const StagePass& backward = costs[static_cast<std::size_t>(slot.backward_stage)].backward;
    const double whole = (forward.cost.expert + backward.cost.expert).value;
    const double left = fused_cost(forward.cost, backward.cost, fused_slowdown).expert.value;
    add(forward, whole > 0 ? left / whole : 1);
    add(backward, whole > 0 ? left / whole : 1);
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

void write_accounts(StepResult& result, const StepInput& in, const PipelineSchedule& schedule,
                    const GroupTable& groups, const std::vector<StageCost>& costs, const StepWork& work) {
  count_flops(result, in, schedule, costs);
  result.bubble_fraction = to_seconds(result.breakdown.bubble) / to_seconds(result.time);
  result.bubble_over_ideal = to_seconds(result.breakdown.bubble) / to_seconds(result.ideal);
  count_communication(result, schedule, costs, fused_slowdown(in, groups));
  count_transfers(result, work.message());
  count_data(result, in, work.stream(result.last_rank));
}

}  // namespace runcast
