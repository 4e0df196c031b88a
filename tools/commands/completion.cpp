// `runcast completion bash|zsh|fish`: scripts made from the command table. Scenario names come from
// `runcast list --format jsonl` when the shell asks, so that an overlay library is seen.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"

namespace runcast {
namespace {

std::string option_names(const Command& command) {
  std::string names;
  const auto add = [&](std::span<const Option> options) {
    for (const Option& option : options)
      names += fmt::format("{}--{}", names.empty() ? "" : " ", option.name);
  };
  add(command.options);
  if (command.simulates) add(simulation_options());
  add(common_options());
  return names;
}

std::string command_names() {
  std::string names;
  for (const Command& command : command_table())
    names += fmt::format("{}{}", names.empty() ? "" : " ", command.name);
  return names;
}

std::string bash_script() {
  std::string out =
      "# bash completion of runcast\n"
      "_runcast() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} options= names=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n";
  out +=
      fmt::format("    COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n    return\n  fi\n  case $command in\n",
                  command_names());
  for (const Command& command : command_table())
    out += fmt::format("    {}) options='{}' ;;\n", command.name, option_names(command));
  out +=
      "  esac\n"
      "  case $command in\n"
      "    run|step|goodput|memory|search|compare) names=$(runcast list runs --format csv 2>/dev/null | cut -d, -f2) ;;\n"
      "    show) names=$(runcast list --format csv 2>/dev/null | cut -d, -f2) ;;\n";
  out += fmt::format("    help) names='{}' ;;\n    completion) names='bash zsh fish' ;;\n", command_names());
  out +=
      "    model) names=$(runcast list models --format csv 2>/dev/null | cut -d, -f2) ;;\n"
      "    explain) names=$(runcast explain --format csv 2>/dev/null | cut -d, -f1) ;;\n"
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$options $names\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
      "}\n"
      "complete -F _runcast runcast\n";
  return out;
}

std::string zsh_script() {
  return "#compdef runcast\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script();
}

std::string fish_script() {
  std::string out = "# fish completion of runcast\ncomplete -c runcast -f\n";
  for (const Command& command : command_table()) {
    out += fmt::format("complete -c runcast -n __fish_use_subcommand -a {} -d '{}'\n", command.name,
                       command.summary);
    const auto add = [&](std::span<const Option> options) {
      for (const Option& option : options)
        out +=
            fmt::format("complete -c runcast -n '__fish_seen_subcommand_from {}' -l {}{}{}\n", command.name,
                        option.name, option.letter != 0 ? fmt::format(" -s {}", option.letter) : "",
                        option.parameter == "FILE" ? " -rF" : (option.parameter.empty() ? "" : " -x"));
    };
    add(command.options);
    if (command.simulates) add(simulation_options());
    add(common_options());
  }
  return out +
         "complete -c runcast -n '__fish_seen_subcommand_from run step goodput memory' -F "
         "-a '(runcast list runs --format csv 2>/dev/null | tail -n +2 | cut -d, -f2)'\n"
         "complete -c runcast -n '__fish_seen_subcommand_from model' "
         "-a '(runcast list models --format csv 2>/dev/null | tail -n +2 | cut -d, -f2)'\n"
         "complete -c runcast -n '__fish_seen_subcommand_from show' "
         "-a '(runcast list --format csv 2>/dev/null | tail -n +2 | cut -d, -f2)'\n"
         "complete -c runcast -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n";
}

}  // namespace

Answer completion_command(const Invocation& invocation) {
  const std::string& shell = invocation.arguments.positionals.front();
  std::string script;
  if (shell == "bash") script = bash_script();
  if (shell == "zsh") script = zsh_script();
  if (shell == "fish") script = fish_script();
  if (script.empty())
    throw ConfigError(fmt::format("completion: unknown shell '{}'; legal: bash, zsh, fish", shell));
  return Answer({{"shell", shell}, {"text", script}}, script);
}

}  // namespace runcast
