// Bounds are what physics and other measurements leave open; priors say how well the starting value is known:
// 0.05 for a figure measured elsewhere (bus bandwidths, HBM), 0.3 for one that only fits tell (host time).
#include "scenarios/calibration_constants.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/config.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

using Names = std::vector<std::string_view>;

const Names kAmpere = {"a100-80", "a100-40", "a100-pcie-80"};
const Names kHopper = {"h100", "h100-96-500w", "h100-pcie-80", "h200", "h800", "h20", "gh200"};
const Names kBlackwell = {"b200", "b300", "gb200", "gb300"};
const Names kNvidia = {"h100", "h100-96-500w", "h100-pcie-80", "h200",  "h800",    "h20",     "gh200",
                       "b200", "b300",         "gb200",        "gb300", "a100-80", "a100-40", "a100-pcie-80"};
const Names kAmpereNodes = {"dgx-a100-80", "hgx-a100-40", "hgx-a100-80-4x100g"};
const Names kHopperNodes = {"hgx-h100", "dgx-h100-500w", "hgx-h200", "gh200-nvl32"};
const Names kBlackwellNodes = {"hgx-b200", "hgx-b300", "gb200-nvl72", "gb300-nvl72"};
const Names kMegatronFamily = {"megatron", "nemo", "megatron-bridge"};
const Names kMegatron2021 = {"megatron-2021", "megatron-deepspeed"};
const Names kEager = {"llm-foundry", "fsdp-eager", "deepspeed", "automodel"};
const Names kCompiledJax = {"maxtext", "pax"};

KernelConstants& kernels(Scenario& s) { return s.node.gpu.kernels; }

FittedField gemm(std::string_view key, double& (*of)(Scenario&)) { return {key, of}; }

// Sixteen-bit units serve bf16, fp16 and (at half the peak) tf32.
std::vector<FittedField> wide_gemm() {
  return {gemm("kernels.gemm_efficiency.bf16",
               [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.bf16; }),
          gemm("kernels.gemm_efficiency.fp16",
               [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.fp16; }),
          gemm("kernels.gemm_efficiency.tf32",
               [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.tf32; })};
}
std::vector<FittedField> fp8_gemm() {
  return {gemm("kernels.gemm_efficiency.fp8",
               [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.fp8; })};
}
std::vector<FittedField> mxfp8_gemm() {
  return {gemm("kernels.gemm_efficiency.mxfp8",
               [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.mxfp8; })};
}
std::vector<FittedField> nvfp4_gemm() {
  return {gemm("kernels.gemm_efficiency.nvfp4",
               [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.nvfp4; })};
}
// Prologue and epilogue of a tile: one factor for all formats of a part.
std::vector<FittedField> prologue() {
  return {
      {"kernels.gemm_prologue_k.bf16",
       [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.bf16; }},
      {"kernels.gemm_prologue_k.fp16",
       [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.fp16; }},
      {"kernels.gemm_prologue_k.tf32",
       [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.tf32; }},
      {"kernels.gemm_prologue_k.fp8", [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.fp8; }},
      {"kernels.gemm_prologue_k.mxfp8",
       [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.mxfp8; }},
      {"kernels.gemm_prologue_k.nvfp4",
       [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.nvfp4; }}};
}
std::vector<FittedField> power() {
  return {{"kernels.power_factor", [](Scenario& s) -> double& { return kernels(s).power_factor; }}};
}
std::vector<FittedField> flash2() {
  return {{"kernels.attention_flash2", [](Scenario& s) -> double& { return kernels(s).attention_flash2; }}};
}
std::vector<FittedField> cudnn() {
  return {{"kernels.attention_cudnn", [](Scenario& s) -> double& { return kernels(s).attention_cudnn; }}};
}
std::vector<FittedField> triton() {
  return {{"kernels.attention_triton", [](Scenario& s) -> double& { return kernels(s).attention_triton; }}};
}
std::vector<FittedField> half_sequence() {
  return {{"kernels.attention_half_sequence",
           [](Scenario& s) -> double& { return kernels(s).attention_half_sequence; }}};
}
std::vector<FittedField> scale_up() {
  return {{"scale_up.efficiency", [](Scenario& s) -> double& { return s.node.scale_up.efficiency; }}};
}
std::vector<FittedField> host_layer() {
  return {
      {"host_per_layer", [](Scenario& s) -> double& { return s.software.host_per_layer.value; }, "us", 1e-6}};
}
std::vector<FittedField> overhead() {
  return {
      {"step_overhead", [](Scenario& s) -> double& { return s.software.step_overhead.value; }, "ms", 1e-3}};
}
std::vector<FittedField> elementwise() {
  return {{"elementwise_factor", [](Scenario& s) -> double& { return s.software.elementwise_factor; }}};
}

