// See the header.
#include "parallelism/data_loading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace runcast {

DataLoading read_data_loading(Section s) {
  constexpr std::int64_t kMost = 1'000'000;
  DataLoading d;
  const auto at_most = [&](std::string_view key, std::int64_t value, std::int64_t least) {
    if (s.ok() && (value < least || value > kMost))
      s.fail(key, fmt::format("{} must be between {} and {}, not {}", key, least, kMost, value));
    return std::clamp(value, least, kMost);
  };
  d.workers_per_gpu = at_most("workers_per_gpu", s.count("workers_per_gpu", d.workers_per_gpu), 1);
  d.prefetch = at_most("prefetch", s.count("prefetch", d.prefetch), 0);
  d.time_per_sample = s.seconds("time_per_sample", d.time_per_sample);
  d.bytes_per_sample = s.bytes("bytes_per_sample", d.bytes_per_sample);
  d.storage = s.bandwidth("storage", d.storage);
  return d;
}

LoadingTime loading_time(const DataLoading& d, double global_batch, int replicas) {
  LoadingTime time{d.time_per_sample * (global_batch / replicas / static_cast<double>(d.workers_per_gpu)),
                   Seconds(0)};
  if (d.storage.value > 0) time.storage = d.bytes_per_sample * global_batch / d.storage;
  constexpr double kLongest = 1e9;
  if (!(time.needed().value < kLongest))
    throw ConfigError(
        fmt::format("data_loading takes {:.3g} s for the samples of one step", time.needed().value));
  return time;
}

Duration starved(const DataLoading& d, const LoadingTime& time, Duration step) {
  const Duration needed = to_clock(time.needed());
  return d.prefetch == 0 ? needed : std::max(Duration{}, needed - step);
}

std::int64_t enough_workers(const DataLoading& d, double global_batch, int replicas, Seconds step) {
  DataLoading one = d;
  one.workers_per_gpu = 1;
  const double workers = std::ceil(loading_time(one, global_batch, replicas).workers / step);
  return std::max(d.workers_per_gpu, static_cast<std::int64_t>(std::min(workers, 1e6)));
}

}  // namespace runcast
