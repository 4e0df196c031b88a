#include "failures/availability.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/failures/runs.hpp"

using namespace runcast;
using doctest::Approx;

TEST_CASE("95 % of Poisson(419) lies between 379 and 460") {
  // LLaMA-3's 419 interruptions (arXiv 2407.21783): the band in which another 54 days would fall.
  CHECK(poisson_quantile(419, 0.025) == 379);
  CHECK(poisson_quantile(419, 0.975) == 460);
}

TEST_CASE("Poisson sums are right at the ends") {
  CHECK(poisson_at_most(2, 0) == Approx(std::exp(-2.0)).epsilon(1e-14));
  CHECK(poisson_at_most(2, 1) == Approx(3 * std::exp(-2.0)).epsilon(1e-14));
  CHECK(poisson_quantile(0, 0.99) == 0);
}

TEST_CASE("probabilities of everything sum to 1 and never to more") {
  for (int n = 1; n <= 100; ++n) {
    CHECK(poisson_at_most(n, n + 400) == Approx(1).epsilon(1e-12));
    CHECK(poisson_at_most(n, n + 400) <= 1);
    CHECK(binomial_at_least(n, 0, 0.3) == Approx(1).epsilon(1e-12));
    CHECK(binomial_at_least(n, 0, 0.3) <= 1);
  }
}

TEST_CASE("the 99 % quantile of nodes in repair gives 18, 43 and 5 spares") {
  // rate x nodes x repair: 2.96e-3/d x 2,048 x 40.4 h = 10.2 out; 2.34e-3 x 12,500 x 24 h = 29.3;
  // 6.5e-3 x 128 x 40.4 h = 1.40.
  CHECK(poisson_quantile(2.96e-3 * 2048 * 40.4 / 24, 0.99) == 18);
  CHECK(poisson_quantile(2.34e-3 * 12500, 0.99) == 43);
  CHECK(poisson_quantile(6.5e-3 * 128 * 40.4 / 24, 0.99) == 5);
}

TEST_CASE("130 of 144 cubes are there with 95 % if a cube is there with 0.9347") {
  // Google TPU superpods: (RC-35); binomial tail.
  CHECK(binomial_at_least(144, 130, 0.9347) == Approx(0.95).epsilon(0.002));
}

TEST_CASE("a two-state chain is down for repair / (repair + MTTF)") {
  const auto pi = steady_state({{0, 1.0 / 9}, {1, 0}});  // 9 s up, 1 s down
  CHECK(pi[1] == Approx(0.1).epsilon(1e-14));
}

TEST_CASE("the linear solve and the product form of a birth-death chain agree") {
  const std::vector<double> births{3, 3, 3, 3}, deaths{1, 2, 2, 2};  // M/M/2 with 4 places
  std::vector<std::vector<double>> rates(5, std::vector<double>(5, 0));
  for (std::size_t i = 0; i < 4; ++i) {
    rates[i][i + 1] = births[i];
    rates[i + 1][i] = deaths[i];
  }
  const auto solved = steady_state(rates), product = birth_death(births, deaths);
  for (std::size_t i = 0; i < 5; ++i) CHECK(solved[i] == Approx(product[i]).epsilon(1e-12));
}

TEST_CASE("with crews for all, waiting is Erlang's loss formula of spares + 1 places") {
  // M/M/c/c with load a = 2 and 4 places: B = (a^4/4!) / sum a^i/i! = 0.6667 / 7 = 2/21.
  const SpareAvailability s = spare_availability(100, EventRate(0.02), Seconds(1), 3, 1000);
  CHECK(s.waiting == Approx(2.0 / 21).epsilon(1e-12));
}

TEST_CASE("the simulated run waits for spares as long as the Markov chain says") {
  // 100 nodes of 0.01 failures per day: one a day while up; repair 1 day; restarts take no time. The chain
  // and the run share no code. 60 trials of 2,000 days: about 1e5 failures, so the share is known to about 1
  // %.
  for (const std::int64_t spares : {0, 1, 2, 4}) {
    RunInput in = test::simple_run(1, {60, 0, 0}, 0);
    in.scale.nodes = 100;
    FailureClass failure;
    failure.name = "node";
    failure.rate = {EventRate(0.01 / kDay), "node"};
    failure.repair = Seconds(kDay);
    in.failures.classes = {failure};
    in.recovery.policy = find_recovery_policy("hot_spare");
    in.recovery.spares = spares;
    in.window = Seconds(2000 * kDay);
    const RunSummary run = test::trials(in, 60);
    const SpareAvailability chain =
        spare_availability(100, EventRate(0.01 / kDay), Seconds(kDay), spares, 1000000);
    CAPTURE(spares);
    const double waiting = run.ledger[static_cast<std::size_t>(Bucket::wait_for_spare)];
    // Rare waits are known less well.
    CHECK(waiting / chain.waiting == Approx(1).epsilon(spares < 3 ? 0.02 : 0.1));
  }
}
