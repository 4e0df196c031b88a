// Which replicas are out of the job, and whether the others still hold every part of the batch.
// Parts and holders (replicated policy): part i is computed by the replicas i + 2^j - 1 (mod n), j < copies:
// distances between holders are all different, so that few failures rarely hit one part twice (SPARe, arXiv
// 2603.00357, has rulers for the same end; a failure count of about Gamma(1/r) n^{1-1/r} / r is masked).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "failures/blast.hpp"
#include "sim/units.hpp"

namespace runcast {

class ReplicaSet {
 public:
  struct Out {
    std::int64_t replica;
    Time back;  // kNever: at the next restart
  };

  ReplicaSet(std::int64_t replicas, std::int64_t copies) : copies_(copies), out_of_(static_cast<std::size_t>(replicas), 0) {}

  std::size_t out() const { return list_.size(); }
  const std::vector<Out>& list() const { return list_; }
  std::vector<Out>& list() { return list_; }
  bool is_out(std::int64_t replica) const { return out_of_[static_cast<std::size_t>(replica)] != 0; }
  bool all_out(ReplicaRange range) const {
    for (std::int64_t r = range.first; r <= range.last; ++r)
      if (!is_out(r)) return false;
    return true;
  }
  void take_out(std::int64_t replica, Time back) {
    if (is_out(replica)) return;
    out_of_[static_cast<std::size_t>(replica)] = 1;
    list_.push_back({replica, back});
  }
  void put_back(std::int64_t replica) {
    out_of_[static_cast<std::size_t>(replica)] = 0;
    std::erase_if(list_, [&](const Out& o) { return o.replica == replica; });
  }
  // Every part that `replica` helps with has a holder left.
  bool masked(std::int64_t replica) const {
    for (std::int64_t j = 0; j < copies_; ++j)
      if (!held(replica - offset(j))) return false;
    return true;
  }

 private:
  std::int64_t size() const { return static_cast<std::int64_t>(out_of_.size()); }
  std::int64_t offset(std::int64_t j) const {
    return j < 40 ? ((std::int64_t{1} << j) - 1) % size() : j % size();
  }
  bool held(std::int64_t part) const {
    for (std::int64_t j = 0; j < copies_; ++j)
      if (!is_out(((part + offset(j)) % size() + size()) % size())) return true;
    return false;
  }

  std::int64_t copies_;
  std::vector<char> out_of_;
  std::vector<Out> list_;  // few
};

}  // namespace runcast
