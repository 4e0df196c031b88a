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
using Fields = std::vector<FittedField>;

// Entries that share constants.
const Names kAmpere = {"a100-80", "a100-40", "a100-pcie-80"};
const Names kHopper = {"h100", "h100-96-500w", "h100-pcie-80", "h200", "h800", "h20", "gh200"};
const Names kBlackwell = {"b200", "b300", "gb200", "gb300"};
const Names kNvidia = {"h100", "h100-96-500w", "h100-pcie-80", "h200",  "h800",    "h20",     "gh200",
                       "b200", "b300",         "gb200",        "gb300", "a100-80", "a100-40", "a100-pcie-80"};
const Names kH100Of500W = {"h100-96-500w"}, kB300 = {"b300"}, kGb200 = {"gb200"}, kGb300 = {"gb300"};
const Names kAmpereNodes = {"dgx-a100-80", "hgx-a100-40", "hgx-a100-80-4x100g"};
const Names kHopperNodes = {"hgx-h100", "dgx-h100-500w", "hgx-h200", "gh200-nvl32"};
const Names kBlackwellNodes = {"hgx-b200", "hgx-b300", "gb200-nvl72", "gb300-nvl72"};
// Networks that other jobs and other groups of the step load; infiniband-quiet is not one. By generation of NICs.
const Names kHdr = {"infiniband-hdr-selene"};
const Names kNdr = {"infiniband-ndr-rail", "nvl72-ib", "llama3-roce", "ethernet-clos-2to1"};
const Names kMegatron = {"megatron", "megatron-2024", "nemo", "nemo-2024", "megatron-bridge"};
const Names kMegatron2021 = {"megatron-2021"}, kMegatronDeepSpeed = {"megatron-deepspeed"};
const Names kEager = {"llm-foundry", "fsdp-eager", "deepspeed", "automodel"};
const Names kCompiledJax = {"maxtext", "pax"};
const Names kInternEvo = {"internevo"}, kTorchtitan = {"torchtitan"};
const Names kAll = {};

// Where a constant stands in the files, and in a scenario.
KernelConstants& kernels(Scenario& s) { return s.node.gpu.kernels; }

// 16-bit units serve bf16, fp16 and, at half the peak, tf32.
const Fields kWide = {
    {"kernels.gemm_efficiency.bf16", [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.bf16; }},
    {"kernels.gemm_efficiency.fp16", [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.fp16; }},
    {"kernels.gemm_efficiency.tf32", [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.tf32; }}};
const Fields kFp8 = {
    {"kernels.gemm_efficiency.fp8", [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.fp8; }}};
const Fields kMxfp8 = {{"kernels.gemm_efficiency.mxfp8",
                        [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.mxfp8; }}};
const Fields kNvfp4 = {{"kernels.gemm_efficiency.nvfp4",
                        [](Scenario& s) -> double& { return kernels(s).gemm_efficiency.nvfp4; }}};
const Fields kPrologue = {
    {"kernels.gemm_prologue_k.bf16", [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.bf16; }},
    {"kernels.gemm_prologue_k.fp16", [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.fp16; }},
    {"kernels.gemm_prologue_k.tf32", [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.tf32; }},
    {"kernels.gemm_prologue_k.fp8", [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.fp8; }},
    {"kernels.gemm_prologue_k.mxfp8",
     [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.mxfp8; }},
    {"kernels.gemm_prologue_k.nvfp4",
     [](Scenario& s) -> double& { return kernels(s).gemm_prologue_k.nvfp4; }}};
const Fields kPower = {
    {"kernels.power_factor", [](Scenario& s) -> double& { return kernels(s).power_factor; }}};
const Fields kFlash2 = {
    {"kernels.attention_flash2", [](Scenario& s) -> double& { return kernels(s).attention_flash2; }}};
const Fields kCudnn = {
    {"kernels.attention_cudnn", [](Scenario& s) -> double& { return kernels(s).attention_cudnn; }}};
const Fields kCudnn8 = {
    {"kernels.attention_cudnn8", [](Scenario& s) -> double& { return kernels(s).attention_cudnn8; }}};
const Fields kGrouped = {
    {"kernels.grouped_gemm", [](Scenario& s) -> double& { return kernels(s).grouped_gemm; }}};
const Fields kCast = {
    {"kernels.cast_traffic", [](Scenario& s) -> double& { return kernels(s).cast_traffic; }}};
