#include "topology/hardware.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/topology/library.hpp"

using namespace runcast;

namespace {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(RUNCAST_SOURCE_DIR) + "/scenarios/library/" + folder))
    names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// The first line of what a changed library file is told; "" when it is accepted.
template <class Read>
std::string complaint(const std::string& folder, const std::string& name, const std::string& from,
                      const std::string& to, Read read) {
  try {
    auto document = Document::parse(replaced(text_of(library_path(folder, name)), from, to), "x.yaml");
    read(document.root());
    document.finish();
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    return what.substr(0, what.find('\n'));
  }
  return "";
}

std::string gpu_complaint(const std::string& from, const std::string& to) {
  return complaint("hardware/gpus", "h100", from, to, [](Section section) { read_gpu(section); });
}
std::string node_complaint(const std::string& from, const std::string& to) {
  return complaint("hardware/nodes", "hgx-h100", from, to, [](Section section) {
    section.text("gpu");
    read_node(section, GpuSpec{});
  });
}
std::string fabric_complaint(const std::string& from, const std::string& to) {
  return complaint("fabrics", "llama3-roce", from, to, [](Section section) { read_fabric(section); });
}

// What every entry of a GPU must say, with its fraction of the peak in a GEMM, and `more` of its kernels.
std::string small_gpu(const std::string& gemm, const std::string& more) {
  return "{name: x, vendor: v, architecture: hopper, sms: 100, peak: {bf16: 1000 TFLOP/s}, vector_rate: 60 "
         "TFLOP/s, "
         "capacity_gib: 80, memory_bandwidth: 3 TB/s, tdp: 700 W, idle_power: 70 W, kernels: "
         "{gemm_efficiency: {bf16: " +
         gemm + "}" + (more.empty() ? "" : ", " + more) + "}}";
}

}  // namespace

TEST_CASE("every GPU of the library reads, under the name of its file") {
  const auto names = names_in("hardware/gpus");
  CHECK(names.size() >= 22);
  for (const std::string& name : names) CHECK(load_gpu(name).name == name);
}

TEST_CASE("every node of the library reads, under the name of its file") {
  const auto names = names_in("hardware/nodes");
  CHECK(names.size() >= 20);
  for (const std::string& name : names) CHECK(load_node(name).name == name);
}

TEST_CASE("every fabric of the library reads, under the name of its file") {
  const auto names = names_in("fabrics");
  CHECK(names.size() >= 6);
  for (const std::string& name : names) CHECK(load_fabric(name).name == name);
}

// A line with a digit in its value must say where it comes from; keys that are names or titles need not.
TEST_CASE("every number of the library has its source on its line") {
  for (const std::string folder : {"hardware/gpus", "hardware/nodes", "fabrics"})
    for (const std::string& name : names_in(folder)) {
      std::ifstream file(library_path(folder, name));
      for (std::string line; std::getline(file, line);) {
        const auto colon = line.find(": ");
        if (colon == std::string::npos || line.starts_with("#")) continue;
        const std::string key =
            line.substr(line.find_first_not_of(" -"), colon - line.find_first_not_of(" -"));
        if (key == "name" || key == "gpu" || key == "architecture" || key == "notes") continue;
        const std::string value = line.substr(colon + 2, line.find('#') - colon - 2);
        CAPTURE(folder + "/" + name + ": " + line);
        if (value.find_first_of("0123456789") != std::string::npos)
          CHECK(line.find("  # ") != std::string::npos);
      }
    }
}

// Dense figures of the datasheet and the usable memory, in base units.
TEST_CASE("the H100 of the library is the datasheet's") {
  const GpuSpec gpu = load_gpu("h100");
  CHECK(gpu.sms == 132);
  CHECK(gpu.peak.bf16.value == doctest::Approx(989.4e12).epsilon(1e-12));
  CHECK(gpu.peak.fp8.value == doctest::Approx(1978.9e12).epsilon(1e-12));
  CHECK(gpu.peak.nvfp4.value == 0);
  CHECK(in_gib(gpu.capacity) == doctest::Approx(79.3).epsilon(1e-12));
  CHECK(gpu.memory_bandwidth.value == doctest::Approx(3.35e12).epsilon(1e-12));
  const NodeSpec node = load_node("hgx-h100");
  CHECK(node.nic.bandwidth.value == doctest::Approx(50e9).epsilon(1e-12));
  CHECK(node.scale_up.bandwidth.value * node.scale_up.efficiency == doctest::Approx(360e9).epsilon(1e-3));
}

// accuracy study: 225 A100, 360 H100/H200, 165 H800, 670 Blackwell GB/s.
TEST_CASE("large rings reach the measured bus bandwidth of each NVLink generation") {
  const auto reached = [](const char* name) {
    const NodeSpec node = load_node(name);
    return node.scale_up.bandwidth.value * node.scale_up.efficiency / 1e9;
  };
  CHECK(reached("dgx-a100-80") == doctest::Approx(225).epsilon(0.002));
  CHECK(reached("hgx-h200") == doctest::Approx(360).epsilon(0.002));
  CHECK(reached("hgx-h800") == doctest::Approx(165).epsilon(0.002));
  CHECK(reached("hgx-b200") == doctest::Approx(670).epsilon(0.002));
  CHECK(reached("gb300-nvl72") == doctest::Approx(670).epsilon(0.002));
}

