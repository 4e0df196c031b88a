// What is fuzzed: each target is a function of any bytes that reads them as the program would read what a user hands to
// it. ConfigError is an answer; any other exception, a crash, a sanitizer's report, a hang or an eaten memory is a
// finding. Where reading has an inverse, the target claims that too.
#pragma once

#include <span>
#include <string_view>

namespace runcast::fuzz {

struct Target {
  std::string_view name;  // of its corpus and dictionary: corpus/NAME/, NAME.dict
  void (*run)(std::string_view input);
};
std::span<const Target> targets();
const Target* find_target(std::string_view name);  // nullptr when absent

void scenario(std::string_view);     // read, validated, resolved; the resolved one is read again
void step(std::string_view);         // a small scenario's step and memory
void study(std::string_view);        // a study file and its points
void csv(std::string_view);          // published steps, failures, nccl-tests, GEMM times: by the first letter
void huggingface(std::string_view);  // config.json, and what it becomes as a model
void megatron(std::string_view);     // a launch script, and what it becomes as a scenario
void quantity(std::string_view);     // numbers with units, and their tidy spelling
void overrides(std::string_view);    // --set, a line each
void assertion(std::string_view);    // --assert
void results(std::string_view);      // a file of a sweep's results, merged
void aicb(std::string_view);         // a workload of AICB, and the scenario that it becomes
void nccl_topology(std::string_view);  // NCCL's XML, and the node that it becomes

// Runs `read`; a ConfigError is an answer.
template <class Read>
void answered(Read read);

}  // namespace runcast::fuzz

#include "sim/error.hpp"

template <class Read>
void runcast::fuzz::answered(Read read) {
  try {
    read();
  } catch (const ConfigError&) {
    return;
  }
}
