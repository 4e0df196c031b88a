#include "scenarios/calibration.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>

#include "scenarios/experiment.hpp"
#include "sim/error.hpp"
#include "sim/threads.hpp"

namespace runcast {

namespace {

using Vector = Eigen::VectorXd;
using Matrix = Eigen::MatrixXd;

constexpr double kTradeOff = 0.9;  // correlation from which a pair is told

// Calls `work(i)` for i < n from several threads; each writes its own place.
template <class Work>
void for_each_index(std::size_t n, int threads, Work work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::atomic<bool> failed{false};
  auto run = [&] {
    for (std::size_t i = next++; i < n && !failed; i = next++) try {
        work(i);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
  };
  auto helpers = helping_threads(threads - 1, [&](int) { run(); });
  run();
  helpers.clear();
  if (error) std::rethrow_exception(error);
}

double step_seconds(const Scenario& s, std::uint64_t seed) {
  return to_seconds(step_of(s, seed, false).time).value;  // only the time is looked at
}

struct Bounds {
  Vector low, high;  // of ln(factor)
};

// Predictions of the rows as a function of ln(factor) of each constant.
class StepModel {
 public:
  StepModel(const std::vector<MeasuredStep>& rows, std::vector<const Constant*> constants,
            const CalibrationOptions& options)
      : rows_(rows), constants_(std::move(constants)), options_(options), concerns_(rows.size()) {
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t k = 0; k < constants_.size(); ++k)
        if (constants_[k]->concerns(rows[i].scenario)) concerns_[i].push_back(k);
  }

  Eigen::Index size() const { return static_cast<Eigen::Index>(constants_.size()); }
  const std::vector<MeasuredStep>& measured() const { return rows_; }
  const std::vector<const Constant*>& constants() const { return constants_; }

  // ln(predicted / measured) of the rows in `use`; the others stay 0.
  Vector residuals(const Vector& theta, const std::vector<char>& use) const {
    Vector u = Vector::Zero(static_cast<Eigen::Index>(rows_.size()));
    for_each_index(rows_.size(), options_.threads, [&](std::size_t i) {
      if (use[i]) u[static_cast<Eigen::Index>(i)] = residual(i, theta);
    });
    return u;
  }

  // Differences point inside: beyond a bound nothing moves.
  Matrix jacobian(const Vector& theta, const Vector& u, const Bounds& bounds,
                  const std::vector<char>& use) const {
    std::vector<std::pair<std::size_t, std::size_t>> cells;
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (use[i])
        for (const std::size_t k : concerns_[i]) cells.emplace_back(i, k);
    Matrix j = Matrix::Zero(u.size(), size());
    for_each_index(cells.size(), options_.threads, [&](std::size_t c) {
      const auto i = static_cast<Eigen::Index>(cells[c].first),
                 k = static_cast<Eigen::Index>(cells[c].second);
      Vector moved = theta;
      const double step = options_.difference, inside = std::abs(step);
      const double difference = theta[k] + step > bounds.high[k]  ? -inside
                                : theta[k] + step < bounds.low[k] ? inside
                                                                  : step;
      moved[k] += difference;
      j(i, k) = (residual(cells[c].first, moved) - u[i]) / difference;
    });
    return j;
  }

 private:
  double residual(std::size_t i, const Vector& theta) const {
    Scenario s = rows_[i].scenario;
    for (const std::size_t k : concerns_[i])
      constants_[k]->scale(s, std::exp(theta[static_cast<Eigen::Index>(k)]));
    const double seconds = rows_[i].predict ? rows_[i].predict(s).value : step_seconds(s, options_.seed);
    return std::log(seconds / rows_[i].measured.value);
  }

  const std::vector<MeasuredStep>& rows_;
  std::vector<const Constant*> constants_;
  const CalibrationOptions& options_;
  std::vector<std::vector<std::size_t>> concerns_;  // [row]: constants that it shares
};

// From the starting value of the first row that shares the constant.
Bounds bounds_of(const StepModel& model) {
  Bounds b{Vector::Zero(model.size()), Vector::Zero(model.size())};
  for (Eigen::Index k = 0; k < model.size(); ++k) {
    const Constant& c = *model.constants()[static_cast<std::size_t>(k)];
    for (const MeasuredStep& row : model.measured()) {
      if (!c.concerns(row.scenario)) continue;
      const double start = c.value(row.scenario);
      if (start <= 0) break;  // no factor moves it
      b.low[k] = std::min(0.0, std::log(c.low / start));
      b.high[k] = std::max(0.0, std::log(c.high / start));
      break;
    }
  }
  return b;
}

// One fit: the cost, its quadratic model and the damped steps down.
class Fit {
 public:
  Fit(const StepModel& model, const CalibrationOptions& options, std::vector<char> use)
      : model_(model),
        options_(options),
        use_(std::move(use)),
        bounds_(bounds_of(model)),
        prior_(Vector::Zero(model.size())) {
    for (Eigen::Index k = 0; k < model.size(); ++k) {
      const double sd = model.constants()[static_cast<std::size_t>(k)]->prior;
      prior_[k] = 1 / (sd * sd);
    }
  }

