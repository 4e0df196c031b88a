// The options of the command that a launch script runs: the script is followed as the shell would, through variables,
// arrays, functions, loops, if and case. Of several commands the one with the most known options is taken (first those
// with a program pretrain_*.py); those of others are told. A condition that the script alone does not decide (what the
// environment, the command line or a program says) is told with the branch that is taken: as if it were empty or false.
// Leaves out: what programs print or write, other files (`source`), and the environment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runcast {

struct ShellOption {
  std::string name;  // "--num-layers"; underscores of torchrun's options as hyphens
  std::vector<std::string>
      values;           // up to the next option; a variable that is not assigned in the script is ""
  int line = 0;         // 1-based, of the name
  std::string unknown;  // why a value is not known: "GBS is not set in the script"
};

struct LaunchCommand {
  std::vector<ShellOption>
      options;  // those of srun and #SBATCH first: --nodes, --gpus-per-node, --ntasks-per-node
  std::vector<std::string> notes;  // what could not be decided, what was left out, with lines
};

using KnownOption = bool (*)(std::string_view name);

// Throws ConfigError for a script of more than 1 MiB or 100 levels; what else cannot be read is no option.
LaunchCommand launch_command(std::string_view script, const std::string& where, KnownOption known);

}  // namespace runcast
