// Routes by a breadth-first search from the destination over the healthy links; the walk from the source then
// takes, at each vertex, one of the links that come one hop nearer, by the hash.
#include "topology/routing.hpp"

#include <algorithm>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <limits>

#include "topology/graph.hpp"

namespace runcast {
namespace {

using Graph = Fabric::Graph;
using Vertex = boost::graph_traits<Graph::Adjacency>::vertex_descriptor;
using EdgeDescriptor = boost::graph_traits<Graph::Adjacency>::edge_descriptor;

std::uint64_t splitmix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

struct Healthy {
  const Graph* graph = nullptr;
  bool operator()(const EdgeDescriptor& edge) const {
    const auto link = boost::get(boost::edge_index, graph->adjacency, edge);
    return graph->links[static_cast<std::size_t>(link)].health > 0;
  }
};

struct Reached {};  // thrown by the visitor when the search has found the source: Boost's way to stop it

class HopCounter : public boost::default_bfs_visitor {
 public:
  HopCounter(std::vector<int>& hops, Vertex stop) : hops_(&hops), stop_(stop) {}
  template <class G>
  void tree_edge(EdgeDescriptor edge, const G& graph) const {
    (*hops_)[target(edge, graph)] = (*hops_)[source(edge, graph)] + 1;
  }
  template <class G>
  void examine_vertex(Vertex vertex, const G&) const {
    if (vertex == stop_) throw Reached{};  // all vertices nearer than it have their hops
  }

 private:
  std::vector<int>* hops_;
  Vertex stop_;
};

constexpr int kFar = std::numeric_limits<int>::max();

// Hops to `goal` from every vertex no farther than `start`; links are as healthy in both directions.
std::vector<int> hops_to(const Graph& graph, Vertex goal, Vertex start) {
  std::vector<int> hops(graph.kinds.size(), kFar);
  hops[goal] = 0;
  const boost::filtered_graph<Graph::Adjacency, Healthy> healthy(graph.adjacency, Healthy{&graph});
  try {
    boost::breadth_first_search(healthy, goal, boost::visitor(HopCounter(hops, start)));
  } catch (const Reached&) {
  }
  return hops;
}

// Of equally short ways, a NIC is left to those who leave the node: GPUs that share one do not talk through
// it, and other rails are reached over a peer GPU (NCCL's PXN).
void prefer_scale_up(const Graph& graph, std::vector<LinkId>& nearer) {
  const auto kind_behind = [&](LinkId link) {
    const auto to = graph.links[static_cast<std::size_t>(link.value)].to.value;
    return graph.kinds[static_cast<std::size_t>(to)];
  };
  const auto to_nic = [&](LinkId link) { return kind_behind(link) == VertexKind::nic; };
  if (!std::all_of(nearer.begin(), nearer.end(), to_nic))
    nearer.erase(std::remove_if(nearer.begin(), nearer.end(), to_nic), nearer.end());
}

std::optional<Route> walk(const Graph& graph, Vertex start, Vertex goal, std::uint64_t hash) {
  const std::vector<int> hops = hops_to(graph, goal, start);
  if (hops[start] == kFar) return std::nullopt;
  Route route;
  std::vector<LinkId> nearer;
  for (Vertex at = start; at != goal;) {
    nearer.clear();
    const auto [begin, end] = boost::out_edges(at, graph.adjacency);
    for (auto edge = begin; edge != end; ++edge)
      if (Healthy{&graph}(*edge) && hops[target(*edge, graph.adjacency)] == hops[at] - 1)
        nearer.emplace_back(boost::get(boost::edge_index, graph.adjacency, *edge));
    prefer_scale_up(graph, nearer);
    hash = splitmix64(hash);
    const LinkId chosen = nearer.at(static_cast<std::size_t>(hash % nearer.size()));
    route.links.push_back(chosen);
    at = static_cast<Vertex>(graph.links[static_cast<std::size_t>(chosen.value)].to.value);
  }
  return route;
}

}  // namespace

std::uint64_t ecmp_hash(GpuId a, GpuId b, std::uint32_t flow) {
  const auto low = static_cast<std::uint32_t>(std::min(a, b).value);
  const auto high = static_cast<std::uint32_t>(std::max(a, b).value);
  return splitmix64(splitmix64((static_cast<std::uint64_t>(low) << 32) | high) ^ flow);
}

std::optional<Route> find_route(const Fabric& fabric, GpuId from, GpuId to, std::uint32_t flow) {
  if (from == to) return Route{};
  const auto start = static_cast<Vertex>(fabric.vertex_of(std::min(from, to)).value);
  const auto goal = static_cast<Vertex>(fabric.vertex_of(std::max(from, to)).value);
  std::optional<Route> route = walk(fabric.graph(), start, goal, ecmp_hash(from, to, flow));
  if (route && to < from) {
    std::reverse(route->links.begin(), route->links.end());
    for (LinkId& link : route->links) link = fabric.reverse(link);
  }
  return route;
}

Seconds latency_of(const Fabric& fabric, const Route& route) {
  Seconds sum;
  for (const LinkId link : route.links) sum += fabric.link(link).latency;
  return sum;
}

Bandwidth bandwidth_of(const Fabric& fabric, const Route& route) {
  Bandwidth least(std::numeric_limits<double>::infinity());
  for (const LinkId id : route.links) {
    const Link& link = fabric.link(id);
    least = std::min(least, link.bandwidth * (link.efficiency * link.health));
  }
  return least;
}

double health_of(const Fabric& fabric, const Route& route) {
  double least = 1;
  for (const LinkId link : route.links) least = std::min(least, fabric.link(link).health);
  return least;
}

}  // namespace runcast
