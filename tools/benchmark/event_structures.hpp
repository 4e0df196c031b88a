// The event structures that sim/ladder_queue.hpp is compared with: heaps of arity d, and a calendar queue.
//   heap      implicit d-ary heap, moved through a hole (Johnson 1975)
//   calendar  Brown 1988 ("Calendar queues", CACM 31(10)): sorted lists in the days of a year, resized when the
//             number of events doubles or halves; the width of a day is three times the mean gap of a sample
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/ladder_queue.hpp"

namespace runcast {

struct EventRecord {
  EventKey key;
  std::uint32_t payload;
};

template <std::size_t Arity>
class HeapQueue {
 public:
  using Key = EventKey;

  void push(Key key, std::uint32_t payload) {
    std::size_t hole = heap_.size();
    heap_.push_back({});
    while (hole > 0) {
      const std::size_t parent = (hole - 1) / Arity;
      if (!(key < heap_[parent].key)) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    heap_[hole] = {key, payload};
  }
  const Key& first() const { return heap_.front().key; }
  std::uint32_t pop() {
    const std::uint32_t payload = heap_.front().payload;
    const EventRecord last = heap_.back();
    heap_.pop_back();
    const std::size_t size = heap_.size();
    if (size == 0) return payload;
    std::size_t hole = 0;
    for (;;) {
      const std::size_t child = hole * Arity + 1;
      if (child >= size) break;
      std::size_t least = child;
      for (std::size_t c = child + 1; c < std::min(child + Arity, size); ++c)
        if (heap_[c].key < heap_[least].key) least = c;
      if (!(heap_[least].key < last.key)) break;
      heap_[hole] = heap_[least];
      hole = least;
    }
    heap_[hole] = last;
    return payload;
  }

 private:
  std::vector<EventRecord> heap_;
};

class CalendarQueue {
 public:
  using Key = EventKey;

  CalendarQueue() { resize(16); }

  void push(Key key, std::uint32_t payload) {
    if (key.time < day_start_) turn_back(key.time);
    insert({key, payload});
    if (++size_ > 2 * days_.size()) resize(2 * days_.size());
  }

  const Key& first() {
    find_first();
    return nodes_[days_[day_]].record.key;
  }

  std::uint32_t pop() {
    find_first();
    const std::uint32_t node = days_[day_];
    days_[day_] = nodes_[node].next;
    free_.push_back(node);
    const std::uint32_t payload = nodes_[node].record.payload;
    if (--size_ < days_.size() / 2 && days_.size() > 16) resize(days_.size() / 2);
    return payload;
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  struct Node {
    EventRecord record;
    std::uint32_t next;
  };

  std::size_t day_of(std::uint64_t time) const {
    return static_cast<std::size_t>(time >> shift_) & (days_.size() - 1);
  }
  void turn_back(std::uint64_t time) {
    day_start_ = time >> shift_ << shift_;
    day_ = day_of(time);
  }

  void insert(const EventRecord& record) {
    std::uint32_t node;
    if (free_.empty()) {
      node = static_cast<std::uint32_t>(nodes_.size());
      nodes_.push_back({record, kNone});
    } else {
      node = free_.back();
      free_.pop_back();
      nodes_[node].record = record;
    }
    std::uint32_t* place = &days_[day_of(record.key.time)];
    while (*place != kNone && nodes_[*place].record.key < record.key) place = &nodes_[*place].next;
    nodes_[node].next = *place;
    *place = node;
  }

  // Day by day through one year; when nothing is due this year, straight to the earliest event.
  void find_first() {
    for (std::size_t i = 0; i < days_.size(); ++i) {
      const std::uint32_t node = days_[day_];
      if (node != kNone && nodes_[node].record.key.time < day_start_ + (std::uint64_t{1} << shift_)) return;
      day_ = (day_ + 1) & (days_.size() - 1);
      day_start_ += std::uint64_t{1} << shift_;
    }
    std::uint32_t earliest = kNone;
    for (const std::uint32_t node : days_)
      if (node != kNone && (earliest == kNone || nodes_[node].record.key < nodes_[earliest].record.key))
        earliest = node;
    turn_back(nodes_[earliest].record.key.time);
  }

  // Three mean gaps of the next 25 events, as a power of two; gaps above twice the mean do not count
  // [Brown 1988, sec. 3]. `all` is sorted, latest first.
  int sampled_shift(const std::vector<EventRecord>& all) const {
    const std::size_t gaps = std::min<std::size_t>(all.size(), 25) - 1;
    const auto gap = [&](std::size_t i) {
      return all[all.size() - 2 - i].key.time - all[all.size() - 1 - i].key.time;
    };
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < gaps; ++i) sum += gap(i);
    std::uint64_t near = 0, count = 0;
    for (std::size_t i = 0; i < gaps; ++i) {
      if (gap(i) * gaps > 2 * sum) continue;
      near += gap(i);
      ++count;
    }
    return static_cast<int>(std::bit_width(3 * near / std::max<std::uint64_t>(1, count) + 1)) - 1;
  }

  void resize(std::size_t days) {
    std::vector<EventRecord> all;
    all.reserve(size_);
    for (const std::uint32_t first : days_)
      for (std::uint32_t node = first; node != kNone; node = nodes_[node].next)
        all.push_back(nodes_[node].record);
    days_.assign(days, kNone);
    nodes_.clear();
    free_.clear();
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return b.key < a.key; });
    if (all.size() > 1) shift_ = sampled_shift(all);
    for (const EventRecord& record : all) insert(record);  // latest first: each goes to the front of its day
    turn_back(all.empty() ? day_start_ : all.back().key.time);
  }

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> days_;  // first node of each day's list
  int shift_ = 10;                   // a day is 2^shift ns
  std::size_t day_ = 0;
  std::uint64_t day_start_ = 0;
  std::size_t size_ = 0;
};

}  // namespace runcast
