// What the items of cluster.faults do to which ranks, and what is refused.
#include "parallelism/unfolded_faults.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "sim/error.hpp"
#include "tests/parallelism/unfolded_steps.hpp"

using namespace runcast;

namespace {

std::vector<Fault> faults_of(const std::string& list) {
  Document document = Document::parse("faults: " + list + "\n", "test.yaml");
  std::vector<Fault> faults = read_faults(document.root());
  document.finish();
  return faults;
}

// 4 nodes of 8 GPUs: tensor 2, pipeline 4, data 4.
struct Cluster {
  Layout layout;
  Fabric fabric{load_node("hgx-h100"), 4, load_fabric("infiniband-ndr-rail")};
  Cluster() {
    layout.tensor = 2;
    layout.pipeline = 4;
    layout.data = 4;
  }
  RankConditions resolve(const std::string& list, std::uint64_t seed = 1) const {
    return rank_conditions(faults_of(list), layout, packed_placement(32), fabric, seed);
  }
};

std::int64_t slow_ranks(const RankConditions& c) {
  return std::ranges::count_if(c.gpu, [](double factor) { return factor != 1; });
}

}  // namespace

TEST_CASE("faults slow the ranks of their place, and multiply") {
  const Cluster c;
  RankConditions r = c.resolve("[{rank: 17, slowdown: 1.1}, {node: 2, slowdown: 1.2, host_slowdown: 1.5}]");
  CHECK(slow_ranks(r) == 8);  // ranks 16-23
  CHECK(r.gpu[16] == 1.2);
  CHECK(r.gpu[17] == doctest::Approx(1.32).epsilon(1e-12));
  CHECK(r.host[17] == 1.5);
  CHECK(r.gpu[24] == 1);
  // Stage 3 of replica 1, tensor 1: 1 + 2 x 3 + 8 x 1 = rank 15.
  r = c.resolve("[{stage: 3, replica: 1, tensor: 1, slowdown: 1.1}]");
  CHECK(slow_ranks(r) == 1);
  CHECK(r.gpu[15] == 1.1);
  // Rack 1 of two nodes: ranks 16-31.
  r = c.resolve("[{rack: 1, slowdown: 1.08}]");
  CHECK(slow_ranks(r) == 16);
  CHECK(r.gpu[31] == 1.08);
  CHECK(r.gpu[15] == 1);
  r = c.resolve("[{jitter: 0.03}, {jitter: 0.04}]");
  CHECK(r.jitter == doctest::Approx(0.05).epsilon(1e-12));
  CHECK(r.gpu.empty());
  CHECK(c.resolve("[{rank: 3, slowdown: 1}]").gpu.empty());
}

TEST_CASE("faults by share and spread are drawn by seed and rank") {
  const Cluster c;
  const RankConditions a = c.resolve("[{share: 0.25, slowdown: 1.1}]"),
                       b = c.resolve("[{share: 0.25, slowdown: 1.1}]"),
                       other = c.resolve("[{share: 0.25, slowdown: 1.1}]", 2);
  CHECK(a.gpu == b.gpu);
  CHECK(a.gpu != other.gpu);
  // 32 draws of 1/4: 8 with a standard deviation of 2.4.
  CHECK(slow_ranks(a) > 1);
  CHECK(slow_ranks(a) < 18);
  const RankConditions all = c.resolve("[{share: 1, slowdown: 1.1}]");
  CHECK(slow_ranks(all) == 32);
  double sum = 0;
  const RankConditions spread = c.resolve("[{spread: 0.02}]");
  for (const double factor : spread.gpu) sum += factor;
  CHECK(sum / 32 == doctest::Approx(1).epsilon(0.015));  // 0.02 / sqrt(32) is 0.35 %, four of them
}

TEST_CASE("a degraded link touches its node, a link between switches touches all") {
  Cluster c;
  Fabric fabric(c.fabric.node(), 4, c.fabric.spec());
  const std::string gpu_link = fabric.link(fabric.links_from(fabric.vertex_of(GpuId(9))).front()).name;
  const std::vector<char> touched =
      degrade_links(faults_of("[{link: " + gpu_link + ", capacity: 0.5}]"), fabric);
  CHECK(touched == std::vector<char>{0, 1, 0, 0});
  CHECK(fabric.degraded());
}

// leaf0 is rail 0 of all four nodes: every way over it, and no other, waits 20 us more; half of it in, half out.
TEST_CASE("a hot switch slows what crosses it, and a failed one is gone round or named") {
  const Cluster c;
  Fabric hot(c.fabric.node(), 4, c.fabric.spec());
  const std::vector<char> touched =
      degrade_links(faults_of("[{switch: leaf0, capacity: 0.5, latency: 20 us}]"), hot);
  CHECK(touched == std::vector<char>{1, 1, 1, 1});
  CHECK(hot.degraded());
  const Network whole(c.fabric, packed_placement(32)), slower(hot, packed_placement(32));
  const auto wire = [](const Network& network, int from, int to) {
    return network.point_to_point(RankId(from), RankId(to), Bytes(0)).value;
  };
  CHECK(wire(slower, 0, 8) - wire(whole, 0, 8) == doctest::Approx(20e-6).epsilon(1e-9));
  CHECK(wire(slower, 1, 9) == doctest::Approx(wire(whole, 1, 9)).epsilon(1e-12));
  const auto long_message = [](const Network& network, int from, int to) {
    return network.point_to_point(RankId(from), RankId(to), Bytes(1e9)).value;
  };
  CHECK(long_message(slower, 0, 8) > 1.9 * long_message(whole, 0, 8));
  const std::vector<RankId> rail{RankId(0), RankId(8), RankId(16), RankId(24)};
  const GroupLinks before = whole.group(rail, 1), after = slower.group(rail, 1);
  CHECK((after.inter_latency - before.inter_latency).value == doctest::Approx(20e-6).epsilon(1e-9));
  CHECK(after.inter / before.inter == doctest::Approx(0.5).epsilon(1e-9));
  Fabric none(c.fabric.node(), 4, c.fabric.spec());
  CHECK_THROWS_WITH_AS(
      degrade_links(faults_of("[{switch: leaf99}]"), none),
      "cluster.faults: no switch is named 'leaf99' here; there are node0.nvswitch, leaf0, spine0, core0, ...",
      ConfigError);
}

