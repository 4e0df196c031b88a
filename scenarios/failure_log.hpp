// Records of past failures as people have them, in CSV; and a failure model of what they say.
//   plain   time, node, cause[, repair]      time: a date, seconds of the epoch or since the record began; repair:
//           "3 h", or a number in a column that names its unit (repair_h, repair (min))
//   LANL    nodenum, Prob Started, Prob Fixed[, Down Time], and one column for each cause, filled where it was it
//           (Los Alamos data of Schroeder and Gibson, DSN 2006)
//   jobs    a row for each job: state or status, and start and end or duration, and node_num or gpu_num
//           (Acme: Hu et al., NSDI 2024; Philly: Jeon et al., ATC 2019). A failed job is a failure when it ends;
//           all jobs are exposure, so that those that ended well or were killed are censored.
// Cells are separated by commas, semicolons or tabs, whichever the header has.
// Dates: 2024-05-01 12:34:56 (T, Z and +02:00 too; without a zone UTC), 2024-05-01, or 05/01/04 12:34. A record begins
// with its first date.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "failures/rate_fit.hpp"
#include "scenarios/csv.hpp"

namespace runcast {

struct LogOptions {
  std::optional<std::int64_t> nodes;  // none: the names that occur (jobs: the largest job)
  std::optional<Seconds> span;        // none: until the last date of the record
  std::int64_t gpus_per_node = 8;     // of job tables that count GPUs
};

struct FailureLog : FailureRecord {
  std::vector<std::string> notes;  // what was assumed or left out
};

// Throws ConfigError with the line for what cannot be read, and when no failure lies in the span.
FailureLog read_failure_log(std::string_view text, const std::string& name, const LogOptions& options);

// A library entry (YAML) of these rates, with counts, intervals and goodness of fit as comments.
std::string failure_model_yaml(const std::string& name, const FailureRecord& record,
                               const std::vector<CauseFit>& fits);

}  // namespace runcast
