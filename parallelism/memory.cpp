#include "parallelism/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace runcast {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

// Tokens of one micro-batch on one rank.
double rank_tokens(const Layout& l, const TrainingSpec& t) {
  return real(t.sequence_length) * real(t.micro_batch) / l.context;
}

// Ranks that share an activation outside the tensor-parallel region.
double sequence_shards(const Layout& l) { return l.sequence_parallel ? l.tensor : 1; }

// Bytes of an element that is kept: 4 in fp32 and tf32, else 2; GEMM inputs alone are kept in fp8
// [Transformer Engine: the cast input is saved for the weight gradient].
double element_bytes(const Precision& p) { return p.narrow ? 2 : p.gemm_element; }

double key_value_heads(const Model& m,
                       const Layout& l) {  // of one tensor rank; replicated when there are fewer
  return std::max(1.0, real(m.kv_heads) / l.tensor);
}

// What a layer keeps, by what a recomputation choice can drop. Bytes per token.
struct KeptBytes {
  double input = 0;           // of the layer: the residual stream into the first norm
  double norm_outputs = 0;    // inputs of QKV and FC1
  double attention_core = 0;  // scores and masks, or the log-sum-exp of flash attention
  double mlp_up = 0;          // input of the activation function
  double mlp_activated = 0;   // its output, FC2's input
  double other = 0;
  double total() const { return input + norm_outputs + attention_core + mlp_up + mlp_activated + other; }
};

// Korthikanti et al. 2022, eq. 1-4: 2 a s for the softmax; with dropout 1 more for its mask, 2 for its
// output.
double core_bytes(const Model& m, const Layout& l, const TrainingSpec& t) {
  const double heads = real(m.heads) / l.tensor;
  if (t.flash_attention) return 4 * heads;  // log-sum-exp, fp32 [Dao et al. 2022]
  const double e = element_bytes(*t.precision);
  return heads * real(t.sequence_length) * (m.dropout ? 2 * e + 1 : e);
}

void add_attention(KeptBytes& kept, const Model& m, const Layout& l, const TrainingSpec& t) {
  const double e = element_bytes(*t.precision),
               narrow_copy = t.precision->narrow ? t.precision->gemm_element : 0;
  const double heads = real(m.heads) / l.tensor;
  if (m.latent) {
    // Compressed query and key-value before and after their norms (whole on each tensor rank), then query,
    // the up-projected key and value, and the key with its rope part [Megatron-Core multi_latent_attention].
    const LatentAttention& mla = *m.latent;
    const double compressed = real(2 * mla.q_lora + 2 * mla.kv_lora + mla.rope_dim);
    const double qk = real(mla.nope_dim + mla.rope_dim);
    kept.other += e * (compressed / sequence_shards(l) + heads * (2 * qk + real(mla.nope_dim + mla.v_dim)));
  } else {
    kept.other += e * real(m.head_dim) * (heads + 2 * key_value_heads(m, l));
  }
  kept.other += (e + narrow_copy) * heads * real(m.value_dim());  // attention output, the projection's input
  kept.attention_core += core_bytes(m, l, t);
}

void add_mlp(KeptBytes& kept, const Model& m, const TrainingSpec& t, double rows, double width) {
  kept.mlp_up += element_bytes(*t.precision) * (m.mlp_matrices() - 1) * rows * width;
  kept.mlp_activated += t.precision->gemm_element * rows * width;
}

// Routed experts with an even load: each token's top_k rows, the rows of the expert-tensor group gathered.
// The router keeps scores and probabilities in fp32.
void add_experts(KeptBytes& kept, const Model& m, const Layout& l, const TrainingSpec& t) {
  const Experts& x = *m.experts;
  const double rows = real(x.top_k) * l.expert_tensor / l.tensor;
  kept.other += rows * t.precision->gemm_element * real(m.hidden) + 8 * real(x.count) / sequence_shards(l);
  add_mlp(kept, m, t, rows, real(x.ffn) / l.expert_tensor);
  add_mlp(kept, m, t, 1, real(x.shared_ffn) / l.tensor);
}

KeptBytes kept_bytes(const Model& m, const Layout& l, const TrainingSpec& t, bool moe_layer) {
  KeptBytes kept;
  const double h = real(m.hidden) / sequence_shards(l), e = element_bytes(*t.precision);
  kept.input = e * h;
  kept.other = e * h;  // input of the second norm
  kept.norm_outputs = 2 * t.precision->gemm_element * h;
  if (m.dropout) kept.other += 2 * h;  // masks after attention and MLP, 1 byte
  add_attention(kept, m, l, t);
  if (moe_layer && m.experts)
    add_experts(kept, m, l, t);
  else
    add_mlp(kept, m, t, 1, real(m.ffn) / l.tensor);
  return kept;
}

