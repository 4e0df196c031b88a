// See the header.
#include "failures/blast.hpp"

#include <algorithm>

namespace runcast {

std::vector<std::int64_t> victims(const FailureClass& failure, const JobScale& scale, RandomStream& random) {
  const std::int64_t size = domain_size(failure, scale);
  const auto draw_below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n)));
  };
  if (size <= 1) return {draw_below(scale.nodes)};
  const std::int64_t begin = draw_below((scale.nodes + size - 1) / size) * size;
  const std::int64_t end = std::min(scale.nodes, begin + size);
  std::vector<std::int64_t> lost;
  for (std::int64_t i = begin; i < end; ++i)
    if (failure.blast >= 1 || random.uniform() < failure.blast) lost.push_back(i);
  if (lost.empty()) lost.push_back(begin + draw_below(end - begin));
  return lost;
}

ReplicaRange replicas_on(std::int64_t position, const JobScale& scale) {
  const std::int64_t first = position * scale.replicas / scale.nodes;
  const std::int64_t last = ((position + 1) * scale.replicas + scale.nodes - 1) / scale.nodes - 1;
  return {first, std::max(first, last)};
}

bool copies_survive(const std::vector<std::int64_t>& lost, std::int64_t nodes, std::int64_t copies,
                    bool apart) {
  const auto is_lost = [&](std::int64_t node) { return std::binary_search(lost.begin(), lost.end(), node); };
  copies = std::min(copies, nodes);
  for (const std::int64_t node : lost) {
    bool whole = false;
    for (std::int64_t j = 0; j < copies && !whole; ++j) {
      const std::int64_t peer =
          apart ? (node + j * nodes / copies) % nodes : std::min(nodes - 1, node / copies * copies + j);
      whole = !is_lost(peer);
    }
    if (!whole) return false;
  }
  return true;
}

}  // namespace runcast
