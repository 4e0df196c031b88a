// Times of collectives and point-to-point messages between ranks, from the links of the routes that they take
// (network: alpha_beta). A group of ranks is looked at once; its links then price any collective and size.
// Over N domains with g ranks each, NCCL's rings run g channels, each through a NIC of its own:
//   ring          bandwidth min(intra, g inter), steps (n-N) intra + (N-1) inter, twice for an all-reduce
//   double tree   2 ((g-1) intra + ceil(log2 N) inter) + 2 S/b at 0.92 of the ring's rate  [NCCL tuning.cc]
//   hierarchical  with in-switch reduction the slower of NVLS inside and a double tree of S/g outside,
//                 pipelined; without it reduce-scatter, all-reduce of S/g, all-gather one after the other
//   all-to-all    the slower of what stays inside and what leaves the domain
// Leaves out: NCCL's protocols (LL, LL128), contention in time, collisions (a fabric's routing_efficiency).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/units.hpp"
#include "topology/collective.hpp"
#include "topology/fabric.hpp"
#include "topology/hardware.hpp"
#include "topology/placement.hpp"

namespace runcast {

// What the routes between the members of one group offer, per rank and direction.
struct GroupLinks {
  int ranks = 1;
  int domains = 1;                 // scale-up domains (nodes, NVL72 racks) that the group touches
  int ranks_per_domain = 1;        // in the fullest one
  Bandwidth intra_nominal, intra;  // scale-up link: datasheet, and reached by ring collectives
  Bandwidth inter_nominal, inter;  // share of the NICs and of the oversubscribed tiers: datasheet, reached
  Seconds intra_latency, inter_latency;  // alpha of one step over the slowest route of each kind
  int narrowest_domain = 1;              // ranks in the emptiest domain: the fewest channels of a ring
  int tree_depth = 0;                    // ceil(log2 domains)
  // Per rank in an all-to-all, for the bytes that leave the domain: less than `inter` where many ranks share
  // an oversubscribed uplink that a well-placed ring crosses once.
  Bandwidth pairwise_nominal, pairwise;
  bool in_switch_reduction = false;
  Seconds in_switch_latency;  // of a whole NVLS all-reduce in the fullest domain
  Bandwidth in_switch;        // bandwidth of NVLS, of the form of collective.hpp
  std::string busiest_link;   // the name of the bottleneck, for reports
};

struct CollectiveCost {
  Seconds time;
  Algorithm algorithm = Algorithm::ring;
  Seconds bound;  // bandwidth term of that algorithm at nominal rate: INVARIANT time >= bound
};

class Network {
 public:
  // The fabric must outlive the network.
  Network(const Fabric& fabric, Placement placement);

  // Links of one group, which is representative of its kind. A group without a second rank has no links.
  // `concurrent` groups of the same kind run at the same moment (all data-parallel groups of a step, say):
  // they share NICs of a node and the uplinks of the oversubscribed tiers that they cross. Where links are
  // degraded, the routes of the group's ring are looked up, and its slowest link sets the pace. Throws
  // ConfigError when failed links cut the group apart.
  GroupLinks group(std::span<const RankId> members, int concurrent) const;

  // The fastest applicable algorithm at this size. `fixed` is launch time, added once.
  CollectiveCost collective(Collective, Bytes size, const GroupLinks&, Seconds fixed = Seconds(0)) const;

  // All-to-all of a dispatcher that sends each token once to a rank and once into a domain, not once per copy:
  // `inside` and `outside` are the per-rank buffers that such an exchange carries over the scale-up links and over
  // the network; they overlap. `inside_efficiency`: of what rings reach on the scale-up links.
  Seconds exchange(Bytes inside, Bytes outside, const GroupLinks&, double inside_efficiency,
                   Seconds fixed) const;

  // One message from rank to rank over its route: sum of hop latencies + size / bottleneck. `concurrent`
  // messages leave the node at the same moment (those of its other ranks) and share its NICs.
  Seconds point_to_point(RankId from, RankId to, Bytes size, int concurrent = 1) const;

  const Fabric& fabric() const { return *fabric_; }
  const Placement& placement() const { return placement_; }

 private:
  const Fabric* fabric_;
  Placement placement_;
};

}  // namespace runcast
