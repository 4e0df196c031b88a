#include "topology/collective.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace runcast;

namespace {

double microseconds(Collective collective, Algorithm algorithm, double size) {
  return closed_form(collective, algorithm, 8, Seconds(2e-6), Bytes(size), Bandwidth(300e9)).value * 1e6;
}

const std::vector<std::pair<Collective, Algorithm>> kRows{
    {Collective::all_reduce, Algorithm::ring},        {Collective::all_reduce, Algorithm::tree},
    {Collective::all_reduce, Algorithm::double_tree}, {Collective::all_reduce, Algorithm::halving_doubling},
    {Collective::all_reduce, Algorithm::nvls},        {Collective::all_gather, Algorithm::ring},
    {Collective::reduce_scatter, Algorithm::ring},    {Collective::all_to_all, Algorithm::pairwise},
    {Collective::broadcast, Algorithm::ring},         {Collective::send_receive, Algorithm::pairwise},
};

}  // namespace

// n = 8, alpha = 2 us, b = 300 GB/s. 14 steps x 2 us = 28; 1.75 x 1e6 / 300e3 = 5.83 -> 33.83 us.
TEST_CASE("ring all-reduce over 8 ranks takes 33.83, 401.33 and 5861.33 us for 1 MB, 64 MB and 1 GB") {
  CHECK(microseconds(Collective::all_reduce, Algorithm::ring, 1e6) == doctest::Approx(33.8333).epsilon(1e-5));
  CHECK(microseconds(Collective::all_reduce, Algorithm::ring, 64e6) ==
        doctest::Approx(401.3333).epsilon(1e-6));
  CHECK(microseconds(Collective::all_reduce, Algorithm::ring, 1e9) ==
        doctest::Approx(5861.3333).epsilon(1e-7));
}

// Half of the all-reduce: 7 steps x 2 us = 14; 0.875 x 1e6 / 300e3 = 2.92 -> 16.92 us.
TEST_CASE("ring all-gather over 8 ranks takes 16.92, 200.67 and 2930.67 us; reduce-scatter the same") {
  for (const Collective half : {Collective::all_gather, Collective::reduce_scatter}) {
    CHECK(microseconds(half, Algorithm::ring, 1e6) == doctest::Approx(16.9167).epsilon(1e-5));
    CHECK(microseconds(half, Algorithm::ring, 64e6) == doctest::Approx(200.6667).epsilon(1e-6));
    CHECK(microseconds(half, Algorithm::ring, 1e9) == doctest::Approx(2930.6667).epsilon(1e-7));
  }
}

// 2 log2 8 = 6 steps x 2 us = 12; the bandwidth term of the ring: 5.83 -> 17.83 us.
TEST_CASE("halving-doubling all-reduce over 8 ranks takes 17.83, 385.33 and 5845.33 us") {
  const auto time = [](double size) {
    return microseconds(Collective::all_reduce, Algorithm::halving_doubling, size);
  };
  CHECK(time(1e6) == doctest::Approx(17.8333).epsilon(1e-5));
  CHECK(time(64e6) == doctest::Approx(385.3333).epsilon(1e-6));
  CHECK(time(1e9) == doctest::Approx(5845.3333).epsilon(1e-7));
}

// 300 MB at 300 GB/s crosses a link in 1 ms. Single tree 12 us + 3 ms; double tree 12 us + 2 ms;
// NVLS 2 us + (1 + 1/8) ms; all-to-all 14 us + 7/8 ms; broadcast 14 us + 1 ms; one message 2 us + 1 ms.
TEST_CASE("trees, NVLS, all-to-all, broadcast and a message follow their rows of the table") {
  const double size = 300e6;
  CHECK(microseconds(Collective::all_reduce, Algorithm::tree, size) == doctest::Approx(3012).epsilon(1e-9));
  CHECK(microseconds(Collective::all_reduce, Algorithm::double_tree, size) ==
        doctest::Approx(2012).epsilon(1e-9));
  CHECK(microseconds(Collective::all_reduce, Algorithm::nvls, size) == doctest::Approx(1127).epsilon(1e-9));
  CHECK(microseconds(Collective::all_to_all, Algorithm::pairwise, size) ==
        doctest::Approx(889).epsilon(1e-9));
  CHECK(microseconds(Collective::broadcast, Algorithm::ring, size) == doctest::Approx(1014).epsilon(1e-9));
  CHECK(microseconds(Collective::send_receive, Algorithm::pairwise, size) ==
        doctest::Approx(1002).epsilon(1e-9));
}

