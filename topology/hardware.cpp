// Reading and range checks of the hardware library: one function per struct of hardware.hpp. Reading is the
// schema: a key that is not named here is refused by Document::finish().
#include "topology/hardware.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "topology/builders.hpp"

namespace runcast {
namespace {

constexpr std::array<std::string_view, 6> kArchitectures{"volta",     "ampere", "hopper",
                                                         "blackwell", "cdna3",  "tpu"};

// Keys whose value must lie in a range; the sentence says which.
void require(Section& section, std::string_view key, bool holds, const std::string& sentence) {
  if (!holds) section.fail(key, "'" + std::string(key) + "' " + sentence);
}

template <class T>
T positive(Section& section, std::string_view key, T value) {
  require(section, key, value.value > 0, "must be more than 0");
  return value;
}

template <class T>
T not_negative(Section& section, std::string_view key, T value) {
  require(section, key, value.value >= 0, "must not be negative");
  return value;
}

// Of one message or kernel. More than a second is a slip of the pen, and many of them leave the clock.
Seconds latency(Section& section, std::string_view key, Seconds value) {
  require(section, key, value.value <= 1, "must be at most 1 s");
  return not_negative(section, key, value);
}

double in_range(Section& section, std::string_view key, double value, double above, double at_most,
                const std::string& sentence) {
  require(section, key, value > above && value <= at_most, sentence);
  return value;
}

// A fraction of a datasheet figure: more than 0, at most 1.
double efficiency(Section& section, std::string_view key) {
  return in_range(section, key, section.number(key), 0, 1,
                  "is a fraction of the nominal: more than 0, at most 1");
}
double efficiency(Section& section, std::string_view key, double fallback) {
  return in_range(section, key, section.number(key, fallback), 0, 1,
                  "is a fraction of the nominal: more than 0, at most 1");
}

constexpr int kMostNics = 1024;  // each is a port of the fabric's graph; assumption: no node has as many

int count_of(Section& section, std::string_view key, std::int64_t value, std::int64_t least) {
  const bool legal = value >= least && value <= std::numeric_limits<int>::max();
  require(section, key, legal, "must be a count of at least " + std::to_string(least));
  return legal ? static_cast<int>(value) : static_cast<int>(least);
}

// The seven formats in one order, for structs of one value per format.
template <class T, class Read>
ByFormat<T> read_formats(Section section, Read read) {
  ByFormat<T> value;
  value.fp32 = read(section, "fp32");
  value.tf32 = read(section, "tf32");
  value.fp16 = read(section, "fp16");
  value.bf16 = read(section, "bf16");
  value.fp8 = read(section, "fp8");
  value.mxfp8 = read(section, "mxfp8");
  value.nvfp4 = read(section, "nvfp4");
  return value;
}

FlopRate read_peak(Section& section, std::string_view key) {
  return not_negative(section, key, section.flop_rate(key, FlopRate(0)));
}
double read_fraction(Section& section, std::string_view key) {
  const double value = section.number(key, 0);
  require(section, key, value >= 0 && value <= 1.5, "is a fraction of the dense peak: from 0 to 1.5");
  return value;
}
double read_prologue(Section& section, std::string_view key) {
  const double value = section.number(key, 0);
  require(section, key, value >= 0, "must not be negative");
  return value;
}

// Every format that has units needs an efficiency, or a GEMM in it would never end.
void check_formats(Section& kernels, const GpuSpec& gpu) {
  const auto check = [&](FlopRate peak, double fraction, const char* format) {
    if (peak.value > 0 && fraction <= 0)
      kernels.fail("gemm_efficiency",
                   std::string("'gemm_efficiency' has no '") + format + "' though 'peak' has one");
  };
  const auto& peak = gpu.peak;
  const auto& fraction = gpu.kernels.gemm_efficiency;
  check(peak.fp32, fraction.fp32, "fp32");
  check(peak.tf32, fraction.tf32, "tf32");
  check(peak.fp16, fraction.fp16, "fp16");
  check(peak.bf16, fraction.bf16, "bf16");
  check(peak.fp8, fraction.fp8, "fp8");
  check(peak.mxfp8, fraction.mxfp8, "mxfp8");
  check(peak.nvfp4, fraction.nvfp4, "nvfp4");
}

KernelConstants read_kernels(Section section) {
  KernelConstants constants;
  constants.gemm_efficiency = read_formats<double>(section.section("gemm_efficiency"), read_fraction);
  constants.gemm_prologue_k =
      read_formats<double>(section.section_or_empty("gemm_prologue_k"), read_prologue);
  constants.memory_efficiency = efficiency(section, "memory_efficiency", constants.memory_efficiency);
  constants.kernel_overhead =
      latency(section, "kernel_overhead", section.seconds("kernel_overhead", constants.kernel_overhead));
  constants.attention_flash2 = efficiency(section, "attention_flash2", constants.attention_flash2);
  constants.attention_cudnn = efficiency(section, "attention_cudnn", constants.attention_cudnn);
  constants.attention_triton = efficiency(section, "attention_triton", constants.attention_triton);
  constants.attention_cudnn8 = efficiency(section, "attention_cudnn8", constants.attention_cudnn8);
  constants.grouped_gemm = efficiency(section, "grouped_gemm", constants.grouped_gemm);
  constants.cast_traffic =
      in_range(section, "cast_traffic", section.number("cast_traffic", constants.cast_traffic), 0, 20,
               "cast_traffic must be more than 0 and at most 20");
  constants.permute_traffic =
      in_range(section, "permute_traffic", section.number("permute_traffic", constants.permute_traffic), 0,
               20, "permute_traffic must be more than 0 and at most 20");
  constants.exchange_efficiency = efficiency(section, "exchange_efficiency", constants.exchange_efficiency);
  constants.attention_half_sequence =
      section.number("attention_half_sequence", constants.attention_half_sequence);
  require(section, "attention_half_sequence", constants.attention_half_sequence >= 0, "must not be negative");
  constants.attention_backward = in_range(section, "attention_backward",
                                          section.number("attention_backward", constants.attention_backward),
                                          0, 1.5, "is a ratio of rates: more than 0, at most 1.5");
  constants.overlap_slowdown = section.number("overlap_slowdown", constants.overlap_slowdown);
  require(section, "overlap_slowdown", constants.overlap_slowdown >= 0 && constants.overlap_slowdown <= 1,
          "is a share of compute: at least 0, at most 1");
  constants.burst_clock = section.number("burst_clock", constants.burst_clock);
  require(section, "burst_clock", constants.burst_clock >= 1 && constants.burst_clock <= 2,
          "is a ratio of clocks: at least 1, at most 2");
  constants.burst_length = section.seconds("burst_length", constants.burst_length);
  constants.power_factor =
      in_range(section, "power_factor", section.number("power_factor", constants.power_factor), 0, 2,
               "is a ratio of clocks: more than 0, at most 2");
  return constants;
}

LinkSpec read_link(Section& section) {
  LinkSpec link;
  link.name = section.text("name");
  link.bandwidth = positive(section, "bandwidth", section.bandwidth("bandwidth"));
  link.latency = latency(section, "latency", section.seconds("latency"));
  link.efficiency = efficiency(section, "efficiency");
  return link;
}

void read_scale_up(Section section, NodeSpec& node) {
  node.scale_up = read_link(section);
  const std::vector<std::string_view> kinds = scale_up_kinds();
  node.scale_up_kind = section.choice("kind", kinds);
  node.scale_up_domain = count_of(section, "domain", section.count("domain", node.gpus), 1);
  const int wide = std::max(node.gpus, node.scale_up_domain),
            narrow = std::min(node.gpus, node.scale_up_domain);
  require(section, "domain", wide % narrow == 0,
          "of " + std::to_string(node.scale_up_domain) + " GPUs is neither a multiple nor a divisor of the " +
              std::to_string(node.gpus) + " GPUs of a node");
  if (node.scale_up_kind == "torus") node.torus_axes = count_of(section, "axes", section.count("axes"), 1);
  if (auto in_switch = section.optional_section("in_switch_reduction")) {
    node.in_switch_reduction = true;
    node.in_switch_efficiency = efficiency(*in_switch, "efficiency");
    node.in_switch_latency = latency(*in_switch, "latency_per_gpu", in_switch->seconds("latency_per_gpu"));
  }
}

TierSpec read_tier(Section section, int nodes_below) {
  TierSpec tier;
  tier.name = section.text("name");
  tier.nodes = count_of(section, "nodes", section.count("nodes", 0), 0);
  if (tier.nodes > 0 && nodes_below > 0)
    require(section, "nodes", tier.nodes > nodes_below && tier.nodes % nodes_below == 0,
            "must be a multiple of the " + std::to_string(nodes_below) + " nodes of the tier below");
  require(section, "nodes", nodes_below >= 0, "is below a tier that already joins all nodes");
  tier.oversubscription = section.number("oversubscription", tier.oversubscription);
  require(section, "oversubscription", tier.oversubscription > 0 && tier.oversubscription <= 100,
          "is bandwidth in over bandwidth out: more than 0, at most 100");
  tier.latency = latency(section, "latency", section.seconds("latency", Seconds(1e-6)));
  tier.switches = count_of(section, "switches", section.count("switches", tier.switches), 1);
  require(section, "switches", tier.switches <= 1024, "must be at most 1024");
  return tier;
}

void read_tiers(Section& section, FabricSpec& fabric) {
  int nodes_below = 0;
  for (Section tier : section.list("tiers")) {
    fabric.tiers.push_back(read_tier(tier, nodes_below));
    nodes_below = fabric.tiers.back().nodes == 0 ? -1 : fabric.tiers.back().nodes;
  }
  require(section, "tiers", fabric.kind != "none" || fabric.tiers.empty(),
          "must be left out for kind 'none'");
  require(section, "tiers", fabric.kind == "none" || !fabric.tiers.empty(),
          "must list at least one tier of switches, such as [{name: leaf}]");
}

void read_torus(Section& section, RouterSpec& routers) {
  for (const std::int64_t side : section.counts("sides"))
    routers.sides.push_back(count_of(section, "sides", side, 1));
  const auto given = static_cast<std::int64_t>(routers.sides.size());
  routers.axes = count_of(section, "axes", section.count("axes", given > 0 ? given : 3), 1);
  require(section, "axes", routers.axes <= 6, "must be at most 6");
  require(section, "sides", given == 0 || given == routers.axes,
          "must have one count for each of the " + std::to_string(routers.axes) + " axes, or be left out");
}

void read_dragonfly(Section& section, RouterSpec& routers) {
  routers.group = count_of(section, "group_routers", section.count("group_routers"), 1);
  routers.global_links = count_of(section, "global_links", section.count("global_links"), 1);
  require(section, "group_routers", routers.group <= 1024, "must be at most 1024");
  require(section, "global_links", routers.global_links <= 1024, "must be at most 1024");
  routers.global_latency =
      latency(section, "global_latency", section.seconds("global_latency", routers.latency));
}

void read_routers(Section& section, FabricSpec& fabric) {
  RouterSpec& routers = fabric.routers;
  routers.nodes = count_of(section, "nodes_per_router", section.count("nodes_per_router", 1), 1);
  routers.link = positive(section, "link_bandwidth", section.bandwidth("link_bandwidth"));
  routers.latency = latency(section, "latency", section.seconds("latency", Seconds(0.3e-6)));
  if (fabric.kind == "torus") read_torus(section, routers);
  if (fabric.kind == "dragonfly") read_dragonfly(section, routers);
}

}  // namespace

GpuSpec read_gpu(Section section) {
  GpuSpec gpu;
  gpu.name = section.text("name");
  gpu.vendor = section.text("vendor");
  gpu.architecture = section.choice("architecture", kArchitectures);
  gpu.sms = count_of(section, "sms", section.count("sms"), 1);
  gpu.peak = read_formats<FlopRate>(section.section("peak"), read_peak);
  gpu.vector_rate = positive(section, "vector_rate", section.flop_rate("vector_rate"));
  gpu.capacity = Bytes(section.number("capacity_gib") * kGiB);
  require(section, "capacity_gib", gpu.capacity.value > 0, "must be more than 0");
  gpu.memory_bandwidth = positive(section, "memory_bandwidth", section.bandwidth("memory_bandwidth"));
  gpu.tdp = positive(section, "tdp", section.watts("tdp"));
  gpu.idle_power = not_negative(section, "idle_power", section.watts("idle_power"));
  require(section, "idle_power", gpu.idle_power <= gpu.tdp, "must not be more than 'tdp'");
  gpu.price_low = not_negative(section, "price_low", section.dollars("price_low", Dollars(0)));
  gpu.price_high = not_negative(section, "price_high", section.dollars("price_high", Dollars(0)));
  require(section, "price_high", gpu.price_high >= gpu.price_low, "must not be less than 'price_low'");
  Section kernels = section.section("kernels");
  gpu.kernels = read_kernels(kernels);
  check_formats(kernels, gpu);
  section.skip("notes");
  return gpu;
}

NodeSpec read_node(Section section, const GpuSpec& gpu) {
  NodeSpec node;
  node.gpu = gpu;
  node.name = section.text("name");
  node.gpus = count_of(section, "gpus", section.count("gpus"), 1);
  read_scale_up(section.section("scale_up"), node);
  Section nic = section.section("nic");
  node.nic = read_link(nic);
  node.nics = count_of(nic, "count", nic.count("count"), 1);
  require(nic, "count", node.nics <= kMostNics, "is of one node: at most " + std::to_string(kMostNics));
  node.host_link = positive(section, "host_link", section.bandwidth("host_link"));
  node.host_power = not_negative(section, "host_power", section.watts("host_power"));
  section.skip("notes");
  return node;
}

FabricSpec read_fabric(Section section) {
  FabricSpec fabric;
  fabric.name = section.text("name", "custom");
  const std::vector<std::string_view> kinds = fabric_kinds();
  fabric.kind = section.choice("kind", kinds, fabric.kind);
  if (fabric.tiered()) {
    fabric.rails = section.flag("rails", fabric.rails);
    read_tiers(section, fabric);
    fabric.in_network_reduction = section.flag("in_network_reduction", false);
  } else {
    read_routers(section, fabric);
  }
  fabric.routing_efficiency = efficiency(section, "routing_efficiency", fabric.routing_efficiency);
  constexpr std::array<std::string_view, 2> kRoutings{"adaptive", "ecmp"};
  fabric.routing =
      section.choice("routing", kRoutings, "adaptive") == "ecmp" ? Routing::ecmp : Routing::adaptive;
  fabric.queue_pairs = count_of(section, "queue_pairs", section.count("queue_pairs", 1), 1);
  require(section, "queue_pairs", fabric.queue_pairs <= 256, "must be at most 256");
  fabric.power_per_port = not_negative(section, "power_per_port", section.watts("power_per_port", Watts(0)));
  section.skip("notes");
  return fabric;
}

}  // namespace runcast
