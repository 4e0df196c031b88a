// The input pipeline as a stage that can starve the step: worker processes beside each GPU make samples, storage feeds
// them. A step needs the samples of its whole batch:
//   workers  T_w = time per sample x samples of a replica / workers of a GPU (its loader serves the replica)
//   storage  T_s = bytes per sample x global batch / storage bandwidth of the job
//   loader   T = max(T_w, T_s); with prefetching it works beside the step, which waits for T - step; without, before it
// Leaves out: samples that differ in cost, the first batch, page caches.
#pragma once

#include <cstdint>

#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

struct DataLoading {
  std::int64_t workers_per_gpu = 2;
  std::int64_t prefetch = 2;   // batches made ahead by each worker (PyTorch's prefetch_factor); 0: none
  Seconds time_per_sample{0};  // of one worker; 0: workers never starve the step
  Bytes bytes_per_sample{0};   // read from storage
  Bandwidth storage{0};        // of the whole job; 0: storage never starves the step
};

// Reads the section. What is wrong is recorded in the section's document.
DataLoading read_data_loading(Section);

struct LoadingTime {
  Seconds workers, storage;
  Seconds needed() const { return workers > storage ? workers : storage; }
};
// For the samples of one step: `global_batch` of them over `replicas`.
LoadingTime loading_time(const DataLoading&, double global_batch, int replicas);
// How long the step waits for its samples when it takes `step` without them.
Duration starved(const DataLoading&, const LoadingTime&, Duration step);
// The fewest workers a GPU with which they do not starve a step of this length; at least the present number.
std::int64_t enough_workers(const DataLoading&, double global_batch, int replicas, Seconds step);

}  // namespace runcast
