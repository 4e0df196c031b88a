// Which kinds of groups of a step meet in the network, and how busy each is: what topology/network needs to let them
// contend (network: flow). A kind is as busy as a step in which it has its links to itself says: the time of its
// collectives over that of the step. Only groups that leave a scale-up domain are listed.
// Leaves out: that contention makes kinds busier than alone; when in the step a kind runs.
#pragma once

#include <vector>

#include "parallelism/layout.hpp"
#include "parallelism/training_step.hpp"
#include "topology/network.hpp"

namespace runcast {

// `alone`: the step without contention between kinds.
std::vector<KindTraffic> kind_traffic(const Network&, const Layout&, const StepResult& alone);

}  // namespace runcast
