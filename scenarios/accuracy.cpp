#include "scenarios/accuracy.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace runcast {

namespace {

// Indices of each group, in the order of the group's name.
template <class Case>
std::map<std::string, std::vector<std::size_t>> by_group(std::span<const Case> cases) {
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < cases.size(); ++i) groups[cases[i].group].push_back(i);
  return groups;
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && !(values[order[i]] < values[order[end]])) ++end;
    for (std::size_t k = i; k < end; ++k) rank[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return rank;
}

double mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The one name under which a and b differ, its followers apart; none when they differ in more or in nothing.
std::optional<std::size_t> single_change(const ChangeCase& a, const ChangeCase& b,
                                         const std::function<bool(std::size_t, std::size_t)>& follows) {
  std::vector<std::size_t> differ;
  for (std::size_t i = 0; i < a.values.size(); ++i)
    if (a.values[i] != b.values[i]) differ.push_back(i);
  for (const std::size_t changed : differ) {
    const bool alone = std::all_of(differ.begin(), differ.end(), [&](std::size_t other) {
      return other == changed || follows(changed, other);
    });
    if (alone) return changed;
  }
  return std::nullopt;
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

ErrorSummary summarize(std::span<const double> errors) {
  std::vector<double> size;
  for (const double e : errors) size.push_back(std::abs(e));
  ErrorSummary s;
  s.rows = errors.size();
  s.mape = mean(size);
  s.median = quantile(size, 0.5);
  s.p90 = quantile(size, 0.9);
  s.bias = mean(errors);
  return s;
}

double spearman(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double mx = mean(x), my = mean(y);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mx) * (y[i] - my);
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

Ordering pair_ordering(std::span<const ComparedCase> cases) {
  Ordering out;
  double right = 0, weight = 0, sum = 0;
  for (const auto& [name, members] : by_group(cases)) {
    std::vector<double> measured, predicted;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const ComparedCase& a = cases[members[i]];
      measured.push_back(a.measured);
      predicted.push_back(a.predicted);
      for (std::size_t j = i + 1; j < members.size(); ++j) {
        const ComparedCase& b = cases[members[j]];
        if (!a.config.empty() && a.config == b.config) continue;
        if (std::max(a.measured, b.measured) <= (1 + kApart) * std::min(a.measured, b.measured)) continue;
        ++out.pairs;
        if (a.measured < b.measured ? a.predicted < b.predicted : b.predicted < a.predicted) right += 1;
      }
    }
    if (members.size() < 3) continue;
    const auto n = static_cast<double>(members.size());
    sum += n * spearman(measured, predicted);
    weight += n;
  }
  if (out.pairs > 0) out.share_right = right / static_cast<double>(out.pairs);
  if (weight > 0) out.spearman = sum / weight;
  return out;
}

std::vector<SweepOrder> sweep_orders(std::span<const ComparedCase> cases) {
  std::vector<SweepOrder> out;
  for (const auto& [name, members] : by_group(cases)) {
    std::vector<std::string> configurations;
    std::vector<double> measured, predicted;
    for (const std::size_t i : members) {  // a configuration measured again has no order of its own
      const ComparedCase& c = cases[i];
      if (!c.config.empty() && std::ranges::find(configurations, c.config) != configurations.end()) continue;
      configurations.push_back(c.config);
      measured.push_back(c.measured);
      predicted.push_back(c.predicted);
    }
    if (measured.size() >= kLeastOfSweep) out.push_back({name, measured.size(), spearman(measured, predicted)});
  }
  return out;
}

std::map<std::string, Change> one_change(std::span<const ChangeCase> cases,
                                         std::span<const std::string> names,
                                         const std::function<bool(std::size_t, std::size_t)>& follows) {
  std::map<std::string, Change> out;
  for (const auto& [name, members] : by_group(cases)) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (std::size_t j = i + 1; j < members.size(); ++j) {
        const ChangeCase &a = cases[members[i]], &b = cases[members[j]];
        const std::optional<std::size_t> changed = single_change(a, b, follows);
        if (!changed) continue;
        Change& change = out[names[*changed]];
        // As |log|, so that it does not matter which of the two comes first.
        const double log_ratio = std::log((a.predicted / b.predicted) / (a.measured / b.measured));
        change.mean_error += std::expm1(std::abs(log_ratio));
        ++change.pairs;
      }
    }
  }
  for (auto& [name, change] : out) change.mean_error /= static_cast<double>(change.pairs);
  return out;
}

ErrorSummary remeasurement_floor(std::span<const Measured> rows) {
  std::vector<double> errors;
  for (const auto& [name, members] : by_group(rows)) {
    if (members.size() < 2 || name.empty()) continue;
    std::vector<double> values;
    for (const std::size_t i : members) values.push_back(rows[i].value);
    for (const double value : values) errors.push_back(value / mean(values) - 1);
  }
  return summarize(errors);
}

std::vector<double> anchored_errors(std::span<const ComparedCase> cases) {
  std::vector<double> errors;
  for (const auto& [name, members] : by_group(cases)) {
    for (const std::size_t i : members) {
      std::vector<double> of_case;
      for (const std::size_t anchor : members) {
        if (anchor == i) continue;
        const double scale = cases[anchor].measured / cases[anchor].predicted;
        of_case.push_back(std::abs(cases[i].predicted * scale / cases[i].measured - 1));
      }
      if (!of_case.empty()) errors.push_back(mean(of_case));
    }
  }
  return errors;
}

}  // namespace runcast
