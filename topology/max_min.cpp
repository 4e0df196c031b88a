// Progressive filling over the region of a change. Keys of the heap are lower bounds: as flows of a link freeze below
// its own level, the level of the rest can only rise, so that a key that is too low is found out when it is taken.
#include "topology/max_min.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/error.hpp"

namespace runcast {

MaxMin::MaxMin(std::vector<double> capacities)
    : flows_on_(capacities.size()), members_(capacities.size()), feeders_(capacities.size()) {
  for (const double capacity : capacities) {
    INVARIANT(capacity > 0 && std::isfinite(capacity));
    link_.push_back({capacity});
  }
  first_.push_back(0);
}

int MaxMin::add_class(std::span<const std::int32_t> links) {
  INVARIANT(!links.empty());
  for (std::size_t i = 0; i < links.size(); ++i) {
    const std::int32_t link = links[i];
    INVARIANT(link >= 0 && link < link_count());
    route_.push_back(link);
    Feeders& feeders = feeders_[index(link)];
    feed(link, feeders.before, feeders.before_sum, i == 0 ? -1 : links[i - 1]);
    feed(link, feeders.after, feeders.after_sum, i + 1 == links.size() ? -1 : links[i + 1]);
    judge(link);
  }
  place_.resize(route_.size());
  first_.push_back(route_.size());
  class_.emplace_back();
  list_active(class_.back(), classes() - 1);
  return classes() - 1;
}

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

// One more link that brings flows to `link` (-1: they begin there). Narrower links only: two that bound each other would
// both be left out.
void MaxMin::feed(std::int32_t link, std::vector<std::int32_t>& feeders, double& sum, std::int32_t from) {
  const auto at = std::lower_bound(feeders.begin(), feeders.end(), from);
  if (at != feeders.end() && *at == from) return;
  feeders.insert(at, from);
  const double capacity = from < 0 ? kUnbounded : link_[index(from)].capacity;
  sum += capacity < link_[index(link)].capacity ? capacity : kUnbounded;
}

double MaxMin::sum_of(std::int32_t link, const std::vector<std::int32_t>& feeders) const {
  double sum = 0;
  for (const std::int32_t from : feeders) {
    const double capacity = from < 0 ? kUnbounded : link_[index(from)].capacity;
    sum += capacity < link_[index(link)].capacity ? capacity : kUnbounded;
  }
  return sum;
}

// A link that was redundant and is no longer so has to be solved.
void MaxMin::judge(std::int32_t link) {
  const Feeders& feeders = feeders_[index(link)];
  const bool redundant = std::min(feeders.before_sum, feeders.after_sum) <= link_[index(link)].capacity;
  if (link_[index(link)].redundant && !redundant) {
    changed_links_.push_back(link);
    active_stale_ = true;
  }
  link_[index(link)].redundant = redundant;
}

void MaxMin::list_active(ClassState& state, int flow_class) {
  state.active_begin = static_cast<std::uint32_t>(active_.size());
  for (const std::int32_t link : links(flow_class))
    if (!link_[index(link)].redundant) active_.push_back(link);
  state.active_end = static_cast<std::uint32_t>(active_.size());
}

// To rounding, with room far above what rounding does to a load.
bool MaxMin::is_full(std::int32_t id) const {
  const LinkState& link = link_[index(id)];
  return link.load >= link.capacity * (1 - 1e-6);
}

// Into the region of this solve, full or not.
void MaxMin::force(std::int32_t id) {
  LinkState& link = link_[index(id)];
  if (link.redundant || link.forced == forced_) return;
  link.forced = forced_;
  forced_links_.push_back(id);
}

void MaxMin::touch(int flow_class) {
  if (class_[index(flow_class)].touched) return;
  class_[index(flow_class)].touched = true;
  changed_classes_.push_back(flow_class);
}

void MaxMin::change(int flow_class, int flows) {
  std::int32_t& count = class_[index(flow_class)].count;
  INVARIANT(count + flows >= 0);
  if (flows == 0) return;
  count += flows;
  for (const std::int32_t link : links(flow_class)) flows_on_[index(link)] += flows;
  touch(flow_class);
}

void MaxMin::set_capacity(int link, double capacity) {
  INVARIANT(capacity > 0 && std::isfinite(capacity));
  if (link_[index(link)].capacity == capacity) return;
  link_[index(link)].capacity = capacity;
  changed_links_.push_back(link);
  for (int other = 0; other < link_count(); ++other) {  // rare: links degrade, fail and come back
    Feeders& feeders = feeders_[index(other)];
    feeders.before_sum = sum_of(other, feeders.before);
    feeders.after_sum = sum_of(other, feeders.after);
    judge(other);
  }
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
    const std::int32_t moved = list.back(), last = static_cast<std::int32_t>(list.size()) - 1;
    list[index(place_[at])] = moved;
    list.pop_back();
    for (std::size_t other = first_[index(moved)]; other < first_[index(moved) + 1]; ++other)
      if (route_[other] == link && place_[other] == last) place_[other] = place_[at];
  }
}

