// The table of the pipeline schedules, why a request is refused, and the builders of the 1F1B family. Each
// builder follows the order rules of the paper or the source that it names; none of them knows a duration.
#include "parallelism/pipeline_schedule.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "parallelism/schedule_builders.hpp"
#include "sim/error.hpp"

namespace runcast {
namespace {

// ---- the 1F1B family -----------------------------------------------------------------------------------

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

// min(m, p-1-r) warm-up F, pairs (F, B), the rest of B (Narayanan et al. 2019; 2021, fig. 4). A pair that is
// one slot takes F + B a hop both ways, so that it needs the depth of interleaving, 2(p-1-r) + 1.
PipelineSchedule build_1f1b(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank});
    const int hops = request.ranks - 1 - rank;
    const int depth = request.fuse_pairs ? 2 * hops + 1 : hops + (request.extra_warmup ? 1 : 0);
    const int warm_up = std::min(request.microbatches, depth);
    for (int i = 0; i < warm_up; ++i) order.forward();
    for (int i = warm_up; i < request.microbatches; ++i) {
      if (request.fuse_pairs) {
        order.forward_backward(0, 0);
      } else {
        order.forward();
        order.backward();
      }
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
  const int group_size = interleaving_group_size(request);
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
      const int chunk = request.chunks - 1 - back.chunk;
      if (request.fuse_pairs && k < table.size()) {
        fuse(slots.back(), chunk, chunk * request.ranks + rank, back.microbatch);
      } else {
        append(Pass::backward, chunk, back.microbatch);
      }
    }
  }
  return schedule;
}

// ---- refusals ------------------------------------------------------------------------------------------

constexpr std::int64_t kMostSlots = 20'000'000;  // assumption: about 1 GB of order and trace
constexpr int kMostChunks = 1000;                // assumption: no model has so many layers a rank

std::string refuse_always(const ScheduleRequest& request) {
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

std::string refuse_fusing(const ScheduleRequest& request) {
  if (!request.fuse_pairs || request.extra_warmup) return "";
  return "a fused forward and backward need one more warm-up forward to be independent of each other";
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
  if ((request.extra_warmup || request.fuse_pairs) && name != "1f1b") {
    return fmt::format("{} has no extra warm-up forward; only 1f1b and interleaved_1f1b take one", name);
  }
  return refuse_fusing(request);
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

// Whether every slot gets its turn: follows the order alone, without time. Fused pairs wait for both halves.
bool runs_to_its_end(const PipelineSchedule& schedule) {
  const auto stages = static_cast<std::size_t>(schedule.stages);
  std::vector<std::size_t> next(schedule.slots.size());
  // How many stages of a micro-batch are done forwards, and backwards.
  std::vector<std::size_t> forwards(static_cast<std::size_t>(schedule.microbatches)), backwards(forwards);
  for (bool moved = true; std::exchange(moved, false);) {
    for (std::size_t rank = 0; rank < next.size(); ++rank) {
      for (const std::vector<Slot>& slots = schedule.slots[rank]; next[rank] < slots.size(); ++next[rank]) {
        const Slot& slot = slots[next[rank]];
        const bool both = slot.pass == Pass::forward_backward;
        const auto i = static_cast<std::size_t>(slot.microbatch);
        const auto back = both ? static_cast<std::size_t>(slot.backward_microbatch) : i;
        const auto back_stage = static_cast<std::size_t>(both ? slot.backward_stage : slot.stage);
        const bool forward = slot.pass == Pass::forward || both, backward = slot.pass != Pass::forward;
        if (forward && forwards[i] != static_cast<std::size_t>(slot.stage)) break;
        if (backward && (forwards[back] != stages || backwards[back] != stages - 1 - back_stage)) break;
        forwards[i] += forward ? 1 : 0;
        backwards[back] += backward ? 1 : 0;
        moved = true;
      }
    }
  }
  return std::ranges::all_of(backwards, [&](std::size_t done) { return done == stages; });
}

// In a group of fewer micro-batches than ranks (Megatron-LM refuses all of them) a rank runs out of forwards
// before the first comes round; it then either idles or waits for ever.
bool has_short_group(const ScheduleRequest& request, int group_size) {
  const int last = request.microbatches % group_size;
  return request.microbatches > group_size &&
         (group_size < request.ranks || (last != 0 && last < request.ranks));
}

std::string refuse_interleaved(const ScheduleRequest& request) {
  if (std::string sentence = refuse_always(request); !sentence.empty()) return sentence;
  if (std::string sentence = refuse_fusing(request); !sentence.empty()) return sentence;
  if (request.chunks < 2) {
    return fmt::format("interleaved_1f1b needs 2 or more virtual stages a rank, not {}; for 1 use 1f1b",
                       request.chunks);
  }
  if (request.chunks > kMostChunks) {
    return fmt::format("interleaved_1f1b takes at most {} virtual stages a rank, not {}", kMostChunks,
                       request.chunks);
  }
  if (request.group_size < 0) {
    return fmt::format("a group_size is 1 or more micro-batches, not {}", request.group_size);
  }
  const int group_size = interleaving_group_size(request);
  if ((!has_short_group(request, group_size) && !request.fuse_pairs) ||
      runs_to_its_end(build_interleaved(request)))
    return "";
  int legal = std::max(group_size, request.ranks);
  while (has_short_group(request, legal)) ++legal;
  return fmt::format(
      "interleaved_1f1b with group_size {} leaves a group of fewer micro-batches than the {} pipeline ranks, "
      "which "
      "wait for each other for ever; the next larger legal group_size is {}",
      group_size, request.ranks, legal);
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

// ---- the table -----------------------------------------------------------------------------------------

template <std::string (*Refuse)(const ScheduleRequest&), PipelineSchedule (*Build)(const ScheduleRequest&)>
PipelineSchedule build_checked(const ScheduleRequest& request) {
  INVARIANT(Refuse(request).empty());
  return Build(request);
}

constexpr ScheduleRow kSchedules[] = {
    {"gpipe", "all forwards, then all backwards; idle (p-1)(F+B), activations of all m micro-batches live",
     refuse_gpipe, build_checked<refuse_gpipe, build_gpipe>},
    {"1f1b", "one forward, one backward in turn; idle (p-1)(F+B) as gpipe, at most p micro-batches live",
     refuse_1f1b, build_checked<refuse_1f1b, build_1f1b>, true},
    {"interleaved_1f1b",
     "1f1b over v chunks a rank; idle (p-1)(F+B)/v, for v times the transfers and up to twice the "
     "activations",
     refuse_interleaved, build_checked<refuse_interleaved, build_interleaved>, true},
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

int interleaving_group_size(const ScheduleRequest& request) {
  if (request.group_size != 0) return request.group_size;
  int group_size = request.ranks;
  while (has_short_group(request, group_size)) ++group_size;
  return group_size;
}

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
