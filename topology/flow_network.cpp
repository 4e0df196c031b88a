// One wake-up in the event queue for the next end or arrival; ends are looked for in blocks of classes, since a change
// of the shares moves many of them.
#include "topology/flow_network.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace runcast {
namespace {

constexpr std::size_t kBlock = 32;
constexpr std::int64_t kIdle = kNever.ns;

std::vector<double> capacities_of(const Fabric& fabric) {
  std::vector<double> capacities;
  for (int link = 0; link < fabric.links(); ++link) {
    const Link& l = fabric.link(LinkId(link));
    capacities.push_back(l.bandwidth.value * l.efficiency * (l.health > 0 ? l.health : 1));
  }
  return capacities;
}

}  // namespace

FlowNetwork::FlowNetwork(EventQueue& queue, std::vector<double> capacities)
    : queue_(&queue), shares_(std::move(capacities)) {}

FlowNetwork::FlowNetwork(EventQueue& queue, const Fabric& fabric)
    : FlowNetwork(queue, capacities_of(fabric)) {}

int FlowNetwork::route(std::span<const std::int32_t> links, Seconds latency) {
  std::vector<std::int64_t> key(links.begin(), links.end());
  key.push_back(to_clock(latency).ns);
  const auto [found, added] = classes_.try_emplace(std::move(key), shares_.classes());
  if (!added) return found->second;
  shares_.add_class(links);
  flows_.emplace_back();
  volume_.push_back(0);
  rate_.push_back(0);
  since_.push_back(0);
  end_.push_back(kIdle);
  latency_.push_back(to_clock(latency));
  if (end_.size() > block_end_.size() * kBlock) {
    block_end_.push_back(kIdle);
    block_stale_.push_back(0);
  }
  return found->second;
}

int FlowNetwork::route(const Fabric& fabric, const Route& route_links) {
  std::vector<std::int32_t> links;
  Seconds latency;
  for (const LinkId link : route_links.links) {
    links.push_back(link.value);
    latency += fabric.link(link).latency;
  }
  return route(links, latency);
}

double FlowNetwork::volume_now(std::size_t c) const {
  return volume_[c] + rate_[c] * (static_cast<double>(queue_->now().ns - since_[c]) * 1e-9);
}

void FlowNetwork::start(int route, Bytes size, std::uint64_t tag) {
  INVARIANT(arrived_ && size.value >= 0);
  const auto c = index(route);
  if (size.value == 0) {
    deliveries_.push_back({queue_->now() + latency_[c], sequence_++, tag});
    std::push_heap(deliveries_.begin(), deliveries_.end(), later_delivery);
  } else {
    auto& flows = flows_[c];
    if (flows.empty()) {
      volume_[c] = 0;
      rate_[c] = shares_.rate(route);  // holds if its place was taken at once by an equal flow
      since_[c] = queue_->now().ns;
    }
    flows.push_back({volume_now(c) + size.value, sequence_++, tag});
    std::push_heap(flows.begin(), flows.end(), later);
    shares_.change(route, 1);
    set_end(c);
  }
  settle();
}

void FlowNetwork::set_capacity(int link, double capacity) {
  shares_.set_capacity(link, capacity);
  settle();
}

void FlowNetwork::count_usage() {
  carried_.assign(index(shares_.link_count()), 0);
  saturated_.assign(index(shares_.link_count()), 0);
  usage_since_ = queue_->now().ns;
}

void FlowNetwork::set_end(std::size_t c) {
  std::int64_t end = kIdle;
  if (!flows_[c].empty() && rate_[c] > 0) {
    const double left = std::max(0.0, flows_[c].front().until - volume_[c]) / rate_[c];
    end = since_[c] + to_clock(Seconds(left)).ns;
  }
  std::int64_t& least = block_end_[c / kBlock];
  if (end <= least)
    least = end;
  else if (end_[c] == least)
    block_stale_[c / kBlock] = 1;
  end_[c] = end;
}

