// Dollars, energy and carbon of a run, by hand.
#include "scenarios/economics.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/scenarios/experiment_helpers.hpp"

namespace runcast {
namespace {

NodeSpec node_of(double tdp, int gpus) {
  NodeSpec node;
  node.gpus = gpus;
  node.gpu.tdp = Watts(tdp);
  node.gpu.idle_power = Watts(60);
  node.host_power = Watts(1500);
  return node;
}

Economics read(const std::string& text, const GpuSpec& gpu = {}) {
  Document document = Document::parse(text, "prices.yaml");
  const Economics e = read_economics(document.root(), gpu);
  document.finish();
  return e;
}

RunUse use_of(double gpus, double spares, double hours) {
  RunUse use;
  use.gpus = gpus;
  use.spare_nodes = spares;
  use.wall = Seconds(hours * 3600);
  return use;
}

TEST_CASE("64 GPUs x 336 h x 3.50 USD are 75,264 USD") {
  const RunCost cost = cost_of(read("gpu_hour: 3.50 USD"), node_of(400, 8), use_of(64, 0, 336));
  CHECK(cost.gpu_hours == doctest::Approx(21504).epsilon(1e-12));
  CHECK(cost.dollars.value == doctest::Approx(75264).epsilon(1e-12));
  CHECK(cost.spare_gpu_hours == 0);
  CHECK(cost.spare_dollars.value == 0);
}

TEST_CASE("8 GPUs x 400 W x 24 h x 0.85 x 1.1 are 71.808 kWh, and at 0.38 kg/kWh 27.287 kg") {
  const Economics e = read("{region: us-east, pue: 1.1, utilization: 0.85, hosts: false}");
  const RunCost cost = cost_of(e, node_of(400, 8), use_of(8, 0, 24));
  CHECK(cost.energy.value / 3.6e6 == doctest::Approx(71.808).epsilon(1e-12));
  CHECK(cost.co2e_kg == doctest::Approx(27.28704).epsilon(1e-12));
}

TEST_CASE("hosts add their power once a node, spares idle") {
  // One node: 8 x 400 W x 1 + 1500 W; a spare node: 8 x 60 W + 1500 W; 1 h, PUE 1.
  const Economics e = read("{gpu_hour: 2 USD, pue: 1, utilization: 1}");
  const RunCost one = cost_of(e, node_of(400, 8), use_of(8, 0, 1));
  CHECK(one.energy.value == doctest::Approx(4700 * 3600.0).epsilon(1e-12));
  const RunCost spare = cost_of(e, node_of(400, 8), use_of(8, 1, 1));
  CHECK(spare.energy.value == doctest::Approx((4700 + 1980) * 3600.0).epsilon(1e-12));
  CHECK(spare.gpu_hours == 8);
  CHECK(spare.spare_gpu_hours == 8);
  CHECK(spare.dollars.value == 16);
  CHECK(spare.spare_dollars.value == 16);
}

TEST_CASE("regions have their carbon intensity, and a given one overrides it") {
  const struct {
    const char* name;
    double kg;
  } rows[] = {
      {"us-east", 0.38}, {"us-west", 0.22}, {"europe", 0.23}, {"asia-pacific", 0.55}, {"global", 0.47}};
  REQUIRE(regions().size() == 5);
  for (const auto& row : rows) CHECK(read(std::string("region: ") + row.name).kg_per_kwh == row.kg);
  CHECK(read("{region: europe, carbon_intensity: 50 g/kWh}").kg_per_kwh ==
        doctest::Approx(0.05).epsilon(1e-12));
}

TEST_CASE("without a price the middle of the hardware's range is assumed, and 0 means unknown") {
  GpuSpec gpu;
  gpu.price_low = Dollars(2);
  gpu.price_high = Dollars(5);
  CHECK(read("pue: 1", gpu).gpu_hour.value == 3.5);
  CHECK(read("pue: 1", gpu).price_assumed);
  CHECK_FALSE(read("gpu_hour: 3 USD", gpu).price_assumed);
  CHECK(read("pue: 1").gpu_hour.value == 0);
}

TEST_CASE(
    "each state of a GPU draws its share of the range from idle to TDP, times PUE, and hosts and network "
    "beside") {
  // 8 GPUs of 60 to 400 W for 10 h: half computing at 0.9: 60 + .9 x 340 = 366 W; 30 % communicating at .5: 230 W; 20 %
  // standing still: 60 W. 8 x (183 + 69 + 12) = 2,112 W, + 1,500 W host + 100 W network = 3,712 W x 10 h x 1.2.
  const Economics e = read(
      "{pue: 1.2, power: {computing: 0.9, communicating: 0.5, waiting: 0.4, saving: 0.2, stopped: 0}, "
      "market_intensity: 100 g/kWh, carbon_intensity: 400 g/kWh}");
  RunUse use = use_of(8, 0, 10);
  use.states = {0.5, 0.3, 0, 0, 0.2};
  use.network = Watts(100);
  const RunCost cost = cost_of(e, node_of(400, 8), use);
  CHECK(cost.energy.value / 3.6e6 == doctest::Approx(44.544).epsilon(1e-12));
  CHECK(cost.gpu_energy[0].value / 3.6e6 == doctest::Approx(14.64).epsilon(1e-12));
  CHECK(cost.co2e_kg == doctest::Approx(17.8176).epsilon(1e-12));
  CHECK(cost.co2e_market_kg == doctest::Approx(4.4544).epsilon(1e-12));
}

TEST_CASE("GPT-3's published energy: 3.14e23 FLOPs at 24.6 TFLOP/s, 330 W and PUE 1.10 are 1,287 MWh") {
  // Patterson et al. 2021 (arXiv 2104.10350), table 4: 3.55 million V100-hours, that is 10,000 GPUs for 14.8 days. 1 %.
  const double gpu_hours = 3.14e23 / 24.6e12 / 3600;
  const Economics e = read("{pue: 1.10, utilization: 1.1, hosts: false, carbon_intensity: 429 g/kWh}");
  const RunCost cost = cost_of(e, node_of(300, 8), use_of(10'000, 0, gpu_hours / 10'000));
  CHECK(gpu_hours == doctest::Approx(3.55e6).epsilon(0.01));
  CHECK(cost.energy.value / 3.6e9 == doctest::Approx(1287).epsilon(0.01));
  CHECK(cost.co2e_kg / 1000 == doctest::Approx(552).epsilon(0.01));
}

TEST_CASE("reserved and spot hours cost their share, and nights their window's") {
  // 8 GPUs for 24 h at 2 USD: 384. Reserved 40 % less: 230.40. Spot 65 % less, 10 of 192 hours on demand: 182 x .7 + 20.
  // 22 to 6 o'clock at .5 are 8 of 24 hours: 384 x (16 + 4)/24 = 320; the 6 h from 22 at half price: 8 x 6 x 1 = 48.
  const NodeSpec node = node_of(400, 8);
  CHECK(cost_of(read("{gpu_hour: 2 USD, capacity: reserved}"), node, use_of(8, 0, 24)).dollars.value ==
        doctest::Approx(230.4).epsilon(1e-12));
  RunUse spot = use_of(8, 0, 24);
  spot.on_demand_gpu_hours = 10;
  CHECK(cost_of(read("{gpu_hour: 2 USD, capacity: spot}"), node, spot).dollars.value ==
        doctest::Approx(182 * 0.7 + 20).epsilon(1e-12));
  const std::string nights = "gpu_hour: 2 USD, windows: [{from: 22, to: 6, price: 0.5}]";
  CHECK(cost_of(read("{" + nights + "}"), node, use_of(8, 0, 24)).dollars.value ==
        doctest::Approx(320).epsilon(1e-9));
  CHECK(cost_of(read("{start_hour: 22, " + nights + "}"), node, use_of(8, 0, 6)).dollars.value ==
        doctest::Approx(48).epsilon(1e-9));
}

TEST_CASE("storage by the month, egress once, capital by its share of life, embodied carbon likewise") {
  // 1 TB + 2 TB for 730 h at .10: 300 USD; 500 GB out at .09: 45 USD. Hardware of 30,000 x 1.25 x 8 GPUs x 1,000 h of
  // 10,000: 30,000 USD, and energy; 150 kg x 8 x 730/10,000.
  Economics e = read(
      "{dataset: 2 TB, egress: 500 GB, capital: {gpu: 30 kUSD, overhead: 0.25}, lifetime: 10000 h, embodied: "
      "150 kg, "
      "kwh: 0.1 USD, hosts: false, pue: 1, utilization: 1}");
  RunUse use = use_of(8, 0, 730);
  use.kept = Bytes(1e12);
  const RunCost month = cost_of(e, node_of(400, 8), use, Dollars(0.1), Dollars(0.09));
  CHECK(month.storage_dollars.value == doctest::Approx(300).epsilon(1e-12));
  CHECK(month.egress_dollars.value == doctest::Approx(45).epsilon(1e-12));
  CHECK(month.embodied_kg == doctest::Approx(150 * 8 * 0.073).epsilon(1e-12));
  use.wall = Seconds(1000 * 3600);
  CHECK(cost_of(e, node_of(400, 8), use).capital_dollars.value ==
        doctest::Approx(30000 + 320).epsilon(1e-12));
}

TEST_CASE("of hourly series the cleanest start within the deadline is found, and the cheapest") {
  // Two regions of six hours. North: 1 1 1 .2 .2 1, south .5 all along. A run of 2 h from hour 3 in the north: .2; with a
  // deadline of 4 h it can start in 2 h at the latest: (1 + .2)/2 = .6 there, so south at .5.
  Economics e = read("gpu_hour: 1 USD");
  e.hourly = {{"north", {1, 1, 1, 0.2, 0.2, 1}, {1, 1, 1, 2, 2, 1}},
              {"south", {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, {}}};
  const Seconds two(2 * 3600);
  const Places free = best_places(e, two, std::nullopt);
  CHECK(free.least_carbon.region == "north");
  CHECK(free.least_carbon.start_hour == 3);
  CHECK(free.least_carbon.mean.kg_per_kwh == doctest::Approx(0.2).epsilon(1e-9));
  CHECK(free.least_carbon.mean.price == doctest::Approx(2).epsilon(1e-9));
  CHECK(best_places(e, two, Seconds(4 * 3600)).least_carbon.region == "south");
  // 9 h from hour 4: .2 1, then a whole cycle 4.4, then 1: mean (1.2 + 4.4 + 1)/9.
  CHECK(hourly_mean(e, "north", 4, Seconds(9 * 3600)).kg_per_kwh == doctest::Approx(6.6 / 9).epsilon(1e-9));
}

TEST_CASE("what is away leaves the hours that are paid, and the time in which its job stood still") {
  // 8 GPUs for 10 h, 8 of the 80 hours away, 4 of a spare's 80; 2 USD at 50 % off: 72 and 76. The job stood still for a
  // fifth, 16 GPU-hours, of which 8 are left at 60 W; computing for the rest at 400 W.
  const Economics e = read(
      "{gpu_hour: 2 USD, capacity: spot, spot: {discount: 0.5}, hosts: false, pue: 1, power: {computing: "
      "1}}");
  RunUse use = use_of(8, 1, 10);
  use.states = {0.8, 0, 0, 0, 0.2};
  use.absent_gpu_hours = 8;
  use.spares_absent_gpu_hours = 4;
  use.absent_while_stopped = true;
  const RunCost cost = cost_of(e, node_of(400, 8), use);
  CHECK(cost.dollars.value == doctest::Approx(72).epsilon(1e-12));
  CHECK(cost.spare_dollars.value == doctest::Approx(76).epsilon(1e-12));
  CHECK(cost.energy.value / 3600 == doctest::Approx(64 * 400 + 8 * 60 + 76 * 60).epsilon(1e-12));
  use.absent_while_stopped = false;  // the others went on: all states alike
  CHECK(cost_of(e, node_of(400, 8), use).energy.value / 3600 ==
        doctest::Approx(0.9 * (64 * 400 + 16 * 60) + 76 * 60).epsilon(1e-12));
}

TEST_CASE("what of power, carbon and spot was not given is listed") {
  CHECK(read("{gpu_hour: 2 USD}").assumptions.size() == 3);
  CHECK(read("{gpu_hour: 2 USD}").assumptions[0] == "PUE 1.1: a data center of a large cloud");
  CHECK(read("{pue: 1.1, carbon_intensity: 0.1 kg/kWh, utilization: 0.9}").assumptions.empty());
  CHECK(read("{capacity: spot, spot: {rate: 0.1 /node-hour}}").assumptions.size() == 4);   // its discount
  CHECK(read("{capacity: spot, spot: {rate: 0.1 /node-hour}}").spot.assumed.size() == 2);  // notice and back
}

TEST_CASE("impossible prices and places are located sentences") {
  const auto message = [](const std::string& text) { return error_of([&] { read(text); }); };
  CHECK(message("gpu_hour: 3.50") ==
        "prices.yaml:1:11: 3.50 has no unit, write for example '3.50 USD'\ngpu_hour: 3.50\n          ^");
  CHECK(message("gpu_hour: -3 USD") ==
        "prices.yaml:1:11: '-3 USD' must not be negative\ngpu_hour: -3 USD\n          ^");
  CHECK(message("pue: 0.9") == "prices.yaml:1:6: pue must lie between 1 and 10\npue: 0.9\n     ^");
  CHECK(message("utilization: 2") ==
        "prices.yaml:1:14: utilization must lie between 0 and 1.5\nutilization: 2\n             ^");
  CHECK(message("windows: [{from: 22, to: 6}, {from: 5, to: 8}]") ==
        "prices.yaml:1:37: two price windows have the hour from 5 to 6\nwindows: [{from: 22, to: 6}, {from: "
        "5, to: "
        "8}]\n                                    ^");
  CHECK(message("windows: [{from: 24, to: 0}]") ==
        "prices.yaml:1:18: a price window is from an hour of the day, 0 to 23, to another, 0 to 24: {from: "
        "22, to: "
        "6, price: 0.7}\nwindows: [{from: 24, to: 0}]\n                 ^");
  CHECK(message("windows: [{from: 22, to: 24}, {from: 0, to: 6}]").empty());
  CHECK(message("carbon_intensity: 380 kg/kWh") ==
        "prices.yaml:1:19: carbon_intensity is at most 3 kg/kWh: lignite, the dirtiest fuel, emits 1.1 to "
        "1.5\ncarbon_intensity: 380 kg/kWh\n                  ^");
  CHECK(message("region: us-est") ==
        "prices.yaml:1:9: unknown value 'us-est' of 'region', did you mean 'us-east'? legal: us-east us-west "
        "europe asia-pacific global\nregion: us-est\n      "
        "  ^");
}

}  // namespace
}  // namespace runcast
