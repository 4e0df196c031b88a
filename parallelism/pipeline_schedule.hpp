// Pipeline schedules: which slot each pipeline rank runs, in which order. Orders only; durations, transfers
// and waiting are the executor's (pipeline_execution). Each schedule is a row of pipeline_schedules().
//   gpipe             Huang et al. 2019
//   1f1b              Narayanan et al. 2019 / 2021 (PipeDream-flush)
//   interleaved_1f1b  Narayanan et al. 2021, sec. 2.2; free group size N: LLaMA 3, sec. 3.3.2
//   zb_h1 zb_h2 zb_v  Qi et al. 2023, 2024
//   dualpipe dualpipe_v  DeepSeek-V3 2024, sec. 3.2.1 and its repository
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace runcast {

// F; B = input and weight gradient fused; I = input gradient; W = weight gradient; FB = a forward and a
// backward of another micro-batch interleaved as one operation (DualPipe).
enum class Pass : std::uint8_t { forward, backward, input_gradient, weight_gradient, forward_backward };

// One unit of work of one rank. `stage` is global: 0 .. stages-1 in the order that a micro-batch visits them.
// `chunk` is the index of that stage among the rank's own (0 = first to be visited by a forward; DualPipe:
// the direction).
struct Slot {
  Pass pass = Pass::forward;
  std::int16_t chunk = 0;
  std::int32_t stage = 0;
  std::int32_t microbatch = 0;
  // Only for forward_backward: what the backward half works on (the fields above are the forward's).
  std::int16_t backward_chunk = 0;
  std::int32_t backward_stage = 0;
  std::int32_t backward_microbatch = 0;
  friend bool operator==(const Slot&, const Slot&) = default;
};

struct ScheduleRequest {
  int ranks = 1;              // p
  int microbatches = 1;       // m, a step (DualPipe: both directions together)
  int chunks = 1;             // v, stages a rank (V-shaped schedules: 2)
  int group_size = 0;         // N of interleaved_1f1b; 0 = interleaving_group_size() chooses
  bool extra_warmup = false;  // one more warm-up forward, for overlapped expert all-to-all
  // The pairs of the steady state run as one forward_backward slot; needs the extra warm-up, which makes the two
  // halves independent (Megatron-Core combined_1f1b).
  bool fuse_pairs = false;
};

struct PipelineSchedule {
  int ranks = 1, microbatches = 1, chunks = 1;
  int stages = 1;                        // distinct stages of one direction
  std::vector<std::vector<Slot>> slots;  // [rank], in order
  // stage -> rank. DualPipe has two directions: direction d runs stage s on rank_of(s, d).
  std::vector<std::vector<int>> rank_of_stage;  // [direction][stage]
  std::vector<int> direction_of_microbatch;     // [microbatch]; all 0 but for dualpipe
};

struct ScheduleRow {
  std::string_view name;
  std::string_view sentence;  // what it does and what it costs, for `list` and `explain`
  // Why a request cannot be scheduled, in a sentence with the legal values; empty when it can.
  std::string (*refuse)(const ScheduleRequest&);
  PipelineSchedule (*build)(const ScheduleRequest&);  // INVARIANT: refuse() is empty
  bool fuses_pairs = false;                           // takes extra_warmup and fuse_pairs
};

// N of interleaved_1f1b: the request's; for 0 it is p (depth first), or the next larger N that leaves no
// group of fewer than p micro-batches behind (Megatron-LM's rule for a legal N).
int interleaving_group_size(const ScheduleRequest&);

std::span<const ScheduleRow> pipeline_schedules();
const ScheduleRow* find_schedule(std::string_view name);  // nullptr when there is none

// The most chunks in flight on each rank (a chunk is the activations of one micro-batch in one stage): from
// the start of F to the end of B (or I; or W with `until_weight`).
std::vector<int> peak_chunks_in_flight(const PipelineSchedule&, bool until_weight);

}  // namespace runcast
