// One's own benchmarks as measurements of one library entry: times of matrix products for a GPU, the output of
// nccl-tests for a node. They fit what steps alone leave open, and make an entry for hardware that nobody published
// a step of.
// Leaves out: attention kernels, in-place results of nccl-tests (the out-of-place ones are read).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scenarios/calibration_study.hpp"
#include "topology/collective.hpp"

namespace runcast {

// A CSV with the columns m, n, k, time_us or tflops, and precision (bf16 where it is missing), groups (1). Throws
// ConfigError with all wrong rows, or for a precision that the GPU has no units for.
CalibrationStudy gemm_study(std::string_view csv, const std::string& file, const std::string& gpu,
                            const Library& library, const CalibrationRequest& request,
                            const ExperimentOptions& options);

// What a run of nccl-tests printed.
struct CollectiveRun {
  Collective collective = Collective::all_reduce;
  int ranks = 0, nodes = 0;
  struct Row {
    Bytes size;
    Seconds time;  // out of place
  };
  std::vector<Row> rows;             // by size, of more than 0 bytes; of equal sizes the median
  std::vector<std::string> devices;  // the GPUs as NCCL names them, each once
};
// The collective is read from "# Collective test starting: NAME_perf", else from the file's name, else from the ratio
// of bus bandwidth to algorithm bandwidth. Of more than 200 sizes 200 are kept, evenly over the list: a fit's work and
// memory go with their square. Throws ConfigError for text without a table or without its ranks.
CollectiveRun read_nccl_tests(std::string_view text, const std::string& file);

// Fits the bandwidths and latencies of the node's links that the run went over. The document's `warnings` tell when the
// log's GPUs are not the node's.
CalibrationStudy nccl_study(const CollectiveRun& run, const std::string& node, const Library& library,
                            const CalibrationRequest& request, const ExperimentOptions& options);

}  // namespace runcast
