// The slot orders of the pipeline schedules and the table of their names. Each builder follows the order
// rules of the paper or the source that it names; none of them knows a duration. Leaves out: schedules
// searched for given costs (the heterogeneous ZB-V, V-Half and V-Min of Qi et al. 2024).
#include "parallelism/pipeline_schedule.hpp"

#include <algorithm>
#include <array>
#include <queue>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace runcast {
namespace {

// ---- placements: which rank runs which stage ------------------------------------------------------------

PipelineSchedule empty_schedule(const ScheduleRequest& request, int chunks, int stages) {
  PipelineSchedule schedule;
  schedule.ranks = request.ranks;
  schedule.microbatches = request.microbatches;
  schedule.chunks = chunks;
  schedule.stages = stages;
  schedule.slots.resize(static_cast<std::size_t>(request.ranks));
  schedule.direction_of_microbatch.assign(static_cast<std::size_t>(request.microbatches), 0);
  return schedule;
}

// Round and round the ranks: stage s on rank s mod p, as its chunk s / p (Narayanan et al. 2021, sec. 2.2).
PipelineSchedule looped_placement(const ScheduleRequest& request) {
  PipelineSchedule schedule = empty_schedule(request, request.chunks, request.ranks * request.chunks);
  std::vector<int>& rank_of = schedule.rank_of_stage.emplace_back();
  for (int stage = 0; stage < schedule.stages; ++stage) rank_of.push_back(stage % request.ranks);
  return schedule;
}

// Down the ranks and back up: rank r has stages r and 2p-1-r (Qi et al. 2024; DualPipeV).
PipelineSchedule v_placement(const ScheduleRequest& request) {
  PipelineSchedule schedule = empty_schedule(request, 2, 2 * request.ranks);
  std::vector<int>& rank_of = schedule.rank_of_stage.emplace_back();
  for (int stage = 0; stage < schedule.stages; ++stage) {
    rank_of.push_back(std::min(stage, schedule.stages - 1 - stage));
  }
  return schedule;
}

// Two directions over the same p stages: rank r has stage r of one and p-1-r of the other. The first half of
// the micro-batches goes down the ranks, the second half up (DeepSeek-V3 2024, fig. 5).
PipelineSchedule bidirectional_placement(const ScheduleRequest& request) {
  PipelineSchedule schedule = empty_schedule(request, 2, request.ranks);
  schedule.rank_of_stage.resize(2);
  for (int stage = 0; stage < request.ranks; ++stage) {
    schedule.rank_of_stage[0].push_back(stage);
    schedule.rank_of_stage[1].push_back(request.ranks - 1 - stage);
  }
  const auto half = static_cast<std::ptrdiff_t>(request.microbatches / 2);
  std::fill(schedule.direction_of_microbatch.begin() + half, schedule.direction_of_microbatch.end(), 1);
  return schedule;
}

Slot make_slot(Pass pass, int chunk, int stage, int microbatch) {
  Slot slot;
  slot.pass = pass;
  slot.chunk = static_cast<std::int16_t>(chunk);
  slot.stage = stage;
  slot.microbatch = microbatch;
  return slot;
}

// Writes the slots of one rank that has one or two chunks, each of which takes its micro-batches in order:
// every pass of a chunk works on the next micro-batch that the chunk has not had in that pass.
class RankOrder {
 public:
  struct Chunk {
    int stage = 0;
    int forward = 0, backward = 0, weight = 0;  // the next micro-batch of each pass
  };
  RankOrder(std::vector<Slot>& slots, Chunk first, Chunk second) : slots_(slots), chunks_{first, second} {}
  RankOrder(std::vector<Slot>& slots, Chunk only) : RankOrder(slots, only, Chunk{}) {}

  void forward(int chunk = 0) { append(Pass::forward, chunk, at(chunk).forward++); }
  void input_gradient(int chunk = 0) { append(Pass::input_gradient, chunk, at(chunk).backward++); }
  void weight_gradient(int chunk = 0) { append(Pass::weight_gradient, chunk, at(chunk).weight++); }
  void backward(int chunk = 0) {  // both gradients at once
    INVARIANT(at(chunk).weight == at(chunk).backward);
    ++at(chunk).weight;
    append(Pass::backward, chunk, at(chunk).backward++);
  }
  void forward_backward(int forward_chunk, int backward_chunk) {
    append(Pass::forward_backward, forward_chunk, at(forward_chunk).forward++);
    Slot& slot = slots_.back();
    INVARIANT(at(backward_chunk).weight == at(backward_chunk).backward);
    ++at(backward_chunk).weight;
    slot.backward_chunk = static_cast<std::int16_t>(backward_chunk);
    slot.backward_stage = at(backward_chunk).stage;
    slot.backward_microbatch = at(backward_chunk).backward++;
  }
  const Chunk& chunk(int index) const { return chunks_[static_cast<std::size_t>(index)]; }

