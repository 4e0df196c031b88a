// What a software profile means that says nothing, and where its numbers end.
#include "parallelism/software_profile.hpp"

#include <doctest/doctest.h>

#include <string>

namespace runcast {
namespace {

SoftwareProfile read(const std::string& yaml) {
  Document document = Document::parse("profile: {" + yaml + "}\n", "p.yaml");
  const SoftwareProfile profile = read_software_profile(document.root().section("profile"), "plain");
  document.finish();
  return profile;
}

std::string error_of(const std::string& yaml) {
  try {
    read(yaml);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// A bucket of gradients is at least 40 M parameters in Megatron [DistributedDataParallelConfig]; the times are those of
// the accuracy study's fit: 4.2 ms of eager routing a layer of experts, .6 of it with counts on the device, backward 1.5
// times forward, 30 ms a step, .006 a doubling, rings hidden behind .7 of attention. 200 us a layer are the 18 kernels of
// its forward pass at 11 us, the lower end of eager operators' 10 to 20.
TEST_CASE(
    "a profile that says nothing is a fused framework with the fitted host times and Megatron's buckets") {
  const SoftwareProfile p = read("");
  CHECK(p.name == "plain");
  CHECK(p.elementwise_factor == 1);
  CHECK(1e6 * p.host_per_layer.value == doctest::Approx(200).epsilon(1e-12));
  CHECK(1e3 * p.host_per_moe_layer.value == doctest::Approx(4.2).epsilon(1e-12));
  CHECK(p.host_share_on_device == 0.6);
  CHECK(p.host_backward == 1.5);
  CHECK(1e3 * p.step_overhead.value == doctest::Approx(30).epsilon(1e-12));
  CHECK(p.jitter == 0.006);
  CHECK(p.gradient_bytes == 4);  // fp32 sums, on the wire too; parameters are gathered in 16 bits
  CHECK(p.reduce_bytes == 4);
  CHECK(p.gather_bytes == 2);
  CHECK(p.context_hidden == 0.7);
  CHECK(p.bucket_parameters == 40e6);
  CHECK(1e6 * p.collective_launch.value == doctest::Approx(10).epsilon(1e-12));
  CHECK(p.framework_memory == Bytes(kGiB));
  CHECK(p.fragmentation == 1);
}

TEST_CASE("a bucket ends at 1e15 parameters, a share at one") {
  CHECK(read("bucket_parameters: 1e15").bucket_parameters == 1e15);
  CHECK(error_of("bucket_parameters: 1.05e15")
            .starts_with("p.yaml:1:30: bucket_parameters must lie between 0 and 1000000000000000.000000"));
  CHECK(error_of("context_hidden: 1.01").find("context_hidden must lie between 0 and 1.0") !=
        std::string::npos);
}

}  // namespace
}  // namespace runcast
