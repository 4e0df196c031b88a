// See the header.
#include "scenarios/run_cost.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/figure_json.hpp"
#include "scenarios/gpu_activity.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kJoulesPerMwh = 3.6e9;

double mwh(Joules energy) { return energy.value / kJoulesPerMwh; }
Json priced(Dollars dollars, bool has_price) { return has_price ? known(dollars.value) : Json(nullptr); }

// A NIC port is one of a leaf; each tier above it has a port down and one up for each, less what it is oversubscribed.
Watts network_power(const Scenario& s) {
  double ports = s.fabric.tiers.empty() ? 0 : 1, share = 1;
  for (std::size_t i = 0; i + 1 < s.fabric.tiers.size(); ++i) {
    share /= std::max(1.0, s.fabric.tiers[i].oversubscription);
    ports += 2 * share;
  }
  return s.fabric.power_per_port *
         (ports * s.node.nics * (s.layout.world() / static_cast<double>(s.node.gpus)));
}

void set_node_time(RunUse& use, const NodeTime& time, int gpus) {
  const double hours = gpus / kHour;  // GPU-hours of a node-second
  use.absent_gpu_hours = time.absent * hours;
  use.spares_absent_gpu_hours = time.spares_absent * hours;
  use.on_demand_gpu_hours = time.on_demand * hours;
}

RunUse use_of(const Scenario& s, const RunInput& in, const std::vector<RunPhase>& phases,
              const RunSummary& result) {
  RunUse use;
  double whole = 0, gpus = 0;
  for (const RunPhase& p : phases) {
    gpus += p.time() * p.scenario.layout.world();
    whole += p.time();
  }
  use.gpus = gpus / whole;
  use.spare_nodes = static_cast<double>(in.recovery.spares);
  use.wall = Seconds(result.days.mean * kDay);
  use.states = state_shares(shares_in_step(phases), result.ledger);
  use.network = network_power(s);
  // Assumption: where nothing says how many saves are kept, five are.
  const double saves = in.checkpoint.retain > 0 ? static_cast<double>(in.checkpoint.retain) : 5;
  use.kept = in.checkpoint.bytes * saves;
  set_node_time(use, result.nodes, s.node.gpus);
  use.absent_while_stopped = in.recovery.policy->survivors == Survivors::stop;
  return use;
}

// Where the GPU-hours go: useful steps by the parts of their time, everything else by the ledger. Sums to gpu_hours.
Json hours_json(const std::vector<RunPhase>& phases, const RunSummary& result, double gpu_hours) {
  Json json;
  double whole = 0;
  for (const RunPhase& p : phases) whole += p.time() * p.scenario.layout.world();
  std::vector<std::pair<std::string, double>> parts;
  for (const RunPhase& p : phases) {
    const Json step = breakdown_json(p.step.breakdown);
    const double each = p.time() * p.scenario.layout.world() / whole / to_seconds(p.step.time).value;
    std::size_t i = 0;
    for (const auto& [key, seconds] : step.items()) {
      if (i == parts.size()) parts.emplace_back("useful_" + key, 0);
      parts[i++].second += each * seconds.get<double>();
    }
  }
  const auto useful = static_cast<std::size_t>(Bucket::useful);
  for (const auto& [name, share] : parts) json[name] = gpu_hours * result.ledger[useful] * share;
  for (std::size_t b = 0; b < kBuckets; ++b)
    if (b != useful) json[std::string(kBucketNames[b])] = gpu_hours * result.ledger[b];
  return json;
}

Json energy_json(const RunCost& cost, const Economics& e) {
  Json json;
  Joules before = cost.spare_energy + cost.host_energy + cost.network_energy;
  for (std::size_t i = 0; i < cost.gpu_energy.size(); ++i) {
    json["gpu_" + std::string(kPowerStateNames[i]) + "_mwh"] = mwh(cost.gpu_energy[i]);
    before += cost.gpu_energy[i];
  }
  json["spares_mwh"] = mwh(cost.spare_energy);
  json["hosts_mwh"] = mwh(cost.host_energy);
  json["network_mwh"] = mwh(cost.network_energy);
  json["overhead_mwh"] = mwh(cost.energy) - mwh(before);
  json["pue"] = e.pue;
  return json;
}

