// Collectives as flows: times derived by hand from the bytes over the narrowest link, and physical bounds.
#include "topology/collective_flows.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "sim/random.hpp"
#include "tests/topology/library.hpp"
#include "topology/network.hpp"

using namespace runcast;

namespace {

// 8 GPUs at 400 GB/s, 8 NICs at 50 GB/s, all at full efficiency and without latency.
NodeSpec plain_node() {
  NodeSpec node;
  node.name = "plain";
  node.scale_up_kind = "nvswitch";
  node.scale_up = {"NVLink", Bandwidth(400e9), Seconds(0), 1.0};
  node.nic = {"NIC", Bandwidth(50e9), Seconds(0), 1.0};
  node.host_link = Bandwidth(64e9);
  node.in_switch_reduction = true;
  return node;
}

// Leaves of 4 nodes, then a spine of 4 switches, 2:1 above the leaves.
FabricSpec plain_fabric(Routing routing = Routing::adaptive, double oversubscription = 2, bool rails = true) {
  FabricSpec spec;
  spec.name = "plain";
  spec.rails = rails;
  spec.routing = routing;
  spec.routing_efficiency = 1;
  spec.tiers = {{"leaf", 4, oversubscription, Seconds(0), 1}, {"spine", 0, 1.0, Seconds(0), 4}};
  return spec;
}

std::vector<GpuId> gpus(int count, int stride = 1, int first = 0) {
  std::vector<GpuId> list;
  for (int i = 0; i < count; ++i) list.emplace_back(first + i * stride);
  return list;
}

double seconds(const Fabric& fabric, Collective collective, Algorithm algorithm,
               const std::vector<GpuId>& members, double size) {
  const Paths paths(fabric);
  const std::vector<FlowPlan> plans{plan_of(collective, algorithm, paths, members, Bytes(size))};
  return run_flows(paths, plans).finished.front().value;
}

}  // namespace

// 2 x 7/8 x 1 GB over 400 GB/s = 4.375 ms.
TEST_CASE("a ring all-reduce of 8 GPUs moves 2 (n-1)/n S over each link") {
  const Fabric fabric(plain_node(), 1, plain_fabric());
  CHECK(seconds(fabric, Collective::all_reduce, Algorithm::ring, gpus(8), 1e9) ==
        doctest::Approx(4.375e-3).epsilon(1e-6));
}

// Into the switch S (1 + 1/8) at 400 GB/s: 2.8125 ms.
TEST_CASE("a reduction in the switch moves S (1 + 1/n) each way") {
  const Fabric fabric(plain_node(), 1, plain_fabric());
  CHECK(seconds(fabric, Collective::all_reduce, Algorithm::nvls, gpus(8), 1e9) ==
        doctest::Approx(2.8125e-3).epsilon(1e-6));
}

// Four ranks, one a node under one leaf, 50 GB/s: rounds of S/2 and S/4, twice: 1.5 S / 50 GB/s = 30 ms. Of five
// ranks the fifth first hands over S and last receives S: 40 ms more.
TEST_CASE("halving and doubling moves 2 (n-1)/n S for a power of two, and 2 S more for what is left") {
  const Fabric fabric(plain_node(), 8, plain_fabric(Routing::adaptive, 1));
  CHECK(seconds(fabric, Collective::all_reduce, Algorithm::halving_doubling, gpus(4, 8), 1e9) ==
        doctest::Approx(30e-3).epsilon(1e-6));
  CHECK(seconds(fabric, Collective::all_reduce, Algorithm::halving_doubling, gpus(5, 8), 1e9) ==
        doctest::Approx(70e-3).epsilon(1e-6));
}

// 8 channels over 2 nodes: each NIC carries 2 x 15/16 x S/8 at 50 GB/s, 4.6875 ms a GB; NVLink carries the 8 channels'
// edges of each GPU, 2 x 15/16 x S at 400 GB/s, just as long.
TEST_CASE("a ring over two nodes uses all eight NICs, and goes over the rail's GPU to leave") {
  const Fabric fabric(plain_node(), 2, plain_fabric());
  CHECK(seconds(fabric, Collective::all_reduce, Algorithm::ring, gpus(16), 1e9) ==
        doctest::Approx(4.6875e-3).epsilon(1e-6));
}

