// A memory snapshot (kineto.hpp): segments as they are at the end, and device_traces, the allocations in time order,
// which pytorch.org/memory_viz plots [pytorch: torch/cuda/_memory_viz.py, format of _snapshot()]. Addresses are made up:
// each block has its own.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tools/report/kineto.hpp"
#include "tools/report/number.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kFirstAddress = 0x7f0000000000;

class Snapshot {
 public:
  std::int64_t allocate(std::int64_t size, Time at, const std::string& what) {
    const std::int64_t address = next_;
    next_ += (size + 511) / 512 * 512;
    event("alloc", address, size, at, what);
    return address;
  }
  void free(std::int64_t address, std::int64_t size, Time at, const std::string& what) {
    event("free_requested", address, size, at, what);
    event("free_completed", address, size, at, what);
  }
  Json segments(std::int64_t address, std::int64_t size, const std::string& what) const {
    Json block = {{"address", address},
                  {"size", size},
                  {"requested_size", size},
                  {"state", "active_allocated"},
                  {"frames", frames(what)}};
    return Json::array({{{"device", 0},
                         {"address", address},
                         {"total_size", size},
                         {"allocated_size", size},
                         {"active_size", size},
                         {"requested_size", size},
                         {"stream", 0},
                         {"segment_type", "large"},
                         {"frames", Json::array()},
                         {"blocks", Json::array({std::move(block)})}}});
  }
  Json take() { return std::move(events_); }

 private:
  static Json frames(const std::string& what) {
    return Json::array({{{"name", what}, {"filename", "runcast"}, {"line", 0}}});
  }
  void event(const char* action, std::int64_t address, std::int64_t size, Time at, const std::string& what) {
    events_.push_back({{"action", action},
                       {"addr", address},
                       {"size", size},
                       {"stream", 0},
                       {"time_us", at.ns / 1000},
                       {"frames", frames(what)}});
  }

  std::int64_t next_ = kFirstAddress;
  Json events_ = Json::array();
};

}  // namespace

std::string memory_snapshot(const StepTimeline& timeline, RankId rank) {
  const RankTimeline r = timeline.of(rank);
  Snapshot snapshot;
  const std::string kept = "weights, gradients, optimizer, buffers";
  const auto other = static_cast<std::int64_t>(r.other_memory.value);
  const std::int64_t base = snapshot.allocate(other, r.begin, kept);
  std::map<std::pair<int, int>, std::int64_t> address_of;  // of a micro-batch in a stage
  for (const MemoryChange& change : r.changes) {
    const auto size = static_cast<std::int64_t>(change.size.value);
    if (size <= 0) continue;
    const std::string what = fmt::format("activations mb{} st{}", change.microbatch, change.stage);
    const std::pair key(change.stage, change.microbatch);
    if (change.comes)
      address_of[key] = snapshot.allocate(size, change.at, what);
    else
      snapshot.free(address_of.at(key), size, change.at, what);
  }
  Json document = {{"segments", snapshot.segments(base, other, kept)},
                   {"device_traces", Json::array({snapshot.take()})},
                   {"allocator_settings", Json::object()}};
  return json_text(document) + "\n";
}

}  // namespace runcast
