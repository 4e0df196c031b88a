// step.unfolded of a result: who waited for whom in a step with every rank on its own clock.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "parallelism/layout.hpp"
#include "parallelism/unfolded_step.hpp"

namespace runcast {

// Of the critical path's stays at one rank the longest are listed, in time order.
nlohmann::ordered_json unfolded_json(const Layout&, const UnfoldedResult&);

}  // namespace runcast
