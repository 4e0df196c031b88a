// The links that flows take over a fabric, and what those links carry. In a Clos a route is found without a search:
// up from the source's NIC to the tier where the two nodes meet, and down; so it is between routers
// (topology/router_paths); GPUs of one scale-up domain go through its
// switch; where rails differ the bytes first cross to the peer GPU on the destination's rail (NCCL's PXN). Other
// shapes, and routes whose links have failed, are searched (topology/routing).
//   ecmp      each queue pair of a flow takes one of the equal paths by hash: collisions happen. A flow over q queue
//             pairs is q flows of 1/q of its bytes (LLaMA-3: 16, arXiv 2407.21783, 3.3.1)
//   adaptive  packets spread over all equal paths: parallel switches of a group act as one, whose links are the sum of
//             what is left of them; what a fabric still loses is its routing_efficiency. Between routers (dragonfly,
//             torus) a flow is eight parts, each on one of the minimal ways
// Leaves out: deadlock avoidance, Valiant routing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/fabric.hpp"

namespace runcast {

class Paths {
 public:
  // The fabric must outlive it, and keep its health.
  explicit Paths(const Fabric&);
  // With another routing than the fabric's: ecmp finds the one way of each pair by its hash.
  Paths(const Fabric&, Routing);

  struct Path {
    std::vector<std::int32_t> links;
    Seconds latency;
  };
  // Into how many parts a flow is cut, at most.
  int parts() const;
  // Paths of one flow, each of which carries an equal share. Throws ConfigError when failed links cut the two apart.
  std::vector<Path> between(GpuId from, GpuId to) const;
  // One of them; `flow` numbers the queue pairs.
  Path path(GpuId from, GpuId to, std::uint32_t flow) const;
  // In and out of the switch of a scale-up domain, for reductions in it. INVARIANT: the domain is a star.
  std::int32_t to_switch(GpuId) const;
  bool has_switch() const;
  // From a GPU over its NIC to the leaf. INVARIANT: the fabric has leaves.
  std::vector<std::int32_t> to_leaf(GpuId) const;

  // B/s that each link carries: nominal x efficiency x health.
  const std::vector<double>& capacities() const { return capacities_; }
  std::vector<double> nominal() const;  // datasheet x health
  // "leaf0-spine0", or "leaf0-spine (4 links)" for parallel links that act as one.
  std::string name(std::int32_t link) const;
  const Fabric& fabric() const { return *fabric_; }

 private:
  void merge_parallel_links();
  bool direct(GpuId from, GpuId to, std::uint32_t flow, std::vector<std::int32_t>& links) const;
  void between_routers(GpuId from, GpuId to, std::uint32_t flow, std::vector<std::int32_t>& links) const;
  void climb(int tiers, int node, int rail, std::uint64_t hash, std::vector<std::int32_t>& links) const;
  Path searched(GpuId from, GpuId to, std::uint32_t flow) const;

  const Fabric* fabric_;
  Routing routing_;
  std::vector<double> capacities_, nominal_;
  std::vector<std::int32_t> merged_;  // links that act as one with this; 1 for others
};

}  // namespace runcast
