// From the command line to the inputs of scenarios/: which scenario, which values, which seed, how many
// threads.
#pragma once

#include <limits>

#include "scenarios/csv.hpp"  // IWYU pragma: export (read_text)
#include "scenarios/documents.hpp"
#include "scenarios/scenario_source.hpp"
#include "sim/config.hpp"
#include "tools/commands/command.hpp"
#include "tools/report/progress.hpp"

namespace runcast {

// A library name, published:ID, a path, or "-"; with every --set, to be opened as often as wanted, or once.
ScenarioSource source_of(const std::string& argument, const Invocation& invocation);
Document open_scenario(const std::string& argument, const Invocation& invocation);
// Its progress calls `progress`, which must outlive it.
ExperimentOptions experiment_options(const Invocation& invocation, Progress& progress);
// What `question` says of the scenario that stands first on the command line.
nlohmann::ordered_json simulated(const Invocation&, const ExperimentOptions&, std::string_view question);
// An answer on its usual screen; no when it does not fit or no trial finishes.
Answer judged(nlohmann::ordered_json document, const Style& style);
// A whole number from `least` to `most` for an option; ConfigError otherwise.
std::int64_t whole_number(const std::string& text, std::string_view option, std::int64_t least,
                          std::int64_t most = std::numeric_limits<std::int64_t>::max());

}  // namespace runcast
