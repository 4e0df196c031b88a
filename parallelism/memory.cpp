#include "parallelism/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "parallelism/stage_kinds.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

// ---- activations over the schedule ----------------------------------------------------------------------

// What a chunk keeps from its forward to its backward pass.
struct ChunkBytes {
  double layers = 0;     // activations of its layers
  double ends = 0;       // of the embedding, and of the final norm, head and loss
  double transient = 0;  // only while the chunk itself runs
};

// Of one logit: the 16-bit logits, their fp32 copy and the 16-bit gradient. 8 B together reproduce the peaks that
// SimuMax measured with fused cross entropy, from sequences of 4,096 to 131,072 tokens within 5 % (B200, Megatron-Core
// and Transformer Engine; docs/b200, 2025). The fp32 copy stays until the backward pass.
constexpr double kLogitBytesKept = 4, kLogitBytesRunning = 4;

// A dense gradient of the embedding's rows is made before it is added into the main gradients; SimuMax's
// peaks of first stages hold it beside all live chunks.
double embedding_gradient(const Model& m, const Layout& l, const TrainingSpec& t) {
  return element_bytes(*t.precision) * real(m.vocabulary * m.hidden) / l.tensor;
}

void add_ends(ChunkBytes& chunk, const Model& m, const Layout& l, const TrainingSpec& t, bool first,
              bool last) {
  const double tokens = rank_tokens(l, t), h = real(m.hidden) / sequence_shards(l);
  if (first) {
    chunk.ends += tokens * (8 + (m.dropout ? h : 0));  // token ids; embedding's dropout mask
    chunk.transient = embedding_gradient(m, l, t);
  }
  if (!last) return;
  const double logits = tokens * real(m.vocabulary) / l.tensor, e = element_bytes(*t.precision);
  chunk.ends += kLogitBytesKept * logits + 2 * e * tokens * h;  // final norm's in, out
  // Each module of multi-token prediction: two normed inputs side by side, a layer, logits of its own; its norms
  // are part of the layers' choice of recomputation.
  const double joined = t.recompute.has("norms") ? 2 : 4;
  const double module = kLogitBytesKept * logits + e * (joined + 2) * tokens * h +
                        layer_activation_bytes(m, l, t, m.prediction_is_moe()).value;
  chunk.ends += real(m.predicted_tokens) * module;
  chunk.transient = std::max(chunk.transient, kLogitBytesRunning * logits);
}

// Keys and values of the whole sequence (all-gather) or of one more shard (ring), for the layer at work.
double context_buffer(const Model& m, const Layout& l, const TrainingSpec& t) {
  if (l.context == 1 || l.context_method == "ulysses") return 0;
  const double width = m.latent ? real(m.heads) / l.tensor * real(m.qk_dim() + m.value_dim())
                                : 2 * local_kv_heads(m, l) * real(m.head_dim);
  const double shards = l.context_method == "allgather" ? l.context : 2;
  return element_bytes(*t.precision) * rank_tokens(l, t) * shards * width;
}

ChunkBytes chunk_bytes(const Model& m, const Layout& l, const TrainingSpec& t, const ScheduleSpec& spec,
                       int stage) {
  ChunkBytes chunk;
  const auto [first, last] = layers_of_stage(spec, stage);
  TrainingSpec keeping_all = t;
  keeping_all.recompute = Recompute{};
  double rebuilt = 0;  // of the one layer that is being recomputed
  // Layers are of two kinds, each counted when it is met first.
  std::array<std::optional<double>, 2> all_of, kept_of;
  const auto bytes = [&](std::optional<double>& known, const TrainingSpec& training, bool moe) {
    if (!known) known = layer_activation_bytes(m, l, training, moe).value;
    return *known;
  };
  for (std::int64_t layer = first; layer < last; ++layer) {
    const bool covered = t.recompute.layers == 0 || layer - first < t.recompute.layers;
    const bool moe = m.layer_is_moe(layer);
    const double all = bytes(all_of[moe ? 1 : 0], keeping_all, moe);
    const double kept = covered ? bytes(kept_of[moe ? 1 : 0], t, moe) : all;
    chunk.layers += kept;
    rebuilt = std::max(rebuilt, all - kept);
  }
  if (last > first) rebuilt += context_buffer(m, l, t);
  const int last_stage = static_cast<int>(spec.stage_layers.size()) - 1;
  add_ends(chunk, m, l, t, stage == 0, stage == last_stage);
  chunk.transient = std::max(chunk.transient, rebuilt);  // embedding, layers and head run one after the other
  if (t.offload.activations) {  // on the way out or back: the chunk at work and the one before or after it
    chunk.transient += 2 * chunk.layers;
    chunk.layers = 0;
  }
  return chunk;
}

struct LivePeak {
  double layers = 0, ends = 0, transient = 0;
  double total() const { return layers + ends + transient; }
};