 private:
  Chunk& at(int chunk) { return chunks_[static_cast<std::size_t>(chunk)]; }
  void append(Pass pass, int chunk, int microbatch) {
    slots_.push_back(make_slot(pass, chunk, at(chunk).stage, microbatch));
  }
  std::vector<Slot>& slots_;
  std::array<Chunk, 2> chunks_;
};

// ---- builders -------------------------------------------------------------------------------------------

// F0 .. F(m-1), then B(m-1) .. B0 (Huang et al. 2019, fig. 2c).
PipelineSchedule build_gpipe(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    std::vector<Slot>& slots = schedule.slots[static_cast<std::size_t>(rank)];
    for (int i = 0; i < request.microbatches; ++i) slots.push_back(make_slot(Pass::forward, 0, rank, i));
    for (int i = request.microbatches; i-- > 0;) slots.push_back(make_slot(Pass::backward, 0, rank, i));
  }
  return schedule;
}

// min(m, p-1-r) warm-up F, pairs (F, B), the rest of B (Narayanan et al. 2019; 2021, fig. 3).
PipelineSchedule build_1f1b(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank});
    const int warm_up = std::min(request.microbatches, request.ranks - 1 - rank);
    for (int i = 0; i < warm_up; ++i) order.forward();
    for (int i = warm_up; i < request.microbatches; ++i) {
      order.forward();
      order.backward();
    }
    for (int i = 0; i < warm_up; ++i) order.backward();
  }
  return schedule;
}

struct VirtualMicrobatch {
  int microbatch, chunk;
};

// Groups of N micro-batches; each group goes through all chunks before the next begins. Backwards run the
// same table with the chunks reversed (Megatron-LM schedules.py, get_schedule_table).
std::vector<VirtualMicrobatch> virtual_microbatches(int microbatches, int chunks, int group_size) {
  std::vector<VirtualMicrobatch> table;
  table.reserve(static_cast<std::size_t>(microbatches) * static_cast<std::size_t>(chunks));
  for (int group = 0; group < microbatches; group += group_size) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      for (int i = group; i < std::min(microbatches, group + group_size); ++i) table.push_back({i, chunk});
    }
  }
  return table;
}

// min(mv, 2(p-1-r) + (v-1)N) warm-up F of the table, pairs (F, B), the rest of B (Narayanan et al. 2021,
// sec. 2.2; N = p there, free in LLaMA 3, sec. 3.3.2).
PipelineSchedule build_interleaved(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  const int group_size = request.group_size == 0 ? request.ranks : request.group_size;
  const auto table = virtual_microbatches(request.microbatches, request.chunks, group_size);
  for (int rank = 0; rank < request.ranks; ++rank) {
    std::vector<Slot>& slots = schedule.slots[static_cast<std::size_t>(rank)];
    slots.reserve(2 * table.size());
    const auto append = [&](Pass pass, int chunk, int microbatch) {
      slots.push_back(make_slot(pass, chunk, chunk * request.ranks + rank, microbatch));
    };
    const std::int64_t depth = 2 * (request.ranks - 1 - rank) +
                               static_cast<std::int64_t>(request.chunks - 1) * group_size +
                               (request.extra_warmup ? 1 : 0);
    const std::size_t warm_up = std::min(table.size(), static_cast<std::size_t>(depth));
    for (std::size_t k = 0; k < table.size() + warm_up; ++k) {
      if (k < table.size()) append(Pass::forward, table[k].chunk, table[k].microbatch);
      if (k < warm_up) continue;
      const VirtualMicrobatch& back = table[k - warm_up];
      append(Pass::backward, request.chunks - 1 - back.chunk, back.microbatch);
    }
  }
  return schedule;
}

