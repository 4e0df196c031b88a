// A priority queue of (time, order) keys whose cost does not grow with the number of waiting events.
// Tang, Goh & Thng 2005 ("Ladder queue: an O(1) priority queue structure for large-scale discrete event
// simulation", ACM TOMACS 15(3)). Events far ahead lie unsorted in `top_`; when they are due they are spread
// over the buckets of a rung, a full bucket over the finer buckets of a rung of its own, and only what comes
// next is sorted, into `bottom_`:
//
//   bottom_ (sorted) | finest rung | ... | coarsest rung | top_ (unsorted)
//   now ------------------------------------------------------------> later
//
// Unlike the paper's, buckets hold a few events each, in chunks of two cache lines (an event is moved three
// times, and each move is to or from memory in a row), and their widths are powers of two, so that finding one
// is a shift. Ties in time are broken by `order` exactly. Leaves out: removing an event before its time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/error.hpp"

namespace runcast {

struct EventKey {
  std::uint64_t time, order;
  friend bool operator<(const EventKey& a, const EventKey& b) {
    __extension__ using Wide = unsigned __int128;  // one comparison without a branch
    return (Wide{a.time} << 64 | a.order) < (Wide{b.time} << 64 | b.order);
  }
};

// `Payload` is small and plain: an index.
class LadderQueue {
 public:
  using Payload = std::uint32_t;

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  // INVARIANT of the caller: not before the last key that was popped.
  void push(EventKey key, Payload payload) {
    const Entry entry{key, payload};
    ++size_;
    if (key.time >= top_start_) {
      top_.push_back(entry);
      return;
    }
    for (std::size_t r = 0; r < rungs_in_use_; ++r) {
      if (key.time >= rungs_[r].current_start()) {
        add(rungs_[r], entry);
        return;
      }
    }
    insert_into_bottom(entry);
  }

  // INVARIANT: not empty.
  const EventKey& first() {
    if (head_ == bottom_.size()) refill();
    return bottom_[head_].key;
  }
  // Takes the event of first(). INVARIANT: not empty.
  Payload pop() {
    if (head_ == bottom_.size()) refill();
    --size_;
    return bottom_[head_++].payload;
  }
  void clear() { *this = LadderQueue(); }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::size_t kChunk = 5;    // events: two cache lines
  static constexpr std::size_t kBucket = 8;   // events aimed at, a bucket
  static constexpr std::size_t kSplit = 48;   // a bucket with more goes over a finer rung [the paper: 50]
  static constexpr std::size_t kCrowd = 128;  // so does a bottom that late arrivals have filled

  struct Entry {
    EventKey key;
    Payload payload;
    friend bool operator<(const Entry& a, const Entry& b) { return a.key < b.key; }
  };
  struct alignas(64) Chunk {
    std::array<Entry, kChunk> entries;
    std::uint32_t next;
  };
  struct Bucket {
    std::uint32_t chunk = kNone;  // the last one begun
    std::uint32_t count = 0;
  };
  struct Rung {
    std::uint64_t start = 0;  // of bucket 0
    int shift = 0;            // width 2^shift ns
    std::size_t current = 0;  // buckets before it are spent
    std::size_t count = 0;    // events
    std::size_t used = 0;     // buckets of this rung; the vector may have more
    std::vector<Bucket> buckets;
    std::uint64_t current_start() const { return start + (static_cast<std::uint64_t>(current) << shift); }
    std::uint64_t end() const { return start + (static_cast<std::uint64_t>(used) << shift); }
  };

  std::uint32_t new_chunk(std::uint32_t next) {
    std::uint32_t chunk = free_chunk_;
    if (chunk == kNone) {
      chunk = static_cast<std::uint32_t>(chunks_.size());
      chunks_.emplace_back();
    } else {
      free_chunk_ = chunks_[chunk].next;
    }
    chunks_[chunk].next = next;
    return chunk;
  }

  void add(Rung& rung, const Entry& entry) {
    Bucket& bucket = rung.buckets[static_cast<std::size_t>((entry.key.time - rung.start) >> rung.shift)];
    const std::size_t place = bucket.count++ % kChunk;
    if (place == 0) bucket.chunk = new_chunk(bucket.chunk);
    chunks_[bucket.chunk].entries[place] = entry;
    ++rung.count;
  }

