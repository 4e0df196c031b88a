// How a step is trained: batch, precision, recomputation, sharding, overlap, and the pipeline schedule's choices.
// Plain data with its reading; what each choice costs is in operators, memory and training_step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  std::int64_t layers = 0;           // full: only the first N layers of each stage; 0 = all
  std::vector<std::string> modules;  // attention_core | mlp_activation | norms
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

struct Overlap {
  bool data = true, tensor = false, pipeline = true, expert = false;
};

struct DataLoading {
  std::int64_t workers_per_gpu = 2;
  Seconds time_per_sample{0};  // 0: the input pipeline never starves the step
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
  Overlap overlap;
  DataLoading data_loading;
};

struct ScheduleSpec {
  const ScheduleRow* row = nullptr;
  int virtual_stages = 1;
  int group_size = 0;  // 0 = pipeline degree
  PointToPoint point_to_point = PointToPoint::overlapped;
  std::vector<std::int64_t> stage_layers;  // [global stage], resolved; sums to the model's layers
};

// `profile` gives the defaults (sharding, overlap, recomputation) where the scenario is silent.
TrainingSpec read_training(Section, const SoftwareProfile& profile, const Model& model);
ScheduleSpec read_schedule(Section, const Model&, const Layout&, std::int64_t microbatches,
                           const SoftwareProfile& profile);

// Micro-batches of one pipeline in a step. Records a located sentence when the batch does not divide.
std::int64_t microbatches(Section training, const TrainingSpec&, const Layout&);

// Bytes of optimizer state per parameter, without the fp32 master copy.
double optimizer_state_bytes(std::string_view optimizer);

}  // namespace runcast
