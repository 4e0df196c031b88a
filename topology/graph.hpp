// The graph behind Fabric, for fabric.cpp, builders.cpp and routing.cpp only (it brings in Boost.Graph).
// Vertices and edges are dense indices in building order (vecS): the order never follows an address.
#pragma once

#include <boost/graph/adjacency_list.hpp>
#include <string>
#include <vector>

#include "topology/fabric.hpp"

namespace runcast {

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
  int unhealthy = 0;               // links whose health is not 1
  std::vector<VertexKind> kinds;   // by vertex
  std::vector<std::string> names;  // by vertex
  std::vector<Link> links;         // by link
  std::vector<VertexId> nics;      // by node * node.nics + nic
  Adjacency adjacency;
};

}  // namespace runcast
