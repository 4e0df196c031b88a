// Help: the list of commands, and each command's usage, options and examples, made from the command table.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/commands/command.hpp"
#include "tools/commands/kinds.hpp"
#include "tools/report/style.hpp"

namespace runcast {
namespace {

std::string option_lines(std::span<const Option> options) {
  Columns table;
  table.column("", Columns::Align::left);
  table.column("", Columns::Align::left);
  for (const Option& option : options) {
    const std::string letter = option.letter != 0 ? fmt::format("-{}, ", option.letter) : std::string("    ");
    table.row({fmt::format("{}--{}{}{}", letter, option.name, option.parameter.empty() ? "" : " ",
                           option.parameter),
               std::string(option.help)});
  }
  return table.text(2);
}

// Text of a manual page: no word of it is a request, and a hyphen is what is typed.
std::string roff(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool first = i == 0 || text[i - 1] == '\n';
    if (first && (text[i] == '.' || text[i] == '\'')) out += "\\&";
    if (text[i] == '\\' || text[i] == '-') out += '\\';
    out += text[i];
  }
  return out;
}

std::string roff_options(std::span<const Option> options) {
  std::string out;
  for (const Option& option : options)
    out += fmt::format(".TP\n.B {}\\-\\-{}\n.I {}\n{}\n",
                       option.letter != 0 ? fmt::format("\\-{}, ", option.letter) : "", roff(option.name),
                       roff(option.parameter), roff(option.help));
  return out;
}

}  // namespace

std::string manual_commands() {
  std::string out = ".SH COMMANDS\n";
  for (const Command& command : command_table()) {
    out += fmt::format(".SS {} {}\n{}\n.PP\n.nf\n{}.fi\n", roff(command.name), roff(command.positionals),
                       roff(command.summary), roff(command.details));
    out += roff_options(command.options);
  }
  out += ".SH OPTIONS OF THE COMMANDS THAT SIMULATE\n" + roff_options(simulation_options());
  return out + ".SH OPTIONS OF EVERY COMMAND\n" + roff_options(common_options());
}

std::string general_help() {
  std::string out =
      "runcast simulates LLM training on GPU clusters: step time, days with failures, memory, cost.\n\n"
      "usage: runcast COMMAND [arguments] [options]\n\n";
  Columns table;
  table.column("", Columns::Align::left);
  table.column("", Columns::Align::left);
  for (const Command& command : command_table())
    table.row({fmt::format("{} {}", command.name, command.positionals), std::string(command.summary)});
  out += table.text(2);
  out += "\noptions of every command\n" + option_lines(common_options());
  out += "\noptions of the commands that simulate\n" + option_lines(simulation_options());
  out +=
      "\nexit status: 0 done; 1 the model says no (does not fit, does not finish, a claim failed);\n"
      "2 bad usage or input; 3 a bug; 130 interrupted\n\n"
      "start with:  runcast list      runcast run one-node      runcast init my.yaml\n";
  return out;
}

std::string command_help(const Command& command) {
  std::string out = fmt::format("usage: runcast {}{}{} [options]\n\n{}\n\n", command.name,
                                command.positionals.empty() ? "" : " ", command.positionals, command.summary);
  out += std::string(command.details);
  if (command.positionals == "SCENARIO")
    out +=
        "\nSCENARIO is a library name (`runcast list runs`), published:ID for a measured row, a YAML file, "
        "or -\n"
        "for standard input.\n";
  if (!command.options.empty()) out += "\noptions\n" + option_lines(command.options);
  if (command.simulates) out += "\noptions of the simulation\n" + option_lines(simulation_options());
  return out + "\noptions of every command\n" + option_lines(common_options());
}

Answer help_command(const Invocation& invocation) {
  const auto& words = invocation.arguments.positionals;
  const std::string text = words.empty() ? general_help() : command_help(command_named(words.front()));
  return Answer({{"text", text}}, text);
}

}  // namespace runcast