constexpr std::string_view kGpus = "hardware/gpus", kNodes = "hardware/nodes", kFabrics = "fabrics",
                           kSoftware = "software";

const std::vector<Constant> kConstants = {
    // GEMM: share of the dense peak that large products reach.
    {"ampere.gemm_wide", "GEMM rate of 16-bit formats, of the peak", kGpus, kAmpere, wide_gemm(), 0.4, 1, 0.1,
     true},
    {"hopper.gemm_wide", "GEMM rate of 16-bit formats, of the peak", kGpus, kHopper, wide_gemm(), 0.3, 1, 0.1,
     true},
    {"hopper.gemm_fp8", "GEMM rate in fp8, of the peak", kGpus, kHopper, fp8_gemm(), 0.3, 1, 0.15, true},
    {"blackwell.gemm_wide", "GEMM rate of 16-bit formats, of the peak", kGpus, kBlackwell, wide_gemm(), 0.3,
     1, 0.15, true},
    {"blackwell.gemm_fp8", "GEMM rate in fp8, of the peak", kGpus, kBlackwell, fp8_gemm(), 0.2, 1, 0.15,
     true},
    {"blackwell.gemm_mxfp8", "GEMM rate in mxfp8, of the peak", kGpus, kBlackwell, mxfp8_gemm(), 0.2, 1, 0.15,
     true},
    {"blackwell.gemm_nvfp4", "GEMM rate in nvfp4, of the peak", kGpus, kBlackwell, nvfp4_gemm(), 0.2, 1, 0.2,
     true},
    {"ampere.gemm_prologue", "prologue of a GEMM tile", kGpus, kAmpere, prologue(), 32, 2000, 0.2, false},
    {"hopper.gemm_prologue", "prologue of a GEMM tile", kGpus, kHopper, prologue(), 32, 4000, 0.4, true},
    {"blackwell.gemm_prologue", "prologue of a GEMM tile", kGpus, kBlackwell, prologue(), 32, 8000, 0.4,
     true},
    // Clocks under the board's power limit.
    {"h100-96-500w.power",
     "clock against a 700 W board",
     kGpus,
     {"h100-96-500w"},
     power(),
     0.5,
     1.1,
     0.1,
     true},
    {"gb200.power", "clock against a 1000 W board", kGpus, {"gb200"}, power(), 0.7, 1.5, 0.1, true},
    {"gb300.power", "clock against a 1000 W board", kGpus, {"gb300"}, power(), 0.7, 1.5, 0.1, true},
    {"b300.power", "clock against a 1000 W board", kGpus, {"b300"}, power(), 0.7, 1.5, 0.1, true},
    // Attention kernels, of the 16-bit peak.
    {"ampere.attention_flash2", "FlashAttention-2, of the peak", kGpus, kAmpere, flash2(), 0.2, 0.9, 0.15,
     true},
    {"ampere.attention_triton", "Triton attention, of the peak", kGpus, kAmpere, triton(), 0.1, 0.9, 0.2,
     true},
    {"hopper.attention_flash2", "FlashAttention-2, of the peak", kGpus, kHopper, flash2(), 0.1, 0.9, 0.15,
     true},
    {"hopper.attention_cudnn", "cuDNN attention, of the peak", kGpus, kHopper, cudnn(), 0.1, 0.9, 0.15, true},
    {"hopper.attention_triton", "Triton attention, of the peak", kGpus, kHopper, triton(), 0.05, 0.9, 0.2,
     true},
    {"blackwell.attention_cudnn", "cuDNN attention, of the peak", kGpus, kBlackwell, cudnn(), 0.1, 0.9, 0.15,
     true},
    {"nvidia.attention_half_sequence", "sequence length of half the attention rate", kGpus, kNvidia,
     half_sequence(), 50, 4000, 0.3, false},
    {"nvidia.attention_backward",
     "attention's backward rate over its forward rate",
     kGpus,
     kNvidia,
     {{"kernels.attention_backward", [](Scenario& s) -> double& { return kernels(s).attention_backward; }}},
     0.4,
     1.2,
     0.1,
     false},
    // Streams and contention.
    {"nvidia.memory_efficiency",
     "streaming kernels, of HBM bandwidth",
     kGpus,
     kNvidia,
     {{"kernels.memory_efficiency", [](Scenario& s) -> double& { return kernels(s).memory_efficiency; }}},
     0.5,
     1,
     0.05,
     true},
    {"nvidia.kernel_overhead",
     "start-up of a memory-bound kernel",
     kGpus,
     kNvidia,
     {{"kernels.kernel_overhead", [](Scenario& s) -> double& { return kernels(s).kernel_overhead.value; },
       "us", 1e-6}},
     0.5e-6,
     20e-6,
     0.3,
     true},
    {"nvidia.overlap_slowdown",
     "compute slowed beside a collective",
     kGpus,
     kNvidia,
     {{"kernels.overlap_slowdown", [](Scenario& s) -> double& { return kernels(s).overlap_slowdown; }}},
     0.01,
     0.6,
     0.3,
     true},
    // Links.
    {"ampere.scale_up", "NVLink ring bandwidth, of nominal", kNodes, kAmpereNodes, scale_up(), 0.4, 1, 0.05,
     true},
    {"hopper.scale_up", "NVLink ring bandwidth, of nominal", kNodes, kHopperNodes, scale_up(), 0.4, 1, 0.05,
     true},
    {"blackwell.scale_up", "NVLink ring bandwidth, of nominal", kNodes, kBlackwellNodes, scale_up(), 0.4, 1,
     0.05, true},
    {"fabric.routing_efficiency",
     "network bandwidth under load, of a NIC alone",
     kFabrics,
     {},
     {{"routing_efficiency", [](Scenario& s) -> double& { return s.fabric.routing_efficiency; }}},
     0.2,
     1,
     0.1,
     true},
    // Software.
    {"megatron.host_per_layer", "host time to issue a layer's forward", kSoftware, kMegatronFamily,
     host_layer(), 10e-6, 5e-3, 0.3, true},
    {"megatron-2021.host_per_layer", "host time to issue a layer's forward", kSoftware, kMegatron2021,
     host_layer(), 10e-6, 5e-3, 0.3, true},
    {"eager.host_per_layer", "host time to issue a layer's forward", kSoftware, kEager, host_layer(), 10e-6,
     5e-3, 0.3, true},
    {"torchtitan.host_per_layer",
     "host time to issue a layer's forward",
     kSoftware,
     {"torchtitan"},
     host_layer(),
     10e-6,
     5e-3,
     0.3,
     false},
    {"internevo.host_per_layer",
     "host time to issue a layer's forward",
     kSoftware,
     {"internevo"},
     host_layer(),
     10e-6,
     5e-3,
     0.3,
     true},
    {"megatron.step_overhead", "fixed time of a step", kSoftware, kMegatronFamily, overhead(), 1e-3, 1, 0.4,
     true},
    {"megatron-2021.step_overhead", "fixed time of a step", kSoftware, kMegatron2021, overhead(), 1e-3, 2,
     0.4, true},
    {"eager.step_overhead", "fixed time of a step", kSoftware, kEager, overhead(), 1e-3, 1, 0.4, true},
    {"jax.step_overhead", "fixed time of a step", kSoftware, kCompiledJax, overhead(), 1e-3, 1, 0.4, true},
    {"megatron.elementwise", "memory traffic of unfused against fused kernels", kSoftware, kMegatronFamily,
     elementwise(), 0.5, 3, 0.1, true},
    {"megatron-2021.elementwise", "memory traffic of unfused against fused kernels", kSoftware, kMegatron2021,
     elementwise(), 0.5, 3, 0.15, true},
    {"eager.elementwise", "memory traffic of unfused against fused kernels", kSoftware, kEager, elementwise(),
     0.5, 3, 0.2, true},
    {"jax.elementwise", "memory traffic of unfused against fused kernels", kSoftware, kCompiledJax,
     elementwise(), 0.5, 3, 0.2, true},
    {"internevo.elementwise",
     "memory traffic of unfused against fused kernels",
     kSoftware,
     {"internevo"},
     elementwise(),
     0.5,
     3,
     0.2,
     false},
    {"software.tensor_exposed",
     "exposed share of overlapped tensor-parallel traffic",
     kSoftware,
     {},
     {{"tensor_exposed", [](Scenario& s) -> double& { return s.software.tensor_exposed; }}},
     0.02,
     1,
     0.3,
     true},
    {"software.context_hidden",
     "share of attention time that hides ring exchange",
     kSoftware,
     {},
     {{"context_hidden", [](Scenario& s) -> double& { return s.software.context_hidden; }}},
     0.1,
     1,
     0.2,
     false},
    {"software.host_backward",
     "backward issue time over forward's",
     kSoftware,
     {},
     {{"host_backward", [](Scenario& s) -> double& { return s.software.host_backward; }}},
     0.5,
     4,
     0.15,
     false},
    {"software.jitter",
     "growth of the step with each doubling of the job",
     kSoftware,
     {},
     {{"jitter", [](Scenario& s) -> double& { return s.software.jitter; }}},
     0.0005,
     0.05,
     0.4,
     true},
    {"software.collective_launch",
     "fixed time of one collective",
     kSoftware,
     {},
     {{"collective_launch", [](Scenario& s) -> double& { return s.software.collective_launch.value; }, "us",
       1e-6}},
     1e-6,
     60e-6,
     0.3,
     true},
};

