// The kernel model; its form is fitted on measured GEMM and attention tables, see each constant.
#include "parallelism/kernel_time.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace runcast {

namespace {

struct Tile {
  double m, n, quality;
};
// CTA tiles of cuBLAS and CUTLASS; the smaller ones reuse operands less and so run below the big ones' rate
// (qualities: fit on SimuMax's 183 A100 shapes, +-0.03).
constexpr std::array<Tile, 4> kTiles = {
    {{128, 256, 1.0}, {256, 128, 1.0}, {128, 128, 0.88}, {64, 128, 0.74}}};
// Share of a last wave's emptiness that is really lost: libraries choose among many more tiles and split K
// (stream-K). 0.5 fits the 183 A100 shapes to 2.8 %, 1 to 4.2 %.
constexpr double kWaveLoss = 0.5;
constexpr double kGemmMemoryEfficiency = 0.85;  // of HBM bandwidth inside a GEMM [SimuMax A100 fit]

double tiled_flops(const GpuSpec& gpu, const Gemm& g, const Tile& tile, double k0) {
  const double tiles = std::ceil(g.m / tile.m) * std::ceil(g.n / tile.n) * g.groups;
  const double whole = tiles / gpu.sms;
  const double waves = std::max(1.0, whole + kWaveLoss * (std::ceil(whole) - whole));
  return waves * gpu.sms * 2 * tile.m * tile.n * (g.k + k0);
}

// Rate of the attention kernel against its best, by head size: 64-wide heads leave the tensor cores half fed, and
// unequal widths of keys and values (MLA) fit no kernel's tiles.
double head_size_factor(AttentionKernel kernel, const AttentionShape& s, bool backward) {
  if (s.qk_dim != s.v_dim)
    return backward ? 0.79 : 0.86;  // [fit on SimuMax's cuDNN tables, A100 and B200, 88 points]
  // [flash-attention figures, A100 and H100: 64 against 128 is .88 for FA2, .68-.72 for FA3 and cuDNN]
  const double at_64 = kernel == AttentionKernel::cudnn || kernel == AttentionKernel::cudnn8 ? 0.72 : 0.88;
  return at_64 + (1 - at_64) * std::clamp((s.qk_dim - 64) / 64, 0.0, 1.0);
}

double kernel_fraction(const KernelConstants& k, AttentionKernel kernel) {
  switch (kernel) {
    case AttentionKernel::flash2:
      return k.attention_flash2;
    case AttentionKernel::triton:
      return k.attention_triton;
    case AttentionKernel::cudnn:
      return k.attention_cudnn;
    case AttentionKernel::cudnn8:
      return k.attention_cudnn8;
    case AttentionKernel::standard:
      break;
  }
  return 1;
}

FlopRate attention_rate(const GpuSpec& gpu, AttentionKernel kernel, const AttentionShape& s,
                        const Precision& wide, bool backward) {
  const KernelConstants& k = gpu.kernels;
  const double sequence = s.sequence / (s.sequence + k.attention_half_sequence);
  return peak_rate(gpu, wide) *
         (kernel_fraction(k, kernel) * sequence * head_size_factor(kernel, s, backward) * k.power_factor);
}

// Bytes a score of unfused attention: fp16 scores written and read by scale, mask, softmax, dropout and the two
// GEMMs [Korthikanti et al. 2022, sec. 4.1: 5 as^2 kept; traffic of Megatron's fused softmax kernels].
constexpr double kScoreForwardBytes = 9, kScoreBackwardBytes = 11;

Seconds standard_attention(const GpuSpec& gpu, const AttentionShape& s, const Precision& wide, double gemms,
                           double score_bytes) {
  const double queries = std::min(s.tokens, s.sequence), batches = s.heads * s.tokens / queries;
  const Gemm scores{queries, s.sequence, s.qk_dim, batches}, values{queries, s.v_dim, s.sequence, batches};
  const Seconds pair = gemm_time(gpu, wide, scores, false) + gemm_time(gpu, wide, values, false);
  // Tensor cores need 16-byte rows: other head sizes fall back to slow kernels.
  const double alignment = std::fmod(s.qk_dim, 8) == 0 ? 1 : 4;
  return pair * (gemms / 2 * alignment) +
         stream_time(gpu, Bytes(s.score_traffic * score_bytes * s.tokens * s.sequence * s.heads), 4);
}

}  // namespace

Seconds gemm_time(const GpuSpec& gpu, const Precision& p, const Gemm& g, bool accumulate) {
  INVARIANT(g.m > 0 && g.n > 0 && g.k > 0 && g.groups > 0);
  const FlopRate peak = peak_rate(gpu, p);
  INVARIANT(peak.value > 0);
  const double k0 = gpu.kernels.gemm_prologue_k.*p.gemm_efficiency;
  const double efficiency = gpu.kernels.gemm_efficiency.*p.gemm_efficiency * gpu.kernels.power_factor;
  double flops = tiled_flops(gpu, g, kTiles[0], k0) / kTiles[0].quality;
  for (const Tile& tile : kTiles) flops = std::min(flops, tiled_flops(gpu, g, tile, k0) / tile.quality);
  const double grouped = g.experts ? gpu.kernels.grouped_gemm : 1.0;
  const Seconds compute = Flops(flops) / (peak * (std::min(efficiency, 1.0) * grouped));
  const double output = 2;  // bf16 results
  const Bytes traffic(g.groups * (p.gemm_element * (g.m * g.k + g.k * g.n) + output * g.m * g.n));
  const Seconds floor = traffic / (gpu.memory_bandwidth * kGemmMemoryEfficiency);
  Seconds time = std::max(compute, floor);
  // Adding into fp32 reads and writes 4 B where 2 B were written; half of it hides behind the mainloop
  // [A100 weight-gradient shapes of SimuMax: 3 B an element].
  if (accumulate) time += Bytes(3 * g.groups * g.m * g.n) / (gpu.memory_bandwidth * kGemmMemoryEfficiency);
  INVARIANT(time >= g.flops() / peak);
  return time;
}

Seconds burst_time(const GpuSpec& gpu, Seconds sustained) {
  const KernelConstants& k = gpu.kernels;
  const double ratio = sustained / k.burst_length;
  return sustained / (1 + (k.burst_clock - 1) / (1 + ratio * ratio));
}

Seconds attention_forward_time(const GpuSpec& gpu, AttentionKernel kernel, const AttentionShape& s,
                               const Precision& wide) {
  if (kernel == AttentionKernel::standard) return standard_attention(gpu, s, wide, 2, kScoreForwardBytes);
  return s.forward_flops() / attention_rate(gpu, kernel, s, wide, false) + gpu.kernels.kernel_overhead;
}

Seconds attention_backward_time(const GpuSpec& gpu, AttentionKernel kernel, const AttentionShape& s,
                                const Precision& wide) {
  if (kernel == AttentionKernel::standard) return standard_attention(gpu, s, wide, 4, kScoreBackwardBytes);
  return 2.5 * s.forward_flops() /
             (attention_rate(gpu, kernel, s, wide, true) * gpu.kernels.attention_backward) +
         gpu.kernels.kernel_overhead;
}

Seconds stream_time(const GpuSpec& gpu, Bytes bytes, int kernels) {
  return bytes / (gpu.memory_bandwidth * gpu.kernels.memory_efficiency) +
         kernels * gpu.kernels.kernel_overhead;
}

}  // namespace runcast
