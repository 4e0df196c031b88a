// See the header.
#include "scenarios/slow_response.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "scenarios/experiment.hpp"

namespace runcast {

namespace {

constexpr int kRanks = 2048;  // of the job that stands for a larger one

// The same job with fewer replicas, where nothing but gradients crosses between them.
Scenario representative(const Scenario& s) {
  const int replica = s.layout.world() / s.layout.data, data = std::max(2, kRanks / replica);
  const bool alike = s.placement == "packed" && s.faults.empty() && s.layout.expert == 1 &&
                     s.training.sharding.group == 0 && s.layout.order.back() == Axis::data;
  const std::int64_t nodes = static_cast<std::int64_t>(replica) * data / std::max(1, s.node.gpus);
  if (!alike || data >= s.layout.data || nodes * s.node.gpus != static_cast<std::int64_t>(replica) * data)
    return s;
  Scenario fewer = s;
  fewer.nodes = static_cast<int>(nodes);
  fewer.training.global_batch = s.training.global_batch / s.layout.data * data;
  fewer.layout.data = data;
  return fewer;
}

// Multiples of the mean excess: a draw without spread is met exactly, the tail of a lognormal by the last line.
std::vector<double> severities(const FailureClass& failure) {
  if (failure.slowdown <= 1) return {};
  if (failure.slowdown_spread <= 0) return {failure.slowdown};
  std::vector<double> list;
  for (const double k : {0.25, 0.5, 1.0, 2.0, 4.0}) list.push_back(1 + k * (failure.slowdown - 1));
  return list;
}

// Nodes of the first, the middle and the last stage of the first replica.
std::set<std::int64_t> nodes_of_stages(const Scenario& s, std::uint64_t seed) {
  const Placement placement = s.place(seed);
  std::set<std::int64_t> nodes;
  for (const int stage : {0, s.layout.pipeline / 2, s.layout.pipeline - 1}) {
    const auto rank = static_cast<std::size_t>(s.layout.rank(0, 0, stage, 0).value);
    nodes.insert(placement.gpu[rank].value / s.node.gpus);
  }
  return nodes;
}

// The cable from the first NIC of a node into the network; of its first GPU into the scale-up switch where it has none.
std::string cable_of(const Fabric& fabric, std::int64_t node) {
  const GpuId gpu(static_cast<std::int32_t>(node * fabric.node().gpus));
  std::string inner;
  for (const LinkId out : fabric.links_from(fabric.vertex_of(gpu))) {
    const VertexId to = fabric.link(out).to;
    if (fabric.kind(to) != VertexKind::nic) {
      inner = fabric.link(out).name;
      continue;
    }
    for (const LinkId up : fabric.links_from(to))
      if (fabric.kind(fabric.link(up).to) == VertexKind::network_switch) return fabric.link(up).name;
  }
  return inner;
}

Fault fault_of(const Scenario& s, const FailureClass& failure, std::int64_t node, double slowdown) {
  Fault fault;
  if (failure.domain == Domain::link || failure.domain == Domain::nic) {
    fault.kind = Fault::Kind::link;
    fault.link = cable_of(Fabric(s.node, s.nodes, s.fabric), node);
    fault.capacity = 1 / slowdown;
    return fault;
  }
  const double victims = std::max(1.0, mean_victims(failure, s.job_scale()));
  fault.kind = Fault::Kind::rack;
  fault.rack_nodes = std::min<std::int64_t>(s.nodes, static_cast<std::int64_t>(victims));
  fault.place = node / fault.rack_nodes;
  fault.slowdown = slowdown;
  return fault;
}

}  // namespace

std::vector<SlowPoint> slow_response(const Scenario& s, const FailureClass& failure, Seconds step,
                                     std::uint64_t seed) {
  Scenario job = representative(s);
  const double normal = to_seconds(step_of(job, seed, false).time).value;
  const std::vector<Fault> before = job.faults;
  const std::set<std::int64_t> nodes = nodes_of_stages(job, seed);
  std::vector<SlowPoint> table;
  for (const double severity : severities(failure)) {
    double excess = 0;
    for (const std::int64_t node : nodes) {
      job.faults = before;
      job.faults.push_back(fault_of(job, failure, node, severity));
      excess += to_seconds(step_of(job, seed, false).time).value - normal;
    }
    const double mean = std::max(0.0, excess / static_cast<double>(nodes.size()));
    table.push_back({severity, 1 + mean / step.value});
  }
  return table;
}

FailureModel with_slow_responses(const Scenario& s, Seconds step, std::uint64_t seed) {
  FailureModel model = s.failures;
  for (FailureClass& failure : model.classes)
    if (failure.action == Action::slow && !failure.sensitivity)
      failure.response = slow_response(s, failure, step, seed);
  return model;
}

}  // namespace runcast
