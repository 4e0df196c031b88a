#include "topology/router_paths.hpp"

#include <algorithm>
#include <numeric>

#include "topology/graph.hpp"

namespace runcast {
namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

void torus_path(const RouterIndex& routers, int from, int to, std::uint64_t hash,
                std::vector<std::int32_t>& links) {
  const int axes = static_cast<int>(routers.sides.size());
  std::vector<int> order(index(axes));
  std::iota(order.begin(), order.end(), 0);
  for (int left = axes; left > 1; --left) {  // Fisher-Yates on the hash
    std::swap(order[index(left - 1)], order[index(static_cast<int>(hash % static_cast<unsigned>(left)))]);
    hash /= static_cast<unsigned>(left);
  }
  std::vector<int> stride(index(axes), 1);
  for (int axis = 1; axis < axes; ++axis)
    stride[index(axis)] = stride[index(axis - 1)] * routers.sides[index(axis - 1)];
  int at = from;
  for (const int axis : order) {
    const int side = routers.sides[index(axis)], step = stride[index(axis)];
    const int forth = (to / step % side - from / step % side + side) % side;
    const bool even = 2 * forth == side && side > 2;
    const bool onward = even ? (hash >> axis & 1) != 0 : 2 * forth < side;
    const int hops = std::min(forth, side - forth);
    for (int hop = 0; hop < hops; ++hop) {
      const int place = at / step % side;
      const int next =
          at + step * ((onward || side == 2 ? (place + 1) % side : (place + side - 1) % side) - place);
      // The cable belongs to the lower end of its direction; back over it is the reverse.
      const std::int32_t there = routers.onward[index(at * axes + axis)];
      const std::int32_t back = routers.onward[index(next * axes + axis)];
      const bool forward = side == 2 ? place == 0 : onward;
      links.push_back(forward ? there : back ^ 1);
      at = next;
    }
  }
  INVARIANT(at == to);
}

void local_hop(const RouterIndex& routers, int group_routers, int from, int to,
               std::vector<std::int32_t>& links) {
  if (from == to) return;
  links.push_back(routers.local[index(from * group_routers + to % group_routers)]);
}

void dragonfly_path(const Fabric::Graph& graph, int from, int to, std::uint64_t hash,
                    std::vector<std::int32_t>& links) {
  const RouterIndex& routers = graph.routers;
  const int a = graph.spec.routers.group;
  const int source = from / a, target = to / a;
  if (source == target) return local_hop(routers, a, from, to, links);
  // Of the cables between the groups, those with the fewest hops inside.
  std::vector<std::int32_t> best;
  int least = 3;
  const auto ends = [&](std::int32_t cable) {
    const Link& link = graph.links[index(cable)];
    return std::pair(link.from.value - routers.first.value, link.to.value - routers.first.value);
  };
  for (int cable = 0; cable < routers.between; ++cable) {
    const std::int32_t link =
        routers.global[index((source * routers.groups + target) * routers.between + cable)];
    const auto [out, in] = ends(link);
    const int hops = (out != from) + (in != to);
    if (hops > least) continue;
    if (hops < least) best.clear();
    least = hops;
    best.push_back(link);
  }
  const std::int32_t chosen = best.at(static_cast<std::size_t>(hash % best.size()));
  const auto [out, in] = ends(chosen);
  local_hop(routers, a, from, out, links);
  links.push_back(chosen);
  local_hop(routers, a, in, to, links);
}

}  // namespace

void append_router_path(const Fabric::Graph& graph, int from, int to, std::uint64_t hash,
                        std::vector<std::int32_t>& links) {
  INVARIANT(graph.routers.count > 0);
  if (from == to) return;
  if (!graph.routers.sides.empty())
    torus_path(graph.routers, from, to, hash, links);
  else
    dragonfly_path(graph, from, to, hash, links);
}

}  // namespace runcast
