// The layout lever of `advise` by the real search (search_engine): the fastest layout that fits, as the assignments that
// differ from the scenario.
//   quick   tensor within a node, pipeline and micro-batch up to four times larger or smaller, context and experts twice,
//           every schedule with all its chunks; recomputation, sharding, overlaps and the order of the ranks stay, other
//           levers try them
//   full    all that `runcast search` looks at
// Bounded by what is looked at, never by the clock: the same answer everywhere. A scenario that no search can take
// (faults make its ranks unequal) has none.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "scenarios/advise.hpp"

namespace runcast {

// `source` with its own sets is the scenario as it stands; `s` the same, read. Empty when it is the fastest already.
std::vector<Proposal> searched_layouts(const ScenarioSource& source, const Scenario& s, const Library&,
                                       AdviceSearch, const ExperimentOptions&);

}  // namespace runcast