  // Takes the bucket apart: f(entry) for each of its events, in no order.
  template <class Function>
  void drain(Bucket bucket, Function f) {
    std::size_t left = bucket.count;
    std::size_t in_chunk = left % kChunk == 0 ? kChunk : left % kChunk;
    for (std::uint32_t chunk = bucket.chunk; left > 0; in_chunk = kChunk) {
      for (std::size_t i = 0; i < in_chunk; ++i) {
        const Entry entry = chunks_[chunk].entries[i];  // f may make chunks
        f(entry);
      }
      left -= in_chunk;
      const std::uint32_t next = chunks_[chunk].next;
      chunks_[chunk].next = free_chunk_;
      free_chunk_ = chunk;
      chunk = next;
    }
  }

  // A rung over [start, start + span) with a bucket for each few of `events`.
  Rung& new_rung(std::uint64_t start, std::uint64_t span, std::size_t events) {
    if (rungs_in_use_ == rungs_.size()) rungs_.emplace_back();
    Rung& rung = rungs_[rungs_in_use_++];
    rung.start = start;
    const int finest = static_cast<int>(std::bit_width(events / kBucket));
    rung.shift = std::max(0, static_cast<int>(std::bit_width(span)) - finest);
    rung.used = static_cast<std::size_t>(((span - 1) >> rung.shift) + 1);
    rung.current = rung.count = 0;
    rung.buckets.assign(rung.used, Bucket{});
    return rung;
  }

  void insert_into_bottom(const Entry& entry) {
    if (head_ == bottom_.size()) {
      bottom_.clear();
      head_ = 0;
    }
    if (bottom_.empty() || bottom_.back() < entry) {
      bottom_.push_back(entry);
    } else {
      const auto live = bottom_.begin() + static_cast<std::ptrdiff_t>(head_);
      bottom_.insert(std::upper_bound(live, bottom_.end(), entry), entry);
    }
    if (bottom_.size() - head_ > kCrowd && bottom_.back().key.time > bottom_[head_].key.time) spread_bottom();
  }

  // Its rung reaches to the next coarser one, so that what arrives in between has a bucket too.
  void spread_bottom() {
    const std::uint64_t start = bottom_[head_].key.time;
    const std::uint64_t end = rungs_in_use_ > 0 ? rungs_[rungs_in_use_ - 1].current_start() : top_start_;
    Rung& rung = new_rung(start, end - start, bottom_.size() - head_);
    for (std::size_t i = head_; i < bottom_.size(); ++i) add(rung, bottom_[i]);
    bottom_.clear();
    head_ = 0;
  }

  void refill() {
    INVARIANT(size_ > 0);
    bottom_.clear();
    head_ = 0;
    while (bottom_.empty()) {
      if (rungs_in_use_ == 0)
        take_top();
      else if (rungs_[rungs_in_use_ - 1].count == 0)
        --rungs_in_use_;
      else
        take_bucket();
    }
    std::sort(bottom_.begin(), bottom_.end());
  }

  void take_top() {
    std::uint64_t least = top_.front().key.time, most = least;
    for (const Entry& entry : top_) {
      least = std::min(least, entry.key.time);
      most = std::max(most, entry.key.time);
    }
    if (top_.size() <= kSplit) {
      bottom_.swap(top_);
      top_start_ = most + 1;
      return;
    }
    Rung& rung = new_rung(least, most - least + 1, top_.size());
    for (const Entry& entry : top_) add(rung, entry);
    top_start_ = rung.end();
    top_.clear();
  }

  void take_bucket() {
    Rung& rung = rungs_[rungs_in_use_ - 1];
    while (rung.buckets[rung.current].count == 0) ++rung.current;
    const std::uint64_t start = rung.current_start();
    const Bucket bucket = rung.buckets[rung.current++];
    rung.count -= bucket.count;
    if (bucket.count > kSplit && rung.shift > 0) {
      Rung& finer = new_rung(start, std::uint64_t{1} << rung.shift, bucket.count);
      drain(bucket, [&](const Entry& entry) { add(finer, entry); });
    } else {
      drain(bucket, [&](const Entry& entry) { bottom_.push_back(entry); });
    }
  }

  std::vector<Entry> top_;
  std::uint64_t top_start_ = 0;  // events from here on are top's
  std::vector<Rung> rungs_;      // coarsest first
  std::size_t rungs_in_use_ = 0;
  std::vector<Chunk> chunks_;
  std::uint32_t free_chunk_ = kNone;
  std::vector<Entry> bottom_;  // ascending; what lies before head_ is spent
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace runcast
