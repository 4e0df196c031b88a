// FLOPs and bytes of one kernel -> seconds on one GPU.
//   GEMM       waves x SMs x 2 tm tn (K + K0) / (peak x g x quality), the least over a few tile shapes; never under
//              bytes / HBM bandwidth. K0 is the fixed prologue and epilogue of a tile. On 183 measured A100 shapes
//              this form errs by 4.0 % (SimuMax tables, see docs in scenarios/library/hardware/gpus).
//   attention  causal FLOPs at half; rate = peak x a x s/(s + s0) x f(head size), and a fixed start-up
//   stream     bytes / (HBM bandwidth x efficiency) + a fixed start-up
// Leaves out: L2 residency, sparsity, autotuning failures.
#pragma once

#include "parallelism/precision.hpp"
#include "parallelism/software_profile.hpp"
#include "sim/units.hpp"
#include "topology/hardware.hpp"

namespace runcast {

// C[m, n] = A[m, k] B[k, n], `groups` times (grouped GEMM: one per expert).
struct Gemm {
  double m = 0, n = 0, k = 0, groups = 1;
  bool experts = false;  // groups of unequal tokens: runs at KernelConstants::grouped_gemm
  Flops flops() const { return Flops(2 * m * n * k * groups); }
};

// `accumulate`: the output is added into an fp32 buffer (weight gradients): 8 B an element of extra traffic.
Seconds gemm_time(const GpuSpec&, const Precision&, const Gemm&, bool accumulate);

// What a benchmark of a kernel that takes `sustained` in a step shows: kernels too short to draw the board's full power
// run above the sustained clock (KernelConstants::burst_clock).
Seconds burst_time(const GpuSpec&, Seconds sustained);

struct AttentionShape {
  double tokens = 0;    // query tokens of this rank (micro-batch included)
  double sequence = 0;  // keys that the last query sees
  double heads = 0;     // of this rank
  double kv_heads = 0;
  double qk_dim = 0, v_dim = 0;
  double score_traffic = 1;  // standard attention: HBM traffic of scores over that of fused softmax kernels
  Flops forward_flops() const { return Flops(tokens * sequence * heads * (qk_dim + v_dim)); }  // causal half
};
Seconds attention_forward_time(const GpuSpec&, AttentionKernel, const AttentionShape&, const Precision& wide);
// 2.5 x the forward's work (5 GEMMs for 2; the scores are computed again inside).
Seconds attention_backward_time(const GpuSpec&, AttentionKernel, const AttentionShape&,
                                const Precision& wide);

Seconds stream_time(const GpuSpec&, Bytes, int kernels);

}  // namespace runcast
