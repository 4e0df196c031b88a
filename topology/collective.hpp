// How long a collective takes in closed form: alpha-beta models of the algorithms of NCCL and MPI.
// Units: alpha s per step, size B, bandwidth B/s per rank and direction; n ranks.
//   S = full tensor: all-reduce in = out = S; all-gather output S; reduce-scatter input S; all-to-all buffer S.
//   ring all-reduce               2(n-1) alpha + 2(n-1)/n S/b                     [Thakur et al. 2005, 4.4]
//   ring all-gather, red.-scatter  (n-1) alpha +  (n-1)/n S/b                     [same, 4.1, 4.3]
//   halving-doubling all-reduce   2 ceil(log2 n) alpha + 2(n-1)/n S/b             [same, 4.4 (Rabenseifner)]
//   single tree all-reduce        2 ceil(log2 n) alpha + 3 S/b   (a node receives from two children)
//   double tree all-reduce        2 ceil(log2 n) alpha + 2 S/b                    [Sanders et al. 2009]
//   NVLS all-reduce               alpha + (1 + 1/n) S/b          (reduced and multicast in the switch)
//   pairwise all-to-all           (n-1) alpha + (n-1)/n S/b
//   ring broadcast (pipelined)    (n-1) alpha + S/b
//   pairwise send/receive         alpha + S/b
// A hierarchical algorithm has two kinds of links and therefore no row here: topology/network prices it.
// Leaves out: reduction arithmetic, protocol headers, contention (topology/network).
#pragma once

#include <string_view>

#include "sim/units.hpp"

namespace runcast {

enum class Collective { all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, send_receive };
enum class Algorithm {
  ring,
  tree,
  double_tree,
  halving_doubling,
  nvls,
  hierarchical,
  in_network,  // SHARP: the fabric's switches sum and multicast
  pairwise,
};

// NCCL's three ways to move bytes: LL sends 4 B of data with 4 B of flag (no fence, half of the rate), LL128
// 120 B of data with 8 B of flag (NVLink keeps the order), Simple whole chunks with a fence after each.
enum class Protocol { ll, ll128, simple };

std::string_view name_of(Collective);
std::string_view name_of(Algorithm);
std::string_view name_of(Protocol);

// The row of the table above. INVARIANT: the algorithm implements the collective, n >= 1, b > 0. For
// n = 1 it is 0 s.
Seconds closed_form(Collective, Algorithm, int n, Seconds alpha, Bytes size, Bandwidth b);

// The bandwidth term alone, at nominal link rate: no run of the algorithm is faster.
Seconds bandwidth_bound(Collective, Algorithm, int n, Bytes size, Bandwidth nominal);

// Bus bandwidth as nccl-tests define it: all-reduce S/t 2(n-1)/n; all-gather, reduce-scatter, all-to-all
// S/t (n-1)/n; broadcast and send/receive S/t.   [nccl-tests PERFORMANCE.md]
Bandwidth bus_bandwidth(Collective, int n, Bytes size, Seconds t);

}  // namespace runcast
