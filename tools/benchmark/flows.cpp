// The network with contention: random flows over a fat tree, and a ring all-reduce as its messages.
#include <benchmark/benchmark.h>

#include <vector>

#include "sim/error.hpp"
#include "sim/random.hpp"
#include "topology/flow_network.hpp"

namespace runcast {
namespace {

// Hosts of 50 GB/s under leaves of 16, which have as much towards the spine as to their hosts. Packets are sprayed over
// the spines (adaptive routing), so that the uplinks of a leaf are one.
struct FatTree {
  static constexpr int kLeaf = 16;
  static constexpr double kRate = 50e9;
  int hosts;
  std::vector<double> capacities() const {
    std::vector<double> c(static_cast<std::size_t>(2 * hosts), kRate);
    c.resize(c.size() + static_cast<std::size_t>(2 * hosts / kLeaf), kRate * kLeaf);
    return c;
  }
  std::vector<std::int32_t> links(int from, int to) const {
    std::vector<std::int32_t> route{from};
    if (from / kLeaf != to / kLeaf) {
      route.push_back(2 * hosts + from / kLeaf);
      route.push_back(2 * hosts + hosts / kLeaf + to / kLeaf);
    }
    route.push_back(hosts + to);
    return route;
  }
};

// 256 hosts, 16 flows each to random partners, sizes uniform in 1 to 2 GB.
void random_flows(benchmark::State& state) {
  const FatTree tree{static_cast<int>(state.range(0))};
  std::uint64_t arrivals = 0;
  for (auto _ : state) {
    EventQueue queue;
    FlowNetwork network(queue, tree.capacities());
    network.on_arrival([](std::uint64_t) {});
    RandomStream random(1, Purpose::placement, 0, 0);
    for (int host = 0; host < tree.hosts; ++host)
      for (int flow = 0; flow < 16; ++flow) {
        const auto others = static_cast<std::uint64_t>(tree.hosts - 1);
        int to = static_cast<int>(random.below(others));
        to += to >= host;
        const double size = 1e9 * (1 + random.uniform());
        network.start(network.route(tree.links(host, to), Seconds(5e-6)), Bytes(size), 0);
      }
    queue.run();
    arrivals += network.arrivals();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(arrivals));
}
BENCHMARK(random_flows)->ArgName("hosts")->Arg(256)->Unit(benchmark::kMillisecond);

// Ring all-reduce: each host sends 2 (n - 1) messages of S/n to the next, each when the one before it has come in.
void ring_messages(benchmark::State& state) {
  const FatTree tree{static_cast<int>(state.range(0))};
  const auto hosts = static_cast<std::uint64_t>(tree.hosts);
  const std::uint64_t steps = 2 * (hosts - 1);
  std::uint64_t arrivals = 0;
  for (auto _ : state) {
    EventQueue queue;
    FlowNetwork network(queue, tree.capacities());
    std::vector<int> next;
    for (int host = 0; host < tree.hosts; ++host)
      next.push_back(network.route(tree.links(host, (host + 1) % tree.hosts), Seconds(5e-6)));
    const Bytes chunk(1e9 / static_cast<double>(hosts));
    network.on_arrival([&](std::uint64_t tag) {  // tag: step x hosts + sender
      const std::uint64_t step = tag / hosts + 1, receiver = (tag % hosts + 1) % hosts;
      if (step < steps) network.start(next[receiver], chunk, step * hosts + receiver);
    });
    for (std::uint64_t host = 0; host < hosts; ++host) network.start(next[host], chunk, host);
    queue.run();
    INVARIANT(network.arrivals() == steps * hosts);
    arrivals += network.arrivals();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(arrivals));
}
BENCHMARK(ring_messages)->ArgName("hosts")->Arg(1024)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace runcast
