// Measured times of collectives (library/published/collectives.csv, each row with its source) as curves for the
// hardware entries they were measured on. A row counts where its column `node` names an entry of hardware/nodes; rows of
// one entry, collective, rank and node count are one curve. Leaves out: rows without a time, exchanges of experts.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "scenarios/library.hpp"
#include "topology/hardware.hpp"

namespace runcast {

// "all_reduce", "all_gather", "reduce_scatter", "alltoall", "broadcast", "sendrecv"; nothing for another word.
std::optional<Collective> collective_of(std::string_view word);

// A node of the library, with its GPU. Throws ConfigError at `where` for an unknown name.
NodeSpec library_node(const std::string& name, const Library&, std::string_view where);

// The curves of all entries whose GPUs are of `architecture`; in the order of the table. Throws ConfigError for a
// table that cannot be read.
std::vector<MeasuredCurve> collective_curves(const Library&, std::string_view architecture);

}  // namespace runcast
