// Times of collectives and point-to-point messages between ranks, from the links of the routes that they take
// (network: alpha_beta). A group of ranks is looked at once; its links then price any collective and size.
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
  int domains = 1;             // scale-up domains (nodes, NVL72 racks) that the group touches
  int ranks_per_domain = 1;    // in the fullest one
  Bandwidth intra_nominal, intra;   // scale-up link: datasheet, and reached by ring collectives
  Bandwidth inter_nominal, inter;   // share of the NICs and of the oversubscribed tiers: datasheet, reached
  Seconds intra_latency, inter_latency;  // alpha of one step over the slowest route of each kind
  bool in_switch_reduction = false;
  Bandwidth in_switch;              // bandwidth of NVLS, of the form of collective.hpp
  std::string busiest_link;         // the name of the bottleneck, for reports
};

struct CollectiveCost {
  Seconds time;
  Algorithm algorithm = Algorithm::ring;
  Seconds bound;     // bandwidth term of that algorithm at nominal rate: INVARIANT time >= bound
};

class Network {
 public:
  // The fabric must outlive the network.
  Network(const Fabric& fabric, Placement placement);

  // Links of one group. `concurrent` groups of the same kind run at the same moment (all data-parallel groups
  // of a step, say): they share NICs of a node and the uplinks of the oversubscribed tiers that they cross.
  GroupLinks group(std::span<const RankId> members, int concurrent) const;

  // The fastest applicable algorithm at this size. `fixed` is launch time, added once.
  CollectiveCost collective(Collective, Bytes size, const GroupLinks&, Seconds fixed = Seconds(0)) const;

  // One message from rank to rank over its route: sum of hop latencies + size / bottleneck.
  Seconds point_to_point(RankId from, RankId to, Bytes size) const;

  const Fabric& fabric() const { return *fabric_; }
  const Placement& placement() const { return placement_; }

 private:
  const Fabric* fabric_;
  Placement placement_;
};

}  // namespace runcast
