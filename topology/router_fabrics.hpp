// Fabrics of routers that hold nodes and are joined by cables of their own, without tiers of switches.
//   dragonfly  groups of a routers, each joined to each; every router has h global cables; any two of the g groups are
//              joined by floor(a h / (g-1)) of them, in order of distance from the group      [Kim et al. 2008, sec. 3]
//   torus      routers at the points of a grid of 2 or 3 axes, each joined to the next along each axis; an axis longer
//              than two is wrapped                                                            [Dally & Towles 2004, ch. 5]
// A node's NICs are all on its router. Leaves out: cable lengths, ports, wirings with other patterns of global cables.
#pragma once

#include <vector>

#include "topology/fabric.hpp"

namespace runcast {

// Sides of a torus of `chips` with `axes` axes, as near to a cube as its divisors allow, longest last.
std::vector<int> torus_sides(int chips, int axes);

// Routers of a fabric for its nodes; the last one of a dragonfly's last group may hold none.
int routers_of(const Fabric::Graph&);
// Throws ConfigError for nodes that the shape cannot hold.
void check_routers(const Fabric::Graph&);

// Nodes in a row that share a router, a group, or the first axes of a torus, and what their cables out carry.
struct RouterBlock {
  int nodes;
  Bandwidth out;
};
std::vector<RouterBlock> router_blocks(const Fabric&);  // smaller than the cluster; empty for tiers

// Routers and cables, with the index of them; the graph has the NICs.
void draw_dragonfly(Fabric::Graph&);
void draw_router_torus(Fabric::Graph&);

}  // namespace runcast
