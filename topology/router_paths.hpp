// Minimal ways between the routers of a dragonfly or torus, without a search: in a torus axis by axis, the shorter way
// round (dimension order; the order of the axes and the way round where both are as long come from the hash); in a
// dragonfly over at most one cable inside each end's group and one of the cables between the groups, by the hash.
// Leaves out: Valiant's detours over a third group or router, which halve the throughput of even traffic and save that
// of traffic between neighbours [Kim et al. 2008, sec. 4].
#pragma once

#include <cstdint>
#include <vector>

#include "topology/fabric.hpp"

namespace runcast {

// Appends the links from router to router. INVARIANT: the fabric is one of routers.
void append_router_path(const Fabric::Graph&, int from, int to, std::uint64_t hash,
                        std::vector<std::int32_t>& links);

}  // namespace runcast
