// Flows in time: bytes that move over routes of the fabric at max-min fair shares (topology/max_min), which are found
// again whenever flows come or go. Routes with the same links are one class; all that happens at one instant (flows
// that end, those that their end starts, links that change) is one change of the shares.
// A flow holds its share until its last byte has left; it has arrived one latency of its route (alpha of each hop)
// later. Its end is the first nanosecond at which all of it has gone.
// Leaves out: slow start, packets, queues; a rate changes everywhere at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "sim/event_queue.hpp"
#include "topology/fabric.hpp"
#include "topology/max_min.hpp"

namespace runcast {

class FlowNetwork {
 public:
  using Arrived = std::function<void(std::uint64_t tag)>;

  // Bare links: capacities in B/s.
  FlowNetwork(EventQueue&, std::vector<double> capacities);
  // The links of a fabric at what they reach: bandwidth x efficiency x health; a link id is its index.
  // Failed links have a capacity, but no route takes them.
  FlowNetwork(EventQueue&, const Fabric&);

  // The class of a route: the same number for the same links and latency.
  int route(std::span<const std::int32_t> links, Seconds latency);
  int route(const Fabric&, const Route&);

  // `size` bytes leave now. When they have arrived, arrived() is called with `tag`. May be called from within it.
  void start(int route, Bytes size, std::uint64_t tag);
  // INVARIANT: called once, before the first start.
  void on_arrival(Arrived arrived) { arrived_ = std::move(arrived); }
  // From now on; in the fabric's terms, what is left of it.
  void set_capacity(int link, double capacity);

  const MaxMin& shares() const { return shares_; }
  std::uint64_t arrivals() const { return delivered_; }
  // Bytes that have left over a link so far, as of the last change of the shares.
  double carried(int link) const { return carried_.empty() ? 0 : carried_[static_cast<std::size_t>(link)]; }
  // Seconds during which a link was used to capacity; counted once this is called, which costs a pass over the loaded
  // links at each change.
  void count_usage();
  Seconds saturated(int link) const { return Seconds(saturated_[static_cast<std::size_t>(link)]); }

 private:
  struct Flow {
    double until;            // volume of its class at which it has gone
    std::uint64_t sequence;  // of its start
    std::uint64_t tag;
  };
  struct Delivery {
    Time time;
    std::uint64_t sequence, tag;
  };
  static bool later(const Flow& a, const Flow& b) {
    return a.until != b.until ? a.until > b.until : a.sequence > b.sequence;
  }
  static bool later_delivery(const Delivery& a, const Delivery& b) {
    return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
  }
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }

  double volume_now(std::size_t flow_class) const;
  void set_end(std::size_t flow_class);
  void drain(Time now);
  void deliver(Time now);
  void share();
  void add_usage(Time now);
  Time next_end();
  void settle();
  void wake_at(Time);
  void wake();

  EventQueue* queue_;
  MaxMin shares_;
  Arrived arrived_;
  std::map<std::vector<std::int64_t>, int> classes_;

  // by class; volume: bytes that each of its flows has sent since the class was last empty
  std::vector<std::vector<Flow>> flows_;
  std::vector<double> volume_, rate_;
  std::vector<std::int64_t> since_, end_;  // ns: of volume_; of its next flow to end
  std::vector<Duration> latency_;
  std::vector<std::int64_t> block_end_;  // least end of each 32 classes
  std::vector<std::uint8_t> block_stale_;

  std::vector<Delivery> deliveries_;
  std::vector<double> carried_, saturated_;
  std::int64_t usage_since_ = 0;
  std::uint64_t sequence_ = 0, delivered_ = 0;
  Time wake_{kNever};
  bool settling_ = false, settle_waits_ = false;
};

}  // namespace runcast
