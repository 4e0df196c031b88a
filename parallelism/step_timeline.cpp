// What happened on each rank, folded or unfolded, in one form; slices are made of it in rank_timeline.cpp.
#include "parallelism/step_timeline.hpp"

#include <algorithm>

#include "parallelism/critical_path.hpp"
#include "parallelism/step_work.hpp"

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

StepResult with_data_spans(StepInput in) {
  in.keep_data_spans = true;
  return simulate_step(in);
}

StepRecord record_of(const StepInput& in, const MemoryReport& memory, StepResult step) {
  StepRecord record;
  record.step = std::move(step);
  record.layout = *in.layout;
  record.schedule = in.schedule->row->build(in.schedule->request(*in.layout, in.microbatches));
  record.memory = memory;
  record.kept = kept_by_chunk(*in.model, *in.layout, *in.training, *in.schedule);
  for (int rank = 0; rank < in.layout->world(); ++rank)
    record.node.push_back(in.network->fabric().node_of(in.network->placement()[RankId(rank)]));
  record.blocking = in.schedule->point_to_point == PointToPoint::blocking;
  record.barrier = in.schedule->gradient_norm == GradientNorm::barrier;
  record.message = message_bytes(in);
  record.scattered = in.training->sharding.kind != Sharding::Kind::none && in.training->sharding.group == 0;
  return record;
}

}  // namespace

StepTimeline::StepTimeline(StepRecord record)
    : step_(std::move(record.step)),
      layout_(record.layout),
      schedule_(std::move(record.schedule)),
      memory_(std::move(record.memory)),
      level_(TimelineLevel::microbatch),
      blocking_(record.blocking),
      barrier_(record.barrier),
      scattered_(record.scattered),
      message_(record.message),
      optimizer_(step_.breakdown.optimizer),
      last_(layout_.rank(0, 0, step_.last_rank, 0)),
      node_(std::move(record.node)),
      kept_(std::move(record.kept)) {
  for (const RankEnd& end : step_.ends) all_gradients_ = std::max(all_gradients_, end.gradients);
}

StepTimeline::StepTimeline(const StepInput& in, const RankConditions* conditions, std::uint64_t seed,
                           const MemoryReport& memory, TimelineLevel level)
    : StepTimeline(conditions == nullptr ? StepTimeline(in, memory, with_data_spans(in))
                                         : StepTimeline(in, memory, *conditions, seed,
                                                        simulate_unfolded(in, *conditions, seed, false))) {
  level_ = level;
  if (level >= TimelineLevel::layer) price_parts(in);
}

StepTimeline::StepTimeline(const StepInput& in, const MemoryReport& memory, StepResult folded)
    : StepTimeline(record_of(in, memory, std::move(folded))) {}

StepTimeline::StepTimeline(const StepInput& in, const MemoryReport& memory, const RankConditions& conditions,
                           std::uint64_t seed, const UnfoldedResult& unfolded)
    : StepTimeline(record_of(in, memory, unfolded.step)) {
  last_ = unfolded.last;
  follow_all_ranks(in, conditions, seed);
}

StepTimeline::~StepTimeline() = default;
StepTimeline::StepTimeline(StepTimeline&&) noexcept = default;

void StepTimeline::follow_all_ranks(const StepInput& in, const RankConditions& conditions,
                                    std::uint64_t seed) {
  model_ = std::make_unique<UnfoldedModel>();
  plan_unfolded(in, conditions, seed, false, *model_);
  trace_ = std::make_unique<UnfoldedTrace>(execute(model_->plan));
  all_gradients_ = *std::ranges::max_element(trace_->gradients_end);
  row_of_rank_.resize(model_->ranks.size());
  for (std::size_t row = 0; row < model_->ranks.size(); ++row)
    row_of_rank_[index(model_->ranks[row].value)] = static_cast<int>(row);
  const int members = model_->plan.members, row = row_of_rank_[index(last_.value)];
  for (const PathVisit& visit : critical_path(model_->plan, *trace_, row / members, row % members).visits)
    path_.push_back(model_->ranks[index(visit.rank * members + visit.member)]);
}