// ceil(log2 n) of 5, 6, 7 and 8 ranks is 3, of 9 ranks 4: 2 x 3 x 2 us and 2 x 4 x 2 us for no bytes.
TEST_CASE("a tree over 5 ranks is as deep as over 8, over 9 one deeper") {
  const auto latency = [](int n) {
    return closed_form(Collective::all_reduce, Algorithm::double_tree, n, Seconds(2e-6), Bytes(0),
                       Bandwidth(1))
               .value *
           1e6;
  };
  CHECK(latency(5) == doctest::Approx(12).epsilon(1e-12));
  CHECK(latency(8) == doctest::Approx(12).epsilon(1e-12));
  CHECK(latency(9) == doctest::Approx(16).epsilon(1e-12));
}

TEST_CASE("no algorithm is faster than its bandwidth bound, and none is faster for more bytes") {
  for (const auto& [collective, algorithm] : kRows)
    for (const int n : {1, 2, 3, 4, 7, 8, 72, 1024, 16384}) {
      Seconds last(0);
      for (double size = 1; size < 1e12; size *= 8) {
        const Seconds time =
            closed_form(collective, algorithm, n, Seconds(1.7e-6), Bytes(size), Bandwidth(360e9));
        CHECK(time >= bandwidth_bound(collective, algorithm, n, Bytes(size), Bandwidth(450e9)));
        CHECK(time >= last);
        last = time;
      }
    }
}

TEST_CASE("a group of one rank takes no time") {
  for (const auto& [collective, algorithm] : kRows)
    CHECK(closed_form(collective, algorithm, 1, Seconds(1), Bytes(1e9), Bandwidth(1)) == Seconds(0));
}

TEST_CASE("an algorithm that does not implement the collective is a bug of the caller") {
  const auto ask = [](Collective collective, Algorithm algorithm) {
    return closed_form(collective, algorithm, 8, Seconds(0), Bytes(1), Bandwidth(1));
  };
  CHECK_THROWS_AS(ask(Collective::all_gather, Algorithm::nvls), InternalError);
  CHECK_THROWS_AS(ask(Collective::all_to_all, Algorithm::ring), InternalError);
  CHECK_THROWS_AS(ask(Collective::all_reduce, Algorithm::hierarchical), InternalError);
}

// coll-0025: 17179869184 B over 8 H100 in 62648 us: algorithm 274.23, bus 274.23 x 7/4 = 479.90 GB/s.
TEST_CASE("bus bandwidth is that of nccl-tests") {
  const Bytes size(17179869184.0);
  CHECK(bus_bandwidth(Collective::all_reduce, 8, size, Seconds(62648e-6)).value / 1e9 ==
        doctest::Approx(479.90).epsilon(1e-4));
  CHECK(bus_bandwidth(Collective::all_gather, 8, size, Seconds(22357e-6)).value / 1e9 ==
        doctest::Approx(672.38).epsilon(1e-4));
  CHECK(bus_bandwidth(Collective::send_receive, 2, size, Seconds(25904.2e-6)).value / 1e9 ==
        doctest::Approx(663.21).epsilon(1e-4));
}

// A ring at exactly the link's rate and without latency has a bus bandwidth of that rate, for any n.
TEST_CASE("the bus bandwidth of a perfect ring is the link's rate") {
  for (const int n : {2, 3, 8, 100})
    for (const Collective collective : {Collective::all_reduce, Collective::all_gather}) {
      const Seconds time = bandwidth_bound(collective, Algorithm::ring, n, Bytes(1e9), Bandwidth(450e9));
      CHECK(bus_bandwidth(collective, n, Bytes(1e9), time).value == doctest::Approx(450e9).epsilon(1e-12));
    }
}
