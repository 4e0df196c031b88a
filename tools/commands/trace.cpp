// --trace: which ranks, how fine, how large; the text is trace_chrome's and trace_run's.
#include "tools/commands/trace.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <numeric>

#include "scenarios/picture_studies.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/html.hpp"
#include "tools/report/kineto.hpp"
#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"
#include "tools/report/trace.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kUsualBytes = 50e6;   // opens at once in a browser
constexpr double kLargeBytes = 256e6;  // beyond it the page of a trace viewer becomes slow

}  // namespace

TimelineLevel timeline_level(const std::string& name) {
  constexpr std::array<std::string_view, 4> kNames = {"step", "microbatch", "layer", "op"};
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<TimelineLevel>(i);
  throw ConfigError(fmt::format("--trace-level: '{}' is none of step, microbatch, layer, op", name));
}

std::vector<RankId> ranks_named(const std::string& text, const Layout& layout) {
  std::vector<RankId> ranks;
  const std::int64_t world = layout.world();
  const auto add = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r <= last; ++r) {
      const RankId rank(static_cast<std::int32_t>(r));
      if (std::ranges::find(ranks, rank) == ranks.end()) ranks.push_back(rank);
    }
  };
  if (text == "all") {
    for (std::int64_t r = 0; r < world; ++r) ranks.emplace_back(static_cast<std::int32_t>(r));
    return ranks;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, comma - begin);
    const std::size_t dash = part.find('-');
    const std::string from = part.substr(0, dash),
                      to = dash == std::string::npos ? from : part.substr(dash + 1);
    const std::int64_t first = whole_number(from, "trace-ranks", 0, world - 1);
    add(first, whole_number(to, "trace-ranks", first, world - 1));
    begin = comma + 1;
  }
  return ranks;
}

Scenario scenario_of(const Json& document, const Library& library) {
  Document resolved = Document::parse(part_of(document, "scenario").dump(), "the resolved scenario");
  return read_scenario(resolved, library);
}

TraceFile::TraceFile(const Arguments& arguments) : arguments_(arguments), path_(arguments.last("trace")) {
  if (arguments.has("trace-level")) level_ = timeline_level(arguments.last("trace-level"));
  most_bytes_ = arguments.has("trace-size") ? parse_bytes(arguments.last("trace-size"), "--trace-size").value
                                            : kUsualBytes;
  if (!arguments.has("trace")) {
    for (const char* option : {"trace-format", "trace-level", "trace-ranks", "trace-size"})
      if (arguments.has(option)) throw ConfigError(fmt::format("--{} needs --trace FILE.json", option));
    return;
  }
  if (!path_.ends_with(".json") && !path_.ends_with(".json.gz"))
    throw ConfigError(fmt::format("--trace: '{}' should end in .json or .json.gz", path_));
  if (arguments.has("trace-format")) format_ = arguments.last("trace-format");
  if (format_ != "chrome" && format_ != "kineto" && format_ != "memory")
    throw ConfigError(fmt::format("--trace-format: '{}' is none of chrome, kineto, memory", format_));
  if (format_ == "chrome")
    output_.emplace(path_);
  else
    per_rank_ = true;
}

void TraceFile::write_step(Json& document, const Library& library, const ExperimentOptions& options) {
  if (!asked()) return;
  if (per_rank_) return write_rank_files(document, library, options);
  const StepTimeline timeline =
      timeline_of(scenario_of(document, library), options.seed, options.unfolded, level_);
  const std::vector<RankId> ranks = arguments_.has("trace-ranks")
                                        ? ranks_named(arguments_.last("trace-ranks"), timeline.layout())
                                        : timeline.usual_ranks();
  const std::string level = arguments_.has("trace-level") ? arguments_.last("trace-level") : "microbatch";
  const TraceText trace = chrome_trace(timeline, ranks, most_bytes_,
                                       {{"scenario", text_of(document, "scenario.name")},
                                        {"scenario_hash", text_of(document, "provenance.scenario_hash")},
                                        {"seed", options.seed},
                                        {"step_s", to_seconds(timeline.step().time).value},
                                        {"level", level},
                                        {"unfolded", timeline.unfolded()}});
  Json about = {{"file", path_},
                {"of", "step"},
                {"level", level},
                {"ranks_shown", trace.shown.size()},
                {"ranks_of_job", timeline.layout().world()},
                {"shown", rank_list(trace.shown)},
                {"left_out_for_size", rank_list(trace.left_out)}};
  finish(trace.text, about);
  document["trace"] = std::move(about);
}

