// The two passes over the command line, and sentences for what is wrong with it.
#include "tools/commands/parse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>

#include "sim/config.hpp"
#include "sim/error.hpp"

namespace runcast {
namespace {

namespace po = boost::program_options;

po::options_description described(const std::vector<Option>& options) {
  po::options_description description;
  for (const Option& option : options) {
    std::string name(option.name);
    if (option.letter != 0) name += fmt::format(",{}", option.letter);
    if (option.parameter.empty())
      description.add_options()(name.c_str(), "");
    else
      description.add_options()(name.c_str(), po::value<std::vector<std::string>>()->composing(), "");
  }
  return description;
}

bool takes_value(const std::string& word) {
  const auto matches = [&](const Option& option) {
    return !option.parameter.empty() && (word == fmt::format("--{}", option.name) ||
                                         (option.letter != 0 && word == fmt::format("-{}", option.letter)));
  };
  const auto in = [&](std::span<const Option> options) {
    return std::any_of(options.begin(), options.end(), matches);
  };
  return in(common_options()) || in(simulation_options());
}

std::string unknown_option(const Command& command, const std::vector<Option>& options,
                           const std::string& word) {
  std::vector<std::string> names;
  for (const Option& option : options) names.push_back(fmt::format("--{}", option.name));
  const std::string near = nearest_name(word, names);
  if (!near.empty())
    return fmt::format("runcast {}: unknown option '{}', did you mean '{}'?", command.name, word, near);
  return fmt::format("runcast {0}: unknown option '{1}'; `runcast help {0}` lists its options", command.name,
                     word);
}

void check_positionals(const Command& command, const std::vector<std::string>& positionals) {
  if (positionals.size() < command.least)
    throw ConfigError(fmt::format("runcast {0}: {1} is missing; `runcast help {0}` shows how it is used",
                                  command.name, command.positionals));
  if (positionals.size() > command.most)
    throw ConfigError(fmt::format("runcast {0}: unexpected argument '{1}'; it is used: runcast {0}{2}{3}",
                                  command.name, positionals[command.most],
                                  command.positionals.empty() ? "" : " ", command.positionals));
}

// "with --tokens: ..." of an option's help is a promise: without --tokens it would change nothing.
void check_companions(const std::vector<Option>& options, const Arguments& arguments) {
  constexpr std::string_view kWith = "with --";
  for (const Option& option : options) {
    const std::size_t end = option.help.find(':');
    if (!option.help.starts_with(kWith) || end == std::string_view::npos || !arguments.has(option.name))
      continue;
    const std::string_view other = option.help.substr(kWith.size(), end - kWith.size());
    if (!arguments.has(other))
      throw ConfigError(
          fmt::format("--{}: it changes nothing without --{}; give both, or neither", option.name, other));
  }
}

}  // namespace

std::vector<Option> options_of(const Command& command) {
  std::vector<Option> options(command.options.begin(), command.options.end());
  if (command.simulates)
    options.insert(options.end(), simulation_options().begin(), simulation_options().end());
  options.insert(options.end(), common_options().begin(), common_options().end());
  return options;
}

CommandLine find_command(const std::vector<std::string>& words) {
  CommandLine line;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool option = words[i].size() > 1 && words[i].front() == '-';
    if (!option && line.command.empty()) {
      line.command = words[i];
      continue;
    }
    line.words.push_back(words[i]);
    if (option && line.command.empty() && takes_value(words[i]) && i + 1 < words.size())
      line.words.push_back(words[++i]);
  }
  return line;
}

Arguments parse_arguments(const Command& command, const std::vector<std::string>& words) {
  const std::vector<Option> options = options_of(command);
  const po::options_description description = described(options);
  const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
  Arguments arguments;
  try {
    const auto parsed = po::command_line_parser(words).options(description).style(style).run();
    for (const po::option& found : parsed.options) {
      if (found.position_key >= 0) {
        arguments.positionals.insert(arguments.positionals.end(), found.value.begin(), found.value.end());
        continue;
      }
      auto& values = arguments.values[found.string_key];
      if (found.value.empty()) values.emplace_back();
      values.insert(values.end(), found.value.begin(), found.value.end());
    }
  } catch (const po::unknown_option& error) {
    throw ConfigError(unknown_option(command, options, error.get_option_name()));
  } catch (const po::error_with_option_name& error) {
    throw ConfigError(fmt::format("runcast {}: {}", command.name, error.what()));
  } catch (const po::error& error) {
    throw ConfigError(fmt::format("runcast {}: {}", command.name, error.what()));
  }
  if (arguments.has("help")) return arguments;
  check_positionals(command, arguments.positionals);
  check_companions(options, arguments);
  return arguments;
}

std::string Arguments::last(std::string_view option) const {
  const auto at = values.find(option);
  return at == values.end() ? std::string() : at->second.back();
}

std::vector<std::string> Arguments::all(std::string_view option) const {
  const auto at = values.find(option);
  return at == values.end() ? std::vector<std::string>() : at->second;
}

}  // namespace runcast
