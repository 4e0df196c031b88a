// The options of traces, and the file that they name.
#pragma once

#include <optional>

#include "scenarios/experiment.hpp"
#include "tools/commands/command.hpp"
#include "tools/report/output.hpp"

namespace runcast {

TimelineLevel timeline_level(const std::string& name);  // ConfigError lists the legal names
// "0,17,32-47" or "all"; ConfigError for a rank that the job does not have.
std::vector<RankId> ranks_named(const std::string& text, const Layout&);

// The file of --trace, opened before the work; nothing where the option is absent.
class TraceFile {
 public:
  explicit TraceFile(const Arguments&);
  bool asked() const { return output_.has_value() || per_rank_; }
  // Write the file and add to the document's `trace` what is in it.
  void write_step(nlohmann::ordered_json& document, const Library&, const ExperimentOptions&);
  void write_run(nlohmann::ordered_json& document);

 private:
  void finish(const std::string& text, nlohmann::ordered_json& about);
  void write_rank_files(nlohmann::ordered_json& document, const Library&, const ExperimentOptions&);

  const Arguments& arguments_;
  std::string path_;
  std::string format_ = "chrome";
  TimelineLevel level_ = TimelineLevel::microbatch;
  double most_bytes_ = 0;
  bool per_rank_ = false;  // a file a rank instead of output_
  std::optional<Output> output_;
};

// The file of --report, opened before the work; nothing where the option is absent.
class ReportFile {
 public:
  explicit ReportFile(const Arguments&);
  // Writes the answer's document with what else the charts need: where it has a step's memory, the step over time, and
  // the step at other batches and on other numbers of nodes. Adds the file to the document and to the screen.
  void write(Answer&, const Invocation&);

 private:
  std::string path_;
  std::optional<Output> output_;
};

// The scenario of a result, as it was resolved.
Scenario scenario_of(const nlohmann::ordered_json& document, const Library&);

}  // namespace runcast