double kept_after(const Recompute& r, KeptBytes kept) {
  if (r.kind == Recompute::Kind::full) return kept.input;
  if (r.kind == Recompute::Kind::selective || r.has("attention_core")) kept.attention_core = 0;
  if (r.has("norms")) kept.norm_outputs = 0;
  if (r.has("mlp_up")) kept.mlp_up = 0;
  if (r.has("mlp_activation")) kept.mlp_activated = 0;
  return kept.total();
}

// ---- parameters -----------------------------------------------------------------------------------------

// Stages of one pipeline rank: all directions, in the order of the placement.
std::vector<int> stages_of_rank(const PipelineSchedule& schedule, int rank) {
  std::vector<int> stages;
  for (const std::vector<int>& direction : schedule.rank_of_stage)
    for (std::size_t s = 0; s < direction.size(); ++s)
      if (direction[s] == rank) stages.push_back(static_cast<int>(s));
  return stages;
}

// Layers of a stage: [first, last).
std::pair<std::int64_t, std::int64_t> layers_of_stage(const ScheduleSpec& spec, int stage) {
  std::int64_t first = 0;
  for (int s = 0; s < stage; ++s) first += spec.stage_layers[static_cast<std::size_t>(s)];
  return {first, first + spec.stage_layers[static_cast<std::size_t>(stage)]};
}

// Parameters of one layer on one rank. Norms, router and MLA's down-projections are whole on each tensor
// rank; key and value heads are, where there are fewer of them than tensor ranks.
RankParameters layer_rank_parameters(const Model& m, const Layout& l, bool moe_layer) {
  const LayerParameters p = layer_parameters(m, moe_layer);
  double whole = real(p.norms + p.router), split = real(p.attention + p.mlp) / l.tensor;
  if (m.latent) {
    const double down = real(m.hidden) * real(m.latent->q_lora + m.latent->kv_lora + m.latent->rope_dim);
    whole += down * (1 - 1.0 / l.tensor);
  } else {
    const double missing = key_value_heads(m, l) - real(m.kv_heads) / l.tensor;
    split += 2 * missing * real(m.hidden) * real(m.head_dim);
  }
  return {whole + split, real(p.routed_experts) / (l.expert_tensor * l.expert), 0};
}

RankParameters parameters_of_stages(const Model& m, const Layout& l, const ScheduleSpec& spec,
                                    const std::vector<int>& stages) {
  RankParameters sum;
  const ParameterCount count = count_parameters(m);
  bool holds_embedding = false;
  for (int stage : stages) {
    const auto [first, last] = layers_of_stage(spec, stage);
    for (std::int64_t layer = first; layer < last; ++layer) {
      const RankParameters p = layer_rank_parameters(m, l, m.layer_is_moe(layer));
      sum.dense += p.dense;
      sum.expert += p.expert;
    }
    if (stage == 0) {
      sum.embedding += real(count.embedding) / l.tensor + real(count.positions);
      holds_embedding = true;
    }
  }
  const int last_stage = static_cast<int>(spec.stage_layers.size()) - 1;
  for (int stage : stages) {
    if (stage != last_stage) continue;
    const bool shared = m.tied_embeddings && holds_embedding;  // elsewhere tied embeddings are two copies
    sum.embedding += shared ? 0 : real(m.vocabulary * m.hidden) / l.tensor;
    sum.dense += real(count.final_norm);
  }
  sum.dense += sum.embedding;
  return sum;
}

// ---- activations over the schedule ----------------------------------------------------------------------

// What a chunk keeps from its forward to its backward pass.
struct ChunkBytes {
  double layers = 0;     // activations of its layers
  double ends = 0;       // of the embedding, and of the final norm, head and loss
  double transient = 0;  // only while the chunk itself runs
};

// Of one logit: the 16-bit logits, their fp32 copy, and its gradient. 10 B together reproduce the peaks that
// SimuMax measured with fused cross entropy (B200, Megatron-Core and Transformer Engine; docs/b200, 2025).
// One fp32 copy stays until the backward pass.
constexpr double kLogitBytesKept = 4, kLogitBytesRunning = 6;

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
  const double logits = tokens * real(m.vocabulary) / l.tensor;
  chunk.ends +=
      kLogitBytesKept * logits + 2 * element_bytes(*t.precision) * tokens * h;  // final norm's in, out
  chunk.transient = std::max(chunk.transient, kLogitBytesRunning * logits);
}