// Equivalents for readers: kg of CO2e each.
Json equivalents_json(double kg) {
  return {{"flights_new_york_san_francisco", kg / 1100},
          {"miles_by_car", kg / 0.404},
          {"phone_charges", kg / 0.005},
          {"tree_years", kg / 21},
          {"home_days", kg / 38}};
}

// The columns of CodeCarbon's emissions.csv that mean the same: s, kg, kg/s, W, kWh.
Json codecarbon_json(const Scenario& s, const RunUse& use, const RunCost& cost) {
  Joules gpus = cost.spare_energy;
  for (const Joules& of_state : cost.gpu_energy) gpus += of_state;
  return {{"duration", use.wall.value},
          {"emissions", cost.co2e_kg},
          {"emissions_rate", cost.co2e_kg / use.wall.value},
          {"gpu_power", gpus.value / use.wall.value},
          {"gpu_energy", mwh(gpus) * 1000},
          {"energy_consumed", mwh(cost.energy) * 1000},
          {"gpu_count", use.gpus + use.spare_nodes * s.node.gpus},
          {"gpu_model", s.node.gpu.name},
          {"pue", s.economics.pue}};
}

Json place_json(const Place& place, const RunCost& cost, const HourlyMean& now) {
  return {{"region", place.region},
          {"start_in_h", place.start_hour},
          {"kg_per_kwh", place.mean.kg_per_kwh},
          {"co2e_t", mwh(cost.energy) * place.mean.kg_per_kwh},
          {"usd", priced(cost.dollars * (place.mean.price / now.price), cost.dollars.value > 0)}};
}

Json places_json(const Scenario& s, const RunCost& cost, Seconds wall) {
  const Economics& e = s.economics;
  const HourlyMean now = hourly_mean(e, e.region, e.start_hour, wall);
  const Places best = best_places(e, wall, s.run.deadline);
  if (!best.in_time) return {{"least_carbon", nullptr}, {"least_price", nullptr}, {"meets_deadline", false}};
  return {{"least_carbon", place_json(best.least_carbon, cost, now)},
          {"least_price", place_json(best.least_price, cost, now)}};
}

// Dollars are linear in the discount: T(d) = T(0) - d (T(0) - T(1)), where T(1) is what is paid on demand, storage and
// egress. None: no discount makes it pay. Without a price, hours are compared.
std::optional<double> break_even_discount(const Scenario& s, const RunUse& use, const RunUse& on_demand) {
  const bool has_price = s.economics.gpu_hour.value > 0;
  Economics e = s.economics;
  if (!has_price) e.gpu_hour = Dollars(1);
  const auto total = [&](const RunUse& of) {
    const RunCost cost = cost_of(e, s.node, of, s.storage.gb_month, s.storage.gb_egress);
    return has_price ? cost.total() : cost.dollars + cost.spare_dollars;
  };
  e.spot.discount = 0;
  const Dollars full = total(use);
  e.spot.discount = 1;
  const Dollars fixed = total(use);
  e.capacity = Capacity::on_demand;
  const Dollars other = total(on_demand);
  if (!(full > fixed && other > fixed)) return std::nullopt;
  return (full - other) / (full - fixed);
}

Json spot_json(const Scenario& s, const RunUse& use, const std::vector<RunPhase>& phases, const RunCost& spot,
               const RunSummary& result, const OnDemandRun& other) {
  Scenario on_demand = s;
  on_demand.economics.capacity = Capacity::on_demand;
  const RunUse calm = use_of(on_demand, other.input, phases, other.result);
  const RunCost cost = cost_of(on_demand.economics, s.node, calm, s.storage.gb_month, s.storage.gb_egress);
  double preemptions = 0;
  for (std::size_t i = 0; i < s.failures.classes.size(); ++i)
    if (s.failures.classes[i].action == Action::preempt) preemptions += result.events[i].interruptions;
  const std::optional<double> even = break_even_discount(s, use, calm);
  const bool has_price = s.economics.gpu_hour.value > 0;
  return {{"preemptions", preemptions},
          {"days", result.days.mean},
          {"on_demand_days", known(other.result.days.mean)},
          {"on_demand_spares", other.input.recovery.spares},
          {"away_gpu_hours", use.absent_gpu_hours + use.spares_absent_gpu_hours},
          {"on_demand_gpu_hours", use.on_demand_gpu_hours},
          {"usd", priced(spot.total(), has_price)},
          {"on_demand_usd", priced(cost.total(), has_price)},
          {"discount", s.economics.spot.discount},
          {"break_even_discount", even ? Json(*even) : Json(nullptr)},
          {"pays", even && s.economics.spot.discount > *even}};
}

}  // namespace

