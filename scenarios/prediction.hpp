// How far a predicted step may be from the real one: the interval that the errors of like measured steps give, each
// predicted by a fit that had not seen its family (cross-validation; library/published/residuals.csv).
//   real time lies between predicted / (1 + q90) and predicted / (1 + q10), q = quantiles of predicted/measured - 1
// Like: the same kind of model (dense or experts) and, as far as at least kLeastRows rows stay, the same GPU, number
// format and software. Leaves out: a cluster that is misconfigured or slow; that is what `calibrate --step` is for.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "scenarios/library.hpp"
#include "scenarios/scenario.hpp"

namespace runcast {

struct Residual {
  std::string gpu, precision, software;
  bool experts = false;
  double gpus = 0;
  double error = 0;  // predicted/measured - 1, the row's family left out of the fit
};

inline constexpr std::size_t kLeastRows = 8;
inline constexpr double kIntervalLevel = 0.8;

struct PredictionInterval {
  double low = 1, high = 1;  // factors on a predicted time
  std::size_t rows = 0;      // measured steps behind it; 0 = the library has none
  std::string like;          // what they share with the scenario, in words
  std::string warning;       // why the scenario is far from all measured ones; empty when it is not
};

std::vector<Residual> read_residuals(const Library& library);
std::string residuals_csv(std::span<const Residual> residuals);  // the text of the library's file
PredictionInterval prediction_interval(const Scenario& scenario, std::span<const Residual> residuals);

}  // namespace runcast
