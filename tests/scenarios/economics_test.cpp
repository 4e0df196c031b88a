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

TEST_CASE("64 GPUs x 336 h x 3.50 USD are 75,264 USD") {
  const RunCost cost = cost_of(read("gpu_hour: 3.50 USD"), node_of(400, 8), 64, 0, Seconds(336 * 3600));
  CHECK(cost.gpu_hours == doctest::Approx(21504).epsilon(1e-12));
  CHECK(cost.dollars.value == doctest::Approx(75264).epsilon(1e-12));
  CHECK(cost.spare_gpu_hours == 0);
  CHECK(cost.spare_dollars.value == 0);
}

TEST_CASE("8 GPUs x 400 W x 24 h x 0.85 x 1.1 are 71.808 kWh, and at 0.38 kg/kWh 27.287 kg") {
  const Economics e = read("{region: us-east, pue: 1.1, utilization: 0.85, hosts: false}");
  const RunCost cost = cost_of(e, node_of(400, 8), 8, 0, Seconds(24 * 3600));
  CHECK(cost.energy.value / 3.6e6 == doctest::Approx(71.808).epsilon(1e-12));
  CHECK(cost.co2e_kg == doctest::Approx(27.28704).epsilon(1e-12));
}

TEST_CASE("hosts add their power once a node, spares idle") {
  // One node: 8 x 400 W x 1 + 1500 W; a spare node: 8 x 60 W + 1500 W; 1 h, PUE 1.
  const Economics e = read("{gpu_hour: 2 USD, pue: 1, utilization: 1}");
  const RunCost one = cost_of(e, node_of(400, 8), 8, 0, Seconds(3600));
  CHECK(one.energy.value == doctest::Approx(4700 * 3600.0).epsilon(1e-12));
  const RunCost spare = cost_of(e, node_of(400, 8), 8, 1, Seconds(3600));
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

TEST_CASE("impossible prices and places are located sentences") {
  const auto message = [](const std::string& text) { return error_of([&] { read(text); }); };
  CHECK(message("gpu_hour: 3.50") ==
        "prices.yaml:1:11: 3.50 has no unit, write for example '3.50 USD'\ngpu_hour: 3.50\n          ^");
  CHECK(message("gpu_hour: -3 USD") ==
        "prices.yaml:1:11: '-3 USD' must not be negative\ngpu_hour: -3 USD\n          ^");
  CHECK(message("pue: 0.9") == "prices.yaml:1:6: pue must lie between 1 and 10\npue: 0.9\n     ^");
  CHECK(message("utilization: 2") ==
        "prices.yaml:1:14: utilization must lie between 0 and 1.5\nutilization: 2\n             ^");
  CHECK(message("region: us-est") ==
        "prices.yaml:1:9: unknown value 'us-est' of 'region', did you mean 'us-east'? legal: us-east us-west "
        "europe asia-pacific global\nregion: us-est\n      "
        "  ^");
}

}  // namespace
}  // namespace runcast
