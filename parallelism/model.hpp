// A decoder-only transformer as dimensions, and what follows from them by counting: parameters and FLOPs.
// Dense with multi-head or grouped-query attention, sliding windows, multi-head latent attention (DeepSeek-V2, 2024),
// mixture of experts, multi-token prediction (DeepSeek-V3, 2024). Leaves out: dropout masks, rotary tables,
// encoder-decoders.
//
// Counted in multiply-adds of 2 FLOPs; causal attention at half unless a convention says otherwise.
//   layer forward, per token: 2 h (a + 2g) d + 2 a d h + 2 s a d + 2 m h f     (m = 2 GELU, 3 SwiGLU)
//   training = 3 x forward   [Narayanan et al. 2021, appendix]
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

enum class Activation { gelu, swiglu, squared_relu };
std::string_view name_of(Activation);

struct LatentAttention {  // MLA; q_lora = 0: the query is projected directly
  std::int64_t q_lora = 0, kv_lora = 0, rope_dim = 0, nope_dim = 0, v_dim = 0;
};

struct Experts {
  std::int64_t count = 0;  // routed experts of a layer
  std::int64_t top_k = 0;
  std::int64_t ffn = 0;           // of one routed expert
  std::int64_t shared_ffn = 0;    // of all shared experts of a layer together
  std::int64_t dense_layers = 0;  // leading layers without experts
  std::int64_t every = 1;         // of the layers after them each n-th has experts (LLaMA 4 Maverick: 2)
  // A token's experts lie on at most so many nodes (DeepSeek-V3 2024, sec. 2.1.2: 4); 0 = on any.
  std::int64_t node_limit = 0;
  // Rows of an expert over an even share: each expert takes exactly so many, padded or dropped; 0 = dropless.
  double capacity_factor = 0;
  double imbalance = 1;  // dropless: rows of the busiest rank over the mean
  // What the busiest rank computes, keeps and receives, over an even share of the routed rows.
  double load() const { return capacity_factor > 0 ? capacity_factor : imbalance; }
};

// Attention over the last `tokens` tokens only, but for every `global_every`-th layer (0 = in all layers).
struct SlidingWindow {
  std::int64_t tokens = 0;
  std::int64_t global_every = 0;
};

struct Model {
  std::string name;
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;  // of the dense layers
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocabulary = 0;
  std::int64_t positions = 0;  // learned position embeddings; 0 = rotary or none
  Activation activation = Activation::swiglu;
  bool tied_embeddings = false;
  bool biases = false;      // on linear layers, of experts too, and on the router
  bool layer_norm = false;  // LayerNorm, with a shift (GPT), instead of RMSNorm
  bool dropout = false;     // masks are kept for the backward pass (GPT)
  std::optional<LatentAttention> latent;
  std::optional<Experts> experts;
  std::optional<SlidingWindow> window;
  std::int64_t predicted_tokens = 0;  // multi-token prediction: modules after the last layer

  int mlp_matrices() const { return activation == Activation::swiglu ? 3 : 2; }
  bool is_moe() const { return experts.has_value(); }
  bool layer_is_moe(std::int64_t layer) const {
    return experts && layer >= experts->dense_layers &&
           (layer - experts->dense_layers) % experts->every == experts->every - 1;
  }
  std::int64_t moe_layers() const { return experts ? (layers - experts->dense_layers) / experts->every : 0; }
  bool layer_is_windowed(std::int64_t layer) const {
    return window && (window->global_every == 0 || (layer + 1) % window->global_every != 0);
  }
  // The kind of the layer of a multi-token prediction module: that of the last one.
  bool prediction_is_moe() const { return layers > 0 && layer_is_moe(layers - 1); }
  // Query-key and value widths of one head, elements.
  std::int64_t qk_dim() const { return latent ? latent->nope_dim + latent->rope_dim : head_dim; }
  std::int64_t value_dim() const { return latent ? latent->v_dim : head_dim; }
};

// Reads a model section and checks it; errors are located. `name` is what it is called when it has no name key.
Model read_model(Section section, std::string_view name);

// ---- parameters -----------------------------------------------------------------------------------------

struct LayerParameters {
  std::int64_t attention = 0;  // projections
  std::int64_t mlp = 0;        // dense MLP, or the shared experts
  std::int64_t router = 0;
  std::int64_t routed_experts = 0;  // all of them
  std::int64_t norms = 0;
  std::int64_t total() const { return attention + mlp + router + routed_experts + norms; }
};
LayerParameters layer_parameters(const Model&, bool moe_layer);

struct ParameterCount {
  std::int64_t embedding = 0, positions = 0, head = 0, final_norm = 0;
  std::int64_t layers = 0;
  std::int64_t prediction = 0;  // modules of multi-token prediction; they share embedding and head
  std::int64_t total = 0;
  std::int64_t active = 0;  // routed experts counted top_k of count
};
ParameterCount count_parameters(const Model&);

// ---- FLOPs ----------------------------------------------------------------------------------------------

// Forward FLOPs of one layer over `tokens` tokens of sequences of `sequence` tokens, no parallelism.
struct LayerFlops {
  Flops qkv, attention, projection, mlp_in, mlp_out, router, routed, shared;
  Flops total() const { return qkv + attention + projection + mlp_in + mlp_out + router + routed + shared; }
};
LayerFlops layer_forward_flops(const Model&, bool moe_layer, double tokens, double sequence,
                               bool windowed = false);
// Keys that a query sees in the mean: s/2 (causal half), or w - w^2/2s behind a window of w < s tokens.
double mean_keys(double sequence, double window);
// What a module of multi-token prediction adds to a layer: two norms and the projection of [h, embedding] to h.
std::int64_t prediction_projection_parameters(const Model&);
Flops head_forward_flops(const Model&, double tokens);

// How published work counts FLOPs.
//   exact          matmuls, causal attention at half (Megatron-Bridge)
//   exact_full     attention over the full square (torchtitan, older Megatron)
//   six_n          6 N
//   palm           6 N + 12 L a d s                                   [Chowdhery et al. 2022, appendix B]
//   megatron_2021  72 s L h^2 (1 + s/6h + V/(12 h L)) a token         [Narayanan et al. 2021, eq. 3]; with full
//                  recomputation its first two terms x 4/3, the head is not computed again
enum class FlopConvention { exact, exact_full, six_n, palm, megatron_2021 };
std::string_view name_of(FlopConvention);
Flops training_flops_per_token(const Model&, double sequence, FlopConvention);

}  // namespace runcast
