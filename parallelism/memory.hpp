// Bytes per GPU by kind and pipeline rank, and whether they fit.
//   states       weights, main gradients, fp32 master and optimizer moments under the sharding in use
//   activations  bytes kept per layer and micro-batch [Korthikanti et al. 2022, eq. 1-6; bf16 flash SwiGLU
//                form: Megatron-Core's theoretical memory report] x the chunks that the schedule really holds
//   buffers      logits and loss, gathered parameters and unsharded gradients of ZeRO-2/3, and a named
//                allowance for the CUDA context and communicators, and the allocator's share, by software
// Leaves out: inference, checkpoints in host memory.
#pragma once

#include <string>
#include <vector>

#include "parallelism/kept_activations.hpp"
#include "parallelism/live_chunks.hpp"
#include "parallelism/rank_parameters.hpp"
#include "sim/units.hpp"

namespace runcast {

struct StageMemory {
  int stage = 0;  // pipeline rank
  Bytes weights, gradients, optimizer, activations, buffers;
  int chunks_in_flight = 0;  // at the peak
  Bytes total() const { return weights + gradients + optimizer + activations + buffers; }
};

struct MemoryReport {
  Bytes capacity;  // usable, of the GPU
  Bytes peak;      // of the fullest stage
  int peak_stage = 0;
  bool fits = true;
  std::string
      verdict;  // "does not fit: stage 0 needs 97.1 GiB of 79.3 GiB; its largest part is ..." or "fits"
  std::vector<StageMemory> stages;
  std::vector<std::string> assumptions;
};

// By pipeline rank: the bytes without the verdict. Whoever asks often keeps the schedule's live chunks.
std::vector<StageMemory> stage_memories(const Model&, const Layout&, const TrainingSpec&, const ScheduleSpec&,
                                        const SoftwareProfile&, const LiveChunks&);
// Bytes that one micro-batch keeps in each stage from its forward pass to the end of its backward.
std::vector<Bytes> kept_by_chunk(const Model&, const Layout&, const TrainingSpec&, const ScheduleSpec&);

MemoryReport memory_of(const Model&, const Layout&, const TrainingSpec&, const ScheduleSpec&,
                       const SoftwareProfile&, const PipelineSchedule&, const GpuSpec&);

}  // namespace runcast
