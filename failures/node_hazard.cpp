// See the header.
#include "failures/node_hazard.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "failures/limits.hpp"

namespace runcast {

namespace {

Duration later(Duration clock, double gap_seconds) {
  if (gap_seconds >= kClockReach.value) return {kNever.ns};
  const Duration gap = to_clock(Seconds(gap_seconds));
  return gap.ns > kNever.ns - clock.ns ? Duration{kNever.ns} : clock + gap;
}

}  // namespace

NodeHazard::NodeHazard(const FailureModel& model, const JobScale& scale, Seconds recurrence,
                       std::uint64_t seed, std::uint64_t trial)
    : model_(model),
      broken_rate_(recurrence.value > 0 ? 1 / recurrence.value : 0),
      seed_(seed),
      trial_(trial),
      positions_(scale.nodes),
      young_(seed, Purpose::young_node, 0, trial) {
  const double per_node = node_rate(model, scale).value;
  lemon_rate_ = per_node * (model.lemons.multiplier - 1);
  young_rate_ = per_node * (model.young.factor - 1) * static_cast<double>(scale.nodes);
  double sum = 0;
  for (const FailureClass& failure : model.classes) {
    if (of_single_nodes(failure)) sum += system_rate(failure, scale).value;
    cumulative_.push_back(sum);
  }
  if (young_rate_ > 0) {
    young_next_ = {};
    step_young();
  }
}

void NodeHazard::step_young() { young_next_ = later(young_next_, young_.exponential(1 / young_rate_)); }

void NodeHazard::enter(std::int32_t node, const Node& record, Duration clock) {
  if (record.lemon || record.broken) schedule(node, record, clock);
}

// Memoryless: what was left of an earlier stay is drawn anew. The address holds the stay, so that other nodes'
// fates do not move it.
void NodeHazard::schedule(std::int32_t node, const Node& record, Duration clock) {
  const double rate = (record.lemon ? lemon_rate_ : 0) + (record.broken ? broken_rate_ : 0);
  if (rate <= 0) return;
  RandomStream random(seed_, Purpose::lemon, static_cast<std::uint64_t>(node),
                      trial_ ^ (static_cast<std::uint64_t>(record.stay) << 40));
  heap_.push_back({later(clock, random.exponential(1 / rate)), node, record.stay});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

Duration NodeHazard::next() const {
  return heap_.empty() ? young_next_ : std::min(young_next_, heap_.front().at);
}

std::size_t NodeHazard::some_class(double uniform) const {
  const double target = uniform * cumulative_.back();
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), target);
  return static_cast<std::size_t>(std::min(found, cumulative_.end() - 1) - cumulative_.begin());
}

std::optional<NodeHazard::Strike> NodeHazard::take(const NodeFleet& fleet, Time now) {
  if (!heap_.empty() && heap_.front().at <= young_next_) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const Entry entry = heap_.back();
    heap_.pop_back();
    const Node& record = fleet.node(entry.node);
    if (record.position < 0 || record.stay != entry.stay) return std::nullopt;
    if (record.broken) return Strike{entry.node, record.cause};
    if (cumulative_.empty() || cumulative_.back() <= 0) return std::nullopt;
    RandomStream random(seed_, Purpose::lemon, static_cast<std::uint64_t>(entry.node),
                        trial_ ^ (static_cast<std::uint64_t>(record.stay) << 40));
    return Strike{entry.node, some_class(random.uniform_at(1))};
  }
  step_young();
  const auto position = static_cast<std::int64_t>(young_.below(static_cast<std::uint64_t>(positions_)));
  const double keep = young_.uniform(), which = young_.uniform();
  const std::int32_t node = fleet.at(position);
  if (node < 0) return std::nullopt;
  const double age = to_seconds(now - fleet.node(node).born).value;
  if (keep >= std::exp(-age / model_.young.decay.value)) return std::nullopt;
  return Strike{node, some_class(which)};
}

}  // namespace runcast
