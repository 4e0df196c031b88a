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

  // A class without flows yet; at least one link. A link that is named twice carries the flow twice: what moves in
  // lockstep over many routes (a ring) is one flow over all of them. Returns 0, 1, 2, ...
  int add_class(std::span<const std::int32_t> links);
  // Flows that come (more than 0) or go. INVARIANT: no class has fewer than 0.
  void change(int flow_class, int flows);
  void set_capacity(int link, double capacity);
  // Shares as of all changes so far. Returns the classes whose rate is now another; a class that lost its last flow
  // is not among them. The span is good until the next call.
  std::span<const std::int32_t> solve();

  // As of the last solve(); B/s of one flow.
  double rate(int flow_class) const { return class_[index(flow_class)].rate; }
  int flows(int flow_class) const { return class_[index(flow_class)].count; }
  std::span<const std::int32_t> links(int flow_class) const {
    const auto begin = first_[index(flow_class)];
    return {route_.data() + begin, first_[index(flow_class) + 1] - begin};
  }
  double capacity(int link) const { return link_[index(link)].capacity; }
  double load(int link) const;  // sum of the rates over it, as of the last solve()
  int classes() const { return static_cast<int>(class_.size()); }
  int link_count() const { return static_cast<int>(link_.size()); }
  std::uint64_t visited() const { return visited_; }  // classes that solve() looked at, since construction

 private:
  struct Level {  // at which a link fills up, at least
    double value;
    std::int32_t link;
  };
  struct LinkState {
    double capacity;
    double load = 0;           // as of the last solve, to rounding
    std::uint32_t mark = 0;    // of the solve whose region it is in
    std::uint32_t forced = 0;  // of the solve that found it over capacity
    std::int32_t place = -1;   // in the region
    bool redundant = false;
  };
  struct Feeders {  // distinct links before it on its classes' routes, and after it
    std::vector<std::int32_t> before, after;
    // Of their capacities; infinite where a route begins (ends) with the link or one of them is not narrower.
    double before_sum = 0, after_sum = 0;
  };
  struct ClassState {
    double rate = 0;
    std::int32_t count = 0, solved_count = 0;
    std::uint32_t mark = 0;                          // of the solve whose region it is in
    std::int32_t place = -1;                         // in the region
    std::uint32_t active_begin = 0, active_end = 0;  // its links that are not redundant, in active_
    bool touched = false;
  };
  // What is solved again, copied close together; places instead of ids.
  struct RegionLink {
    double left = 0;        // of the capacity for classes of the region, while it fills
    std::int32_t open = 0;  // flows not frozen yet, while it fills
    std::int32_t id = 0;
    std::uint32_t members_begin = 0, members_end = 0;  // its classes, in region_members_
  };
  struct RegionClass {
    double rate = 0;  // new
    std::int32_t count = 0, id = 0;
    std::uint32_t links_begin = 0, links_end = 0;  // its links of the region, in region_routes_
    bool frozen = false;
  };
  static bool lower(const Level& a, const Level& b) {
    return a.value != b.value ? a.value < b.value : a.link < b.link;
  }
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  void touch(int flow_class);
  void enter(int flow_class);
  void leave(int flow_class);
  double affected_from();
  void collect(double level);
  void add_class_of_region(int flow_class);
  std::int32_t add_link(std::int32_t link);
  bool is_full(std::int32_t link) const;
  void force(std::int32_t link);
  bool grow();
  void put_back();
  double rise(const RegionClass&) const;
  void feed(std::int32_t link, std::vector<std::int32_t>& feeders, double& sum, std::int32_t from);
  double sum_of(std::int32_t link, const std::vector<std::int32_t>& feeders) const;
  void judge(std::int32_t link);
  void list_active(ClassState&, int flow_class);
  std::span<const std::int32_t> active(const ClassState& state) const {
    return {active_.data() + state.active_begin, active_.data() + state.active_end};
  }
  void fill();
  void sink();
  void freeze(const RegionLink& link, double level);

  // by link
  std::vector<LinkState> link_;
  std::vector<std::int64_t> flows_on_;              // flows that cross it
  std::vector<std::vector<std::int32_t>> members_;  // classes with flows
  std::vector<Feeders> feeders_;
  // by class
  std::vector<ClassState> class_;
  std::vector<std::size_t> first_;           // its links begin here in route_
  std::vector<std::int32_t> route_, place_;  // place_: where it is in members_ of that link
  std::vector<std::int32_t> active_;
  bool active_stale_ = false;

  std::vector<std::int32_t> changed_classes_, changed_links_;
  std::vector<RegionLink> region_links_;
  std::vector<RegionClass> region_classes_;
  std::vector<std::int32_t> region_members_, region_routes_, result_;
  std::vector<Level> heap_;
  std::vector<std::int32_t> forced_links_;
  std::uint32_t mark_ = 0, forced_ = 0;
  std::uint64_t visited_ = 0;
};

}  // namespace runcast
