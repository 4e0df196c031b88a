// runcast: the command line. Finds the command, lets it answer, writes the answer in the asked format, and
// says by the exit status what came out:
//   0 done   1 the model says no   2 bad usage or input   3 a bug   130 interrupted
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <vector>

#include "scenarios/library.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"
#include "tools/commands/parse.hpp"
#include "tools/commands/trace.hpp"
#include "tools/report/assertion.hpp"
#include "tools/report/formats.hpp"
#include "tools/report/output.hpp"

namespace {

using namespace runcast;

constexpr int kDone = 0;
constexpr int kModelSaysNo = 1;
constexpr int kBadInput = 2;
constexpr int kBug = 3;
constexpr int kInterrupted = 130;

// Commands whose text for people is a file of the library or a scenario.
bool prints_yaml(const Command& command) {
  return command.name == "import" || command.name == "init" || command.name == "show";
}

Format chosen_format(const Command& command, const Arguments& arguments) {
  if (arguments.has("format")) return format_named(arguments.last("format"));
  if (!arguments.has("output")) return Format::table;
  const std::string file = arguments.last("output");
  const bool yaml = file.ends_with(".yaml") || file.ends_with(".yml");
  if (yaml && prints_yaml(command)) return Format::table;
  return format_of_file(file);
}

std::string rendered(const Answer& answer, Format format) {
  switch (format) {
    case Format::table:
      return answer.screen;
    case Format::json:
      return as_json(*answer.document);
    case Format::jsonl:
      return as_jsonl(*answer.document);
    case Format::csv:
      return as_csv(*answer.document);
    case Format::markdown:
      return answer.markdown.empty() ? as_markdown(*answer.document) : answer.markdown;
  }
  INVARIANT(false);
  return {};
}

// Says something on standard error; when nobody reads there (a closed pipe), the answer and the status stand.
void complain(const std::string& text) { std::fputs(text.c_str(), stderr); }

// Whether every claim holds; each that does not is told on standard error.
bool all_hold(const std::vector<Assertion>& assertions, const nlohmann::ordered_json& document) {
  bool all = true;
  for (const Assertion& assertion : assertions) {
    const Assertion::Verdict verdict = assertion.judge(document);
    if (verdict.holds) continue;
    complain(fmt::format("assertion failed: {} ({})\n", assertion.text(), verdict.values));
    all = false;
  }
  return all;
}

void print(std::string_view text) { Output("").finish(text); }

int execute(const Command& command, const Arguments& arguments) {
  if (arguments.has("help")) return print(command_help(command)), kDone;
  const Format format = chosen_format(command, arguments);
  std::vector<Assertion> assertions;
  for (const std::string& claim : arguments.all("assert")) assertions.emplace_back(claim);
  Library library;
  if (arguments.has("library")) library.overlay(arguments.last("library"));

  Output output(arguments.last("output"));
  ReportFile report(arguments);
  const Invocation invocation{arguments, library, detect_style(output.to_terminal())};
  Answer answer = command.answer(invocation);
  report.write(answer, invocation);
  if (arguments.has("no-timing")) remove_timing(*answer.document);
  output.finish(rendered(answer, format));  // the whole result, whatever the verdict
  if (answer.interrupted) return kInterrupted;
  const bool holds = all_hold(assertions, *answer.document);
  return answer.verdict && holds ? kDone : kModelSaysNo;
}

int run(const std::vector<std::string>& words) {
  if (words.empty()) {
    complain(general_help());
    return kBadInput;
  }
  if (words.front() == "--version") return print(fmt::format("runcast {}\n", RUNCAST_VERSION)), kDone;
  if (words.front() == "--help" || words.front() == "-h") return print(general_help()), kDone;
  const CommandLine line = find_command(words);
  if (line.command.empty())
    throw ConfigError(fmt::format("{} needs a command; `runcast help` lists the commands", words.front()));
  const Command& command = command_named(line.command);
  return execute(command, parse_arguments(command, line.words));
}

}  // namespace

int main(int argc, char** argv) {
  runcast::handle_signals();
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const runcast::ConfigError& error) {
    complain(fmt::format("{}\n", error.what()));
    return kBadInput;
  } catch (const std::exception& error) {
    complain(fmt::format("runcast has a bug: {}\nplease report it with the scenario and the command\n",
                         error.what()));
    return kBug;
  }
}
