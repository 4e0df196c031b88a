// Predicted against measured steps: each row of a table simulated with the shipped constants, the errors by
// group, and beside them what they must be judged by: naive baselines, the spread of measurements repeated,
// and whether layouts are ordered rightly. The metrics are defined in accuracy.hpp.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "parallelism/training_step.hpp"
#include "scenarios/experiment.hpp"
#include "scenarios/library.hpp"
#include "scenarios/published.hpp"

namespace runcast {

// The text of a CSV with the columns of the library's table, and its name for errors.
struct CasesFile {
  std::string text, name;
};

struct RowPrediction {
  double step_s = 0;
  StepBreakdown breakdown;
  double peak_gib = 0, capacity_gib = 0;
  double range_low = 0, range_high = 0;  // over what the source left open; both 0 when nothing is open
  std::vector<std::string> assumptions;
  double flops = 0;  // of the model in one step, `exact`
  double active_parameters = 0;
  double peak_rate = 0;  // dense, of one GPU in the row's precision, FLOP/s
  std::string skipped;   // why there is no prediction; "" when there is one
};

// Predictions by row, the same bits for any number of threads. `ranges`: also simulate what the source left
// open.
std::vector<RowPrediction> predict_rows(std::span<const PublishedRow> rows, const Library& library,
                                        const ExperimentOptions& options, bool ranges);

// The document of `validate`: the interface's keys, and more beside them. No file: the library's rows.
nlohmann::ordered_json validate_document(const std::optional<CasesFile>& cases, const Library& library,
                                         const ExperimentOptions& options);

}  // namespace runcast
