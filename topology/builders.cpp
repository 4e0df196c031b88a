// The tables of builders. A scale-up domain is drawn between its GPUs; a fabric between the NICs, tier by
// tier from the leaf up: each tier cuts the nodes into groups, each group has a few parallel switches
// (equal-cost paths), and each switch of the tier below has one bundle to each of them. Bundles of equal
// cables are one link, so that 16,384 GPUs are some 10^5 links. Leaves out: cable lengths, the ports of a
// switch, PCIe switches inside a node.
#include "topology/builders.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "topology/graph.hpp"
#include "topology/router_fabrics.hpp"

namespace runcast {
namespace {

using Graph = Fabric::Graph;

std::string numbered(std::string_view name, int number) { return std::string(name) + std::to_string(number); }

std::string gpu_name(const Graph& graph, int gpu) {
  return numbered("node", gpu / graph.node.gpus) + numbered(".gpu", gpu % graph.node.gpus);
}

// ---- scale-up domains -----------------------------------------------------------------------------------

template <class Draw>
void for_each_domain(const Graph& graph, Draw draw) {
  for (int first = 0, domain = 0; first < graph.gpus(); first += graph.gpus_per_domain, ++domain)
    draw(domain, first, std::min(first + graph.gpus_per_domain, graph.gpus()));
}

// All NVSwitches of a domain are one crossbar; each GPU's hop in and out is half of a step's latency.
void build_star(Graph& graph, std::string_view switch_name) {
  LinkSpec link = graph.node.scale_up;
  link.latency *= 0.5;
  for_each_domain(graph, [&](int domain, int first, int end) {
    const bool per_node = graph.node.scale_up_domain == graph.node.gpus;
    const std::string name =
        per_node ? numbered("node", domain) + "." + std::string(switch_name) : numbered(switch_name, domain);
    const VertexId crossbar = graph.add_vertex(VertexKind::scale_up_switch, name);
    for (int gpu = first; gpu < end; ++gpu) {
      graph.clos.gpu_to_switch.push_back(graph.next_link());
      graph.connect(VertexId(gpu), crossbar, link);
    }
  });
}

void build_nvswitch(Graph& graph) { build_star(graph, "nvswitch"); }
void build_pcie(Graph& graph) { build_star(graph, "pcie"); }

// Every GPU of a domain has a link of its own to every other: xGMI; a bridge is the case of two GPUs.
void build_mesh(Graph& graph) {
  LinkSpec link = graph.node.scale_up;
  link.bandwidth *= 1.0 / std::max(1, graph.node.scale_up_domain - 1);
  for_each_domain(graph, [&](int, int first, int end) {
    for (int a = first; a < end; ++a)
      for (int b = a + 1; b < end; ++b) graph.connect(VertexId(a), VertexId(b), link);
  });
}

// Bridges inside the pairs; between pairs of a node the host's PCIe.
void build_pairs(Graph& graph) {
  build_mesh(graph);
  const LinkSpec pcie{"PCIe", graph.node.host_link, graph.node.scale_up.latency * 0.5,
                      graph.node.scale_up.efficiency};
  for (int node = 0; node < graph.nodes; ++node) {
    const VertexId host = graph.add_vertex(VertexKind::scale_up_switch, numbered("node", node) + ".pcie");
    for (int gpu = node * graph.node.gpus; gpu < (node + 1) * graph.node.gpus; ++gpu)
      graph.connect(VertexId(gpu), host, pcie);
  }
}

// A link to the next chip along each axis, wrapped where the axis is longer than two.
void build_torus(Graph& graph) {
  LinkSpec link = graph.node.scale_up;
  link.bandwidth *= 1.0 / (2 * std::max(1, graph.node.torus_axes));
  for_each_domain(graph, [&](int, int first, int end) {
    int stride = 1;
    for (const int side : torus_sides(end - first, graph.node.torus_axes)) {
      for (int chip = first; chip < end; ++chip) {
        const int place = (chip - first) / stride % side;
        if (place + 1 < side) graph.connect(VertexId(chip), VertexId(chip + stride), link);
        if (place + 1 == side && side > 2)
          graph.connect(VertexId(chip), VertexId(chip - (side - 1) * stride), link);
      }
      stride *= side;
    }
  });
}

// ---- NICs and fabrics -----------------------------------------------------------------------------------

// Each GPU reaches its nearest NIC: as many as its share where a node has more NICs than GPUs, one that it
// shares where it has fewer.
void build_nics(Graph& graph) {
  const int gpus = graph.node.gpus, nics = graph.node.nics;
  const LinkSpec pcie{"PCIe", std::max(graph.node.host_link, graph.node.nic.bandwidth), Seconds(0)};
  graph.clos.gpu_to_nic.assign(static_cast<std::size_t>(graph.gpus()), -1);
  for (int node = 0; node < graph.nodes; ++node)
    for (int nic = 0; nic < nics; ++nic) {
      const VertexId vertex =
          graph.add_vertex(VertexKind::nic, numbered("node", node) + numbered(".nic", nic));
      graph.nics.push_back(vertex);
      const int first = nic * gpus / nics, last = std::max(first, (nic + 1) * gpus / nics - 1);
      for (int gpu = first; gpu <= last; ++gpu) {
        std::int32_t& nearest = graph.clos.gpu_to_nic[static_cast<std::size_t>(node * gpus + gpu)];
        if (nearest < 0) nearest = graph.next_link();
        graph.connect(VertexId(node * gpus + gpu), vertex, pcie);
      }
    }
}

struct SwitchGroup {  // the switches of one tier above one range of nodes
  std::vector<VertexId> switches;
};

int groups_of(const Graph& graph, int group_nodes) {
  return group_nodes == 0 ? 1 : (graph.nodes + group_nodes - 1) / group_nodes;
}

// Leaves: one switch for each rail of a group, or one for all its NICs. Returns the groups.
std::vector<SwitchGroup> build_leaves(Graph& graph, const TierSpec& tier) {
  std::vector<SwitchGroup> groups;
  const int rails = graph.spec.rails ? graph.node.nics : 1;
  LinkSpec link = graph.node.nic;
  link.latency = 0.5 * (graph.node.nic.latency + tier.latency);  // a route has a NIC and a leaf at each end
  link.efficiency *= graph.spec.routing_efficiency;
  for (int group = 0; group < groups_of(graph, tier.nodes); ++group) {
    SwitchGroup& made = groups.emplace_back();
    for (int rail = 0; rail < rails; ++rail)
      made.switches.push_back(
          graph.add_vertex(VertexKind::network_switch, numbered(tier.name, group * rails + rail)));
    const int first = group * tier.nodes;
    const int end = tier.nodes == 0 ? graph.nodes : std::min(graph.nodes, first + tier.nodes);
    for (int node = first; node < end; ++node)
      for (int nic = 0; nic < graph.node.nics; ++nic) {
        graph.clos.nic_to_leaf.push_back(graph.next_link());
        graph.connect(graph.nics[static_cast<std::size_t>(node * graph.node.nics + nic)],
                      made.switches[static_cast<std::size_t>(nic % rails)], link);
      }
  }
  graph.clos.tiers.push_back({tier.nodes, rails, {}});
  return groups;
}

// One tier on top of another: `below` switches of a group share the group's uplink, nodes x NICs x rate
// divided by the oversubscriptions so far, in equal bundles.
std::vector<SwitchGroup> build_tier(Graph& graph, const std::vector<SwitchGroup>& below,
                                    const TierSpec& lower, const TierSpec& tier, Bandwidth lower_uplink) {
  std::vector<SwitchGroup> groups;
  for (int group = 0; group < groups_of(graph, tier.nodes); ++group) {
    SwitchGroup& made = groups.emplace_back();
    for (int i = 0; i < tier.switches; ++i)
      made.switches.push_back(
          graph.add_vertex(VertexKind::network_switch, numbered(tier.name, group * tier.switches + i)));
  }
  std::vector<std::int32_t> first;
  for (std::size_t low = 0; low < below.size(); ++low) {
    const auto group = tier.nodes == 0 ? 0 : low / static_cast<std::size_t>(tier.nodes / lower.nodes);
    const auto cables = below[low].switches.size() * groups[group].switches.size();
    const LinkSpec bundle{tier.name, lower_uplink / static_cast<double>(cables),
                          0.5 * (lower.latency + tier.latency), graph.spec.routing_efficiency};
    first.push_back(graph.next_link());
    for (const VertexId from : below[low].switches)
      for (const VertexId to : groups[group].switches) graph.connect(from, to, bundle);
  }
  graph.clos.tiers.push_back({tier.nodes, tier.switches, std::move(first)});
  return groups;
}

void build_clos(Graph& graph) {
  const auto& tiers = graph.spec.tiers;
  INVARIANT(!tiers.empty());
  build_nics(graph);
  std::vector<SwitchGroup> below = build_leaves(graph, tiers.front());
  double oversubscription = 1;
  for (std::size_t tier = 1; tier < tiers.size(); ++tier) {
    const TierSpec& lower = tiers[tier - 1];
    oversubscription *= lower.oversubscription;
    const Bandwidth uplink =
        graph.node.nic.bandwidth * (static_cast<double>(lower.nodes) * graph.node.nics / oversubscription);
    below = build_tier(graph, below, lower, tiers[tier], uplink);
  }
}

void build_none(Graph&) {}

void build_dragonfly(Graph& graph) {
  build_nics(graph);
  draw_dragonfly(graph);
}

void build_router_torus(Graph& graph) {
  build_nics(graph);
  draw_router_torus(graph);
}

constexpr std::array<BuilderRow, 5> kScaleUpBuilders{{
    {"nvswitch", "every GPU at full rate to every other, through switches (HGX node, NVL72 rack)",
     build_nvswitch},
    {"pairs", "bridges between neighbours, the host's PCIe between pairs", build_pairs},
    {"mesh", "a link of its own between any two GPUs (xGMI)", build_mesh},
    {"pcie", "the host's PCIe switches only", build_pcie},
    {"torus", "links to the neighbours along each axis, wrapped (TPU ICI)", build_torus},
}};

constexpr std::array<BuilderRow, 4> kFabricBuilders{{
    {"none", "no network: one scale-up domain", build_none},
    {"clos", "tiers of switches (fat tree, leaf and spine, rail-optimized), each with its oversubscription",
     build_clos},
    {"dragonfly", "groups of routers, each joined to each; global cables between any two groups",
     build_dragonfly},
    {"torus", "routers joined to their neighbours along two or three axes, wrapped", build_router_torus},
}};

std::vector<std::string_view> names_of(std::span<const BuilderRow> rows) {
  std::vector<std::string_view> names;
  for (const BuilderRow& row : rows) names.push_back(row.name);
  return names;
}

void build_by_name(Graph& graph, std::span<const BuilderRow> rows, std::string_view name) {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const BuilderRow& r) { return r.name == name; });
  INVARIANT(row != rows.end());
  row->build(graph);
}

}  // namespace

std::span<const BuilderRow> scale_up_builders() { return kScaleUpBuilders; }
std::span<const BuilderRow> fabric_builders() { return kFabricBuilders; }
std::vector<std::string_view> scale_up_kinds() { return names_of(kScaleUpBuilders); }
std::vector<std::string_view> fabric_kinds() { return names_of(kFabricBuilders); }

void build_graph(Graph& graph) {
  for (int gpu = 0; gpu < graph.gpus(); ++gpu) graph.add_vertex(VertexKind::gpu, gpu_name(graph, gpu));
  build_by_name(graph, kScaleUpBuilders, graph.node.scale_up_kind);
  build_by_name(graph, kFabricBuilders, graph.spec.kind);
  graph.adjacency = Graph::Adjacency(graph.kinds.size());
  for (std::size_t i = 0; i < graph.links.size(); ++i)
    boost::add_edge(static_cast<std::size_t>(graph.links[i].from.value),
                    static_cast<std::size_t>(graph.links[i].to.value), static_cast<std::int32_t>(i),
                    graph.adjacency);
}

}  // namespace runcast
