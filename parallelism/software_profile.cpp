// Reading of a software profile; the meaning of each key is in the header.
#include "parallelism/software_profile.hpp"

#include <array>
#include <cmath>
#include <string>

namespace runcast {

namespace {

constexpr std::array<std::string_view, 5> kKernels = {"standard", "flash2", "cudnn", "triton", "cudnn8"};
constexpr std::array<std::string_view, 3> kAccumulations = {"fused", "separate", "sharded"};
constexpr std::array<std::string_view, 4> kShardings = {"none", "zero1", "zero2", "zero3"};
constexpr std::array<std::string_view, 3> kRecomputes = {"none", "selective", "full"};

double fraction(Section& section, std::string_view key, double fallback, double limit) {
  const double value = section.number(key, fallback);
  if (section.ok() && (value < 0 || value > limit))
    section.fail(key, std::string(key) + " must lie between 0 and " + std::to_string(limit));
  return value;
}

// More is a slip of the pen; and layers x micro-batches of a second stay inside the clock.
Seconds time_of(Section& section, std::string_view key, Seconds fallback, Seconds most = Seconds(1)) {
  const Seconds value = section.seconds(key, fallback);
  if (section.ok() && value > most)
    section.fail(key,
                 std::string(key) + " must be at most " + std::to_string(std::lround(most.value)) + " s");
  return value;
}

}  // namespace

SoftwareProfile read_software_profile(Section s, std::string_view name) {
  SoftwareProfile p;
  p.name = s.text("name", name);
  p.sentence = s.text("sentence", "");
  const std::string kernel = s.choice("attention", kKernels, "cudnn");
  for (std::size_t i = 0; i < kKernels.size(); ++i)
    if (kernel == kKernels[i]) p.attention = static_cast<AttentionKernel>(i);
  p.elementwise_factor = fraction(s, "elementwise_factor", p.elementwise_factor, 10);
  p.host_per_layer = time_of(s, "host_per_layer", p.host_per_layer);
  p.host_per_moe_layer = time_of(s, "host_per_moe_layer", p.host_per_moe_layer);
  p.host_share_on_device = fraction(s, "host_share_on_device", p.host_share_on_device, 1);
  p.host_backward = fraction(s, "host_backward", p.host_backward, 10);
  p.step_overhead = time_of(s, "step_overhead", p.step_overhead, Seconds(kHour));
  p.jitter = fraction(s, "jitter", p.jitter, 1);
  p.gradient_bytes = fraction(s, "gradient_bytes", p.gradient_bytes, 4);
  p.fp16_gradients = fraction(s, "fp16_gradients", p.fp16_gradients, 8);
  p.bf16_gradients = fraction(s, "bf16_gradients", p.bf16_gradients, 8);
  p.shard_gradients = fraction(s, "shard_gradients", p.shard_gradients, 4);
  p.reduce_bytes = fraction(s, "reduce_bytes", p.reduce_bytes, 4);
  p.gather_bytes = fraction(s, "gather_bytes", p.gather_bytes, 4);
  const std::string accumulation = s.choice("gradient_accumulation", kAccumulations, "fused");
  for (std::size_t i = 0; i < kAccumulations.size(); ++i)
    if (accumulation == kAccumulations[i]) p.accumulation = static_cast<GradientAccumulation>(i);
  p.overlap_data = s.flag("overlap_data", p.overlap_data);
  p.overlap_parameters = s.flag("overlap_parameters", p.overlap_parameters);
  p.owner_overhead = time_of(s, "owner_overhead", p.owner_overhead);
  p.overlap_tensor = s.flag("overlap_tensor", p.overlap_tensor);
  p.narrow_activation_gather = s.flag("narrow_activation_gather", p.narrow_activation_gather);
  p.narrow_parameter_gather = s.flag("narrow_parameter_gather", p.narrow_parameter_gather);
  p.fused_permutation = s.flag("fused_permutation", p.fused_permutation);
  p.context_hidden = fraction(s, "context_hidden", p.context_hidden, 1);
  p.overlap_p2p_flat = s.flag("overlap_p2p_flat", p.overlap_p2p_flat);
  p.overlap_p2p_interleaved = s.flag("overlap_p2p_interleaved", p.overlap_p2p_interleaved);
  p.bucket_parameters = fraction(s, "bucket_parameters", p.bucket_parameters, 1e15);
  p.collective_launch = time_of(s, "collective_launch", p.collective_launch);
  p.framework_memory = s.bytes("framework_memory", p.framework_memory);
  p.fragmentation = s.number("fragmentation", p.fragmentation);
  if (s.ok() && (p.fragmentation < 1 || p.fragmentation > 3))
    s.fail("fragmentation", "fragmentation must lie between 1 and 3");
  p.sharding = s.choice("sharding", kShardings, p.sharding);
  p.recompute = s.choice("recompute", kRecomputes, p.recompute);
  s.skip("source");
  return p;
}

}  // namespace runcast
