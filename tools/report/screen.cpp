// The screen's frame: what was asked, what the answer rests on, and the order of its parts.
#include "tools/report/screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kWidth = 110;

// "tensor 8" for each degree above 1, and the schedule, in the order of the file.
std::string layout_line(const Json& scenario, double gpus) {
  std::string line;
  const auto add = [&](const std::string& text) { line += (line.empty() ? "" : ", ") + text; };
  for (const char* key : {"tensor", "context", "pipeline", "data", "expert", "expert_tensor"}) {
    const std::string value = text_of(scenario, std::string("layout.") + key);
    if (!value.empty() && value != "1" && value != "auto") add(fmt::format("{} {}", key, value));
  }
  if (text_of(scenario, "layout.data") == "auto" && std::isfinite(gpus)) {
    for (const char* key : {"tensor", "context", "pipeline"})
      if (const double degree = number_of(scenario, std::string("layout.") + key); degree > 1) gpus /= degree;
    add("data " + number(gpus));
  }
  if (const std::string name = text_of(scenario, "schedule.name"); !name.empty()) {
    const std::string chunks = text_of(scenario, "schedule.virtual_stages");
    const bool told = !chunks.empty() && chunks != "1" && chunks != "auto";
    add("schedule " + name + (told ? fmt::format(" of {} chunks a rank", chunks) : ""));
  }
  for (const char* key : {"precision", "sharding", "recompute"})
    if (const std::string value = text_of(scenario, std::string("training.") + key);
        !value.empty() && value != "none")
      add(std::string(key) + " " + value);
  return line;
}

}  // namespace

std::string wrapped(const std::string& text, std::size_t indent) {
  std::string out;
  std::string line;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (!line.empty() && display_width(line) + 1 + display_width(word) + indent > kWidth) {
      out += line + "\n" + std::string(indent, ' ');
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    begin = end + 1;
  }
  return out + line;
}

const Json& part_of(const Json& value, std::string_view path) {
  static const Json kNothing;
  const Json* at = &value;
  while (!path.empty()) {
    const auto dot = std::min(path.find('.'), path.size());
    if (!at->is_object()) return kNothing;
    const auto found = at->find(std::string(path.substr(0, dot)));
    if (found == at->end()) return kNothing;
    at = &*found;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return *at;
}

double number_of(const Json& value, std::string_view path) {
  const Json& found = part_of(value, path);
  return found.is_number() ? found.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::string text_of(const Json& value, std::string_view path) {
  const Json& found = part_of(value, path);
  return found.is_structured() ? std::string() : plain_text(found);
}

std::string level_of(const Json& prediction) {
  const double level = number_of(prediction, "level");
  return std::isfinite(level) ? fixed(level * 100, 0) + " %" : std::string();
}

std::string words_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', ' ');
  return key;
}

std::string scenario_part(const Json& document, const Style& style) {
  const Json& scenario = part_of(document, "scenario");
  if (!scenario.is_object()) return {};
  const std::string name = text_of(scenario, "name");
  std::string out = heading(name.empty() ? "Scenario" : name, style) + "\n";
  std::string line;
  const auto add = [&](const std::string& text) {
    if (!text.empty()) line += (line.empty() ? "" : ", ") + text;
  };
  add(text_of(scenario, "model"));
  const std::string node = text_of(scenario, "cluster.node");
  const double nodes = number_of(scenario, "cluster.nodes");
  if (!node.empty() && std::isfinite(nodes)) add(number(nodes) + " x " + node);
  add(text_of(scenario, "cluster.fabric"));
  add(text_of(scenario, "software"));
  const double of_step = number_of(document, "step.gpus");
  const double gpus = std::isfinite(of_step) ? of_step : number_of(document, "run.gpus");
  if (std::isfinite(gpus)) add(number(gpus) + " GPUs");
  if (!line.empty()) out += "  " + wrapped(line, 2) + "\n";
  if (const std::string layout = layout_line(scenario, gpus); !layout.empty())
    out += "  " + wrapped(layout, 2) + "\n";
  return out;
}

std::string provenance_part(const Json& document, const Style& style) {
  const Json& provenance = part_of(document, "provenance");
  if (!provenance.is_object()) return {};
  std::string out;
  const Json& assumptions = part_of(provenance, "assumptions");
  if (assumptions.is_array() && !assumptions.empty()) {
    out += heading("ASSUMED, NOT MEASURED", style) + "\n";
    for (const Json& sentence : assumptions) out += "  - " + wrapped(plain_text(sentence), 4) + "\n";
    out += "\n";
  }
  out += fmt::format("runcast {}, seed {}", text_of(provenance, "version"), text_of(provenance, "seed"));
  if (const std::string hash = text_of(provenance, "scenario_hash"); !hash.empty())
    out += ", scenario " + hash;
  return out + "\n";
}

std::string result_screen(const Json& document, const Style& style) {
  std::string out;
  for (const auto part : {scenario_part, step_part, unfolded_part, communication_part, memory_part, run_part,
                          phases_part, checkpoint_part, studies_part, comparison_part, cost_part,
                          published_part, sensitivity_part, trace_part, provenance_part}) {
    const std::string text = part(document, style);
    if (!text.empty()) out += (out.empty() ? "" : "\n") + text;
  }
  return out;
}

}  // namespace runcast
