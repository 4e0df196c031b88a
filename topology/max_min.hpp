// Max-min fair shares of flows over links (Bertsekas & Gallager 1992, 6.5.2). Flows of one class have the same
// links and therefore the same rate. The shares are those rates r that satisfy, for every link l of capacity C,
//   sum over its flows of r <= C                                             (no link over capacity)
// and for every flow one link on which it has the highest rate and whose capacity is used up  (its bottleneck).
// They are found by progressive filling: all rates grow together; a link that fills up freezes its flows.
// After a change the old shares are swept again from the lowest level up, and only where they change. A link that the
// change touches fills up anew, at a level that takes the rates of classes which other links hold as they were. Where it
// is another than before, its classes are let go of at the old level or frozen at the new one, and that touches their other
// full links; rates below the level that the sweep has reached are final. A level within 1e-13 of the old one is the old
// one: what a change does fades with distance.
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
  std::uint64_t visited() const {
    return visited_;
  }  // classes that solve() let go of or froze, since construction

 private:
  enum class What : std::uint8_t { release, fill };
  struct Event {  // of the sweep; in the order of level, then of what, then of link
    double level;
    What what;
    std::int32_t link;
    std::uint32_t version;  // of the link's state that it holds for
  };
  struct LinkState {
    double capacity;
    double load = 0;            // as of the last solve, to rounding
    double level = 0;           // at which the classes that it holds froze
    double next_level = 0;      // in this solve
    std::uint32_t mark = 0;     // of the solve that touched it
    std::uint32_t forced = 0;   // of the solve that found it over capacity
    std::uint32_t version = 0;  // its events with another one are void
    bool redundant = false, dirty = false, filled = false;
  };
  enum class Status : std::uint8_t { open, frozen };
  struct ClassState {
    double rate = 0, next = 0;  // as of the last solve; in this one
    std::int32_t count = 0, solved_count = 0;
    std::int32_t holder = -1;                        // the link that froze it
    std::uint32_t mark = 0;                          // of the solve that disturbed it
    std::uint32_t active_begin = 0, active_end = 0;  // its links that are not redundant, in active_
    std::int32_t next_holder = -1;
    Status status = Status::open;  // of a disturbed one
    bool touched = false;
  };
  struct Feeders {  // distinct links before it on its classes' routes, and after it
    std::vector<std::int32_t> before, after;
    // Of their capacities; infinite where a route begins (ends) with the link or one of them is not narrower.
    double before_sum = 0, after_sum = 0;
  };
  static bool later(const Event& a, const Event& b) {
    if (a.level != b.level) return a.level > b.level;
    return a.what != b.what ? a.what > b.what : a.link > b.link;
  }
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  void touch(int flow_class);
  void enter(int flow_class);
  void leave(int flow_class);
  void take_changes();
  void disturb(int flow_class, Status);
  void sweep();
  void set_dirty(std::int32_t link);
  void dirty_others(const ClassState&, std::int32_t link);
  double fill_level(std::int32_t link);
  void schedule(std::int32_t link);
  void release(std::int32_t link);
  void freeze(std::int32_t link, double level);
  bool is_full(std::int32_t link) const;
  void force(std::int32_t link);
  bool grow();
  void put_back();
  double rise(const ClassState&) const;
  void feed(std::int32_t link, std::vector<std::int32_t>& feeders, double& sum, std::int32_t from);
  double sum_of(std::int32_t link, const std::vector<std::int32_t>& feeders) const;
  void judge(std::int32_t link);
  void list_active(ClassState&, int flow_class);
  std::span<const std::int32_t> active(const ClassState& state) const {
    return {active_.data() + state.active_begin, active_.data() + state.active_end};
  }

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
  std::vector<Event> events_;
  std::vector<std::int32_t> dirty_, touched_links_, disturbed_, forced_links_, let_go_, result_;
  struct Capped {
    double rate;
    std::int32_t count;
  };
  std::vector<Capped> capped_;
  double reached_ = 0;  // by the sweep
  std::uint32_t mark_ = 0, forced_ = 0;
  std::uint64_t visited_ = 0;
};

}  // namespace runcast
