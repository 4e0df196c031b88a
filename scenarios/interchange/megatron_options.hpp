// The options of Megatron-LM that change time or memory, those that do not, and its names of modules.
#pragma once

#include <span>
#include <string_view>

namespace runcast {

bool is_megatron_option(std::string_view name);         // in the table that import and export share
bool is_silent_megatron_option(std::string_view name);  // says nothing of time or memory here

struct MegatronModule {
  std::string_view theirs, ours;  // of --recompute-modules, of training.recompute
};
std::span<const MegatronModule> megatron_modules();

}  // namespace runcast