const Fields kPermute = {
    {"kernels.permute_traffic", [](Scenario& s) -> double& { return kernels(s).permute_traffic; }}};
const Fields kExchange = {
    {"kernels.exchange_efficiency", [](Scenario& s) -> double& { return kernels(s).exchange_efficiency; }}};
const Fields kHostPerMoeLayer = {{"host_per_moe_layer",
                                  [](Scenario& s) -> double& { return s.software.host_per_moe_layer.value; },
                                  "us", 1e-6}};
const Fields kOnDevice = {
    {"host_share_on_device", [](Scenario& s) -> double& { return s.software.host_share_on_device; }}};
const Fields kTriton = {
    {"kernels.attention_triton", [](Scenario& s) -> double& { return kernels(s).attention_triton; }}};
const Fields kHalfSequence = {{"kernels.attention_half_sequence",
                               [](Scenario& s) -> double& { return kernels(s).attention_half_sequence; }}};
const Fields kAttentionBackward = {
    {"kernels.attention_backward", [](Scenario& s) -> double& { return kernels(s).attention_backward; }}};
const Fields kMemory = {
    {"kernels.memory_efficiency", [](Scenario& s) -> double& { return kernels(s).memory_efficiency; }}};
const Fields kKernelOverhead = {{"kernels.kernel_overhead",
                                 [](Scenario& s) -> double& { return kernels(s).kernel_overhead.value; },
                                 "us", 1e-6}};
const Fields kSlowdown = {
    {"kernels.overlap_slowdown", [](Scenario& s) -> double& { return kernels(s).overlap_slowdown; }}};
const Fields kScaleUp = {
    {"scale_up.efficiency", [](Scenario& s) -> double& { return s.node.scale_up.efficiency; }}};
const Fields kRouting = {
    {"routing_efficiency", [](Scenario& s) -> double& { return s.fabric.routing_efficiency; }}};
const Fields kHostPerLayer = {
    {"host_per_layer", [](Scenario& s) -> double& { return s.software.host_per_layer.value; }, "us", 1e-6}};
const Fields kStepOverhead = {
    {"step_overhead", [](Scenario& s) -> double& { return s.software.step_overhead.value; }, "ms", 1e-3}};
const Fields kElementwise = {
    {"elementwise_factor", [](Scenario& s) -> double& { return s.software.elementwise_factor; }}};
const Fields kContextHidden = {
    {"context_hidden", [](Scenario& s) -> double& { return s.software.context_hidden; }}};
const Fields kHostBackward = {
    {"host_backward", [](Scenario& s) -> double& { return s.software.host_backward; }}};
const Fields kJitter = {{"jitter", [](Scenario& s) -> double& { return s.software.jitter; }}};
const Fields kLaunch = {{"collective_launch",
                         [](Scenario& s) -> double& { return s.software.collective_launch.value; }, "us",
                         1e-6}};

constexpr std::string_view kGpus = "hardware/gpus", kNodes = "hardware/nodes", kFabrics = "fabrics",
                           kSoftware = "software";
constexpr std::string_view kOfPeak = "of the peak of its format", kOfWide = "of the 16-bit peak",
                           kClock = "clock under its power limit, against the family's first part",
                           kIssue = "host time to issue a layer's forward pass",
                           kFixed = "fixed time of a step", kTraffic = "memory traffic against fused kernels",
                           kTile = "prologue and epilogue of a GEMM tile, in elements of K",
                           kRing = "ring bandwidth over NVLink, of nominal";