TEST_CASE("faults in places that do not exist or say nothing are refused with what there is") {
  const Cluster c;
  CHECK_THROWS_WITH_AS(c.resolve("[{rank: 32, slowdown: 1.1}]"),
                       "cluster.faults: rank 32 does not exist; the job's are 0 to 31", ConfigError);
  CHECK_THROWS_WITH_AS(c.resolve("[{stage: 4, slowdown: 1.1}]"),
                       "cluster.faults: stage 4 does not exist; the job's are 0 to 3", ConfigError);
  CHECK_THROWS_WITH_AS(c.resolve("[{rack: 2, slowdown: 1.1}]"),
                       "cluster.faults: rack 2 does not exist; the job's are 0 to 1", ConfigError);
  // 100 x 100; five of them once took the clock past its end
  CHECK_THROWS_WITH_AS(c.resolve("[{rank: 3, slowdown: 100}, {rank: 3, slowdown: 100}]"),
                       "cluster.faults: together they slow rank 3 1e+04-fold; at most 1000-fold",
                       ConfigError);
  const auto refusal = [](const std::string& list) {
    try {
      faults_of(list);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal("[{slowdown: 1.1}]").find("a fault names its place: rank, stage, node, rack, share") !=
        std::string::npos);
  CHECK(refusal("[{rank: 1, node: 2}]").find("a fault is in one place: rank or node, not both") !=
        std::string::npos);
  CHECK(refusal("[{switch: leaf0, latency: 2 s}]").find("a hot switch adds at least 0 and at most 1 s") !=
        std::string::npos);
  CHECK(refusal("[{rank: 1, slowdown: 0}]").find("slowdown must be between 0.1 and 100, not 0") !=
        std::string::npos);
  Fabric fabric(c.fabric.node(), 1, c.fabric.spec());
  CHECK_THROWS_AS(degrade_links(faults_of("[{link: nowhere}]"), fabric), ConfigError);
}

TEST_CASE("a degraded link that says no more has half its capacity, a slowdown is a tenth at least") {
  CHECK(faults_of("[{link: any}]").at(0).capacity == 0.5);
  CHECK(faults_of("[{rank: 1, slowdown: 0.1, host_slowdown: 0.1}]").at(0).host_slowdown == 0.1);
  CHECK_THROWS_AS(faults_of("[{rank: 1, slowdown: 0.09}]"), ConfigError);
  CHECK_THROWS_AS(faults_of("[{rank: 1, host_slowdown: 0.09}]"), ConfigError);
}

TEST_CASE(
    "a degraded NVLink slows its tensor group, and a degraded NIC its replica's messages and reductions") {
  StepCase c;
  c.layout.tensor = 8;
  c.layout.sequence_parallel = true;
  c.layout.pipeline = 2;
  c.layout.data = 4;
  c.training.sharding.kind = Sharding::Kind::zero1;
  const auto with_link = [&](std::size_t which, double capacity) {
    return with_input(c, [&](const StepInput& in) {
      Fabric broken(c.node, c.nodes(), c.fabric);
      const LinkId link = broken.links_from(broken.vertex_of(GpuId(19)))[which];
      const std::vector<Fault> faults =
          faults_of("[{link: " + broken.link(link).name + ", capacity: " + std::to_string(capacity) + "}]");
      RankConditions conditions;
      conditions.touched = degrade_links(faults, broken);
      const Network slower(broken, packed_placement(c.layout.world()));
      conditions.degraded = &slower;
      return simulate_unfolded(in, conditions, 1, true);
    });
  };
  const auto on_path = [](const UnfoldedResult& r, PathCause cause) {
    for (const CauseShare& share : r.causes)
      if (share.cause == cause) return share.time;
    return Duration{};
  };
  const UnfoldedResult whole = unfold(c, {}, true), nvlink = with_link(0, 0.5), nic = with_link(1, 0.25);
  // GPU 19 is on node 2: stage 0 of replica 1. Half the NVLink doubles the bandwidth term of its group's collectives.
  CHECK(nvlink.step.time > whole.step.time);
  CHECK(on_path(nvlink, PathCause::tensor) > on_path(whole, PathCause::tensor));
  CHECK(nvlink.symmetric == whole.step.time);
  CHECK(nic.step.time > whole.step.time);
  const double before = to_seconds(on_path(whole, PathCause::tensor)).value;
  CHECK(to_seconds(on_path(nic, PathCause::tensor)).value == doctest::Approx(before).epsilon(0.05));
  CHECK(on_path(nic, PathCause::data) + on_path(nic, PathCause::transfer) >
        on_path(whole, PathCause::data) + on_path(whole, PathCause::transfer));
}
