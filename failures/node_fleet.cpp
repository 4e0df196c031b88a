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
  nodes_.resize(static_cast<std::size_t>(scale.nodes + extra));
  positions_.resize(static_cast<std::size_t>(scale.nodes));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].born = born_;
    nodes_[i].lemon = is_lemon(i);
  }
  for (std::size_t i = 0; i < positions_.size(); ++i) {
    positions_[i] = static_cast<std::int32_t>(i);
    nodes_[i].position = static_cast<std::int64_t>(i);
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
  nodes_[static_cast<std::size_t>(id)].cause = cause;
}

void NodeFleet::remove(std::int64_t position) {
  auto& here = positions_[static_cast<std::size_t>(position)];
  nodes_[static_cast<std::size_t>(here)].position = -1;
  here = -1;
  empty_.push_back(position);
}

void NodeFleet::fail(std::int64_t position, const FailureClass& failure, std::size_t index, Time now,
                     RandomStream& repair) {
  advance(now);  // crews that are free by now are free for this node
  const std::int32_t id = at(position);
  if (id < 0) return;
  remove(position);
  nodes_[static_cast<std::size_t>(id)].cause = index;
  const RepairShop& shop = plan_.shop;
  const bool staged = shop.staged && !failure.own_repair && failure.action == Action::swap;
  Ticket ticket{id, {}, {}, {}, false, true, false, staged};
  if (!staged) {
    ticket.manual =
        failure.repair.value > 0 ? bounded(Seconds(repair.exponential(failure.repair.value))) : Duration{};
    if (!plan_.endless) want_crew(shop_, ticket, now);
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
  remove(position);
  ++counts_.suspects;
  if (plan_.endless) return;
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
    record = {-1, false, false, 0, record.stay, now};
  } else if (ticket.staged) {
    record.broken = !ticket.fixed;
    record.lemon = record.lemon && !ticket.fixed;
  } else if (ticket.fixed) {
    record.broken = record.lemon = false;
  }
  (static_cast<std::int64_t>(standby_.size()) < plan_.standby || plan_.cold == 0 ? standby_ : cold_)
      .push_back(returned.node);
}

void NodeFleet::advance(Time now) {
  while (!shop_.due.empty() && shop_.due.front().at <= now) {
    const Time at = shop_.due.front().at;
    if (const Returned back = step(shop_); back.node >= 0) take_back(back, at);
  }
}

// ---- filling ----------------------------------------------------------------------------------------------

Time NodeFleet::ready(Time now) {
  advance(now);
  const auto there = static_cast<std::int64_t>(standby_.size() + cold_.size() + reserve_.size());
  std::int64_t wanted = missing() - there;
  if (plan_.endless || wanted <= 0) return now;
  if (!plan_.shop.staged && shop_.queue.empty()) {  // each repair ends as it stands: no need to play it
    if (static_cast<std::size_t>(wanted) > shop_.due.size()) return kNever;
    std::vector<Time> ends;
    ends.reserve(shop_.due.size());
    for (const Due& due : shop_.due) ends.push_back(due.at);
    std::nth_element(ends.begin(), ends.begin() + (wanted - 1), ends.end());
    return ends[static_cast<std::size_t>(wanted - 1)];
  }
  Shop ahead = shop_;
  while (!ahead.due.empty()) {
    const Time at = ahead.due.front().at;
    if (step(ahead).node >= 0 && --wanted == 0) return at;
  }
  return kNever;
}

void NodeFleet::place(std::int32_t id, Filling& filling) {
  const std::int64_t position = empty_.front();
  empty_.pop_front();
  Node& record = nodes_[static_cast<std::size_t>(id)];
  record.position = position;
  ++record.stay;
  positions_[static_cast<std::size_t>(position)] = id;
  filling.entered.push_back(id);
}

NodeFleet::Filling NodeFleet::fill(Time now) {
  Filling filling;
  if (plan_.endless) {
    // Another node of a large cluster, with a record of its own: as likely a lemon, as old as the run's.
    while (!empty_.empty()) {
      nodes_.push_back({});
      nodes_.back().born = born_;
      nodes_.back().lemon = is_lemon(nodes_.size() - 1);
      place(static_cast<std::int32_t>(nodes_.size() - 1), filling);
    }
    return filling;
  }
  advance(now);
  const auto from = [&](std::deque<std::int32_t>& source, std::int64_t& taken) {
    while (!empty_.empty() && !source.empty()) {
      place(source.front(), filling);
      source.pop_front();
      ++taken;
    }
  };
  std::int64_t warm = 0;
  from(standby_, warm);
  from(cold_, filling.cold);
  if (filling.cold > 0) {  // a selection of hosts also fills up the standbys
    ++counts_.selections;
    while (static_cast<std::int64_t>(standby_.size()) < plan_.standby && !cold_.empty()) {
      standby_.push_back(cold_.front());
      cold_.pop_front();
    }
  }
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

}  // namespace runcast
