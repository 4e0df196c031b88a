// Prices, power and carbon of a run; formulas as in the header.
#include "scenarios/economics.hpp"

#include <array>
#include <vector>

namespace runcast {

namespace {

// Coarse regional grid averages, to be overridden by `carbon_intensity` [Electricity Maps / IEA class figures].
constexpr std::array<Region, 5> kRegions = {
    {{"us-east", 0.38}, {"us-west", 0.22}, {"europe", 0.23}, {"asia-pacific", 0.55}, {"global", 0.47}}};
constexpr std::array<Unit, 2> kIntensityUnits = {{{"kg/kWh", 1}, {"g/kWh", 1e-3}}};

}  // namespace

std::span<const Region> regions() { return kRegions; }

Economics read_economics(Section s, const GpuSpec& gpu) {
  Economics e;
  e.price_assumed = !s.has("gpu_hour");
  // The middle of the on-demand range of the hardware entry.
  e.gpu_hour = s.dollars("gpu_hour", (gpu.price_low + gpu.price_high) / 2);
  std::vector<std::string_view> names;
  for (const Region& r : kRegions) names.push_back(r.name);
  e.region = s.choice("region", names, e.region);
  for (const Region& r : kRegions)
    if (e.region == r.name) e.kg_per_kwh = r.kg_per_kwh;
  e.kg_per_kwh = s.quantity("carbon_intensity", kIntensityUnits, e.kg_per_kwh);
  e.pue = s.number("pue", e.pue);
  if (s.ok() && (e.pue < 1 || e.pue > 10)) s.fail("pue", "pue must lie between 1 and 10");
  e.utilization = s.number("utilization", e.utilization);
  if (s.ok() && (e.utilization <= 0 || e.utilization > 1.5))
    s.fail("utilization", "utilization must lie between 0 and 1.5");
  e.hosts = s.flag("hosts", e.hosts);
  return e;
}

RunCost cost_of(const Economics& e, const NodeSpec& node, double gpus, double spare_nodes, Seconds wall) {
  RunCost cost;
  const double hours = in_hours(wall), spare_gpus = spare_nodes * node.gpus;
  cost.gpu_hours = gpus * hours;
  cost.spare_gpu_hours = spare_gpus * hours;
  cost.dollars = e.gpu_hour * cost.gpu_hours;
  cost.spare_dollars = e.gpu_hour * cost.spare_gpu_hours;
  Watts power = node.gpu.tdp * (e.utilization * gpus) + node.gpu.idle_power * spare_gpus;
  if (e.hosts) power += node.host_power * (gpus / node.gpus + spare_nodes);
  cost.energy = power * wall * e.pue;
  cost.co2e_kg = cost.energy.value / 3.6e6 * e.kg_per_kwh;  // 1 kWh = 3.6e6 J
  return cost;
}

}  // namespace runcast