// The fullest of a rank's moments.
LivePeak peak_of(const LiveRank& rank, const std::vector<ChunkBytes>& of_kind,
                 const std::vector<int>& kind_of) {
  LivePeak fullest;
  const auto chunk = [&](int stage) -> const ChunkBytes& {
    return of_kind[static_cast<std::size_t>(kind_of[static_cast<std::size_t>(stage)])];
  };
  for (const LiveMoment& moment : rank.moments) {
    LivePeak now{0, 0, chunk(rank.stages[moment.running]).transient};
    for (std::size_t i = 0; i < rank.stages.size(); ++i) {
      now.layers += moment.live[i] * chunk(rank.stages[i]).layers;
      now.ends += moment.live[i] * chunk(rank.stages[i]).ends;
    }
    if (now.total() > fullest.total()) fullest = now;
  }
  return fullest;
}

// ---- states ---------------------------------------------------------------------------------------------

bool is_fp16(const TrainingSpec& t) { return t.precision == find_precision("fp16"); }

double gradient_bytes(const TrainingSpec& t, const SoftwareProfile& profile) {
  if (t.precision->master_bytes == 0) return t.precision->weight_bytes;
  const double by_format = is_fp16(t) ? profile.fp16_gradients : profile.bf16_gradients;
  return by_format > 0 ? by_format : profile.gradient_bytes;
}

void add_states(StageMemory& memory, const RankParameters& p, const Layout& l, const TrainingSpec& t,
                const SoftwareProfile& profile, int copies) {
  const ShardGroups groups = shard_groups(l, t.sharding, copies);
  const double dense = p.dense / groups.dense, expert = p.expert / groups.expert;
  const bool cut_weights = t.sharding.shards_parameters(), cut_gradients = t.sharding.shards_gradients();
  const double per_optimizer = t.precision->master_bytes + optimizer_state_bytes(t.optimizer) +
                               (is_fp16(t) ? profile.shard_gradients : 0);
  memory.weights = Bytes(t.precision->weight_bytes * (cut_weights ? dense + expert : p.dense + p.expert));
  memory.gradients =
      Bytes(gradient_bytes(t, profile) * (cut_gradients ? dense + expert : p.dense + p.expert));
  memory.optimizer = Bytes(t.offload.optimizer ? 0 : per_optimizer * (dense + expert));
}

// Whole weights and gradients that sharded ones need for a while. Weights: the layer at work and the one
// fetched ahead, and embedding or head. Gradients: without a pipeline, and in ZeRO-3, they leave layer by
// layer after each micro-batch, one filled while one is reduced; in a pipeline ZeRO-2 sums a chunk's
// gradients over its group of micro-batches before it reduces them (training_step), so that all of the chunk
// is whole.
Bytes shard_buffers(const Model& m, const Layout& l, const TrainingSpec& t, const ScheduleSpec& spec,
                    const SoftwareProfile& profile, const std::vector<int>& stages, double embedding) {
  double layer = 0, chunk = 0;
  LayerShares shares(m, l);
  for (int stage : stages) {
    const auto [first, last] = layers_of_stage(spec, stage);
    double sum = 0;
    for (std::int64_t i = first; i < last; ++i) {
      const RankParameters& p = shares.of(i);
      layer = std::max(layer, p.dense + p.expert);
      sum += p.dense + p.expert;
    }
    chunk = std::max(chunk, sum);
  }
  double bytes = 0;
  if (t.sharding.shards_parameters()) bytes += t.precision->weight_bytes * (2 * layer + embedding);
  const bool whole_chunk = l.pipeline > 1 && !t.sharding.shards_parameters();
  if (t.sharding.shards_gradients())
    bytes += gradient_bytes(t, profile) * (whole_chunk ? chunk : std::min(2 * layer, chunk));
  return Bytes(bytes);
}

// ---- verdict --------------------------------------------------------------------------------------------

struct Part {
  std::string_view name, remedy;
  Bytes bytes;
};

std::string activation_remedy(const TrainingSpec& t, const Layout& l) {
  std::string text;
  const auto add = [&text](bool useful, std::string_view knob) {
    if (useful) text += (text.empty() ? "" : ", ") + std::string(knob);
  };
  add(!t.flash_attention, "attention: flash");
  add(t.recompute.kind != Recompute::Kind::full, "more recompute");
  add(l.tensor > 1 && !l.sequence_parallel, "sequence_parallel");
  add(t.micro_batch > 1, "a smaller micro_batch");
  add(true, "more tensor or context ranks");
  return text;
}

std::string state_remedy(const TrainingSpec& t, bool cut, std::string_view sharding) {
  return cut ? "more data ranks in the shard group, or more tensor or pipeline ranks"
             : fmt::format("sharding: {}, or more tensor or pipeline ranks{}", sharding,
                           t.sharding.kind == Sharding::Kind::none ? " (nothing is sharded now)" : "");
}

