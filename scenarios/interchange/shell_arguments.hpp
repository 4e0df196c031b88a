// The long options of a launch script: what stands after `--` anywhere in it, in arrays and quoted strings too, with
// variables that the script itself assigns put in. Leaves out: arithmetic, commands, conditions and the environment; a
// value that needs them stays empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runcast {

struct ShellOption {
  std::string name;  // "--num-layers"; underscores of torchrun's options as hyphens
  std::vector<std::string>
      values;    // up to the next option; a variable that is not assigned in the script is ""
  int line = 0;  // 1-based
};

// Never throws: what cannot be read is no option.
std::vector<ShellOption> shell_options(std::string_view script);

}  // namespace runcast