// Keys and values of the whole sequence (all-gather) or of one more shard (ring), for the layer at work.
double context_buffer(const Model& m, const Layout& l, const TrainingSpec& t) {
  if (l.context == 1 || l.context_method == "ulysses") return 0;
  const double width = m.latent ? real(m.heads) / l.tensor * real(m.qk_dim() + m.value_dim())
                                : 2 * key_value_heads(m, l) * real(m.head_dim);
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
  for (std::int64_t layer = first; layer < last; ++layer) {
    const bool covered = t.recompute.layers == 0 || layer - first < t.recompute.layers;
    const bool moe = m.layer_is_moe(layer);
    const double all = layer_activation_bytes(m, l, keeping_all, moe).value;
    const double kept = covered ? layer_activation_bytes(m, l, t, moe).value : all;
    chunk.layers += kept;
    rebuilt = std::max(rebuilt, all - kept);
  }
  if (last > first) rebuilt += context_buffer(m, l, t);
  const int last_stage = static_cast<int>(spec.stage_layers.size()) - 1;
  add_ends(chunk, m, l, t, stage == 0, stage == last_stage);
  chunk.transient = std::max(chunk.transient, rebuilt);  // embedding, layers and head run one after the other
  return chunk;
}

struct LivePeak {
  double layers = 0, ends = 0, transient = 0;
  int chunks = 0;  // most at once, which need not be when the bytes peak
};

// The live chunks of one rank, slot by slot. A chunk lives from the start of its forward pass to the end of
// its backward pass, and to the end of its weight gradient where that runs apart: its inputs are the layers'
// inputs.
class LiveChunks {
 public:
  explicit LiveChunks(const std::vector<ChunkBytes>& of_stage) : of_stage_(of_stage) {}

  void run(const Slot& slot) {
    const bool forward = slot.pass == Pass::forward || slot.pass == Pass::forward_backward;
    if (forward) open(slot.stage);
    note(slot.stage);
    if (slot.pass == Pass::forward_backward) {
      note(slot.backward_stage);
      close(slot.backward_stage);
    } else if (slot.pass == Pass::backward || slot.pass == Pass::weight_gradient) {
      close(slot.stage);
    }
  }
  const LivePeak& peak() const { return peak_; }

 private:
  void open(int stage) { change(stage, 1); }
  void close(int stage) { change(stage, -1); }
  void change(int stage, int by) {
    const ChunkBytes& chunk = of_stage_[static_cast<std::size_t>(stage)];
    live_ += by;
    layers_ += by * chunk.layers;
    ends_ += by * chunk.ends;
  }
  void note(int running_stage) {
    const double transient = of_stage_[static_cast<std::size_t>(running_stage)].transient;
    peak_.chunks = std::max(peak_.chunks, live_);
    if (layers_ + ends_ + transient <= peak_.layers + peak_.ends + peak_.transient) return;
    peak_.layers = layers_;
    peak_.ends = ends_;
    peak_.transient = transient;
  }

  const std::vector<ChunkBytes>& of_stage_;
  double layers_ = 0, ends_ = 0;
  int live_ = 0;
  LivePeak peak_;
};

// ---- states ---------------------------------------------------------------------------------------------

// Ranks over which one copy of dense and of expert states is cut. Context ranks hold the same weights and
// count as data ranks [Megatron-Core distributed optimizer].
struct ShardGroups {
  double dense = 1, expert = 1;
};
ShardGroups shard_groups(const Layout& l, const Sharding& s) {
  if (s.kind == Sharding::Kind::none) return {};
  ShardGroups groups{static_cast<double>(l.data * l.context), static_cast<double>(l.expert_data())};
  if (s.group == 0) return groups;
  const double one_copy = s.group;
  return {std::min(one_copy, groups.dense), std::min(one_copy, groups.expert)};
}

double gradient_bytes(const TrainingSpec& t, const SoftwareProfile& profile) {
  return t.precision->master_bytes > 0 ? profile.gradient_bytes : t.precision->weight_bytes;
}