std::string verdict_of(const MemoryReport& report, const TrainingSpec& t, const Layout& l) {
  if (report.fits) return "fits";
  const StageMemory& s = report.stages[static_cast<std::size_t>(report.peak_stage)];
  const std::string activations = activation_remedy(t, l);
  const std::string weights = state_remedy(t, t.sharding.shards_parameters(), "zero3");
  const std::string gradients = state_remedy(t, t.sharding.shards_gradients(), "zero2");
  const std::string optimizer = state_remedy(t, t.sharding.kind != Sharding::Kind::none, "zero1");
  const std::array<Part, 5> parts = {{{"activations", activations, s.activations},
                                      {"optimizer state", optimizer, s.optimizer},
                                      {"gradients", gradients, s.gradients},
                                      {"weights", weights, s.weights},
                                      {"buffers", "more tensor ranks, a smaller micro_batch", s.buffers}}};
  const Part& largest = *std::max_element(parts.begin(), parts.end(),
                                          [](const Part& a, const Part& b) { return a.bytes < b.bytes; });
  return fmt::format(
      "does not fit: stage {} needs {:.1f} GiB of {:.1f} GiB; its largest part is {} with {:.1f} GiB; "
      "what reduces it: {}",
      s.stage, in_gib(report.peak), in_gib(report.capacity), largest.name, in_gib(largest.bytes),
      largest.remedy);
}

std::vector<std::string> assumptions_of(const Model& m, const SoftwareProfile& profile) {
  std::vector<std::string> list = {
      fmt::format("{:.1f} GiB a GPU for CUDA context, communicators and fragmentation",
                  in_gib(profile.framework_memory))};
  if (m.experts)
    list.push_back(m.experts->load() == 1
                       ? "tokens are spread evenly over experts; a skewed router needs more memory"
                       : fmt::format("the busiest rank's experts take {:.2f} times an even share of tokens",
                                     m.experts->load()));
  return list;
}

}  // namespace

std::vector<StageMemory> stage_memories(const Model& m, const Layout& l, const TrainingSpec& t,
                                        const ScheduleSpec& spec, const SoftwareProfile& profile,
                                        const LiveChunks& live) {
  INVARIANT(static_cast<int>(spec.stage_layers.size()) == live.stages && t.precision != nullptr);
  const StageKinds kinds = stage_kinds(m, spec.stage_layers);
  std::vector<ChunkBytes> of_kind;
  for (const int stage : kinds.example) of_kind.push_back(chunk_bytes(m, l, t, spec, stage));
  // States and buffers of ranks whose stages are alike are equal.
  std::vector<std::vector<int>> known;
  std::vector<StageMemory> states;
  std::vector<StageMemory> out;
  for (std::size_t rank = 0; rank < live.ranks.size(); ++rank) {
    const LiveRank& chunks = live.ranks[rank];
    std::vector<int> list;
    for (const int stage : chunks.stages) list.push_back(kinds.of_stage[static_cast<std::size_t>(stage)]);
    const auto found = std::ranges::find(known, list);
    if (found == known.end()) {
      const RankParameters parameters = parameters_of_stages(m, l, spec, chunks.stages);
      add_states(states.emplace_back(), parameters, l, t, profile, live.copies);
      states.back().buffers = profile.framework_memory +
                              shard_buffers(m, l, t, spec, profile, chunks.stages, parameters.embedding);
      known.push_back(list);
    }
    StageMemory memory = states[static_cast<std::size_t>(std::ranges::find(known, list) - known.begin())];
    memory.stage = static_cast<int>(rank);
    const LivePeak peak = peak_of(chunks, of_kind, kinds.of_stage);
    memory.activations = Bytes(peak.layers);
    memory.chunks_in_flight = chunks.most;
    // What the caching allocator holds beyond the live bytes, for tensors that come and go.
    const Bytes cached((profile.fragmentation - 1) * peak.total());
    memory.buffers += Bytes(peak.ends + peak.transient) + cached;
    out.push_back(memory);
  }
  return out;
}

std::vector<Bytes> kept_by_chunk(const Model& m, const Layout& l, const TrainingSpec& t,
                                 const ScheduleSpec& spec) {
  std::vector<Bytes> kept;
  for (int s = 0; s < static_cast<int>(spec.stage_layers.size()); ++s) {
    const ChunkBytes chunk = chunk_bytes(m, l, t, spec, s);
    kept.emplace_back(chunk.layers + chunk.ends);
  }
  return kept;
}

MemoryReport memory_of(const Model& m, const Layout& l, const TrainingSpec& t, const ScheduleSpec& spec,
                       const SoftwareProfile& profile, const PipelineSchedule& schedule, const GpuSpec& gpu) {
  MemoryReport report;
  report.capacity = gpu.capacity;
  report.stages = stage_memories(m, l, t, spec, profile, live_chunks(schedule));
  for (const StageMemory& memory : report.stages) {
    if (memory.stage > 0 && memory.total() <= report.peak) continue;
    report.peak = memory.total();
    report.peak_stage = memory.stage;
  }
  report.fits = report.peak <= report.capacity;
  report.verdict = verdict_of(report, t, l);
  report.assumptions = assumptions_of(m, profile);
  return report;
}

}  // namespace runcast
