// Each node is one vertex (its NICs' links in parallel), each switch one. Capacities in whole MB/s.
#include "topology/bisection.hpp"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <cmath>
#include <map>

#include "topology/graph.hpp"

namespace runcast {
namespace {

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using FlowGraph = boost::adjacency_list<
    boost::vecS, boost::vecS, boost::directedS,
    boost::property<boost::vertex_color_t, boost::default_color_type,
                    boost::property<boost::vertex_distance_t, std::int64_t,
                                    boost::property<boost::vertex_predecessor_t, Traits::edge_descriptor>>>,
    boost::property<boost::edge_capacity_t, std::int64_t,
                    boost::property<boost::edge_residual_capacity_t, std::int64_t,
                                    boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;

constexpr double kUnit = 1e6;

class Cut {
 public:
  explicit Cut(std::size_t vertices) : graph_(vertices) {}

  void join(std::size_t from, std::size_t to, std::int64_t there, std::int64_t back) {
    const auto forth = boost::add_edge(from, to, graph_).first;
    const auto reverse = boost::add_edge(to, from, graph_).first;
    auto capacity = boost::get(boost::edge_capacity, graph_);
    auto opposite = boost::get(boost::edge_reverse, graph_);
    capacity[forth] = there;
    capacity[reverse] = back;
    opposite[forth] = reverse;
    opposite[reverse] = forth;
  }

  double flow(std::size_t source, std::size_t sink) {
    return static_cast<double>(boost::boykov_kolmogorov_max_flow(graph_, source, sink)) * kUnit;
  }

 private:
  FlowGraph graph_;
};

}  // namespace

Bisection bisection(const Fabric& fabric) {
  INVARIANT(fabric.domains() >= 2);
  const NodeSpec& node = fabric.node();
  const Fabric::Graph& graph = fabric.graph();
  const int domain_nodes = std::max(1, fabric.gpus_per_domain() / node.gpus);
  Bisection result;
  result.nodes = std::max(1, fabric.nodes() / domain_nodes / 2) * domain_nodes;
  // Nodes first, then switches; GPUs and NICs are in their nodes.
  std::vector<std::size_t> vertex(graph.kinds.size());
  std::size_t next = static_cast<std::size_t>(fabric.nodes());
  const std::int32_t first_nic = graph.nics.empty() ? 0 : graph.nics.front().value;
  for (std::size_t v = 0; v < graph.kinds.size(); ++v) {
    const auto id = static_cast<std::int32_t>(v);
    if (graph.kinds[v] == VertexKind::nic)
      vertex[v] = static_cast<std::size_t>((id - first_nic) / node.nics);
    else if (graph.kinds[v] == VertexKind::network_switch)
      vertex[v] = next++;
  }
  std::map<std::pair<std::size_t, std::size_t>, double> joined;
  for (const Link& link : graph.links) {
    const auto from = static_cast<std::size_t>(link.from.value), to = static_cast<std::size_t>(link.to.value);
    const auto outside = [&](std::size_t v) {
      return graph.kinds[v] == VertexKind::nic || graph.kinds[v] == VertexKind::network_switch;
    };
    if (outside(from) && outside(to))
      joined[{vertex[from], vertex[to]}] += link.bandwidth.value * link.health / kUnit;
  }
  const std::size_t source = next, sink = next + 1;
  Cut cut(next + 2);
  for (const auto& [pair, capacity] : joined)
    if (pair.first < pair.second)
      cut.join(pair.first, pair.second, std::llround(capacity),
               std::llround(joined[{pair.second, pair.first}]));
  const auto most = std::llround(node.nic.bandwidth.value * node.nics / kUnit);  // a node sends no more
  for (int n = 0; n < fabric.nodes(); ++n) {
    const bool first = n < result.nodes;
    cut.join(first ? source : static_cast<std::size_t>(n), first ? static_cast<std::size_t>(n) : sink, most,
             0);
  }
  result.bandwidth = Bandwidth(cut.flow(source, sink));
  result.full = node.nic.bandwidth *
                static_cast<double>(node.nics * std::min(result.nodes, fabric.nodes() - result.nodes));
  return result;
}

}  // namespace runcast
