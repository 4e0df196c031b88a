// The report of --report: one HTML file with D3, style and scripts inside (tools/report/html, embedded at build time)
// and the result's JSON as data. Nothing is loaded when it is viewed; a content policy in the page forbids it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "parallelism/step_timeline.hpp"

namespace runcast {

// What the charts over time draw: {kinds, ranks: [{name, short, end, slices, memory}], note}; times in us, of
// `memory` in s. Ranks beyond what a page holds are left out, which the note says.
nlohmann::ordered_json timeline_json(const StepTimeline&);

// `document` is a command's result, with `timeline` where there is one.
std::string html_report(const nlohmann::ordered_json& document);

}  // namespace runcast
