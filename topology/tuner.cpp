// The terms of tuner.hpp: latency and bandwidth of each algorithm and protocol over the links of a group.
#include "topology/tuner.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace runcast {
namespace {

constexpr double kTreeEfficiency = 0.92;  // of a ring's bandwidth: NCCL 2.30, src/graph/tuning.cc
// Channels with a NIC of their own. 20 NVL72 racks reach 425 GB/s of bus bandwidth at NICs of 46 GB/s, 9.2 of
// their 72 (coreweave/nccl-tests README, 2026); HGX nodes have 8.
constexpr double kMostChannels = 9.2;
// Fitted to measured collectives: see tuner.hpp. The pipeline's optimum would be 2.
constexpr double kRamp = 1.5;
constexpr Seconds kStart{2e-6};  // kernel start and first flags, beyond the launch; same fit

struct ProtocolRow {
  Protocol protocol;
  double step;     // of one scale-up step, in the entry's latency (1.7 us on NVLink)
  double network;  // of one step between domains, in the latency of the route (4.8 us under one NDR leaf)
  double start;    // once when the network is crossed: proxy threads and first buffers; same unit
  double ramp;     // 0: flags travel with each word, there is no chunk to fill
};

// LL 0.6 and 2.7 us, LL128 and Simple between domains 4 and 14 us are NCCL 2.30's (tuning.cc, hardware latencies);
// scale-up steps of LL128 and Simple are fitted, 0.55 us instead of NCCL's 1.9 and 3.4, and so are the starts.
constexpr std::array<ProtocolRow, 3> kProtocols{{
    {Protocol::ll, 0.35, 0.56, 4, 0},
    {Protocol::ll128, 0.34, 0.83, 10, kRamp},
    {Protocol::simple, 0.32, 2.9, 10, kRamp},
}};

// Of NCCL's LL bus bandwidth between domains: 39 GB/s on two, 20.4 on more (tuning.cc, llMaxBws; the rows of Intel
// and other CPUs). Inside one, 87.7, 141 and 282 GB/s on Ampere, Hopper and Blackwell are 0.4 of a ring's rate.
Bandwidth low_latency_rate(const GroupLinks& links, Bandwidth rate) {
  if (links.domains == 1) return rate * 0.4;
  return std::min(rate * 0.5, Bandwidth(links.domains == 2 ? 39e9 : 20.4e9));
}

Bandwidth in_protocol(Protocol protocol, const GroupLinks& links, Bandwidth rate) {
  switch (protocol) {
    case Protocol::ll:
      return low_latency_rate(links, rate);
    case Protocol::ll128:
      return rate * 0.97;  // 120/128 less of it than Simple loses to its fences (fitted: no loss; at most 1)
    case Protocol::simple:
      return rate;
  }
  return rate;
}

struct Rates {
  Bandwidth intra, inter, pairwise, in_switch;
};

double channels(const GroupLinks& links) {
  return std::min(static_cast<double>(links.narrowest_domain), kMostChannels);
}

// Rate of a ring, per rank: inside one domain its link; across domains one NIC for each channel.
Bandwidth ring_rate(const GroupLinks& links, const Rates& rates, double nics) {
  if (links.domains == 1) return rates.intra;
  const Bandwidth outside = rates.inter * nics;
  return links.ranks_per_domain == 1 ? outside : std::min(rates.intra, outside);
}

// NVLS inside, a double tree outside (between two domains each sends its share once), at the same time.
Seconds hierarchical_all_reduce(const GroupLinks& links, const Rates& rates, Bytes size, double nics) {
  const int g = links.narrowest_domain, full = links.ranks_per_domain;
  const double passes = links.domains == 2 ? 1 : 2;
  if (links.in_switch_reduction)
    return std::max(bandwidth_bound(Collective::all_reduce, Algorithm::nvls, full, size, rates.in_switch),
                    passes * (size / (rates.inter * nics)));
  return 2.0 * bandwidth_bound(Collective::reduce_scatter, Algorithm::ring, full, size, rates.intra) +
         bandwidth_bound(Collective::all_reduce, Algorithm::ring, links.domains, size / g, rates.inter);
}

// Reduce-scatter inside, S/g up to the leaf's tree and down at once, all-gather inside: pipelined.
Seconds in_network_all_reduce(const GroupLinks& links, const Rates& rates, Bytes size) {
  const int g = links.narrowest_domain;
  return std::max(2.0 * bandwidth_bound(Collective::reduce_scatter, Algorithm::ring, links.ranks_per_domain,
                                        size, rates.intra),
                  size / (rates.inter * g));
}

Seconds all_to_all(const GroupLinks& links, const Rates& rates, Bytes size) {
  const double n = links.ranks;
  const Seconds inside = size * ((links.ranks_per_domain - 1) / n) / rates.intra;
  if (links.domains == 1) return inside;
  return std::max(inside, size * ((n - links.narrowest_domain) / n) / rates.pairwise);
}

Seconds bandwidth_term(Collective collective, Algorithm algorithm, const GroupLinks& links,
                       const Rates& rates, Bytes size, double nics) {
  switch (algorithm) {
    case Algorithm::nvls:
      return bandwidth_bound(collective, algorithm, links.ranks, size, rates.in_switch);
    case Algorithm::hierarchical:
      return hierarchical_all_reduce(links, rates, size, nics);
    case Algorithm::in_network:
      return in_network_all_reduce(links, rates, size);
    case Algorithm::pairwise:
      return collective == Collective::all_to_all ? all_to_all(links, rates, size)
                                                  : size / (links.domains == 1 ? rates.intra : rates.inter);
    default:
      return bandwidth_bound(collective, algorithm, links.ranks, size, ring_rate(links, rates, nics));
  }
}

// Steps inside the domains and between them; the network's start when it is crossed.
Seconds latency_term(Collective collective, Algorithm algorithm, const GroupLinks& links,
                     const ProtocolRow& row) {
  const Seconds inside = links.intra_latency * row.step, outside = links.inter_latency * row.network;
  const Seconds start = links.domains > 1 ? links.inter_latency * row.start : Seconds(0);
  const double near = links.ranks_per_domain - 1, all_near = links.ranks - links.domains;
  const double far = links.domains - 1;
  switch (algorithm) {
    case Algorithm::nvls:
      return links.in_switch_latency;
    case Algorithm::double_tree:  // inside a domain NCCL's trees are chains
      return start + 2.0 * (near * inside + links.tree_depth * outside);
    case Algorithm::hierarchical:
      return links.in_switch_reduction ? start + links.in_switch_latency + 2.0 * links.tree_depth * outside
                                       : start + 2.0 * (near * inside + far * outside);
    case Algorithm::in_network:  // up and down the tree of switches
      return start + 2.0 * (near * inside + links.inter_latency);
    case Algorithm::pairwise:  // messages are posted one after the other and fly together
      if (collective == Collective::send_receive)
        return links.domains > 1 ? links.inter_latency : links.intra_latency;
      return start * 0.5 + (links.ranks - 1) * inside;
    default:
      return start + (collective == Collective::all_reduce ? 2.0 : 1.0) * (all_near * inside + far * outside);
  }
}

bool has_protocols(Algorithm algorithm) {
  return algorithm == Algorithm::ring || algorithm == Algorithm::double_tree;
}

}  // namespace

