#include "parallelism/kind_traffic.hpp"

#include <algorithm>
#include <string_view>

namespace runcast {

namespace {

// Of the step, in which the groups of a kind send.
double busy_share(const StepResult& step, std::string_view kind) {
  double time = 0;
  for (const CommunicationTotal& total : step.communication)
    if (total.group == kind) time += total.time.value;
  return std::min(1.0, time / to_seconds(step.time).value);
}

bool leaves_domain(const Fabric& fabric, const std::vector<std::vector<GpuId>>& groups) {
  return std::ranges::any_of(groups, [&](const std::vector<GpuId>& group) {
    return std::ranges::any_of(
        group, [&](GpuId gpu) { return fabric.domain_of(gpu) != fabric.domain_of(group.front()); });
  });
}

// Each rank with the same rank of the next pipeline stage: one message at a time leaves a rank, and one comes.
std::vector<std::vector<GpuId>> neighbours(const Network& network, const Layout& l) {
  std::vector<std::vector<GpuId>> pairs;
  for (const std::vector<GpuId>& group :
       network.concurrent_groups(l.group(Axis::pipeline), l.world() / l.pipeline))
    for (std::size_t p = 0; p + 1 < group.size(); ++p) pairs.push_back({group[p], group[p + 1]});
  return pairs;
}

std::vector<RankId> expert_group(const Layout& l) {
  std::vector<RankId> inside;
  for (int d = 0; d < l.data; ++d)
    for (int c = 0; c < l.context; ++c)
      for (int t = 0; t < l.tensor; ++t) inside.push_back(l.rank(t, c, 0, d));
  std::ranges::sort(inside);
  std::vector<RankId> experts;
  for (int e = 0; e < l.expert; ++e) experts.push_back(inside[static_cast<std::size_t>(e * l.expert_tensor)]);
  return experts;
}

}  // namespace

std::vector<KindTraffic> kind_traffic(const Network& network, const Layout& l, const StepResult& alone) {
  std::vector<KindTraffic> kinds;
  const auto add = [&](const char* kind, Collective collective, std::vector<std::vector<GpuId>> groups) {
    const double busy = busy_share(alone, kind);
    if (busy > 0 && leaves_domain(network.fabric(), groups))
      kinds.push_back({kind, collective, std::move(groups), busy});
  };
  const auto along = [&](std::vector<RankId> members) {
    const int concurrent = l.world() / static_cast<int>(members.size());
    return network.concurrent_groups(members, concurrent);
  };
  if (l.tensor > 1) add("tensor", Collective::all_gather, along(l.group(Axis::tensor)));
  if (l.context > 1) add("context", Collective::all_gather, along(l.group(Axis::context)));
  if (l.pipeline > 1) add("pipeline", Collective::send_receive, neighbours(network, l));
  if (l.data * l.context > 1)
    add("data", Collective::all_gather, along(l.group(Axis::context, Axis::data, 0)));
  constexpr double kMostPairs = 250'000;  // above, a solution of all pairs at once takes longer than the step
  if (l.expert > 1 && static_cast<double>(l.world()) * l.expert <= kMostPairs)
    add("expert", Collective::all_to_all, along(expert_group(l)));
  return kinds;
}

}  // namespace runcast
