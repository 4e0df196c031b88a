// How good predictions are, as numbers. e = predicted / measured - 1.
//   mape = mean |e|, median = median |e|, p90 = 90th percentile of |e| (linear between ranks), bias = mean e
//   pair ordering: of two layouts of one model on one machine, whether the one that is measured faster is
//   predicted faster; only pairs whose measured cost differs by more than 3 % one-change ratio: of two rows
//   that differ in one thing, (p1/p2) / (m1/m2) - 1: what-ifs live on it floor: rows of one configuration
//   measured again, against their own mean: |m / mean - 1|
// Leaves out: weights by quality, confidence intervals.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace runcast {

struct ErrorSummary {
  std::size_t rows = 0;
  double mape = 0, median = 0, p90 = 0, bias = 0;  // 0 when there are no rows
};
ErrorSummary summarize(std::span<const double> errors);

// The q-quantile (0..1) of the values, linear between ranks; 0 of none.
double quantile(std::vector<double> values, double q);
// Rank correlation; ties share the mean of their ranks. 0 when one side is constant.
double spearman(std::span<const double> a, std::span<const double> b);

// One prediction beside its measurement. `group` compares with `group` only.
struct ComparedCase {
  std::string group;
  double measured = 0, predicted = 0;  // cost: GPU-seconds per token, so that batches and GPU counts compare
  std::string config = {};  // equal and not empty: one configuration measured twice, which has no order
};

struct Ordering {
  std::size_t pairs = 0;   // more than 3 % apart
  double share_right = 0;  // of the pairs
  double spearman = 0;     // mean over groups of 3 or more cases, weighted by cases
};
// A sweep: one group of at least `least` cases of different configurations, and the rank correlation in it.
struct SweepOrder {
  std::string group;
  std::size_t cases = 0;
  double spearman = 0;
};
inline constexpr std::size_t kLeastOfSweep = 4;
inline constexpr double kApart = 0.03;
Ordering pair_ordering(std::span<const ComparedCase> cases);
std::vector<SweepOrder> sweep_orders(std::span<const ComparedCase> cases);  // by name of the group

// What a case was: values by the name of what can be changed. Two cases with values that differ under one
// name only (or under one name and its followers, see validation.cpp) are a change.
struct ChangeCase {
  std::string group;
  std::vector<std::string> values;  // by name
  double measured = 0, predicted = 0;
};
struct Change {
  std::size_t pairs = 0;
  double mean_error = 0;  // mean |ratio error|
};
// `names[i]` names values[i]; `follows(changed, other)`: a difference in `other` belongs to the change in
// `changed`.
std::map<std::string, Change> one_change(
    std::span<const ChangeCase> cases, std::span<const std::string> names,
    const std::function<bool(std::size_t changed, std::size_t other)>& follows);

// Mean |m / mean of its group - 1| and the like, over groups of 2 or more.
struct Measured {
  std::string group;
  double value = 0;
};
ErrorSummary remeasurement_floor(std::span<const Measured> rows);

// Each case predicted by simulation x (measured / simulated) of another of its group: the mean error that is
// left over all anchors, one value per case that has one.
std::vector<double> anchored_errors(std::span<const ComparedCase> cases);

}  // namespace runcast
