// run, step, goodput, memory: open the scenario, ask scenarios/ for the document, show it as one screen.
#include "tools/commands/simulate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "scenarios/published.hpp"
#include "sim/error.hpp"
#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kMostTrials = 1'000'000;  // five numbers of each are kept

using DocumentFunction = Json (*)(Document, const Library&, const ExperimentOptions&);

Document document_named(const std::string& argument, const Library& library) {
  if (argument == "-")
    return Document::parse(std::string(std::istreambuf_iterator<char>(std::cin), {}), "<stdin>");
  constexpr std::string_view kPublished = "published:";
  if (argument.starts_with(kPublished))
    return Document::parse(published_scenario(argument.substr(kPublished.size()), library), argument);
  const bool path_like =
      argument.find('/') != std::string::npos || argument.ends_with(".yaml") || argument.ends_with(".yml");
  if (path_like || std::filesystem::is_regular_file(argument)) return Document::load(argument);
  const LibraryEntry& entry = library.get("runs", argument, "scenario", "runcast");
  return Document::parse(entry.text, entry.path);
}

Answer simulated(const Invocation& invocation, DocumentFunction function) {
  Progress progress("trials", invocation.arguments.has("quiet"));
  const ExperimentOptions options = experiment_options(invocation, progress);
  return judged(function(open_scenario(invocation.arguments.positionals.front(), invocation),
                         invocation.library, options),
                invocation.style);
}

}  // namespace

Answer judged(nlohmann::ordered_json document, const Style& style) {
  std::string screen = result_screen(document, style);
  const Json& fits = part_of(document, "step.memory.fits");
  const bool finishes = !(number_of(document, "run.unfinished") == number_of(document, "run.trials"));
  const bool verdict = (!fits.is_boolean() || fits.get<bool>()) && finishes;
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

std::string read_text(const std::string& path, std::string_view where) {
  if (std::filesystem::is_directory(path))
    throw ConfigError(fmt::format("{}: {} is a directory", where, path));
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in) throw ConfigError(fmt::format("{}: cannot read {}", where, path));
  return text;
}

Document open_scenario(const std::string& argument, const Invocation& invocation) {
  Document document = document_named(argument, invocation.library);
  for (const std::string& assignment : invocation.arguments.all("set")) document.set(assignment);
  return document;
}

ExperimentOptions experiment_options(const Invocation& invocation, Progress& progress) {
  const Arguments& arguments = invocation.arguments;
  ExperimentOptions options;
  if (arguments.has("seed"))
    options.seed = static_cast<std::uint64_t>(whole_number(arguments.last("seed"), "seed", 0));
  options.unfolded = arguments.has("unfolded");
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (arguments.has("threads"))
    options.threads =
        static_cast<int>(std::min<std::int64_t>(whole_number(arguments.last("threads"), "threads", 1), 1024));
  options.automatic_trials = arguments.has("trials") && arguments.last("trials") == "auto";
  if (arguments.has("trials") && !options.automatic_trials)
    options.trials = whole_number(arguments.last("trials"), "trials", 1, kMostTrials);
  options.progress = [&progress](std::int64_t done, std::int64_t total) { progress.update(done, total); };
  return options;
}

Answer run_command(const Invocation& invocation) { return simulated(invocation, run_document); }
Answer step_command(const Invocation& invocation) { return simulated(invocation, step_document); }
Answer memory_command(const Invocation& invocation) { return simulated(invocation, memory_document); }

}  // namespace runcast
