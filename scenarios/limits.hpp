// How large a job may be before it is asked for by name: what is past these sizes takes more than a few seconds or
// 1 GiB, which is more often a slip of the pen than a wish. `limits:` in a scenario, or --set limits.KEY=VALUE, moves
// them; the library's runs are far below. Leaves out: sizes at which arithmetic ends (see the readers of each folder).
#pragma once

#include <cstdint>
#include <string>

#include "scenarios/scenario.hpp"

namespace runcast {

struct Limits {
  std::int64_t microbatches = 20'000;  // of a step; 100,000 at most
  std::int64_t unfolded_slots =
      8'000'000;  // ranks x micro-batches x virtual stages on their own clocks, 200 a rank at least
  std::int64_t fabric_gpus = 131'072;  // known one by one: `network`, placements that are not packed
  std::int64_t flow_gpus = 24'576;     // whose groups run as flows: four seconds for a step on such a cluster
};

// Echoed only where it is given.
Limits read_limits(Section root);

// Why a job is past its limit, with the key that raises it; "" when it is not.
std::string too_many_clocks(const Scenario&, const Limits&);
std::string too_large_fabric(const Scenario&, const Limits&);
std::string too_many_flows(const Scenario&, const Limits&);

}  // namespace runcast
