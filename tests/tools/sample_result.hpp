// A result as `runcast run --format json` prints it, with round numbers, for tests of what is made of it.
#pragma once

#include <nlohmann/json.hpp>

namespace runcast {

inline nlohmann::ordered_json sample_result() {
  return nlohmann::ordered_json::parse(R"json({
    "schema_version": 1,
    "scenario": {"name": "Sample", "model": "llama3-70b", "cluster": {"node": "hgx-h100", "nodes": 16},
                 "layout": {"tensor": 8, "pipeline": 4, "data": "auto"}, "schedule": {"name": "1f1b"}},
    "step": {
      "time_s": 10.0, "tokens_per_s_per_gpu": 1234.6, "model_tflops_per_gpu": 400.0, "mfu": 0.404, "hfu": 0.404,
      "bubble_fraction": 0.2, "bubble_over_ideal": 0.25, "gpus": 128,
      "communication": [{"group": "tensor", "collective": "reduce_scatter", "count": 320, "bytes_per_rank": 42949672960,
                         "time_s": 0.5, "exposed_s": 0.25}],
      "breakdown_s": {"compute": 7.0, "tensor_exposed": 0.25, "bubble": 2.0, "optimizer": 0.05, "other": 0.7, "data_loading": 0},
      "memory": {"capacity_gib": 79.3, "peak_gib": 70.0, "fits": true, "stages": [
        {"stage": 0, "weights_gib": 10, "gradients_gib": 20, "optimizer_gib": 5, "activations_gib": 33, "buffers_gib": 2, "total_gib": 70},
        {"stage": 1, "weights_gib": 10, "gradients_gib": 20, "optimizer_gib": 5, "activations_gib": 22, "buffers_gib": 2, "total_gib": 59},
        {"stage": 2, "weights_gib": 10, "gradients_gib": 20, "optimizer_gib": 5, "activations_gib": 22, "buffers_gib": 2, "total_gib": 59}]}
    },
    "run": {"ideal_days": 20.0, "days": {"mean": 21.5, "ci95_low": 21.4, "ci95_high": 21.6, "p5": 21, "p50": 21.5, "p95": 22},
            "goodput": {"mean": 0.93, "p5": 0.91, "p50": 0.93, "p95": 0.95}, "interruptions": {"mean": 12.5, "p5": 7, "p95": 19},
            "ledger": {"useful": 0.93, "recomputed": 0.03, "checkpoint": 0.02, "wait_for_spare": 0.02, "sdc": 0},
            "trials": 200},
    "cost": {"usd": 231000, "gpu_hours": 66048, "energy_mwh": 90, "co2e_t": 33},
    "provenance": {"version": "0.1.0", "seed": 1, "scenario_hash": "00ff", "assumptions": ["1.0 GiB a GPU for the CUDA context"]}
  })json");
}

}  // namespace runcast
