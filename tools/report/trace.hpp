// Traces: what each rank of a step does when, and what happens in one trial of a run, in the formats of trace viewers.
//   chrome   Chrome trace events [Trace Event Format, Google 2016], which Perfetto and chrome://tracing open: one
//            process a rank, one thread a stream, flow arrows for messages, counters for memory
//   Slices of one thread nest: those that do not get a further thread of their stream.
// Formatting is fixed (microseconds with three decimals), so that equal steps give equal bytes.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "parallelism/step_timeline.hpp"

namespace runcast {

struct TraceText {
  std::string text;
  std::vector<RankId> shown;     // in the order asked for
  std::vector<RankId> left_out;  // asked for, but beyond the size
};

// `about` becomes otherData. At least one rank is shown, or ConfigError says what to do about the size.
TraceText chrome_trace(const StepTimeline&, const std::vector<RankId>& ranks, double most_bytes,
                       const nlohmann::ordered_json& about);

// One trial of a run: its states, what struck, recoveries and counters. `document` has studies.log.
std::string run_trace(const nlohmann::ordered_json& document);

// "0-15, 17": ranks in increasing order.
std::string rank_list(std::vector<RankId>);
// "rank 17 (pp2 dp1 tp1) node 2".
std::string rank_name(const RankTimeline&, const Layout&);

// The same bytes for the same text: no time, no name [RFC 1952].
std::string gzipped(std::string_view text);

}  // namespace runcast