// The lowest level at which any change so far can be felt: the old rate of flows that went; an equal share of the
// fullest link for flows that came, which get no less; and likewise for a link with another capacity.
double MaxMin::affected_from() {
  for (const std::int32_t flow_class : changed_classes_)
    if (class_[index(flow_class)].solved_count != class_[index(flow_class)].count)
      for (const std::int32_t link : links(flow_class))
        if (is_full(link)) force(link);
  for (const std::int32_t link : changed_links_) force(link);
  double level = std::numeric_limits<double>::infinity();
  std::size_t kept = 0;
  for (const std::int32_t flow_class : changed_classes_) {
    ClassState& state = class_[index(flow_class)];
    state.touched = false;
    const std::int32_t before = state.solved_count, now = state.count;
    if (before == now) continue;
    if (before == 0) enter(flow_class);
    if (now == 0) leave(flow_class);
    if (before > 0) {
      level = std::min(level, state.rate);
      for (const std::int32_t link : links(flow_class))
        link_[index(link)].load += state.rate * (now - before);
    }
    if (now > before)
      for (const std::int32_t link : active(state))
        level = std::min(level, link_[index(link)].capacity / static_cast<double>(flows_on_[index(link)]));
    if (before == 0) state.rate = std::numeric_limits<double>::infinity();  // above any level: to be solved
    state.solved_count = now;
    changed_classes_[kept++] = flow_class;
  }
  changed_classes_.resize(kept);
  for (const std::int32_t link : changed_links_) {
    for (const std::int32_t member : members_[index(link)])
      level = std::min(level, class_[index(member)].rate);
    if (flows_on_[index(link)] > 0)
      level = std::min(level, link_[index(link)].capacity / static_cast<double>(flows_on_[index(link)]));
  }
  return level;
}

// Its place in the region; -1: it is not in it.
std::int32_t MaxMin::add_link(std::int32_t id) {
  LinkState& link = link_[index(id)];
  if (link.mark == mark_) return link.place;
  if (link.redundant || (link.forced != forced_ && !is_full(id))) return -1;
  link.mark = mark_;
  link.place = static_cast<std::int32_t>(region_links_.size());
  region_links_.push_back({link.capacity, 0, id, 0, 0});
  return link.place;
}

void MaxMin::add_class_of_region(int flow_class) {
  ClassState& state = class_[index(flow_class)];
  state.mark = mark_;
  state.place = static_cast<std::int32_t>(region_classes_.size());
  const auto begin = static_cast<std::uint32_t>(region_routes_.size());
  for (const std::int32_t link : active(state))
    if (const std::int32_t place = add_link(link); place >= 0) region_routes_.push_back(place);
  region_classes_.push_back(
      {state.rate, state.count, flow_class, begin, static_cast<std::uint32_t>(region_routes_.size()), false});
}

// The full links that the change reaches through classes at or above `level`; what lower classes take of them is given.
void MaxMin::collect(double level) {
  region_links_.clear();
  region_classes_.clear();
  region_routes_.clear();
  region_members_.clear();
  for (const std::int32_t flow_class : changed_classes_)
    if (class_[index(flow_class)].count > 0) add_class_of_region(flow_class);
  for (const std::int32_t link : forced_links_) add_link(link);
  for (std::size_t next = 0; next < region_links_.size(); ++next) {
    const auto begin = static_cast<std::uint32_t>(region_members_.size());
    double left = region_links_[next].left;
    std::int32_t open = 0;
    for (const std::int32_t member : members_[index(region_links_[next].id)]) {
      const ClassState& state = class_[index(member)];
      if (state.mark != mark_) {
        if (state.rate < level) {
          left -= state.rate * state.count;
          continue;
        }
        add_class_of_region(member);
      }
      region_members_.push_back(state.place);
      open += state.count;
    }
    region_links_[next] = {left, open, region_links_[next].id, begin,
                           static_cast<std::uint32_t>(region_members_.size())};
  }
  visited_ += region_classes_.size();
}

