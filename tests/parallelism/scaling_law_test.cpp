// Scaling laws against figures worked out from the papers' constants, and against what an optimum has to be.
#include "parallelism/scaling_law.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace runcast {
namespace {

const ScalingLaw& law(const char* name) {
  const ScalingLaw* found = find_scaling_law(name);
  REQUIRE(found != nullptr);
  return *found;
}

}  // namespace

// G = (0.34 x 406.4 / (0.28 x 410.7))^(1/0.62) = 1.20157^1.6129 = 1.34475; C/6 = 1.6667e22;
// N = G (C/6)^(0.28/0.62) = 14.598e9, D = (C/6)^(0.34/0.62) / G = 1141.68e9.
TEST_CASE("Chinchilla: 1e23 FLOPs are best spent on 14.598B parameters and 1,141.68B tokens") {
  const Allocation best = law("chinchilla").optimum(Flops(1e23));
  CHECK(best.parameters / 1e9 == doctest::Approx(14.598).epsilon(0.0005 / 14.598));  // to the digits
  CHECK(best.tokens / 1e9 == doctest::Approx(1141.68).epsilon(0.005 / 1141.68));
}

// N = 75.906e9 by the normalization, D = 1e23 / (6 x 75.906e9) = 219.57e9.
// PF-days = 1e23 / 8.64e19 = 1157.41; 1157.41^0.73 = 172.33; x 1.3e9 = 224.0e9.
TEST_CASE("Kaplan: 1e23 FLOPs are 75.91B parameters and 219.57B tokens, or 224B as the paper prints it") {
  const Allocation best = law("kaplan").optimum(Flops(1e23));
  CHECK(best.parameters / 1e9 == doctest::Approx(75.91).epsilon(0.005 / 75.91));
  CHECK(best.tokens / 1e9 == doctest::Approx(219.57).epsilon(0.005 / 219.57));
  CHECK(law("kaplan-paper").optimum(Flops(1e23)).parameters / 1e9 == doctest::Approx(224).epsilon(0.5 / 224));
  CHECK(law("kaplan").optimum(Flops(1e24)).parameters / best.parameters ==
        doctest::Approx(std::pow(10, 0.73)).epsilon(1e-9));
}

// Chinchilla itself: 1.69 + 406.4 / 70e9^0.34 + 410.7 / 1.4e12^0.28
//                  = 1.69 + 406.4 x 2.0577e-4 + 410.7 x 3.9634e-4 = 1.69 + 0.08363 + 0.16278 = 1.9364
TEST_CASE("the loss of 70B parameters after 1.4T tokens is 1.936 by Hoffmann's fit") {
  CHECK(law("chinchilla").loss({70e9, 1.4e12}) == doctest::Approx(1.9364).epsilon(0.0005));
}

// [(8.8e13/1e9)^0.8 + 5.4e13/1e11]^0.095 = [8998.6 + 540]^0.095 = exp(0.095 x 9.16314) = 2.388
TEST_CASE("the loss of 1B parameters after 100B tokens is 2.388 by Kaplan's law") {
  CHECK(law("kaplan").loss({1e9, 1e11}) == doctest::Approx(2.388).epsilon(0.0005));
}

TEST_CASE("an optimum spends its budget, and no other division of it has a lower Chinchilla loss") {
  for (const ScalingLaw& row : scaling_laws()) {
    CAPTURE(row.name);
    for (const double c : {1e18, 1e21, 1e24, 1e27}) {
      const Allocation best = row.optimum(Flops(c));
      CHECK(training_compute(best).value == doctest::Approx(c).epsilon(1e-9));
      if (row.name.starts_with("kaplan")) continue;  // its N_opt is a fit of its own
      for (const double shift : {0.5, 0.9, 1.1, 2.0})
        CHECK(row.loss({best.parameters * shift, best.tokens / shift}) > row.loss(best));
    }
  }
}

TEST_CASE("compute for a loss is the inverse of the loss at the optimum, and the irreducible loss has none") {
  for (const ScalingLaw& row : scaling_laws()) {
    CAPTURE(row.name);
    const double loss = row.loss(row.optimum(Flops(1e22)));
    const auto compute = compute_for_loss(row, loss);
    REQUIRE(compute.has_value());
    CHECK(compute->value == doctest::Approx(1e22).epsilon(1e-6));
  }
  CHECK_FALSE(compute_for_loss(law("chinchilla"), 1.69).has_value());
}

TEST_CASE(
    "a model reaches the loss that it has after D tokens after D tokens, and never one below its own floor") {
  const ScalingLaw& row = law("chinchilla");
  const auto tokens = tokens_for_loss(row, 7e9, row.loss({7e9, 1e12}));
  REQUIRE(tokens.has_value());
  CHECK(*tokens == doctest::Approx(1e12).epsilon(1e-6));
  // 1.69 + 406.4 / 7e9^0.34 = 1.69 + 0.183 is where 7B ends with endless data.
  CHECK_FALSE(tokens_for_loss(row, 7e9, 1.87).has_value());
}

