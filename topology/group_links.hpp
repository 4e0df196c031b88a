// What the routes between the members of one group of ranks offer, and what a collective over them costs:
// the common ground of topology/network, which looks at the routes, and topology/tuner, which prices.
#pragma once

#include <string>

#include "sim/units.hpp"
#include "topology/collective.hpp"

namespace runcast {

// Per rank and direction.
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
  Seconds in_switch_latency;          // of a whole NVLS all-reduce in the fullest domain
  Bandwidth in_switch;                // bandwidth of NVLS, of the form of collective.hpp
  bool in_network_reduction = false;  // SHARP in the fabric's switches
  std::string busiest_link;           // the name of the bottleneck, for reports
};

struct CollectiveCost {
  Seconds time;
  Algorithm algorithm = Algorithm::ring;
  Protocol protocol = Protocol::simple;
  Seconds bound;  // bandwidth term of that algorithm at nominal rate: INVARIANT time >= bound
};

}  // namespace runcast