// Two nodes exchange S/8 each way over 8 NICs: 2.5 ms; NVLS inside S (1 + 1/8) / 400 GB/s = 2.8125 ms.
TEST_CASE("NVLS and a tree over two nodes take the longer of the two") {
  const Fabric fabric(plain_node(), 2, plain_fabric());
  CHECK(seconds(fabric, Collective::all_reduce, Algorithm::hierarchical, gpus(16), 1e9) ==
        doctest::Approx(2.8125e-3).epsilon(1e-6));
}

// SHARP: 7/8 S inside at 400 GB/s twice, S/8 over each NIC at 50 GB/s between: 2.1875 + 2.5 + 2.1875 ms.
TEST_CASE("a reduction in the fabric takes the tensor over the NICs once") {
  const Fabric fabric(plain_node(), 2, plain_fabric());
  CHECK(seconds(fabric, Collective::all_reduce, Algorithm::in_network, gpus(16), 1e9) ==
        doctest::Approx(6.875e-3).epsilon(1e-6));
}

// 16 GPUs on 2 nodes: each NIC sends S/16 to each of 8 GPUs: S/2 / 50 GB/s = 10 ms.
TEST_CASE("a rail all-to-all is bound by the half that leaves the node") {
  const Fabric fabric(plain_node(), 2, plain_fabric());
  CHECK(seconds(fabric, Collective::all_to_all, Algorithm::pairwise, gpus(16), 1e9) ==
        doctest::Approx(10e-3).epsilon(1e-6));
}

// 4 nodes under each of two leaf groups, 2:1. Rank 0 of all 8 nodes in a ring in order: it crosses the leaf once, alone
// on its rail's uplink of 4 x 50 / 2 = 100 GB/s. In zigzag, all four of each side cross: 25 GB/s each.
TEST_CASE("a ring in order of the leaves loses nothing to 2:1, in zigzag half") {
  const Fabric fabric(plain_node(), 8, plain_fabric());
  const std::vector<GpuId> sorted = gpus(8, 8);
  std::vector<GpuId> zigzag;
  for (int i = 0; i < 4; ++i) {
    zigzag.push_back(sorted[static_cast<std::size_t>(i)]);
    zigzag.push_back(sorted[static_cast<std::size_t>(i + 4)]);
  }
  const double in_order = seconds(fabric, Collective::all_gather, Algorithm::ring, sorted, 8e9);
  CHECK(in_order == doctest::Approx(7e9 / 50e9).epsilon(1e-6));
  CHECK(seconds(fabric, Collective::all_gather, Algorithm::ring, zigzag, 8e9) ==
        doctest::Approx(2 * in_order).epsilon(1e-6));
}

// Two jobs on one fabric: each alone has 50 GB/s on its NICs; through one 2:1 leaf 8 zigzag edges of each share 100.
TEST_CASE("two jobs that meet on an uplink slow each other, jobs under other leaves do not") {
  const Fabric fabric(plain_node(), 8, plain_fabric());
  const Paths paths(fabric);
  const auto pair = [&](int from, int to) {
    return plan_of(Collective::send_receive, Algorithm::pairwise, paths, std::vector{GpuId(from), GpuId(to)},
                   Bytes(1e9));
  };
  // GPU 0 of nodes 0..3 to GPU 0 of nodes 4..7: 4 flows over 100 GB/s.
  std::vector<FlowPlan> plans{pair(0, 32), pair(8, 40), pair(16, 48), pair(24, 56)};
  for (const Seconds time : run_flows(paths, plans).finished)
    CHECK(time.value == doctest::Approx(40e-3).epsilon(1e-6));
  plans.resize(2);
  for (const Seconds time : run_flows(paths, plans).finished)
    CHECK(time.value == doctest::Approx(20e-3).epsilon(1e-6));
  const FlowOutcome outcome =
      run_flows(paths, std::vector{pair(0, 32), pair(8, 40), pair(16, 48), pair(24, 56)});
  CHECK(paths.name(outcome.busiest.front().link).find("leaf") == 0);
  CHECK(outcome.busiest.front().occupied == doctest::Approx(1).epsilon(1e-6));
}

