// Routes over the graph: fewest hops, equal-cost paths chosen by a hash of the pair (ECMP), around failed
// links. A route may pass through a peer GPU of the node (as NCCL's PXN does), to reach another rail or past
// a NIC that failed. Deterministic and symmetric: the way back is the way there. Leaves out: adaptive
// routing, which is a fabric's `routing_efficiency`.
#pragma once

#include <cstdint>
#include <optional>

#include "topology/fabric.hpp"

namespace runcast {

// The hash that chooses among equal paths: splitmix64 (Steele et al. 2014) over the unordered pair and the
// flow.
std::uint64_t ecmp_hash(GpuId a, GpuId b, std::uint32_t flow);

// Nothing when failed links cut the two apart. Different `flow` numbers may take different equal-cost paths.
std::optional<Route> find_route(const Fabric& fabric, GpuId from, GpuId to, std::uint32_t flow = 0);

Seconds latency_of(const Fabric& fabric, const Route& route);      // sum over its links
Bandwidth bandwidth_of(const Fabric& fabric, const Route& route);  // least, with health and efficiency
double health_of(const Fabric& fabric, const Route& route);        // least; 1 for an empty route

}  // namespace runcast
