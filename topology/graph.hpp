// The graph behind Fabric, for fabric.cpp, builders.cpp and routing.cpp only (it brings in Boost.Graph).
// Vertices and edges are dense indices in building order (vecS): the order never follows an address.
#pragma once

#include <boost/graph/adjacency_list.hpp>
#include <string>
#include <vector>

#include "topology/fabric.hpp"

namespace runcast {

// Where the links of a Clos are, for routes without a search: link i up is i ^ 1 down. Switch f of a lower group and
// switch t of the group above it are joined by link first[lower group] + 2 (f x switches above + t).
struct ClosTier {
  int nodes = 0;                    // below one of its groups; 0 = all
  int switches = 1;                 // parallel in a group (leaves: one for each rail)
  std::vector<std::int32_t> first;  // by lower group: its first link up; empty for the leaves
};
struct ClosIndex {
  std::vector<ClosTier> tiers;
  std::vector<std::int32_t> gpu_to_switch;  // by GPU; empty where the domain is no star
  std::vector<std::int32_t> gpu_to_nic;     // by GPU, to its nearest NIC
  std::vector<std::int32_t> nic_to_leaf;    // by NIC
};

// Where the cables between routers are: link i forth is i ^ 1 back.
struct RouterIndex {
  VertexId first;  // router r is vertex first + r
  int count = 0;
  std::vector<int> sides;            // torus
  std::vector<std::int32_t> onward;  // torus, by router x axes + axis: to the next one; -1: none
  int groups = 0, between = 0;       // dragonfly: groups, and cables between any two of them
  std::vector<std::int32_t> local;   // dragonfly, by (group x routers + from) x routers + to; -1: none
  std::vector<std::int32_t>
      global;  // dragonfly, by (from group x groups + to group) x between + cable; -1: none
};

struct Fabric::Graph {
  using Edge = boost::property<boost::edge_index_t, std::int32_t>;  // the LinkId's value
  using Adjacency =
      boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Edge>;

  Graph(NodeSpec node_spec, int node_count, FabricSpec fabric_spec)
      : node(std::move(node_spec)), nodes(node_count), spec(std::move(fabric_spec)) {}

  int gpus() const { return nodes * node.gpus; }

  VertexId add_vertex(VertexKind kind, std::string name);
  // A cable: link `a-b`, then link `b-a`, so that the reverse of link i is i ^ 1.
  void connect(VertexId a, VertexId b, const LinkSpec& link);

  NodeSpec node;
  int nodes;
  FabricSpec spec;
  int gpus_per_domain = 1;

  bool built = false;
  int unhealthy = 0;               // links whose health is not 1, and cables of hot switches
  std::vector<VertexKind> kinds;   // by vertex
  std::vector<std::string> names;  // by vertex
  std::vector<Link> links;         // by link
  std::vector<VertexId> nics;      // by node * node.nics + nic
  Adjacency adjacency;
  ClosIndex clos;       // its tiers are empty for other kinds
  RouterIndex routers;  // empty for other kinds
  std::int32_t next_link() const { return static_cast<std::int32_t>(links.size()); }
};

}  // namespace runcast