// 32 flows from the nodes of one leaf to those of another, all on rail 0's leaf without rails: by hash some of 16 spines
// get more than their two; over 16 queue pairs the imbalance is less; sprayed packets have none.
TEST_CASE("hashes collide, queue pairs even them out, and adaptive routing has no collisions") {
  const auto slowest = [](Routing routing, int queue_pairs) {
    FabricSpec spec = plain_fabric(routing, 1, false);
    spec.queue_pairs = queue_pairs;
    spec.tiers[1].switches = 16;
    const Fabric fabric(plain_node(), 8, spec);
    const Paths paths(fabric);
    std::vector<FlowPlan> plans;
    for (int gpu = 0; gpu < 32; ++gpu)
      plans.push_back(plan_of(Collective::send_receive, Algorithm::pairwise, paths,
                              std::vector{GpuId(gpu), GpuId(gpu + 32)}, Bytes(1e9)));
    double last = 0;
    for (const Seconds time : run_flows(paths, plans).finished) last = std::max(last, time.value);
    return last / 20e-3;
  };
  CHECK(slowest(Routing::adaptive, 1) == doctest::Approx(1).epsilon(1e-6));
  CHECK(slowest(Routing::ecmp, 1) > 1.4);
  CHECK(slowest(Routing::ecmp, 16) < slowest(Routing::ecmp, 1));
  CHECK(slowest(Routing::ecmp, 16) > 1);
}

// One of four spines' links fails: the other three carry 3/4; a leaf with 2:1 whose flows fill it loses a quarter.
TEST_CASE("flows go round a failed link, at what is left") {
  Fabric fabric(plain_node(), 8, plain_fabric());
  fabric.set_health(fabric.find_link("leaf0-spine2"), 0);
  const Paths paths(fabric);
  std::vector<FlowPlan> plans;
  for (int node = 0; node < 4; ++node)
    plans.push_back(plan_of(Collective::send_receive, Algorithm::pairwise, paths,
                            std::vector{GpuId(node * 8), GpuId((node + 4) * 8)}, Bytes(1e9)));
  CHECK(run_flows(paths, plans).finished.front().value == doctest::Approx(40e-3 / 0.75).epsilon(1e-6));
}

TEST_CASE("no algorithm on any shape is faster than the cut that its bytes must cross") {
  for (const int nodes : {1, 2, 3, 8}) {
    const Fabric fabric(plain_node(), nodes, plain_fabric());
    const Paths paths(fabric);
    const std::vector<GpuId> members = gpus(8 * nodes);
    for (const Algorithm algorithm :
         {Algorithm::ring, Algorithm::tree, Algorithm::double_tree, Algorithm::halving_doubling,
          Algorithm::hierarchical, Algorithm::in_network}) {
      const double time = seconds(fabric, Collective::all_reduce, algorithm, members, 1e9);
      CAPTURE(name_of(algorithm));
      CHECK(time >= cut_bound(Collective::all_reduce, fabric, members, Bytes(1e9)).value);
    }
    CHECK(seconds(fabric, Collective::all_to_all, Algorithm::pairwise, members, 1e9) >=
          cut_bound(Collective::all_to_all, fabric, members, Bytes(1e9)).value * (1 - 1e-9));
    CHECK(seconds(fabric, Collective::all_gather, Algorithm::ring, members, 1e9) >=
          cut_bound(Collective::all_gather, fabric, members, Bytes(1e9)).value * (1 - 1e-9));
  }
}

