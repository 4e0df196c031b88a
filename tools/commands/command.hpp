// What a command is: a row of a visible table (command_table.cpp) with its name, its words, its options and
// the function that answers. A command never prints: it returns an answer, which the front renders and
// writes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/library.hpp"
#include "tools/report/style.hpp"

namespace runcast {

struct Option {
  std::string_view name;       // "format"
  char letter;                 // 'f', or 0
  std::string_view parameter;  // "FILE"; "" for a flag
  std::string_view help;
};

// The command line after parsing: what stands alone, and the values of each option in their order.
struct Arguments {
  std::vector<std::string> positionals;
  std::map<std::string, std::vector<std::string>, std::less<>> values;  // a flag has one empty value

  bool has(std::string_view option) const { return values.find(option) != values.end(); }
  std::string last(std::string_view option) const;  // "" when absent
  std::vector<std::string> all(std::string_view option) const;
};

struct Answer {
  std::unique_ptr<nlohmann::ordered_json> document;
  std::string screen;   // for people: what --format table prints
  std::string markdown;  // where --format md is not the document's tables; "": they are
  bool verdict = true;  // false: the model says no (exit status 1)
  bool interrupted = false;  // Ctrl-C: what was done is here (exit status 130)

  // An answer of `document`; the screen is what `render` makes of it.
  Answer(nlohmann::ordered_json document, std::string screen, bool verdict = true);
  ~Answer();
  Answer(Answer&&) noexcept;
  Answer& operator=(Answer&&) noexcept;
};

struct Invocation {
  const Arguments& arguments;
  const Library& library;
  Style style;  // of the screen
  bool no_timing = false;
};

struct Command {
  std::string_view name;
  std::string_view summary;      // one line, for `runcast help`
  std::string_view positionals;  // "SCENARIO", "[NAME]", "" for none
  std::size_t least, most;       // how many positionals
  bool simulates;                // takes --set, --seed, -j and what else a scenario is run with
  std::span<const Option> options;
  std::string_view details;  // paragraphs and examples, for `runcast help NAME`
  Answer (*answer)(const Invocation&);
};

std::span<const Command> command_table();
const Command& command_named(const std::string& name);  // ConfigError with the nearest name
std::span<const Option> common_options();               // every command takes them
std::span<const Option> simulation_options();           // commands that simulate take these too

// One function for each row of the table.
Answer run_command(const Invocation&);
Answer step_command(const Invocation&);
Answer goodput_command(const Invocation&);
Answer memory_command(const Invocation&);
Answer model_command(const Invocation&);
Answer scaling_command(const Invocation&);
Answer trace_command(const Invocation&);
Answer advise_command(const Invocation&);
Answer calibrate_command(const Invocation&);
Answer validate_command(const Invocation&);
Answer export_command(const Invocation&);
Answer import_command(const Invocation&);
Answer network_command(const Invocation&);
Answer search_command(const Invocation&);
Answer compare_command(const Invocation&);
Answer sweep_command(const Invocation&);
Answer merge_command(const Invocation&);
Answer export_command(const Invocation&);
Answer init_command(const Invocation&);
Answer schema_command(const Invocation&);
Answer list_command(const Invocation&);
Answer show_command(const Invocation&);
Answer explain_command(const Invocation&);
Answer completion_command(const Invocation&);
Answer doctor_command(const Invocation&);
Answer help_command(const Invocation&);

std::string general_help();
std::string command_help(const Command& command);

}  // namespace runcast
