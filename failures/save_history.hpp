// The saves of one checkpoint level, as a stack of evenly spaced rows: thousands of saves between two
// failures are one entry. Position: work done, in ns of normal step time. The initial state (position 0) is
// always there.
#pragma once

#include <vector>

#include "sim/units.hpp"

namespace runcast {

class SaveHistory {
 public:
  // `count` saves: the first of position `first`, durable at `durable`, the others `stride` of work and
  // `cycle` of wall time apart. REQUIRES: later than all before.
  void add(Duration first, Time durable, std::int64_t count = 1, Duration stride = {}, Duration cycle = {}) {
    rows_.push_back({first, stride, durable, cycle, count});
  }
  // Forgets saves that are not durable at `now`: the job that was writing them is dead.
  void drop_unfinished(Time now) {
    while (rows_.size() > 1 && rows_.back().durable > now) rows_.pop_back();
    Row& row = rows_.back();
    if (row.count > 1 && row.cycle.ns > 0) keep(row, (now - row.durable).ns / row.cycle.ns + 1);
  }
  // Forgets saves of work past `position`.
  void drop_after(Duration position) {
    while (rows_.size() > 1 && rows_.back().first > position) rows_.pop_back();
    Row& row = rows_.back();
    if (row.count > 1 && row.stride.ns > 0) keep(row, (position - row.first).ns / row.stride.ns + 1);
  }
  Duration newest() const {
    const Row& row = rows_.back();
    return row.first + row.stride * (row.count - 1);
  }

 private:
  struct Row {
    Duration first, stride;
    Time durable;
    Duration cycle;
    std::int64_t count;
  };
  static void keep(Row& row, std::int64_t count) {
    if (count < row.count) row.count = count;
  }
  std::vector<Row> rows_{{Duration{}, Duration{}, Time{}, Duration{}, 1}};
};

}  // namespace runcast
