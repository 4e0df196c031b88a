// Calculators around one model: what its parts weigh, and bounds on its speed on one GPU. Nothing is simulated; counts
// come from model, bytes from memory and kept_activations.
//   roofline      time >= max(FLOPs / peak, bytes / memory bandwidth); MFU <= FLOPs / (time x peak)
//                                                                                    [Williams et al. 2009]
//   training step of B tokens on one GPU, bytes: 3 weights (read by forward and backward, written by the optimizer)
//                 + 2 gradients + 2 optimizer states (written and read) + 2 B x what a token's layers and logits keep
//   decode step   of b sequences of c tokens: weights once (routed experts: those that b tokens meet, 1-(1-k/E)^b of
//                 them, with an even router) + b x KV cache of c tokens
// Leaves out: caches, what kernels reach of the peaks (kernel_time), communication, overlap of anything but FLOPs with
// bytes.
#pragma once

#include <cstdint>
#include <optional>

#include "parallelism/memory.hpp"
#include "parallelism/model.hpp"
#include "parallelism/precision.hpp"
#include "parallelism/software_profile.hpp"
#include "parallelism/training.hpp"
#include "topology/hardware.hpp"

namespace runcast {

// ---- counting -------------------------------------------------------------------------------------------

// Over all layers; sums to count_parameters().total.
struct ParameterParts {
  std::int64_t embedding = 0, positions = 0, attention = 0, mlp = 0, router = 0, routed_experts = 0,
               norms = 0,  // and biases
      head = 0, prediction = 0;
};
ParameterParts parameter_parts(const Model&);

// Of one token's forward pass, causal attention at half; sums to a third of the `exact` training FLOPs.
struct ForwardFlops {
  Flops scores;       // q k^T and its product with v: what grows with the sequence
  Flops projections;  // to q, k, v and out
  Flops mlp;          // with router and experts
  Flops head;
  Flops attention() const { return scores + projections; }
  Flops total() const { return scores + projections + mlp + head; }
};
ForwardFlops forward_flops(const Model&, double sequence);
// The sequence at which scores, or all of attention, are one half of the forward FLOPs; none where windows keep them
// below. Up to 1e12 tokens.
std::optional<double> half_scores_sequence(const Model&);
std::optional<double> half_attention_sequence(const Model&);

// ---- inference ------------------------------------------------------------------------------------------

// Keys and values of one sequence of `tokens`; windowed layers keep their window, latent attention its compressed
// vector and the rope key [DeepSeek-V2 2024, sec. 2.1]. `element`: bytes.
Bytes kv_cache_bytes(const Model&, double tokens, double element = 2);
// The longest context of `batch` sequences whose KV cache fits beside the weights; whole tokens, 0 when none does.
double longest_context(const Model&, Bytes left_for_cache, double batch);
// The most sequences of `context` tokens, whole ones.
double largest_batch(const Model&, Bytes left_for_cache, double context);

// Bytes of the weights as they are served: GEMM inputs of the format.
Bytes served_weights(const Model&, const Precision&);

struct Bound {
  Flops flops;
  Bytes bytes;
  Seconds compute, memory;
  Seconds time() const { return compute > memory ? compute : memory; }
  double mfu() const { return compute / time(); }  // at most
  bool memory_bound() const { return memory > compute; }
};
// One token of each of `batch` sequences with `context` tokens behind them.
Bound decode_bound(const Model&, const GpuSpec&, const Precision&, double batch, double context);
// Dense weights: the batch from which decoding at this context is bound by FLOPs; none when the cache's bytes alone
// take longer than the FLOPs. With experts the same, all experts read.
std::optional<double> decode_batch(const Model&, const GpuSpec&, const Precision&, double context);
// The context past which decoding is memory-bound at any batch; none when it never is.
std::optional<double> decode_context(const Model&, const GpuSpec&, const Precision&);

// ---- training -------------------------------------------------------------------------------------------

// A model trained on `gpus` GPUs that share its states (training.sharding), one pipeline stage.
struct TrainingPlace {
  const GpuSpec* gpu = nullptr;
  const TrainingSpec* training =
      nullptr;  // sequence_length, micro_batch, precision, recompute, optimizer, sharding
  const SoftwareProfile* profile = nullptr;
  int gpus = 1;
};
MemoryReport memory_at(const Model&, const TrainingPlace&);

// The longest sequence of one micro-batch of one, and the largest micro-batch of the training's sequence, that fit; 0
// when none does.
std::int64_t longest_training_sequence(const Model&, const TrainingPlace&);
std::int64_t largest_micro_batch(const Model&, const TrainingPlace&);

// Bytes that a training step moves, by what they are of.
struct StepTraffic {
  Bytes weights, gradients, optimizer;  // of a step, whatever its tokens
  Bytes activations;                    // of each token
  Flops flops;                          // of each token, exact
  Bytes states() const { return weights + gradients + optimizer; }
};
StepTraffic step_traffic(const Model&, const TrainingPlace&);
// One step of `tokens` tokens on one GPU; may be less than a sequence.
Bound training_bound(const Model&, const TrainingPlace&, double tokens);
// Tokens of a step from which it is bound by FLOPs; none when activations alone take longer.
std::optional<double> training_batch(const Model&, const TrainingPlace&);

// The model of the same proportions with `heads` heads: width, layers, experts' width and latent dimensions in
// proportion; head size, vocabulary and number of experts as they are.
Model scaled_to_heads(const Model&, std::int64_t heads);
// The largest of that family which fits, up to 1,024 heads; none when not even the smallest does.
std::optional<Model> largest_trainable(const Model&, const TrainingPlace&);
// The smallest whose step of `tokens` tokens is bound by FLOPs; tokens 0: of any size. None when none is.
std::optional<Model> smallest_compute_bound(const Model&, const TrainingPlace&, double tokens);

}  // namespace runcast
