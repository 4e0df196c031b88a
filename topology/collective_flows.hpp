// Collectives as flows over the fabric: which bytes each algorithm moves between which GPUs, in which order.
//   ring              channels = ranks of the emptiest domain; channel k enters each domain at rank k, goes round it and
//                     leaves through the NIC of rank k (PXN): each edge carries 2(n-1)/n S/channels (half for a gather)
//   double tree       two trees over the domains, one the mirror of the other, S/2 each, up and down; chains inside
//   halving-doubling  log2 n rounds with partners at distance n/2, n/4, ..., then back; ranks beyond a power of two
//                     hand their data to a partner first
//   hierarchical      reduce-scatter inside, rings of S/g over the domains, all-gather inside; where a switch reduces
//                     (NVLS), that and a double tree of S/g side by side
//   NVLS              each GPU sends S (1 + 1/n) to its switch and receives as much
//   in-network        reduce-scatter inside, S/g from each NIC to its leaf and back (SHARP), all-gather inside
//   pairwise          S/n between any two ranks; other rails over the peer GPU (PXN)
// Leaves out: chunks within a phase (its bytes flow at once), copies inside a GPU.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "topology/collective.hpp"
#include "topology/paths.hpp"

namespace runcast {

struct Transfer {
  GpuId from, to;
  Bytes size;
  std::vector<std::int32_t>
      links;  // instead of a route between GPUs: into a switch that reduces, or out of it
};

struct FlowPlan {
  std::vector<std::vector<Transfer>> phases;  // one after the other; the transfers of one side by side
};

// The members of a group in their order, by scale-up domain in order of first member.
std::vector<std::vector<GpuId>> by_domain(const Fabric&, std::span<const GpuId>);

// INVARIANT: the algorithm implements the collective; nvls: one domain with a switch.
FlowPlan plan_of(Collective, Algorithm, const Paths&, std::span<const GpuId> members, Bytes size);

// The least time of any algorithm, from the bytes that must cross the links out of each domain, and out of the switches
// of each tier, at datasheet rate: all-reduce S, all-gather and reduce-scatter (n-k)/n S into (out of) k of n members,
// all-to-all k (n-k)/n S. Failed and degraded links are not counted as such.
Seconds cut_bound(Collective, const Fabric&, std::span<const GpuId> members, Bytes size);

struct LinkUse {
  std::int32_t link = -1;
  double bytes = 0;     // over it, all plans together
  double occupied = 0;  // of the time until the last plan ended, at what the link reaches
};

struct FlowOutcome {
  std::vector<Seconds> finished;  // by plan; with one latency of its slowest route a phase
  std::vector<LinkUse> busiest;   // most occupied first, at most eight
};

// All plans start together. INVARIANT: none ends before the fullest of its links could carry its bytes at datasheet
// rate.
FlowOutcome run_flows(const Paths&, std::span<const FlowPlan>);

// Groups of the same kind whose rings (or all-to-alls, or messages) run at the same time. A ring moves in lockstep, at the rate of its
// slowest edge: it is one flow over all its edges.
struct LockstepRates {
  Bandwidth slowest,
      fastest;               // bytes over an edge of a ring channel, or from a rank to one other, per second
  std::string busiest_link;  // a full one of the slowest group
  int crossings = 0;         // flows over it, of all groups
  std::vector<std::string> full_links;  // of the slowest group, at most eight
};
// Groups of another kind that send at the same time; they take their shares and are not reported.
struct OtherGroups {
  Collective collective = Collective::all_gather;
  std::span<const std::vector<GpuId>> groups;
};
LockstepRates lockstep_rates(const Paths&, Collective, std::span<const std::vector<GpuId>> groups,
                             std::span<const OtherGroups> others = {});

}  // namespace runcast
