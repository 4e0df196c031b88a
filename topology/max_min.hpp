// Max-min fair shares of flows over links (Bertsekas & Gallager 1992, 6.5.2). Flows of one class have the same
// links and therefore the same rate. The shares are those rates r that satisfy, for every link l of capacity C,
//   sum over its flows of r <= C                                             (no link over capacity)
// and for every flow one link on which it has the highest rate and whose capacity is used up  (its bottleneck).
// They are found by progressive filling: all rates grow together; a link that fills up freezes its flows.
// After a change only the connected component of links and classes that it can touch is solved again, and of that
// only what freezes at or above the level of the change: a flow of rate r that leaves or comes changes nothing that
// freezes below r, since none of its links fills up below r.
// Units: capacity and rate B/s. Leaves out: weights, rate limits of a flow (give it a link of its own).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace runcast {

class MaxMin {
 public:
  // Links are 0 .. capacities.size() - 1. INVARIANT: capacities are more than 0 and finite.
  explicit MaxMin(std::vector<double> capacities);

  // A class without flows yet; `links` without repetition, at least one. Returns 0, 1, 2, ...
  int add_class(std::span<const std::int32_t> links);
  // Flows that come (more than 0) or go. INVARIANT: no class has fewer than 0.
  void change(int flow_class, int flows);
  void set_capacity(int link, double capacity);
  // Shares as of all changes so far. Returns the classes whose rate is now another; a class that lost its last flow
  // is not among them. The span is good until the next call.
  std::span<const std::int32_t> solve();

  // As of the last solve(); B/s of one flow.
  double rate(int flow_class) const { return rate_[index(flow_class)]; }
  int flows(int flow_class) const { return count_[index(flow_class)]; }
  std::span<const std::int32_t> links(int flow_class) const {
    const auto begin = first_[index(flow_class)];
    return {route_.data() + begin, first_[index(flow_class) + 1] - begin};
  }
  double capacity(int link) const { return capacity_[index(link)]; }
  double load(int link) const;  // sum of the rates over it, as of the last solve()
  int classes() const { return static_cast<int>(count_.size()); }
  int link_count() const { return static_cast<int>(capacity_.size()); }
  std::uint64_t visited() const { return visited_; }  // classes that solve() looked at, since construction

 private:
  struct Level {  // at which a link fills up, at least
    double value;
    std::int32_t link;
  };
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  void touch(int flow_class);
  void enter(int flow_class);
  void leave(int flow_class);
  double affected_from();
  void collect(double level);
  void add_link(std::int32_t link);
  void fill();
  void freeze(std::int32_t link, double level);

  // by link
  std::vector<double> capacity_, left_;             // left_: of the region, while it fills
  std::vector<std::int32_t> open_;                  // flows not frozen yet, while it fills
  std::vector<std::int64_t> flows_on_;              // flows that cross it
  std::vector<std::vector<std::int32_t>> members_;  // classes with flows
  std::vector<std::uint32_t> link_mark_;
  // by class
  std::vector<std::size_t> first_;           // its links begin here in route_
  std::vector<std::int32_t> route_, place_;  // place_: where it is in members_ of that link
  std::vector<std::int32_t> count_, solved_count_;
  std::vector<double> rate_, old_rate_;
  std::vector<std::uint32_t> class_mark_, frozen_mark_;
  std::vector<std::uint8_t> touched_;

  std::vector<std::int32_t> changed_classes_, changed_links_;
  std::vector<std::int32_t> region_links_, region_classes_, result_;
  std::vector<Level> heap_;
  std::uint32_t mark_ = 0;
  std::uint64_t visited_ = 0;
};

}  // namespace runcast