  void run() {
    theta = Vector::Zero(model_.size());
    u = model_.residuals(theta, use_);
    costs.push_back(cost(theta, u));
    jacobian = model_.jacobian(theta, u, bounds_, use_);
    descend();
  }

  // From the end of another fit of the same model over more rows: its derivatives serve the first step.
  void run_from(const Fit& other) {
    theta = other.theta;
    u = other.u;
    jacobian = other.jacobian;
    costs.push_back(cost(theta, u));
    descend();
  }

  // Curvature of the cost: J' W J and the prior.
  Matrix data_curvature() const {
    const Vector w = row_weights();
    return jacobian.transpose() * w.asDiagonal() * jacobian;
  }
  const Vector& prior_curvature() const { return prior_; }
  bool at_bound(Eigen::Index k) const { return theta[k] <= bounds_.low[k] || theta[k] >= bounds_.high[k]; }

  // Spread that is left, against the assumed: 1 when the rows scatter as expected.
  double excess() const {
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < use_.size(); ++i) {
      if (!use_[i]) continue;
      const double w = model_.measured()[i].weight;
      sum += w * w * loss(u[static_cast<Eigen::Index>(i)]) / (options_.noise * options_.noise);
      count += w * w;
    }
    return count > 0 ? sum / std::max(1.0, count - told_parameters()) : 1;
  }

  Vector theta, u;
  Matrix jacobian;
  std::vector<double> costs;

 private:
  void descend() {
    double damping = 1e-3;
    for (int i = 0; i < options_.iterations; ++i) {
      if (options_.progress) options_.progress(i, options_.iterations);
      if (i > 0) jacobian = model_.jacobian(theta, u, bounds_, use_);
      if (!improve(damping)) break;
      const double last = costs[costs.size() - 2], now = costs.back();
      if (last - now < 2e-4 * last) break;
    }
    if (options_.progress) options_.progress(options_.iterations, options_.iterations);
  }

  // Pseudo-Huber: u^2 for small residuals, linear for large ones.
  double loss(double r) const {
    const double c = options_.loss_width;
    return 2 * c * c * (std::sqrt(1 + r * r / (c * c)) - 1);
  }

  // Weight of each row in the least squares that has the loss's slope at this residual.
  Vector row_weights() const {
    Vector w = Vector::Zero(u.size());
    for (Eigen::Index i = 0; i < u.size(); ++i) {
      const auto row = static_cast<std::size_t>(i);
      if (!use_[row]) continue;
      const double weight = model_.measured()[row].weight / options_.noise, x = u[i] / options_.loss_width;
      w[i] = weight * weight / std::sqrt(1 + x * x);
    }
    return w;
  }

  double cost(const Vector& at, const Vector& residuals) const {
    double sum = 0;
    for (std::size_t i = 0; i < use_.size(); ++i) {
      const double w = model_.measured()[i].weight / options_.noise;
      if (use_[i]) sum += w * w * loss(residuals[static_cast<Eigen::Index>(i)]);
    }
    return sum + at.cwiseProduct(at).dot(prior_);
  }

  double told_parameters() const {
    const Matrix data = data_curvature();
    double sum = 0;
    for (Eigen::Index k = 0; k < prior_.size(); ++k) sum += data(k, k) / (data(k, k) + prior_[k]);
    return sum;
  }

  // Tries smaller and smaller steps from the quadratic model until one lowers the cost; false when none does.
  bool improve(double& damping) {
    const Vector w = row_weights();
    const Matrix a = data_curvature() + Matrix(prior_.asDiagonal());
    const Vector gradient = jacobian.transpose() * w.cwiseProduct(u) + prior_.cwiseProduct(theta);
    for (int attempt = 0; attempt < 8; ++attempt, damping *= 6) {
      const Vector next = step_from(a, gradient, damping);
      const Vector residuals = model_.residuals(next, use_);
      const double now = cost(next, residuals);
      if (now >= costs.back()) continue;
      theta = next;
      u = residuals;
      costs.push_back(now);
      damping = std::max(damping / 5, 1e-7);
      return true;
    }
    return false;
  }

  // The damped step, with constants that press against a bound held there.
  Vector step_from(const Matrix& a, const Vector& gradient, double damping) const {
    Matrix m = a;
    Vector g = gradient;
    m.diagonal() += damping * a.diagonal();
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      const bool held = (theta[k] <= bounds_.low[k] && g[k] > 0) || (theta[k] >= bounds_.high[k] && g[k] < 0);
      if (!held) continue;
      m.row(k).setZero();
      m.col(k).setZero();
      m(k, k) = 1;
      g[k] = 0;
    }
    const Vector next = theta - m.ldlt().solve(g);
    return next.cwiseMax(bounds_.low).cwiseMin(bounds_.high);
  }