// 1 - 2/8 = 0.75; 1 - 5/16 = 1 - 10/32 = 0.6875; 4/(4 + 10) = 0.2857
TEST_CASE("a ramp of 4M, 8M, 16M against critical batches of 2M, 5M, 10M is 75, 69, 69 % efficient") {
  CHECK(batch_efficiency(4e6, 2e6) == doctest::Approx(0.75).epsilon(1e-12));
  CHECK(batch_efficiency(8e6, 5e6) == doctest::Approx(0.6875).epsilon(1e-12));
  CHECK(batch_efficiency(16e6, 10e6) == doctest::Approx(0.6875).epsilon(1e-12));
  CHECK(batch_efficiency(4e6, 10e6) == doctest::Approx(4.0 / 14).epsilon(1e-12));
  CHECK(batch_efficiency(10e6, 10e6) == doctest::Approx(0.5).epsilon(1e-12));
  CHECK(sample_efficiency(10e6, 10e6) == doctest::Approx(0.5).epsilon(1e-12));
}

// 2.1e8 / 2^(1/0.21) = 2.1e8 / 2^4.7619 = 2.1e8 / 27.132 = 7.740e6
TEST_CASE("the critical batch at a loss of 2 is 7.7M tokens and grows as the loss falls") {
  CHECK(critical_batch(2) == doctest::Approx(7.740e6).epsilon(0.0005));
  CHECK(critical_batch(1.9) > critical_batch(2));
}

// Endless parameters or tokens leave the other term, one parameter or token its coefficient: N = 1, D = 10^300 is E + A,
// N = 10^10 there E + A 10^(-10 alpha), and likewise of D.
TEST_CASE("each term of a Chinchilla fit is its paper's: E, A, B, alpha and beta, one by one") {
  struct Row {
    const char* name;
    double irreducible, a, b, alpha, beta;
  };
  constexpr double kEndless = 1e300;
  for (const Row& row :
       {Row{"chinchilla", 1.69, 406.4, 410.7, 0.34, 0.28},             // Hoffmann et al. 2022, eq. 10
        Row{"besiroglu", 1.8172, 482.01, 2085.43, 0.3478, 0.3658}}) {  // Besiroglu et al. 2024, table 1
    CAPTURE(row.name);
    const auto loss = [&](double n, double d) { return law(row.name).loss({n, d}); };
    const double e = row.irreducible;
    CHECK(loss(kEndless, kEndless) == doctest::Approx(e).epsilon(1e-9));
    CHECK(loss(1, kEndless) - e == doctest::Approx(row.a).epsilon(1e-9));
    CHECK(loss(kEndless, 1) - e == doctest::Approx(row.b).epsilon(1e-9));
    CHECK(1e3 * (loss(1e10, kEndless) - e) ==
          doctest::Approx(1e3 * row.a * std::pow(10, -10 * row.alpha)).epsilon(1e-9));
    CHECK(1e3 * (loss(kEndless, 1e10) - e) ==
          doctest::Approx(1e3 * row.b * std::pow(10, -10 * row.beta)).epsilon(1e-9));
  }
}

// With endless tokens L = (Nc/N)^aN, with endless parameters (Dc/D)^aD: one at Nc and at Dc, and ten to the exponent a
// factor of ten below.
TEST_CASE("Kaplan's law has Nc 8.8e13 and Dc 5.4e13, with exponents .076 and .095") {
  const auto loss = [](double n, double d) { return law("kaplan").loss({n, d}); };
  CHECK(loss(8.8e13, 1e300) == doctest::Approx(1).epsilon(1e-9));
  CHECK(loss(1e300, 5.4e13) == doctest::Approx(1).epsilon(1e-9));
  CHECK(loss(8.8e3, 1e300) == doctest::Approx(std::pow(10, 0.76)).epsilon(1e-9));
  CHECK(loss(1e300, 5.4e3) == doctest::Approx(std::pow(10, 0.95)).epsilon(1e-9));
}

TEST_CASE("a search for a loss begins at one FLOP or token and ends at 1e40") {
  CHECK(compute_for_loss(law("chinchilla"), 1e9).value().value == 1);
  CHECK(tokens_for_loss(law("chinchilla"), 1e9, 1e9).value() == 1);
  const ScalingLaw& row = law("chinchilla");
  const auto loss_at = [&](double c) { return row.loss(row.optimum(Flops(c))); };
  CHECK(compute_for_loss(row, loss_at(0.97e40)).has_value());
  CHECK_FALSE(compute_for_loss(row, loss_at(1.03e40)).has_value());
  const ScalingLaw& kaplan = law("kaplan");  // falls below one at the greatest D only
  CHECK(tokens_for_loss(kaplan, 1e45, kaplan.loss({1e45, 0.97e40})).has_value());
  CHECK_FALSE(tokens_for_loss(kaplan, 1e45, kaplan.loss({1e45, 1.03e40})).has_value());
}

}  // namespace runcast