void StepTimeline::price_parts(const StepInput& in) {
  const StepShape shape{in.model, in.layout, in.training, in.profile};
  const GroupTable groups =
      GroupTable::of(*in.network, *in.layout, in.training->sharding, stage_copies(schedule_));
  bool split = false;
  for (const Slot& slot : schedule_.slots.front())
    split = split || slot.pass == Pass::input_gradient || slot.pass == Pass::weight_gradient;
  parts_ = stage_parts(shape, *in.schedule, *in.network, groups, split);
  for (int stage = 0; stage < schedule_.stages; ++stage) {
    const StageTraffic traffic =
        stage_traffic(in, groups, stage_parameters(in, schedule_.rank_of_stage, stage));
    const double bucket = traffic.parameters / traffic.buckets;
    gather_bucket_.emplace_back(bucket * gather_bytes(*in.profile, *in.training->precision));
    reduce_bucket_.emplace_back(bucket * in.profile->reduce_bytes);
  }
}

std::vector<RankId> StepTimeline::usual_ranks() const {
  std::vector<RankId> ranks;
  const auto add = [&](RankId rank) {
    if (std::ranges::find(ranks, rank) == ranks.end()) ranks.push_back(rank);
  };
  add(last_);
  for (const RankId rank : path_) add(rank);
  for (int p = 0; p < layout_.pipeline; ++p) add(layout_.rank(0, 0, p, 0));
  return ranks;
}

StepTimeline::Coordinates StepTimeline::at(RankId rank) const {
  const auto along = [&](Axis axis) { return rank.value / layout_.stride(axis) % layout_.degree(axis); };
  return {along(Axis::tensor), along(Axis::context), along(Axis::data), along(Axis::pipeline)};
}

StepTimeline::Times StepTimeline::times_of(RankId rank) const {
  if (!trace_) return folded_times(at(rank).pipeline);
  const int row = row_of_rank_[index(rank.value)], members = model_->plan.members;
  return unfolded_times(row / members, row % members);
}

StepTimeline::Times StepTimeline::folded_times(int pipeline) const {
  Times times;
  times.slots = step_.trace.ranks[index(pipeline)];
  for (const TransferSpan& t : step_.trace.transfers) {
    const bool forward = t.pass == Pass::forward;
    if (t.from_rank == pipeline)
      times.messages.push_back({true, t.to_rank, t.stage, t.microbatch, forward, t.start, t.end});
    if (t.to_rank == pipeline)
      times.messages.push_back({false, t.from_rank, t.stage, t.microbatch, forward, t.start, t.end});
  }
  times.data = step_.data_spans[index(pipeline)];
  const RankEnd& end = step_.ends[index(pipeline)];
  times.begin = end.begin;
  times.slots_end = end.slots;
  times.gradients = end.gradients;
  times.optimizer = end.optimizer;
  return times;
}

StepTimeline::Times StepTimeline::unfolded_times(int pipeline, int member) const {
  Times times;
  const std::vector<Slot>& slots = schedule_.slots[index(pipeline)];
  const int last_stage = schedule_.stages - 1;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    const std::size_t row = trace_->at(pipeline, i, member);
    times.slots.push_back({slot, trace_->start[row], trace_->end[row]});
    const auto forward = [&](int stage, int microbatch) {
      const auto& rank_of =
          schedule_.rank_of_stage[index(schedule_.direction_of_microbatch[index(microbatch)])];
      if (stage > 0)
        add_message(times, pipeline, member, rank_of[index(stage - 1)], pipeline, true, stage - 1,
                    microbatch);
      if (stage < last_stage)
        add_message(times, pipeline, member, pipeline, rank_of[index(stage + 1)], true, stage, microbatch);
    };
    const auto backward = [&](int stage, int microbatch) {
      const auto& rank_of =
          schedule_.rank_of_stage[index(schedule_.direction_of_microbatch[index(microbatch)])];
      if (stage < last_stage)
        add_message(times, pipeline, member, rank_of[index(stage + 1)], pipeline, false, stage + 1,
                    microbatch);
      if (stage > 0)
        add_message(times, pipeline, member, pipeline, rank_of[index(stage - 1)], false, stage, microbatch);
    };
    if (slot.pass == Pass::forward || slot.pass == Pass::forward_backward)
      forward(slot.stage, slot.microbatch);
    if (slot.pass == Pass::backward || slot.pass == Pass::input_gradient)
      backward(slot.stage, slot.microbatch);
    if (slot.pass == Pass::forward_backward) backward(slot.backward_stage, slot.backward_microbatch);
  }
  const std::size_t at = index(pipeline * model_->plan.members + member);
  if (!barrier_ && !times.slots.empty()) times.begin = times.slots.front().start;
  times.slots_end = trace_->slots_end[at];
  times.gradients = trace_->gradients_end[at];
  times.optimizer = step_.ends[index(pipeline)].optimizer;
  add_unfolded_data(times, pipeline, member);
  return times;
}