// The texts to change end before the digits of fitted constants, which calibration moves.
TEST_CASE("a GPU out of range is refused at the place of the value") {
  CHECK(gpu_complaint("sms: 132", "sms: 0") == "x.yaml:5:6: 'sms' must be a count of at least 1");
  CHECK(gpu_complaint("memory_efficiency: 0.", "memory_efficiency: 1.") ==
        "x.yaml:32:22: 'memory_efficiency' is a fraction of the nominal: more than 0, at most 1");
  CHECK(gpu_complaint("idle_power: 105 W", "idle_power: 1 kW") ==
        "x.yaml:16:13: 'idle_power' must not be more than 'tdp'");
  CHECK(gpu_complaint("    fp8: 0.", "    mxfp8: 0.") ==
        "x.yaml:20:3: 'gemm_efficiency' has no 'fp8' though 'peak' has one");
  CHECK(gpu_complaint("tdp: 700 W", "tdp: -700 W").find("x.yaml:15:6: ") == 0);
}

TEST_CASE("what an entry leaves out has its stated default") {
  Document document = Document::parse(small_gpu("0.7", ""), "x.yaml");
  const KernelConstants k = read_gpu(document.root()).kernels;
  document.finish();
  const auto is = [](double value, double stated) { CHECK(value == doctest::Approx(stated).epsilon(1e-12)); };
  is(k.memory_efficiency, 0.9);
  is(k.kernel_overhead.value, 5e-6);
  is(k.attention_flash2, 0.5);
  is(k.attention_cudnn, 0.5);
  is(k.attention_triton, 0.4);
  is(k.attention_cudnn8, 0.4);
  is(k.attention_half_sequence, 250);
  is(k.attention_backward, 0.85);
  is(k.grouped_gemm, 0.9);
  is(k.cast_traffic, 1.24);
  is(k.permute_traffic, 2.1);
  is(k.exchange_efficiency, 0.74);
  is(k.overlap_slowdown, 0.18);
  is(k.burst_clock, 1);
  is(k.burst_length.value, 300e-6);
  is(k.power_factor, 1);
  const auto fabric_of = [](const char* text) {
    Document fabric = Document::parse(text, "f.yaml");
    return read_fabric(fabric.root());
  };
  const FabricSpec clos = fabric_of("{kind: clos, power_per_port: 25 W, tiers: [{name: leaf}]}");
  is(clos.routing_efficiency, 0.76);
  is(clos.tiers.front().latency.value, 1e-6);
  is(clos.tiers.front().oversubscription, 1);
  const FabricSpec torus =
      fabric_of("{kind: torus, power_per_port: 25 W, sides: [4, 4], link_bandwidth: 50 GB/s}");
  is(torus.routers.latency.value, 0.3e-6);
}

// A rate measured for a moment may pass the datasheet's; half more is a slip of the pen.
TEST_CASE("fractions of the peak and ratios of rates end at 1.5, clocks at 2") {
  const auto told = [](const std::string& gemm, const std::string& more) -> std::string {
    try {
      Document document = Document::parse(small_gpu(gemm, more), "x.yaml");
      read_gpu(document.root());
      document.finish();
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(told("1.5", "attention_backward: 1.5, burst_clock: 2, power_factor: 2").empty());
  CHECK(told("1.51", "").find("'bf16' is a fraction of the dense peak: from 0 to 1.5") != std::string::npos);
  CHECK(told("0.7", "attention_backward: 1.51")
            .find("'attention_backward' is a ratio of rates: more than 0, at most 1.5") != std::string::npos);
  CHECK(told("0.7", "burst_clock: 2.01").find("'burst_clock' is a ratio of clocks") != std::string::npos);
  CHECK(told("0.7", "power_factor: 2.01").find("'power_factor' is a ratio of clocks") != std::string::npos);
}

TEST_CASE("a misspelt key of the hardware is told with the right one") {
  CHECK(gpu_complaint("tdp: 700 W", "tdp: 700 W\nidle_powr: 3 W") ==
        "x.yaml:16:1: unknown key 'idle_powr', did you mean 'idle_power'?");
}

TEST_CASE("a node whose domain its GPUs cannot fill is refused") {
  CHECK(node_complaint("  kind: nvswitch", "  kind: nvswitch\n  domain: 12") ==
        "x.yaml:8:11: 'domain' of 12 GPUs is neither a multiple nor a divisor of the 8 GPUs of a node");
  CHECK(node_complaint("kind: nvswitch", "kind: nvswich").find("x.yaml:7:9: ") == 0);
  CHECK(node_complaint("  count: 8", "  count: 1025") ==
        "x.yaml:16:10: 'count' is of one node: at most 1024");
  CHECK(node_complaint("  count: 8", "  count: 1024").empty());
  CHECK(node_complaint("  count: 8", "  count: 0") == "x.yaml:16:10: 'count' must be a count of at least 1");
}

TEST_CASE("tiers that do not nest are refused") {
  CHECK(fabric_complaint("nodes: 384", "nodes: 3") ==
        "x.yaml:10:12: 'nodes' must be a multiple of the 2 nodes of the tier below");
  CHECK(fabric_complaint("nodes: 384", "nodes: 0") ==
        "x.yaml:15:12: 'nodes' is below a tier that already joins all nodes");
  CHECK(fabric_complaint("oversubscription: 7", "oversubscription: 0") ==
        "x.yaml:11:23: 'oversubscription' is bandwidth in over bandwidth out: more than 0, at most 100");
  CHECK(fabric_complaint("kind: clos", "kind: none") ==
        "x.yaml:4:1: 'tiers' must be left out for kind 'none'");
}
