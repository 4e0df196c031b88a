// Predicted against measured on the screen. A terminal ends at its last line, so the order is from the single row to the
// whole: the worst rows, the groups with the worst first, what the errors are judged by, and how to read them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

constexpr std::size_t kAllRows = 40;    // so many are all shown, in the order of the table
constexpr std::size_t kWorstRows = 20;  // of more rows, these
constexpr double kLeastOfGroup = 5;     // rows; smaller combinations are in the other formats

std::string signed_percent(double error) { return (error > 0 ? "+" : "") + percent(error); }

// Pointers to the elements, the largest `key` first; nothing is moved among equals.
std::vector<const Json*> worst_first(const Json& list, const char* key) {
  std::vector<const Json*> order;
  for (const Json& element : list) order.push_back(&element);
  std::stable_sort(order.begin(), order.end(), [&](const Json* a, const Json* b) {
    return std::abs(number_of(*a, key)) > std::abs(number_of(*b, key));
  });
  return order;
}

std::string rows_table(const Json& rows, const Style& style) {
  const bool all = rows.size() <= kAllRows;
  std::vector<const Json*> shown = worst_first(rows, "error");
  if (all) std::transform(rows.begin(), rows.end(), shown.begin(), [](const Json& row) { return &row; });
  if (!all) shown.resize(kWorstRows);
  if (shown.empty()) return {};
  Columns table;
  for (const char* name : {"row", "model", "GPUs", "format", "software"}) table.column(name, Align::left);
  for (const char* name : {"measured s", "predicted s", "error"}) table.column(name, Align::right);
  for (const Json* row : shown) {
    const double gpus = number_of(*row, "gpus");
    table.row({text_of(*row, "id"), text_of(*row, "model"),
               (std::isfinite(gpus) ? number(gpus) + " x " : "") + text_of(*row, "hardware"),
               text_of(*row, "precision"), text_of(*row, "framework"),
               number(number_of(*row, "measured_step_s")), number(number_of(*row, "predicted_step_s")),
               signed_percent(number_of(*row, "error"))});
  }
  const std::string title =
      all ? "MEASURED STEPS" : fmt::format("THE {} WORST OF {} ROWS", kWorstRows, rows.size());
  return heading(title, style) + (all ? "" : "   --format csv has all") + "\n" + table.text(2) + "\n";
}

// How many rows each reason kept out, the most frequent first.
std::string skipped_table(const Json& skipped) {
  std::map<std::string, int> counts;
  for (const Json& row : skipped) ++counts[text_of(row, "reason")];
  std::vector<std::pair<std::string, int>> order(counts.begin(), counts.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  Columns table;
  table.column("skipped", Align::right);
  table.column("because", Align::left);
  for (const auto& [reason, count] : order) table.row({number(count), reason});
  return table.empty() ? std::string() : table.text(2) + "\n";
}

std::vector<std::string> error_cells(const std::string& name, const Json& errors) {
  return {name,
          number(number_of(errors, "rows")),
          percent(number_of(errors, "mape")),
          percent(number_of(errors, "median")),
          percent(number_of(errors, "p90")),
          signed_percent(number_of(errors, "bias"))};
}

Columns error_columns(const std::string& first) {
  Columns table;
  table.column(first, Align::left);
  for (const char* name : {"rows", "mean |error|", "median", "90 % within", "bias"})
    table.column(name, Align::right);
  return table;
}

// "hardware=h100 precision=fp8 nemo dense" -> "h100 fp8 nemo dense".
std::string without_keys(const std::string& key) {
  std::string out;
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find(' ', begin), key.size());
    const std::string word = key.substr(begin, end - begin);
    const std::size_t equals = word.find('=');
    const bool keyed =
        equals != std::string::npos && equals > 0 && word[equals - 1] != '<' && word[equals - 1] != '>';
    out += (out.empty() ? "" : " ") + (keyed ? word.substr(equals + 1) : word);
    begin = end + 1;
  }
  return out;
}

// What a group's key divides by: "" for words alone, "hardware" for one key, "all" for several.
std::string division_of(const std::string& key) {
  const std::string bare = without_keys(key);
  if (bare == key) return "";
  return key.find(' ') == std::string::npos ? key.substr(0, key.find('=')) : "all";
}

struct Division {
  const char* key;
  const char* title;
};
constexpr std::array kDivisions = {Division{"all", "GPU, number format, software and kind"},
                                   Division{"moe_impl", "how experts are run"},
                                   Division{"framework", "software"},
                                   Division{"precision", "number format"},
                                   Division{"hardware", "GPU"},
                                   Division{"", "kind"}};