std::vector<Algorithm> applicable(Collective collective, const GroupLinks& links) {
  if (collective == Collective::all_to_all || collective == Collective::send_receive)
    return {Algorithm::pairwise};
  if (collective != Collective::all_reduce) return {Algorithm::ring};
  std::vector<Algorithm> algorithms{Algorithm::ring, Algorithm::double_tree};
  if (links.domains == 1 && links.in_switch_reduction) algorithms.push_back(Algorithm::nvls);
  if (links.domains > 1 && links.ranks_per_domain > 1) algorithms.push_back(Algorithm::hierarchical);
  if (links.domains > 1 && links.in_network_reduction) algorithms.push_back(Algorithm::in_network);
  return algorithms;
}

CollectiveCost tune(Collective collective, Algorithm algorithm, Bytes size, const GroupLinks& links) {
  if (links.ranks == 1) return {};
  const Rates nominal{links.intra_nominal, links.inter_nominal, links.pairwise_nominal, links.intra_nominal};
  const Seconds bound = bandwidth_term(collective, algorithm, links, nominal, size, links.narrowest_domain);
  const Rates reached{links.intra, links.inter, links.pairwise, links.in_switch};
  const Seconds whole = bandwidth_term(collective, algorithm, links, reached, size, channels(links)) /
                        (algorithm == Algorithm::double_tree ? kTreeEfficiency : 1.0);
  const Bandwidth ring = ring_rate(links, reached, channels(links));
  CollectiveCost best;
  bool first = true;
  for (const ProtocolRow& row : kProtocols) {
    if (row.protocol != Protocol::simple && !has_protocols(algorithm)) continue;
    const Seconds moving = has_protocols(algorithm)
                               ? whole * (ring.value / in_protocol(row.protocol, links, ring).value)
                               : whole;
    const Seconds latency = latency_term(collective, algorithm, links, row);
    const Seconds time =
        kStart + latency + moving + Seconds(row.ramp * std::sqrt(latency.value * moving.value));
    if (!first && time >= best.time) continue;
    first = false;
    best = {time, algorithm, row.protocol, bound};
  }
  INVARIANT(best.time >= best.bound);
  return best;
}

CollectiveCost tune(Collective collective, Bytes size, const GroupLinks& links) {
  CollectiveCost best;
  bool first = true;
  if (links.ranks == 1) return best;
  for (const Algorithm algorithm : applicable(collective, links)) {
    const CollectiveCost cost = tune(collective, algorithm, size, links);
    if (!first && cost.time >= best.time) continue;
    first = false;
    best = cost;
  }
  return best;
}

}  // namespace runcast
