// Which algorithm and protocol a collective takes over the links of a group, and its time, after NCCL's tuner
// (NCCL 2.30, src/graph/tuning.cc: each algorithm x protocol has a latency and a bandwidth, the least time wins).
//   time = start + L + B + ramp sqrt(L B)
//   B   bytes over the rate that the algorithm's links reach
//   L   steps x latency of a step in the protocol, and the start of the network path
//   the root is the pipeline: D = L/alpha stages and k chunks take (D + k)(alpha + B/k/...), least at
//   L + B + 2 sqrt(L B); NCCL's chunks are coarser than that optimum allows for and finer than D = L, so the
//   factor is fitted
// Over N domains with g ranks each, NCCL's rings run up to g channels, each through a NIC of its own:
//   ring          bandwidth min(intra, channels x inter), steps (n-N) intra + (N-1) inter, twice for all-reduce
//   double tree   2 ((g-1) intra + ceil(log2 N) inter) + 2 S/b at 0.92 of the ring's rate
//   hierarchical  with in-switch reduction (NVLSTree) the slower of NVLS inside and a double tree of S/channels
//                 outside, pipelined; without it reduce-scatter, all-reduce of S/g, all-gather one after the other
//   in network    (SHARP) reduce-scatter and all-gather inside, S/g over each NIC once, pipelined
//   all-to-all    the slower of what stays inside and what leaves the domain
// NCCL's own constants choose well but miss times by 20-40 %; ours were fitted to 188 measured collectives on 2 to
// 1,440 GPUs (library/published/collectives.csv, and the bus bandwidths by node count of nccl#1229): median
// error 7 %. Measured curves (topology/measured_curve) then carry what this form leaves out.
// Leaves out: registration, user buffers, symmetric memory, CUDA graphs, PAT, CollNet.
#pragma once

#include <vector>

#include "topology/group_links.hpp"

namespace runcast {

// Measured sizes were launched one after the other on a stream, as a training step's are: what of their times is
// launch, and not in the times below.
// NVIDIA nccl-tests floor of 13-17 us, less steps and start (accuracy fit on library/published/collectives.csv)
inline constexpr Seconds kBenchmarkLaunch{10e-6};

// What may run over these links, in the order of preference at equal times.
std::vector<Algorithm> applicable(Collective, const GroupLinks&);

// The fastest algorithm and protocol. 0 s for one rank. Grows with `size`.
CollectiveCost tune(Collective, Bytes size, const GroupLinks&);

// One algorithm, at its best protocol. INVARIANT: it is applicable.
CollectiveCost tune(Collective, Algorithm, Bytes size, const GroupLinks&);

}  // namespace runcast