void MaxMin::freeze(const RegionLink& link, double level) {
  RegionClass* const classes_by_place = region_classes_.data();
  RegionLink* const links_by_place = region_links_.data();
  const std::int32_t* const routes = region_routes_.data();
  const std::int32_t* member = region_members_.data() + link.members_begin;
  const std::int32_t* const end = region_members_.data() + link.members_end;
  for (; member != end; ++member) {
    RegionClass& state = classes_by_place[*member];
    if (state.frozen) continue;
    state.frozen = true;
    state.rate = level;
    const double taken = level * state.count;
    for (std::uint32_t at = state.links_begin; at != state.links_end; ++at) {
      links_by_place[routes[at]].left -= taken;
      links_by_place[routes[at]].open -= state.count;
    }
  }
}

// What a class takes more of its links than before.
double MaxMin::rise(const RegionClass& state) const {
  const double before = class_[index(state.id)].rate;
  return (state.rate - (std::isinf(before) ? 0 : before)) * state.count;
}

// Adds to the region what it should have had: the links that the new shares fill beyond their capacity, and for a class
// that froze nowhere all its links. False when there is nothing to add: the shares are right.
bool MaxMin::grow() {
  const std::size_t before = forced_links_.size();
  for (const RegionClass& state : region_classes_) {
    const ClassState& old = class_[index(state.id)];
    if (!state.frozen) {
      for (const std::int32_t link : active(old)) force(link);
    } else if (state.rate != old.rate) {
      const double more = rise(state);
      for (const std::int32_t id : active(old)) {
        link_[index(id)].load += more;
        if (link_[index(id)].mark != mark_ && is_full(id)) force(id);
      }
    }
  }
  return forced_links_.size() > before;
}

// The loads as they were before grow().
void MaxMin::put_back() {
  for (const RegionClass& state : region_classes_) {
    const ClassState& old = class_[index(state.id)];
    if (!state.frozen || state.rate == old.rate) continue;
    for (const std::int32_t link : active(old)) link_[index(link)].load -= rise(state);
  }
}

void MaxMin::fill() {
  const auto level_of = [](const RegionLink& link) { return std::max(0.0, link.left) / link.open; };
  heap_.clear();
  for (std::size_t place = 0; place < region_links_.size(); ++place)
    if (region_links_[place].open > 0)
      heap_.push_back({level_of(region_links_[place]), static_cast<std::int32_t>(place)});
  std::make_heap(heap_.begin(), heap_.end(), [](const Level& a, const Level& b) { return lower(b, a); });
  double reached = 0;  // levels never fall, whatever rounding does
  while (!heap_.empty()) {
    const RegionLink& link = region_links_[index(heap_.front().link)];
    const double level = link.open > 0 ? level_of(link) : 0;
    if (level > heap_.front().value) {
      heap_.front().value = level;
      sink();
      continue;
    }
    heap_.front() = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink();
    if (link.open == 0) continue;
    reached = std::max(reached, level);
    freeze(link, reached);
  }
}

// The first of the heap down to where it belongs.
void MaxMin::sink() {
  const std::size_t size = heap_.size();
  const Level moved = heap_.front();
  std::size_t at = 0;
  for (std::size_t child = 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && lower(heap_[child + 1], heap_[child])) ++child;
    if (!lower(heap_[child], moved)) break;
    heap_[at] = heap_[child];
    at = child;
  }
  heap_[at] = moved;
}

std::span<const std::int32_t> MaxMin::solve() {
  result_.clear();
  if (changed_classes_.empty() && changed_links_.empty()) return result_;
  ++forced_;
  forced_links_.clear();
  if (active_stale_) {
    active_.clear();
    for (int c = 0; c < classes(); ++c) list_active(class_[index(c)], c);
    active_stale_ = false;
  }
  const double level = affected_from();
  for (bool wrong = true; wrong;) {
    ++mark_;
    collect(level);
    fill();
    wrong = grow();
    if (wrong) put_back();
  }
  for (const RegionLink& link : region_links_)  // what rounding left of it
    link_[index(link.id)].load = link_[index(link.id)].capacity - link.left;
  for (const RegionClass& state : region_classes_) {
    INVARIANT(state.frozen);
    double& rate = class_[index(state.id)].rate;
    if (rate == state.rate) continue;
    rate = state.rate;
    result_.push_back(state.id);
  }
  changed_classes_.clear();
  changed_links_.clear();
  return result_;
}

double MaxMin::load(int link) const {
  double sum = 0;
  for (const std::int32_t member : members_[index(link)])
    sum += class_[index(member)].rate * class_[index(member)].solved_count;
  return sum;
}

}  // namespace runcast
