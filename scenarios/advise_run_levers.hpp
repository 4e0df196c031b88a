// Levers of the run as a whole: saves, recovery and spares, the contract, the place and the hour, the GPUs. Each proposes
// what may be cheaper; simulation decides.
#pragma once

#include <vector>

#include "scenarios/advise.hpp"

namespace runcast {

std::vector<Proposal> checkpoint_lever(const Scenario&, const Library&);
std::vector<Proposal> recovery_lever(const Scenario&, const Library&);
std::vector<Proposal> spares_lever(const Scenario&, const Library&);
std::vector<Proposal> capacity_lever(const Scenario&, const Library&);
std::vector<Proposal> place_lever(const Scenario&, const Library&);
std::vector<Proposal> hardware_lever(const Scenario&, const Library&);

}  // namespace runcast
