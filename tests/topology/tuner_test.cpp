// The tuner's table against what NCCL and its users publish, and its latency and bandwidth terms one by one: links without
// latency leave the bandwidth, messages without bytes the latency. Times in microseconds.
#include "topology/tuner.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <utility>
#include <vector>

using namespace runcast;

namespace {

// Domains of so many ranks: rings reach 360 GB/s on the scale-up links in steps of 1.7 us (H100 of the library), 46 GB/s
// through a NIC in steps of 4.8 us (NDR: 4.5 us, and 0.3 us for the one leaf).
GroupLinks group(int domains, int per_domain) {
  GroupLinks links;
  links.ranks = domains * per_domain;
  links.domains = domains;
  links.ranks_per_domain = links.narrowest_domain = per_domain;
  links.tree_depth = static_cast<int>(std::bit_width(static_cast<unsigned>(domains - 1)));
  links.intra_nominal = links.intra = links.in_switch = Bandwidth(360e9);
  links.inter_nominal = links.inter = links.pairwise_nominal = links.pairwise = Bandwidth(46e9);
  links.intra_latency = Seconds(1.7e-6);
  links.inter_latency = Seconds(4.8e-6);
  return links;
}

GroupLinks without_latency(GroupLinks links) {
  links.intra_latency = links.inter_latency = links.in_switch_latency = Seconds(0);
  return links;
}

double microseconds(Collective collective, Algorithm algorithm, double size, const GroupLinks& links) {
  return tune(collective, algorithm, Bytes(size), links).time.value * 1e6;
}

// Of an all-reduce of no bytes.
double latency(Algorithm algorithm, const GroupLinks& links) {
  return microseconds(Collective::all_reduce, algorithm, 0, links);
}

// Of an all-gather by ring in protocol LL, from two sizes: what a ring's link carries, in GB/s, and the time of no bytes.
struct LowLatency {
  double rate, start;
};
LowLatency low_latency(const GroupLinks& links, double size) {
  for (const double bytes : {size, 2 * size})
    CHECK(tune(Collective::all_gather, Algorithm::ring, Bytes(bytes), links).protocol == Protocol::ll);
  const double one = microseconds(Collective::all_gather, Algorithm::ring, size, links),
               two = microseconds(Collective::all_gather, Algorithm::ring, 2 * size, links);
  return {size * (links.ranks - 1) / links.ranks / (two - one) * 1e-3, 2 * one - two};
}

constexpr double kBegin = 2;  // us: kernel start and first flags, under each of the times

}  // namespace

// NCCL 2.30, src/graph/tuning.cc: latency of a ring's step on NVLink in LL 0.6 us. Seven steps over 8 GPUs.
TEST_CASE("a step of a ring in protocol LL takes NCCL's 0.6 us on NVLink") {
  CHECK((low_latency(group(1, 8), 32e3).start - kBegin) / 7 == doctest::Approx(0.6).epsilon(0.02));
}

// NCCL 2.30, src/graph/tuning.cc, llMaxBws of one node: Ampere 87.7, Hopper 141, Blackwell 2 x 141 GB/s, where rings reach
// 225, 360 and 670 GB/s in Simple.
TEST_CASE("protocol LL inside a domain carries what NCCL states for each generation of NVLink") {
  const std::vector<std::pair<double, double>> generations{{225e9, 87.7}, {360e9, 141}, {670e9, 282}};
  for (const auto& [ring, stated] : generations) {
    GroupLinks links = group(1, 8);
    links.intra = links.intra_nominal = Bandwidth(ring);
    CHECK(low_latency(links, 32e3).rate == doctest::Approx(stated).epsilon(0.06));
  }
}

// NCCL 2.30, src/graph/tuning.cc: latency of a ring's step over the network in LL 2.7 us. Of the times of 5 and of 9 nodes
// with a GPU each, four steps are left, and eight of an all-reduce. Four network latencies start it (tuner.cpp: fitted).
TEST_CASE(
    "a step of a ring in protocol LL takes NCCL's 2.7 us between nodes, and an all-reduce goes round twice") {
  const auto of = [](Collective collective, int nodes) {
    return microseconds(collective, Algorithm::ring, 0, group(nodes, 1));
  };
  const double five = of(Collective::all_gather, 5);
  CHECK((of(Collective::all_gather, 9) - five) / 4 == doctest::Approx(2.7).epsilon(0.02));
  CHECK((of(Collective::all_reduce, 9) - of(Collective::all_reduce, 5)) / 8 ==
        doctest::Approx(2.7).epsilon(0.02));
  CHECK(five == doctest::Approx(kBegin + 4 * 4.8 + 4 * 2.7).epsilon(0.005));
}