namespace {

// LLaMA-3's fabric with 2,048 nodes: 128 data-parallel rings of 128 ranks, 128 apart.
GroupLinks llama_rings(const Fabric& fabric, Placement placement) {
  std::vector<RankId> members;
  for (int i = 0; i < 128; ++i) members.emplace_back(128 * i);
  return Network(fabric, std::move(placement), Fidelity::flow).group(members, 128);
}

}  // namespace

// A pod's uplink is 3072 / 7 = 439 NICs, and 128 rings in order of the pods leave it once each.
TEST_CASE(
    "LLaMA-3's rings sorted by pod lose nothing on its 1:7 fabric; badly placed they lose up to seven "
    "times") {
  const Fabric fabric(load_node("hgx-h100"), 2048, load_fabric("llama3-roce"));
  const GroupLinks sorted = llama_rings(fabric, packed_placement(16384));
  const double whole = 50e9 * fabric.node().nic.efficiency * fabric.spec().routing_efficiency;
  CHECK(sorted.inter.value == doctest::Approx(whole).epsilon(1e-9));

  // Rank r of every replica in the next pod: each edge of each ring leaves its pod. 5 pods of 3,072 and one of 1,024.
  Placement zigzag;
  zigzag.gpu.resize(15360, GpuId(-1));
  for (int replica = 0; replica < 120; ++replica)
    for (int rank = 0; rank < 128; ++rank)
      zigzag.gpu[static_cast<std::size_t>(replica * 128 + rank)] =
          GpuId((replica % 5) * 3072 + replica / 5 * 128 + rank);
  std::vector<RankId> members;
  for (int i = 0; i < 120; ++i) members.emplace_back(128 * i);
  const GroupLinks bad = Network(fabric, zigzag, Fidelity::flow).group(members, 128);
  // Uplinks lose the fabric's share, not the NIC's: 50 GB/s x routing_efficiency / 7, 6.4 times less than sorted.
  CHECK(bad.inter.value == doctest::Approx(50e9 * fabric.spec().routing_efficiency / 7).epsilon(1e-9));
  CHECK(bad.busiest_link.find("pod") == 0);

  const GroupLinks random = llama_rings(fabric, random_placement(16384, 16384, 1));
  CHECK(random.inter.value < whole / 4);
  CHECK(random.inter.value > whole / 14);
}

// With uplinks that nobody fills, both fidelities say the same.
TEST_CASE("flows and counted uplinks agree where nothing is oversubscribed") {
  const Fabric fabric(load_node("hgx-h100"), 16, load_fabric("infiniband-ndr-rail"));
  for (const int stride : {1, 8}) {
    std::vector<RankId> members;
    for (int i = 0; i < 16; ++i) members.emplace_back(i * stride);
    const GroupLinks counted = Network(fabric, packed_placement(128)).group(members, 128 / 16);
    const GroupLinks flowing =
        Network(fabric, packed_placement(128), Fidelity::flow).group(members, 128 / 16);
    CHECK(flowing.inter.value == doctest::Approx(counted.inter.value).epsilon(1e-9));
  }
}

// One GPU of each of 4 nodes and S = 1 GB. Two trees of 3 edges carry half each, up and down: 2 x 3 x 2 x 0.5 = 6 GB. A
// ring of hierarchical all-reduce sends 2 x 3/4 GB from each of the 4: 6 GB too.
TEST_CASE("double trees carry half of the bytes each, rings between nodes 2 (n-1)/n of them") {
  NodeSpec node = load_node("hgx-h100");
  node.in_switch_reduction = false;
  const Fabric fabric(node, 4, load_fabric("infiniband-ndr-rail"));
  const Paths paths(fabric);
  const std::vector members{GpuId(0), GpuId(8), GpuId(16), GpuId(24)};
  for (const Algorithm algorithm : {Algorithm::double_tree, Algorithm::hierarchical}) {
    double sum = 0;
    for (const auto& phase : plan_of(Collective::all_reduce, algorithm, paths, members, Bytes(1e9)).phases)
      for (const Transfer& transfer : phase) sum += transfer.size.value;
    CHECK(sum == doctest::Approx(6e9).epsilon(1e-9));
  }
}