  const StepModel& model_;
  const CalibrationOptions& options_;
  std::vector<char> use_;
  Bounds bounds_;
  Vector prior_;
};

// Constants that the rows move with: the others would only repeat their starting values.
std::vector<const Constant*> concerned(const std::vector<MeasuredStep>& rows,
                                       const std::vector<const Constant*>& constants) {
  std::vector<const Constant*> kept;
  for (const Constant* c : constants)
    if (std::any_of(rows.begin(), rows.end(), [&](const MeasuredStep& r) { return c->concerns(r.scenario); }))
      kept.push_back(c);
  return kept;
}

FittedConstant describe(const StepModel& model, const Fit& fit, const Matrix& covariance, Eigen::Index k) {
  FittedConstant f;
  f.constant = model.constants()[static_cast<std::size_t>(k)];
  f.factor = std::exp(fit.theta[k]);
  for (const MeasuredStep& row : model.measured()) {
    if (!f.constant->concerns(row.scenario)) continue;
    Scenario moved = row.scenario;
    f.start = f.constant->value(row.scenario);
    f.constant->scale(moved, f.factor);
    f.value = f.constant->value(moved);
    break;
  }
  const double sd = std::sqrt(covariance(k, k));
  f.interval = {std::max(f.value * std::exp(-1.96 * sd), std::min(f.constant->low, f.value)),
                std::min(f.value * std::exp(1.96 * sd), std::max(f.constant->high, f.value))};
  f.at_bound = fit.at_bound(k);
  f.told = std::clamp(1 - covariance(k, k) * fit.prior_curvature()[k], 0.0, 1.0);
  for (Eigen::Index i = 0; i < fit.jacobian.rows(); ++i) f.rows += fit.jacobian(i, k) != 0;
  return f;
}

std::vector<TradeOff> trade_offs(const Matrix& covariance) {
  std::vector<TradeOff> pairs;
  for (Eigen::Index a = 0; a < covariance.rows(); ++a)
    for (Eigen::Index b = a + 1; b < covariance.rows(); ++b) {
      const double r = covariance(a, b) / std::sqrt(covariance(a, a) * covariance(b, b));
      if (std::abs(r) > kTradeOff)
        pairs.push_back({static_cast<std::size_t>(a), static_cast<std::size_t>(b), r});
    }
  std::stable_sort(pairs.begin(), pairs.end(), [](const TradeOff& x, const TradeOff& y) {
    return std::abs(x.correlation) > std::abs(y.correlation);
  });
  return pairs;
}

std::vector<double> predicted(const std::vector<MeasuredStep>& rows, const Vector& u) {
  std::vector<double> seconds(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    seconds[i] = rows[i].measured.value * std::exp(u[static_cast<Eigen::Index>(i)]);
  return seconds;
}

// Predicted seconds of each row by a fit over the other folds. Families, sorted by name, go to the folds in
// turn, so that the deal depends on names alone.
std::vector<double> cross_validate(const StepModel& model, const Fit& whole,
                                   const CalibrationOptions& options) {
  const std::vector<MeasuredStep>& rows = model.measured();
  std::map<std::string, int> fold;
  for (const MeasuredStep& row : rows) fold.emplace(row.family, 0);
  int turn = 0;
  for (auto& [family, number] : fold) number = turn++ % options.folds;
  std::vector<double> seconds(rows.size(), 0);
  for (int f = 0; f < options.folds; ++f) {
    std::vector<char> use(rows.size()), left_out(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      left_out[i] = fold.at(rows[i].family) == f;
      use[i] = !left_out[i];
    }
    Fit fit(model, options, use);
    fit.run_from(whole);
    const std::vector<double> unseen = predicted(rows, model.residuals(fit.theta, left_out));
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (left_out[i]) seconds[i] = unseen[i];
  }
  return seconds;
}

}  // namespace

Calibration calibrate(const std::vector<MeasuredStep>& rows, const std::vector<const Constant*>& constants,
                      const CalibrationOptions& options) {
  INVARIANT(options.folds == 0 || options.folds >= 2);
  const StepModel model(rows, concerned(rows, constants), options);
  const std::vector<char> all(rows.size(), 1);
  Calibration result;
  result.before = predicted(rows, model.residuals(Vector::Zero(model.size()), all));
  Fit fit(model, options, all);
  fit.run();
  result.after = predicted(rows, fit.u);
  result.steps = fit.costs;
  // Rows that scatter more than assumed widen the intervals; the prior keeps its own width.
  const Matrix curvature =
      fit.data_curvature() / std::max(1.0, fit.excess()) + Matrix(fit.prior_curvature().asDiagonal());
  const Matrix covariance = curvature.ldlt().solve(Matrix::Identity(model.size(), model.size()));
  for (Eigen::Index k = 0; k < model.size(); ++k)
    result.constants.push_back(describe(model, fit, covariance, k));
  result.trade_offs = trade_offs(covariance);
  if (options.folds > 0) result.unseen = cross_validate(model, fit, options);
  return result;
}

}  // namespace runcast