// NCCL 2.30, src/graph/tuning.cc: latency of a ring's step over the network in LL128 4 us. Nine nodes with a GPU each: ten
// network latencies to start (tuner.cpp: fitted) and 8 steps are L = 48 + 8 x 4 = 80 us. 46 MB each for 9/8 of them at
// 0.97 x 46 GB/s, B = 1030.93 us; and 1.5 sqrt(L B) = 430.78 us for the pipeline to fill.
TEST_CASE("a step of a ring in protocol LL128 takes NCCL's 4 us between nodes") {
  const double size = 46e6 * 9 / 8;
  CHECK(tune(Collective::all_gather, Algorithm::ring, Bytes(size), group(9, 1)).protocol == Protocol::ll128);
  CHECK(microseconds(Collective::all_gather, Algorithm::ring, size, group(9, 1)) ==
        doctest::Approx(kBegin + 80 + 1030.93 + 430.78).epsilon(0.001));
}

// 4 nodes of 8 GPUs in LL128: 28 steps inside of 0.34 x 1.7 us, 16.184 us, and 10 + 3 x 0.83 network latencies, 59.952 us,
// are L = 76.136 us (tuner.cpp: fitted but for the 0.83). 31/32 of the bytes take 1 ms at 360 GB/s, 1030.928 us at 0.97 of
// it; 1.5 sqrt(L B) = 420.243 us.
TEST_CASE("a ring over nodes of several GPUs pays the steps inside each node too") {
  const double size = 360e6 * 32 / 31;
  CHECK(tune(Collective::all_gather, Algorithm::ring, Bytes(size), group(4, 8)).protocol == Protocol::ll128);
  CHECK(microseconds(Collective::all_gather, Algorithm::ring, size, group(4, 8)) ==
        doctest::Approx(kBegin + 76.136 + 1030.928 + 420.243).epsilon(1e-5));
}

// Seven steps of 0.32 x 1.7 us in Simple are L = 3.808 us, 7/8 of 411.43 MB at 360 GB/s B = 1 ms. At its optimum a pipeline
// takes L + B + 2 sqrt(L B); with NCCL's chunks 1.5 sqrt(L B) (tuner.hpp: fitted), 92.563 us.
TEST_CASE("filling the pipeline of a ring costs 1.5 times the root of its latency and its bandwidth term") {
  const double size = 360e6 * 8 / 7;
  CHECK(tune(Collective::all_gather, Algorithm::ring, Bytes(size), group(1, 8)).protocol == Protocol::simple);
  CHECK(microseconds(Collective::all_gather, Algorithm::ring, size, group(1, 8)) ==
        doctest::Approx(kBegin + 3.808 + 1000 + 92.563).epsilon(1e-6));
}

// NCCL 2.30, src/graph/tuning.cc: a tree has 0.92 of a ring's bandwidth. 3.6 GB twice over the 360 GB/s of the scale-up
// links, which are less than 8 NICs' 368: 20 ms / 0.92.
TEST_CASE("a double tree moves its bytes at 0.92 of a ring's rate") {
  CHECK(microseconds(Collective::all_reduce, Algorithm::double_tree, 3.6e9, without_latency(group(4, 8))) ==
        doctest::Approx(kBegin + 20000 / 0.92).epsilon(1e-6));
}

// 4 B of data go with 4 B of flag: half of 20 GB/s. NCCL 2.30, src/graph/tuning.cc, llMaxBws of Intel: 39 GB/s on two
// nodes and 20.4 on four.
TEST_CASE("protocol LL between nodes carries half of the link, and at most NCCL's 39 and 20.4 GB/s") {
  const auto rate = [](int nodes, double link) {
    GroupLinks links = group(nodes, 1);
    links.inter = links.inter_nominal = Bandwidth(link);
    return low_latency(links, 16e3).rate;
  };
  CHECK(rate(2, 20e9) == doctest::Approx(10).epsilon(1e-6));
  CHECK(rate(4, 20e9) == doctest::Approx(10).epsilon(1e-6));
  CHECK(rate(2, 200e9) == doctest::Approx(39).epsilon(1e-6));
  CHECK(rate(4, 200e9) == doctest::Approx(20.4).epsilon(1e-6));
}

// coreweave/nccl-tests README (2026), all-reduce over 20 racks of 72: 12.88 GB more, from 4 to 16 GiB, take 84.625 - 24.782 =
// 59.84 ms more: 2 x 1439/1440 x 215.3 = 430 GB/s of bus bandwidth. Rings on Blackwell reach 670 GB/s inside and 46 through
// a NIC: 72 channels would be held by 670, 8 by 368.
TEST_CASE("twenty NVL72 racks reach the measured 430 GB/s of bus bandwidth, by ring and by tree") {
  GroupLinks links = without_latency(group(20, 72));
  links.intra = links.intra_nominal = Bandwidth(670e9);
  links.in_switch = Bandwidth(670e9);
  links.in_switch_reduction = true;
  for (const Algorithm algorithm : {Algorithm::ring, Algorithm::hierarchical}) {
    const Seconds time = tune(Collective::all_reduce, algorithm, Bytes(17e9), links).time;
    CHECK(bus_bandwidth(Collective::all_reduce, 1440, Bytes(17e9), time).value / 1e9 ==
          doctest::Approx(430).epsilon(0.03));
  }
}