Time FlowNetwork::next_end() {
  std::int64_t least = kIdle;
  for (std::size_t b = 0; b < block_end_.size(); ++b) {
    if (block_stale_[b] != 0) {
      const auto begin = end_.begin() + static_cast<std::ptrdiff_t>(b * kBlock);
      const auto stop = std::min(end_.size(), (b + 1) * kBlock);
      std::int64_t block = kIdle;
      for (auto at = begin; at != end_.begin() + static_cast<std::ptrdiff_t>(stop); ++at)
        block = std::min(block, *at);
      block_end_[b] = block;
      block_stale_[b] = 0;
    }
    least = std::min(least, block_end_[b]);
  }
  return {least};
}

// Flows that have gone by now leave their classes and are on the way.
void FlowNetwork::drain(Time now) {
  for (std::size_t b = 0; b < block_end_.size(); ++b) {
    if (block_end_[b] > now.ns) continue;
    for (std::size_t c = b * kBlock; c < std::min(end_.size(), (b + 1) * kBlock); ++c) {
      if (end_[c] > now.ns) continue;
      auto& flows = flows_[c];
      volume_[c] = std::max(volume_now(c), flows.front().until);
      since_[c] = now.ns;
      int gone = 0;
      while (!flows.empty() && flows.front().until <= volume_[c]) {
        deliveries_.push_back({now + latency_[c], sequence_++, flows.front().tag});
        std::push_heap(deliveries_.begin(), deliveries_.end(), later_delivery);
        std::pop_heap(flows.begin(), flows.end(), later);
        flows.pop_back();
        ++gone;
      }
      shares_.change(static_cast<int>(c), -gone);
      set_end(c);
    }
  }
}

void FlowNetwork::deliver(Time now) {
  while (!deliveries_.empty() && deliveries_.front().time <= now) {
    const std::uint64_t tag = deliveries_.front().tag;
    std::pop_heap(deliveries_.begin(), deliveries_.end(), later_delivery);
    deliveries_.pop_back();
    ++delivered_;
    arrived_(tag);
  }
}

void FlowNetwork::add_usage(Time now) {
  const double span = static_cast<double>(now.ns - usage_since_) * 1e-9;
  usage_since_ = now.ns;
  if (span <= 0) return;
  for (int link = 0; link < shares_.link_count(); ++link) {
    const double load = shares_.load(link);
    carried_[index(link)] += load * span;
    if (load >= shares_.capacity(link) * (1 - 1e-9)) saturated_[index(link)] += span;
  }
}

void FlowNetwork::share() {
  for (const std::int32_t changed : shares_.solve()) {
    const auto c = index(changed);
    volume_[c] = volume_now(c);
    since_[c] = queue_->now().ns;
    rate_[c] = shares_.rate(changed);
    set_end(c);
  }
}

// Once for all changes of this instant: at once when it is our own wake-up, else when the instant's events have run.
void FlowNetwork::settle() {
  if (settling_ || settle_waits_) return;
  settle_waits_ = true;
  queue_->at(queue_->now(), Phase::observe, [this] {
    settle_waits_ = false;
    wake();
  });
}

void FlowNetwork::wake_at(Time time) {
  if (time == kNever || time >= wake_) return;
  wake_ = time;
  queue_->at(time, time == queue_->now() ? Phase::observe : Phase::finish, [this, time] {
    if (wake_ != time) return;  // an earlier one came between
    wake();
  });
}

void FlowNetwork::wake() {
  const Time now = queue_->now();
  settling_ = true;
  wake_ = kNever;
  if (!carried_.empty()) add_usage(now);
  Time next;
  do {  // what arrives may start flows that end at once
    if (next_end() <= now) drain(now);
    deliver(now);
    share();
    next = next_end();
    if (!deliveries_.empty()) next = std::min(next, deliveries_.front().time);
  } while (next <= now);
  settling_ = false;
  wake_at(next);
}

}  // namespace runcast
