// See the header.
#include "failures/node_fleet.hpp"

#include <algorithm>
#include <functional>

#include "failures/failure_process.hpp"

namespace runcast {

namespace {

constexpr Seconds kLongestDraw{3e8};  // ten years: nobody waits longer for a node

Duration bounded(Seconds s) { return to_clock(std::min(s, kLongestDraw)); }

}  // namespace

NodeFleet::NodeFleet(const FleetPlan& plan, const FailureModel& model, const JobScale& scale,
                     std::uint64_t seed, std::uint64_t trial)
    : plan_(plan),
      lemon_fraction_(model.lemons.fraction),
      seed_(seed),
      trial_(trial),
      born_(Time{} - to_clock(model.young.age)) {
  const std::int64_t extra = plan.endless ? 0 : plan.standby + plan.cold + plan.reserve;
  const auto working = static_cast<std::size_t>(scale.nodes), all = working + static_cast<std::size_t>(extra);
  nodes_.reserve(all);
  positions_.reserve(working);
  for (std::size_t i = 0; i < all; ++i) {  // one pass over what may be a million nodes
    const bool works = i < working;
    nodes_.push_back({born_, works ? static_cast<std::int32_t>(i) : -1, 0, 0, is_lemon(i)});
    if (works) positions_.push_back(static_cast<std::int32_t>(i));
  }
  if (plan.endless) return;
  auto next = static_cast<std::int32_t>(scale.nodes);
  for (std::int64_t i = 0; i < plan.standby; ++i) standby_.push_back(next++);
  for (std::int64_t i = 0; i < plan.cold; ++i) cold_.push_back(next++);
  for (std::int64_t i = 0; i < plan.reserve; ++i) reserve_.push_back(next++);
}

// Far from the draws of the node's stays in the job.
bool NodeFleet::is_lemon(std::size_t id) const {
  constexpr std::uint64_t kDraw = 1ULL << 32;
  return lemon_fraction_ > 0 &&
         RandomStream(seed_, Purpose::lemon, id, trial_).uniform_at(kDraw) < lemon_fraction_;
}

void NodeFleet::mark_broken(std::int32_t id, std::size_t cause) {
  nodes_[static_cast<std::size_t>(id)].broken = true;
  nodes_[static_cast<std::size_t>(id)].cause = static_cast<std::uint32_t>(cause);
}

// What has passed since the last change counts as the fleet was. An empty position is that of a node that was taken back
// first, and what other nodes do not fill the standbys do.
void NodeFleet::settle(Time at) {
  INVARIANT(at >= settled_);
  const double passed = to_seconds(at - settled_).value;
  settled_ = at;
  if (away_ == 0 && rented_.empty()) return;
  const auto rented = static_cast<std::int64_t>(rented_.size());
  const auto pooled = plan_.cold + plan_.reserve - static_cast<std::int64_t>(cold_.size() + reserve_.size());
  const std::int64_t empty = std::min(missing(), away_);
  const std::int64_t stand_in =
      std::clamp<std::int64_t>(away_ - empty - rented - pooled, 0, plan_.endless ? 0 : plan_.standby);
  time_.absent += passed * static_cast<double>(empty);
  time_.spares_absent += passed * static_cast<double>(stand_in);
  time_.on_demand += passed * static_cast<double>(rented);
}

const NodeTime& NodeFleet::node_time(Time now) {
  advance(now);
  settle(now);
  return time_;
}

bool NodeFleet::on_demand(std::int64_t position, Time now) {
  advance(now);
  return at(position) >= 0 && node(at(position)).on_demand;
}

// Nodes on demand that may still come: one for each that is away.
std::int64_t NodeFleet::rentable() const {
  return plan_.on_demand ? std::max<std::int64_t>(0, away_ - static_cast<std::int64_t>(rented_.size())) : 0;
}

void NodeFleet::remove(std::int64_t position) {
  auto& here = positions_[static_cast<std::size_t>(position)];
  if (nodes_[static_cast<std::size_t>(here)].on_demand) std::erase(rented_, here);
  nodes_[static_cast<std::size_t>(here)].position = -1;
  here = -1;
  empty_.push_back(position);
}

void NodeFleet::fail(std::int64_t position, const FailureClass& failure, std::size_t index, Time now,
                     RandomStream& repair) {
  advance(now);  // crews that are free by now are free for this node
  const std::int32_t id = at(position);
  if (id < 0) return;
  settle(now);
  remove(position);
  if (node(id).on_demand) return;  // given back
  nodes_[static_cast<std::size_t>(id)].cause = static_cast<std::uint32_t>(index);
  const RepairShop& shop = plan_.shop;
  const bool staged = shop.staged && !failure.own_repair && failure.action == Action::swap;
  Ticket ticket{id, {}, {}, {}, false, true, false, staged};
  if (!staged) {
    ticket.manual =
        failure.repair.value > 0 ? bounded(Seconds(repair.exponential(failure.repair.value))) : Duration{};
    if (failure.action == Action::preempt) {
      ticket.taken = true;
      ++away_;
      push(shop_, now + ticket.manual, Stage::automatic, ticket);
    } else if (!plan_.endless) {
      want_crew(shop_, ticket, now);
    }
    return;
  }
  const auto length = [&](Seconds mean) {
    return mean.value > 0 ? bounded(draw(shop.law, shop.shape, mean, repair)) : Duration{};
  };
  const Duration automatic = length(shop.automatic);
  ticket.manual = length(shop.manual);
  ticket.escalates = repair.uniform() < shop.manual_share;
  ticket.fixed = repair.uniform() >= (ticket.escalates ? shop.false_fix_manual : shop.false_fix_automatic);
  ticket.retires = repair.uniform() < shop.retire;
  ticket.burn_in = to_clock(shop.burn_in);
  ticket.replacement = to_clock(shop.replacement);
  ++counts_.automatic;
  counts_.manual += ticket.escalates ? 1 : 0;
  counts_.retired += ticket.retires ? 1 : 0;
  counts_.false_fixes += ticket.fixed || ticket.retires ? 0 : 1;
  if (!plan_.endless) push(shop_, now + automatic, Stage::automatic, ticket);
}

void NodeFleet::suspect(std::int64_t position, Time now) {
  advance(now);
  const std::int32_t id = at(position);
  if (id < 0) return;
  settle(now);
  remove(position);
  ++counts_.suspects;
  if (plan_.endless || node(id).on_demand) return;
  const Node& record = node(id);  // tests find nothing: it is what it was
  push(shop_, now + to_clock(plan_.shop.suspect), Stage::burn_in,
       {id, {}, {}, {}, false, !record.lemon && !record.broken, false, false});
}

// ---- the shop ---------------------------------------------------------------------------------------------

void NodeFleet::push(Shop& shop, Time at, Stage stage, const Ticket& ticket) const {
  shop.due.push_back({at, shop.order++, stage, ticket});
  std::push_heap(shop.due.begin(), shop.due.end(), std::greater<>());
}

void NodeFleet::want_crew(Shop& shop, const Ticket& ticket, Time now) const {
  if (plan_.shop.crews > 0 && shop.busy >= plan_.shop.crews) {
    shop.queue.push_back(ticket);
    return;
  }
  ++shop.busy;
  push(shop, now + ticket.manual, Stage::manual, ticket);
}

NodeFleet::Returned NodeFleet::step(Shop& shop) const {
  std::pop_heap(shop.due.begin(), shop.due.end(), std::greater<>());
  const Due done = shop.due.back();
  shop.due.pop_back();
  const Ticket& ticket = done.ticket;
  if (done.stage == Stage::automatic && ticket.escalates) {
    want_crew(shop, ticket, done.at);
    return {};
  }
  if (done.stage == Stage::manual) {
    --shop.busy;
    if (!shop.queue.empty()) {
      const Ticket next = shop.queue.front();
      shop.queue.pop_front();
      want_crew(shop, next, done.at);
    }
  }
  const bool repaired = done.stage == Stage::automatic || done.stage == Stage::manual;
  if (repaired && ticket.retires) {
    push(shop, done.at + ticket.replacement, Stage::replacement, ticket);
    return {};
  }
  if (repaired && ticket.burn_in.ns > 0) {
    push(shop, done.at + ticket.burn_in, Stage::burn_in, ticket);
    return {};
  }
  return {ticket.node, ticket};
}

void NodeFleet::take_back(const Returned& returned, Time now) {
  Node& record = nodes_[static_cast<std::size_t>(returned.node)];
  const Ticket& ticket = returned.ticket;
  if (ticket.retires) {
    record = {now, -1, 0, record.stay};
  } else if (ticket.staged) {
    record.broken = !ticket.fixed;
    record.lemon = record.lemon && !ticket.fixed;
  } else if (ticket.fixed) {
    record.broken = record.lemon = false;
  }
  if (ticket.taken) --away_;
  if (!rented_.empty()) {  // in the place of a node on demand, whose record goes on
    nodes_[static_cast<std::size_t>(rented_.front())].on_demand = false;
    rented_.erase(rented_.begin());
    return;
  }
  (static_cast<std::int64_t>(standby_.size()) < plan_.standby || plan_.cold == 0 ? standby_ : cold_)
      .push_back(returned.node);
}

void NodeFleet::advance(Time now) {
  while (!shop_.due.empty() && shop_.due.front().at <= now) {
    const Time at = shop_.due.front().at;
    const Returned back = step(shop_);
    if (back.node < 0) continue;
    settle(at);
    take_back(back, at);
  }
}

// ---- filling ----------------------------------------------------------------------------------------------

Time NodeFleet::ready(Time now) {
  advance(now);
  const auto there = static_cast<std::int64_t>(standby_.size() + cold_.size() + reserve_.size()) + rentable();
  std::int64_t wanted = missing() - there;
  if (plan_.endless)  // only those are missing that were taken back
    wanted = std::min(wanted, away_ - static_cast<std::int64_t>(rented_.size()) - rentable());
  if (wanted <= 0) return now;
  // A node that comes back where one on demand stood in, or could, makes none more.
  const auto adds = [&](const Ticket& ticket) { return !(plan_.on_demand && ticket.taken); };
  if (!plan_.shop.staged && shop_.queue.empty()) {  // each repair ends as it stands: no need to play it
    std::vector<Time> ends;
    ends.reserve(shop_.due.size());
    for (const Due& due : shop_.due)
      if (adds(due.ticket)) ends.push_back(due.at);
    if (static_cast<std::size_t>(wanted) > ends.size()) return kNever;
    if (static_cast<std::size_t>(wanted) == ends.size())
      return *std::ranges::max_element(ends);  // no spares left
    std::nth_element(ends.begin(), ends.begin() + (wanted - 1), ends.end());
    return ends[static_cast<std::size_t>(wanted - 1)];
  }
  Shop ahead = shop_;
  while (!ahead.due.empty()) {
    const Time at = ahead.due.front().at;
    const Returned back = step(ahead);
    if (back.node >= 0 && adds(back.ticket) && --wanted == 0) return at;
  }
  return kNever;
}

void NodeFleet::place(std::int32_t id, Filling& filling) {
  const std::int64_t position = empty_.front();
  empty_.pop_front();
  Node& record = nodes_[static_cast<std::size_t>(id)];
  record.position = static_cast<std::int32_t>(position);
  ++record.stay;
  positions_[static_cast<std::size_t>(position)] = id;
  filling.entered.push_back(id);
}

// A node with a record of its own: as likely a lemon, as old as the run's.
void NodeFleet::place_new(Filling& filling, bool on_demand) {
  const auto id = static_cast<std::int32_t>(nodes_.size());
  nodes_.push_back({});
  nodes_.back().born = born_;
  nodes_.back().lemon = is_lemon(nodes_.size() - 1);
  nodes_.back().on_demand = on_demand;
  if (on_demand) rented_.push_back(id);
  place(id, filling);
}

NodeFleet::Filling NodeFleet::fill(Time now) {
  Filling filling;
  advance(now);
  settle(now);
  const auto from = [&](std::deque<std::int32_t>& source, std::int64_t& taken) {
    while (!empty_.empty() && !source.empty()) {
      place(source.front(), filling);
      source.pop_front();
      ++taken;
    }
  };
  std::int64_t warm = 0;
  from(standby_, warm);
  if (plan_.endless) {  // another node of a large cluster, but for those that were taken back
    while (missing() > away_ - static_cast<std::int64_t>(rented_.size())) place_new(filling, false);
    while (!empty_.empty() && rentable() > 0) place_new(filling, true);
    return filling;
  }
  from(cold_, filling.cold);
  if (filling.cold > 0) {  // a selection of hosts also fills up the standbys
    ++counts_.selections;
    while (static_cast<std::int64_t>(standby_.size()) < plan_.standby && !cold_.empty()) {
      standby_.push_back(cold_.front());
      cold_.pop_front();
    }
  }
  for (; !empty_.empty() && rentable() > 0; ++filling.rented) place_new(filling, true);
  from(reserve_, filling.borrowed);
  counts_.borrowed += filling.borrowed;
  return filling;
}

std::int64_t NodeFleet::in_repair(Time now) {
  advance(now);
  return static_cast<std::int64_t>(shop_.due.size() + shop_.queue.size());
}

std::int64_t NodeFleet::idle(Time now) {
  advance(now);
  return static_cast<std::int64_t>(standby_.size() + cold_.size() + reserve_.size());
}

std::int64_t NodeFleet::warm(Time now) {
  advance(now);
  return static_cast<std::int64_t>(standby_.size());
}

}  // namespace runcast
