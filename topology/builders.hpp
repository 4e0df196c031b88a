// How the graph of a cluster is drawn: one function per kind of scale-up domain (inside a node or rack) and
// per kind of fabric between nodes, in two visible tables. To add a topology: one function and one row.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "topology/fabric.hpp"

namespace runcast {

// Draws into a graph that has the GPUs as its first vertices.
using GraphBuilder = void (*)(Fabric::Graph&);

struct BuilderRow {
  std::string_view name, sentence;
  GraphBuilder build;
};

std::span<const BuilderRow> scale_up_builders();
std::span<const BuilderRow> fabric_builders();

// The names of the rows, for choice keys.
std::vector<std::string_view> scale_up_kinds();
std::vector<std::string_view> fabric_kinds();

// GPUs first (vertex id = GPU id), then the scale-up domains, the NICs, and the fabric.
void build_graph(Fabric::Graph&);

}  // namespace runcast
