// `calibrate`: measured rows become scenarios, the constants are fitted and cross-validated, and what came
// out is told as a document and as library entries: the original text with the fitted values in it, each with
// its interval.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "scenarios/calibration.hpp"
#include "scenarios/experiment.hpp"
#include "scenarios/library.hpp"
#include "scenarios/published.hpp"

namespace runcast {

struct CalibrationRequest {
  std::vector<std::string> constants;  // names or families of calibration_constants; empty: the usual ones
  std::string kind = "all";            // dense | moe | all
  std::vector<std::string> hardware;   // GPUs by library name or by the table's column; empty: all
  int folds = 5;                       // of the cross-validation; 0: none
  int iterations = 12;
  std::string origin =
      "published steps";  // what was fitted on, for the comments of the entries: with the year
};

struct CalibrationStudy {
  std::unique_ptr<nlohmann::ordered_json>
      document;                       // keys: rows (constants), errors, trade_offs, steps, skipped
  std::vector<LibraryEntry> entries;  // that changed, with their new text
  CalibrationStudy();
  ~CalibrationStudy();
  CalibrationStudy(CalibrationStudy&&) noexcept;
};

// Throws ConfigError when no row is left, or for an unknown constant, kind or GPU.
CalibrationStudy calibration_study(const PublishedTable& table, const Library& library,
                                   const CalibrationRequest& request, const ExperimentOptions& options);

// One's own measured step: what `step` predicts for the scenario, and what the cluster took.
struct OwnStep {
  std::string name;
  Scenario scenario;
  Seconds measured;
};
// Few steps of one's own cluster move the constants as far as their priors let them: neighbours of those steps
// (other layouts, batches, GPU counts) are then predicted with what the cluster told. No cross-validation.
CalibrationStudy anchor_study(const std::vector<OwnStep>& own, const Library& library,
                              const CalibrationRequest& request, const ExperimentOptions& options);

// Measured kernels or collectives (each row has its `predict`) and the constants of the entry that they are about.
CalibrationStudy benchmark_study(const std::vector<MeasuredStep>& measured,
                                 const std::vector<Constant>& constants, const Library& library,
                                 const CalibrationRequest& request, const ExperimentOptions& options);

// The entries that share a fitted constant, with its factor on their values: in their own units, four digits,
// and the origin in the line's comment. `used`: "FOLDER/NAME" of entries that a measured step has; the others
// are told as following their family. A key that an entry leaves to its default is added when the default
// moves.
std::vector<LibraryEntry> calibrated_entries(const Library& library,
                                             const std::vector<FittedConstant>& constants,
                                             const std::vector<std::string>& used,
                                             const std::string& fitted_on);

}  // namespace runcast