// `warm_up` F, then for each micro-batch I, the W of `delay` micro-batches before, F; the rest of W last.
void zero_bubble_rank(RankOrder& order, int microbatches, int warm_up, int delay) {
  for (int i = 0; i < std::min(warm_up, microbatches); ++i) order.forward();
  for (int i = 0; i < microbatches; ++i) {
    order.input_gradient();
    if (i >= delay) order.weight_gradient();
    if (i + warm_up < microbatches) order.forward();
  }
  while (order.chunk(0).weight < microbatches) order.weight_gradient();
}

// The memory of 1F1B (Qi et al. 2023, fig. 2).
PipelineSchedule build_zb_h1(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank});
    zero_bubble_rank(order, request.microbatches, request.ranks - rank, rank);
  }
  return schedule;
}

// No idle time inside a rank, for twice the memory of 1F1B (Qi et al. 2023, fig. 3).
PipelineSchedule build_zb_h2(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank});
    zero_bubble_rank(order, request.microbatches, 2 * (request.ranks - rank) - 1, 2 * rank);
  }
  return schedule;
}

// Chunk 0 goes down the V, chunk 1 back up. F, I and W of one size fill every rank (Qi et al. 2024, sec. 4).
PipelineSchedule build_zb_v(const ScheduleRequest& request) {
  PipelineSchedule schedule = v_placement(request);
  const int m = request.microbatches;
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank},
                    {.stage = schedule.stages - 1 - rank});
    const auto gradients = [&](int chunk) { order.input_gradient(chunk), order.weight_gradient(chunk); };
    for (int i = 0; i < 2 * (request.ranks - rank) - 1; ++i) order.forward(0);
    for (int i = 0; i < rank; ++i) order.forward(1), order.forward(0);
    for (int i = 0; i < request.ranks - rank; ++i) order.forward(1), gradients(1);
    while (order.chunk(1).forward < m) {  // the steady state
      if (order.chunk(0).forward < m) order.forward(0);
      gradients(0);
      order.forward(1);
      gradients(1);
    }
    for (int i = 0; i < rank; ++i) order.input_gradient(0), order.input_gradient(1);
    for (int i = 0; i < request.ranks - rank; ++i) gradients(0);
    while (order.chunk(1).weight < m) order.weight_gradient(1);
    while (order.chunk(0).weight < m) order.weight_gradient(0);
  }
  return schedule;
}

// One rank of DualPipe or DualPipeV, the eight steps of its repository (deepseek-ai/DualPipe, dualpipe.py).
// The rank is the `position`-th of `depth` on the way in (0 = outermost); `outer` is the chunk whose forwards
// come in there, the other chunk's come back out. `microbatches` are those of one chunk.
void dualpipe_rank(RankOrder& order, int microbatches, int depth, int position, int outer) {
  const int inner = 1 - outer, rest = depth - position - 1;
  std::queue<int> weights;  // chunks whose weight gradients wait, oldest first
  const auto weight = [&] { order.weight_gradient(weights.front()), weights.pop(); };
  const auto split_backward = [&](int chunk) { order.input_gradient(chunk), weights.push(chunk); };
  const auto backward = [&](int chunk, bool split) { split ? split_backward(chunk) : order.backward(chunk); };

  for (int i = 0; i < 2 * rest; ++i) order.forward(outer);                               // 1
  for (int i = 0; i <= position; ++i) order.forward(outer), order.forward(inner);        // 2
  for (int i = 0; i < rest; ++i) split_backward(inner), weight(), order.forward(inner);  // 3
  for (int i = 0; i < microbatches - 2 * depth + position + 1; ++i) {  // 4, the steady state
    if (i == 0 && rest == 0) {  // apart, so that the first micro-batch gets through the turn sooner
      order.forward(outer), order.backward(inner);
    } else {
      order.forward_backward(outer, inner);
    }
    order.forward_backward(inner, outer);
  }
  for (int i = 0; i < rest; ++i) order.backward(inner), order.forward_backward(inner, outer);  // 5
  for (int i = 0; i <= position; ++i) {                                                        // 6
    const int half = (position + 1) / 2;
    backward(inner, position % 2 == 1 ? i >= half : i > half);
    backward(outer, i >= half);
  }
  for (int i = 0; i < rest; ++i) weight(), split_backward(outer);  // 7
  while (!weights.empty()) weight();                               // 8
}

