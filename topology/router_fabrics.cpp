// Routers are the last vertices of the graph, in order: those of a dragonfly group by group, those of a torus with the
// first axis fastest.
#include "topology/router_fabrics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "topology/graph.hpp"

namespace runcast {
namespace {

using Graph = Fabric::Graph;

std::size_t index(int i) { return static_cast<std::size_t>(i); }

int divided(int all, int each) { return (all + each - 1) / each; }

int groups_of(const Graph& graph) {
  return divided(graph.nodes, graph.spec.routers.nodes * graph.spec.routers.group);
}

std::vector<int> sides_of(const Graph& graph) {
  const RouterSpec& spec = graph.spec.routers;
  return spec.sides.empty() ? torus_sides(divided(graph.nodes, spec.nodes), spec.axes) : spec.sides;
}

// Routers with the NICs of their nodes.
void add_routers(Graph& graph, int count) {
  RouterIndex& routers = graph.routers;
  routers.count = count;
  for (int r = 0; r < count; ++r) {
    const VertexId router = graph.add_vertex(VertexKind::network_switch, "router" + std::to_string(r));
    if (r == 0) routers.first = router;
  }
  LinkSpec link = graph.node.nic;
  link.latency = 0.5 * (graph.node.nic.latency + graph.spec.routers.latency);  // a route has one at each end
  link.efficiency *= graph.spec.routing_efficiency;
  for (int node = 0; node < graph.nodes; ++node)
    for (int nic = 0; nic < graph.node.nics; ++nic) {
      graph.clos.nic_to_leaf.push_back(graph.next_link());
      const VertexId router(routers.first.value + node / graph.spec.routers.nodes);
      graph.connect(graph.nics[index(node * graph.node.nics + nic)], router, link);
    }
}

// The id of the cable from router a to router b, drawn now.
std::int32_t join(Graph& graph, int a, int b, Seconds latency) {
  const std::int32_t first = graph.next_link();
  const LinkSpec cable{"cable", graph.spec.routers.link, latency, graph.spec.routing_efficiency};
  graph.connect(VertexId(graph.routers.first.value + a), VertexId(graph.routers.first.value + b), cable);
  return first;
}

}  // namespace

std::vector<int> torus_sides(int chips, int axes) {
  std::vector<int> sides;
  for (; axes > 1; --axes) {
    const double edge = std::pow(chips, 1.0 / axes);
    int side = static_cast<int>(std::floor(edge + 1e-9));  // the root of 64 comes out just under 4
    while (chips % side != 0) --side;
    sides.push_back(side);
    chips /= side;
  }
  sides.push_back(chips);
  return sides;
}

int routers_of(const Graph& graph) {
  if (graph.spec.kind == "dragonfly") return groups_of(graph) * graph.spec.routers.group;
  const std::vector<int> sides = sides_of(graph);
  return std::accumulate(sides.begin(), sides.end(), 1, std::multiplies<>());
}

void check_routers(const Graph& graph) {
  const RouterSpec& spec = graph.spec.routers;
  const std::string name = "fabric '" + graph.spec.name + "' ";
  if (graph.spec.kind == "dragonfly") {
    const int most = spec.group * spec.global_links + 1;
    if (groups_of(graph) > most)
      throw ConfigError(name + "joins at most " + std::to_string(most) + " groups (" +
                        std::to_string(spec.group) + " routers x " + std::to_string(spec.global_links) +
                        " global links + 1), but " + std::to_string(graph.nodes) + " nodes are " +
                        std::to_string(groups_of(graph)) + "; add routers, global links or nodes per router");
    return;
  }
  double room = spec.nodes;  // a double: sides are the user's
  for (const int side : sides_of(graph)) room *= side;
  if (room < graph.nodes || room > 4.0 * graph.nodes + 64)
    throw ConfigError(name + "has room for " + std::to_string(static_cast<std::int64_t>(room)) +
                      " nodes, but the cluster has " + std::to_string(graph.nodes) +
                      "; change its sides, or leave them out");
}

std::vector<RouterBlock> router_blocks(const Fabric& fabric) {
  std::vector<RouterBlock> blocks;
  if (fabric.spec().tiered()) return blocks;
  const RouterIndex& routers = fabric.graph().routers;
  const RouterSpec& spec = fabric.spec().routers;
  const auto add = [&](int count, double cables) {
    if (count * spec.nodes < fabric.nodes()) blocks.push_back({count * spec.nodes, spec.link * cables});
  };
  if (spec.group > 0) {
    add(1, spec.group - 1 + std::min(spec.global_links, routers.between * (routers.groups - 1)));
    add(spec.group, routers.between * (routers.groups - 1));
    return blocks;
  }
  int count = 1;
  for (std::size_t full = 0; full < routers.sides.size(); ++full) {
    double cables = 0;  // of each router, along the other axes
    for (std::size_t axis = full; axis < routers.sides.size(); ++axis)
      cables += routers.sides[axis] > 2 ? 2 : routers.sides[axis] - 1;
    add(count, cables * count);
    count *= routers.sides[full];
  }
  return blocks;
}

void draw_dragonfly(Graph& graph) {
  const RouterSpec& spec = graph.spec.routers;
  const int a = spec.group, groups = groups_of(graph);
  add_routers(graph, groups * a);
  RouterIndex& routers = graph.routers;
  routers.groups = groups;
  routers.local.assign(index(groups) * index(a) * index(a), -1);
  for (int group = 0; group < groups; ++group)
    for (int x = 0; x < a; ++x)
      for (int y = x + 1; y < a; ++y) {
        const std::int32_t cable = join(graph, group * a + x, group * a + y, spec.latency);
        routers.local[index((group * a + x) * a + y)] = cable;
        routers.local[index((group * a + y) * a + x)] = cable ^ 1;
      }
  if (groups < 2) return;
  routers.between = a * spec.global_links / (groups - 1);
  routers.global.assign(index(groups) * index(groups) * index(routers.between), -1);
  // The group at distance d (1, 2, ...) is on the ports from (d-1) x between on; h ports a router.
  const auto router = [&](int from, int to, int cable) {
    const int distance = (to - from + groups) % groups;
    return from * a + ((distance - 1) * routers.between + cable) / spec.global_links;
  };
  for (int from = 0; from < groups; ++from)
    for (int to = from + 1; to < groups; ++to)
      for (int cable = 0; cable < routers.between; ++cable) {
        const std::int32_t link =
            join(graph, router(from, to, cable), router(to, from, cable), spec.global_latency);
        routers.global[index((from * groups + to) * routers.between + cable)] = link;
        routers.global[index((to * groups + from) * routers.between + cable)] = link ^ 1;
      }
}

void draw_router_torus(Graph& graph) {
  const std::vector<int> sides = sides_of(graph);
  const int count = routers_of(graph), axes = static_cast<int>(sides.size());
  add_routers(graph, count);
  graph.routers.sides = sides;
  graph.routers.onward.assign(index(count * axes), -1);
  int stride = 1;
  for (int axis = 0; axis < axes; ++axis) {
    const int side = sides[index(axis)];
    for (int r = 0; r < count; ++r) {
      const int place = r / stride % side;
      if (place + 1 == side && side <= 2) continue;
      const int next = place + 1 < side ? r + stride : r - (side - 1) * stride;
      graph.routers.onward[index(r * axes + axis)] = join(graph, r, next, graph.spec.routers.latency);
    }
    stride *= side;
  }
}

}  // namespace runcast
