// How the loss of a language model falls with its parameters N and training tokens D, and how a compute budget
// C = 6 N D is best divided between the two. Each fit is a row of scaling_laws().
//   chinchilla, besiroglu  L = E + A N^-alpha + B D^-beta           [Hoffmann et al. 2022, eq. 2 and 10]
//     least L on C = 6 N D: N = G (C/6)^(beta/(alpha+beta)), D = (C/6)/N,
//                           G = (alpha A / beta B)^(1/(alpha+beta))  [same, eq. 4]
//   kaplan, kaplan-paper   L = [(Nc/N)^(aN/aD) + Dc/D]^aD            [Kaplan et al. 2020, eq. 1.5]
//     N = k C^0.73, an own fit of the paper that does not minimize L on C = 6 N D; D = C / (6 N)
// Loss in nats a token of each paper's own data and tokenizer: figures of two laws do not compare.
// Leaves out: experts, data quality, repeated data, inference in the budget.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "sim/units.hpp"

namespace runcast {

struct Allocation {
  double parameters = 0, tokens = 0;
};

struct ScalingLaw {
  std::string_view name, sentence;
  double (*loss)(Allocation);
  Allocation (*optimum)(Flops);
};
std::span<const ScalingLaw> scaling_laws();
const ScalingLaw* find_scaling_law(std::string_view name);  // nullptr when there is none

// C = 6 N D.
Flops training_compute(Allocation);

// The least compute whose optimum reaches `loss`; none when no compute between 1 and 1e40 FLOPs does.
std::optional<Flops> compute_for_loss(const ScalingLaw&, double loss);
// The tokens after which a model of N parameters reaches `loss`; none when it never does.
std::optional<double> tokens_for_loss(const ScalingLaw&, double parameters, double loss);

// Progress of a step of `batch` tokens against the greatest that a step can make, B_crit the critical batch:
//   B < B_crit   B / (B + B_crit)     [McCandlish et al. 2018, eq. 2.6 and sec. 2.2: the noise scale]
//   B >= B_crit  1 - B_crit / (2 B)   (meets the other at one half; an approximation of large batches)
double batch_efficiency(double batch, double critical);
// Tokens that a loss needs at a vanishing batch over those at this one: 1 / (1 + B / B_crit) [same, eq. 2.7].
double sample_efficiency(double batch, double critical);
// Critical batch, tokens, of a model whose loss is L so far: 2.1e8 / L^(1/0.21)     [Kaplan et al. 2020, eq. 5.3]
double critical_batch(double loss);

}  // namespace runcast
