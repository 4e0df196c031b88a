// What a run costs: dollars, energy and carbon from GPU-hours.
//   dollars = GPU-hours x price (spares priced alike, told apart)
//   energy  = (GPUs x TDP x utilization + hosts) x hours x PUE           [Lacoste et al. 2019; CodeCarbon]
//   CO2e    = energy x carbon intensity of the region
// Leaves out: embodied carbon, price windows, storage, egress.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/config.hpp"
#include "sim/units.hpp"
#include "topology/hardware.hpp"

namespace runcast {

struct Region {
  std::string_view name;
  double kg_per_kwh;  // location-based average
};
std::span<const Region> regions();

struct Economics {
  Dollars gpu_hour;            // 0 = no price known: dollars are left out of the answer
  bool price_assumed = false;  // taken from the hardware entry, not from the scenario
  std::string region = "us-east";
  double kg_per_kwh = 0.38;
  double pue = 1.1;           // power usage effectiveness of the data center
  double utilization = 0.85;  // mean board power over TDP while the job holds the GPU
  bool hosts = true;          // count the nodes' CPUs, fans and NICs
};

Economics read_economics(Section section, const GpuSpec& gpu);

struct RunCost {
  Dollars dollars, spare_dollars;
  double gpu_hours = 0, spare_gpu_hours = 0;
  Joules energy;
  double co2e_kg = 0;
};
// `gpus` in the job and `spare_nodes` standing by, for `wall`.
RunCost cost_of(const Economics&, const NodeSpec&, double gpus, double spare_nodes, Seconds wall);

}  // namespace runcast
