// Flows in time: ends and arrivals derived by hand, conservation of work, and equal instants as one.
#include "topology/flow_network.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "sim/random.hpp"

using namespace runcast;

namespace {

struct Run {
  EventQueue queue;
  FlowNetwork network;
  std::vector<std::pair<std::uint64_t, std::int64_t>> arrivals;  // tag, ns
  explicit Run(std::vector<double> capacities) : network(queue, std::move(capacities)) {
    network.on_arrival([this](std::uint64_t tag) { arrivals.emplace_back(tag, queue.now().ns); });
  }
  int route(std::vector<std::int32_t> links, double latency = 0) {
    return network.route(links, Seconds(latency));
  }
};

using Arrivals = std::vector<std::pair<std::uint64_t, std::int64_t>>;

}  // namespace

// 1 GB over 1 GB/s: 1 s, and 5 us for the hops.
TEST_CASE("a flow alone takes its bytes over the narrowest link and the latency of its route") {
  Run run({1e9, 4e9});
  run.network.start(run.route({0, 1}, 5e-6), Bytes(1e9), 7);
  run.queue.run();
  CHECK(run.arrivals == Arrivals{{7, 1'000'005'000}});
}

// 1 GB/s for A of 1 GB and B of 3 GB from 0: 0.5 GB/s each until A ends at 2 s; B has 2 GB left, ends at 4 s.
TEST_CASE("what one flow leaves when it ends speeds up the other") {
  Run run({1e9});
  const int link = run.route({0});
  run.network.start(link, Bytes(1e9), 1);
  run.network.start(link, Bytes(3e9), 2);
  run.queue.run();
  CHECK(run.arrivals == Arrivals{{1, 2'000'000'000}, {2, 4'000'000'000}});
}

// B of 1 GB comes at 1 s, when A of 2 GB has sent 1 GB: both then have 1 GB at 0.5 GB/s and end together at 3 s.
TEST_CASE("a flow that comes later slows the first, and equal ends are in order of start") {
  Run run({1e9});
  const int link = run.route({0});
  run.network.start(link, Bytes(2e9), 1);
  run.queue.at(Time{1'000'000'000}, Phase::start, [&] { run.network.start(link, Bytes(1e9), 2); });
  run.queue.run();
  CHECK(run.arrivals == Arrivals{{1, 3'000'000'000}, {2, 3'000'000'000}});
}

// 2 GB at 1 GB/s for 1 s, then at 0.25 GB/s: 1 + 4 s.
TEST_CASE("a link that degrades slows the flows on it from then on") {
  Run run({1e9});
  run.network.start(run.route({0}), Bytes(2e9), 1);
  run.queue.at(Time{1'000'000'000}, Phase::failure, [&] { run.network.set_capacity(0, 0.25e9); });
  run.queue.run();
  CHECK(run.arrivals == Arrivals{{1, 5'000'000'000}});
}

// A chain of three messages of 1 GB, each started by the arrival of the one before: 3 x (1 s + 1 us).
TEST_CASE("an arrival may start the next flow") {
  EventQueue queue;
  FlowNetwork network(queue, {1e9});
  const std::vector<std::int32_t> links{0};
  const int route = network.route(links, Seconds(1e-6));
  std::vector<std::int64_t> times;
  network.on_arrival([&](std::uint64_t tag) {
    times.push_back(queue.now().ns);
    if (tag > 0) network.start(route, Bytes(1e9), tag - 1);
  });
  network.start(route, Bytes(1e9), 2);
  queue.run();
  CHECK(times == std::vector<std::int64_t>{1'000'001'000, 2'000'002'000, 3'000'003'000});
}

TEST_CASE("a message of nothing arrives after the latency") {
  Run run({1e9});
  run.network.start(run.route({0}, 3e-6), Bytes(0), 1);
  run.queue.run();
  CHECK(run.arrivals == Arrivals{{1, 3'000}});
}

// 100 equal flows that end together: one change of the shares when they start, and none is left to share at the end.
TEST_CASE("simultaneous ends are one event") {
  Run run({1e9});
  const int link = run.route({0});
  for (std::uint64_t i = 0; i < 100; ++i) run.network.start(link, Bytes(1e7), i);
  run.queue.run();
  CHECK(run.arrivals.size() == 100);
  CHECK(run.arrivals.back().second == 1'000'000'000);
  CHECK(run.queue.executed() == 2);  // the shares at 0 s, the ends at 1 s
}

// 16 hosts, links in and out of 1 GB/s, 200 flows at random: each link carries exactly the bytes of its flows, and
// since a link is never over capacity, the last arrival is no earlier than the fullest link's bytes allow. While any
// flow is there some link is full: the sum of full times covers the run.
TEST_CASE("work is conserved, and no link is used beyond its capacity") {
  constexpr int hosts = 16;
  EventQueue queue;
  FlowNetwork network(queue, std::vector<double>(2 * hosts, 1e9));
  network.count_usage();
  std::vector<double> due(2 * hosts, 0);
  int arrived = 0;
  network.on_arrival([&](std::uint64_t) { ++arrived; });
  RandomStream random(3, Purpose::placement, 1, 0);
  for (int i = 0; i < 200; ++i) {
    const auto from = static_cast<std::int32_t>(random.below(hosts)),
               to = static_cast<std::int32_t>(random.below(hosts));
    const double size = 1e6 * static_cast<double>(1 + random.below(100));
    const std::vector<std::int32_t> links{from, hosts + to};
    due[static_cast<std::size_t>(from)] += size;
    due[static_cast<std::size_t>(hosts + to)] += size;
    const int route = network.route(links, Seconds(0));
    queue.at(Time{static_cast<std::int64_t>(random.below(100'000'000))}, Phase::start,
             [&network, route, size] { network.start(route, Bytes(size), 0); });
  }
  queue.run();
  CHECK(arrived == 200);
  double fullest = 0, saturated = 0;
  for (int link = 0; link < 2 * hosts; ++link) {
    const double bytes = due[static_cast<std::size_t>(link)];
    CHECK(network.carried(link) == doctest::Approx(bytes).epsilon(1e-6));
    fullest = std::max(fullest, bytes);
    saturated = std::max(saturated, network.saturated(link).value);
  }
  CHECK(to_seconds(queue.now()).value >= fullest / 1e9);
  CHECK(saturated <= to_seconds(queue.now()).value);
  CHECK(saturated > 0);
}