// Micro-batches enter at both ends (DeepSeek-V3 2024, sec. 3.2.1).
PipelineSchedule build_dualpipe(const ScheduleRequest& request) {
  PipelineSchedule schedule = bidirectional_placement(request);
  const int half = request.microbatches / 2, depth = request.ranks / 2;
  for (int rank = 0; rank < request.ranks; ++rank) {
    const int mirror = request.ranks - 1 - rank;
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank},
                    {.stage = mirror, .forward = half, .backward = half, .weight = half});
    dualpipe_rank(order, half, depth, std::min(rank, mirror), rank < depth ? 0 : 1);
  }
  return schedule;
}

// DualPipe cut in half: one direction over a V of 2p stages (deepseek-ai/DualPipe, dualpipev.py).
PipelineSchedule build_dualpipe_v(const ScheduleRequest& request) {
  PipelineSchedule schedule = v_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank},
                    {.stage = schedule.stages - 1 - rank});
    dualpipe_rank(order, request.microbatches, request.ranks, rank, 0);
  }
  return schedule;
}

// ---- refusals -------------------------------------------------------------------------------------------

constexpr std::int64_t kMostSlots = 20'000'000;  // assumption: about 1 GB of order and trace

std::string refuse_always(const ScheduleRequest& request) {
  INVARIANT(request.chunks >= 0 && request.group_size >= 0);
  if (request.ranks < 1 || request.microbatches < 1) {
    return fmt::format("a pipeline needs 1 or more ranks and 1 or more micro-batches, not {} and {}",
                       request.ranks, request.microbatches);
  }
  const double slots = 3.0 * request.ranks * request.microbatches * std::max(request.chunks, 2);
  if (slots > static_cast<double>(kMostSlots)) {
    return fmt::format("{} ranks x {} micro-batches x {} virtual stages are more than {} slots; use fewer",
                       request.ranks, request.microbatches, request.chunks, kMostSlots);
  }
  return "";
}

// Schedules that do not interleave: one chunk a rank (or the V's two), no group size, no extra warm-up.
std::string refuse_interleaving(const ScheduleRequest& request, std::string_view name, bool folded) {
  if (std::string sentence = refuse_always(request); !sentence.empty()) return sentence;
  if (folded && request.chunks != 1 && request.chunks != 2) {
    return fmt::format("{} has 2 virtual stages a rank, not {}; legal: 2 (1 is read as 2)", name,
                       request.chunks);
  }
  if (!folded && request.chunks != 1) {
    return fmt::format("{} has 1 virtual stage a rank, not {}; for more use interleaved_1f1b", name,
                       request.chunks);
  }
  if (request.group_size != 0) {
    return fmt::format("{} has no group size; only interleaved_1f1b takes one", name);
  }
  if (request.extra_warmup) {
    return fmt::format("{} has no extra warm-up forward; only interleaved_1f1b takes one", name);
  }
  return "";
}

std::string refuse_gpipe(const ScheduleRequest& request) {
  return refuse_interleaving(request, "gpipe", false);
}
std::string refuse_1f1b(const ScheduleRequest& request) {
  return refuse_interleaving(request, "1f1b", false);
}
std::string refuse_zb_h1(const ScheduleRequest& request) {
  return refuse_interleaving(request, "zb_h1", false);
}

std::string refuse_interleaved(const ScheduleRequest& request) {
  if (std::string sentence = refuse_always(request); !sentence.empty()) return sentence;
  if (request.chunks < 2) {
    return fmt::format("interleaved_1f1b needs 2 or more virtual stages a rank, not {}; for 1 use 1f1b",
                       request.chunks);
  }
  return "";
}

std::string too_few_microbatches(const ScheduleRequest& request, std::string_view name,
                                 std::string_view formula, int least) {
  if (request.microbatches >= least) return "";
  return fmt::format("{} needs {} = {} or more micro-batches on {} pipeline ranks, not {}", name, formula,
                     least, request.ranks, request.microbatches);
}

std::string refuse_zb_h2(const ScheduleRequest& request) {
  if (std::string sentence = refuse_interleaving(request, "zb_h2", false); !sentence.empty()) return sentence;
  return too_few_microbatches(request, "zb_h2", "2p-1", 2 * request.ranks - 1);
}

