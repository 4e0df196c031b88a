// Which GPU each rank runs on.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/units.hpp"

namespace runcast {

// rank -> GPU, a permutation of the first `ranks` GPUs or a subset of the cluster; gpu[rank].
struct Placement {
  std::vector<GpuId> gpu;
  GpuId operator[](RankId r) const { return gpu[static_cast<std::size_t>(r.value)]; }
  int ranks() const { return static_cast<int>(gpu.size()); }
};

Placement packed_placement(int ranks);  // rank i on GPU i
Placement scattered_placement(int ranks, int gpus_per_node,
                              int nodes);  // node round robin, whole nodes' worth of ranks spread
Placement random_placement(int ranks, int gpus, std::uint64_t seed);  // uniform, addressed by seed

}  // namespace runcast
