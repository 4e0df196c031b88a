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

Format chosen_format(const Arguments& arguments) {
  if (arguments.has("format")) return format_named(arguments.last("format"));
  if (arguments.has("output")) return format_of_file(arguments.last("output"));
  return Format::table;
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
      return as_markdown(*answer.document);
  }
  INVARIANT(false);
  return {};
}

// Whether every claim holds; each that does not is told on standard error.
bool all_hold(const std::vector<Assertion>& assertions, const nlohmann::ordered_json& document) {
  bool all = true;
  for (const Assertion& assertion : assertions) {
    const Assertion::Verdict verdict = assertion.judge(document);
    if (verdict.holds) continue;
    fmt::print(stderr, "assertion failed: {} ({})\n", assertion.text(), verdict.values);
    all = false;
  }
  return all;
}

void print(std::string_view text) { Output("").finish(text); }

int execute(const Command& command, const Arguments& arguments) {
  if (arguments.has("help")) return print(command_help(command)), kDone;
  const Format format = chosen_format(arguments);
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
    fmt::print(stderr, "{}", general_help());
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
    fmt::print(stderr, "{}\n", error.what());
    return kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr, "runcast has a bug: {}\nplease report it with the scenario and the command\n",
               error.what());
    return kBug;
  }
}
