// The cluster as a graph: GPUs, NICs, switches and the links between them, built from the hardware library by
// topology/builders. Ids are dense integers in building order; link health scales capacity.
// The Boost.Graph graph is behind a pointer so that its headers stay in .cpp files; it is built on first use
// (`graph-free` questions such as "which domain is this GPU in" never build it).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/units.hpp"
#include "topology/hardware.hpp"

namespace runcast {

using VertexId = Id<struct VertexIdTag>;
using LinkId = Id<struct LinkIdTag>;

enum class VertexKind { gpu, scale_up_switch, nic, network_switch };

struct Link {  // one direction of a cable or of a bundle of equal cables
  VertexId from, to;
  Bandwidth bandwidth;  // nominal, of the whole bundle
  Seconds latency;
  double efficiency{};      // of the bandwidth: what large collectives reach
  double health = 1.0;      // 1 = whole, 0 = failed
  std::string name;         // "node3.gpu1-nvswitch", "leaf7-spine"
  Seconds extra_latency{};  // of hot switches at its ends; part of `latency`
};

// The routes that flows take are made of these.
struct Route {
  std::vector<LinkId> links;  // from source to destination; empty for a GPU to itself
};

class Fabric {
 public:
  // `nodes` of `node` joined by `spec`. Throws ConfigError when they cannot be (fabric 'none' under several
  // scale-up domains, a tier that ends below all nodes). Cheap: nothing is drawn yet.
  Fabric(NodeSpec node, int nodes, FabricSpec spec);
  Fabric(Fabric&&) noexcept;
  Fabric& operator=(Fabric&&) noexcept;
  ~Fabric();

  const NodeSpec& node() const;
  const FabricSpec& spec() const;
  int nodes() const;
  int gpus() const;
  NodeId node_of(GpuId) const;
  int domain_of(GpuId) const;  // scale-up domain
  int domains() const;
  // GPUs of a whole domain that the job uses. Racks are filled evenly where that can be done with no domain
  // less than half full (64 GPUs each on four NVL72 racks for 256), as schedulers place blocks; else packed.
  int gpus_per_domain() const;
  // The tier at which two nodes meet: 0 = same node or scale-up domain, 1 = tiers[0], ...; 1 where there are routers.
  int meeting_tier(GpuId, GpuId) const;

  int vertices() const;
  int links() const;
  VertexKind kind(VertexId) const;
  std::string_view vertex_name(VertexId) const;
  VertexId vertex_of(GpuId) const;
  const Link& link(LinkId) const;
  LinkId reverse(LinkId) const;            // the other direction of the same cable
  void set_health(LinkId, double health);  // of the cable: both directions
  // A hot switch: all its cables have that share of their health left, and a way through it takes longer.
  void set_switch(VertexId, double capacity, Seconds extra_latency);
  bool degraded() const;                              // any link or switch is; never builds the graph
  VertexId find_vertex(std::string_view name) const;  // value -1 when there is none
  LinkId find_link(std::string_view name) const;   // by either direction's name; value -1 when there is none
  std::vector<LinkId> links_from(VertexId) const;  // in building order

  struct Graph;                // the Boost.Graph side (topology/graph.hpp), for routing and builders
  const Graph& graph() const;  // built on first call; not thread-safe before that

 private:
  std::unique_ptr<Graph> graph_;
};

}  // namespace runcast
