// What a run costs: dollars, energy and carbon.
//   dollars = GPU-hours x price; spares, storage and egress told apart
//     price   on demand x (1 - discount of reserved or spot capacity) x mean factor of the price windows
//     capital = GPU hardware x (1 + overhead) / lifetime x hours + energy x price of energy, beside the rent
//   energy  = sum over states of (idle + share of the state x (TDP - idle)) x hours x GPUs, + hosts + network, x PUE
//     states of a GPU: computing, communicating, waiting within the step; saving; standing still between steps
//     `utilization` replaces the states by one share of TDP               [Lacoste et al. 2019; CodeCarbon]
//   CO2e    = energy x carbon intensity of the region (location-based) or of the contract (market-based)
//   embodied = kg a GPU x hours / lifetime
// Leaves out: idle clusters between runs, cooling that follows the weather, taxes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.hpp"
#include "sim/units.hpp"
#include "topology/hardware.hpp"

namespace runcast {

struct Region {
  std::string_view name;
  double kg_per_kwh;  // location-based average
};
std::span<const Region> regions();

enum class Capacity : std::uint8_t { on_demand, reserved, spot };
inline constexpr std::array<std::string_view, 3> kCapacityNames{"on_demand", "reserved", "spot"};

// What a GPU does, and the share of the range from idle to TDP that it draws meanwhile. Assumptions: a node of eight H100
// training draws 82 % of its nominal 10.2 kW (Latif et al. 2024); waiting for a collective spins in a kernel.
enum class PowerState : std::uint8_t { computing, communicating, waiting, saving, stopped };
inline constexpr std::array<std::string_view, 5> kPowerStateNames{"computing", "communicating", "waiting",
                                                                  "saving", "stopped"};
using StateShares = std::array<double, 5>;  // of wall time; sums to 1
inline constexpr StateShares kPowerOfState{0.95, 0.6, 0.4, 0.4, 0};

struct PriceWindow {
  int from = 0, to = 24;  // hours of the day, [from, to), over midnight where to < from
  double factor = 1;      // of the price of a GPU-hour
};

// One value for each hour, repeated from the begin when it ends.
struct HourlySeries {
  std::string region;
  std::vector<double> kg_per_kwh;
  std::vector<double> price;  // factor of the GPU-hour's; empty: 1
};

struct Economics {
  Dollars gpu_hour;            // on demand; 0 = no price known: dollars are left out of the answer
  bool price_assumed = false;  // taken from the hardware entry, not from the scenario
  Capacity capacity = Capacity::on_demand;
  double reserved_discount = 0.4;  // assumption: one to three years' terms of the large clouds
  struct Spot {
    double discount = 0.65;  // 50-70 % typical of GPU clouds' price lists
    RatePer rate{EventRate(0.01 / 3600),
                 "node"};              // of being taken back; measured 3e-4 to 0.5 /node-hour: an input
    Seconds notice{120};               // AWS 2 min, GCP and Azure 30 s
    Seconds back{3600};                // until the cloud has a node again; assumption
    bool fallback = false;             // meanwhile the node is replaced on demand
    std::vector<std::string> assumed;  // what of how nodes are taken back was not given
  } spot;
  std::vector<PriceWindow> windows;
  double start_hour = 0;  // of the series or the day, when the run begins
  std::vector<HourlySeries> hourly;
  std::string region = "us-east";
  double kg_per_kwh = 0.38;
  std::optional<double> market_kg_per_kwh;  // of the power that is contracted
  double pue = 1.1;                         // power usage effectiveness of the data center
  std::optional<double> utilization;        // mean board power over TDP; none: by state
  StateShares power = kPowerOfState;
  bool hosts = true;                 // count the nodes' CPUs, fans and NICs, and the network's switches
  std::optional<double> embodied;    // kg CO2e of making one GPU with its share of the server
  Seconds lifetime{4 * 365 * kDay};  // assumption: of hardware, for embodied carbon and capital
  Dollars capital_gpu;  // hardware of one GPU with its share of server and network; 0: no capital form
  double capital_overhead = 0.25;        // assumption: building, installation
  Dollars kwh;                           // price of energy
  Bytes dataset{0}, egress{0};           // kept all along; carried out at the end
  std::vector<std::string> assumptions;  // what of the cost was not given
  // What a GPU-hour costs in this capacity, without windows.
  Dollars price() const { return gpu_hour * (1 - discount()); }
  double discount() const;
};

// A relative `hourly` path is read from the working directory.
Economics read_economics(Section section, const GpuSpec& gpu);

// What the run asks of a cluster.
struct RunUse {
  double gpus = 0;         // in the job
  double spare_nodes = 0;  // standing by
  Seconds wall;
  StateShares states{1, 0, 0, 0, 0};
  Watts network;  // of all switches and optics of the job
  Bytes kept;     // checkpoints and data on storage
  // Of spot capacity: taken back and not there, in the job and among the spares; in the job on demand.
  double absent_gpu_hours = 0, spares_absent_gpu_hours = 0, on_demand_gpu_hours = 0;
  bool absent_while_stopped = false;  // the job stands still as long as a node of it is not there
};

struct RunCost {
  Dollars dollars, spare_dollars, storage_dollars, egress_dollars, capital_dollars;
  double gpu_hours = 0, spare_gpu_hours = 0;
  Joules energy;                                     // with PUE
  std::array<Joules, 5> gpu_energy;                  // by state, before PUE
  Joules spare_energy, host_energy, network_energy;  // before PUE
  double co2e_kg = 0, co2e_market_kg = 0, embodied_kg = 0;
  Dollars total() const { return dollars + spare_dollars + storage_dollars + egress_dollars; }
};
RunCost cost_of(const Economics&, const NodeSpec&, const RunUse&, Dollars gb_month = Dollars(0),
                Dollars gb_egress = Dollars(0));

// Mean over the run of the region's carbon intensity and of the price's factor, from a start.
struct HourlyMean {
  double kg_per_kwh = 0, price = 1;
};
HourlyMean hourly_mean(const Economics&, std::string_view region, double start_hour, Seconds wall);

// Where and when the run would emit, or cost, least: over all regions and all whole hours at which it can start and still
// end within `deadline` from now (none: within a day).
struct Place {
  std::string region;
  double start_hour = 0;  // from now
  HourlyMean mean;
};
struct Places {
  Place least_carbon, least_price;
  bool in_time = true;  // false: the run is longer than the deadline, from any start
};
Places best_places(const Economics&, Seconds wall, std::optional<Seconds> deadline);

}  // namespace runcast