std::string refuse_zb_v(const ScheduleRequest& request) {
  if (std::string sentence = refuse_interleaving(request, "zb_v", true); !sentence.empty()) return sentence;
  return too_few_microbatches(request, "zb_v", "2p-1", 2 * request.ranks - 1);
}

std::string refuse_dualpipe(const ScheduleRequest& request) {
  if (std::string sentence = refuse_interleaving(request, "dualpipe", true); !sentence.empty())
    return sentence;
  if (request.ranks % 2 != 0) {
    return fmt::format("dualpipe needs an even number of pipeline ranks, not {}; dualpipe_v takes any",
                       request.ranks);
  }
  if (request.microbatches % 2 != 0) {
    return fmt::format("dualpipe needs an even number of micro-batches, half for each direction, not {}",
                       request.microbatches);
  }
  return too_few_microbatches(request, "dualpipe", "2p", 2 * request.ranks);
}

std::string refuse_dualpipe_v(const ScheduleRequest& request) {
  if (std::string sentence = refuse_interleaving(request, "dualpipe_v", true); !sentence.empty())
    return sentence;
  return too_few_microbatches(request, "dualpipe_v", "2p", 2 * request.ranks);
}

// ---- the table ------------------------------------------------------------------------------------------

template <std::string (*Refuse)(const ScheduleRequest&), PipelineSchedule (*Build)(const ScheduleRequest&)>
PipelineSchedule build_checked(const ScheduleRequest& request) {
  INVARIANT(Refuse(request).empty());
  return Build(request);
}

constexpr ScheduleRow kSchedules[] = {
    {"gpipe", "all forwards, then all backwards; idle (p-1)(F+B), activations of all m micro-batches live",
     refuse_gpipe, build_checked<refuse_gpipe, build_gpipe>},
    {"1f1b", "one forward, one backward in turn; idle (p-1)(F+B) as gpipe, at most p micro-batches live",
     refuse_1f1b, build_checked<refuse_1f1b, build_1f1b>},
    {"interleaved_1f1b",
     "1f1b over v chunks a rank; idle (p-1)(F+B)/v, for v times the transfers and up to twice the "
     "activations",
     refuse_interleaved, build_checked<refuse_interleaved, build_interleaved>},
    {"zb_h1", "1f1b with weight gradients put off into the bubble; idle (p-1)(F+I-W), the memory of 1f1b",
     refuse_zb_h1, build_checked<refuse_zb_h1, build_zb_h1>},
    {"zb_h2", "zb_h1 with a deeper warm-up; no idle inside a rank if F = I = W, for twice the memory of 1f1b",
     refuse_zb_h2, build_checked<refuse_zb_h2, build_zb_h2>},
    {"zb_v",
     "two chunks a rank in a V, split gradients; no idle inside a rank if F = I = W, the memory of 1f1b",
     refuse_zb_v, build_checked<refuse_zb_v, build_zb_v>},
    {"dualpipe",
     "both ends feed micro-batches, forwards hide in backwards; idle (p/2-1)(FB+B-3W), parameters held twice",
     refuse_dualpipe, build_checked<refuse_dualpipe, build_dualpipe>},
    {"dualpipe_v", "dualpipe cut in half on a V of 2p stages; idle (p-1)(FB+B-3W), parameters held once",
     refuse_dualpipe_v, build_checked<refuse_dualpipe_v, build_dualpipe_v>},
};

}  // namespace

std::span<const ScheduleRow> pipeline_schedules() { return kSchedules; }

const ScheduleRow* find_schedule(std::string_view name) {
  const auto* const row = std::ranges::find(kSchedules, name, &ScheduleRow::name);
  return row == std::end(kSchedules) ? nullptr : row;
}

std::vector<int> peak_chunks_in_flight(const PipelineSchedule& schedule, bool until_weight) {
  std::vector<int> peaks;
  for (const std::vector<Slot>& slots : schedule.slots) {
    int live = 0, peak = 0;
    for (const Slot& slot : slots) {
      const bool starts = slot.pass == Pass::forward || slot.pass == Pass::forward_backward;
      const bool ends = slot.pass == Pass::backward || slot.pass == Pass::forward_backward ||
                        slot.pass == (until_weight ? Pass::weight_gradient : Pass::input_gradient);
      peak = std::max(peak, live += starts ? 1 : 0);
      live -= ends ? 1 : 0;
    }
    peaks.push_back(peak);
  }
  return peaks;
}

}  // namespace runcast
