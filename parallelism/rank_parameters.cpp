// Counting of what a rank holds; the rules are in the header.
#include "parallelism/rank_parameters.hpp"

#include <algorithm>

#include "sim/error.hpp"

namespace runcast {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

RankParameters prediction_module(const Model& m, const Layout& l) {
  RankParameters p = layer_rank_parameters(m, l, m.prediction_is_moe());
  const double norms = real(3 * m.hidden * (m.layer_norm ? 2 : 1));
  p.dense += real(prediction_projection_parameters(m) - 2 * m.hidden) / l.tensor + norms;
  return p;
}

}  // namespace

RankParameters& RankParameters::operator+=(const RankParameters& o) {
  dense += o.dense;
  expert += o.expert;
  embedding += o.embedding;
  return *this;
}

double local_kv_heads(const Model& m, const Layout& l) { return std::max(1.0, real(m.kv_heads) / l.tensor); }

RankParameters layer_rank_parameters(const Model& m, const Layout& l, bool moe_layer) {
  const LayerParameters p = layer_parameters(m, moe_layer);
  double whole = real(p.norms + p.router), split = real(p.attention + p.mlp) / l.tensor;
  if (m.latent) {
    const double down = real(m.hidden) * real(m.latent->q_lora + m.latent->kv_lora + m.latent->rope_dim);
    whole += down * (1 - 1.0 / l.tensor);
  } else {
    const double missing = local_kv_heads(m, l) - real(m.kv_heads) / l.tensor;
    split += 2 * missing * real(m.hidden) * real(m.head_dim);
  }
  return {whole + split, real(p.routed_experts) / (l.expert_tensor * l.expert), 0};
}

const RankParameters& LayerShares::of(std::int64_t layer) {
  const bool moe = model_->layer_is_moe(layer);
  std::optional<RankParameters>& known = of_kind_[moe ? 1 : 0];
  if (!known) known = layer_rank_parameters(*model_, *layout_, moe);
  return *known;
}

std::pair<std::int64_t, std::int64_t> layers_of_stage(const ScheduleSpec& spec, int stage) {
  std::int64_t first = 0;
  for (int s = 0; s < stage; ++s) first += spec.stage_layers[static_cast<std::size_t>(s)];
  return {first, first + spec.stage_layers[static_cast<std::size_t>(stage)]};
}

std::vector<int> stages_of_rank(const PipelineSchedule& schedule, int rank) {
  std::vector<int> stages;
  for (const std::vector<int>& direction : schedule.rank_of_stage)
    for (std::size_t s = 0; s < direction.size(); ++s)
      if (direction[s] == rank) stages.push_back(static_cast<int>(s));
  return stages;
}

RankParameters parameters_of_stages(const Model& m, const Layout& l, const ScheduleSpec& spec,
                                    std::span<const int> stages) {
  RankParameters sum;
  const ParameterCount count = count_parameters(m);
  bool holds_embedding = false;
  LayerShares shares(m, l);
  for (int stage : stages) {
    const auto [first, last] = layers_of_stage(spec, stage);
    for (std::int64_t layer = first; layer < last; ++layer) sum += shares.of(layer);
    if (stage == 0) {
      sum.embedding += real(count.embedding) / l.tensor + real(count.positions);
      holds_embedding = true;
    }
  }
  const int last_stage = static_cast<int>(spec.stage_layers.size()) - 1;
  for (int stage : stages) {
    if (stage != last_stage) continue;
    const bool shared = m.tied_embeddings && holds_embedding;  // elsewhere tied embeddings are two copies
    sum.embedding += shared ? 0 : real(count.embedding) / l.tensor;
    sum.dense += real(count.final_norm);
    for (std::int64_t i = 0; i < m.predicted_tokens; ++i) sum += prediction_module(m, l);
    const bool embeds_again = m.predicted_tokens > 0 && !holds_embedding && !m.tied_embeddings;
    sum.embedding += embeds_again ? real(count.embedding) / l.tensor : 0;
  }
  sum.dense += sum.embedding;
  return sum;
}

RankParameters rank_parameters(const Model& m, const Layout& l, const ScheduleSpec& spec, int pipeline_rank) {
  INVARIANT(spec.row != nullptr);
  // Where stages lie does not depend on the micro-batches: the fewest that every schedule accepts.
  const ScheduleRequest request{l.pipeline, 2 * l.pipeline, spec.virtual_stages, 0, false};
  return parameters_of_stages(m, l, spec, stages_of_rank(spec.row->build(request), pipeline_rank));
}

int stage_copies(const PipelineSchedule& schedule) { return static_cast<int>(schedule.rank_of_stage.size()); }

ShardGroups shard_groups(const Layout& l, const Sharding& s, int copies) {
  if (s.kind == Sharding::Kind::none) return {};
  ShardGroups groups{static_cast<double>(copies * l.data * l.context),
                     static_cast<double>(copies * l.expert_data())};
  if (s.group == 0) return groups;
  const double one_copy = s.group;
  return {std::min(one_copy, groups.dense), std::min(one_copy, groups.expert)};
}

}  // namespace runcast
