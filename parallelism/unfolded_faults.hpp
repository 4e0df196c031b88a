// What makes ranks and links unequal: `cluster.faults` of a scenario. Each item names one place and what is wrong
// there; several items on one rank multiply.
//   {rank: 17, slowdown: 1.1}                 a slow GPU: its kernels take 1.1 times as long
//   {stage: 15, slowdown: 1.1}                the same, named by pipeline rank (replica: 0, tensor: 0 by default)
//   {node: 3, slowdown: 1.1}                  all GPUs of a node; host_slowdown: 1.5 for its CPUs, which issue kernels
//   {rack: 2, slowdown: 1.08}                 thermal throttling of a rack of nodes (rack_nodes: 2)
//   {share: 0.01, slowdown: 1.1}              each GPU is slow with this probability
//   {spread: 0.02}                            every GPU has a speed of its own: lognormal, mean 1, this deviation
//   {jitter: 0.05}                            noise of the kernels between two collectives, drawn anew each time
//   {link: node3.gpu1-node3.nvswitch, capacity: 0.5}  a degraded cable, both directions; 0: failed
//   {switch: leaf3, capacity: 0.5, latency: 20 us}    a hot switch: its cables carry half, its queues add to each way
//                                             through it; capacity 0: failed
// Draws are addressed by the seed and the rank. Leaves out: faults that begin or end within a step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parallelism/layout.hpp"
#include "sim/config.hpp"
#include "topology/fabric.hpp"
#include "topology/network.hpp"
#include "topology/placement.hpp"

namespace runcast {

struct Fault {
  enum class Kind { rank, stage, node, rack, share, spread, jitter, link, hot_switch };
  Kind kind = Kind::rank;
  std::int64_t place = 0;                // rank, stage, node or rack
  std::int64_t replica = 0, tensor = 0;  // stage
  std::int64_t rack_nodes = 2;           // 16 GPUs a rack on two servers [LLaMA 3, sec. 3.3.1]
  double amount = 0;                     // share, spread, jitter
  double slowdown = 1, host_slowdown = 1;
  std::string link;  // or switch
  double capacity = 1;
  Seconds latency{};  // hot_switch
};

// Reads the list `faults` of the section; places are checked against the cluster when they are resolved.
std::vector<Fault> read_faults(Section cluster);

// Factors on a rank's own time: kernels, and the host's issue of them. Empty: all 1.
struct RankConditions {
  std::vector<double> gpu, host;  // [rank]
  double jitter = 0;              // relative deviation of the stretches of kernels between two collectives
  // The network with degraded links, and the nodes whose routes it may have changed; nullptr: none has.
  const Network* degraded = nullptr;
  std::vector<char> touched;  // [node]
};

// Throws ConfigError for a place that the cluster or the layout does not have.
RankConditions rank_conditions(const std::vector<Fault>&, const Layout&, const Placement&, const Fabric&,
                               std::uint64_t seed);
bool names_links(const std::vector<Fault>&);
// Degrades the links that the faults name; [node] whether routes from or to it may change: the node of a GPU's or
// NIC's link, all nodes for a link between switches. Throws ConfigError for a name that the fabric does not have.
std::vector<char> degrade_links(const std::vector<Fault>&, Fabric&);

}  // namespace runcast