std::string groups_part(const Json& groups, const Style& style) {
  if (!groups.is_array() || groups.empty()) return {};
  std::string out = heading("BY GROUP", style) + "   the worst first\n";
  const std::vector<const Json*> order = worst_first(groups, "mape");
  for (const Division& division : kDivisions) {
    const bool combined = std::string_view(division.key) == "all";
    Columns table = error_columns(
        division.title + (combined ? fmt::format(" ({:.0f} rows and more)", kLeastOfGroup) : std::string()));
    for (const Json* group : order) {
      const std::string key = text_of(*group, "key");
      if (division_of(key) != division.key || (combined && number_of(*group, "rows") < kLeastOfGroup))
        continue;
      table.row(error_cells(without_keys(key), *group));
    }
    if (!table.empty()) out += table.text(2) + "\n";
  }
  return out;
}

// The table's short column names in the words of a scenario.
std::string change_word(const std::string& column) {
  static const std::map<std::string, std::string> kWords = {
      {"gpus", "GPUs"},        {"seq_len", "sequence length"}, {"tp", "tensor"},  {"sp", "sequence parallel"},
      {"pp", "pipeline"},      {"vp", "virtual stages"},       {"cp", "context"}, {"ep", "expert"},
      {"etp", "expert tensor"}};
  const auto found = kWords.find(column);
  return found == kWords.end() ? words_of(column) : found->second;
}

// Whether the better of two layouts is told, and by how much a change changes the step.
std::string decisions_part(const Json& document, const Style& style) {
  std::string out;
  const auto add = [&](const char* path, const char* text) {
    const Json& order = part_of(document, path);
    if (number_of(order, "pairs") > 0)
      out += fmt::format(fmt::runtime(text), percent(number_of(order, "share_right")),
                         number(number_of(order, "pairs")), fixed(number_of(order, "spearman"), 2));
  };
  add("ordering",
      "  {} of {} pairs of steps of one model on one kind of machine are in the measured order; rank "
      "correlation {}\n");
  add("ordering.same_precision_and_sequence",
      "  {} of the {} of them with equal number format and sequence length; rank correlation {}\n");
  if (const Json& sweeps = part_of(document, "layout_sweeps.sweeps"); sweeps.is_array() && !sweeps.empty()) {
    out += fmt::format(
        "  {} layout sweeps (one model, machine, batch and software): median rank correlation {}\n",
        sweeps.size(), fixed(number_of(document, "layout_sweeps.median"), 2));
    for (const Json& sweep : sweeps)
      out += fmt::format("    {}  {} rows  {}\n", fixed(number_of(sweep, "spearman"), 2),
                         number(number_of(sweep, "rows")), text_of(sweep, "sweep"));
  }
  const Json& changes = part_of(document, "one_change");
  if (number_of(changes, "pairs") > 0) {
    out += fmt::format("  {} pairs differ in one thing: the predicted ratio of their times is {} off\n",
                       number(number_of(changes, "pairs")), percent(number_of(changes, "mean_error")));
    std::string line;
    for (const auto& [name, change] : part_of(changes, "by").items())
      line += fmt::format("{}{} {} ({})", line.empty() ? "" : ", ", change_word(name),
                          percent(number_of(change, "mean_error")), number(number_of(change, "pairs")));
    if (!line.empty()) out += "    " + wrapped(line, 4) + "\n";
  }
  return out.empty() ? out
                     : heading("CHOOSING BETWEEN LAYOUTS", style) +
                           "   order: pairs measured more than 3 % apart\n" + out + "\n";
}

constexpr const char* kLegend =
    "  error = predicted / measured - 1, of a step's time: below 0 the prediction is too fast\n"
    "  mean |error| is also called MAPE; 90 % within: nine rows of ten err by less; bias: the mean with its "
    "sign\n"
    "  The library's constants were fitted to measured steps: `runcast explain accuracy` tells how, and what "
    "is\n"
    "  known of steps that the fit had not seen.\n";

}  // namespace

std::string validation_screen(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "rows");
  const Json& skipped = part_of(document, "skipped");
  std::string out = rows_table(rows, style) + skipped_table(skipped) +
                    groups_part(part_of(document, "groups"), style) + decisions_part(document, style);
  out += fmt::format("{}   {} measured steps, {} skipped\n", heading("PREDICTED AGAINST MEASURED", style),
                     rows.size(), skipped.size());
  Columns table = error_columns("");
  Json all = document;
  all["rows"] = rows.size();
  table.row(error_cells("all", all));
  const auto add = [&](const char* name, const char* path) {
    const Json& errors = part_of(document, path);
    if (errors.is_object() && number_of(errors, "rows") > 0) table.row(error_cells(name, errors));
  };
  add("dense models", "dense");
  add("models with experts", "moe");
  if (const Json& anchored = part_of(document, "anchored"); number_of(anchored, "rows") > 0) {
    std::vector<std::string> cells = error_cells("with one measured step of its like as anchor", anchored);
    cells.back().clear();  // these errors have no sign
    table.row(std::move(cells));
  }
  add("floor: the same step measured again", "remeasurement_floor");
  add("baseline: one MFU for each GPU and format", "baselines.constant_mfu");
  add("baseline: 6 N D FLOPs at 40 % of the peak", "baselines.6nd_40");
  add("peak memory", "memory");
  return out + table.text(2) + kLegend;
}

}  // namespace runcast
