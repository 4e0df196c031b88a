// The few efficiency constants of the library, fitted to measured steps.
//   minimise  sum_i w_i^2 rho(ln(predicted_i / measured_i)) / s^2  +  sum_k (ln(value_k / start_k) /
//   prior_k)^2
// by Levenberg and Marquardt over ln(value), with rho the pseudo-Huber loss (Charbonnier et al. 1997),
// derivatives by forward differences of whole simulated steps, and w_i smaller for rows of lower quality and
// for the n re-measurements of one configuration (1 / sqrt(n) each). Cross-validation leaves whole families
// of layouts out. The same bits for any number of threads. Leaves out: what the fixed forms of the kernels
// cannot express.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/calibration_constants.hpp"
#include "scenarios/scenario.hpp"
#include "sim/statistics.hpp"

namespace runcast {

struct MeasuredStep {
  std::string id;
  std::string family;  // a layout across GPU counts and releases: never split by cross-validation
  Scenario scenario;
  Seconds measured;
  double weight = 1;  // of its residual
  // What is predicted for the scenario, where a kernel or a collective was measured; empty: its simulated step.
  std::function<Seconds(const Scenario&)> predict = {};
};

struct CalibrationOptions {
  std::uint64_t seed = 1;
  int threads = 1;
  int folds = 0;             // of the cross-validation, at least 2; 0: none
  int iterations = 12;       // at most
  double noise = 0.04;       // s: spread of ln(predicted / measured) that is nobody's fault
  double difference = 2e-3;  // in ln(value), of the derivatives: far above the clock's rounding
  double loss_width = 0.08;  // |ln(predicted / measured)| beyond which a row's pull grows no more
  std::function<void(std::int64_t done, std::int64_t total)> progress;  // iterations; may be empty
};

struct FittedConstant {
  const Constant* constant = nullptr;
  double factor = 1;            // on the starting value of every entry that shares it
  double start = 0, value = 0;  // of the first entry that a measured step uses, SI units
  Interval interval;            // 95 %, from the curvature of the fit at its end and the spread that is left
  bool at_bound = false;
  double told = 0;  // share of the prior's variance that the measurements took away: 0 = they say nothing
  std::size_t rows = 0;  // measured steps that move with it
};

// Two constants that the measurements cannot tell apart: one can make up for the other.
struct TradeOff {
  std::size_t first = 0, second = 0;  // of Calibration::constants
  double correlation = 0;
};

struct Calibration {
  std::vector<FittedConstant> constants;  // those that a measured step moves with, in the order asked for
  std::vector<TradeOff> trade_offs;       // |correlation| > 0.9, strongest first
  std::vector<double> before, after;      // predicted seconds of each row
  std::vector<double> unseen;             // likewise, by a fit without the row's family; empty without folds
  std::vector<double> steps;              // cost after each accepted iteration, from the start
};

Calibration calibrate(const std::vector<MeasuredStep>& rows, const std::vector<const Constant*>& constants,
                      const CalibrationOptions& options);

}  // namespace runcast
