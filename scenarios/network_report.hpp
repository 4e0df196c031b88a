// What a scenario's network does: bandwidth and latency between ranks, each collective of the layout with its algorithm,
// time and busiest link, and the bisection. The document of `runcast network`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "scenarios/experiment.hpp"

namespace runcast {

struct NetworkQuestion {
  std::optional<RankId> from, to;  // one pair instead of one for each distance
  std::vector<Scenario>
      neighbours;  // other jobs on the same nodes: on the GPUs that this one leaves free, in order
};

// A collective that leaves its domain has "flows": how much slower its groups are at once than one alone, over which
// link, and "beside" each other kind of group that meets them there.
// {"network": {"fabric", "fidelity", "gpus", "links", "pairs": [...], "collectives": [...], "bisection": {...}}}.
// Throws ConfigError for ranks that are not there, and for neighbours that do not fit beside the job.
nlohmann::ordered_json network_document(Document, const Library&, const ExperimentOptions&,
                                        const NetworkQuestion&);

}  // namespace runcast
