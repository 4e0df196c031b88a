// Bytes that one layer keeps for one micro-batch on one rank from its forward to its backward pass, tensor by
// tensor, and what each choice of recomputation gives back.
//   fp16, standard attention   Korthikanti et al. 2022, eq. 1-6
//   bf16, flash, SwiGLU, MLA   Megatron-Core's theoretical memory report; multi_latent_attention.py
//   fp8 storage                DeepSeek-V3 2024, sec. 3.3.3: SwiGLU's inputs in fp8, the attention output in 12 bits
// Leaves out: the workspace of kernels.
#pragma once

#include "parallelism/layout.hpp"
#include "parallelism/model.hpp"
#include "parallelism/training.hpp"

namespace runcast {

// Bytes per token of the rank, by what a recomputation choice can drop.
struct KeptBytes {
  double input = 0;           // of the layer: the residual stream into the first norm
  double norm_outputs = 0;    // inputs of QKV and FC1, and of MLA's up-projections
  double attention_core = 0;  // scores and masks, or the log-sum-exp of flash attention
  double latent_up = 0;       // MLA: query, key and value after their up-projections
  double mlp_up = 0;          // input of the activation function
  double mlp_activated = 0;   // its output, FC2's input
  double experts_up = 0;      // the same of routed experts
  double experts_activated = 0;
  double other = 0;
  double total() const {
    return input + norm_outputs + attention_core + latent_up + mlp_up + mlp_activated + experts_up +
           experts_activated + other;
  }
};

KeptBytes kept_bytes(const Model&, const Layout&, const TrainingSpec&, bool moe_layer);

// The layer is one that `training.recompute` covers; memory_of knows which layers that are.
Bytes layer_activation_bytes(const Model&, const Layout&, const TrainingSpec&, bool moe_layer);

// Tokens of one micro-batch on one rank.
double rank_tokens(const Layout&, const TrainingSpec&);
// Ranks that share an activation outside the tensor-parallel region.
double sequence_shards(const Layout&);
// Bytes of an element that is kept: 4 in fp32 and tf32, else 2.
double element_bytes(const Precision&);

}  // namespace runcast
