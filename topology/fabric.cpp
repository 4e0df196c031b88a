// What is known of a cluster without drawing it (nodes, domains, the tier where two nodes meet), and access
// to the graph, which builders draw on first use.
#include "topology/fabric.hpp"

#include <algorithm>
#include <utility>

#include "topology/builders.hpp"
#include "topology/graph.hpp"
#include "topology/router_fabrics.hpp"

namespace runcast {
namespace {

std::size_t index(std::int32_t value) { return static_cast<std::size_t>(value); }

// Nodes of one domain: all that the hardware joins, or an even share of the job's nodes that leaves no domain
// less than half full.
int nodes_per_domain(int nodes, int full) {
  if (nodes <= full) return nodes;
  for (int share = full; 2 * share >= full; --share)
    if (nodes % share == 0) return share;
  return full;
}

int gpus_of_domain(const NodeSpec& node, int nodes) {
  if (node.scale_up_domain <= node.gpus) return node.scale_up_domain;
  return nodes_per_domain(nodes, node.scale_up_domain / node.gpus) * node.gpus;
}

// Rules between the nodes and the fabric; what one spec alone breaks is told when it is read.
void check(const Fabric::Graph& graph) {
  if (!graph.spec.tiered()) return check_routers(graph);
  const int domain_nodes = std::max(1, graph.gpus_per_domain / graph.node.gpus);
  const auto& tiers = graph.spec.tiers;
  if (tiers.empty() && graph.nodes > domain_nodes)
    throw ConfigError("fabric '" + graph.spec.name + "' joins no nodes, but " + std::to_string(graph.nodes) +
                      " nodes of " + graph.node.name + " are " +
                      std::to_string((graph.nodes + domain_nodes - 1) / domain_nodes) +
                      " scale-up domains; name a fabric with tiers, or use " +
                      (domain_nodes == 1 ? "1 node" : "at most " + std::to_string(domain_nodes) + " nodes"));
  if (!tiers.empty() && tiers.back().nodes > 0 && tiers.back().nodes < graph.nodes)
    throw ConfigError("fabric '" + graph.spec.name + "' joins at most " + std::to_string(tiers.back().nodes) +
                      " nodes (tier '" + tiers.back().name + "'), but the cluster has " +
                      std::to_string(graph.nodes) + "; add a tier above it, or use fewer nodes");
}

}  // namespace

VertexId Fabric::Graph::add_vertex(VertexKind kind, std::string name) {
  kinds.push_back(kind);
  names.push_back(std::move(name));
  return VertexId(static_cast<std::int32_t>(kinds.size()) - 1);
}

void Fabric::Graph::connect(VertexId a, VertexId b, const LinkSpec& link) {
  const auto draw = [&](VertexId from, VertexId to) {
    links.push_back({.from = from,
                     .to = to,
                     .bandwidth = link.bandwidth,
                     .latency = link.latency,
                     .efficiency = link.efficiency,
                     .name = names[index(from.value)] + "-" + names[index(to.value)]});
  };
  draw(a, b);
  draw(b, a);
}

Fabric::Fabric(NodeSpec node, int nodes, FabricSpec spec)
    : graph_(std::make_unique<Graph>(std::move(node), nodes, std::move(spec))) {
  INVARIANT(nodes >= 1 && graph_->node.gpus >= 1 && graph_->node.scale_up_domain >= 1);
  graph_->gpus_per_domain = gpus_of_domain(graph_->node, nodes);
  check(*graph_);
}
Fabric::Fabric(Fabric&&) noexcept = default;
Fabric& Fabric::operator=(Fabric&&) noexcept = default;
Fabric::~Fabric() = default;

const NodeSpec& Fabric::node() const { return graph_->node; }
const FabricSpec& Fabric::spec() const { return graph_->spec; }
int Fabric::nodes() const { return graph_->nodes; }
int Fabric::gpus() const { return graph_->gpus(); }
int Fabric::gpus_per_domain() const { return graph_->gpus_per_domain; }
int Fabric::domains() const { return (gpus() + gpus_per_domain() - 1) / gpus_per_domain(); }

NodeId Fabric::node_of(GpuId gpu) const {
  INVARIANT(gpu.value >= 0 && gpu.value < gpus());
  return NodeId(gpu.value / graph_->node.gpus);
}

int Fabric::domain_of(GpuId gpu) const {
  INVARIANT(gpu.value >= 0 && gpu.value < gpus());
  return gpu.value / graph_->gpus_per_domain;
}

int Fabric::meeting_tier(GpuId a, GpuId b) const {
  if (domain_of(a) == domain_of(b) || node_of(a) == node_of(b)) return 0;
  int tier = 1;
  if (!graph_->spec.tiered()) return tier;
  for (const TierSpec& spec : graph_->spec.tiers) {
    if (spec.nodes == 0 || node_of(a).value / spec.nodes == node_of(b).value / spec.nodes) return tier;
    ++tier;
  }
  INVARIANT(false && "the constructor joins all nodes");
  return tier;
}

const Fabric::Graph& Fabric::graph() const {
  if (!graph_->built) {
    build_graph(*graph_);
    graph_->built = true;
  }
  return *graph_;
}

int Fabric::vertices() const { return static_cast<int>(graph().kinds.size()); }
int Fabric::links() const { return static_cast<int>(graph().links.size()); }
VertexKind Fabric::kind(VertexId vertex) const { return graph().kinds.at(index(vertex.value)); }
std::string_view Fabric::vertex_name(VertexId vertex) const { return graph().names.at(index(vertex.value)); }

VertexId Fabric::vertex_of(GpuId gpu) const {
  INVARIANT(gpu.value >= 0 && gpu.value < gpus());
  return VertexId(gpu.value);
}

const Link& Fabric::link(LinkId id) const { return graph().links.at(index(id.value)); }
LinkId Fabric::reverse(LinkId id) const { return LinkId(id.value ^ 1); }
bool Fabric::degraded() const { return graph_->unhealthy > 0; }

void Fabric::set_health(LinkId id, double health) {
  INVARIANT(health >= 0 && health <= 1 && id.value >= 0 && id.value < links());
  for (const LinkId direction : {id, reverse(id)}) {
    Link& link = graph_->links[index(direction.value)];
    graph_->unhealthy += static_cast<int>(health < 1) - static_cast<int>(link.health < 1);
    link.health = health;
  }
}

void Fabric::set_switch(VertexId vertex, double capacity, Seconds extra_latency) {
  INVARIANT(capacity >= 0 && capacity <= 1 && extra_latency.value >= 0);
  for (const LinkId out : links_from(vertex)) {
    set_health(out, link(out).health * capacity);
    if (extra_latency.value <= 0) continue;
    for (const LinkId direction : {out, reverse(out)}) {  // half on the way in, half on the way out
      Link& changed = graph_->links[index(direction.value)];
      changed.extra_latency += 0.5 * extra_latency;
      changed.latency += 0.5 * extra_latency;
    }
    ++graph_->unhealthy;
  }
}

VertexId Fabric::find_vertex(std::string_view name) const {
  const auto& names = graph().names;
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? VertexId() : VertexId(static_cast<std::int32_t>(found - names.begin()));
}

LinkId Fabric::find_link(std::string_view name) const {
  const auto& all = graph().links;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Link& link) { return link.name == name; });
  return found == all.end() ? LinkId() : LinkId(static_cast<std::int32_t>(found - all.begin()));
}

std::vector<LinkId> Fabric::links_from(VertexId vertex) const {
  std::vector<LinkId> found;
  const auto& adjacency = graph().adjacency;
  const auto [begin, end] = boost::out_edges(index(vertex.value), adjacency);
  for (auto edge = begin; edge != end; ++edge)
    found.emplace_back(boost::get(boost::edge_index, adjacency, *edge));
  return found;
}

}  // namespace runcast
