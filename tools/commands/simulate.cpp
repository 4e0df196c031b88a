// run, step, goodput, memory: open the scenario, ask scenarios/ for the document, show it as one screen.
#include "tools/commands/simulate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/error.hpp"
#include "sim/source_text.hpp"
#include "tools/commands/trace.hpp"
#include "tools/report/gantt.hpp"
#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

// On a terminal the pipeline is drawn too.
Answer with_gantt(Answer answer, const Invocation& invocation, const ExperimentOptions& options) {
  if (!invocation.style.terminal || invocation.arguments.has("format")) return answer;
  const Scenario scenario = scenario_of(*answer.document, invocation.library);
  answer.screen += "\n" + gantt_text(timeline_of(scenario, options.seed, false, TimelineLevel::microbatch),
                                     invocation.style);
  return answer;
}

}  // namespace

nlohmann::ordered_json simulated(const Invocation& invocation, const ExperimentOptions& options,
                                 std::string_view question) {
  const Question* row = find_question(question);
  INVARIANT(row != nullptr);
  return answer(*row, open_scenario(invocation.arguments.positionals.front(), invocation), invocation.library,
                options);
}

Answer judged(nlohmann::ordered_json document, const Style& style) {
  std::string screen = result_screen(document, style);
  const bool verdict = says_yes(document);
  return Answer(std::move(document), std::move(screen), verdict);
}

std::int64_t whole_number(const std::string& text, std::string_view option, std::int64_t least,
                          std::int64_t most) {
  const std::int64_t value = parse_count(text, fmt::format("--{}", option));
  if (value > most)
    throw ConfigError(fmt::format("--{}: {} is too large; at most {}", option, text, grouped(most)));
  if (value < least)
    throw ConfigError(fmt::format("--{}: {} is too small; at least {}", option, text, least));
  return value;
}

namespace {

// `llama3-70b.yaml`, which is no file, of somebody who means the library's.
void refuse_suffix(const std::string& argument, const Library& library) {
  constexpr std::string_view kSuffix = ".yaml";
  std::error_code none;
  if (!argument.ends_with(kSuffix) || std::filesystem::exists(argument, none)) return;
  const std::string name = argument.substr(0, argument.size() - kSuffix.size());
  if (library.find("runs", name) != nullptr)
    throw ConfigError(fmt::format("{}: no such file; the library's is called {}", argument, name));
}

// Up to one byte past the limit of a text.
std::string standard_input() {
  std::string text(detail::kMaxBytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  return text;
}

}  // namespace

ScenarioSource source_of(const std::string& argument, const Invocation& invocation) {
  refuse_suffix(argument, invocation.library);
  ScenarioSource source = argument == "-" ? ScenarioSource{standard_input(), "<stdin>", {}}
                                          : scenario_source(argument, invocation.library);
  source.sets = invocation.arguments.all("set");
  return source;
}

Document open_scenario(const std::string& argument, const Invocation& invocation) {
  return source_of(argument, invocation).open();
}

ExperimentOptions experiment_options(const Invocation& invocation, Progress& progress) {
  const Arguments& arguments = invocation.arguments;
  ExperimentOptions options;
  if (arguments.has("seed"))
    options.seed = static_cast<std::uint64_t>(whole_number(arguments.last("seed"), "seed", 0));
  options.unfolded = arguments.has("unfolded");
  options.sensitivity = arguments.has("sensitivity");
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (arguments.has("threads"))
    options.threads =
        static_cast<int>(std::min(whole_number(arguments.last("threads"), "threads", 1), kMostThreads));
  options.automatic_trials = arguments.has("trials") && arguments.last("trials") == "auto";
  if (arguments.has("trials") && !options.automatic_trials)
    options.trials = whole_number(arguments.last("trials"), "trials", 1, kMostTrials);
  options.progress = [&progress](std::int64_t done, std::int64_t total) { progress.update(done, total); };
  return options;
}

// A trace of `run` is one trial's, a trace of `step` the ranks'; files are opened before the work.
Answer run_command(const Invocation& invocation) {
  Progress progress("trials", invocation.arguments.has("quiet"));
  ExperimentOptions options = experiment_options(invocation, progress);
  TraceFile trace(invocation.arguments);
  if (trace.asked()) options.log_trial = 0;
  options.studies = invocation.arguments.has("report");
  Json document = simulated(invocation, options, "run");
  trace.write_run(document);
  return with_gantt(judged(std::move(document), invocation.style), invocation, options);
}

Answer step_command(const Invocation& invocation) {
  Progress progress("trials", invocation.arguments.has("quiet"));
  ExperimentOptions options = experiment_options(invocation, progress);
  TraceFile trace(invocation.arguments);
  Json document = simulated(invocation, options, "step");
  trace.write_step(document, invocation.library, options);
  return with_gantt(judged(std::move(document), invocation.style), invocation, options);
}

Answer memory_command(const Invocation& invocation) {
  Progress progress("trials", invocation.arguments.has("quiet"));
  return judged(simulated(invocation, experiment_options(invocation, progress), "memory"), invocation.style);
}

}  // namespace runcast
