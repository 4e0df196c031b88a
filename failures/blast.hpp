// Which nodes one event takes down. Nodes stand in order: leaves, racks, rows and pods are blocks of
// consecutive nodes, and so is a replica. An event of a domain picks one block at random and takes each of its
// nodes with probability `blast`, at least one. Leaves out: placements other than packed, domains that cut
// across each other (a power feed under half of each rack).
#pragma once

#include <cstdint>
#include <vector>

#include "failures/hazard.hpp"
#include "sim/random.hpp"

namespace runcast {

// Positions in the job, ascending, not empty. REQUIRES: has_victims(failure).
std::vector<std::int64_t> victims(const FailureClass& failure, const JobScale& scale, RandomStream& random);

// The replicas that run on node `position`: one, or several when nodes hold more than one.
struct ReplicaRange {
  std::int64_t first, last;  // inclusive
};
ReplicaRange replicas_on(std::int64_t position, const JobScale& scale);

// Copies of each node's state in the memory of `copies` nodes, itself among them (GEMINI, SOSP'23).
//   together: node i's group is the block of `copies` nodes that holds it: one switch or rack may hold all
//   apart:    copies stand nodes/copies from each other: no leaf, rack or row holds two of them
// Whole: each of the lost nodes has a copy on a node that was not lost.
bool copies_survive(const std::vector<std::int64_t>& lost, std::int64_t nodes, std::int64_t copies,
                    bool apart);

}  // namespace runcast
