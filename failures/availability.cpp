// Poisson and binomial sums, and steady states of Markov chains; see the header.
#include "failures/availability.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace runcast {

// Terms by logarithms, so that means of thousands do not underflow.
double poisson_at_most(double mean, std::int64_t k) {
  if (mean == 0) return 1;
  double sum = 0, log_term = -mean;
  for (std::int64_t i = 0; i <= k; ++i) {
    if (i > 0) log_term += std::log(mean / static_cast<double>(i));
    sum += std::exp(log_term);
  }
  return std::min(sum, 1.0);
}

std::int64_t poisson_quantile(double mean, double probability) {
  INVARIANT(mean >= 0 && probability >= 0 && probability < 1);
  double log_term = -mean, sum = std::exp(log_term);
  std::int64_t k = 0;
  const auto far = static_cast<std::int64_t>(mean + 40 * std::sqrt(mean) + 40);  // beyond any double's tail
  while (sum < probability && k < far) {
    ++k;
    log_term += std::log(mean / static_cast<double>(k));
    sum += std::exp(log_term);
  }
  return k;
}

double binomial_at_least(std::int64_t n, std::int64_t k, double probability) {
  INVARIANT(probability > 0 && probability < 1);
  double sum = 0;
  for (std::int64_t i = k; i <= n; ++i) {
    const auto a = static_cast<double>(i), b = static_cast<double>(n - i);
    sum += std::exp(std::lgamma(static_cast<double>(n) + 1) - std::lgamma(a + 1) - std::lgamma(b + 1) +
                    a * std::log(probability) + b * std::log1p(-probability));
  }
  return std::min(sum, 1.0);
}

FailureModel repaired_by(const RepairShop& shop, FailureModel model) {
  if (!shop.staged) return model;
  const Seconds mean = shop.automatic + shop.manual * shop.manual_share + shop.burn_in * (1 - shop.retire) +
                       shop.replacement * shop.retire;
  for (FailureClass& failure : model.classes)
    if (failure.action == Action::swap && !failure.own_repair) failure.repair = mean;
  return model;
}

std::int64_t recommended_spares(const FailureModel& failures, const JobScale& scale, double confidence) {
  const double out = swap_rate(failures, scale) * mean_repair(failures, scale);
  return std::max<std::int64_t>(2, poisson_quantile(out, confidence));
}

std::vector<double> steady_state(const std::vector<std::vector<double>>& rates) {
  const auto n = static_cast<Eigen::Index>(rates.size());
  INVARIANT(n > 0);
  Eigen::MatrixXd a = Eigen::MatrixXd::Zero(n, n);  // the transpose of Q, its last row replaced by sum pi = 1
  for (Eigen::Index i = 0; i < n; ++i) {
    const std::vector<double>& row = rates[static_cast<std::size_t>(i)];
    INVARIANT(static_cast<Eigen::Index>(row.size()) == n);
    for (Eigen::Index j = 0; j < n; ++j) {
      if (i == j) continue;
      a(j, i) += row[static_cast<std::size_t>(j)];
      a(i, i) -= row[static_cast<std::size_t>(j)];
    }
  }
  a.row(n - 1).setOnes();
  Eigen::VectorXd b = Eigen::VectorXd::Zero(n);
  b(n - 1) = 1;
  const Eigen::VectorXd pi = a.fullPivLu().solve(b);
  return {pi.data(), pi.data() + n};
}

std::vector<double> birth_death(const std::vector<double>& births, const std::vector<double>& deaths) {
  INVARIANT(births.size() == deaths.size());
  std::vector<double> pi{1};
  double sum = 1;
  for (std::size_t i = 0; i < births.size(); ++i) {
    pi.push_back(pi.back() * births[i] / deaths[i]);
    sum += pi.back();
  }
  for (double& p : pi) p /= sum;
  return pi;
}

SpareAvailability spare_availability(std::int64_t nodes, EventRate per_node, Seconds repair,
                                     std::int64_t spares, std::int64_t crews) {
  INVARIANT(spares >= 0 && crews >= 1 && repair.value > 0);
  const auto states = static_cast<std::size_t>(spares) + 2;
  std::vector<std::vector<double>> rates(states, std::vector<double>(states, 0));
  for (std::size_t out = 0; out + 1 < states; ++out) {
    rates[out][out + 1] = static_cast<double>(nodes) * per_node.value;
    const auto busy = std::min(static_cast<std::int64_t>(out) + 1, crews);
    rates[out + 1][out] = static_cast<double>(busy) / repair.value;
  }
  const std::vector<double> pi = steady_state(rates);
  SpareAvailability result;
  result.waiting = pi.back();
  for (std::size_t out = 0; out < states; ++out) result.mean_in_repair += static_cast<double>(out) * pi[out];
  return result;
}

}  // namespace runcast