std::string_view entry_of(std::string_view folder, const Scenario& s) {
  if (folder == kGpus) return s.node.gpu.name;
  if (folder == kNodes) return s.node.name;
  if (folder == kFabrics) return s.fabric.name;
  return s.software.name;
}

}  // namespace

bool Constant::concerns(const Scenario& s) const {
  return entries.empty() || std::find(entries.begin(), entries.end(), entry_of(folder, s)) != entries.end();
}

double Constant::value(Scenario s) const { return fields.front().of(s); }

void Constant::scale(Scenario& s, double factor) const {
  for (const FittedField& field : fields) {
    double& value = field.of(s);
    if (value > 0) value = std::clamp(value * factor, std::min(low, value), std::max(high, value));
  }
}

std::span<const Constant> calibration_constants() { return kConstants; }

std::vector<const Constant*> constants_named(const std::vector<std::string>& names) {
  std::vector<const Constant*> chosen;
  for (const Constant& c : kConstants)
    if (names.empty() && c.usual) chosen.push_back(&c);
  for (const std::string& name : names) {
    const std::size_t before = chosen.size();
    for (const Constant& c : kConstants) {
      const bool named = c.name == name || c.name.starts_with(name + ".");
      if (named && std::find(chosen.begin(), chosen.end(), &c) == chosen.end()) chosen.push_back(&c);
    }
    if (chosen.size() > before) continue;
    std::vector<std::string> legal;
    for (const Constant& c : kConstants) legal.emplace_back(c.name);
    const std::string near = nearest_name(name, legal);
    throw ConfigError(near.empty() ? fmt::format("unknown constant '{}'; the constants are: {}", name,
                                                 fmt::join(legal, ", "))
                                   : fmt::format("unknown constant '{}', did you mean '{}'?", name, near));
  }
  return chosen;
}

}  // namespace runcast
