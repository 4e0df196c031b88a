// The table of number formats.
#include "parallelism/precision.hpp"

#include <array>

namespace runcast {

namespace {

using E = ByFormat<double>;
using P = ByFormat<FlopRate>;

// fp8 weights in memory: the bf16 copy stays and the fp8 copy with its transpose is made per step and freed
// (Transformer Engine without fp8 primary weights), so weight_bytes is 2.
constexpr std::array<Precision, 7> kPrecisions = {{
    {"fp32", &E::fp32, &P::fp32, nullptr, 4, false, 4, 0},
    {"tf32", &E::tf32, &P::tf32, &P::fp32, 4, false, 4, 0},
    {"fp16", &E::fp16, &P::fp16, nullptr, 2, false, 2, 4},
    {"bf16", &E::bf16, &P::bf16, nullptr, 2, false, 2, 4},
    {"fp8", &E::fp8, &P::fp8, nullptr, 1, true, 2, 4},
    {"mxfp8", &E::mxfp8, &P::mxfp8, nullptr, 1, true, 2, 4},
    {"nvfp4", &E::nvfp4, &P::nvfp4, nullptr, 0.5, true, 2, 4},
}};

constexpr std::array<std::string_view, 4> kRecipes = {"delayed", "current", "blockwise", "rowwise"};

}  // namespace

std::span<const Precision> precisions() { return kPrecisions; }

const Precision* find_precision(std::string_view name) {
  for (const Precision& p : kPrecisions)
    if (p.name == name) return &p;
  return nullptr;
}

const Precision& sixteen_bit() { return kPrecisions[3]; }

FlopRate peak_rate(const GpuSpec& gpu, const Precision& p) {
  const FlopRate rate = gpu.peak.*p.peak;
  if (rate.value > 0 || p.fallback_peak == nullptr) return rate;
  return gpu.peak.*p.fallback_peak;
}

std::span<const std::string_view> fp8_recipes() { return kRecipes; }

// What Transformer Engine's kernels read and write for each recipe [its documentation and source, fp8 primer].
//   delayed    read 2 write 1; norms write narrow with the last step's scale; Hopper adds a transposed copy
//   current    the scale needs a pass of its own before (read 2), so that no norm can fuse the cast
//   blockwise  both layouts from the 16-bit tensor: read 2, write 1 + 1
//   mxfp8      the same, fused into norms, which write the second copy too
//   nvfp4      both layouts of half a byte, after a pass for the tensor's maximum
//   rowwise    two unfused casts, each read for scales and read again [torchao], as fitted before on published rows
CastTraffic cast_traffic(const Precision& p, std::string_view recipe) {
  if (!p.narrow) return {};
  if (p.name == "nvfp4") return {5, 5, 0, 0};
  if (p.name == "mxfp8") return {4, 1, 0, 0};
  if (recipe == "current") return {5, 5, 1, 2};
  if (recipe == "blockwise") return {4, 4, 0, 0};
  if (recipe == "rowwise") return {12, 12, 0, 0};
  return {3, 0, 1, 2};
}

}  // namespace runcast
