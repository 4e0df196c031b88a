// Number formats of training: which units the GEMMs run on, what an element weighs in memory and on the wire,
// and what stays in 16 bits. One visible row per precision.
//   fp8_recipe  delayed | current | blockwise | rowwise: how the scales are found, and so how often each input is
//               read and written by cast kernels [Transformer Engine documentation]
#pragma once

#include <span>
#include <string_view>

#include "sim/units.hpp"
#include "topology/hardware.hpp"

namespace runcast {

struct Precision {
  std::string_view name;
  double ByFormat<double>::*gemm_efficiency;
  FlopRate ByFormat<FlopRate>::*peak;
  FlopRate ByFormat<FlopRate>::*
      fallback_peak;    // for GPUs without the units (V100 has fp16 but no bf16); null = none
  double gemm_element;  // bytes of a GEMM input
  bool narrow;          // below 16 bits: inputs are cast, head / router / attention core stay 16-bit
  double weight_bytes;  // of the model copy that the forward pass reads
  double master_bytes;  // fp32 master weights kept beside it; 0 when the copy is itself fp32
};

std::span<const Precision> precisions();
const Precision* find_precision(std::string_view name);  // nullptr when there is none
const Precision& sixteen_bit();                          // bf16: what stays wide under fp8

// Dense peak of this precision on this GPU; 0 when it has no such units.
FlopRate peak_rate(const GpuSpec&, const Precision&);

// HBM bytes per element of a GEMM input that its cast to a narrow format moves; all 0 when not narrow.
struct CastTraffic {
  double plain = 0;       // a 16-bit tensor becomes narrow by a kernel of its own
  double normalized = 0;  // the tensor leaves a norm kernel, which may write it narrow at once
  // The second, K-major copy for the weight gradient on GPUs whose narrow units take no other layout (Hopper):
  double copied = 0;      // beside a plain cast
  double transposed = 0;  // later, from the narrow tensor (after a norm, or after a gather)
};
// `recipe`: how the scales are found; mxfp8 and nvfp4 are recipes of their own.
CastTraffic cast_traffic(const Precision&, std::string_view recipe);
std::span<const std::string_view> fp8_recipes();

}  // namespace runcast