// clang-format off
const std::vector<Constant> kConstants = {
    // name                             meaning   of         shared by        places          low    high  prior usual
    {"ampere.gemm_wide",                kOfPeak,  kGpus,     kAmpere,         kWide,          0.4,   1,    0.04, false},
    {"hopper.gemm_wide",                kOfPeak,  kGpus,     kHopper,         kWide,          0.3,   1,    0.1,  true},
    {"hopper.gemm_fp8",                 kOfPeak,  kGpus,     kHopper,         kFp8,           0.3,   1,    0.15, true},
    {"blackwell.gemm_wide",             kOfPeak,  kGpus,     kBlackwell,      kWide,          0.3,   1,    0.15, true},
    {"blackwell.gemm_fp8",              kOfPeak,  kGpus,     kBlackwell,      kFp8,           0.2,   1,    0.15, true},
    {"blackwell.gemm_mxfp8",            kOfPeak,  kGpus,     kBlackwell,      kMxfp8,         0.2,   1,    0.15, true},
    {"blackwell.gemm_nvfp4",            kOfPeak,  kGpus,     kBlackwell,      kNvfp4,         0.2,   1,    0.2,  true},
    {"ampere.gemm_prologue",            kTile,    kGpus,     kAmpere,         kPrologue,      32,    2000, 0.2,  false},
    {"hopper.gemm_prologue",            kTile,    kGpus,     kHopper,         kPrologue,      32,    4000, 0.4,  true},
    {"blackwell.gemm_prologue",         kTile,    kGpus,     kBlackwell,      kPrologue,      32,    8000, 0.4,  false},
    {"h100-96-500w.power",              kClock,   kGpus,     kH100Of500W,     kPower,         0.5,   1.1,  0.1,  false},
    {"gb200.power",                     kClock,   kGpus,     kGb200,          kPower,         0.7,   1.5,  0.1,  true},
    {"gb300.power",                     kClock,   kGpus,     kGb300,          kPower,         0.7,   1.8,  0.1,  true},
    {"b300.power",                      kClock,   kGpus,     kB300,           kPower,         0.7,   1.5,  0.1,  true},
    {"ampere.attention_flash2",         kOfWide,  kGpus,     kAmpere,         kFlash2,        0.2,   0.9,  0.15, true},
    {"ampere.attention_triton",         kOfWide,  kGpus,     kAmpere,         kTriton,        0.1,   0.9,  0.2,  true},
    {"hopper.attention_flash2",         kOfWide,  kGpus,     kHopper,         kFlash2,        0.1,   0.9,  0.15, false},
    {"hopper.attention_cudnn8",         kOfWide,  kGpus,     kHopper,         kCudnn8,        0.1,   0.9,  0.15, true},
    {"hopper.attention_cudnn",          kOfWide,  kGpus,     kHopper,         kCudnn,         0.1,   0.9,  0.06, true},
    {"hopper.attention_triton",         kOfWide,  kGpus,     kHopper,         kTriton,        0.05,  0.9,  0.2,  true},
    {"blackwell.attention_cudnn",       kOfWide,  kGpus,     kBlackwell,      kCudnn,         0.1,   0.9,  0.15, true},
    {"nvidia.attention_half_sequence",  "sequence of half the attention rate", kGpus, kNvidia, kHalfSequence, 50, 4000, 0.3, false},
    {"nvidia.attention_backward",       "attention's backward rate over forward", kGpus, kNvidia, kAttentionBackward, 0.4, 1.2, 0.1, false},
    {"ampere.memory",                   "streaming kernels, of HBM bandwidth", kGpus, kAmpere, kMemory, 0.3, 1, 0.12, true},
    {"hopper.memory",                   "streaming kernels, of HBM bandwidth", kGpus, kHopper, kMemory, 0.3, 1, 0.12, true},
    {"blackwell.memory",                "streaming kernels, of HBM bandwidth", kGpus, kBlackwell, kMemory, 0.3, 1, 0.12, true},
    {"nvidia.kernel_overhead",          "start-up of a memory-bound kernel", kGpus, kNvidia, kKernelOverhead, 0.5e-6, 20e-6, 0.3, true},
    {"nvidia.cast_traffic",             "traffic of casts over their bytes", kGpus, kNvidia, kCast, 0.5, 6, 0.3, true},
    {"hopper.grouped_gemm",             "grouped GEMM over single GEMM",  kGpus, kHopper,    kGrouped,  0.2, 1, 0.15, true},
    {"blackwell.grouped_gemm",          "grouped GEMM over single GEMM",  kGpus, kBlackwell, kGrouped,  0.2, 1, 0.15, true},
    {"nvidia.permute_traffic",          "traffic of permutations over their bytes", kGpus, kNvidia, kPermute, 0.3, 12, 0.3, true},
    {"hopper.exchange",                 "all-to-all over NVLink, of ring bandwidth", kGpus, kHopper, kExchange, 0.1, 1, 0.2, true},
    {"blackwell.exchange",              "all-to-all over NVLink, of ring bandwidth", kGpus, kBlackwell, kExchange, 0.1, 1, 0.2, true},
    {"nvidia.overlap_slowdown",         "compute slowed beside a collective", kGpus, kNvidia, kSlowdown, 0.01, 1, 0.3, true},
    {"ampere.scale_up",                 kRing,    kNodes,    kAmpereNodes,    kScaleUp,       0.4,   1,    0.05, false},
    {"hopper.scale_up",                 kRing,    kNodes,    kHopperNodes,    kScaleUp,       0.4,   1,    0.05, false},
    {"blackwell.scale_up",              kRing,    kNodes,    kBlackwellNodes, kScaleUp,       0.4,   1,    0.05, false},
    {"hdr.routing_efficiency",          "network under load, of a NIC alone", kFabrics, kHdr, kRouting, 0.2, 1, 0.1, true},
    {"ndr.routing_efficiency",          "network under load, of a NIC alone", kFabrics, kNdr, kRouting, 0.2, 1, 0.1, true},
    {"megatron.host_per_moe_layer",     "host time of an expert layer's forward pass", kSoftware, kMegatron, kHostPerMoeLayer, 50e-6, 20e-3, 0.4, true},
    {"megatron.host_share_on_device",   "host time of an expert layer without waiting for counts", kSoftware, kMegatron, kOnDevice, 0.1, 1, 0.3, true},
    {"megatron.host_per_layer",         kIssue,   kSoftware, kMegatron,       kHostPerLayer,  10e-6, 5e-3, 0.3,  false},
    {"megatron-2021.host_per_layer",    kIssue,   kSoftware, kMegatron2021,   kHostPerLayer,  10e-6, 5e-3, 0.3,  false},
    {"megatron-deepspeed.host_per_layer", kIssue, kSoftware, kMegatronDeepSpeed, kHostPerLayer, 10e-6, 5e-3, 0.3, false},
    {"eager.host_per_layer",            kIssue,   kSoftware, kEager,          kHostPerLayer,  10e-6, 5e-3, 0.3,  false},
    {"torchtitan.host_per_layer",       kIssue,   kSoftware, kTorchtitan,     kHostPerLayer,  10e-6, 5e-3, 0.3,  false},
    {"internevo.host_per_layer",        kIssue,   kSoftware, kInternEvo,      kHostPerLayer,  10e-6, 5e-3, 0.3,  false},
    {"megatron.step_overhead",          kFixed,   kSoftware, kMegatron,       kStepOverhead,  1e-3,  1,    0.4,  true},
    {"megatron-2021.step_overhead",     kFixed,   kSoftware, kMegatron2021,   kStepOverhead,  1e-3,  2,    0.4,  false},
    {"megatron-deepspeed.step_overhead", kFixed,  kSoftware, kMegatronDeepSpeed, kStepOverhead, 1e-3, 2,   0.4,  false},
    {"eager.step_overhead",             kFixed,   kSoftware, kEager,          kStepOverhead,  1e-3,  1,    0.4,  true},
    {"jax.step_overhead",               kFixed,   kSoftware, kCompiledJax,    kStepOverhead,  1e-3,  1,    0.4,  false},
    {"megatron.elementwise",            kTraffic, kSoftware, kMegatron,       kElementwise,   0.5,   4,    0.1,  true},
    {"megatron-2021.elementwise",       kTraffic, kSoftware, kMegatron2021,   kElementwise,   0.5,   4,    0.15, true},
    {"megatron-deepspeed.elementwise",  kTraffic, kSoftware, kMegatronDeepSpeed, kElementwise, 0.5,  3,    0.2,  true},
    {"eager.elementwise",               kTraffic, kSoftware, kEager,          kElementwise,   0.5,   4,    0.2,  true},
    {"jax.elementwise",                 kTraffic, kSoftware, kCompiledJax,    kElementwise,   0.5,   4,    0.2,  true},
    {"internevo.elementwise",           kTraffic, kSoftware, kInternEvo,      kElementwise,   0.5,   4,    0.2,  true},
    {"software.context_hidden",         "share of attention that hides ring exchange", kSoftware, kAll, kContextHidden, 0.1, 1, 0.2, false},
    {"software.host_backward",          "backward issue time over forward's", kSoftware, kAll, kHostBackward, 0.5, 4, 0.15, false},
    {"software.jitter",                 "growth of a step with each doubling of the job", kSoftware, kAll, kJitter, 0.0005, 0.05, 0.4, false},
    {"software.collective_launch",      "fixed time of one collective", kSoftware, kAll, kLaunch, 1e-6, 60e-6, 0.3, false},
};
// clang-format on

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
    bool known = false;
    for (const Constant& c : kConstants) {
      if (c.name != name && !c.name.starts_with(name + ".")) continue;
      known = true;
      if (std::find(chosen.begin(), chosen.end(), &c) == chosen.end()) chosen.push_back(&c);
    }
    if (known) continue;
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
