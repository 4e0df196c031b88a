// The fits with their constants; formulas as in the header.
#include "parallelism/scaling_law.hpp"

#include <array>
#include <cmath>

namespace runcast {

namespace {

// ---- Chinchilla -----------------------------------------------------------------------------------------

struct Parametric {
  double irreducible, a, b, alpha, beta;
};
constexpr Parametric kHoffmann = {1.69, 406.4, 410.7, 0.34, 0.28};  // Hoffmann et al. 2022, eq. 10
constexpr Parametric kBesiroglu = {1.8172, 482.01, 2085.43, 0.3478,
                                   0.3658};  // Besiroglu et al. 2024, table 1

template <const Parametric& p>
double parametric_loss(Allocation x) {
  return p.irreducible + p.a * std::pow(x.parameters, -p.alpha) + p.b * std::pow(x.tokens, -p.beta);
}

template <const Parametric& p>
Allocation parametric_optimum(Flops c) {
  const double sum = p.alpha + p.beta, pairs = c.value / 6;
  const double g = std::pow(p.alpha * p.a / (p.beta * p.b), 1 / sum);
  return {g * std::pow(pairs, p.beta / sum), std::pow(pairs, p.alpha / sum) / g};
}

// ---- Kaplan ---------------------------------------------------------------------------------------------

constexpr double kAlphaN = 0.076, kAlphaD = 0.095, kParametersC = 8.8e13,
                 kTokensC = 5.4e13;         // Kaplan, eq. 1.5
constexpr double kOptimalExponent = 0.73;   // Kaplan et al. 2020, table 6: N_opt over compute
constexpr double kPaperParameters = 1.3e9;  // same: N_e, at one PF-day
constexpr double kPfDay = kPeta * kDay;     // FLOPs
constexpr double kReferenceCompute = 1e23;  // the calculators' normalization:
constexpr double kReferenceParameters =
    75.906e9;  // N_opt there (D 219.57e9); assumption: no source beyond their use

double kaplan_loss(Allocation x) {
  return std::pow(std::pow(kParametersC / x.parameters, kAlphaN / kAlphaD) + kTokensC / x.tokens, kAlphaD);
}

Allocation with_parameters(Flops c, double parameters) { return {parameters, c.value / (6 * parameters)}; }

Allocation kaplan_optimum(Flops c) {
  return with_parameters(c, kReferenceParameters * std::pow(c.value / kReferenceCompute, kOptimalExponent));
}
Allocation kaplan_paper_optimum(Flops c) {
  return with_parameters(c, kPaperParameters * std::pow(c.value / kPfDay, kOptimalExponent));
}

constexpr double kCriticalBatch = 2.1e8,
                 kCriticalExponent = 0.21;  // B* and alpha_B, Kaplan et al. 2020, eq. 5.3

constexpr std::array<ScalingLaw, 4> kLaws = {{
    {"chinchilla", "Hoffmann et al. 2022, parametric fit: N and D grow nearly alike",
     parametric_loss<kHoffmann>, parametric_optimum<kHoffmann>},
    {"besiroglu", "Besiroglu et al. 2024: the same form, the fit to the same runs corrected",
     parametric_loss<kBesiroglu>, parametric_optimum<kBesiroglu>},
    {"kaplan", "Kaplan et al. 2020, normalized to 75.91B parameters at 1e23 FLOPs", kaplan_loss,
     kaplan_optimum},
    {"kaplan-paper", "Kaplan et al. 2020 as printed: 1.3e9 parameters x PF-days^0.73, without embeddings",
     kaplan_loss, kaplan_paper_optimum},
}};

// x in [low, high] where `reached` turns true, by halving its logarithm; monotone. 200 halvings end at neighbours.
template <class Reached>
std::optional<double> first_reached(double low, double high, Reached reached) {
  if (!reached(high)) return std::nullopt;
  if (reached(low)) return low;
  for (int i = 0; i < 200; ++i) {
    const double middle = std::sqrt(low) * std::sqrt(high);
    if (middle <= low || middle >= high) break;
    (reached(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace

std::span<const ScalingLaw> scaling_laws() { return kLaws; }

const ScalingLaw* find_scaling_law(std::string_view name) {
  for (const ScalingLaw& law : kLaws)
    if (law.name == name) return &law;
  return nullptr;
}

Flops training_compute(Allocation x) { return Flops(6 * x.parameters * x.tokens); }

std::optional<Flops> compute_for_loss(const ScalingLaw& law, double loss) {
  const auto found =
      first_reached(1, 1e40, [&](double c) { return law.loss(law.optimum(Flops(c))) <= loss; });
  return found ? std::optional<Flops>(Flops(*found)) : std::nullopt;
}

std::optional<double> tokens_for_loss(const ScalingLaw& law, double parameters, double loss) {
  return first_reached(1, 1e40, [&](double tokens) { return law.loss({parameters, tokens}) <= loss; });
}

double batch_efficiency(double batch, double critical) {
  INVARIANT(batch > 0 && critical > 0);
  return batch < critical ? batch / (batch + critical) : 1 - critical / (2 * batch);
}

double sample_efficiency(double batch, double critical) {
  INVARIANT(batch > 0 && critical > 0);
  return 1 / (1 + batch / critical);
}

double critical_batch(double loss) {
  INVARIANT(loss > 0);
  return kCriticalBatch / std::pow(loss, 1 / kCriticalExponent);
}

}  // namespace runcast
