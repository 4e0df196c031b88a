// How a step is trained: batch, precision, recomputation, sharding, overlap, and the pipeline schedule's choices.
// Plain data with its reading; what each choice costs is in operators, memory and training_step.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parallelism/data_loading.hpp"
#include "parallelism/layout.hpp"
#include "parallelism/model.hpp"
#include "parallelism/pipeline_execution.hpp"
#include "parallelism/pipeline_schedule.hpp"
#include "parallelism/precision.hpp"
#include "parallelism/software_profile.hpp"
#include "sim/config.hpp"

namespace runcast {

// What of a layer's forward pass is run again in the backward pass instead of being kept.
struct Recompute {
  enum class Kind { none, selective, full, modules };
  Kind kind = Kind::none;
  std::int64_t layers = 0;  // full: only the first N layers of each stage; 0 = all
  // attention_core | mlp_activation | moe_activation | norms | mlp_up | mla_up
  std::vector<std::string> modules;
  bool has(std::string_view module) const;
};

struct Sharding {
  enum class Kind { none, zero1, zero2, zero3, hsdp };
  Kind kind = Kind::none;
  int group = 0;  // hsdp: ranks that share one copy; zero1: ranks that share the optimizer (0 = all replicas)
  bool shards_parameters() const { return kind == Kind::zero3 || kind == Kind::hsdp; }
  bool shards_gradients() const { return kind == Kind::zero2 || shards_parameters(); }
};
std::string_view name_of(Sharding::Kind);

// What the communication hides behind. `pipeline`: false makes `blocking` the default of schedule.p2p. `expert`: a
// forward and a backward of two micro-batches run as one slot in which the all-to-alls of each hide behind the
// other's compute (1f1b and interleaved_1f1b with one more warm-up forward; DualPipe's slots always do).
struct Overlap {
  bool data = true, tensor = false, pipeline = true, expert = false;
};

// What lives in host memory and moves over PCIe (NodeSpec::host_link, one link a GPU).
struct Offload {
  bool optimizer =
      false;  // fp32 master and moments; the update runs on the CPU (ZeRO-Offload, Ren et al. 2021)
  bool activations = false;  // what layers keep: out behind the forward pass, back behind the backward pass
};

struct TrainingSpec {
  double tokens = 0;  // of the whole run
  std::int64_t sequence_length = 0;
  std::int64_t global_batch = 0;  // sequences
  std::int64_t micro_batch = 1;
  const Precision* precision = nullptr;
  std::string fp8_recipe = "delayed";
  bool flash_attention = true;
  Recompute recompute;
  Sharding sharding;
  std::string optimizer = "adamw";
  std::string cuda_graphs = "none";  // none | partial | full
  bool deduplicate_tokens =
      false;  // expert dispatcher sends a token once per rank and domain (DeepEP, HybridEP)
  bool dispatch_on_device = false;  // the host never waits for the experts' token counts (HybridEP)
  // Element of a token on its way to its expert, forwards, and of its gradient: 2 B, or 1 B and scales in fp8. The
  // way back is 16 bit always (DeepSeek-V3 2024, sec. 3.3.2).
  bool narrow_dispatch = false;
  bool narrow_storage = false;  // activation inputs kept in the GEMMs' format (DeepSeek-V3 2024, sec. 3.3.3)
  Overlap overlap;
  Offload offload;
  DataLoading data_loading;
};

// The gradient norm before the optimizer step: a barrier of all ranks, or none: each rank steps as soon as its own
// gradients are summed and rolls back in the rare step that had to be clipped (Qi et al. 2023, sec. 4), so that steps
// follow each other as parallelograms.
enum class GradientNorm { barrier, post_validation };

struct ScheduleSpec {
  const ScheduleRow* row = nullptr;
  int virtual_stages = 1;
  int group_size = 0;  // 0 = pipeline degree
  PointToPoint point_to_point = PointToPoint::overlapped;
  GradientNorm gradient_norm = GradientNorm::barrier;
  bool fuse_pairs = false;                 // Overlap::expert of a schedule of the 1F1B family
  std::vector<std::int64_t> stage_layers;  // [global stage], resolved; sums to the model's layers
  ScheduleRequest request(const Layout&, std::int64_t microbatches) const;
};

// `profile` gives the defaults (sharding, overlap, recomputation) where the scenario is silent.
TrainingSpec read_training(Section, const SoftwareProfile& profile, const Model& model);
ScheduleSpec read_schedule(Section, const Model&, const Layout&, std::int64_t microbatches,
                           const TrainingSpec& training, const SoftwareProfile& profile);

// Layers of each stage where a scenario says nothing: even where they divide; with layers + 2 slots that divide the
// first stage gives one to the embedding and the last one to the head (LLaMA 3 405B: 126 + 2 = 16 x 8); otherwise the
// last stage has as many layers less as the head takes time, so that the longest stage is as short as can be, and the
// odd ones lie in the middle. `head`: time of the head's pass over a layer's.
std::vector<std::int64_t> balanced_stages(std::int64_t layers, std::int64_t stages, double head);
// The head's pass over a layer's, by their FLOPs: GEMMs of layers at the rate of the format, the rest in 16 bits.
// Modules of multi-token prediction are left out, as in Megatron-Bridge's lists for DeepSeek-V3, which are the same
// with and without.
double head_over_layer(const Model&, const TrainingSpec&);

// Micro-batches of one pipeline in a step. Records a located sentence when the batch does not divide.
std::int64_t microbatches(Section training, const TrainingSpec&, const Layout&);

std::span<const std::string_view> optimizer_names();
// Bytes of optimizer state per parameter, without the fp32 master copy.
double optimizer_state_bytes(std::string_view optimizer);

}  // namespace runcast