std::array<double, 3> shares_in_step(const StepBreakdown& b) {
  const double step = to_seconds(b.total()).value;
  const double computing = to_seconds(b.compute + b.optimizer).value / step;
  const double communicating = to_seconds(b.tensor_exposed + b.context_exposed + b.expert_exposed +
                                          b.pipeline_exposed + b.data_exposed)
                                   .value /
                               step;
  return {computing, communicating, 1 - computing - communicating};
}

std::array<double, 3> shares_in_step(const std::vector<RunPhase>& phases) {
  std::array<double, 3> mean{};
  double whole = 0;
  for (const RunPhase& p : phases) {
    const std::array<double, 3> shares = shares_in_step(p.step.breakdown);
    for (std::size_t i = 0; i < shares.size(); ++i) mean[i] += p.time() * shares[i];
    whole += p.time();
  }
  for (double& share : mean) share /= whole;
  return mean;
}

StateShares state_shares(const std::array<double, 3>& in_step, const std::array<double, kBuckets>& ledger) {
  const auto of = [&](Bucket bucket) { return ledger[static_cast<std::size_t>(bucket)]; };
  const double training = of(Bucket::useful) + of(Bucket::recomputed) + of(Bucket::sdc) + of(Bucket::slow) +
                          of(Bucket::elastic_deficit);
  StateShares shares{training * in_step[0], training * in_step[1], training * in_step[2] + of(Bucket::detect),
                     of(Bucket::checkpoint), 0};
  shares[4] = std::max(0.0, 1 - shares[0] - shares[1] - shares[2] - shares[3]);
  return shares;
}

nlohmann::ordered_json cost_json(const Scenario& s, const RunInput& in, const std::vector<RunPhase>& phases,
                                 const RunSummary& result, const OnDemandRun* on_demand) {
  const Economics& e = s.economics;
  const RunUse use = use_of(s, in, phases, result);
  const RunCost cost = cost_of(e, s.node, use, s.storage.gb_month, s.storage.gb_egress);
  const bool has_price = e.gpu_hour.value > 0;
  Json json = {{"usd", priced(cost.dollars, has_price)},
               {"gpu_hours", cost.gpu_hours},
               {"energy_mwh", mwh(cost.energy)},
               {"co2e_t", cost.co2e_kg / 1000},
               {"spare_gpu_hours", cost.spare_gpu_hours},
               {"spare_usd", priced(cost.spare_dollars, has_price)},
               {"storage_usd", cost.storage_dollars.value},
               {"egress_usd", cost.egress_dollars.value},
               {"total_usd", priced(cost.total(), has_price)},
               {"usd_per_gpu_hour", e.price().value},
               {"hours", hours_json(phases, result, cost.gpu_hours)},
               {"capacity", kCapacityNames[static_cast<std::size_t>(e.capacity)]},
               {"gpu_states", states_json(use.states)},
               {"energy", energy_json(cost, e)},
               {"co2e_market_t", cost.co2e_market_kg / 1000}};
  if (e.capital_gpu.value > 0) json["capital_usd"] = cost.capital_dollars.value;
  if (e.embodied) json["embodied_t"] = cost.embodied_kg / 1000;
  if (!std::isfinite(result.days.mean)) return json;
  json["equivalents"] = equivalents_json(cost.co2e_kg);
  json["codecarbon"] = codecarbon_json(s, use, cost);
  json["where_and_when"] = places_json(s, cost, use.wall);
  if (on_demand != nullptr) json["spot"] = spot_json(s, use, phases, cost, result, *on_demand);
  return json;
}

double probability_within(const Scenario& s, const RunInput& in, const std::vector<RunPhase>& phases,
                          const RunSummary& result, const TrialFigures& figures, Dollars budget) {
  RunUse use = use_of(s, in, phases, result);
  double met = 0;
  for (std::size_t i = 0; i < figures.days.size(); ++i) {
    if (!std::isfinite(figures.days[i])) continue;
    use.wall = Seconds(figures.days[i] * kDay);
    set_node_time(use, figures.nodes[i], s.node.gpus);
    if (cost_of(s.economics, s.node, use, s.storage.gb_month, s.storage.gb_egress).total() <= budget) ++met;
  }
  return met / static_cast<double>(figures.days.size());
}

}  // namespace runcast
