// A scenario that is opened many times, each time with other values: its text, and the assignments that it always has.
// What studies (search, sweep, compare, sensitivity) ask for: the document of one point is a pure function of the
// source and of the point's assignments.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "scenarios/library.hpp"
#include "scenarios/provenance.hpp"  // IWYU pragma: export
#include "sim/config.hpp"

namespace runcast {

struct ScenarioSource {
  std::string text, name;         // as Document::parse takes them
  std::vector<std::string> sets;  // "layout.tensor=4", in their order

  Document open(std::span<const std::string> more = {}) const;
};

// A path, a library name or published:ID, and what is in it; "-" is the caller's to read. ConfigError as for any
// scenario.
ScenarioSource scenario_source(const std::string& argument, const Library& library);

}  // namespace runcast
