// Which slots make gradients for which reduction, when the buckets of one run, and what is left after the pipeline.
#include "parallelism/unfolded_reductions.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

void sum_tied_embeddings(const UnfoldedPlan& plan, UnfoldedTrace& trace) {
  if (plan.tied == Duration{}) return;
  for (std::size_t q = 0; q < index(plan.members); ++q) {
    Time& first = trace.gradients_end[index(plan.tied_first) * index(plan.members) + q];
    Time& last = trace.gradients_end[index(plan.tied_last) * index(plan.members) + q];
    first = last = std::max(first, last) + plan.tied;
  }
}

}  // namespace

// Which slots make the last gradients of a reduction, and which wait for one: the schedule's, so the same for all.
ReductionSlots reductions_of(const UnfoldedPlan& plan) {
  const PipelineSchedule& s = *plan.schedule;
  ReductionSlots out;
  const auto stages = index(s.stages);
  std::vector<std::vector<int>> ordinal(stages, std::vector<int>(index(s.ranks)));
  std::vector<std::vector<int>> of_stage(stages);  // reductions, by ordinal
  out.of_slot.resize(index(s.ranks));
  out.gate_of_slot.resize(index(s.ranks));
  for (int rank = 0; rank < s.ranks; ++rank) {
    std::vector<std::int64_t> backwards(stages);
    std::vector<int> last(stages, -1);
    const std::vector<Slot>& slots = s.slots[index(rank)];
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const Slot& slot = slots[i];
      out.of_slot[index(rank)].push_back(-1);
      const bool forward = slot.pass == Pass::forward;
      out.gate_of_slot[index(rank)].push_back(
          forward || !plan.holds_gradients || !plan.overlap_data ? -1 : last[index(slot.stage)]);
      if (forward || slot.pass == Pass::input_gradient) continue;
      const int stage = slot.pass == Pass::forward_backward ? slot.backward_stage : slot.stage;
      const UnfoldedData& data = plan.data[index(rank)][index(stage)];
      const std::int64_t done = ++backwards[index(stage)];
      if (data.reduce.empty()) continue;
      const bool all = done == s.microbatches / plan.copies;
      const bool ends = all ? plan.overlap_data : plan.holds_gradients && done % plan.group == 0;
      if (!ends) continue;
      const auto n = index(ordinal[index(stage)][index(rank)]++);
      // Copies of a stage share a reduction that runs beside the passes; one inside a slot is each rank's own.
      const bool shared = plan.copies > 1 && plan.overlap_data && n < of_stage[index(stage)].size();
      if (!shared) {
        of_stage[index(stage)].push_back(static_cast<int>(out.reductions.size()));
        UnfoldedReduction one;
        one.stage = stage;
        one.groups.resize(index(plan.tensor));
        for (UnfoldedReduction::Group& group : one.groups) {
          group.ready.resize(index(data.buckets));
          group.begin.resize(index(data.buckets));
          group.last_rank.resize(index(data.buckets));
          group.last_member.resize(index(data.buckets));
        }
        out.reductions.push_back(std::move(one));
      }
      const int id = shared ? of_stage[index(stage)][n] : static_cast<int>(out.reductions.size()) - 1;
      UnfoldedReduction& reduction = out.reductions[index(id)];
      reduction.ranks.push_back(rank);
      reduction.slots.push_back(static_cast<int>(i));
      reduction.waiting += plan.cells;
      out.of_slot[index(rank)].back() = id;
      last[index(stage)] = id;
    }
  }
  return out;
}

void schedule_group(const UnfoldedPlan& plan, UnfoldedReduction& reduction, std::size_t tensor,
                    std::vector<std::vector<Time>>& stream_free) {
  UnfoldedReduction::Group& group = reduction.groups[tensor];
  const auto rank = index(reduction.ranks.front());
  const UnfoldedData& data = plan.data[rank][index(reduction.stage)];
  const Duration whole = data.reduce[tensor];
  const bool in_steps = plan.overlap_data && plan.copies == 1;
  Time free{};
  if (plan.overlap_data)
    for (const int r : reduction.ranks) free = std::max(free, stream_free[index(r)][tensor]);
  const std::size_t buckets = group.ready.size();
  const Duration bucket{whole.ns / data.buckets};
  for (std::size_t i = 0; i < buckets; ++i) {
    group.begin[i] = std::max(free, group.ready[i]);
    if (in_steps) free = group.begin[i] + bucket;
  }
  group.end = in_steps ? free : group.begin.back() + whole;
  if (!plan.overlap_data) return;
  for (const int r : reduction.ranks) stream_free[index(r)][tensor] = group.end;
}

// What of the reductions is left; without overlap all of it, when the last replica has come.
void drain(const UnfoldedPlan& plan, const std::vector<std::vector<Time>>& stream_free,
           UnfoldedTrace& trace) {
  const PipelineSchedule& s = *plan.schedule;
  const std::size_t members = index(plan.members);
  for (std::size_t rank = 0; rank < index(s.ranks); ++rank) {
    std::vector<Duration> left(index(plan.tensor));
    std::vector<Time> last(index(plan.tensor));
    const bool reduces = !plan.overlap_data && !plan.inside_passes;
    for (std::size_t q = 0; q < members; ++q) {
      const auto t = static_cast<std::size_t>(plan.tensor_of[q]);
      trace.slots_end[rank * members + q] =
          s.slots[rank].empty()
              ? Time{}
              : trace.end[trace.at(static_cast<int>(rank), s.slots[rank].size() - 1, static_cast<int>(q))];
      last[t] = std::max(last[t], trace.slots_end[rank * members + q]);
    }
    if (reduces)
      for (const UnfoldedData& data : plan.data[rank])
        for (std::size_t t = 0; t < data.reduce.size(); ++t) left[t] += data.reduce[t];
    for (std::size_t q = 0; q < members; ++q) {
      const auto t = static_cast<std::size_t>(plan.tensor_of[q]);
      const Time own = trace.slots_end[rank * members + q];
      Time& end = trace.gradients_end[rank * members + q];
      end = plan.overlap_data && !plan.inside_passes ? std::max(own, stream_free[rank][t]) : own;
      if (left[t] == Duration{}) continue;
      trace.replica_wait[rank * members + q] += last[t] - own;
      end = last[t] + left[t];
    }
  }
  trace.drained = trace.gradients_end;
  sum_tied_embeddings(plan, trace);
}

}  // namespace runcast