// FILE.json becomes FILE.rank17.json: the tools that read these formats want a file a rank.
void TraceFile::write_rank_files(Json& document, const Library& library, const ExperimentOptions& options) {
  const StepTimeline timeline =
      timeline_of(scenario_of(document, library), options.seed, options.unfolded, level_);
  const std::vector<RankId> ranks = arguments_.has("trace-ranks")
                                        ? ranks_named(arguments_.last("trace-ranks"), timeline.layout())
                                        : timeline.usual_ranks();
  const std::size_t dot = path_.rfind(".json");
  std::vector<RankId> shown, left_out;
  std::size_t bytes = 0;
  for (const RankId rank : ranks) {
    const std::string text =
        format_ == "kineto" ? kineto_trace(timeline, rank) : memory_snapshot(timeline, rank);
    const bool fits = static_cast<double>(bytes + text.size()) <= most_bytes_ || shown.empty();
    (fits ? shown : left_out).push_back(rank);
    if (!fits) continue;
    bytes += text.size();
    Output file(fmt::format("{}.rank{}{}", path_.substr(0, dot), rank.value, path_.substr(dot)));
    file.finish(path_.ends_with(".gz") ? gzipped(text) : text);
  }
  document["trace"] = {
      {"file", fmt::format("{}.rank*{}", path_.substr(0, dot), path_.substr(dot))},
      {"of", "step"},
      {"format", format_},
      {"level", arguments_.has("trace-level") ? arguments_.last("trace-level") : "microbatch"},
      {"ranks_shown", shown.size()},
      {"ranks_of_job", timeline.layout().world()},
      {"shown", rank_list(shown)},
      {"left_out_for_size", rank_list(left_out)},
      {"bytes", bytes}};
}

void TraceFile::write_run(Json& document) {
  if (!asked()) return;
  Json about = {{"file", path_}, {"of", "trial"}, {"trial", part_of(document, "studies.log.trial")}};
  finish(run_trace(document), about);
  document["studies"].erase("log");
  if (document["studies"].empty()) document.erase("studies");
  document["trace"] = std::move(about);
}

ReportFile::ReportFile(const Arguments& arguments) : path_(arguments.last("report")) {
  if (!arguments.has("report")) return;
  if (!path_.ends_with(".html")) throw ConfigError(fmt::format("--report: '{}' should end in .html", path_));
  output_.emplace(path_);
}

namespace {

// The steps of compared scenarios, part by part; none where one came from standard input, which is read once.
Json breakdowns_of(const Invocation& invocation, std::uint64_t seed) {
  Json list = Json::array();
  for (const std::string& name : invocation.arguments.positionals) {
    if (name == "-") return Json::array();
    Document document = open_scenario(name, invocation);
    list.push_back(
        breakdown_json(step_of(read_scenario(document, invocation.library), seed, true).breakdown));
  }
  return list;
}

}  // namespace

void ReportFile::write(Answer& answer, const Invocation& invocation) {
  if (!output_) return;
  Progress progress("trials", true);
  const ExperimentOptions options = experiment_options(invocation, progress);
  Json shown = *answer.document;
  shown.erase("trace");  // a report does not depend on where a trace went
  if (shown.contains("studies")) shown["studies"].erase("log");
  if (part_of(shown, "step.memory.stages").is_array()) {
    const Scenario scenario = scenario_of(shown, invocation.library);
    shown["timeline"] =
        timeline_json(timeline_of(scenario, options.seed, options.unfolded, TimelineLevel::microbatch));
    add_picture_studies(shown["studies"], shown["scenario"].dump(), invocation.library, options.seed);
  }
  if (part_of(shown, "scenarios").is_array() && part_of(shown, "outputs").is_array())
    shown["breakdowns_s"] = breakdowns_of(invocation, options.seed);
  const std::string page = html_report(shown);
  output_->finish(page);
  (*answer.document)["report"] = {{"file", path_}, {"bytes", page.size()}};
  answer.screen += fmt::format("\n{}   {}, {}; open it in a browser\n", heading("REPORT", invocation.style),
                               path_, bytes_text(static_cast<double>(page.size())));
}

void TraceFile::finish(const std::string& text, Json& about) {
  about["bytes"] = text.size();
  if (static_cast<double>(text.size()) > kLargeBytes)
    about["warning"] =
        fmt::format("{} of trace: viewers are slow beyond {}; fewer --trace-ranks or a coarser --trace-level",
                    bytes_text(static_cast<double>(text.size())), bytes_text(kLargeBytes));
  output_->finish(path_.ends_with(".gz") ? gzipped(text) : text);
}

}  // namespace runcast
