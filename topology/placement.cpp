// Rank -> GPU maps: packed as schedulers do by default, scattered and random as the bad cases to compare
// with.
#include "topology/placement.hpp"

#include <utility>

#include "sim/error.hpp"
#include "sim/random.hpp"

namespace runcast {
namespace {

std::vector<GpuId> first_gpus(int count) {
  std::vector<GpuId> gpus;
  gpus.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) gpus.emplace_back(i);
  return gpus;
}

}  // namespace

Placement packed_placement(int ranks) {
  INVARIANT(ranks >= 0);
  return {first_gpus(ranks)};
}

Placement scattered_placement(int ranks, int gpus_per_node, int nodes) {
  INVARIANT(ranks >= 0 && gpus_per_node >= 1 && nodes >= 1 && ranks <= gpus_per_node * nodes);
  Placement placement;
  placement.gpu.reserve(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank)
    placement.gpu.emplace_back(rank % nodes * gpus_per_node + rank / nodes);
  return placement;
}

// Fisher-Yates, stopped after the first `ranks` places; draw n depends on the seed and n alone.
Placement random_placement(int ranks, int gpus, std::uint64_t seed) {
  INVARIANT(ranks >= 0 && ranks <= gpus);
  std::vector<GpuId> pool = first_gpus(gpus);
  RandomStream stream(seed, Purpose::placement, 0, 0);
  for (int i = 0; i < ranks; ++i) {
    const auto left = static_cast<std::uint64_t>(gpus - i);
    const auto here = static_cast<std::size_t>(i);
    std::swap(pool[here], pool[here + static_cast<std::size_t>(stream.below(left))]);
  }
  pool.resize(static_cast<std::size_t>(ranks));
  return {std::move(pool)};
}

}  // namespace runcast
