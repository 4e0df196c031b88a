// A workload text of AICB (the input of SimAI, a fork of ASTRA-sim's) as a scenario, and its volumes of communication
// beside ours.
//   header  HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: 2 ep: 4 pp: 2 vpp: 1 ga: 8 all_gpus: 32 ...
//   then the number of rows, and the rows of one step of one rank, of all layers whatever pp is:
//   name  -1  forward: time ns, collective, bytes  backward: the same  data parallel: the same  update time
// What a row tells: attention rows the layers; sizes of tensor-parallel rows 2 B x tokens x hidden; cross_entropy rows
// 4 B x tokens; embedding_norm 2 B x vocabulary x hidden; grad rows 2 B x parameters of a rank. A model is not in the
// text: the library's of these sizes is taken where there is one, else it has to be named.
// Leaves out: AICB's times (they are a measurement of its machine), and the order inside a layer.
// Source of the format: aliyun/aicb, workload_generator/SimAI_training_workload_generator.py; workload/simAI.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/library.hpp"
#include "scenarios/scenario.hpp"

namespace runcast {

struct AicbOptions {
  std::string model;              // of the library, or a path; "" to look for it
  std::string node = "hgx-h100";  // a text names no hardware
  std::int64_t micro_batch = 1;
};

// One step of a rank, all layers; full tensors.
struct AicbVolumes {
  double tensor = 0, expert = 0, gather = 0, reduce = 0;
};

struct AicbImport {
  std::string model, yaml;
  int tensor = 1, expert = 1, pipeline = 1, virtual_stages = 1;
  std::int64_t microbatches = 1, gpus = 0, layers = 0, moe_layers = 0, tokens = 0, hidden = 0, vocabulary = 0;
  double parameters = 0;  // of a tensor rank, experts not counted
  AicbVolumes volumes;
  std::vector<std::string> notes;
};

// Throws ConfigError `WHERE:LINE: ...` for text that is no such workload; when the model or another key cannot be told,
// the sentence says what to give.
AicbImport import_aicb(const std::string& text, const std::string& name, const std::string& where,
                       const AicbOptions&, const Library&);

// The text's volumes beside those of the scenario's step, as lines of a table.
std::vector<std::string> compare_volumes(const AicbImport&, const Scenario&);

}  // namespace runcast
