// Steady states by queueing theory and Markov chains: how many spares, how often the job must wait for one,
// and an independent check of training_run that shares no code with it. Leaves out: transients, restart
// phases (a swap onto a free spare takes no time here), repair laws other than exponential where a chain is
// solved. M/G/inf needs no law: the number in repair is Poisson for any.
#pragma once

#include <cstdint>
#include <vector>

#include "failures/hazard.hpp"
#include "failures/node_fleet.hpp"
#include "sim/units.hpp"

namespace runcast {

// P(X <= k) of a Poisson variable, and the smallest k with P(X <= k) >= probability.
double poisson_at_most(double mean, std::int64_t k);
std::int64_t poisson_quantile(double mean, double probability);
// P(X >= k) of n independent trials (Google's TPU superpods: 130 of 144 cubes).
double binomial_at_least(std::int64_t n, std::int64_t k, double probability);

// Spares: the number of nodes in repair is M/G/inf, Poisson with mean rate x repair time (Palm 1943); the
// quantile of it, at least 2.
// The model whose classes are repaired as the shop does it: the mean of a node's way through it, without waits for a
// crew. Classes with a repair of their own and nodes that the cloud takes back stay as they are.
FailureModel repaired_by(const RepairShop& shop, FailureModel model);
std::int64_t recommended_spares(const FailureModel& failures, const JobScale& scale,
                                double confidence = 0.99);

// Steady state of a continuous-time Markov chain with transition rates q[i][j] (1/s, diagonal ignored):
// solves pi Q = 0, sum pi = 1 (Eigen, LU). INVARIANT: square, one recurrent class.
std::vector<double> steady_state(const std::vector<std::vector<double>>& rates);

// Birth-death: births[i] from i to i+1, deaths[i] from i+1 to i; states 0 .. births.size(). Product form, an
// independent check of steady_state().
std::vector<double> birth_death(const std::vector<double>& births, const std::vector<double>& deaths);

// Machine repair: a job of `nodes` needs all of them, `spares` stand by, `crews` repair at once. Failures
// arrive at nodes x per_node while the job runs and stop while it waits (hazard clock `up`). State: nodes in
// repair, 0 .. spares + 1; the last state is the job waiting.
struct SpareAvailability {
  double waiting = 0;         // share of time that the job waits for a spare
  double mean_in_repair = 0;  // nodes
};
SpareAvailability spare_availability(std::int64_t nodes, EventRate per_node, Seconds repair,
                                     std::int64_t spares, std::int64_t crews);

}  // namespace runcast
