// Which parameters one rank holds, before data-parallel sharding, and over how many ranks one copy of them is cut.
// One rule for costs, traffic and memory:
//   matrices of attention, MLP and shared experts are divided over the tensor group, embedding and head too; norms,
//   the router and MLA's down-projections are whole on each tensor rank, and so are key and value heads where there
//   are fewer of them than tensor ranks; routed experts are divided over expert x expert_tensor
//   [Megatron-Core: transformer/attention.py, moe/router.py, multi_latent_attention.py]
// The modules of multi-token prediction live with the last stage; they share its head, and the embedding where the
// rank holds it (DeepSeek-V3 2024, sec. 2.2 and 3.2.1).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "parallelism/layout.hpp"
#include "parallelism/model.hpp"
#include "parallelism/training.hpp"

namespace runcast {

struct RankParameters {
  double dense = 0, expert = 0;
  double embedding = 0;  // part of dense that is embedding or head
  double total() const { return dense + expert; }
  RankParameters& operator+=(const RankParameters&);
};

// Key and value heads of one tensor rank.
double local_kv_heads(const Model&, const Layout&);

RankParameters layer_rank_parameters(const Model&, const Layout&, bool moe_layer);

// The same by layer, each of the two kinds counted once. Model and layout must outlive it.
class LayerShares {
 public:
  LayerShares(const Model& model, const Layout& layout) : model_(&model), layout_(&layout) {}
  const RankParameters& of(std::int64_t layer);

 private:
  const Model* model_;
  const Layout* layout_;
  std::array<std::optional<RankParameters>, 2> of_kind_;
};

// Layers of a global stage: [first, last).
std::pair<std::int64_t, std::int64_t> layers_of_stage(const ScheduleSpec&, int stage);
// Stages of one pipeline rank: all directions, in the order of the placement.
std::vector<int> stages_of_rank(const PipelineSchedule&, int rank);
// All that one rank holds for these stages together: tied embeddings and those of multi-token prediction count once
// where embedding and head meet.
RankParameters parameters_of_stages(const Model&, const Layout&, const ScheduleSpec&,
                                    std::span<const int> stages);
// Parameters held by one rank of pipeline rank `p`.
RankParameters rank_parameters(const Model&, const Layout&, const ScheduleSpec&, int pipeline_rank);

// Copies of each stage among the pipeline ranks: 2 in DualPipe, whose directions hold the stages twice.
int stage_copies(const PipelineSchedule&);

// Ranks over which one copy of dense and of expert states is cut. Context ranks hold the same weights and count as
// data ranks, and so do DualPipe's two copies [Megatron-Core distributed optimizer].
struct ShardGroups {
  double dense = 1, expert = 1;
};
ShardGroups shard_groups(const Layout&, const Sharding&, int stage_copies);

}  // namespace runcast