// NCCL 2.30, src/graph/tuning.cc: latency of a tree's step over the network in Simple 14 us, and NVLSTree has no other
// protocol. From 4 to 16 nodes the tree is two deeper: two steps up and two down.
TEST_CASE("a tree of in-switch reductions pays NCCL's 14 us up and down for each level") {
  GroupLinks four = group(4, 8), sixteen = group(16, 8);
  four.in_switch_reduction = sixteen.in_switch_reduction = true;
  CHECK((latency(Algorithm::hierarchical, sixteen) - latency(Algorithm::hierarchical, four)) / 4 ==
        doctest::Approx(14).epsilon(0.02));
}

// The same without the switch: a ring of 4 or 8 nodes, there and back, 14 us a step; and inside, where domains of 4 and of 8
// differ by four steps for the reduce-scatter and four for the all-gather, of 0.32 x 1.7 us each (tuner.cpp: fitted).
TEST_CASE("reduce-scatter, all-reduce between nodes and all-gather pay each step twice") {
  const auto of = [](int nodes, int gpus) { return latency(Algorithm::hierarchical, group(nodes, gpus)); };
  CHECK((of(8, 8) - of(4, 8)) / 8 == doctest::Approx(14).epsilon(0.02));
  CHECK((of(4, 8) - of(4, 4)) / 8 == doctest::Approx(0.32 * 1.7).epsilon(1e-6));
}

// In LL: from 4 to 16 nodes two levels more, up and down, of 2.7 us (as above); domains of 8 instead of 4 are chains four
// steps longer, up and down, of 0.6 us.
TEST_CASE("a double tree pays each level between nodes and each link of its chains inside twice") {
  const auto of = [](int nodes, int gpus) { return latency(Algorithm::double_tree, group(nodes, gpus)); };
  CHECK((of(16, 8) - of(4, 8)) / 4 == doctest::Approx(2.7).epsilon(0.02));
  CHECK((of(4, 8) - of(4, 4)) / 8 == doctest::Approx(0.6).epsilon(0.02));
}

// Ten network latencies start it (tuner.cpp: fitted), 48 us; 7 steps of 0.32 x 1.7 us and the way to the switches, and
// both again: 2 x (3.808 + 4.8). No more for more nodes, whose switches are counted in the network latency.
TEST_CASE("a reduction in the network pays the scale-up steps and the way to the switches twice") {
  CHECK(latency(Algorithm::in_network, group(2, 8)) ==
        doctest::Approx(kBegin + 48 + 2 * (3.808 + 4.8)).epsilon(1e-6));
  CHECK(latency(Algorithm::in_network, group(64, 8)) ==
        doctest::Approx(kBegin + 48 + 2 * (3.808 + 4.8)).epsilon(1e-6));
}

// Half of the 48 us that start a ring in Simple, since all messages are posted at once, and 15 messages of 0.32 x 1.7 us.
TEST_CASE("an all-to-all over two nodes starts in half of the time of a ring") {
  CHECK(microseconds(Collective::all_to_all, Algorithm::pairwise, 0, group(2, 8)) ==
        doctest::Approx(kBegin + 0.5 * 48 + 15 * 0.544).epsilon(1e-6));
}

// 3.6 GB over 2 x 8 GPUs. 7/8 of it over 360 GB/s is 8.75 ms, twice; between the nodes a ring of two over an eighth of it:
// 2 x 1/2 x 0.45 GB / 46 GB/s = 9.7826 ms.
TEST_CASE("without a switch that reduces an all-reduce crosses the scale-up links twice and the NICs once") {
  CHECK(microseconds(Collective::all_reduce, Algorithm::hierarchical, 3.6e9, without_latency(group(2, 8))) ==
        doctest::Approx(kBegin + 2 * 8750 + 9782.6087).epsilon(1e-6));
}

// SHARP: 17.5 ms inside; the 9.7826 ms over the NICs run in its shadow.
TEST_CASE("a reduction in the network crosses the scale-up links twice, and the NICs at the same time") {
  CHECK(microseconds(Collective::all_reduce, Algorithm::in_network, 3.6e9, without_latency(group(2, 8))) ==
        doctest::Approx(kBegin + 2 * 8750).epsilon(1e-6));
}