void add_states(StageMemory& memory, const RankParameters& p, const Layout& l, const TrainingSpec& t,
                const SoftwareProfile& profile) {
  const ShardGroups groups = shard_groups(l, t.sharding);
  const double dense = p.dense / groups.dense, expert = p.expert / groups.expert;
  const bool cut_weights = t.sharding.shards_parameters(), cut_gradients = t.sharding.shards_gradients();
  const double per_optimizer = t.precision->master_bytes + optimizer_state_bytes(t.optimizer);
  memory.weights = Bytes(t.precision->weight_bytes * (cut_weights ? dense + expert : p.dense + p.expert));
  memory.gradients =
      Bytes(gradient_bytes(t, profile) * (cut_gradients ? dense + expert : p.dense + p.expert));
  memory.optimizer = Bytes(per_optimizer * (dense + expert));
}

// Whole weights and gradients that sharded ones need for a while. Weights: the layer at work and the one
// fetched ahead, and embedding or head. Gradients: without a pipeline, and in ZeRO-3, they leave layer by
// layer after each micro-batch, one filled while one is reduced; in a pipeline ZeRO-2 sums a chunk's
// gradients over its group of micro-batches before it reduces them (training_step), so that all of the chunk
// is whole.
Bytes shard_buffers(const Model& m, const Layout& l, const TrainingSpec& t, const ScheduleSpec& spec,
                    const SoftwareProfile& profile, const std::vector<int>& stages, double embedding) {
  double layer = 0, chunk = 0;
  for (int stage : stages) {
    const auto [first, last] = layers_of_stage(spec, stage);
    double sum = 0;
    for (std::int64_t i = first; i < last; ++i) {
      const RankParameters p = layer_rank_parameters(m, l, m.layer_is_moe(i));
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
    list.emplace_back("tokens are spread evenly over experts; a skewed router needs more memory");
  return list;
}

}  // namespace

Bytes layer_activation_bytes(const Model& m, const Layout& l, const TrainingSpec& t, bool moe_layer) {
  return Bytes(rank_tokens(l, t) * kept_after(t.recompute, kept_bytes(m, l, t, moe_layer)));
}

RankParameters rank_parameters(const Model& m, const Layout& l, const ScheduleSpec& spec, int pipeline_rank) {
  INVARIANT(spec.row != nullptr);
  // Where stages lie does not depend on the micro-batches: the fewest that every schedule accepts.
  const ScheduleRequest request{l.pipeline, 2 * l.pipeline, spec.virtual_stages, 0, false};
  return parameters_of_stages(m, l, spec, stages_of_rank(spec.row->build(request), pipeline_rank));
}

MemoryReport memory_of(const Model& m, const Layout& l, const TrainingSpec& t, const ScheduleSpec& spec,
                       const SoftwareProfile& profile, const PipelineSchedule& schedule, const GpuSpec& gpu) {
  INVARIANT(static_cast<int>(spec.stage_layers.size()) == schedule.stages && t.precision != nullptr);
  MemoryReport report;
  report.capacity = gpu.capacity;
  std::vector<ChunkBytes> of_stage;
  for (int s = 0; s < schedule.stages; ++s) of_stage.push_back(chunk_bytes(m, l, t, spec, s));
  for (int rank = 0; rank < schedule.ranks; ++rank) {
    const std::vector<int> stages = stages_of_rank(schedule, rank);
    const RankParameters parameters = parameters_of_stages(m, l, spec, stages);
    StageMemory memory;
    memory.stage = rank;
    add_states(memory, parameters, l, t, profile);
    LiveChunks live(of_stage);
    for (const Slot& slot : schedule.slots[static_cast<std::size_t>(rank)]) live.run(slot);
    memory.activations = Bytes(live.peak().layers);
    memory.chunks_in_flight = live.peak().chunks;
    const LivePeak& peak = live.peak();
    // What the caching allocator holds beyond the live bytes, for tensors that come and go.
    const Bytes cached((profile.fragmentation - 1) * (peak.layers + peak.ends + peak.transient));
    memory.buffers = Bytes(peak.ends + peak.transient) + cached + profile.framework_memory +
                     shard_buffers(m, l, t, spec, profile, stages, parameters.embedding);
    if (report.stages.empty() || memory.total() > report.peak) {
      report.peak = memory.total();
      report.peak_stage = rank;
    }
    report.stages.push_back(memory);
  }
  report.fits = report.peak <= report.capacity;
  report.verdict = verdict_of(report, t, l);
  report.assumptions = assumptions_of(m, profile);
  return report;
}

}  // namespace runcast
