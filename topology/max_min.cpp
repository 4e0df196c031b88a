// Progressive filling over the region of a change. Keys of the heap are lower bounds: as flows of a link freeze below
// its own level, the level of the rest can only rise, so that a key that is too low is found out when it is taken.
#include "topology/max_min.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/error.hpp"

namespace runcast {

MaxMin::MaxMin(std::vector<double> capacities) : capacity_(std::move(capacities)) {
  for (const double capacity : capacity_) INVARIANT(capacity > 0 && std::isfinite(capacity));
  left_.resize(capacity_.size());
  open_.resize(capacity_.size());
  flows_on_.resize(capacity_.size());
  members_.resize(capacity_.size());
  link_mark_.resize(capacity_.size());
  first_.push_back(0);
}

int MaxMin::add_class(std::span<const std::int32_t> links) {
  INVARIANT(!links.empty());
  for (const std::int32_t link : links) {
    INVARIANT(link >= 0 && link < link_count());
    route_.push_back(link);
  }
  place_.resize(route_.size());
  first_.push_back(route_.size());
  count_.push_back(0);
  solved_count_.push_back(0);
  rate_.push_back(0);
  old_rate_.push_back(0);
  class_mark_.push_back(0);
  frozen_mark_.push_back(0);
  touched_.push_back(0);
  return classes() - 1;
}

void MaxMin::touch(int flow_class) {
  if (touched_[index(flow_class)] != 0) return;
  touched_[index(flow_class)] = 1;
  changed_classes_.push_back(flow_class);
}

void MaxMin::change(int flow_class, int flows) {
  std::int32_t& count = count_[index(flow_class)];
  INVARIANT(count + flows >= 0);
  if (flows == 0) return;
  count += flows;
  for (const std::int32_t link : links(flow_class)) flows_on_[index(link)] += flows;
  touch(flow_class);
}

void MaxMin::set_capacity(int link, double capacity) {
  INVARIANT(capacity > 0 && std::isfinite(capacity));
  if (capacity_[index(link)] == capacity) return;
  capacity_[index(link)] = capacity;
  changed_links_.push_back(link);
}

// Into the lists of its links, or out of them: the last one takes the free place.
void MaxMin::enter(int flow_class) {
  for (std::size_t at = first_[index(flow_class)]; at < first_[index(flow_class) + 1]; ++at) {
    auto& list = members_[index(route_[at])];
    place_[at] = static_cast<std::int32_t>(list.size());
    list.push_back(flow_class);
  }
}

void MaxMin::leave(int flow_class) {
  for (std::size_t at = first_[index(flow_class)]; at < first_[index(flow_class) + 1]; ++at) {
    const std::int32_t link = route_[at];
    auto& list = members_[index(link)];
    const std::int32_t moved = list.back();
    list[index(place_[at])] = moved;
    list.pop_back();
    for (std::size_t other = first_[index(moved)]; other < first_[index(moved) + 1]; ++other)
      if (route_[other] == link) place_[other] = place_[at];
  }
}

// The lowest level at which any change so far can be felt: the old rate of flows that went; an equal share of the
// fullest link for flows that came, which get no less; and likewise for a link with another capacity.
double MaxMin::affected_from() {
  double level = std::numeric_limits<double>::infinity();
  std::size_t kept = 0;
  for (const std::int32_t flow_class : changed_classes_) {
    const auto c = index(flow_class);
    touched_[c] = 0;
    const std::int32_t before = solved_count_[c], now = count_[c];
    if (before == now) continue;
    if (before == 0) enter(flow_class);
    if (now == 0) leave(flow_class);
    if (before > 0) level = std::min(level, rate_[c]);
    if (now > before)
      for (const std::int32_t link : links(flow_class))
        level = std::min(level, capacity_[index(link)] / static_cast<double>(flows_on_[index(link)]));
    if (before == 0) rate_[c] = std::numeric_limits<double>::infinity();  // above any level: to be solved
    solved_count_[c] = now;
    changed_classes_[kept++] = flow_class;
  }
  changed_classes_.resize(kept);
  for (const std::int32_t link : changed_links_) {
    for (const std::int32_t member : members_[index(link)]) level = std::min(level, rate_[index(member)]);
    if (flows_on_[index(link)] > 0)
      level = std::min(level, capacity_[index(link)] / static_cast<double>(flows_on_[index(link)]));
  }
  return level;
}

void MaxMin::add_link(std::int32_t link) {
  if (link_mark_[index(link)] == mark_) return;
  link_mark_[index(link)] = mark_;
  region_links_.push_back(link);
}

// The links that the change reaches through classes at or above `level`; what lower classes take of them is given.
void MaxMin::collect(double level) {
  region_links_.clear();
  region_classes_.clear();
  for (const std::int32_t flow_class : changed_classes_)
    for (const std::int32_t link : links(flow_class)) add_link(link);
  for (const std::int32_t link : changed_links_) add_link(link);
  for (std::size_t next = 0; next < region_links_.size(); ++next) {
    const auto l = index(region_links_[next]);
    double left = capacity_[l];
    std::int32_t open = 0;
    for (const std::int32_t member : members_[l]) {
      const auto c = index(member);
      if (class_mark_[c] != mark_) {
        if (rate_[c] < level) {
          left -= rate_[c] * count_[c];
          continue;
        }
        class_mark_[c] = mark_;
        region_classes_.push_back(member);
        for (const std::int32_t link : links(member)) add_link(link);
      }
      open += count_[c];
    }
    left_[l] = left;
    open_[l] = open;
  }
  visited_ += region_classes_.size();
}

void MaxMin::freeze(std::int32_t link, double level) {
  for (const std::int32_t member : members_[index(link)]) {
    const auto c = index(member);
    if (class_mark_[c] != mark_ || frozen_mark_[c] == mark_) continue;
    frozen_mark_[c] = mark_;
    old_rate_[c] = rate_[c];
    rate_[c] = level;
    const std::int32_t count = count_[c];
    const double taken = level * count;
    for (const std::int32_t other : links(member)) {
      left_[index(other)] -= taken;
      open_[index(other)] -= count;
    }
  }
}

void MaxMin::fill() {
  const auto higher = [](const Level& a, const Level& b) {
    return a.value != b.value ? a.value > b.value : a.link > b.link;
  };
  const auto level_of = [&](std::int32_t link) {
    return std::max(0.0, left_[index(link)]) / open_[index(link)];
  };
  heap_.clear();
  for (const std::int32_t link : region_links_)
    if (open_[index(link)] > 0) heap_.push_back({level_of(link), link});
  std::make_heap(heap_.begin(), heap_.end(), higher);
  double reached = 0;  // levels never fall, whatever rounding does
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), higher);
    Level& top = heap_.back();
    const std::int32_t link = top.link;
    if (open_[index(link)] == 0) {
      heap_.pop_back();
      continue;
    }
    const double level = level_of(link);
    if (level > top.value) {
      top.value = level;
      std::push_heap(heap_.begin(), heap_.end(), higher);
      continue;
    }
    heap_.pop_back();
    reached = std::max(reached, level);
    freeze(link, reached);
  }
}

std::span<const std::int32_t> MaxMin::solve() {
  result_.clear();
  if (changed_classes_.empty() && changed_links_.empty()) return result_;
  const double level = affected_from();
  if (!changed_classes_.empty() || !changed_links_.empty()) {
    ++mark_;
    collect(level);
    fill();
    for (const std::int32_t flow_class : region_classes_)
      if (rate_[index(flow_class)] != old_rate_[index(flow_class)]) result_.push_back(flow_class);
  }
  changed_classes_.clear();
  changed_links_.clear();
  return result_;
}

double MaxMin::load(int link) const {
  double sum = 0;
  for (const std::int32_t member : members_[index(link)]) sum += rate_[index(member)] * solved_count_[index(member)];
  return sum;
}

}  // namespace runcast
