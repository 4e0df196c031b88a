// Steps of changed scenarios (picture_studies.hpp): each is the resolved text with --set assignments.
#include "scenarios/picture_studies.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "scenarios/experiment.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

class Variants {
 public:
  Variants(const std::string& scenario, const Library& library, std::uint64_t seed)
      : text_(scenario), library_(library), seed_(seed), base_(read({})) {}

  const Scenario& base() const { return base_; }
  std::optional<StepResult> step(const std::vector<std::string>& assignments) const {
    try {
      return step_of(read(assignments), seed_, false);
    } catch (const ConfigError&) {
      return std::nullopt;  // a batch or a layout that does not divide
    }
  }

 private:
  Scenario read(const std::vector<std::string>& assignments) const {
    Document document = Document::parse(text_, "the resolved scenario");
    for (const std::string& assignment : assignments) document.set(assignment);
    return read_scenario(document, library_);
  }

  std::string text_;
  const Library& library_;
  std::uint64_t seed_;
  Scenario base_;
};

Json batches(const Variants& variants) {
  Json rows = Json::array();
  for (const double factor : {0.25, 0.5, 1.0, 2.0, 4.0, 8.0}) {
    const double batch = static_cast<double>(variants.base().training.global_batch) * factor;
    const auto whole = static_cast<std::int64_t>(batch);
    if (static_cast<double>(whole) != batch) continue;
    if (const auto step = variants.step({fmt::format("training.global_batch={}", whole)}))
      rows.push_back({{"global_batch", whole},
                      {"mfu", step->mfu},
                      {"step_s", to_seconds(step->time).value},
                      {"tokens_per_s_per_gpu", step->tokens_per_s_per_gpu}});
  }
  return rows;
}

// Replicas follow the nodes.
Json scaling(const Variants& variants) {
  Json rows = Json::array();
  const Scenario& base = variants.base();
  for (const bool grows : {true, false})
    for (const double factor : {0.125, 0.25, 0.5, 1.0, 2.0}) {
      const double nodes = base.nodes * factor,
                   batch = static_cast<double>(base.training.global_batch) * factor;
      if (nodes != static_cast<double>(static_cast<std::int64_t>(nodes))) continue;
      if (grows && batch != static_cast<double>(static_cast<std::int64_t>(batch))) continue;
      const auto whole =
          static_cast<std::int64_t>(grows ? batch : static_cast<double>(base.training.global_batch));
      const auto step = variants.step({fmt::format("cluster.nodes={}", static_cast<std::int64_t>(nodes)),
                                       "layout.data=auto", fmt::format("training.global_batch={}", whole)});
      if (!step) continue;
      const double gpus = nodes * base.node.gpus;
      rows.push_back({{"kind", grows ? "batch grows" : "same batch"},
                      {"gpus", gpus},
                      {"global_batch", whole},
                      {"tokens_per_s", step->tokens_per_s_per_gpu * gpus},
                      {"mfu", step->mfu},
                      {"step_s", to_seconds(step->time).value}});
    }
  return rows;
}

}  // namespace

void add_picture_studies(Json& studies, const std::string& scenario, const Library& library,
                         std::uint64_t seed) {
  const Variants variants(scenario, library, seed);
  if (!variants.base().faults.empty()) return;  // each would be an unfolded step, on other ranks
  if (Json rows = batches(variants); rows.size() > 1) studies["mfu_by_batch"] = std::move(rows);
  if (Json rows = scaling(variants); rows.size() > 1) studies["scaling_curve"] = std::move(rows);
}

}  // namespace runcast
