// One layer's kept tensors; formulas as in the header.
#include "parallelism/kept_activations.hpp"

#include "parallelism/rank_parameters.hpp"

namespace runcast {

namespace {

double real(std::int64_t n) { return static_cast<double>(n); }

// Korthikanti et al. 2022, eq. 1-4: 2 a s for the softmax; with dropout 1 more for its mask, 2 for its
// output.
double core_bytes(const Model& m, const Layout& l, const TrainingSpec& t) {
  const double heads = real(m.heads) / l.tensor;
  if (t.flash_attention) return 4 * heads;  // log-sum-exp, fp32 [Dao et al. 2022]
  const double e = element_bytes(*t.precision);
  return heads * real(t.sequence_length) * (m.dropout ? 2 * e + 1 : e);
}

// The attention output is the projection's input: its narrow copy is kept beside the wide one that attention's
// backward reads, or one copy in E5M6, 12 bits, serves both [DeepSeek-V3 2024, sec. 3.3.3].
double attention_output_element(const TrainingSpec& t) {
  if (t.narrow_storage) return 1.5;
  return element_bytes(*t.precision) + (t.precision->narrow ? t.precision->gemm_element : 0);
}

void add_attention(KeptBytes& kept, const Model& m, const Layout& l, const TrainingSpec& t) {
  const double e = element_bytes(*t.precision), heads = real(m.heads) / l.tensor;
  if (m.latent) {
    // Compressed query and key-value before and after their norms (whole on each tensor rank), then query,
    // the up-projected key and value, and the key with its rope part [Megatron-Core multi_latent_attention].
    const LatentAttention& mla = *m.latent;
    const double normed = e * real(mla.q_lora + mla.kv_lora) / sequence_shards(l);
    kept.other += normed + e * real(mla.rope_dim) / sequence_shards(l);
    kept.norm_outputs += normed;
    const double qk = real(mla.nope_dim + mla.rope_dim);
    kept.latent_up += e * heads * (2 * qk + real(mla.nope_dim + mla.v_dim));
  } else {
    kept.other += e * real(m.head_dim) * (heads + 2 * local_kv_heads(m, l));
  }
  kept.other += attention_output_element(t) * heads * real(m.value_dim());
  kept.attention_core += core_bytes(m, l, t);
}

double up_bytes(const Model& m, const TrainingSpec& t, double width) {
  const double e = t.narrow_storage ? t.precision->gemm_element : element_bytes(*t.precision);
  return e * (m.mlp_matrices() - 1) * width;
}

void add_mlp(KeptBytes& kept, const Model& m, const TrainingSpec& t, double width) {
  kept.mlp_up += up_bytes(m, t, width);
  kept.mlp_activated += t.precision->gemm_element * width;
}

// Routed experts of the busiest rank: each token's top_k rows, the rows of the expert-tensor group gathered.
// The router keeps scores and probabilities in fp32.
void add_experts(KeptBytes& kept, const Model& m, const Layout& l, const TrainingSpec& t) {
  const Experts& x = *m.experts;
  const double rows = real(x.top_k) * x.load() * l.expert_tensor / l.tensor;
  const double width = rows * real(x.ffn) / l.expert_tensor;
  kept.other += rows * t.precision->gemm_element * real(m.hidden) + 8 * real(x.count) / sequence_shards(l);
  kept.experts_up += up_bytes(m, t, width);
  kept.experts_activated += t.precision->gemm_element * width;
  add_mlp(kept, m, t, real(x.shared_ffn) / l.tensor);
}

double kept_after(const Recompute& r, KeptBytes kept) {
  if (r.kind == Recompute::Kind::full) return kept.input;
  if (r.kind == Recompute::Kind::selective || r.has("attention_core")) kept.attention_core = 0;
  if (r.has("norms")) kept.norm_outputs = 0;
  if (r.has("mla_up")) kept.latent_up = 0;
  if (r.has("mlp_up")) kept.mlp_up = 0;
  if (r.has("mlp_activation")) kept.mlp_activated = 0;
  if (r.has("moe_activation")) kept.experts_activated = 0;
  return kept.total();
}

}  // namespace

double rank_tokens(const Layout& l, const TrainingSpec& t) {
  return real(t.sequence_length) * real(t.micro_batch) / l.context;
}

double sequence_shards(const Layout& l) { return l.sequence_parallel ? l.tensor : 1; }

double element_bytes(const Precision& p) { return p.narrow ? 2 : p.gemm_element; }

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
    add_mlp(kept, m, t, real(m.ffn) / l.tensor);
  return kept;
}

Bytes layer_activation_bytes(const Model& m, const Layout& l, const TrainingSpec& t, bool moe_layer) {
  return Bytes(rank_tokens(l, t) * kept_after(t.recompute, kept_bytes(m, l, t, moe_layer)));
}

}  // namespace runcast
