// The command line in two passes (Boost.Program_options): the command is the first word that is no option nor
// an option's value; then everything is read by that command's own options.
#pragma once

#include <string>
#include <vector>

#include "tools/commands/command.hpp"

namespace runcast {

struct CommandLine {
  std::string command;             // "" when there is none
  std::vector<std::string> words;  // all the others, in order
};

std::vector<Option> options_of(const Command&);  // its own, those of what simulates, and every command's
CommandLine find_command(const std::vector<std::string>& words);
// Throws ConfigError: "runcast step: unknown option '--formt', did you mean '--format'?"
Arguments parse_arguments(const Command& command, const std::vector<std::string>& words);

}  // namespace runcast
