// Megatron-LM's arguments as a scenario, and a scenario as Megatron-LM's arguments. One visible table holds each option
// with how it reads and how it writes, so that what was read is written again. Options that do not change a step's time
// or memory (learning rate, paths, logging) are passed over; others that are not in the table are told.
// Source of names and defaults: Megatron-LM, megatron/training/arguments.py (core 0.12).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/scenario.hpp"

namespace runcast {

struct MegatronImport {
  std::string yaml;                // a scenario
  std::vector<std::string> notes;  // what was assumed, left out or not known, each with its line
  std::map<std::string, std::string, std::less<>>
      origins;  // key of the scenario -> "launch.sh:12: --num-layers"
};

// An error of the scenario that a script became, told by the script's options instead of the scenario's lines.
std::string told_by_options(const std::string& error, const MegatronImport&);

// `script`: a launch script or a bare list of options; `node`: the library's node, since a script names no hardware;
// `nodes`: 0 = what the script says, or as few as the layout needs.
// Throws ConfigError `WHERE:LINE: --num-layers needs a number, not 'x'`, and when model or batch are not there.
MegatronImport import_megatron(const std::string& script, const std::string& name, const std::string& where,
                               const std::string& node, std::int64_t nodes);

struct MegatronExport {
  std::vector<std::string>
      options;  // "--num-layers 126", "--swiglu", in the table's order, quoted for the shell
  std::vector<std::string> notes;  // what Megatron has no option for
};
MegatronExport export_megatron(const Scenario&);

}  // namespace runcast