// Known is when a message arrives and how long its link takes.
void StepTimeline::add_message(Times& times, int pipeline, int member, int from, int to, bool forward,
                               int stage, int microbatch) const {
  if (from == to) return;
  const UnfoldedLink& link = model_->plan.links[index(from * schedule_.ranks + to)];
  const Duration length = link.of_member.empty() ? link.nominal : link.of_member[index(member)];
  if (length == Duration{}) return;
  const int receiver = forward ? stage + 1 : stage - 1;
  const std::size_t row =
      (index(receiver) * index(schedule_.microbatches) + index(microbatch)) * index(model_->plan.members) +
      index(member);
  const Time end = (forward ? trace_->activation : trace_->gradient)[row];
  const bool sent = from == pipeline;
  times.messages.push_back({sent, sent ? to : from, stage, microbatch, forward, end - length, end});
}

void StepTimeline::add_unfolded_data(Times& times, int pipeline, int member) const {
  const UnfoldedPlan& plan = model_->plan;
  const auto t = static_cast<std::size_t>(plan.tensor_of[index(member)]);
  const std::vector<UnfoldedData>& data = plan.data[index(pipeline)];
  const auto add = [&](DataSpan::Kind kind, int stage, int bucket, Time start, Time end) {
    if (start < end) times.data.push_back({kind, stage, bucket, start, end});
  };
  // Gathers follow each other from the start of the step.
  std::vector<int> gathered;
  for (int stage = 0; stage < schedule_.stages; ++stage)
    if (!data[index(stage)].gathered.empty()) gathered.push_back(stage);
  std::ranges::stable_sort(gathered, {}, [&](int stage) { return data[index(stage)].gathered[t]; });
  Time now{};
  for (const int stage : gathered) {
    const UnfoldedData& d = data[index(stage)];
    add(DataSpan::Kind::gather, stage, 0, now, d.first_bucket[t]);
    add(DataSpan::Kind::gather, stage, 1, std::max(now, d.first_bucket[t]), d.gathered[t]);
    now = std::max(now, d.gathered[t]);
  }
  for (const UnfoldedReduction& reduction : trace_->reductions) {
    if (std::ranges::find(reduction.ranks, pipeline) == reduction.ranks.end() || !reduction.scheduled)
      continue;
    const UnfoldedReduction::Group& group = reduction.groups[t];
    const UnfoldedData& d = data[index(reduction.stage)];
    const Duration bucket{d.reduce[t].ns / d.buckets};
    if (!plan.overlap_data || plan.copies > 1) {
      add(DataSpan::Kind::reduce, reduction.stage, 0, group.begin.back(), group.end);
      continue;
    }
    for (std::size_t b = 0; b < group.begin.size(); ++b)
      add(DataSpan::Kind::reduce, reduction.stage, static_cast<int>(b), group.begin[b],
          group.begin[b] + bucket);
  }
  const Time drained = trace_->drained[index(pipeline * plan.members + member)];
  if (!plan.overlap_data && !plan.inside_passes) {
    Duration left{};
    for (const UnfoldedData& d : data)
      if (!d.reduce.empty()) left += d.reduce[t];
    Time begin = drained - left;
    for (int stage = 0; stage < schedule_.stages; ++stage) {
      if (data[index(stage)].reduce.empty()) continue;
      const Duration length = data[index(stage)].reduce[t];
      add(DataSpan::Kind::reduce, stage, 0, begin, begin + length);
      begin += length;
    }
  }
  if (drained < times.gradients)
    add(DataSpan::Kind::tied, pipeline == plan.tied_first ? 0 : schedule_.stages - 1, 0,
        times.gradients - plan.tied, times.gradients);
}

}  // namespace runcast
