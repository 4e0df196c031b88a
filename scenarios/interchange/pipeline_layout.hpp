// Megatron-LM's --pipeline-model-parallel-layout: which layers each pipeline stage holds, in the order of the model.
// "Et*3|(tt|)*29,m|L": stages are split by |, x*n and (...)*n repeat, commas mean nothing; E embedding, t transformer layer,
// m layer of multi-token prediction, L loss. Here parentheses nest and a repetition is bounded.
// Source: Megatron-LM, megatron/core/transformer/pipeline_parallel_layer_layout.py (core 0.13).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace runcast {

struct PipelineLayout {
  std::vector<std::int64_t> layers;  // [stage], transformer layers
  std::int64_t predicted = 0;        // layers of multi-token prediction
  std::int64_t predicted_stage = 0;  // where they are, from 0
};

// Throws ConfigError with a sentence that has no place ("has 'x' where ..."): the caller knows the option's line.
// Embedding has to be the first of the first stage, loss the last of the last, and no transformer layer follows prediction.
PipelineLayout read_pipeline_layout(std::string_view text);

// The shortest way to write it, prediction in the last stage: "Et*3|(tt|)*29mL".
std::string pipeline_layout_text(std::span<const std::int64_t> layers, std::int64_t predicted);

}  // namespace runcast
