// The sweep: a heap of links by the level at which they let go of classes or fill up. A touched link's level is found anew
// whenever one of its classes was disturbed; only the links that were full, and those found over capacity afterwards
// (then all is swept once more), take part.
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
  if (link_[index(link)].redundant != redundant) {
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

// Counts and loads as they are now; the links that the changes touch are forced, new classes open.
void MaxMin::take_changes() {
  for (const std::int32_t flow_class : changed_classes_)
    if (class_[index(flow_class)].solved_count != class_[index(flow_class)].count)
      for (const std::int32_t link : links(flow_class))
        if (is_full(link)) force(link);
  std::size_t kept = 0;
  for (const std::int32_t flow_class : changed_classes_) {
    ClassState& state = class_[index(flow_class)];
    state.touched = false;
    const std::int32_t before = state.solved_count, now = state.count;
    if (before == now) continue;
    if (before == 0) enter(flow_class);
    if (now == 0) leave(flow_class);
    if (before > 0)
      for (const std::int32_t link : links(flow_class))
        link_[index(link)].load += state.rate * (now - before);
    if (before == 0) {
      state.rate = 0;
      state.holder = -1;
      let_go_.push_back(flow_class);
    }
    state.solved_count = now;
    changed_classes_[kept++] = flow_class;
  }
  changed_classes_.resize(kept);
  for (const std::int32_t flow_class : changed_classes_)  // more flows at the old rate may be too many
    for (const std::int32_t link : links(flow_class))
      if (is_full(link)) force(link);
  for (const std::int32_t link : changed_links_) {
    force(link);
    if (!link_[index(link)].redundant) continue;
    for (const std::int32_t member : members_[index(link)])  // it holds none from now on
      if (class_[index(member)].holder == link) let_go_.push_back(member);
  }
}

void MaxMin::disturb(int flow_class, Status status) {
  ClassState& state = class_[index(flow_class)];
  if (state.mark != mark_) {
    state.mark = mark_;
    disturbed_.push_back(flow_class);
  }
  state.status = status;
}

void MaxMin::set_dirty(std::int32_t id) {
  LinkState& link = link_[index(id)];
  if (link.mark != mark_) {
    if (link.forced != forced_ && !is_full(id)) return;
    link.mark = mark_;
    link.filled = link.dirty = false;
    link.next_level = link.level;
    touched_links_.push_back(id);
  }
  if (link.dirty) return;
  link.dirty = true;
  dirty_.push_back(id);
}

void MaxMin::dirty_others(const ClassState& state, std::int32_t id) {
  for (const std::int32_t other : active(state))
    if (other != id) set_dirty(other);
}

// Where the link fills up: classes that other links hold have at most their old rate, the rest shares. Infinite where it
// does not.
double MaxMin::fill_level(std::int32_t id) {
  double left = link_[index(id)].capacity;
  std::int64_t sharing = 0;
  capped_.clear();
  for (const std::int32_t member : members_[index(id)]) {
    const ClassState& state = class_[index(member)];
    if (state.mark == mark_) {
      if (state.status == Status::frozen)
        left -= state.next * state.count;
      else
        sharing += state.count;
    } else {
      sharing += state.count;
      if (state.holder != id) capped_.push_back({state.rate, state.count});
    }
  }
  double level = 0;
  for (bool more = true; more && sharing > 0;) {
    more = false;
    level = std::max(0.0, left) / static_cast<double>(sharing);
    for (std::size_t i = 0; i < capped_.size();) {
      if (capped_[i].rate > level) {
        ++i;
        continue;
      }
      left -= capped_[i].rate * capped_[i].count;
      sharing -= capped_[i].count;
      capped_[i] = capped_.back();
      capped_.pop_back();
      more = true;
    }
  }
  return sharing > 0 ? level : std::numeric_limits<double>::infinity();
}

// The next event of a link whose classes were disturbed.
void MaxMin::schedule(std::int32_t id) {
  LinkState& link = link_[index(id)];
  link.dirty = false;
  ++link.version;
  double level = fill_level(id);
  if (std::abs(level - link.level) <= 1e-13 * link.level) level = link.level;
  const auto push = [&](double at, What what) {
    events_.push_back({std::max(at, reached_), what, id, link.version});
    std::push_heap(events_.begin(), events_.end(), later);
  };
  if (level > link.level && link.level > 0)
    for (const std::int32_t member : members_[index(id)])
      if (class_[index(member)].holder == id && class_[index(member)].mark != mark_)
        return push(link.level, What::release);
  if (level < std::numeric_limits<double>::infinity()) push(level, What::fill);
}

// The classes that it held may have more than its old level.
void MaxMin::release(std::int32_t id) {
  for (const std::int32_t member : members_[index(id)]) {
    const ClassState& state = class_[index(member)];
    if (state.holder != id || state.mark == mark_) continue;
    disturb(member, Status::open);
    dirty_others(state, id);
  }
  set_dirty(id);
}

void MaxMin::freeze(std::int32_t id, double level) {
  link_[index(id)].filled = true;
  link_[index(id)].next_level = level;
  for (const std::int32_t member : members_[index(id)]) {
    ClassState& state = class_[index(member)];
    const bool disturbed = state.mark == mark_;
    if (disturbed && state.status == Status::frozen) continue;
    if (!disturbed && state.holder != id && state.rate <= level) continue;
    const bool felt = disturbed || state.rate != level;  // by its other links
    if (!felt) continue;
    disturb(member, Status::frozen);
    state.next = level;
    state.next_holder = id;
    dirty_others(state, id);
  }
}

void MaxMin::sweep() {
  events_.clear();
  dirty_.clear();
  touched_links_.clear();
  disturbed_.clear();
  reached_ = 0;
  for (const std::int32_t flow_class : let_go_) {
    if (class_[index(flow_class)].count == 0) continue;
    disturb(flow_class, Status::open);
    dirty_others(class_[index(flow_class)], -1);
  }
  for (const std::int32_t link : forced_links_) set_dirty(link);
  for (;;) {
    for (std::size_t i = 0; i < dirty_.size(); ++i) schedule(dirty_[i]);
    dirty_.clear();
    if (events_.empty()) break;
    const Event event = events_.front();
    std::pop_heap(events_.begin(), events_.end(), later);
    events_.pop_back();
    if (event.version != link_[index(event.link)].version) continue;
    reached_ = event.level;
    if (event.what == What::release)
      release(event.link);
    else
      freeze(event.link, event.level);
  }
  visited_ += disturbed_.size();
}

// What a class takes more of its links than before.
double MaxMin::rise(const ClassState& state) const { return (state.next - state.rate) * state.count; }

// Finds what the sweep should have touched: the links that the new shares fill beyond their capacity, and for a class that
// froze nowhere all its links. False when there is nothing to find: the shares are right.
bool MaxMin::grow() {
  const std::size_t before = forced_links_.size();
  for (const std::int32_t flow_class : disturbed_) {
    ClassState& state = class_[index(flow_class)];
    if (state.status != Status::frozen) {
      state.next = state.rate;
      for (const std::int32_t link : active(state)) force(link);
    } else if (state.next != state.rate) {
      for (const std::int32_t id : active(state)) {
        link_[index(id)].load += rise(state);
        if (link_[index(id)].mark != mark_ && is_full(id)) force(id);
      }
    }
  }
  return forced_links_.size() > before;
}

// The loads as they were before grow().
void MaxMin::put_back() {
  for (const std::int32_t flow_class : disturbed_) {
    const ClassState& state = class_[index(flow_class)];
    if (state.next == state.rate) continue;
    for (const std::int32_t link : active(state)) link_[index(link)].load -= rise(state);
  }
}

std::span<const std::int32_t> MaxMin::solve() {
  result_.clear();
  if (changed_classes_.empty() && changed_links_.empty()) return result_;
  ++forced_;
  forced_links_.clear();
  let_go_.clear();
  if (active_stale_) {
    active_.clear();
    for (int c = 0; c < classes(); ++c) list_active(class_[index(c)], c);
    active_stale_ = false;
  }
  take_changes();
  for (bool wrong = true; wrong;) {
    ++mark_;
    sweep();
    wrong = grow();
    if (wrong) put_back();
  }
  for (const std::int32_t flow_class : disturbed_) {
    ClassState& state = class_[index(flow_class)];
    INVARIANT(state.status == Status::frozen);
    state.holder = state.next_holder;
    if (state.rate == state.next) continue;
    state.rate = state.next;
    result_.push_back(flow_class);
  }
  for (const std::int32_t id : touched_links_) {
    LinkState& link = link_[index(id)];
    link.level = link.next_level;
    link.load = link.filled ? link.capacity : load(id);  // what rounding left of it
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
