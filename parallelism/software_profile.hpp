// What a training framework does around the mathematics: which attention kernel, what is fused, what overlaps,
// how much host time a layer costs. Read from scenarios/library/software/*.yaml, each number with its origin.
// Leaves out: Python garbage collection, logging, evaluation.
#pragma once

#include <string>

#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

enum class AttentionKernel { standard, flash2, cudnn, triton, cudnn8 };

// How the weight gradients of a micro-batch join those of the others.
enum class GradientAccumulation {
  fused,  // added into fp32 main gradients by the GEMM's epilogue (Megatron's gradient accumulation fusion)
  separate,  // written in 16 bits, then added by a kernel of their own
  sharded,   // reduced over the data-parallel group at once; only the shard is added (FSDP)
};

struct SoftwareProfile {
  std::string name, sentence;
  AttentionKernel attention = AttentionKernel::cudnn;
  double elementwise_factor = 1.0;     // HBM traffic of unfused against fused elementwise kernels
  Seconds host_per_layer{200e-6};      // CPU time to issue one layer's forward pass
  Seconds host_per_moe_layer{4.2e-3};  // CPU time to route, permute and issue one expert layer's forward pass
  double host_share_on_device = 0.6;   // of that, where the dispatcher keeps token counts on the device
  double host_backward = 1.5;          // backward issue time over forward's
  Seconds step_overhead{30e-3};        // per step: data, logging, loss scaling, scheduler
  double jitter = 0.006;               // relative step growth per doubling of the job beyond 8 GPUs
  double gradient_bytes = 4;           // main gradients in memory
  // DeepSpeed keeps other gradients in memory, by number format; 0: gradient_bytes.
  double fp16_gradients = 0;   // a parameter, whole
  double bf16_gradients = 0;   // the same: the GEMM's and the fp32 sum
  double shard_gradients = 0;  // a parameter of the optimizer's shard: its fp32 copy for the update, fp16
  double reduce_bytes = 4;     // gradient element on the wire
  double gather_bytes = 2;     // parameter element on the wire
  GradientAccumulation accumulation = GradientAccumulation::fused;
  bool overlap_data = true;        // gradient reduction and parameter gather behind compute
  bool overlap_parameters = true;  // parameter gather behind the next forward
  Seconds owner_overhead{0};    // parameters broadcast owner after owner: fixed time of each; 0 = all-gather
  bool overlap_tensor = false;  // user buffers, async TP
  // With a narrow format, activations are gathered over the tensor group, and parameters over the data-parallel
  // group, in that format (Transformer Engine casts before it gathers; fp8 primary weights).
  bool narrow_activation_gather = false;
  bool narrow_parameter_gather = false;
  bool fused_permutation = false;  // tokens are ordered by expert inside the exchange's own kernels
  double context_hidden = 0.7;     // share of attention time that can hide ring context exchange
  bool overlap_p2p_flat = false;   // p2p behind compute without interleaving
  bool overlap_p2p_interleaved = true;
  double bucket_parameters = 40e6;   // least parameters of a data-parallel bucket
  Seconds collective_launch{10e-6};  // fixed time of one collective
  // CUDA context and kernels (0.5-0.9 GiB on A100 and H100, by users of PyTorch) and communicators' buffers. The
  // default is low: the published LLaMA 3 405B runs fit into 79.3 GiB [Llama Team 2024, table 4].
  Bytes framework_memory{kGiB};
  double fragmentation = 1.0;      // memory reserved over live bytes of activations and buffers
  std::string sharding = "zero1";  // defaults of training.* where a scenario is silent
  std::string recompute = "none";
};

SoftwareProfile read_software_profile(Section section, std::string_view name);

}  // namespace runcast
